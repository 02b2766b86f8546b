"""Fills: one per key, shaped by no client, streamed to those who wait, survived when they fail."""
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from harness.nginx import PATIENT
from harness.origin import Reply, request_header
from harness.wait import wait_until

FRESH = ("Cache-Control: max-age=600",)
SHORT = "Cache-Control: max-age=1"


# ---- one fill per key ---------------------------------------------------------------------------------------------
def test_two_hundred_requests_for_a_cold_key_are_one_at_the_origin(cached, origin):
    gate = threading.Event()
    origin.reply("/a", b"body" * 1000, headers=FRESH, before=gate)
    n = cached(PATIENT, workers=4)
    answers = n.ask_together("/a", 200, lambda: (n.wait_for_waiters(199), gate.set()))
    assert {a.body for a in answers} == {b"body" * 1000}
    assert origin.hits("/a") == 1


def test_lock_off_lets_everybody_go(cached, origin):
    gate = threading.Event()
    origin.reply("/a", "body", headers=FRESH, before=gate)
    n = cached("slab_cache_lock off;", workers=2)
    with ThreadPoolExecutor(3) as pool:
        futures = [pool.submit(n.get, "/a") for _ in range(3)]
        origin.wait_for_hits("/a", 3)
        gate.set()
        assert [f.result().body for f in futures] == [b"body"] * 3


def test_lock_timeout_lets_a_waiter_go_to_the_origin(cached, origin):
    gate = threading.Event()
    origin.sequence("/a", Reply("slow", headers=FRESH, before=gate), Reply("quick", headers=FRESH))
    n = cached("slab_cache_lock_timeout 100ms;", workers=2)
    with ThreadPoolExecutor() as pool:
        first = pool.submit(n.get, "/a")
        origin.wait_for_hits("/a", 1)
        assert n.get("/a").body == b"quick"
        gate.set()
        assert first.result().body == b"slow"


def ask_four_at_once(n, origin, path, **reply):
    """All of them are at the origin before any has been answered."""
    gate = threading.Event()
    asked = origin.hits(path)
    origin.reply(path, before=gate, **reply)
    with ThreadPoolExecutor(4) as pool:
        futures = [pool.submit(n.get, path) for _ in range(4)]
        origin.wait_for_hits(path, asked + 4)
        gate.set()
        return [f.result() for f in futures]


UNCACHEABLE = {
    "private": dict(headers=("Cache-Control: private",)),
    "no-store": dict(headers=("Cache-Control: no-store",)),
    "cookie": dict(headers=(*FRESH, "Set-Cookie: id=1")),
    "no lifetime": dict(),
    "status": dict(status=404),
    "too big": dict(headers=FRESH, body="x" * 9000, framing="chunked"),
}


@pytest.mark.parametrize("before", [1, 2, 3])
@pytest.mark.parametrize("kind", UNCACHEABLE)
def test_key_just_found_uncacheable_does_not_serialize(cached, origin, kind, before):
    reply = {"body": "body", **UNCACHEABLE[kind]}
    origin.reply("/a", **reply)
    n = cached(PATIENT, workers=2, zone="slab_cache_zone zone=one:8m max_object=8k;")
    for _ in range(before):
        assert n.get("/a").text == reply["body"]
    assert [a.text for a in ask_four_at_once(n, origin, "/a", **reply)] == [reply["body"]] * 4


@pytest.mark.parametrize("kind", UNCACHEABLE)
def test_key_that_became_cacheable_is_waited_for_again(cached, origin, kind):
    origin.reply("/a", **{"body": "body", **UNCACHEABLE[kind]})
    n = cached(PATIENT, workers=2, zone="slab_cache_zone zone=one:8m max_object=8k;")
    n.get("/a")
    origin.reply("/a", "now it is", headers=FRESH)
    wait_until(lambda: n.get("/a").cache == "HIT", "the page in the zone")
    n.purge("/a")
    gate = threading.Event()
    asked = origin.hits("/a")
    origin.reply("/a", "anew", headers=FRESH, before=gate)
    answers = n.ask_together("/a", 4, lambda: (n.wait_for_waiters(3), gate.set()))
    assert {a.text for a in answers} == {"anew"}
    assert origin.hits("/a") == asked + 1


