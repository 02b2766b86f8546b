"""Every "no" has a word in $slab_cache_reason, and passes the response on untouched."""
import json
import threading

import pytest
from harness.origin import Reply
from harness.wait import wait_until

FRESH = "Cache-Control: max-age=60"

CASES = {
    "NO_STORE": dict(headers=["Cache-Control: no-store, max-age=60"]),
    "PRIVATE": dict(headers=["Cache-Control: private, max-age=60"]),
    "NO_FRESHNESS": dict(headers=["X-Nothing: 1"]),
    "SET_COOKIE": dict(headers=[FRESH, "Set-Cookie: a=1"]),
    "VARY_STAR": dict(headers=[FRESH, "Vary: Accept, *"]),
    "HEADERS_TOO_BIG": dict(headers=[FRESH] + [f"X-Long-{i}: {'x' * 1000}" for i in range(70)]),
    "TOO_BIG": dict(headers=[FRESH], body=b"x" * 3_000_000),
    "PARTIAL": dict(headers=[FRESH, "Content-Range: bytes 0-3/10"], status=206),
}


@pytest.mark.parametrize("reason", CASES)
def test_reason_of_what_is_not_stored(cached, origin, reason):
    reply = {"body": b"body", **CASES[reason]}
    origin.reply("/a", **reply)
    n = cached("proxy_buffer_size 128k; proxy_buffers 8 128k; proxy_busy_buffers_size 256k;")
    for _ in range(2):
        answer = n.get("/a")
        assert answer.cache == "MISS"
        assert answer.why == reason
        assert answer.body == reply["body"]
    assert origin.hits("/a") == 2


def test_unstorable_response_keeps_its_fields(cached, origin):
    origin.reply("/a", "body", headers=["Cache-Control: private", "Set-Cookie: a=1", "Set-Cookie: b=2", "X-Own: 1"])
    answer = cached().get("/a")
    assert answer.all("Set-Cookie") == ["a=1", "b=2"]
    assert answer.header("X-Own") == "1"


def breaks_off(n, path):
    """The client sees that something is wrong: a connection cut short, or 502 where nothing had been sent yet."""
    with n.connect() as c:
        try:
            return c.request(path).status == 502
        except (EOFError, ConnectionError):
            return True


def test_truncated_response_is_not_stored(cached, origin):
    origin.reply("/a", b"x" * 1000, headers=[FRESH], truncate=400)
    n = cached()
    n.expect_log("prematurely closed")
    assert [breaks_off(n, "/a") for _ in range(2)] == [True, True]
    origin.reply("/a", b"whole", headers=[FRESH])
    assert n.get("/a").body == b"whole"


def test_truncated_chunked_response_is_not_stored(cached, origin):
    origin.reply("/a", [b"x" * 500, b"y" * 500], headers=[FRESH], framing="chunked", truncate=600)
    n = cached("proxy_http_version 1.1;")
    assert breaks_off(n, "/a")
    origin.reply("/a", b"whole", headers=[FRESH])
    assert n.get("/a").body == b"whole"


def test_reason_of_authorization(cached, origin):
    origin.reply("/a", "body", headers=[FRESH])
    answer = cached().get("/a", "Authorization: Basic eA==")
    assert answer.why == "AUTHORIZATION"


def test_reason_of_a_request_with_a_body(cached, origin):
    origin.reply("/a", "body", headers=[FRESH])
    n = cached()
    assert n.request("/a", "GET", body=b"x").why == "REQUEST_BODY"
    assert n.get("/a").cache == "MISS"


def test_hit_has_no_reason(cached, origin):
    origin.reply("/a", "body", headers=[FRESH])
    n = cached()
    n.get("/a")
    assert n.get("/a").why in (None, "")


def test_full_zone_evicts_and_never_fails_a_request(cached, origin):
    body = b"z" * 20_000
    origin.handle("*", lambda r: Reply(body + r.target.encode(), headers=[FRESH]))
    n = cached(zone="slab_cache_zone zone=one:4m;")
    with n.connect() as c:
        for i in range(600):
            assert c.request(f"/{i}").body == body + f"/{i}".encode()
        assert c.request("/599").cache == "HIT"


# ---- no variant fits ------------------------------------------------------------------------------------------------
def top_reason(n, route):
    rows = json.loads(n.get("/_cache/v1/zones/one/top?by=lost").body)["rows"]
    return next(r["reason"] for r in rows if r["route"] == route)


