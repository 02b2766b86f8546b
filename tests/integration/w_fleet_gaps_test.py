"""What XREAD says nothing of: a stream that was trimmed, lost, replaced. Each is one gap, and nothing stale is served after it."""
import pytest
from harness.redis import RedisError
from harness.wait import wait_until


def behind(fleet, node, path="/x"):
    """The node has `path` stored, cannot hear of a purge of it, and the page has changed."""
    node.fill(path)
    proxy = fleet.proxies[fleet.nodes.index(node)]
    node.expect_log("no connection")
    proxy.cut()
    wait_until(lambda: not node.state()["connected"], "it is cut off")
    fleet.change(path)
    return proxy


def nodes(fleet, count=2, **kw):
    """Each behind a proxy of its own."""
    made = []
    for name in "abc"[:count]:
        proxy = fleet.proxy()
        made.append(fleet.node(name, servers=f"redis://{proxy.address}", **kw))
    if count > 1:
        fleet.know_each_other(*made)
    return made


def one_gap(node, *reasons):
    wait_until(lambda: sum(node.gaps().values()) >= 1, f"{node.name} sees a gap")
    assert node.gaps() == {r: 1 for r in node.gaps()} and set(node.gaps()) <= set(reasons), node.gaps()


def test_what_was_missed_and_is_still_there_is_no_gap(fleet):
    a, b = nodes(fleet)
    b.fill("/other")
    proxy = behind(fleet, b)
    a.purge("/x")
    for i in range(1500):                                  # more than one reply has
        fleet.redis.xadd(tag=f"t{i}") if i % 500 == 0 else None
    proxy.heal()
    wait_until(lambda: b.get("/x").text == "1", "b has caught up")
    assert b.gaps() == {} and b.is_hit("/other")


def test_trimmed_beyond_the_position(fleet):
    a, b = nodes(fleet)
    proxy = behind(fleet, b)
    a.purge("/x")
    last = fleet.redis.xadd(tag="one")
    wait_until(lambda: a.state()["position"] == last, "a has read it")
    fleet.redis.call("XTRIM", "slab", "MAXLEN", "1")
    proxy.heal()
    one_gap(b, "trimmed")
    assert b.get("/x").text == "1"
    assert a.gaps() == {}


@pytest.mark.parametrize("words", [("FLUSHALL",), ("DEL", "slab"), ("SET", "slab", "no stream")])
def test_lost_while_nobody_was_connected(fleet, words):
    a, b = nodes(fleet)
    proxy = behind(fleet, b)
    a.purge("/x")
    if words[0] == "SET":
        fleet.redis.call("DEL", "slab")
    fleet.redis.call(*words)
    if words[0] == "SET":
        for n in (a, b):
            n.expect_log("WRONGTYPE", "no connection")
        wait_until(lambda: "WRONGTYPE" in a.error_log(), "a says what is wrong")
        fleet.redis.call("DEL", "slab")
    proxy.heal()
    one_gap(b, "empty", "behind", "other", "trimmed")
    assert b.get("/x").text == "1"


@pytest.mark.parametrize("words", [("FLUSHALL",), ("DEL", "slab"), ("XTRIM", "slab", "MAXLEN", "0")])
def test_lost_while_all_wait_for_it(fleet, words):
    a, b = nodes(fleet)
    for n in (a, b):
        n.fill("/x")
    fleet.change("/x")
    fleet.redis.call(*words)
    for n in (a, b):
        one_gap(n, "empty", "behind", "other", "trimmed")
        assert n.get("/x").text == "1"                     # the origin is asked: a purge may have been among what is gone


def test_another_server_with_newer_entries(fleet):
    a = nodes(fleet, 1)[0]
    a.fill("/x")
    fleet.change("/x")
    other = fleet.server()
    other.xadd(tag="of somebody else")
    a.expect_log("no connection")
    fleet.proxies[0].to = other.port
    fleet.proxies[0].drop()
    one_gap(a, "trimmed", "other")
    assert a.get("/x").text == "1"


def test_another_entry_under_the_same_id(fleet):
    a = nodes(fleet, 1)[0]
    a.fill("/x")
    fleet.redis.xadd(tag="one")
    wait_until(lambda: a.counters()["applied"] == 1, "it was read")
    position = a.state()["position"]
    fleet.change("/x")
    other = fleet.server()
    other.call("XADD", "slab", position, "tag", "two")
    a.expect_log("no connection")
    fleet.proxies[0].to = other.port
    fleet.proxies[0].drop()
    one_gap(a, "other")
    assert a.get("/x").text == "1"


def test_old_copy_of_the_stream(fleet):
    """An old dump is loaded: its last entry is older than what was read."""
    a, b = nodes(fleet)
    fleet.redis.xadd(tag="before")
    dump = fleet.redis.call("DUMP", "slab")
    for n in (a, b):
        n.fill("/x")
    a.purge("/x", "Prefer: wait=10")
    for n in (a, b):
        n.fill("/x")
    fleet.change("/x")
    fleet.redis.call("RESTORE", "slab", "0", dump, "REPLACE")
    for n in (a, b):
        one_gap(n, "behind", "other")
        assert n.get("/x").text == "1"
    fleet.redis.xadd(url="localhost/y")
    wait_until(lambda: a.counters()["applied"] >= 2, "reading goes on")


