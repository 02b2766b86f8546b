"""Pushed responses that vary: each is for the requests that its X-Request-… fields describe, and for no other."""
import json
from urllib.parse import quote

import pytest
from harness.origin import Reply

FRESH = ("Cache-Control: max-age=600",)
UNSTORED = ("Cache-Control: no-store",)
API = "/_cache/v1/zones/one"


def push(n, body=b"pushed", headers=()):
    return n.request(f"{API}/entry?ttl=60&url={quote('http://localhost/p', safe='')}", "PUT", body=body, headers=headers)


def is_stored(n):
    return json.loads(n.get(f"{API}/entry?url={quote('http://localhost/p', safe='')}").body)["stored"]


@pytest.fixture
def behind(origin):
    """behind(header lines): an origin that answers "from the origin" to everything."""
    def answer(headers):
        origin.handle("*", lambda r: Reply("from the origin", headers=headers))
        return origin
    return answer


def test_is_for_requests_as_described_and_no_other(cached, behind):
    origin = behind(UNSTORED)
    n = cached(workers=2)
    for word, body in (("de", b"hallo"), ("en", b"hello")):
        assert push(n, body, ("Vary: Accept-Language", f"X-Request-Accept-Language: {word}")).status == 201
    for _ in range(4):
        got = n.get("/p", "Accept-Language: DE")
        assert got.cache == "HIT" and got.body == b"hallo" and got.header("Vary") == "Accept-Language"
        assert n.get("/p", "Accept-Language: en").body == b"hello"
    assert origin.requests() == []
    for other in (("Accept-Language: fr",), ("Accept-Language: de, en",), ("Accept-Language:",), ()):
        assert n.get("/p", *other).body == b"from the origin", other


def test_without_a_field_is_for_requests_without_it(cached, behind):
    behind(UNSTORED)
    n = cached()
    assert push(n, headers=("Vary: X-Kind, X-Other", "X-Request-X-Other: 1")).status == 201
    assert n.get("/p", "X-Other: 1").cache == "HIT"
    for other in (("X-Other: 1", "X-Kind: a"), ("X-Other: 1", "X-Kind:"), ("X-Other: 2",), ()):
        assert n.get("/p", *other).body == b"from the origin", other


def test_fields_that_it_does_not_vary_on_make_no_difference(cached):
    n = cached()
    assert push(n, headers=("X-Request-ID: 7", "X-Request-Accept-Language: de")).status == 201
    got = n.get("/p", "Accept-Language: fr")
    assert got.cache == "HIT" and got.header("X-Request-ID") is None and got.header("ID") is None


def test_encoded_body_is_for_clients_that_take_it(cached, behind):
    behind((*FRESH, "Vary: Accept-Encoding"))
    n = cached()
    headers = ("Content-Encoding: gzip", "Vary: Accept-Encoding", "X-Request-Accept-Encoding: gzip, deflate")
    assert push(n, b"gzipped", headers).status == 201
    for taken in ("gzip", "deflate, gzip;q=0.5", "x-gzip"):
        got = n.get("/p", f"Accept-Encoding: {taken}")
        assert got.cache == "HIT" and got.body == b"gzipped" and got.header("Content-Encoding") == "gzip"
    for refused in (("Accept-Encoding: br",), ("Accept-Encoding: gzip;q=0",), ()):
        assert n.get("/p", *refused).body == b"from the origin", refused


@pytest.mark.parametrize("headers", [
    (), ("Vary: Accept-Encoding",), ("Vary: Accept-Encoding", "X-Request-Accept-Encoding: br"), ("X-Request-Accept-Encoding: gzip",),
    ("Vary: Accept-Encoding", "X-Request-Accept-Encoding: gzip;q=0"),
])
def test_encoded_body_that_others_could_get_is_refused(cached, headers):
    n = cached()
    answer = push(n, headers=("Content-Encoding: gzip", *headers))
    assert answer.status == 400 and answer.header("Content-Type") == "application/problem+json", answer
    assert not is_stored(n)


def test_encoded_body_is_refused_where_variants_are_off(nginx):
    nginx.start(location="location /_cache/ { slab_cache_api write=on; slab_cache_vary off; }")
    headers = ("Content-Encoding: gzip", "Vary: Accept-Encoding", "X-Request-Accept-Encoding: gzip")
    assert push(nginx, headers=headers).status == 400


def test_stands_beside_fetched_variants_and_replaces_its_own(cached, behind):
    origin = behind((*FRESH, "Vary: X-Kind"))
    n = cached(workers=2)
    n.get("/p", "X-Kind: fetched")
    assert push(n, headers=("Vary: X-Kind", "X-Request-X-Kind: pushed")).status == 201
    assert n.get("/p", "X-Kind: fetched").cache == "HIT" and n.get("/p", "X-Kind: pushed").body == b"pushed"
    assert push(n, b"again", ("Vary: X-Kind", "X-Request-X-Kind: fetched")).status == 201
    assert n.get("/p", "X-Kind: fetched").body == b"again"
    assert origin.hits() == 1


def test_takes_the_place_of_what_did_not_vary_and_the_other_way_round(cached, behind):
    behind(UNSTORED)
    n = cached()
    assert push(n, b"for all").status == 201
    assert push(n, b"for a", ("Vary: X-Kind", "X-Request-X-Kind: a")).status == 201
    assert n.get("/p", "X-Kind: a").body == b"for a" and n.get("/p", "X-Kind: b").body == b"from the origin"
    assert push(n, b"for all again").status == 201
    assert n.get("/p", "X-Kind: a").body == b"for all again"


def test_variants_are_no_more_than_max(cached, behind):
    behind(UNSTORED)
    n = cached(workers=2)
    for i in range(12):
        assert push(n, headers=("Vary: X-Kind", f"X-Request-X-Kind: {i}")).status == 201
    assert [n.get("/p", f"X-Kind: {i}").body == b"pushed" for i in range(12)] == [False] * 4 + [True] * 8


@pytest.mark.parametrize("selector", [{"urls": ["http://localhost/p"]}, {"tags": ["t"]}, {"hosts": ["localhost"]}, {"all": True}])
def test_purge_takes_all_variants_and_the_fence_keeps_late_ones_out(cached, behind, selector):
    behind(UNSTORED)
    n = cached(workers=2)
    for kind in "ab":
        assert push(n, headers=("Vary: X-Kind", f"X-Request-X-Kind: {kind}", "Surrogate-Key: t")).status == 201
    answer = n.request(f"{API}/purge", "POST", body=json.dumps(selector).encode(), headers=("Content-Type: application/json",))
    fence = json.loads(answer.body)["seq"]
    for kind in "ab":
        assert n.get("/p", f"X-Kind: {kind}").body == b"from the origin"
        late = ("Vary: X-Kind", f"X-Request-X-Kind: {kind}", "Surrogate-Key: t", f"If-Purge-Seq: {fence - 1}")
        assert push(n, headers=late).status == 412
        assert n.get("/p", f"X-Kind: {kind}").body == b"from the origin"


@pytest.mark.parametrize("vary", ["*", "X-Kind, *", "not a token"])
def test_vary_that_no_request_can_match_is_refused(cached, vary):
    n = cached()
    answer = push(n, headers=(f"Vary: {vary}", "X-Request-X-Kind: a"))
    assert answer.status == 422 and json.loads(answer.body)["reason"] == "VARY_STAR"
    assert not is_stored(n)
