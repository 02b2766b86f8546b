"""A purge anywhere kills what lies in the second tier: by the stream's position that its writer knew."""
import threading
import time

import pytest
from harness.tier import HOST, Reply, Tiered, message
from harness.wait import wait_until


@pytest.fixture(params=["redis", "memcached"])
def tiered(request):
    t = Tiered(request.param)
    yield t
    t.stop(keep=getattr(request.node, "failed_call", True))


def pair(tiered, **kw):
    """Two nodes of one fleet. Their zones have read up to the same entry."""
    a, b = tiered.pair(fleet=True, **kw)
    settle(tiered, a, b)
    return a, b


def settle(tiered, *nodes):
    """An entry about nothing; all have read it. Its id."""
    position = tiered.redis.xadd(url="http://nobody.test/")
    wait_until(lambda: all(n.position() >= position for n in nodes), "all have read it")
    return position


def as_number(position):
    return tuple(int(x) for x in position.split("-"))


def test_values_carry_the_position_and_are_used_by_others(tiered):
    a, b = pair(tiered)
    a.get("/x")
    assert b"Slab-Position: " in tiered.written("/x")
    answer = b.get("/x")
    assert (answer.cache, answer.header("X-Tier")) == ("HIT", "HIT")
    assert answer.header("Slab-Position") is None


@pytest.mark.parametrize("purge", [dict(url="http://example.org/x"), dict(tag="t1"), dict(prefix="example.org/"), dict(all="1"), dict(glob="example.org/*x")])
def test_purge_after_it_was_written_kills_it_everywhere(tiered, purge):
    tiered.tags["/x"] = "t0 t1"
    a, b = pair(tiered)
    a.get("/x")
    tiered.written("/x")
    tiered.change("/x")
    position = tiered.redis.xadd(**purge)
    wait_until(lambda: as_number(b.position()) >= as_number(position), "b has read it")
    answer = b.get("/x")
    assert (answer.text, answer.header("X-Tier")) == ("1", "PURGED")
    wait_until(lambda: as_number(a.position()) >= as_number(position), "a has read it")
    assert a.get("/x").text == "1"
    assert tiered.origin.hits("/x") == 2        # b's answer was good for a


def test_what_was_made_after_a_node_s_own_purge_is_of_use_to_that_node(tiered):
    """Seen: where the purge had been given, it was held against all values that were made up to the next entry of the stream."""
    a, b = pair(tiered)
    before = a.position()
    a.request("/_cache/v1/zones/one/purge", "POST", body=b'{"all": true}')
    wait_until(lambda: a.position() == b.position() != before, "both have read it")
    wait_until(lambda: a.zone_in_fleet()["counters"]["published"] == 1, "a knows that it is its own")
    tiered.put("/x", message("made after it", f"Slab-Position: {a.position()}"))
    assert [n.get("/x").header("X-Tier") for n in (a, b)] == ["HIT", "HIT"]


def test_doubt_is_not_held_against_what_was_made_before_it_once_all_was_heard_of():
    """Seen: behind a doubt nothing in the store was of use, until something was purged somewhere."""
    t = Tiered("memcached")
    try:
        a = t.node("a", fleet=True, member="blind=2s", workers=1)
        a.expect_log("does not answer", "no connection", "may not have been heard of")
        position = settle(t, a)

        def found():
            path = f"/{time.monotonic_ns()}"
            t.put(path, message("known to be right", f"Slab-Position: {position}"))
            return a.get(path).header("X-Tier")
        assert found() == "HIT"
        t.redis.pause()
        wait_until(lambda: found() == "PURGED", "everything is in doubt")
        t.redis.go_on()
        wait_until(lambda: found() == "HIT", "it is of use again")
        assert a.position() == position
    finally:
        t.redis.go_on()
        t.stop()


def test_purge_by_one_node_kills_what_it_wrote_itself(tiered):
    a, b = pair(tiered)
    a.get("/x")
    tiered.written("/x")
    tiered.change("/x")
    assert a.purge("/x", "Prefer: wait=10").status == 200
    assert a.get("/x").text == "1"
    assert b.get("/x").text == "1"


