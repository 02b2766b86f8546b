"""A store that is dead, stalled, slow, changed, or wrong: no request fails because of the second tier."""
import signal
import threading
import time

import pytest
from harness.fleet import together
from harness.memcached import Memcached
from harness.nginx import TOP
from harness.tier import HOST, Reply, Tiered, message
from harness.wait import wait_until


@pytest.fixture(params=["redis", "memcached"])
def tiered(request):
    t = Tiered(request.param)
    yield t
    t.stop(keep=getattr(request.node, "failed_call", True))


def through_proxy(tiered, **kw):
    proxy = tiered.proxy(tiered.stores[0])
    a = tiered.node("a", f"{tiered.kind}://{proxy.address}", **kw)
    a.expect_log("no connection to")
    return proxy, a


def all_fine(node, *paths):
    for p in paths:
        answer = node.get(p)
        assert answer.status == 200, (p, answer)


def connected(tiered, node, path="/warm"):
    node.get(path)
    tiered.written(path)


def test_dead_store_is_a_miss_at_once(tiered):
    proxy, a = through_proxy(tiered)
    proxy.cut()
    all_fine(a, *(f"/{i}" for i in range(50)))
    assert set(a.misses()) == {"UNREACHABLE"} and a.counters()["timeouts"] == 0
    proxy.heal()
    wait_until(lambda: a.get(f"/{time.monotonic_ns()}").header("X-Tier") == "ABSENT", "it is asked again")


def test_store_that_dies_while_it_is_asked(tiered):
    proxy, a = through_proxy(tiered, workers=1)
    connected(tiered, a)
    proxy.stall()
    with a.connect() as c:
        c.send("/x", host=HOST)
        proxy.wait_until_held()
        proxy.cut()
        assert c.read_body(c.read_header()).status == 200
    assert a.misses().get("UNREACHABLE") == 1


def test_stalled_store_opens_the_circuit(tiered):
    proxy, a = through_proxy(tiered, workers=1)
    a.kw["zone"] = a.kw["zone"].replace("timeout=2s", "timeout=50ms")
    a.reload(**a.kw)
    connected(tiered, a)
    proxy.stall()
    all_fine(a, *(f"/a{i}" for i in range(3)))
    assert a.counters()["circuits"] == 1 and a.tier()["circuit_open"] and a.misses()["TIMEOUT"] >= 3
    probes = a.counters()["timeouts"]
    since = time.monotonic()
    all_fine(a, *(f"/b{i}" for i in range(100)))
    took = time.monotonic() - since
    assert a.counters()["timeouts"] - probes <= took + 1            # one probe a second
    assert a.misses()["CIRCUIT"] >= 98
    assert 'slab_cache_tier_circuit_open{tier="store"} 1' in a.get("/_cache/metrics").text
    proxy.heal()
    wait_until(lambda: a.get(f"/{time.monotonic_ns()}").header("X-Tier") == "ABSENT", "the circuit is closed again")
    assert not a.tier()["circuit_open"]


def test_all_who_wait_go_on_when_the_circuit_opens(tiered):
    proxy, a = through_proxy(tiered, workers=1)
    a.kw["zone"] = a.kw["zone"].replace("timeout=2s", "timeout=500ms")
    a.reload(**a.kw)
    connected(tiered, a)
    proxy.stall()
    together(*(lambda i=i: all_fine(a, f"/{i}") for i in range(30)))
    assert a.counters()["circuits"] == 1


def test_slow_answers_are_no_timeouts_where_they_come_in_time(tiered):
    proxy, a = through_proxy(tiered, workers=1)
    connected(tiered, a)
    tiered.put("/x", message("a job's"))
    proxy.stall()
    with a.connect() as c:
        c.send("/x", host=HOST)
        proxy.wait_until_held()
        proxy.heal()
        assert c.read_body(c.read_header()).text == "a job's"
    assert a.counters()["timeouts"] == 0


def test_late_answer_is_taken_for_no_other(tiered):
    proxy, a = through_proxy(tiered, workers=1)
    a.kw["zone"] = a.kw["zone"].replace("timeout=2s", "timeout=100ms")
    a.reload(**a.kw)
    connected(tiered, a)
    for i in range(20):
        tiered.put(f"/{i}", message(f"job {i}"))
    proxy.stall()
    all_fine(a, "/0", "/1")
    assert a.misses()["TIMEOUT"] == 2
    proxy.heal()
    for i in range(2, 20):          # on the connection where the late ones come first
        assert a.get(f"/{i}").text in (f"job {i}", "0")