def test_waiters_of_a_private_response_each_get_their_own(cached, origin):
    gate = threading.Event()
    origin.handle("/a", lambda r: Reply(request_header(r, "Cookie") or "none", headers=("Cache-Control: private",),
                                        before=gate))
    n = cached(PATIENT, workers=2)
    with ThreadPoolExecutor(4) as pool:
        futures = {i: pool.submit(n.get, "/a", f"Cookie: u={i}") for i in range(4)}
        n.wait_for_waiters(3)
        gate.set()
        assert {i: f.result().text for i, f in futures.items()} == {i: f"u={i}" for i in range(4)}


# ---- the client shapes nothing ------------------------------------------------------------------------------------
@pytest.mark.parametrize("method, fields, status, body", [
    ("GET", ['If-None-Match: "v1"'], 304, b""),
    ("GET", ["Range: bytes=1-3"], 206, b"123"),
    ("GET", ["If-Modified-Since: Mon, 23 Nov 2026 00:00:00 GMT"], 304, b""),
    ("HEAD", [], 200, b""),
    ("GET", ['If-None-Match: "other"'], 200, b"0123456789"),
    ("GET", ['If-Match: "other"'], 412, None),
])
def test_cold_key_is_filled_by_one_plain_get(cached, origin, method, fields, status, body):
    origin.reply("/a", "0123456789", headers=[*FRESH, 'ETag: "v1"', "Last-Modified: Sun, 22 Nov 2026 00:00:00 GMT"])
    n = cached()
    answer = n.request("/a", method, headers=fields)
    assert answer.status == status
    assert body is None or answer.body == body
    (seen,) = origin.requests("/a")
    assert seen.method == "GET"
    for name in ("If-None-Match", "If-Modified-Since", "If-Match", "If-Range", "Range"):
        assert request_header(seen, name) is None, name
    whole = n.get("/a")
    assert (whole.cache, whole.body) == ("HIT", b"0123456789")


def test_slow_client_neither_slows_nor_holds_the_fill(cached, origin):
    body = bytes(i % 253 for i in range(900_000))
    origin.reply("/a", body, headers=FRESH)
    n = cached(workers=2)
    with n.connect(receive_buffer=2048) as slow:
        slow.send("/a")
        header = slow.read_header()
        wait_until(lambda: (r := n.get("/a")).cache == "HIT" and r.body == body, "the object is there for others")
        assert origin.hits("/a") == 1
        assert slow.read_body(header).body == body


def test_client_that_hangs_up_does_not_abort_the_fill(cached, origin):
    gate = threading.Event()
    origin.reply("/a", [b"x" * 100_000, gate, b"y" * 100_000], headers=FRESH)
    n = cached(workers=2)
    c = n.connect()
    c.send("/a")
    c.read_header()
    c.abort()
    gate.set()
    answer = n.get("/a")
    assert answer.body == b"x" * 100_000 + b"y" * 100_000
    assert origin.hits("/a") == 1


# ---- streaming waiters --------------------------------------------------------------------------------------------
def test_waiter_gets_the_body_as_it_arrives(cached, origin):
    gates = [threading.Event() for _ in range(2)]
    pieces = [bytes([65 + i]) * 100_000 for i in range(3)]
    origin.reply("/a", [pieces[0], gates[0], pieces[1], gates[1], pieces[2]], headers=FRESH)
    n = cached(workers=4)
    clients = [n.connect() for _ in range(8)]
    for c in clients:
        c.send("/a")
    headers = [c.read_header() for c in clients]
    assert [c.read(100_000) == pieces[0] for c in clients] == [True] * 8
    late = n.connect()
    late.send("/a")
    late_header = late.read_header()
    assert late.read(100_000) == pieces[0]
    for gate in gates:
        gate.set()
    assert {h.header("Content-Length") for h in [*headers, late_header]} == {"300000"}
    for c in [*clients, late]:
        assert c.read(200_000) == pieces[1] + pieces[2]
        c.close()
    assert origin.hits("/a") == 1


