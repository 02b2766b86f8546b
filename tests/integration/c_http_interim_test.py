"""1xx responses come before the final one: the final one is stored, who led its fill is sent the 1xx too."""
import subprocess
import threading

import pytest
from harness.nginx import PATIENT, VERSION
from harness.origin import Reply, request_header
from harness.wait import wait_until

FRESH = "Cache-Control: max-age=600"
HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n"
PROCESSING = b"HTTP/1.1 102 Processing\r\n\r\n"


def final(body="body", *lines, status="200 OK"):
    return "\r\n".join([f"HTTP/1.1 {status}", *lines, f"Content-Length: {len(body)}", "", body]).encode()


def answers(n, path, headers=(), version="1.1"):
    """All responses to one request, the final one last and with its body."""
    seen = []
    with n.connect(timeout=10) as c:
        c.send(path, headers=headers, version=version)
        while not seen or seen[-1].status < 200:
            seen.append(c.read_any_header())
        c.read_body(seen[-1])
    return seen


def statuses(seen):
    return [r.status for r in seen]


@pytest.mark.parametrize("interim", [HINTS, PROCESSING, HINTS + PROCESSING + HINTS], ids=["103", "102", "several"])
@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_final_response_after_an_interim_one_is_stored(cached, origin, interim, version):
    origin.reply("/a", raw=interim + final("body", FRESH))
    n = cached(f"proxy_http_version {version};")
    first, second = answers(n, "/a"), answers(n, "/a")
    assert first[-1].status == 200 and first[-1].body == b"body"
    assert statuses(second) == [200] and (second[0].cache, second[0].body) == ("HIT", b"body")
    assert origin.hits("/a") == 1


def test_interim_response_reaches_the_client_before_the_final_one_is_there(cached, origin):
    gate = threading.Event()
    origin.reply("/a", [gate, final("body", FRESH)], status=103, reason="Early Hints", headers=["Link: </a.css>"], framing="none")
    n = cached()
    with n.connect(timeout=10) as c:
        c.send("/a")
        hints = c.read_any_header()
        assert (hints.status, hints.reason, hints.header("Link")) == (103, "Early Hints", "</a.css>")
        gate.set()
        response = c.read_body(c.read_any_header())
        assert (response.status, response.cache, response.body) == (200, "MISS", b"body")


def test_interim_response_is_not_limited_in_rate(cached, origin):
    gate = threading.Event()
    origin.reply("/a", [gate, final("body", FRESH)], status=103, headers=["Link: " + "x" * 3000], framing="none")
    n = cached("limit_rate 1k;")
    with n.connect(timeout=10) as c:
        c.send("/a")
        assert len(c.read_any_header().header("Link")) == 3000
    gate.set()


def test_uncacheable_responses_keep_their_interim_ones(cached, origin):
    """The first is relayed by its fill, the next go nginx's ordinary way."""
    origin.reply("/a", raw=HINTS + final("body", "Cache-Control: no-store"))
    n = cached("add_header X-Upstream $upstream_status always;")
    for _ in range(3):
        seen = answers(n, "/a")
        assert statuses(seen) == [103, 200] and seen[1].body == b"body"
    assert seen[1].header("X-Upstream") == "200"
    assert origin.hits("/a") == 3


def test_post_is_answered_behind_interim_responses(cached, origin):
    origin.reply("/a", raw=PROCESSING + final("made"))
    with cached().connect(timeout=10) as c:
        c.send("/a", method="POST", body=b"x")
        assert c.read_any_header().status == 102
        response = c.read_body(c.read_any_header())
        assert (response.status, response.body) == (200, b"made")


def test_fields_for_one_hop_or_of_a_body_or_hidden_stay_behind(cached, origin):
    origin.reply("/a", raw=b"HTTP/1.1 103 Early Hints\r\nConnection: X-Hop\r\nX-Hop: 1\r\nServer: s\r\nX-Accel-Buffering: no\r\n"
                           b"Content-Length: 5\r\nX-Secret: 1\r\nLink: </a>\r\nLink: </b>\r\n\r\n" + final("body", FRESH))
    seen = answers(cached("proxy_hide_header X-Secret;"), "/a")
    assert seen[0].lines == ["Link: </a>", "Link: </b>"]
    assert seen[1].body == b"body"


def test_100_is_for_the_hop_that_asked(cached, origin):
    origin.reply("/a", raw=b"HTTP/1.1 100 Continue\r\n\r\n" + final("body", FRESH))
    n = cached()
    assert statuses(answers(n, "/a")) == [200]
    assert n.get("/a").cache == "HIT"


