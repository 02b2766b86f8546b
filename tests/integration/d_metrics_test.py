"""Metrics in Prometheus' text, and the heavy hitters."""
import json
import pathlib
import re
import shutil
import subprocess

import pytest
from harness.origin import Reply
from harness.wait import wait_until

FRESH = ("Cache-Control: max-age=600",)


def metrics(n):
    answer = n.get("/_cache/metrics")
    assert answer.status == 200 and answer.header("Content-Type").startswith("text/plain; version=0.0.4")
    values = {}
    for line in answer.text.splitlines():
        if not line.startswith("#"):
            name, _, value = line.rpartition(" ")
            assert name not in values, name
            values[name] = float(value)
    return values


def top(n, by, query=""):
    answer = n.get(f"/_cache/v1/zones/one/top?by={by}{query}")
    assert answer.status == 200, answer
    return json.loads(answer.body)["rows"]


def slow(seconds, *headers):
    return lambda request: Reply(request.target, headers=headers, before=seconds)


@pytest.mark.skipif(not shutil.which("promtool"), reason="no promtool: tools/deps.sh browser")
def test_promtool_finds_nothing_to_complain_about(cached, origin):
    origin.reply("/a", "x", headers=FRESH)
    n = cached(zone="slab_cache_zone zone=one:16m; slab_cache_zone zone=two:16m;", workers=2)
    for _ in range(3):
        n.get("/a")
    p = subprocess.run(["promtool", "check", "metrics"], input=n.get("/_cache/metrics").body, capture_output=True, check=False)
    assert (p.returncode, p.stdout, p.stderr) == (0, b"", b"")


def test_counts_requests_by_status_fills_and_purges(cached, origin):
    origin.reply("/a", "x" * 1000, headers=FRESH)
    origin.reply("/private", "x", headers=["Cache-Control: private"])
    n = cached(workers=2)
    for _ in range(5):
        n.get("/a")
    n.get("/private")
    n.get("/private")
    n.purge("/a")
    m = metrics(n)
    assert m['slab_cache_requests_total{zone="one",status="HIT"}'] == 4
    assert m['slab_cache_requests_total{zone="one",status="MISS"}'] == 2
    assert m['slab_cache_requests_total{zone="one",status="PASSED"}'] == 1
    assert m['slab_cache_fills_started_total{zone="one"}'] == 2
    assert m['slab_cache_fills_total{zone="one",result="stored"}'] == 1
    assert m['slab_cache_fills_total{zone="one",result="refused"}'] == 1
    assert m['slab_cache_refusals_total{zone="one",reason="PRIVATE"}'] == 2
    assert m['slab_cache_purges_total{zone="one"}'] == 1 and m['slab_cache_purge_seq{zone="one"}'] >= 1
    assert m['slab_cache_body_bytes_total{zone="one",source="cache"}'] == 4000
    assert m['slab_cache_body_bytes_total{zone="one",source="origin"}'] == 1000
    assert m['slab_cache_entries{zone="one"}'] == 1
    assert m['slab_cache_memory_bytes{zone="one",state="live"}'] > 1000
    assert m['slab_cache_zone_bytes{zone="one"}'] == 16 * 1024 * 1024


@pytest.mark.parametrize("reply", [Reply("oops", status=500), Reply(raw=b"", framing="close"), Reply("x", headers=["X-Big: " + "x" * 9000])],
                         ids=["500", "dead", "header too big"])
def test_origin_that_fails_is_counted_whether_what_is_stale_stands_in_or_not(cached, origin, reply):
    up = Reply("x", headers=["Cache-Control: max-age=0, stale-if-error=600", 'ETag: "1"'])
    state = {"reply": up}
    origin.handle("/a", lambda r: state["reply"])
    n = cached("proxy_next_upstream off;", workers=2)
    n.expect_log("upstream")
    assert [n.get("/a").status, n.figures()["counters"]["fills_failed"]] == [200, 0]
    state["reply"] = reply
    assert [n.get("/a").cache for _ in range(3)] == ["STALE"] * 3       # the second and third by the back-off, unasked
    m = metrics(n)
    asked = origin.hits("/a") - 1
    assert asked >= 1
    assert m['slab_cache_fills_total{zone="one",result="failed"}'] == asked
    assert m['slab_cache_refusals_total{zone="one",reason="ORIGIN_ERROR"}'] == asked