def test_failed_fill_ends_waiters_as_a_truncated_response(cached, origin):
    gate = threading.Event()
    origin.reply("/a", [b"x" * 100_000, gate, b"y" * 100_000], headers=FRESH, truncate=150_000, reset=True)
    n = cached(workers=2)
    clients = [n.connect() for _ in range(4)]
    for c in clients:
        c.send("/a")
        c.read_header()
        c.read(100_000)
    gate.set()
    for c in clients:
        with pytest.raises((EOFError, ConnectionError)):
            c.read(100_000)
        c.close()
    origin.reply("/a", b"whole", headers=FRESH)
    assert n.get("/a").body == b"whole"


def test_pause_of_the_origin_longer_than_lock_age_cuts_nobody_off(cached, origin):
    gate = threading.Event()
    origin.reply("/a", [b"x" * 100_000, gate, 1.0, b"y" * 100_000], headers=FRESH)
    n = cached("slab_cache_lock_age 200ms;", workers=4)
    clients = [n.connect() for _ in range(8)]
    for c in clients:
        c.send("/a")
        c.read_header()
        assert c.read(100_000) == b"x" * 100_000
    gate.set()
    for c in clients:
        assert c.read(100_000) == b"y" * 100_000
        c.close()
    assert origin.hits("/a") == 1


def test_failed_chunked_fill_is_never_a_complete_looking_body(cached, origin):
    gate = threading.Event()
    origin.reply("/a", [b"x" * 1000, gate, b"y" * 1000], headers=FRESH, framing="chunked", truncate=1500)
    n = cached("proxy_http_version 1.1;")
    with n.connect() as c:
        c.send("/a")
        header = c.read_header()
        gate.set()
        with pytest.raises((EOFError, ConnectionError)):
            c.read_body(header)


# ---- stale --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("failure", [dict(status=500), dict(status=503), dict(raw=b"HTTP/1.1 200 OK\r\nno colon here\r\n\r\n"), dict(raw=b"")])
def test_stale_is_served_when_the_origin_fails(cached, origin, failure):
    origin.sequence("/a", Reply("good", headers=(SHORT,)), Reply("bad", **failure))
    n = cached()
    n.get("/a")
    answer = wait_until(lambda: (r := n.get("/a")).cache != "HIT" and r, "stale")
    assert (answer.status, answer.body) == (200, b"good")
    assert answer.cache in ("STALE", "UPDATING")


def test_answer_without_any_header_ends_at_once_and_is_not_stored(cached, origin):
    origin.sequence("/a", Reply(raw=b"garbage\r\n\r\n"), Reply("good", headers=FRESH))     # HTTP/0.9, says nginx
    n = cached()
    n.expect_log("no valid HTTP/1.0 header")
    with n.connect(timeout=5) as c:
        c.send("/a")
        while c.more():
            pass
        assert b"good" not in c.buffer
    assert n.get("/a").body == b"good"


def test_stale_is_served_with_error_page_configured(cached, origin):
    origin.sequence("/a", Reply("good", headers=(SHORT,)), Reply("bad", status=502))
    n = cached("proxy_intercept_errors on; error_page 502 =200 /sorry;", server='location = /sorry { return 200 "sorry"; }')
    n.get("/a")
    answer = wait_until(lambda: (r := n.get("/a")).cache != "HIT" and r, "stale")
    assert answer.body == b"good"


def test_must_revalidate_is_never_served_stale(cached, origin):
    origin.sequence("/a", Reply("good", headers=(SHORT + ", must-revalidate",)), Reply("bad", status=503))
    n = cached()
    n.get("/a")
    answer = wait_until(lambda: (r := n.get("/a")).cache != "HIT" and r, "stale")
    assert (answer.status, answer.body) == (503, b"bad")


def test_use_stale_off_lets_the_error_through(cached, origin):
    origin.sequence("/a", Reply("good", headers=(SHORT,)), Reply("bad", status=503))
    n = cached("slab_cache_use_stale off;")
    n.get("/a")
    answer = wait_until(lambda: (r := n.get("/a")).cache != "HIT" and r, "stale")
    assert answer.status == 503


