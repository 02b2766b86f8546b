"""Purges over several machines by a Redis Stream: what is purged on one is purged on all, by whatever language."""
import json
import re

import pytest
from harness.nginx import TOP
from harness.origin import Reply
from harness.wait import wait_until


def gone(node, *paths):
    wait_until(lambda: not any(node.is_hit(p) for p in paths), f"{paths} are gone on {node.name}")


@pytest.mark.parametrize("path, headers", [("/a/x", []), ("/a/*", []), ("/*/x", []), ("/other", ["Surrogate-Key: t1"])])
def test_purge_by_method_reaches_all(fleet, path, headers):
    fleet.tags["/a/x"] = "t1"
    a, b = fleet.pair()
    for n in (a, b):
        n.fill("/a/x")
        n.fill("/b/y")
    assert a.purge(path, *headers).status == 200
    assert not a.is_hit("/a/x")
    gone(b, "/a/x")
    assert b.is_hit("/b/y") and a.is_hit("/b/y")        # and nothing else


@pytest.mark.parametrize("body", [{"urls": ["http://localhost/a/x"]}, {"prefixes": ["localhost/a"]}, {"hosts": ["localhost"]}, {"tags": ["t1"]},
                                  {"globs": ["localhost/*/x"]}, {"tags_all": ["t1", "t2"], "not": ["t3"]}, {"all": True}])
def test_purge_by_json_reaches_all(fleet, body):
    fleet.tags["/a/x"] = "t1 t2"
    a, b = fleet.pair()
    for n in (a, b):
        n.fill("/a/x")
    answer = a.request("/_cache/v1/zones/one/purge", "POST", headers=["Content-Type: application/json"], body=json.dumps(body).encode())
    assert answer.status == 200 and json.loads(answer.body)["fleet"]["state"] == "published"
    gone(b, "/a/x")


@pytest.mark.parametrize("fields", [{"tag": "t1"}, {"tags": "nothing, t1"}, {"url": "localhost/a/x"}, {"prefix": "localhost/a/"},
                                    {"host": "localhost"}, {"glob": "localhost/a*"}, {"all": "1"}, {"tag": "t1", "why": "the price changed"}])
def test_application_purges_by_one_xadd(fleet, fields):
    fleet.tags["/a/x"] = "t1"
    a, b = fleet.pair()
    for n in (a, b):
        n.fill("/a/x")
        n.fill("/b")
    fleet.redis.xadd(**fields)
    gone(a, "/a/x")
    gone(b, "/a/x")
    if "all" not in fields and "host" not in fields:
        assert a.is_hit("/b") and b.is_hit("/b")
    assert a.counters()["unknown_fields"] == ("why" in fields)


def test_soft_purge_is_soft_everywhere(fleet):
    a, b = fleet.pair()
    for n in (a, b):
        n.fill("/x")
    assert a.purge("/x", "Fastly-Soft-Purge: 1").status == 200
    wait_until(lambda: b.get("/x").cache in ("STALE", "UPDATING", "REVALIDATED"), "it is stale on b, and served")


@pytest.mark.parametrize("fields", [{"tagz": "t1"}, {"tag": " "}, {"url": "/no/host"}, {"tag": "a", "mode": "sofft"}, {"not": "a"}])
def test_entry_that_cannot_be_read_puts_everything_in_doubt(fleet, fields):
    a, b = fleet.pair()
    for n in (a, b):
        n.fill("/x")
        n.expect_log("cannot be read")
    fleet.change("/x")
    fleet.redis.xadd(**fields)
    for n in (a, b):
        wait_until(lambda n=n: n.counters()["unreadable"] == 1, "it was met")
        assert n.get("/x").text == "1"          # the origin was asked before it was served
        assert n.is_hit("/x")


def test_in_doubt_the_origin_is_asked_and_what_is_still_good_stays(fleet):
    a = fleet.node("a")
    a.fill("/x")
    asked = fleet.origin.hits("/x")
    fleet.redis.xadd(all="1", mode="doubt")
    wait_until(lambda: a.counters()["applied"] >= 1, "it was read")
    answer = a.get("/x")
    assert answer.cache == "REVALIDATED" and answer.text == "0"
    assert fleet.origin.hits("/x") == asked + 1
    assert a.is_hit("/x") and fleet.origin.hits("/x") == asked + 1


