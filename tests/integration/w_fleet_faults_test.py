"""Workers, connections and servers that die, stop, or talk nonsense, while purges go over several machines."""
import json
import os
import signal
import threading

import pytest
from harness.redis import Client, Proxy, Redis
from harness.wait import wait_until


def holder_is_another(node, old):
    wait_until(lambda: node.holder() not in (0, old) and node.state()["connected"], "another worker is connected")


def reaches(a, b, fleet, path="/x"):
    """A purge on a reaches b."""
    b.fill(path)
    version = str(fleet.change(path))
    a.purge(path)
    wait_until(lambda: b.get(path).text == version, f"a purge on {a.name} reaches {b.name}")


def test_killed_holder_is_replaced_and_nothing_is_lost(fleet):
    a, b = fleet.pair()
    b.fill("/x")
    for n in (a, b):
        old = n.holder()
        n.kill_worker(old)
        holder_is_another(n, old)
        assert n.counters()["takeovers"] >= 2
    reaches(a, b, fleet)
    assert a.gaps() == {} and b.gaps() == {}


def test_purges_while_holders_are_killed_all_arrive(fleet):
    a, b = fleet.pair()
    paths = [f"/{i}" for i in range(60)]
    for p in paths:
        b.fill(p)
    stop = threading.Event()

    def kill():
        for n in (a, b) * 2:
            old = n.holder()
            if old and not stop.is_set():
                n.kill_worker(old)
                holder_is_another(n, old)
    killer = threading.Thread(target=kill)
    killer.start()
    try:
        for p in paths:
            fleet.change(p)
            wait_until(lambda p=p: purged(a, p), "the purge is answered")
    finally:
        stop.set()
        killer.join()
    for p in paths:
        wait_until(lambda p=p: b.get(p).text == "1", f"{p} has reached b")
    assert a.gaps() == {} and b.gaps() == {}


def purged(node, path):
    try:
        return node.purge(path).status in (200, 202)
    except (OSError, EOFError, ValueError, IndexError):
        return False                                       # its worker was killed


def test_holder_that_is_stopped_is_replaced_and_does_no_harm_when_it_goes_on(fleet):
    a, b = fleet.pair()
    old = b.holder()
    os.kill(old, signal.SIGSTOP)
    try:
        # Its listening sockets go on taking connections: ask until the other worker answers.
        wait_until(lambda: "takeover" in str(quick_state(b)) and quick_state(b)["holder"] not in (0, old), "another worker is connected", 60)
    finally:
        os.kill(old, signal.SIGCONT)
    b.expect_log("no connection")
    reaches(a, b, fleet)
    wait_until(lambda: "another worker talks to" in b.error_log(), "it has noticed")
    reaches(a, b, fleet, "/y")
    assert b.gaps() == {}


def quick_state(node):
    try:
        with node.connect(timeout=0.3) as c:
            return json.loads(c.request("/_cache/v1/fleet").body)["fleets"][0]["zones"][0]
    except (OSError, EOFError):
        return {"holder": 0}


def test_reload_goes_on_where_it_was(fleet):
    a, b = fleet.pair()
    for n in (a, b):
        n.fill("/keep")
        old = n.holder()
        n.reload()
        holder_is_another(n, old)
    reaches(a, b, fleet)
    assert a.gaps() == {} and b.is_hit("/keep")


def test_reload_is_no_farewell(fleet):
    """Its new workers do not get through for a while. Who waits for all nodes waits for this one."""
    proxy = fleet.proxy()
    a, b = fleet.node("a"), fleet.node("b", servers=f"redis://{proxy.address}")
    fleet.know_each_other(a, b)
    b.expect_log("no connection")
    b.fill("/x")
    proxy.is_cut = True                                      # for new connections
    old = b.holder()
    b.reload()
    wait_until(lambda: old not in b._children(), "the old holder is gone")
    fleet.change("/x")
    answer = a.purge("/x", "Prefer: wait=1")
    assert answer.status == 202 and json.loads(answer.body)["fleet"]["nodes"]["b"] != "applied", answer.body
    proxy.heal()
    wait_until(lambda: b.get("/x").text == "1", "it reaches b")