def test_refresh_in_the_background_holds_nobody_on_the_same_connection(cached, origin):
    gate = threading.Event()
    origin.sequence("/a", Reply("old", headers=(SHORT + ", stale-while-revalidate=60",)),
                    Reply("new", headers=FRESH, before=gate))
    n = cached()
    n.get("/a")
    first = wait_until(lambda: (r := n.get("/a")).cache != "HIT" and r, "stale")
    assert first.body == b"old"
    origin.wait_for_hits("/a", 2)
    with n.connect(timeout=5) as c:         # the refresh is held by the gate: an answer can only come at once
        assert [c.request("/a").body for _ in range(3)] == [b"old"] * 3
    gate.set()
    wait_until(lambda: n.get("/a").body == b"new", "the refresh arrives")
    assert origin.hits("/a") == 2


def test_refresh_carries_the_values_of_the_request_that_caused_it(cached, origin):
    origin.handle("/a", lambda r: Reply(
        " ".join(request_header(r, h) or "-" for h in ("X-Host", "X-Scheme", "X-Addr", "X-Own", "X-For")),
        headers=(SHORT + ", stale-while-revalidate=60",)))
    n = cached("""slab_cache_key $uri; proxy_set_header X-Host $host; proxy_set_header X-Scheme $scheme;
                  proxy_set_header X-Addr $remote_addr; proxy_set_header X-Own $http_x_mine;
                  proxy_set_header X-For $proxy_add_x_forwarded_for;""")
    n.get("/a", host="first.example")
    wait_until(lambda: n.get("/a", "X-Mine: me", host="second.example").cache != "HIT", "stale")
    wait_until(lambda: origin.hits("/a") >= 2, "the refresh")
    refresh = origin.requests("/a")[1]
    assert [request_header(refresh, h) for h in ("X-Host", "X-Scheme", "X-Addr", "X-Own", "X-For")] == \
        ["second.example", "http", "127.0.0.1", "me", "127.0.0.1"]


def test_revalidation_with_304_keeps_the_body_and_updates_the_header(cached, origin):
    origin.sequence("/a", Reply("body", headers=(SHORT, 'ETag: "v1"', "X-Old: 1", "X-Both: 1")),
                    Reply(status=304, headers=("Cache-Control: max-age=600", 'ETag: "v1"', "X-Both: 2", "X-New: 1")))
    n = cached("slab_cache_background_update off; slab_cache_use_stale off;")
    n.get("/a")
    answer = wait_until(lambda: (r := n.get("/a")).cache != "HIT" and r, "stale")
    assert (answer.cache, answer.status, answer.body) == ("REVALIDATED", 200, b"body")
    hit = n.get("/a")
    assert (hit.cache, hit.body) == ("HIT", b"body")
    assert [hit.header(h) for h in ("X-Old", "X-Both", "X-New")] == ["1", "2", "1"]
    assert request_header(origin.requests("/a")[1], "If-None-Match") == '"v1"'


def test_failing_origin_is_not_asked_again_at_every_request(cached, origin):
    origin.sequence("/a", Reply("good", headers=(SHORT,)), Reply("bad", status=503))
    n = cached()
    n.get("/a")
    wait_until(lambda: n.get("/a").cache != "HIT", "stale")
    before = origin.hits("/a")
    start = time.monotonic()
    for _ in range(100):
        assert n.get("/a").body == b"good"
    assert origin.hits("/a") - before <= 2 + 2 * (time.monotonic() - start)


# ---- death --------------------------------------------------------------------------------------------------------
def test_waiter_takes_over_when_the_filling_worker_is_killed(cached, origin):
    gate = threading.Event()
    origin.sequence("/a", Reply("never", headers=FRESH, before=gate), Reply("second", headers=FRESH))
    n = cached("slab_cache_lock_age 1s;", workers=2, server="location = /pid { return 204; }")
    waiting = {}

    def connect_to_another_worker():
        c = n.connect()
        kept = waiting.setdefault(int(c.request("/pid").header("X-Pid")), c)
        return kept is c or c.close()

    wait_until(lambda: connect_to_another_worker() and len(waiting) == 2, "one client for each worker")
    (filler, first), (_, second) = waiting.items()
    first.send("/a")
    origin.wait_for_hits("/a", 1)
    second.send("/a")
    n.kill_worker(filler)
    assert second.read_body(second.read_header()).body == b"second"
    assert origin.hits("/a") == 2
    gate.set()
    first.close()
    second.close()