def test_in_doubt_what_the_origin_cannot_say_stands(fleet):
    a = fleet.node("a")
    a.fill("/x")
    fleet.origin.stop()
    a.expect_log("refused")
    fleet.redis.xadd(all="1", mode="doubt")
    wait_until(lambda: a.counters()["applied"] >= 1, "it was read")
    assert (a.get("/x").status, a.get("/x").cache) == (200, "STALE")


def test_own_entries_are_passed_over(fleet):
    a, b = fleet.pair()
    a.purge("/x")
    wait_until(lambda: a.counters()["own"] >= 1 and b.counters()["applied"] >= 1, "both have read it")
    assert a.counters()["applied"] == 0
    seq = a.figures()["purge_seq"]
    a.purge("/x", "Prefer: wait=10")
    assert a.figures()["purge_seq"] == seq + 1


def test_entry_names_its_zone_and_others_leave_it(fleet):
    two = "slab_cache_zone zone=two:16m fleet=main;"
    a = fleet.node("a", more=two)
    b = fleet.node("b", more=two)
    other = fleet.node("c", zone="zone=three:16m", location=f"""
        location / {{ slab_cache three; proxy_pass http://{fleet.origin.address}; }}
        location /_cache/ {{ slab_cache_api write=on; }}""")
    for n in (a, b, other):
        n.fill("/x")
    fleet.redis.xadd(zone="two", all="1")
    gone(other, "/x")                                        # it has no zone of that name: it might be meant
    a.purge("/y", "Prefer: wait=10")
    wait_until(lambda: b.counters()["applied"] >= 1, "b has read on")
    assert b.is_hit("/x") and a.is_hit("/x")


def test_latecomer_begins_at_the_end_and_trusts_nothing_it_had(fleet):
    a = fleet.node("a")
    for i in range(50):
        a.purge(f"/{i}")
    b = fleet.node("b")
    wait_until(lambda: b.state()["position"] == a.state()["position"] != "0-0", "b stands where a stands")
    assert b.counters()["gaps"]["start"] == 1 and b.counters()["applied"] == 0


def test_without_the_directives_nothing_of_it_is_there(cached):
    n = cached()
    assert json.loads(n.get("/_cache/v1/fleet").body) == {"fleets": []}
    assert "slab_cache_fleet" not in n.get("/_cache/metrics").text
    assert "fleet" not in json.loads(n.purge("/x").body)


# ---- answers ------------------------------------------------------------------------------------------------------


def test_answer_says_published_with_position(fleet):
    a, b = fleet.pair()
    told = json.loads(a.purge("/x").body)["fleet"]
    assert told["state"] == "published" and set(told["nodes"]) == {"b"}
    assert told["position"] == fleet.redis.entries()[-1][0]
    assert fleet.redis.entries()[-1][1]["url"] == "localhost/x"


def test_preferred_wait_ends_when_all_nodes_have_done_it(fleet):
    a, b = fleet.pair()
    b.fill("/x")
    fleet.change("/x")
    answer = a.purge("/x", "Prefer: respond-async, wait=20")
    assert answer.status == 200 and answer.header("Preference-Applied") == "wait"
    assert json.loads(answer.body)["fleet"]["state"] == "applied"
    assert json.loads(answer.body)["fleet"]["nodes"] == {"b": "applied"}
    assert b.get("/x").text == "1"


def test_preferred_wait_names_who_has_not(fleet):
    proxy = fleet.proxy()
    a = fleet.node("a")
    b = fleet.node("b", servers=f"redis://{proxy.address}")
    fleet.know_each_other(a, b)
    b.expect_log("no connection")
    proxy.stall()
    answer = a.purge("/x", "Prefer: wait=1")
    assert answer.status == 202
    told = json.loads(answer.body)["fleet"]
    assert told["state"] == "published" and told["nodes"] == {"b": "behind"}
    proxy.heal()
    wait_until(lambda: a.purge("/x", "Prefer: wait=10").status == 200, "b is back")


def test_without_a_server_the_answer_is_queued_and_the_purge_counts_here_at_once(fleet):
    a, b = fleet.pair()
    for n in (a, b):
        n.fill("/x")
        n.expect_log("no connection")
    fleet.redis.kill()
    fleet.change("/x")
    answer = a.purge("/x")
    assert answer.status == 202 and json.loads(answer.body)["fleet"] == {"state": "queued"}
    assert a.get("/x").text == "1"
    fleet.redis.start()
    wait_until(lambda: b.get("/x").text == "1", "b has heard of it")
    wait_until(lambda: a.state()["outbox"]["waiting"] == 0, "nothing waits any more")


