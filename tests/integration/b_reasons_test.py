"""Every "no" has a word in $slab_cache_reason, and passes the response on untouched."""
import pytest
from harness.origin import Reply

FRESH = "Cache-Control: max-age=60"

CASES = {
    "NO_STORE": dict(headers=["Cache-Control: no-store, max-age=60"]),
    "PRIVATE": dict(headers=["Cache-Control: private, max-age=60"]),
    "NO_FRESHNESS": dict(headers=["X-Nothing: 1"]),
    "SET_COOKIE": dict(headers=[FRESH, "Set-Cookie: a=1"]),
    "VARY_STAR": dict(headers=[FRESH, "Vary: Accept, *"]),
    "HEADERS_TOO_BIG": dict(headers=[FRESH] + [f"X-Long-{i}: {'x' * 1000}" for i in range(24)]),
    "TOO_BIG": dict(headers=[FRESH], body=b"x" * 3_000_000),
    "PARTIAL": dict(headers=[FRESH, "Content-Range: bytes 0-3/10"], status=206),
}


@pytest.mark.parametrize("reason", CASES)
def test_reason_of_what_is_not_stored(cached, origin, reason):
    reply = {"body": b"body", **CASES[reason]}
    origin.reply("/a", **reply)
    n = cached("proxy_buffer_size 64k; proxy_buffers 8 64k; proxy_busy_buffers_size 128k;")
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
