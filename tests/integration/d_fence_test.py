"""What a push is younger and older than: fences over the lives of a zone, and fills that were under way."""
import json
import pathlib
import signal
import socket
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote

import pytest
from harness.origin import Reply
from harness.wait import wait_until

FRESH = ("Cache-Control: max-age=600",)
JSON = ("Content-Type: application/json",)
SMALL, LARGE = "slab_cache_zone zone=one:16m;", "slab_cache_zone zone=one:24m;"


def entry(path, zone="one"):
    return f"/_cache/v1/zones/{zone}/entry?ttl=600&url={quote('http://localhost' + path, safe='')}"


def push(n, path, body=b"pushed", fence=None, headers=(), zone="one"):
    return n.request(entry(path, zone), "PUT", body=body, headers=(*headers, *([f"If-Purge-Seq: {fence}"] if fence is not None else ())))


def purge(n, zone="one", **what):
    answer = n.request(f"/_cache/v1/zones/{zone}/purge", "POST", body=json.dumps(what).encode(), headers=JSON)
    assert answer.status == 200, answer
    return json.loads(answer.body)["seq"]


def counter(n):
    return json.loads(n.get("/_cache/v1/zones/one").body)["purge_seq"]


def purge_often(n):
    """Should numbers begin anew somewhere, they have caught up then."""
    for i in range(20):
        purge(n, tags=[f"other{i}"])


def change_zone(n, zone):
    lines = [line.strip() for line in n.text.splitlines() if "slab_cache_zone" in line]
    n.write(n.text.replace(lines[0], zone))
    n.reload()