def test_histograms_are_cumulative_and_agree_with_the_counts(cached, origin):
    origin.handle("/a", slow(0.06, *FRESH))
    n = cached(workers=2)
    for _ in range(21):
        n.get("/a")
    m = metrics(n)
    for name, count in (("hit", 20), ("miss", 1)):
        buckets = [v for k, v in m.items() if k.startswith(f"slab_cache_{name}_seconds_bucket")]
        assert buckets == sorted(buckets) and buckets[-1] == count == m[f'slab_cache_{name}_seconds_count{{zone="one"}}']
    assert m['slab_cache_miss_seconds_bucket{zone="one",le="0.050000"}'] == 0
    assert 0.05 < m['slab_cache_miss_seconds_sum{zone="one"}'] < 5
    assert 0 < m['slab_cache_hit_seconds_sum{zone="one"}'] < 1
    assert m['slab_cache_saved_origin_seconds_total{zone="one"}'] >= 20 * 0.05
    assert m['slab_cache_origin_seconds_total{zone="one"}'] >= 0.05


def test_counters_never_fall_when_a_worker_is_killed(cached, origin):
    origin.reply("/a", "x", headers=FRESH)
    n = cached(workers=2)
    for _ in range(20):
        n.get("/a")
    before = metrics(n)
    n.kill_worker()
    after = metrics(n)
    fallen = [k for k, v in before.items() if re.search(r"_total|_bucket|_count|_sum", k) and after[k] < v]
    assert fallen == []


def test_lost_names_the_dearest_route_first_with_the_reason(cached, origin):
    origin.handle("/slow", slow(0.05, "Cache-Control: private"))
    origin.handle("/cookie", slow(0.005, *FRESH, "Set-Cookie: a=b"))
    origin.reply("/good", "x", headers=FRESH)
    n = cached(workers=2)
    for i in range(4):
        n.get(f"/slow?visit={i}")
        n.get("/cookie")
        n.get("/good")
    rows = top(n, "lost")
    assert rows[0]["route"] == "localhost/slow" and rows[0]["reason"] == "PRIVATE" and rows[0]["requests"] == 4
    assert rows[0]["lost_us"] >= 4 * 45_000 and rows[0]["sentence"]
    by_route = {r["route"]: r for r in rows}
    assert by_route["localhost/cookie"]["reason"] == "SET_COOKIE"
    assert by_route["localhost/good"]["requests"] == 1 and by_route["localhost/good"]["reason"] == "NOT_STORED"


def test_saved_and_hits_rank_what_is_served(cached, origin):
    origin.handle("/dear", slow(0.5, *FRESH))
    origin.reply("/cheap", "x", headers=FRESH)
    n = cached(workers=2)
    for _ in range(4):
        n.get("/dear")
    for _ in range(11):
        n.get("/cheap")
    assert [(r["route"], r["requests"]) for r in top(n, "hits")] == [("localhost/cheap", 10), ("localhost/dear", 3)]
    saved = top(n, "saved")
    assert saved[0]["route"] == "localhost/dear" and saved[0]["saved_us"] >= 3 * 450_000


def test_bytes_lists_the_largest_objects(cached, origin):
    origin.handle("*", lambda r: Reply(b"x" * (1000 * int(r.target[1:])), headers=FRESH))
    n = cached(workers=2)
    for i in range(1, 12):
        n.get(f"/{i}")
    rows = top(n, "bytes", "&n=3")
    assert [r["body_bytes"] for r in rows] == [11000, 10000, 9000]


def test_bytes_of_a_full_zone_stays_within_what_was_asked(cached, origin):
    origin.handle("*", lambda r: Reply(b"x" * 30_000, headers=FRESH))
    n = cached(workers=2)
    for i in range(800):
        n.get(f"/{i}")
    assert len(top(n, "bytes", "&n=100")) == 100
    assert json.loads(n.get("/_cache/v1/zones/one").body)["pins"] == 0


@pytest.mark.parametrize("query", ["", "?by=", "?by=colour", "?by=lost&n=0", "?by=lost&n=101", "?by=lost&n=x", "?by=lost&n="])
def test_refuses_other_questions(cached, query):
    answer = cached().get("/_cache/v1/zones/one/top" + query)
    assert answer.status == 400 and answer.header("Content-Type") == "application/problem+json"


def test_the_last_reason_is_still_known_when_the_mark_is_gone(cached, origin):
    origin.reply("/a", "x", headers=[*FRESH, "Set-Cookie: a=b"])
    n = cached()
    n.get("/a")
    n.reload()      # marks are short-lived; the sketch stays
    said = json.loads(n.get("/_cache/v1/zones/one/entry?url=/a").body)
    assert said["why"]["reason"] == "SET_COOKIE" and said["route"]["misses"] == 1


def test_one_version_is_shown_in_metrics_api_and_log(cached):
    text = (pathlib.Path(__file__).resolve().parents[2] / "src/base/version.h").read_text()
    version = re.search(r'kVersion\[\] = "(.+)"', text)[1]
    n = cached()
    info = [line for line in n.get("/_cache/metrics").body.decode().splitlines() if line.startswith("slab_cache_build_info{")]
    assert len(info) == 1 and f'version="{version}"' in info[0] and info[0].endswith(" 1")
    assert json.loads(n.get("/_cache/v1/zones").body)["version"] == version
    assert f"slab_cache {version}, layout " in n.error_log()