def test_purge_while_the_origin_is_asked_kills_the_value(tiered):
    a, b = pair(tiered)
    go_on = threading.Event()
    tiered.origin.sequence("/x", Reply("old", headers=["Cache-Control: max-age=300"], before=go_on), Reply("new", headers=["Cache-Control: max-age=300"]))
    with a.connect() as c:
        c.send("/x", host=HOST)
        tiered.origin.wait_for_hits("/x", 1)
        assert b.purge("/x").status in (200, 202)
        settle(tiered, a, b)
        go_on.set()
        assert c.read_body(c.read_header()).text == "old"
    assert b.get("/x").text == "new"


def test_job_that_began_before_a_purge_does_not_bring_the_old_page_back(tiered):
    a = tiered.node("a", fleet=True)
    before = settle(tiered, a)
    after = tiered.redis.xadd(tag="t1")
    wait_until(lambda: a.position() >= after, "a has read it")
    tiered.put("/x", message("old", "Surrogate-Key: t1", f"Slab-Position: {before}"))
    tiered.put("/y", message("new", "Surrogate-Key: t1", f"Slab-Position: {after}"))
    tiered.put("/z", message("other", "Surrogate-Key: t2", f"Slab-Position: {before}"))
    assert (a.get("/x").text, a.get("/y").text, a.get("/z").text) == ("0", "new", "other")
    assert a.misses() == {"PURGED": 1}


@pytest.mark.parametrize("position", ["", "nonsense", "0-0", "1-1", "-", "1"])
def test_without_a_known_position_it_is_older_than_all_purges(tiered, position):
    a = tiered.node("a", fleet=True)
    read = tiered.redis.xadd(tag="t1")
    wait_until(lambda: a.position() >= read, "a has read it")
    line = [f"Slab-Position: {position}"] if position else []
    tiered.put("/x", message("old", "Surrogate-Key: t1", *line))
    assert a.get("/x").text == "0"
    assert a.misses() == {"PURGED": 1}


def test_in_a_fleet_a_page_without_a_position_is_older_than_what_was_missed_before_the_start(tiered):
    a = tiered.node("a", fleet=True)
    tiered.put("/x", message("a job's"))
    assert (a.get("/x").text, a.misses()) == ("0", {"PURGED": 1})


def test_position_that_is_a_little_ahead_counts_as_the_one_that_was_reached(tiered):
    a = tiered.node("a", fleet=True)
    ms, _ = as_number(settle(tiered, a))
    tiered.put("/x", message("new", f"Slab-Position: {ms + 5000}-0"))
    assert a.get("/x").text == "new"


def test_position_of_the_far_future_is_none(tiered):
    a = tiered.node("a", fleet=True)
    settle(tiered, a)
    tiered.put("/x", message("new", "Slab-Position: 99999999999999-0"))
    assert (a.get("/x").text, a.misses()) == ("0", {"PURGED": 1})


def test_without_the_fleet_a_purge_is_known_here_alone(tiered):
    a = tiered.node("a")
    a.get("/x")
    tiered.written("/x")
    tiered.change("/x")
    assert a.purge("/x").status == 200
    assert a.get("/x").text == "1"


def test_what_a_tag_is_survives_a_304(tiered):
    tiered.age, tiered.tags["/x"] = "max-age=1, stale-while-revalidate=60", "t1"
    a, b = pair(tiered, workers=1)
    a.get("/x")
    tiered.written("/x")
    wait_until(lambda: a.get("/x").cache == "STALE", "it is stale")
    wait_until(lambda: a.counters()["writes"] == 2, "the 304 has refreshed the value")
    assert tiered.value("/x").lower().count(b"surrogate-key: t1") == 1
    assert a.get("/x").header("Surrogate-Key") is None and a.get("/x").header(":tags") is None


def test_resized_zone_knows_the_purges_before(tiered):
    a, b = pair(tiered)
    a.get("/x")
    tiered.written("/x")
    tiered.change("/x")
    position = tiered.redis.xadd(url="http://example.org/x")
    wait_until(lambda: as_number(b.position()) >= as_number(position), "b has read it")
    b.kw["zone"] = b.kw["zone"].replace("one:16m", "one:24m")
    b.reload(**b.kw)
    assert b.get("/x").text == "1"