def test_answer_that_is_cut_anywhere(tiered):
    proxy, a = through_proxy(tiered, workers=1)
    proxy.chunk = 1
    for i, size in enumerate((10, 300)):
        tiered.put(f"/{i}", message("x" * size))
        assert a.get(f"/{i}").text == "x" * size


@pytest.mark.parametrize("nonsense", [b"$5\r\nabc", b"!!!\r\n", b"VA 5\r\nabcdefghij", b"\0" * 100, b"-ERR what\r\n", b"SERVER_ERROR what\r\n",
                                      b"CLIENT_ERROR what\r\n", b":1\r\n", b"*1\r\n$1\r\na\r\n", b"HD\r\n", b"EN\r\n"])
def test_nonsense_from_the_store(tiered, nonsense):
    proxy, a = through_proxy(tiered, workers=1)
    connected(tiered, a)
    proxy.answers = lambda data: nonsense
    all_fine(a, *(f"/{i}" for i in range(5)))
    proxy.answers = None
    proxy.drop()
    wait_until(lambda: a.get(f"/{time.monotonic_ns()}").header("X-Tier") == "ABSENT", "it is asked again")


def test_server_that_is_restarted(tiered):
    a = tiered.node("a", workers=1)
    a.expect_log("no connection to")
    connected(tiered, a)
    store = tiered.stores[0]
    store.kill()
    all_fine(a, "/x", "/y")
    store.start()
    wait_until(lambda: a.get(f"/{time.monotonic_ns()}").header("X-Tier") == "ABSENT", "it is asked again")


def test_reload_with_questions_under_way(tiered):
    proxy, a = through_proxy(tiered, workers=2)
    connected(tiered, a)
    proxy.stall()
    with a.connect() as one, a.connect() as two:
        one.send("/x", host=HOST)
        two.send("/y", host=HOST)
        proxy.wait_until_held()
        a.reload()
        assert [c.read_body(c.read_header()).status for c in (one, two)] == [200, 200]
    proxy.heal()
    wait_until(lambda: a.get(f"/{time.monotonic_ns()}").header("X-Tier") == "ABSENT", "the new workers ask")


def test_stop_with_questions_under_way(tiered):
    proxy, a = through_proxy(tiered, workers=2)
    connected(tiered, a)
    proxy.stall()
    with a.connect() as one:
        one.send("/x", host=HOST)
        proxy.wait_until_held()
        a.process.send_signal(signal.SIGTERM)
        a.process.wait(20)


def test_worker_that_is_killed_leaves_a_working_tier(tiered):
    a = tiered.node("a", workers=2)
    a.expect_log("exited on signal 9")
    connected(tiered, a)
    a.kill_worker()
    all_fine(a, *(f"/{i}" for i in range(20)))
    wait_until(lambda: a.counters()["writes"] >= 21, "all are written")


def test_large_values_do_not_hold_up_small_ones(tiered):
    """They have a connection of their own, once their size is known."""
    big = "x" * 400_000
    tiered.put("/big", message(big))
    a = tiered.node("a", workers=1, zone="zone=one:16m max_object=500k")
    assert len(a.get("/big").text) == 400_000
    for i in range(3):
        a.purge("/big")
        tiered.put("/big", message(big))
        assert len(a.get("/big").body) in (1, 400_000)
    assert a.counters()["connects"] == 2


def test_value_that_the_store_does_not_take(tiered):
    """memcached keeps items of 1 MB at most; a Redis that is full refuses them all."""
    if tiered.kind == "redis":
        tiered.redis.call("CONFIG", "SET", "maxmemory", "1")
    a = tiered.node("a", options="max_object=4m", zone="zone=one:64m max_object=3m", workers=1)
    tiered.origin.reply("/x", b"x" * 2_000_000, headers=["Cache-Control: max-age=300"])
    assert len(a.get("/x").body) == 2_000_000
    figure = "too_large" if tiered.kind == "memcached" else "errors"
    wait_until(lambda: a.counters()[figure] >= 1 and a.counters()["deletes"] >= 1, "it is counted, and what was there is gone")
    assert a.counters()["writes"] == 0
    assert a.get("/y").status == 200


