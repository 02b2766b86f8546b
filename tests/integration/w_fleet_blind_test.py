"""Whatever fails: no page is served for longer than blind= after it was purged anywhere."""
import json
import pathlib
import tempfile
import time

import pytest
from harness.boot_clock import BootClock
from harness.wait import wait_until

BLIND = "blind=3s"
NOT_HEARD = "may not have been heard of"


@pytest.fixture
def slab():
    with tempfile.TemporaryDirectory(prefix="slab_test_", dir="/dev/shm") as d:
        yield pathlib.Path(d) / "one.slab"


def test_without_contact_everything_is_doubted_once_per_bound(fleet):
    a = fleet.node("a", options=BLIND)
    a.fill("/x")
    a.expect_log("no connection", NOT_HEARD)
    fleet.redis.kill()
    for version in ("1", "2"):
        fleet.change("/x")
        wait_until(lambda v=version: a.get("/x").text == v, "the origin is asked in time")
        assert a.is_hit("/x")                              # and what it said stands until the next time
    asked = fleet.origin.hits("/x")
    blind = a.counters()["blind"]
    assert 2 <= blind <= asked
    assert sum(NOT_HEARD in line for line in a.error_log().splitlines()) <= 2   # once for each worker
    fleet.redis.start()
    wait_until(lambda: a.state()["connected"], "contact again")


def test_bound_holds_for_a_page_that_was_purged_elsewhere(fleet):
    """How late, bench/fleet_bench.py measures."""
    proxy = fleet.proxy()
    a = fleet.node("a", options=BLIND)
    b = fleet.node("b", servers=f"redis://{proxy.address}", options=BLIND)
    fleet.know_each_other(a, b)
    for n in (a, b):
        n.expect_log("no connection", NOT_HEARD)
    b.fill("/x")
    proxy.stall()                                          # not even a reset
    fleet.change("/x")
    a.purge("/x")
    wait_until(lambda: b.get("/x").text == "1", "b doubts in time")
    assert b.counters()["blind"] >= 1
    proxy.heal()


def test_with_contact_nothing_is_doubted(fleet):
    a, b = fleet.pair(options=BLIND)
    blind = [n.counters()["blind"] for n in (a, b)]
    a.fill("/x")
    asked = fleet.origin.hits("/x")
    end = a.state()["lag_ms"] + time.monotonic() * 1000 + 7000
    wait_until(lambda: time.monotonic() * 1000 > end, "two bounds have gone by")
    assert [n.counters()["blind"] for n in (a, b)] == blind
    assert a.is_hit("/x") and fleet.origin.hits("/x") == asked


def test_off_is_off(fleet):
    a = fleet.node("a", options="blind=off")
    a.fill("/x")
    a.expect_log("no connection")
    fleet.redis.kill()
    end = time.monotonic() + 4
    wait_until(lambda: time.monotonic() > end, "some time")
    assert a.is_hit("/x") and a.counters()["blind"] == 0


def test_node_that_is_cut_off_puts_the_others_in_doubt(fleet):
    """It may purge, and cannot tell."""
    proxy = fleet.proxy()
    a = fleet.node("a", servers=f"redis://{proxy.address}", options=BLIND)
    b = fleet.node("b", options=BLIND)
    fleet.know_each_other(a, b)
    for n in (a, b):
        n.expect_log("no connection", NOT_HEARD)
    b.fill("/x")
    proxy.cut()
    wait_until(lambda: not a.state()["connected"], "a is cut off")
    fleet.change("/x")
    assert a.purge("/x").status == 202
    wait_until(lambda: b.get("/x").text == "1", "b doubts in time")
    assert b.state()["connected"] and b.counters()["blind"] >= 1
    wait_until(lambda: [n["state"] for n in b.state()["nodes"]] == ["silent"], "a is silent")
    proxy.heal()
    fleet.know_each_other(a, b)