class Begun:
    """A request that is read to its last line by the worker that will be draining when it ends."""

    def __init__(self, n, path, method="GET"):
        self.c = n.connect()
        self.c.begin(f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n".encode())

    def finish(self):
        self.c.send_raw(b"\r\n")
        answer = self.c.read_body(self.c.read_header())
        self.c.close()
        return answer


@pytest.fixture
def site(cached, origin):
    origin.handle("*", lambda r: Reply(b"from the origin", headers=FRESH))
    return lambda zone=SMALL, **kw: cached(zone=zone, **kw)


def is_refused(answer):
    return answer.status == 412 and answer.header("Content-Type") == "application/problem+json"


# ---- whose number it is ------------------------------------------------------------------------------------------------
def test_number_of_an_earlier_life_of_the_zone_is_no_fence(site):
    n = site()
    for i in range(6):
        fence = purge(n, urls=["http://localhost/x"])
    n.stop()
    n.start(text=n.text)
    purge_often(n)
    assert is_refused(push(n, "/x", fence=fence))
    assert n.get("/x").body == b"from the origin"


def test_number_of_another_zone_is_no_fence(site):
    n = site("slab_cache_zone zone=one:16m; slab_cache_zone zone=two:16m;", server="location /two { slab_cache two; }")
    fence = purge(n, "two", urls=["http://localhost/x"])
    purge_often(n)
    assert is_refused(push(n, "/x", fence=fence))
    assert push(n, "/two", fence=fence, zone="two").status == 201


def test_number_that_is_yet_to_come_is_no_fence(site):
    n = site()
    assert is_refused(push(n, "/x", fence=purge(n, tags=["x"]) + 1))


def test_numbers_are_exact_in_doubles_as_json_has_them(site):
    n = site()
    assert 0 < purge(n, tags=["x"]) < 2**53 and counter(n) < 2**53


def test_number_holds_over_a_restart_where_the_zone_does(site):
    with tempfile.TemporaryDirectory(prefix="slab_test_", dir="/dev/shm") as d:
        n = site(f"slab_cache_zone zone=one:16m file={pathlib.Path(d) / 'pages.slab'};")
        fence = purge(n, urls=["http://localhost/x"])
        n.stop()
        n.start(text=n.text)
        assert push(n, "/x", fence=fence).status == 201
        purge(n, urls=["http://localhost/x"])
        n.stop()
        n.start(text=n.text)
        assert is_refused(push(n, "/x", fence=fence))
        n.stop()


# ---- over a resize -----------------------------------------------------------------------------------------------------
def test_number_holds_over_a_resize(site):
    n = site()
    fence = purge(n, urls=["http://localhost/x"])
    change_zone(n, LARGE)
    assert push(n, "/x", fence=fence).status == 201
    purge(n, urls=["http://localhost/x"])
    assert is_refused(push(n, "/x", fence=fence))


def test_number_from_before_two_resizes_is_no_fence(site):
    n = site()
    fence = purge(n, urls=["http://localhost/x"])
    change_zone(n, LARGE)
    change_zone(n, SMALL)
    assert is_refused(push(n, "/x", fence=fence))


def test_number_that_a_draining_worker_gave_out_is_no_fence_for_new_ones(site):
    n = site()
    begun = Begun(n, "/other", "PURGE")
    change_zone(n, LARGE)
    fence = json.loads(begun.finish().body)["seq"]
    purge(n, urls=["http://localhost/x"])
    assert is_refused(push(n, "/x", fence=fence))
    assert n.get("/x").body == b"from the origin"


@pytest.mark.parametrize("path", ["/x", "/d/*", "/*x"])
def test_purge_by_a_draining_worker_stops_a_push_fenced_before_it(site, path):
    n = site()
    begun = Begun(n, path, "PURGE")
    change_zone(n, LARGE)
    target = "/d/x" if "d" in path else "/x"
    fence = purge(n, urls=["http://localhost" + target])
    assert begun.finish().status == 200
    assert is_refused(push(n, target, fence=fence))
    assert n.get(target).body == b"from the origin"


def begun_push(n, path, body=b"new"):
    """All but its body's last byte has been sent: a worker that is draining when that comes answers it."""
    c = n.connect()
    c.send_raw(f"PUT {entry(path)} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\nExpect: 100-continue\r\n\r\n".encode())
    while b"100 Continue" not in c.buffer:
        c.more()
    c.buffer = b""
    c.send_raw(body[:-1])

    def finish():
        c.send_raw(body[-1:])
        answer = c.read_body(c.read_header())
        c.close()
        return answer
    return finish


def test_push_by_a_draining_worker_takes_what_came_along_from_new_ones(cached, origin):
    origin.sequence("/x", Reply(b"old", headers=FRESH), Reply(b"new", headers=FRESH))
    n = cached(zone=SMALL)
    assert n.get("/x").body == b"old"
    finish = begun_push(n, "/x")
    change_zone(n, LARGE)
    assert n.get("/x").cache == "HIT"
    assert finish().status == 201
    assert n.get("/x").body == b"new"


def test_push_by_a_new_worker_takes_what_draining_ones_have(cached, origin):
    origin.sequence("/x", Reply(b"old", headers=FRESH), Reply(b"new", headers=FRESH))
    n = cached(zone=SMALL)
    n.get("/x")
    begun = Begun(n, "/x")
    change_zone(n, LARGE)
    assert push(n, "/x", b"new").status == 201
    assert (begun.finish().body, n.get("/x").body) == (b"new", b"new")
    assert n.get("/x").cache == "HIT"


def test_push_after_a_reload_that_failed_is_a_hit(cached, origin):
    """The zone had a successor for a moment, which nobody ever used."""
    origin.handle("*", lambda r: Reply(b"old", headers=FRESH))
    n = cached(zone=SMALL)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        n.expect_log(r"\[emerg\].*bind", r"\[emerg\].*still could not bind")
        n.write(n.text.replace(SMALL, LARGE).replace("server_name", f"listen 127.0.0.1:{taken.getsockname()[1]}; server_name"))
        n.process.send_signal(signal.SIGHUP)
        wait_until(lambda: "still could not bind" in n.error_log(), "the reload fails")
    assert push(n, "/x", b"new").status == 201
    assert [(a.cache, a.body) for a in (n.get("/x"), n.get("/x"))] == [("HIT", b"new")] * 2


def test_invalidation_before_a_resize_that_found_nothing_stored_stops_a_push_fenced_before_it(cached, origin):
    """What is stored nowhere is invalidated without a record: that is known after the resize too."""
    origin.handle("*", lambda r: Reply(r.method, headers=FRESH))
    n = cached(zone=SMALL)
    fence = purge(n, tags=["t"])
    n.request("/x", "POST", body=b"x")
    change_zone(n, LARGE)
    assert is_refused(push(n, "/x", fence=fence))
    assert push(n, "/y", fence=fence).status == 201


# ---- pushes and fills --------------------------------------------------------------------------------------------------
def fill_under_way(n, origin, path, during, *headers, **reply):
    gate = threading.Event()
    origin.reply(path, b"old", headers=(*FRESH, *reply.pop("headers", ())), before=gate, **reply)
    with ThreadPoolExecutor() as pool:
        early = pool.submit(n.get, path, *headers)
        origin.wait_for_hits(path, 1)
        during()
        gate.set()
        early.result()


@pytest.mark.parametrize("fenced", [False, True], ids=["unfenced", "fenced"])
@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_push_is_not_lost_to_a_fill_that_began_before_it(cached, origin, fenced, framing):
    n = cached(workers=2)

    def meanwhile():
        assert push(n, "/p", b"new", fence=counter(n) if fenced else None).status == 201

    fill_under_way(n, origin, "/p", meanwhile, framing=framing)
    assert [n.get("/p").body for _ in range(10)] == [b"new"] * 10


def test_push_of_a_variant_is_not_lost_to_a_fill_that_began_before_it(cached, origin):
    n = cached(workers=2)

    def meanwhile():
        assert push(n, "/p", b"new", headers=("Vary: X-Kind", "X-Request-X-Kind: a")).status == 201

    fill_under_way(n, origin, "/p", meanwhile, "X-Kind: a", headers=("Vary: X-Kind",))
    assert [n.get("/p", "X-Kind: a").body for _ in range(10)] == [b"new"] * 10


def test_of_two_pushes_with_one_fence_the_second_is_refused(cached):
    """Both say that nothing came since: of the second that is not true."""
    n = cached(workers=2)
    fence = counter(n)
    assert push(n, "/p", b"first", fence=fence).status == 201
    assert push(n, "/q", b"another", fence=fence).status == 201
    assert is_refused(push(n, "/p", b"second", fence=fence))
    assert n.get("/p").body == b"first"
    assert push(n, "/p", b"second", fence=counter(n)).status == 201
    assert n.get("/p").body == b"second"
    assert push(n, "/p", b"third").status == 201


def test_push_with_a_fence_takes_the_place_of_what_the_origin_said_since(cached, origin):
    origin.reply("/p", b"not ready", headers=FRESH)
    n = cached(workers=2)
    fence = counter(n)
    purge(n, tags=["other"])
    n.get("/p")
    assert push(n, "/p", b"ready", fence=fence).status == 201
    assert n.get("/p").body == b"ready"


def test_what_a_push_replaced_does_not_come_back_when_the_pushed_object_is_evicted(cached, origin):
    origin.handle("*", lambda r: Reply(b"x" * 500, headers=FRESH))
    n = cached(workers=2, zone="slab_cache_zone zone=one:1m;")

    def meanwhile():
        assert push(n, "/p/one", b"new").status == 201
        origin.reply("/p/one", b"newer", headers=FRESH)
        for i in range(10_000):
            n.get(f"/other?{i}")
            n.get(f"/other?{i}")     # twice: of more use than /p, which nobody asks for
            if i % 500 == 499 and not json.loads(n.get("/_cache/v1/zones/one/entries?prefix=%2Fp%2F").body)["entries"]:
                return
        pytest.fail("nothing was evicted")

    fill_under_way(n, origin, "/p/one", meanwhile)
    assert {n.get("/p/one").body for _ in range(4)} == {b"newer"}


def test_push_is_not_lost_after_patterns_that_it_does_not_match(cached, origin):
    """An object that no pattern takes is noted as of the newest of them: it is no older for that."""
    n = cached(workers=2)

    def meanwhile():
        assert push(n, "/p", b"new").status == 201
        n.purge("/other*x")
        assert n.get("/p").body == b"new"

    fill_under_way(n, origin, "/p", meanwhile)
    assert [n.get("/p").body for _ in range(10)] == [b"new"] * 10


def test_fill_that_begins_after_a_push_takes_its_place(cached, origin):
    origin.reply("/p", b"from the origin", headers=FRESH)
    n = cached()
    push(n, "/p", b"new")
    n.purge("/p", "Fastly-Soft-Purge: 1")
    wait_until(lambda: n.get("/p").body == b"from the origin", "the refresh")


def test_push_that_began_before_a_soft_purge_is_not_fresh_after_it(cached, origin):
    origin.reply("/p", b"from the origin", headers=FRESH)
    n = cached()
    with n.connect() as c:
        c.send_raw(f"PUT {entry('/p')} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n".encode())
        while b"100 Continue" not in c.buffer:      # nginx reads the body: the push has begun
            c.more()
        n.purge("/p", "Fastly-Soft-Purge: 1")
        c.send_raw(b"old")
        assert c.read_header().status in (201, 412)
    assert n.get("/p").cache != "HIT"