def test_miss_because_no_stored_variant_fits_says_so(cached, origin):
    origin.reply("/a", "x", headers=[FRESH, "Vary: Cookie"])
    n = cached("slab_cache_status_header detail;")
    first = n.get("/a", "Cookie: a=1")
    assert (first.cache, first.why) == ("MISS", None) and "; fwd=uri-miss" in first.header("Cache-Status")
    other = n.get("/a", "Cookie: a=2")
    assert (other.cache, other.why) == ("MISS", "VARIANT") and "; fwd=vary-miss" in other.header("Cache-Status")
    assert "detail=VARIANT" in other.header("Cache-Status")
    hit = n.get("/a", "Cookie: a=2")
    assert (hit.cache, hit.why) == ("HIT", None) and "; hit" in hit.header("Cache-Status")
    assert top_reason(n, "localhost/a") == "VARIANT"


def test_variant_that_was_purged_is_purged_and_not_missing(cached, origin):
    origin.reply("/a", "x", headers=[FRESH, "Vary: Cookie"])
    n = cached()
    n.get("/a", "Cookie: a=1")
    n.purge("/a")
    assert n.get("/a", "Cookie: a=1").why == "PURGED"


def test_hit_after_waiting_for_a_variant_has_no_reason(cached, origin):
    go = threading.Event()
    origin.sequence("/a", Reply("x", headers=[FRESH, "Vary: X-A"]), Reply(["y", go, "z"], headers=[FRESH, "Vary: X-A", "Content-Length: 2"], framing="none"))
    n = cached()
    n.get("/a", "X-A: 1")
    clients = [n.connect() for _ in range(3)]
    for c in clients:
        c.send("/a", headers=("X-A: 2",))
    origin.wait_for_hits("/a", 2)
    go.set()
    answers = [c.read_body(c.read_header()) for c in clients]
    for c in clients:
        c.close()
    assert origin.hits("/a") == 2 and {a.body for a in answers} == {b"yz"}
    assert {a.why for a in answers if a.cache == "HIT"} == {None}


def test_coding_that_no_key_tells_apart_is_no_miss_of_a_variant(cached, origin):
    origin.reply("/a", "x", headers=[FRESH, "Vary: Accept-Encoding", "Content-Encoding: sdch"])
    answer = cached("slab_cache_status_header on;").get("/a", "Accept-Encoding: sdch")
    assert answer.why == "VARIANT" and "fwd=uri-miss" in answer.header("Cache-Status")


# ---- the origin failed ----------------------------------------------------------------------------------------------
BROKEN = {
    "dead": (502, dict(raw=b"", framing="close")),
    "half a header": (502, dict(raw=b"HTTP/1.1 200 OK\r\nContent-Le")),
    "bad field": (502, dict(raw=b"HTTP/1.1 200 OK\r\nBad Field : x\r\n\r\n")),
    "slow": (504, dict(before=3)),
}


@pytest.mark.parametrize("how", BROKEN)
@pytest.mark.parametrize("warm", [0, 20])
def test_failure_of_the_origin_is_told_as_one(cached, origin, how, warm):
    """`warm`: answers before it, so that the location is filled out of the client's own request."""
    status, reply = BROKEN[how]
    origin.handle("*", lambda r: Reply("x", headers=[FRESH]) if r.target != "/a" else Reply(**{"body": b"", **reply}))
    n = cached("proxy_read_timeout 500ms; proxy_next_upstream off;")
    n.expect_log("upstream")
    for i in range(warm):
        n.get(f"/{i}")
    answer = n.get("/a")
    assert (answer.status, answer.cache, answer.why) == (status, "MISS", "ORIGIN_ERROR")


def test_origin_that_does_not_listen_is_told_as_a_failure(nginx):
    dead = nginx.another_port()
    nginx.start(location=f"location / {{ slab_cache one; proxy_pass http://127.0.0.1:{dead}; }}")
    nginx.expect_log("connect")
    for _ in range(2):
        answer = nginx.get("/a")
        assert (answer.status, answer.why) == (502, "ORIGIN_ERROR")


def test_error_that_the_origin_answers_with_is_judged_by_its_fields(cached, origin):
    origin.reply("/a", "oops", status=500)
    assert cached().get("/a").why == "NO_FRESHNESS"


def test_stale_for_a_failure_and_stale_while_revalidating_have_words_of_their_own(cached, origin):
    up = {"is": True}
    origin.handle("*", lambda r: Reply("x", headers=["Cache-Control: max-age=0, stale-while-revalidate=60" if r.target == "/while" else
                                                     "Cache-Control: max-age=1", "ETag: \"1\""]) if up["is"] else Reply(raw=b"", framing="close"))
    n = cached("proxy_next_upstream off;")
    n.expect_log("upstream")
    n.get("/while")
    n.get("/error")
    behind = n.get("/while")
    assert (behind.cache, behind.why) == ("STALE", "EXPIRED")
    up["is"] = False
    wait_until(lambda: n.get("/error").cache == "STALE", "it is stale")
    for _ in range(2):      # the second by the back-off, the origin unasked
        answer = n.get("/error")
        assert (answer.status, answer.cache, answer.why) == (200, "STALE", "ORIGIN_ERROR")
