"""The examples of purge and admin: pushing, signing, WordPress, Grafana."""
import json
import re
import shutil
import subprocess
import sys

import pytest
from harness.example import EXAMPLES


def run(*args):
    p = subprocess.run([sys.executable, *map(str, args)], capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    assert p.returncode == 0, p.stdout + p.stderr
    return p.stdout


def own(n):
    return f"127.0.0.1:{n.port}"


def test_push(example):
    n = example("push.conf")
    assert n.get("/report", host=own(n)).body.startswith(b"made on demand")
    out = run(EXAMPLES / "push.py", f"http://{own(n)}", "pages", "/report", "/other")
    assert "'stored': True" in out
    for path in ("/report", "/other"):
        got = n.get(path, host=own(n))
        assert got.cache == "HIT" and b"made beforehand" in got.body and got.header("Content-Type") == "text/html; charset=utf-8"


def test_push_by_curl(example):
    n = example("push.conf")
    page = n.prefix / "report.html"
    page.write_text("by curl")
    url = f"http://{own(n)}"
    p = subprocess.run(["curl", "-sS", "-f", "-T", page, "-H", "Content-Type: text/html", "-H", "Surrogate-Key: report",
                        f"{url}/_cache/v1/zones/pages/entry?ttl=600&url={url}/report"], capture_output=True, check=False)
    assert p.returncode == 0, p.stderr
    got = n.get("/report", host=own(n))
    assert got.cache == "HIT" and got.body == b"by curl"


def test_signed_purge(example, nginx):
    (nginx.prefix / "conf").mkdir()
    (nginx.prefix / "conf/purge-secret").write_text("a secret of more than sixteen bytes\n")
    n = example("signed-purge.conf")
    for _ in range(2):
        n.get("/news/1", host=own(n))
    assert n.get("/news/1", host=own(n)).cache == "HIT"
    out = run(EXAMPLES / "signed_purge.py", f"http://{own(n)}", n.prefix / "conf/purge-secret", "pages", f"http://{own(n)}/news/")
    assert "accepted=1" in out
    assert n.get("/news/1", host=own(n)).cache == "MISS"


def test_wordpress(example):
    n = example("wordpress-purge.conf")
    for how in ("/purge/post/", None):
        n.get("/post/")
        assert n.get("/post/").cache == "HIT"
        answer = n.get(how) if how else n.purge("/post/")
        assert answer.status == 200
        assert n.get("/post/").cache == "MISS"
    assert n.get("/post/").cache == "HIT"
    assert n.purge("/purgeall").status == 200
    assert n.get("/post/").cache == "MISS"


def test_wordpress_knows_members_and_commenters_by_cookies_with_a_hash_in_their_names(example):
    n = example("wordpress-purge.conf")
    one = "0123456789abcdef0123456789abcdef"
    for i, cookie in enumerate((f"wordpress_logged_in_{one}=ann", f"comment_author_{one}=Jane", f"_ga=1; comment_author_email_{one}=a%40b",
                                f"wp-postpass_{one}=x", "woocommerce_items_in_cart=1", f"wordpress_sec_{one}=1", "PHPSESSID=1")):
        path = f"/post-{i}/"
        assert [n.get(path, f"Cookie: {cookie}").cache for _ in range(2)] == ["BYPASS", "BYPASS"], cookie
        assert n.get(path).cache == "MISS", cookie                                  # nothing of theirs was kept
        assert n.get(path, f"Cookie: {cookie}").cache == "BYPASS", cookie           # nor do they get what strangers get
    assert n.get("/post-0/", "Cookie: _ga=GA1.1.5; wordpress_test_cookie=WP%20Cookie%20check").cache == "HIT"


def test_grafana_asks_for_metrics_that_exist(example):
    n = example("push.conf")
    n.get("/a")
    names = set(re.findall(r"^(slab_cache_[a-z_]+)", n.get("/_cache/metrics").text, re.M))
    asked = {name for e in expressions() for name in re.findall(r"slab_cache_[a-z_]+", e)}
    assert asked and asked <= names


def expressions():
    dashboard = json.loads((EXAMPLES / "grafana-dashboard.json").read_text())
    return [t["expr"] for panel in dashboard["panels"] for t in panel.get("targets", [])]


def test_grafana_shows_the_alerts_that_there_are():
    dashboard = json.loads((EXAMPLES / "grafana-dashboard.json").read_text())
    alerts = re.findall(r"- alert: (\w+)", (EXAMPLES / "prometheus/slab_cache.rules.yml").read_text())
    drawn = re.search(r'alertname=~"([^"]+)"', dashboard["annotations"]["list"][0]["expr"])[1]
    listed = [p["options"]["alertName"] for p in dashboard["panels"] if p["type"] == "alertlist"]
    assert alerts and listed and all(re.fullmatch(drawn, a) and listed[0] in a for a in alerts)


def test_grafana_asks_for_labels_and_values_that_exist(example):
    n = example("push.conf")
    n.get("/a")
    series = [(name, dict(re.findall(r'(\w+)="([^"]*)"', labels)))
              for name, labels in re.findall(r"^(slab_cache_\w+)\{([^}]*)\}", n.get("/_cache/metrics").text, re.M)]
    for expr in expressions():
        grouped = {word.strip() for group in re.findall(r"by \(([^)]*)\)", expr) for word in group.split(",")}
        for name, matchers in re.findall(r"(slab_cache_\w+)\{([^}]*)\}", expr):
            mine = [labels for other, labels in series if other == name]
            assert mine and all(grouped <= set(labels) for labels in mine), expr
            for label, values in re.findall(r'(\w+)=~"([^"]*)"', matchers):
                there = {labels[label] for labels in mine}
                assert values == "$zone" or set(values.split("|")) <= there, (expr, label, there)


@pytest.mark.skipif(not shutil.which("promtool"), reason="no promtool: tools/deps.sh browser")
def test_grafana_s_queries_are_promql(tmp_path):
    rules = tmp_path / "rules.json"        # JSON is YAML
    rules.write_text(json.dumps({"groups": [{"name": "all", "rules": [{"record": f"r{i}", "expr": e}
                                                                     for i, e in enumerate(expressions())]}]}))
    p = subprocess.run(["promtool", "check", "rules", rules], capture_output=True, text=True, check=False)
    assert p.returncode == 0, p.stdout + p.stderr


@pytest.mark.parametrize("script, args", [("push.py", ["pages", "/report"]), ("signed_purge.py", ["SECRET", "pages", "http://x/"])])
def test_scripts_say_in_a_sentence_what_went_wrong(tmp_path, script, args):
    secret = tmp_path / "secret"
    secret.write_text("a secret of more than sixteen bytes\n")
    p = subprocess.run([sys.executable, EXAMPLES / script, "http://127.0.0.1:1", *(str(secret) if a == "SECRET" else a for a in args)],
                       capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    assert p.returncode == 1 and p.stderr.count("\n") == 1 and "http://127.0.0.1:1/_cache/: [Errno 111] Connection refused" in p.stderr
