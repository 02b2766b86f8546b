"""The examples of purge and admin: pushing, signing, WordPress, Grafana."""
import json
import re
import subprocess
import sys

import pytest
from harness.nginx import TOP

EXAMPLES = TOP / "conf-examples"


@pytest.fixture
def example(nginx):
    app_port = nginx.another_port()

    def start(name):
        text = (EXAMPLES / name).read_text()
        text = text.replace("127.0.0.1:8080", f"127.0.0.1:{nginx.port}").replace("127.0.0.1:8081", f"127.0.0.1:{app_port}")
        text = text.replace("pid logs/nginx.pid;", f"daemon off; user root; pid {nginx.prefix}/nginx.pid;")
        nginx.start(text=text)
        return nginx

    return start


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
    assert "'accepted': 1" in out
    assert n.get("/news/1", host=own(n)).cache == "MISS"


def test_wordpress(example):
    n = example("wordpress-purge.conf")
    for how in ("/purge/post/", None):
        n.get("/post/")
        assert n.get("/post/").cache == "HIT"
        answer = n.get(how) if how else n.purge("/post/")
        assert answer.status == 200
        assert n.get("/post/").cache == "MISS"


def test_grafana_asks_for_metrics_that_exist(example):
    n = example("push.conf")
    n.get("/a")
    names = set(re.findall(r"^(slab_cache_[a-z_]+)", n.get("/_cache/metrics").text, re.M))
    dashboard = json.loads((EXAMPLES / "grafana-dashboard.json").read_text())
    asked = {name for panel in dashboard["panels"] for t in panel["targets"] for name in re.findall(r"slab_cache_[a-z_]+", t["expr"])}
    assert asked and asked <= names