def test_purges_that_the_server_refuses_put_the_others_in_doubt(fleet):
    a, b = fleet.pair(options=BLIND)
    for n in (a, b):
        n.expect_log("OOM", NOT_HEARD)
    b.fill("/x")
    fleet.redis.call("CONFIG", "SET", "maxmemory", "1")
    fleet.change("/x")
    assert a.purge("/x").status == 202
    wait_until(lambda: b.get("/x").text == "1", "b doubts in time")
    fleet.redis.call("CONFIG", "SET", "maxmemory", "0")
    wait_until(lambda: a.state()["outbox"]["waiting"] == 0, "it is published")


def test_killed_machine_is_doubted_until_it_is_back(fleet):
    a, b = fleet.pair(options=BLIND)
    b.expect_log(NOT_HEARD)
    a.expect_log("exited on signal 9")
    a.kill_all()
    wait_until(lambda: b.counters()["blind"] >= 1, "b doubts")
    a.start(**a.kw)
    wait_until(lambda: b.sees("a"), "a is back")


def test_zone_in_a_file_goes_on_at_its_position(fleet, slab):
    a = fleet.node("a", zone=f"zone=one:16m file={slab}")
    a.fill("/x")
    a.fill("/y")
    fleet.redis.xadd(tag="read")
    wait_until(lambda: a.counters()["applied"] == 1, "it was read")
    a.stop()
    fleet.change("/x")
    fleet.redis.xadd(url="localhost/x")
    a.start(**a.kw)
    wait_until(lambda: a.counters()["applied"] == 2, "what came meanwhile is read")
    assert a.get("/x").text == "1" and a.is_hit("/y")
    assert a.gaps() == {} and a.counters()["gaps"]["start"] == 1


def test_zone_in_a_file_that_lay_too_long_is_doubted_before_the_first_request(fleet, slab):
    a = fleet.node("a", zone=f"zone=one:16m file={slab}", options=BLIND)
    a.fill("/x")
    a.expect_log("no connection", NOT_HEARD)
    fleet.redis.kill()
    a.stop()
    fleet.change("/x")
    end = time.monotonic() + 3.2
    wait_until(lambda: time.monotonic() > end, "more than blind= goes by")
    a.start(**a.kw)
    assert a.get("/x").text == "1"


def test_purges_that_wait_outlive_all_processes_in_a_file(fleet, slab):
    proxy = fleet.proxy()
    a = fleet.node("a", zone=f"zone=one:16m file={slab}", servers=f"redis://{proxy.address}")
    b = fleet.node("b")
    fleet.know_each_other(a, b)
    a.expect_log("no connection", "exited on signal 9", "was not ended in order", "recover")
    b.fill("/x")
    proxy.cut()
    wait_until(lambda: not a.state()["connected"], "a is cut off")
    fleet.change("/x")
    assert a.purge("/x").status == 202
    a.kill_all()
    proxy.heal()
    a.start(**a.kw)
    wait_until(lambda: b.get("/x").text == "1", "what waited has reached b")


@pytest.fixture
def clock(monkeypatch):
    yield from BootClock.fixture(monkeypatch)


@pytest.mark.parametrize("up", [60, 7200])
def test_node_that_cannot_say_what_is_known_of_it_is_not_forgotten(clock, fleet, up):
    """Its purges did not fit, say, and nobody was told yet. A line of an hour ago is a machine that is no more, also where this one
    has not been up for so long."""
    clock.boot(up)
    a = fleet.node("a")
    now = int(fleet.redis.call("TIME")[0]) * 1000

    def says(ms):
        fleet.redis.call("HSET", "{slab}:nodes", "c/one", f"1-1 1 {'0' * 16} {ms}")
    says(now)
    wait_until(lambda: [n["name"] for n in a.state()["nodes"]] == ["c"], "it is known")
    answer = a.purge("/x", "Prefer: wait=1")
    assert answer.status == 202 and json.loads(answer.body)["fleet"]["nodes"] == {"c": "silent"}
    assert [n["name"] for n in a.state()["nodes"]] == ["c"]
    says(now - 3601 * 1000)
    wait_until(lambda: a.state()["nodes"] == [], "it is forgotten")
    assert a.purge("/x", "Prefer: wait=20").status == 200