def test_api_says_since_when_nginx_and_its_configuration_run(nginx):
    def zones():
        return json.loads(nginx.get("/_cache/v1/zones").body)

    nginx.start(location="location /_cache/ { slab_cache_api; }")
    assert zones()["uptime_sec"] == zones()["configuration_age_sec"] < 60 and "file" not in zones()["zones"][0]
    wait_until(lambda: zones()["uptime_sec"] >= 2, "time passes")
    nginx.reload()
    said = zones()
    assert said["uptime_sec"] >= 2 and said["configuration_age_sec"] < said["uptime_sec"]


@pytest.mark.parametrize("codes", [(200, 200, 301, 404, 500, 503), (200, 304), ()])
def test_answers_of_origins_are_counted_by_code(cached, origin, codes):
    n = cached(workers=1)
    origin.handle("*", lambda r: Reply("x", status=int(r.target[1:4]), headers=["Cache-Control: no-store"]))
    origin.sequence("/again", Reply("x", headers=["Cache-Control: no-cache", 'ETag: "a"']), Reply("", status=304, headers=['ETag: "a"']))
    if codes == (200, 304):
        assert [n.get("/again").cache, n.get("/again").cache] == ["MISS", "REVALIDATED"]
    else:
        assert [n.get(f"/{code}/{i}").status for i, code in enumerate(codes)] == list(codes)
    wanted = {f"{k}xx": sum(code // 100 == k for code in codes) for k in (2, 3, 4, 5)}
    m = metrics(n)
    assert {k: m[f'slab_cache_origin_responses_total{{zone="one",code="{k}"}}'] for k in wanted} == wanted
    counters = n.figures()["counters"]
    assert {k: counters[f"origin_{k}"] for k in wanted} == wanted


CLIENTS = "2xx 206 3xx 304 4xx 5xx".split()


def sent(n):
    """Answers to clients by code; the API and the metrics say the same."""
    counters, m = n.figures()["counters"], metrics(n)
    found = {c: counters[f"sent_{c}"] for c in CLIENTS}
    assert found == {c: m[f'slab_cache_responses_total{{zone="one",code="{c}"}}'] for c in CLIENTS}
    return {c: k for c, k in found.items() if k}


@pytest.mark.parametrize("fields, status, code", [
    ([], 200, "2xx"), (["If-None-Match: \"a\""], 304, "304"), (["If-Match: \"b\""], 412, "4xx"), (["Range: bytes=0-3"], 206, "206"),
    (["Range: bytes=0-3,5-6"], 206, "206"), (["Range: bytes=5000-"], 416, "4xx"), (["Authorization: Basic YTpi"], 200, "2xx")])
def test_answers_to_clients_are_counted_by_code(cached, origin, fields, status, code):
    origin.reply("/a", "0123456789", headers=[*FRESH, 'ETag: "a"'])
    n = cached(workers=1)
    n.get("/a")
    before = sent(n)
    assert before == {"2xx": 1}
    assert n.request("/a", headers=fields).status == status
    assert n.request("/a", "HEAD").status == 200
    wanted = {**before, code: before.get(code, 0) + 1}
    assert sent(n) == {**wanted, "2xx": wanted["2xx"] + 1}


def test_answers_of_all_statuses_are_counted_once_each(cached, origin):
    """Hits, misses, passes and failures; neither what purges, nor what another location answers."""
    origin.handle("*", lambda r: Reply("x", status=int(r.target[1:4]), headers=FRESH))
    origin.reply("/inner", "", headers=[*FRESH, "X-Accel-Redirect: /page"])
    n = cached(workers=1, server=f"""
        location /broken {{ slab_cache one; proxy_pass http://127.0.0.1:1; error_page 502 =503 /page; }}
        location /page {{ return 200 "page"; }}
        location /forbidden {{ slab_cache one; deny all; proxy_pass http://{origin.address}; }}""")
    asked = {"/200": 200, "/301": 301, "/404": 404, "/503": 503, "/inner": 200, "/broken": 503}
    for path, status in asked.items():
        for _ in range(2):
            assert n.get(path).status == status, path
    assert n.request("/200", "POST", body=b"x").status == 200
    n.purge("/other")
    assert n.get("/page").status == 200 and n.get("/forbidden").status == 403
    assert sent(n) == {"2xx": 5, "3xx": 2, "4xx": 2, "5xx": 4}
    c = n.figures()["counters"]
    assert sum(sent(n).values()) == sum(c[k] for k in "hits misses expired stale updating revalidated bypassed passed".split())


def test_answers_of_all_workers_are_counted_also_of_dead_ones(cached, origin):
    origin.reply("/a", "x", headers=FRESH)
    n = cached(workers=2)
    for _ in range(20):
        n.get("/a")
    n.reload()
    for _ in range(5):
        n.get("/a")
    assert sent(n) == {"2xx": 25}