# ---- Redis alone ----------------------------------------------------------------------------------------------------

@pytest.fixture
def redis():
    t = Tiered("redis")
    yield t
    t.stop()


def test_password_wrong_then_right(redis):
    redis.redis.call("CONFIG", "SET", "requirepass", "right")
    file = redis.redis.dir / "password"
    file.write_text("wrong\n")
    a = redis.node("a", options=f"password_file={file}", workers=1)
    a.expect_log("no connection to")
    all_fine(a, *(f"/{i}" for i in range(5)))
    assert set(a.misses()) <= {"UNREACHABLE", "TIMEOUT"}
    file.write_text("right\n")
    wait_until(lambda: a.get(f"/{time.monotonic_ns()}").header("X-Tier") == "ABSENT", "the file was read again")


def test_key_of_another_type_is_an_error_and_no_more(redis):
    redis.redis.call("LPUSH", f"slab:http://{HOST}/x", "a")
    a = redis.node("a")
    assert (a.get("/x").text, a.get("/y").header("X-Tier")) == ("0", "ABSENT")
    assert a.misses()["ERROR"] == 1


def test_who_may_not_track_polls(redis):
    """An access rule without client|tracking, or an old server."""
    redis.redis.call("ACL", "SETUSER", "default", "-client|tracking")
    a, b = redis.pair()
    go_on = threading.Event()
    redis.origin.reply("/x", "x", headers=["Cache-Control: max-age=300"], before=go_on)
    with a.connect() as ca, b.connect() as cb:
        ca.send("/x", host=HOST)
        redis.origin.wait_for_hits("/x", 1)
        cb.send("/x", host=HOST)
        wait_until(lambda: b.counters()["leases_lost"] == 1, "b waits")
        go_on.set()
        assert [c.read_body(c.read_header()).text for c in (ca, cb)] == ["x", "x"]
    assert redis.origin.hits() == 1


def test_replica_is_left_for_the_master(redis):
    other = redis.server("--replicaof", "127.0.0.1", str(redis.redis.port))
    a = redis.node("a", f"redis://127.0.0.1:{other.port},127.0.0.1:{redis.redis.port}", workers=1)
    a.expect_log("no connection to")
    wait_until(lambda: a.get(f"/{time.monotonic_ns()}").header("X-Tier") == "ABSENT", "the master is asked")


# ---- memcached alone ------------------------------------------------------------------------------------------------

def test_several_memcached_share_the_keys_the_same_way_everywhere():
    t = Tiered("memcached")
    try:
        t.stores += [Memcached(), Memcached()]
        t.servers += t.stores[1:]
        a, b = t.pair()
        paths = [f"/{i}" for i in range(60)]
        for p in paths:
            a.get(p)
        wait_until(lambda: a.counters()["writes"] == 60, "all are written")
        assert all(b.get(p).header("X-Tier") == "HIT" for p in paths)
        held = [sum(s.get(f"slab:http://{HOST}{p}") is not None for p in paths) for s in t.stores]
        assert sum(held) == 60 and min(held) >= 8, held
        t.stores[1].kill()
        for n in (a, b):
            n.expect_log("no connection to")
        for i in range(30):
            assert a.get(f"/new{i}").status == 200
    finally:
        t.stop()


def test_memcached_with_a_password():
    t = Tiered("memcached")
    try:
        auth = t.redis.dir / "auth"
        auth.write_text("nginx:secret\n")
        auth.chmod(0o644)
        password = t.redis.dir / "password"
        password.write_text("wrong\n")
        t.stores = [Memcached("-Y", str(auth), answers=b"CLIENT_ERROR unauthenticated\r\n")]
        t.servers += t.stores
        a = t.node("a", options=f"user=nginx password_file={password}", workers=1)
        a.expect_log("no connection to")
        all_fine(a, "/x", "/y")
        password.write_text("secret\n")
        wait_until(lambda: a.get(f"/{time.monotonic_ns()}").header("X-Tier") == "ABSENT", "the file was read again")
        wait_until(lambda: a.counters()["writes"] >= 1, "it writes")
    finally:
        t.stop()


# ---- nothing is started without being used --------------------------------------------------------------------------

def test_no_connection_before_the_first_miss(tiered):
    a = tiered.node("a")
    a.get("/_cache/v1/tier")
    assert a.counters()["connects"] == 0
    a.get("/x")
    assert a.counters()["connects"] == 1
