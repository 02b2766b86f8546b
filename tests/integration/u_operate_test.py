"""What an operator copies: Prometheus' scrape and alerts, a log format, a systemd drop-in."""
import json
import pathlib
import re
import shutil
import subprocess
import tempfile

import pytest
from harness.example import EXAMPLES
from harness.wait import wait_until

RULES = EXAMPLES / "prometheus/slab_cache.rules.yml"
needs_promtool = pytest.mark.skipif(not shutil.which("promtool"), reason="no promtool: tools/deps.sh browser")


def run(*args, code=0, **kw):
    p = subprocess.run([*map(str, args)], capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False, **kw)
    assert p.returncode == code, p.stdout + p.stderr
    return p.stdout + p.stderr


# ---- Prometheus ---------------------------------------------------------------------------------------------------

@needs_promtool
def test_scrape_configuration_and_rules_are_prometheus_s():
    run("promtool", "check", "config", EXAMPLES / "prometheus/prometheus.yml")


def test_what_is_scraped_is_there_and_alerts_ask_for_metrics_that_exist(cached, origin):
    origin.reply("/a", "x")
    n = cached()
    n.get("/a")
    path = re.search(r"metrics_path: (\S+)", (EXAMPLES / "prometheus/prometheus.yml").read_text())[1]
    answer = n.get(path)
    assert answer.status == 200
    series = re.findall(r"^(slab_cache_\w+?)\{([^}]*)\}", answer.text, re.M)
    there = {(name, f'{k}="{v}"') for name, labels in series for k, v in re.findall(r'(\w+)="([^"]*)"', labels)} | {(n, "") for n, _ in series}
    text = RULES.read_text()
    asked = re.findall(r"\b(slab_cache_\w+)(?:\{([^}]*)\})?", "".join(re.findall(r"expr: .*?(?=for:|labels:|- alert|annotations:)", text, re.S)))
    assert len(asked) > 10
    for name, matchers in asked:
        if name.startswith("slab_cache_fleet_"):       # of zones with fleet= only: w_fleet_purge_test.py
            continue
        assert (name, "") in there, name
        for label, values in re.findall(r'(\w+)=~?"([^"]*)"', matchers):
            assert all((name, f'{label}="{v}"') in there for v in values.split("|")), (name, label, values)


def series(name, values, **labels):
    labels = {"instance": "web:80", "job": "slab_cache", "zone": "pages", **labels}
    if name == "up":
        del labels["zone"]
    text = ",".join(f'{k}="{v}"' for k, v in labels.items())
    return {"series": f"{name}{{{text}}}", "values": values}


# Alert: the series that raise it, the series that do not; a minute apart.
CASES = {
    "SlabCacheOriginFails": ([series("slab_cache_fills_total", "0+60x30", result="failed"), series("slab_cache_fills_started_total", "0+120x30")],
                             [series("slab_cache_fills_total", "0+1x30", result="failed"), series("slab_cache_fills_started_total", "0+120x30")]),
    "SlabCacheServesStale": ([series("slab_cache_requests_total", "0+60x30", status="STALE"), series("slab_cache_requests_total", "0+60x30", status="HIT")],
                             [series("slab_cache_requests_total", "0+1x30", status="STALE"), series("slab_cache_requests_total", "0+60x30", status="HIT")]),
    "SlabCacheHitRatioFell": (
        [series("slab_cache_requests_total", "0+6000x60 366000+100x30", status="HIT"), series("slab_cache_requests_total", "0+600x60 36600+6000x30", status="MISS")],
        [series("slab_cache_requests_total", "0+6000x90", status="HIT"), series("slab_cache_requests_total", "0+600x90", status="MISS")]),
    "SlabCacheTooSmall": ([series("slab_cache_eviction_age_seconds", "40x30")], [series("slab_cache_eviction_age_seconds", "0x30"),
                                                                                   series("slab_cache_eviction_age_seconds", "4000x30", zone="b")]),
    "SlabCachePurgeStorm": ([series("slab_cache_purges_total", "0+6000x30")], [series("slab_cache_purges_total", "0+60x30")]),
    "SlabCacheNoRoom": ([series("slab_cache_refusals_total", "0+60x30", reason="NO_SPACE")], [series("slab_cache_refusals_total", "0+60x30", reason="NO_STORE")]),
    "SlabCacheCorrupt": ([series("slab_cache_refusals_total", "0 0 1x30", reason="CORRUPT")], [series("slab_cache_refusals_total", "0x30", reason="CORRUPT")]),
    "SlabCacheFleetBlind": ([series("slab_cache_fleet_blind_total", "0+1x30")], [series("slab_cache_fleet_blind_total", "5x30")]),
    "SlabCacheFleetQueued": ([series("slab_cache_fleet_queued", "3x30")], [series("slab_cache_fleet_queued", "0 3 0x30")]),
    "SlabCacheGone": ([series("up", "1 1 0x30")], [series("up", "1x30")]),
}