def test_clients_older_than_1_1_are_sent_no_interim_response(cached, origin):
    origin.reply("/a", raw=HINTS + final("body", FRESH))
    assert statuses(answers(cached(), "/a", version="1.0")) == [200]


def test_http2_client_gets_the_final_response(nginx, origin):
    origin.reply("/a", raw=HINTS + final("body", "Cache-Control: no-store"))
    port = nginx.another_port()
    nginx.start(server=f"listen 127.0.0.1:{port} http2;", location=f"location / {{ slab_cache one; proxy_pass http://{origin.address}; }}")
    for _ in range(2):
        out = subprocess.run(["curl", "-s", "--max-time", "10", "--http2-prior-knowledge", f"http://127.0.0.1:{port}/a"],
                             stdin=subprocess.DEVNULL, capture_output=True, check=True)
        assert out.stdout == b"body"


def test_waiters_get_the_final_response_alone(cached, origin):
    gate = threading.Event()
    origin.reply("/a", [gate, final("body", FRESH)], status=103, headers=["Link: </a.css>"], framing="none")
    n = cached(PATIENT)
    with n.connect(timeout=10) as leader, n.connect(timeout=10) as waiter:
        leader.send("/a")
        assert leader.read_any_header().status == 103
        waiter.send("/a")
        n.wait_for_waiters(1)
        gate.set()
        assert [c.read_body(c.read_any_header()).body for c in (waiter, leader)] == [b"body", b"body"]
    assert origin.hits("/a") == 1


def test_validation_behind_an_interim_response(cached, origin):
    origin.sequence("/a", Reply(raw=HINTS + final("body", "Cache-Control: max-age=0", 'ETag: "1"')),
                    Reply(raw=HINTS + b'HTTP/1.1 304 Not Modified\r\nETag: "1"\r\nCache-Control: max-age=600\r\n\r\n'))
    n = cached()
    n.get("/a")
    assert (n.get("/a").cache, n.get("/a").cache) == ("REVALIDATED", "HIT")
    assert request_header(origin.requests("/a")[1], "If-None-Match") == '"1"'


def test_refresh_in_the_background_reads_past_interim_responses(cached, origin):
    origin.sequence("/a", Reply("old", headers=["Cache-Control: max-age=0, stale-while-revalidate=600"]),
                    Reply(raw=HINTS + final("new", FRESH)))
    n = cached()
    n.get("/a")
    stale = answers(n, "/a")
    assert statuses(stale) == [200] and stale[0].body == b"old"
    wait_until(lambda: n.get("/a").body == b"new", "the refresh")
    assert origin.hits("/a") == 2


def test_next_peer_is_asked_where_one_breaks_off_behind_an_interim_response(nginx, origin):
    seen = []

    def reply(request):
        seen.append(request)
        return Reply(raw=HINTS if len(seen) == 1 else HINTS + final("second", FRESH))

    origin.handle("/a", reply)
    nginx.start(http=f"upstream pair {{ server {origin.address}; server {origin.address}; }}",
                location="location / { slab_cache one; proxy_pass http://pair; }")
    first = answers(nginx, "/a")
    assert statuses(first) == [103, 103, 200] and first[-1].body == b"second"
    assert nginx.get("/a").cache == "HIT"
    assert len(seen) == 2


def test_interim_responses_may_be_longer_than_the_buffer_together(cached, origin):
    hints = b"HTTP/1.1 103 Early Hints\r\nLink: " + b"x" * 900 + b"\r\n\r\n"
    origin.reply("/a", raw=hints * 60 + final("body", FRESH))
    n = cached("proxy_buffer_size 1k;")
    seen = answers(n, "/a")
    assert statuses(seen) == [103] * 60 + [200] and seen[-1].body == b"body"
    assert n.get("/a").cache == "HIT"


def test_origin_that_never_comes_to_the_point_is_a_502(cached, origin):
    origin.reply("/a", raw=PROCESSING * 500)
    n = cached()
    assert statuses(answers(n, "/a"))[-1] == 502
    assert n.get("/other").status == 404


@pytest.mark.skipif(VERSION < (1, 29), reason="early_hints is of nginx 1.29")
def test_early_hints_decides_whether_clients_get_them(cached, origin):
    origin.reply("/a", raw=HINTS + final("body", FRESH))
    n = cached("early_hints $arg_hints;")
    assert statuses(answers(n, "/a")) == [200]
    assert statuses(answers(n, "/a")) == [200]
    assert n.get("/a").cache == "HIT"