def test_reload_while_purges_wait(fleet):
    a, b = fleet.pair()
    b.fill("/x")
    for n in (a, b):
        n.expect_log("no connection")
    fleet.redis.pause()
    fleet.change("/x")
    assert a.purge("/x").status == 202
    a.reload()
    fleet.redis.go_on()
    wait_until(lambda: b.get("/x").text == "1", "what waited has reached b")


def test_fleet_that_comes_and_goes_by_reload(fleet):
    a, b = fleet.pair()
    b.fill("/x")
    without = {**b.kw, "zone": "slab_cache_zone zone=one:16m;"}
    b.reload(**without)
    assert b.get("/_cache/v1/fleet").text.strip() == '{\n  "fleets": []\n}'
    wait_until(lambda: not a.state()["nodes"], "b has said that it leaves")
    assert a.purge("/x", "Prefer: wait=20").status == 200
    b.reload(**b.kw)
    fleet.know_each_other(a, b)
    reaches(a, b, fleet)


def test_stop_in_order_is_said_to_the_others(fleet):
    a, b = fleet.pair()
    b.stop()
    wait_until(lambda: not a.state()["nodes"], "b is gone")
    assert a.purge("/x", "Prefer: wait=20").status == 200


@pytest.mark.parametrize("how", ["pause", "kill", "stall", "cut"])
def test_graceful_exit_is_not_held_up_by_the_server(fleet, how):
    proxy = fleet.proxy()
    a = fleet.node("a", servers=f"redis://{proxy.address}")
    a.expect_log("no connection")
    c = a.connect()
    c.send("/x", "PURGE", headers=["Prefer: wait=1"])
    {"pause": fleet.redis.pause, "kill": fleet.redis.kill, "stall": proxy.stall, "cut": proxy.cut}[how]()
    assert a.quit(30)
    c.close()


@pytest.mark.parametrize("how", ["pause", "kill", "stall", "cut"])
def test_exit_at_once_is_clean(fleet, how):
    proxy = fleet.proxy()
    a = fleet.node("a", servers=f"redis://{proxy.address}")
    a.expect_log("no connection")
    {"pause": fleet.redis.pause, "kill": fleet.redis.kill, "stall": proxy.stall, "cut": proxy.cut}[how]()
    a.stop()


def test_server_that_is_down_and_comes_back(fleet):
    a, b = fleet.pair()
    for n in (a, b):
        n.expect_log("no connection")
        n.fill("/x")
    fleet.redis.kill()
    wait_until(lambda: not a.state()["connected"] and not b.state()["connected"], "both have noticed")
    fleet.redis.start()
    reaches(a, b, fleet)
    lines = [line for line in a.error_log().splitlines() if "no connection" in line]
    assert len(lines) <= 2, lines                          # of the reader and of the writer, once each


def test_server_that_stops_answering_is_left(fleet):
    a = fleet.node("a")
    a.expect_log("no connection")
    fleet.redis.pause()
    wait_until(lambda: not a.state()["connected"], "it is given up")
    assert "no answer in time" in a.error_log()
    fleet.redis.go_on()
    wait_until(lambda: a.state()["connected"], "it is connected again")
    assert a.gaps() == {}


def test_connection_that_breaks_anywhere_in_a_reply(fleet):
    """The server's bytes come one by one, and the connection is reset after the n-th, for ever larger n."""
    proxy = fleet.proxy()
    proxy.chunk = 1
    count = {"left": 0, "limit": 8}

    def cut_after(data):
        count["left"] -= len(data)
        if count["left"] <= 0:
            count["limit"] += 31
            count["left"] = count["limit"]
            raise OSError("cut")
        return data
    proxy.answers = cut_after
    a = fleet.node("a")
    b = fleet.node("b", servers=f"redis://{proxy.address}", wait=False)
    b.expect_log("no connection", "answers .* with")
    wait_until(lambda: count["limit"] > 500, "it was cut in many places", 60)
    proxy.answers = None
    proxy.drop()
    wait_until(lambda: b.state()["connected"], "b is connected")
    reaches(a, b, fleet)


@pytest.mark.parametrize("nonsense", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"*1000000000\r\n", b"$999999999\r\nx", b"\0" * 100, b"+OK\r\n" * 20,
                                      b"-ERR no\r\n" * 20, b":1\r\n" * 20, b"*0\r\n" * 20, b"*-1\r\n" * 20, b"*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n"])