def test_every_alert_has_a_case():
    assert set(re.findall(r"- alert: (\w+)", RULES.read_text())) == set(CASES)


@needs_promtool
@pytest.mark.parametrize("alert", CASES)
def test_alerts_are_raised_when_they_should_and_else_not(tmp_path, alert):
    at = "85m" if alert == "SlabCacheHitRatioFell" else "28m"
    for raises, input_series in zip((True, False), CASES[alert]):
        test = {"rule_files": [str(RULES)], "evaluation_interval": "1m", "tests": [{
            "interval": "1m", "input_series": input_series,
            "promql_expr_test": [{"expr": f'count(ALERTS{{alertname="{alert}",alertstate="firing"}})', "eval_time": at,
                                  "exp_samples": [{"labels": "{}", "value": 1}] if raises else []}]}]}
        path = tmp_path / "test.json"
        path.write_text(json.dumps(test))        # JSON is YAML
        run("promtool", "test", "rules", path)


# ---- the log ------------------------------------------------------------------------------------------------------

def test_log_format_tells_what_the_cache_did(example):
    nginx = example("log-format.conf")
    command = re.search(r"by hand:  (.*)", nginx.text)[1]
    log = nginx.prefix / "logs/access.log"
    for i, path in enumerate(("/page", "/page", "/other?secret=1"), 1):
        nginx.get(path)
        wait_until(lambda n=i: log.read_text().count("\n") == n, "it is logged")
    lines = log.read_text().splitlines()
    form = r"GET {} 200 {} \S+ age=\S+ ttl=\S+ waited=\S+ saved=\S+ origin=\S+ total=\d+\.\d+"
    assert re.fullmatch(form.format("/page", "MISS"), lines[0]), lines
    assert re.fullmatch(form.format("/page", "HIT"), lines[1]) and "age=0 ttl=600 " in lines[1] and "origin=- " in lines[1], lines
    assert "secret" not in lines[2]
    said = run("bash", "-c", command, cwd=nginx.prefix)
    assert sorted(line.split()[1] for line in said.splitlines()) == ["/other", "/page"]


# ---- systemd ------------------------------------------------------------------------------------------------------

@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="no systemd-analyze")
def test_systemd_takes_the_drop_in(tmp_path):
    unit = pathlib.Path("/lib/systemd/system/nginx.service")
    (tmp_path / "nginx.service").write_text(unit.read_text() if unit.exists() else "[Service]\nExecStart=/bin/true\n")
    (tmp_path / "nginx.service.d").mkdir()
    drop_in = tmp_path / "nginx.service.d/slab-cache.conf"
    shutil.copy(EXAMPLES / "systemd/slab-cache.conf", drop_in)
    environment = {"SYSTEMD_UNIT_PATH": f"{tmp_path}:", "PATH": "/usr/bin:/bin", "SYSTEMD_LOG_LEVEL": "info"}
    assert "slab-cache.conf" not in run("systemd-analyze", "verify", "--man=no", tmp_path / "nginx.service", env=environment)
    drop_in.write_text(drop_in.read_text().replace("RuntimeDirectoryPreserve", "NoSuchThing"))      # the check can see
    assert "NoSuchThing" in run("systemd-analyze", "verify", "--man=no", tmp_path / "nginx.service", env=environment)


def test_a_zone_in_that_directory_survives_a_restart(nginx, origin):
    """As systemd leaves it: nginx stopped and started, the directory kept."""
    origin.reply("/a", "x", headers=["Cache-Control: max-age=600"])
    line = re.search(r"slab_cache_zone zone=pages:256m (file=\S+);", (EXAMPLES / "systemd/slab-cache.conf").read_text())[1]
    with tempfile.TemporaryDirectory(dir="/dev/shm", prefix="sc_") as directory:
        zone = f"slab_cache_zone zone=one:16m {line.replace('/run/slab-cache', directory)};"
        for expected in ("MISS", "HIT"):
            nginx.start(f"location / {{ slab_cache one; proxy_pass http://{origin.address}; }}", zone=zone)
            assert nginx.get("/a").cache == expected
            nginx.stop()
