"""A push whose body is the whole response (message/http): the same bytes as in a store before the origin (docs/tier.md)."""
import json
import sys
from urllib.parse import quote

import pytest
from harness.nginx import TOP
from harness.origin import Reply
from harness.wait import wait_until

sys.path.insert(0, str(TOP / "clients/python"))
from slab_cache_tier import message         # noqa: E402

URL = "http://localhost/p"


def push(n, body, *headers, more=""):
    body = body.encode() if isinstance(body, str) else body
    return n.request(f"/_cache/v1/zones/one/entry?url={quote(URL, safe='')}{more}", "PUT", body=body,
                     headers=["Content-Type: message/http", *headers])


@pytest.fixture
def n(cached, origin):
    origin.handle("*", lambda r: Reply("the origin's", headers=["Cache-Control: no-store"]))
    return cached()


def test_is_served_as_it_says(n):
    assert push(n, "HTTP/1.1 404 Not Found\nContent-Type: text/x\nCache-Control: max-age=60\nX-A: b\nSlab-Unknown: c\n\nno\n").status == 201
    got = n.get("/p")
    assert (got.status, got.text, got.cache, got.header("Content-Type"), got.header("X-A")) == (404, "no\n", "HIT", "text/x", "b")
    assert not [line for line in got.lines if line.lower().startswith("slab-")]


def test_of_the_python_client_is_taken_too(n):
    assert push(n, message("<p>made", max_age=60, tags=["a", "b"], headers={"ETag": '"1"'}, key=URL)).status == 201
    got = n.get("/p")
    assert (got.text, got.cache, got.header("ETag"), got.header("Surrogate-Key")) == ("<p>made", "HIT", '"1"', None)
    assert n.get("/p", 'If-None-Match: "1"').status == 304


def test_is_purged_by_the_tags_that_it_names(n):
    for tag, is_left in (("c", True), ("b", False)):
        assert push(n, message("made", max_age=60, tags=["a", "b"])).status == 201
        n.request("/_cache/v1/zones/one/purge", "POST", body=json.dumps({"tags": [tag]}).encode())
        assert (n.get("/p").cache == "HIT") == is_left


def test_is_as_old_as_it_says(n):
    assert push(n, "HTTP/1.1 200 OK\nCache-Control: max-age=60\nAge: 50\n\n").status == 201
    assert int(n.get("/p").header("Age")) >= 50
    assert push(n, "HTTP/1.1 200 OK\nCache-Control: max-age=60\nSlab-Born: 1000000000\n\n").status == 422
    assert push(n, "HTTP/1.1 200 OK\nCache-Control: max-age=60\nAge: 70\n\n", more="&ttl=100").status == 201


def test_is_for_requests_as_described(n):
    body = "HTTP/1.1 200 OK\nCache-Control: max-age=60\nVary: Accept-Language\n\nhallo"
    assert push(n, body, "X-Request-Accept-Language: de").status == 201
    assert n.get("/p", "Accept-Language: de").text == "hallo" and n.get("/p").text == "the origin's"


@pytest.mark.parametrize("body, sentence", [
    ("", "it is empty"), ("<p>a page", "its first line"), ("HTTP/1.1 200 OK\nX: a\n b\n\n", "no field"), ("HTTP/1.1 200 OK\nX: a\n", "no empty line"),
    ("HTTP/1.1 200 OK\nContent-Length: 3\n\nfour", "Content-Length"), ("HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n", "Transfer-Encoding"),
    ("HTTP/1.1 200 OK\nSlab-Vary: accept\n\n", "Slab-Vary"), ("HTTP/1.1 200 OK\nSlab-Key: http://localhost/q\n\n", "Slab-Key"),
    ("HTTP/1.1 200 OK\nSlab-Position: 1-1\n\n", "for zones with fleet=")])
def test_that_is_not_understood_is_refused_with_the_reason(n, body, sentence):
    body = body.replace("OK\n", "OK\nCache-Control: max-age=60\n")
    answer = push(n, body)
    assert answer.status == 400 and sentence in json.loads(answer.body)["detail"], answer.text
    assert n.get("/p").text == "the origin's"


@pytest.mark.parametrize("field", ["Surrogate-Key: a", "Cache-Groups: \"a\"", "ETag: \"1\"", "X-Response-X: y", "Cache-Control: max-age=9",
                                   "Slab-Position: 1-1"])
def test_says_all_of_itself(n, field):
    """What a field of the request says as well would be lost."""
    answer = push(n, "HTTP/1.1 200 OK\nCache-Control: max-age=60\n\n", field)
    assert answer.status == 400 and "no field of the request" in json.loads(answer.body)["detail"]


def test_is_fenced_by_its_position(fleet):
    a = fleet.node("a")
    position = fleet.redis.xadd(tag="other")
    wait_until(lambda: a.state()["position"] == position, "it is read")
    page = message("made", max_age=60, tags=["t"], position=position)
    assert push(a, page).status == 201 and a.get("/p").text == "made"
    last = fleet.redis.xadd(tag="t")
    wait_until(lambda: a.state()["position"] == last, "the purge is read")
    assert push(a, page).status == 412 and a.get("/p").text == "0"
    assert push(a, message("made", max_age=60, tags=["t"], position=last)).status == 201
    for wrong in ("now", "1"):
        assert push(a, page.replace(position.encode(), wrong.encode())).status == 400