def test_nonsense_closes_the_connection_and_no_more(fleet, nonsense):
    proxy = fleet.proxy()
    seen = []
    a = fleet.node("a", servers=f"redis://{proxy.address}")
    a.fill("/x")
    a.expect_log("no connection", "answers .* with")

    def spoil(data):
        seen.append(1)
        return nonsense
    proxy.answers = spoil
    wait_until(lambda: len(seen) >= 3, "nonsense came")
    assert a.is_hit("/x") or a.get("/x").status == 200
    proxy.answers = None
    proxy.drop()
    wait_until(lambda: a.state()["connected"], "it is connected again")
    fleet.redis.xadd(url="localhost/x")
    wait_until(lambda: not a.is_hit("/x"), "entries are read")
    assert len(a.workers()) == 2


def test_nonsense_from_the_first_byte_on(fleet):
    """Something that is no Redis: an HTTP server, say."""
    proxy = fleet.proxy()
    proxy.answers = lambda data: b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n"
    a = fleet.node("a", servers=f"redis://{proxy.address}", wait=False)
    a.expect_log("no connection")
    wait_until(lambda: "no connection" in a.error_log(), "it is told")
    assert a.get("/x").status == 200


def test_zone_of_another_size_takes_position_and_purges_along(fleet):
    proxy, a, b = fleet.pair_by_proxy()
    b.fill("/x")
    proxy.cut()
    fleet.change("/x")
    wait_until(lambda: not a.state()["connected"], "a is cut off")
    assert a.purge("/x").status == 202
    a.reload(**{**a.kw, "zone": a.kw["zone"].replace("one:16m", "one:24m")})
    assert a.state()["position"] != "0-0" and [n["name"] for n in a.state()["nodes"]] == ["b"]
    proxy.heal()
    wait_until(lambda: b.get("/x").text == "1", "what waited in the old zone has reached b")
    reaches(b, a, fleet, "/y")
    assert a.gaps() == {} and a.counters()["gaps"]["start"] == 0


def test_sizes_change_while_purges_come(fleet):
    a, b = fleet.pair()
    for size in ("24m", "20m"):
        b.fill("/x")
        b.reload(**{**b.kw, "zone": b.kw["zone"].replace("one:16m", f"one:{size}")})
        assert b.get("/x").status == 200
        reaches(a, b, fleet)
    assert b.gaps() == {}


def test_pipelines_of_ten_thousand(fleet):
    """What waited goes out at once."""
    proxy, a, b = fleet.pair_by_proxy()
    b.fill("/x")
    proxy.stall()
    fleet.change("/x")
    sent = 0
    with a.connect() as c:
        for i in range(10):
            tags = ",".join(f'"t{i}.{k}"' for k in range(1000)).encode()
            answer = c.request("/_cache/v1/zones/one/purge", "POST", headers=["Content-Type: application/json"], body=b'{"tags":[' + tags + b"]}")
            assert answer.status == 202
            sent += 1000
    a.purge("/x")
    proxy.heal()
    wait_until(lambda: b.get("/x").text == "1", "all has reached b")
    assert a.state()["outbox"]["untold"] == 0 and sent == 10000


def test_many_workers_one_connection(fleet):
    a = fleet.node("a", workers=8)
    names = [line for line in fleet.redis.call("CLIENT", "LIST").decode().splitlines() if "nginx-slab-cache" in line]
    assert len(names) == 2, names                          # the reader's and the writer's
    for _ in range(3):
        old = a.kill_worker(a.holder())
        wait_until(lambda: a.state()["connected"] and a.holder() != old, "another one is connected")
    wait_until(lambda: fleet.redis.call("CLIENT", "LIST").decode().count("nginx-slab-cache") == 2, "two connections again")


def test_proxy_of_the_test_carries_whole_streams():
    """The harness itself: what goes through unspoilt is what was sent."""
    redis = Redis()
    proxy = Proxy(redis.port)
    try:
        c = Client(proxy.port)
        big = b"x" * 300000
        assert c.call("SET", "k", big) == b"OK" and c.call("GET", "k") == big
        c.close()
    finally:
        proxy.stop()
        redis.stop()