# ---- the buffer for the answer --------------------------------------------------------------------------------------
def big_header(size):
    return (*FRESH, *(f"X-Long-{i}: {'x' * 500}" for i in range(size // 512)))


@pytest.mark.parametrize("lines", [FRESH, ("Cache-Control: private",)])
def test_header_above_proxy_buffer_size_is_a_502_first_and_later(cached, origin, lines):
    origin.reply("/a", "body", headers=(*lines, *big_header(6000)[1:]))
    n = cached()
    assert [n.get("/a").status for _ in range(3)] == [502] * 3


def test_header_within_a_larger_proxy_buffer_size_is_stored(cached, origin):
    origin.reply("/a", "body", headers=big_header(6000))
    n = cached("proxy_buffer_size 8k;")
    assert [n.get("/a").cache for _ in range(2)] == ["MISS", "HIT"]


def test_header_that_grew_too_big_leaves_the_stale_page(cached, origin):
    origin.sequence("/a", Reply("good", headers=(SHORT,)), Reply("body", headers=big_header(6000)))
    n = cached()
    n.get("/a")
    wait_until(lambda: n.get("/a").cache == "STALE", "the stale page")
    assert n.get("/a").body == b"good"


# ---- a body that outgrows the zone --------------------------------------------------------------------------------
BEGINNING = b"beginning " * 60_000
SMALL_ZONE = "slab_cache_zone zone=one:16m max_object=1m;"


def bodies(n, origin, later, directives="", clients=6):
    """What each of several clients gets of a page that all of them have begun to read when it outgrows the zone. The origin answers `later`
    to who asks again."""
    asked, begun = threading.Event(), threading.Event()
    first = Reply([BEGINNING, begun, BEGINNING, b"end"], headers=[*FRESH, 'ETag: "1"'], framing="chunked", before=asked)
    origin.sequence("/a", first, *[later] * clients)
    readers = [n.connect() for _ in range(clients)]
    for c in readers:
        c.send("/a")
    n.wait_for_waiters(clients - 1)
    asked.set()
    headers = [c.read_header() for c in readers]
    begun.set()

    def rest(c, header):
        try:
            return c.read_body(header).body
        except (EOFError, OSError):
            return b"cut"
    with ThreadPoolExecutor(clients) as pool:
        found = list(pool.map(rest, readers, headers))
    for c in readers:
        c.close()
    return found


@pytest.mark.parametrize("framing", ["chunked", "length", "close"])
@pytest.mark.parametrize("directives", ["", "proxy_buffering off;"])
def test_who_waits_for_a_body_that_outgrows_the_zone_gets_all_of_it(cached, origin, framing, directives):
    n = cached(PATIENT + directives, workers=2, zone=SMALL_ZONE)
    whole = Reply([BEGINNING, BEGINNING, b"end"], headers=[*FRESH, 'ETag: "1"'], framing=framing)
    assert set(bodies(n, origin, whole)) == {BEGINNING + BEGINNING + b"end"}
    assert origin.hits("/a") == 6


@pytest.mark.parametrize("later", [
    Reply([b"another " + BEGINNING, BEGINNING, b"end"], headers=[*FRESH, 'ETag: "1"'], framing="chunked"),
    Reply([BEGINNING, BEGINNING, b"other end"], headers=[*FRESH, 'ETag: "2"'], framing="chunked"),
    Reply([BEGINNING, BEGINNING, b"other end"], headers=[*FRESH, 'ETag: "1"', "Content-Encoding: br"], framing="chunked"),
    Reply(b"short", headers=[*FRESH, 'ETag: "1"']), Reply(b"none", status=503)], ids=["body", "tag", "coding", "short", "failure"])
def test_two_versions_of_a_body_are_not_put_together(cached, origin, later):
    n = cached(PATIENT, workers=2, zone=SMALL_ZONE)
    n.expect_log("the fill failed while its response was being sent")
    found = bodies(n, origin, later)
    assert set(found) == {BEGINNING + BEGINNING + b"end", b"cut"}, [b[-10:] for b in found]