def test_old_copy_that_only_others_can_tell_of(fleet):
    """An application's purge is lost before c has read it. c's own position is still there: a has to tell it."""
    a, b, c = nodes(fleet, 3)
    last = fleet.redis.xadd(tag="before")
    wait_until(lambda: c.state()["position"] == last, "c has read it")
    dump = fleet.redis.call("DUMP", "slab")
    proxy = behind(fleet, c)
    last = fleet.redis.xadd(url="localhost/x")
    wait_until(lambda: a.state()["position"] == b.state()["position"] == last, "a and b have read it")
    fleet.redis.call("RESTORE", "slab", "0", dump, "REPLACE")
    proxy.heal()
    for n in (a, b):
        one_gap(n, "behind", "other")
    wait_until(lambda: c.get("/x").text == "1", "c asks the origin")
    assert c.gaps() == {} and c.counters()["unreadable"] == 0 and c.counters()["blind"] == 0


def test_restart_with_an_empty_memory(fleet):
    a, b = nodes(fleet)
    for n in (a, b):
        n.fill("/x")
        n.expect_log("no connection")
    fleet.change("/x")
    fleet.redis.kill()
    fleet.redis.start()
    for n in (a, b):
        one_gap(n, "empty", "behind", "other", "trimmed")
        assert n.get("/x").text == "1"


def test_on_gap_hard_purges(fleet):
    a = nodes(fleet, 1, options="on_gap=hard")[0]
    a.fill("/x")
    fleet.redis.call("FLUSHALL")
    one_gap(a, "empty", "behind", "other")
    assert a.get("/x").cache == "MISS"


def test_log_says_it_once_and_why(fleet):
    a = nodes(fleet, 1)[0]
    fleet.redis.call("FLUSHALL")
    one_gap(a, "empty", "behind", "other")
    fleet.redis.xadd(tag="x")
    wait_until(lambda: a.counters()["applied"] == 1, "reading goes on")
    lines = [line for line in a.error_log().splitlines() if "gap in slab_cache_fleet" in line and "[warn]" in line]
    assert len(lines) == 1 and 'slab_cache zone "one"' in lines[0] and "in doubt" in lines[0]


def test_server_without_memory_for_more(fleet):
    """noeviction: XADD is refused; purges wait, and count here."""
    a, b = fleet.pair()
    b.fill("/x")
    fleet.redis.call("CONFIG", "SET", "maxmemory", "1")
    for n in (a, b):
        n.expect_log("OOM")
    fleet.change("/x")
    assert a.purge("/x").status == 202
    wait_until(lambda: "OOM" in a.error_log(), "the log says why")
    fleet.redis.call("CONFIG", "SET", "maxmemory", "0")
    wait_until(lambda: b.get("/x").text == "1", "b has heard of it")
    assert a.purge("/y", "Prefer: wait=20").status == 200


def test_server_that_evicts_the_stream(fleet):
    """allkeys-*: warned of at start; what it takes away is a gap like any other."""
    fleet.redis.call("CONFIG", "SET", "maxmemory-policy", "allkeys-random")
    a = nodes(fleet, 1)[0]
    wait_until(lambda: "may evict stream" in a.error_log(), "the log warns of it")
    fleet.redis.xadd(tag="x")
    wait_until(lambda: a.counters()["applied"] == 1, "a has read it")
    a.fill("/x")
    proxy = behind(fleet, a)
    fleet.redis.xadd(url="localhost/x")
    a.expect_log("OOM")                                    # there is nothing left to evict
    fleet.redis.call("CONFIG", "SET", "maxmemory", "1")
    with pytest.raises(RedisError):
        fleet.redis.xadd(tag="y")
    assert fleet.redis.call("EXISTS", "slab") == 0
    fleet.redis.call("CONFIG", "SET", "maxmemory", "0")
    proxy.heal()
    one_gap(a, "empty", "behind")
    assert a.get("/x").text == "1"


def test_outbox_that_overflows_puts_others_in_doubt(fleet):
    a, b = fleet.pair()
    b.fill("/x")
    for n in (a, b):
        n.expect_log("no connection")
    fleet.redis.pause()
    fleet.change("/x")
    with a.connect() as c:
        for i in range(40):                                # some 9 KB each
            body = b'{"tags":[' + b",".join(b'"%s%d.%d"' % (b"t" * 100, i, k) for k in range(90)) + b"]}"
            c.request("/_cache/v1/zones/one/purge", "POST", headers=["Content-Type: application/json", "Connection: keep-alive"], body=body)
    assert a.state()["outbox"]["untold"] > 0
    a.purge("/x")
    fleet.redis.go_on()
    wait_until(lambda: b.get("/x").text == "1", "b doubts")
    wait_until(lambda: a.state()["outbox"] == {"waiting": 0, "oldest_ms": 0, "untold": 0}, "all is told")
    assert b.counters()["unreadable"] == 0


def test_entries_that_are_too_large_for_one_reply_are_read_in_smaller_ones(fleet):
    a = nodes(fleet, 1)[0]
    proxy = behind(fleet, a)
    for i in range(30):
        fleet.redis.xadd(tag=" ".join(f"tag-{i}-{k}" for k in range(60000)))   # 30 x 800 KB
    fleet.redis.xadd(url="localhost/x")
    a.expect_log("too large")
    proxy.heal()
    wait_until(lambda: a.get("/x").text == "1", "a has read it", 60)
    assert a.gaps() == {}


def test_entry_that_is_larger_than_any_reply_is_a_gap(fleet):
    a = nodes(fleet, 1)[0]
    proxy = behind(fleet, a)
    fleet.redis.xadd(tag="x" * (20 * 1024 * 1024))
    fleet.redis.xadd(tag="behind it")
    a.expect_log("too large")
    proxy.heal()
    wait_until(lambda: a.gaps(), "it is a gap", 60)
    assert a.get("/x").text == "1"