def test_client_that_hangs_up_while_it_waits_leaves_nothing(fleet):
    a = fleet.node("a")
    fleet.redis.pause()
    for _ in range(20):
        c = a.connect()
        c.send("/x", "PURGE", headers=["Prefer: wait=60"])
        wait_until(lambda: a.state()["outbox"]["waiting"] > 0, "it is put into the outbox")
        c.abort()
    fleet.redis.go_on()
    wait_until(lambda: a.purge("/x", "Prefer: wait=10").status == 200, "all is well")


# ---- what people see ----------------------------------------------------------------------------------------------


def test_api_shows_nodes_position_and_outbox(fleet):
    a, b = fleet.pair()
    a.purge("/x", "Prefer: wait=10")
    shown = json.loads(a.get("/_cache/v1/fleet").body)["fleets"][0]
    assert (shown["name"], shown["stream"], shown["node"], shown["blind_ms"], shown["on_gap"]) == ("main", "slab", "a", 60000, "soft")
    zone = shown["zones"][0]
    assert zone["server"] == f"127.0.0.1:{fleet.redis.port}" and zone["holder"] in a.workers()
    assert zone["position"] == fleet.redis.entries()[-1][0]
    assert zone["outbox"] == {"waiting": 0, "oldest_ms": 0, "untold": 0}
    assert [(n["name"], n["state"]) for n in zone["nodes"]] == [("b", "applied")]


def test_metrics(fleet):
    a, b = fleet.pair()
    fleet.redis.xadd(tag="x")
    wait_until(lambda: a.counters()["applied"] == 1, "it was read")
    lines = dict(line.rpartition(" ")[::2] for line in a.get("/_cache/metrics").text.splitlines() if line.startswith("slab_cache_fleet"))
    assert lines['slab_cache_fleet_connected{zone="one"}'] == "1"
    assert lines['slab_cache_fleet_applied_total{zone="one"}'] == "1"
    assert lines['slab_cache_fleet_gaps_total{zone="one",reason="start"}'] == "1"
    assert lines['slab_cache_fleet_nodes{zone="one",state="live"}'] == "1"
    assert lines['slab_cache_fleet_queued{zone="one"}'] == "0"
    asked = re.findall(r"\bslab_cache_fleet_\w+", (TOP / "conf-examples/prometheus/slab_cache.rules.yml").read_text())
    assert asked and all(f'{name}{{zone="one"}}' in lines for name in asked)


# ---- unsafe requests ----------------------------------------------------------------------------------------------


def test_unsafe_request_invalidates_on_all(fleet):
    a, b = fleet.pair()
    b.fill("/x")
    b.fill("/y")
    fleet.change("/x")
    assert a.request("/x", "POST", body=b"").status == 200          # of a page that a has not stored
    wait_until(lambda: b.get("/x").text == "1", "b has heard of it")
    assert b.is_hit("/y") and fleet.redis.entries()[-1][1]["unsafe"] == "localhost/x"


def test_post_that_answers_gets_stays_where_it_went_and_ends_what_others_have(fleet):
    """Its own entry in the stream does not take it."""
    a, b = fleet.pair()
    fleet.origin.handle("/x", lambda r: Reply(r.method.encode() + r.body, headers=["Cache-Control: max-age=3600", "Content-Location: /x"]))
    for body in (b"1", b"2"):
        b.fill("/x")
        assert a.request("/x", "POST", body=body).status == 200
        wait_until(lambda: not b.is_hit("/x"), "b has heard of it")
        wait_until(lambda: a.state()["position"] == fleet.redis.entries()[-1][0], "a has read its own entry")
        assert (a.get("/x").cache, a.get("/x").body) == ("HIT", b"POST" + body)
    b.request("/x", "POST", body=b"3")
    wait_until(lambda: a.get("/x").body == b"GET", "a has heard of it")


def test_unsafe_requests_of_strangers_put_nothing_in_doubt_and_no_purge_off(fleet):
    a, b = fleet.pair()
    b.fill("/x")
    with a.connect() as c:
        for i in range(900):
            assert c.request(f"/{i}", "POST", body=b"", host="x" if i % 2 else "localhost").status == 200
    assert a.counters()["kept"] > 0 and a.state()["outbox"]["untold"] == 0
    fleet.change("/x")
    assert a.purge("/x", "Prefer: wait=20").status == 200
    assert b.get("/x").text == "1" and b.counters()["unreadable"] == 0 and b.counters()["blind"] == 0
