"""Cold keys filled out of the client's own request, where a location's answers have always been whole (ngx/fill/direct_fill.h)."""
import email.utils
import re
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from harness.client import Connection
from harness.nginx import IS_ANGIE, PATIENT, VERSION
from harness.origin import Reply
from harness.wait import wait_until

FRESH = ("Cache-Control: max-age=600",)
EARNED = 16     # answers in a row
LOG = "slab_cache: direct fill, trusted:1"


def a_date():
    return "Date: " + email.utils.formatdate(time.time() - 20, usegmt=True)


def direct_fills(n):
    return n.error_log().count(LOG)


def earn(n, origin, count=EARNED):
    """Requests that make the location's worker trust its answers."""
    for i in range(count):
        origin.reply(f"/earn{i}", f"earn{i}", headers=FRESH)
        assert n.get(f"/earn{i}").status == 200


@pytest.fixture
def trusted(cached, origin):
    """`cached`, after which the next cold key is filled directly."""
    def start(directives="", **kw):
        n = cached(directives, level="debug", **kw)
        earn(n, origin)
        assert direct_fills(n) == 0
        return n
    return start


@pytest.fixture
def one_fill(trusted, origin):
    """`trusted`, and at the end the one direct fill of the test was made."""
    started = []

    def start(*args, **kw):
        started.append(trusted(*args, **kw))
        return started[-1]
    yield start
    for n in started:
        assert direct_fills(n) == 1


def lines_but(answer, *names):
    return [h for h in answer.headers if h[0].lower() not in {"age", "x-cache", "x-reason", "x-pid", *names}]


# ---- the same as ever ---------------------------------------------------------------------------------------------
def test_answer_and_hit_are_the_same(one_fill, origin):
    origin.reply("/a", "body" * 700, headers=(*FRESH, 'ETag: "e"', "X-Own: 1", "Content-Type: text/html; charset=utf-8",
                                               "Last-Modified: Mon, 23 Nov 2026 08:49:37 GMT", "X-Own: 2", a_date(),
                                               "Keep-Alive: timeout=5", "Content-Language: en", "Surrogate-Key: t1"))
    n = one_fill()
    miss = n.get("/a")
    hit = n.get("/a")
    assert (miss.cache, hit.cache) == ("MISS", "HIT")
    assert miss.body == hit.body == b"body" * 700
    assert lines_but(miss) == lines_but(hit)
    assert miss.header("Age") is None
    assert origin.hits("/a") == 1


def test_clones_and_direct_fills_give_the_same_header(cached, origin):
    fields = (*FRESH, 'ETag: "e"', "X-Own: 1", "Content-Type: text/html; charset=utf-8", "Age: 7",
              a_date(), "Set-Cookie: a=b", "Link: </x>", "Content-Language: en")
    n = cached("slab_cache_set_cookie strip;", level="debug")
    origin.reply("/clone", "body", headers=fields)
    by_clone = n.get("/clone")
    earn(n, origin, EARNED - 1)
    origin.reply("/direct", "body", headers=fields)
    directly = n.get("/direct")
    assert direct_fills(n) == 1
    assert by_clone.header("Set-Cookie") == "a=b"
    assert lines_but(by_clone) == lines_but(directly)
    assert n.get("/direct").header("Set-Cookie") is None


@pytest.mark.parametrize("size", [0, 1, 4000, 8192, 20_000, 32_000])
def test_bodies_come_back_exactly(one_fill, origin, size):
    body = bytes(i % 251 for i in range(size))
    origin.reply("/a", body, headers=FRESH)
    n = one_fill()
    assert n.get("/a").body == body
    answer = n.get("/a")
    assert (answer.cache, answer.body) == ("HIT", body)


def test_body_that_comes_after_its_header_is_stored_whole(one_fill, origin):
    gate = threading.Event()
    origin.reply("/a", [b"x" * 1000, gate, b"y" * 1000], headers=FRESH)
    n = one_fill()
    with ThreadPoolExecutor() as pool:
        first = pool.submit(n.get, "/a")
        origin.wait_for_hits("/a", 1)
        gate.set()
        assert first.result().body == b"x" * 1000 + b"y" * 1000
    assert n.get("/a").cache == "HIT"


@pytest.mark.parametrize("status", [301, 404, 410])
def test_other_statuses_are_stored_as_their_rules_say(one_fill, origin, status):
    origin.reply("/a", "gone", status=status, headers=(*FRESH, "Location: /b"))
    n = one_fill()
    assert n.get("/a").status == status
    answer = n.get("/a")
    assert (answer.status, answer.cache, answer.header("Location")) == (status, "HIT", "/b")


def test_variants_are_kept_apart(trusted, origin):
    origin.handle("/a", lambda r: Reply("de" if "de" in str(r.lines) else "en", headers=(*FRESH, "Vary: Accept-Language")))
    n = trusted()
    answers = [n.get("/a", f"Accept-Language: {x}") for x in ("de", "en", "de", "en")]
    assert [a.body for a in answers] == [b"de", b"en", b"de", b"en"]
    assert [a.cache for a in answers] == ["MISS", "MISS", "HIT", "HIT"]
    assert direct_fills(n) == 2


def test_status_header_and_variables_know_of_it(trusted, origin):
    origin.reply("/a", "body", headers=FRESH)
    n = trusted("slab_cache_status_header detail; add_header X-TTL $slab_cache_ttl always; add_header X-Up $upstream_status always;")
    answer = n.get("/a")
    assert "ttl=600; stored" in answer.header("Cache-Status")
    assert answer.header("X-TTL") == "600"
    assert answer.header("X-Up") == "200"


# ---- nobody shapes it ---------------------------------------------------------------------------------------------
@pytest.mark.parametrize("line", ["Range: bytes=0-1", 'If-None-Match: "x"', "If-Modified-Since: Mon, 23 Nov 2026 08:49:37 GMT",
                                  "TE: trailers", "Expect: 100-continue"])
def test_request_that_could_shape_the_answer_goes_by_clone(trusted, origin, line):
    origin.reply("/a", "body", headers=(*FRESH, 'ETag: "e"'))
    n = trusted()
    n.get("/a", line)
    assert direct_fills(n) == 0
    assert n.get("/a").body == b"body"
    name = line.partition(":")[0].lower()
    assert all(not x.lower().startswith(name + ":") for r in origin.requests("/a") for x in r.lines)


def test_rate_of_the_origin_holds_from_the_first_answer_on(one_fill, origin):
    n = one_fill()
    origin.reply("/a", "x" * 30_000, headers=(*FRESH, "X-Accel-Limit-Rate: 20000"))
    for _ in range(2):
        begun = time.monotonic()
        assert len(n.get("/a").body) == 30_000
        assert time.monotonic() - begun >= 1


def test_client_that_hangs_up_does_not_abort_it(one_fill, origin):
    gate = threading.Event()
    origin.reply("/a", "body", headers=FRESH, before=gate)
    n = one_fill(PATIENT)
    c = n.connect()
    c.send("/a")
    origin.wait_for_hits("/a", 1)
    c.abort()
    with ThreadPoolExecutor() as pool:
        waiter = pool.submit(n.get, "/a")
        n.wait_for_waiters(1)
        gate.set()
        assert waiter.result().body == b"body"
    assert n.get("/a").cache == "HIT"
    assert origin.hits("/a") == 1


def test_all_who_wait_are_answered_by_one_fetch(trusted, origin):
    gate = threading.Event()
    n = trusted(PATIENT)
    origin.reply("/a", "body" * 500, headers=FRESH, before=gate)
    answers = n.ask_together("/a", 50, lambda: (n.wait_for_waiters(49), gate.set()))
    assert {a.body for a in answers} == {b"body" * 500}
    assert origin.hits("/a") == 1
    assert direct_fills(n) == 1


# ---- purges win ---------------------------------------------------------------------------------------------------
def test_purge_wins_over_an_answer_in_flight(trusted, origin):
    gate = threading.Event()
    origin.sequence("/a", Reply("old", headers=FRESH, before=gate), Reply("new", headers=FRESH))
    n = trusted()
    with ThreadPoolExecutor() as pool:
        first = pool.submit(n.get, "/a")
        origin.wait_for_hits("/a", 1)
        assert n.purge("/a").status < 300
        gate.set()
        assert first.result().body == b"old"
    for _ in range(5):
        assert n.get("/a").body == b"new"


# ---- what is not stored -------------------------------------------------------------------------------------------
def test_uncacheable_answer_passes_with_its_reason(one_fill, origin):
    origin.reply("/a", "mine", headers=("Cache-Control: private",))
    n = one_fill()
    answer = n.get("/a")
    assert (answer.body, answer.cache, answer.why) == (b"mine", "MISS", "PRIVATE")
    assert n.get("/a").cache == "MISS"
    assert origin.hits("/a") == 2


@pytest.mark.parametrize("framing,size", [("chunked", 5000), ("close", 5000), ("length", 40_000), ("length", 700_000)])
def test_answer_unlike_the_others_is_stored_all_the_same(one_fill, origin, framing, size):
    body = bytes(i % 251 for i in range(size))
    origin.reply("/a", body, headers=FRESH, framing=framing)
    n = one_fill()
    answers = [n.get("/a") for _ in range(3)]
    assert [a.body for a in answers] == [body] * 3
    assert [a.cache for a in answers] == ["MISS", "HIT", "HIT"]
    assert origin.hits("/a") == 1


def test_trust_is_earned_anew_after_a_mistake(trusted, origin):
    origin.reply("/a", "x" * 40_000, headers=FRESH)
    n = trusted()
    n.get("/a")
    assert direct_fills(n) == 1
    for i in range(2 * EARNED):
        origin.reply(f"/b{i}", "b", headers=FRESH)
        n.get(f"/b{i}")
    assert direct_fills(n) == 1
    origin.reply("/c", "c", headers=FRESH)
    n.get("/c")
    assert direct_fills(n) == 2


def test_slow_body_has_the_time_between_two_reads_not_for_all(one_fill, origin):
    origin.reply("/a", ["x" * 10, *[p for i in range(4) for p in (0.5, "x" * 10)]], headers=FRESH)
    n = one_fill("proxy_read_timeout 1s;")
    assert n.get("/a").body == b"x" * 50
    assert n.get("/a").cache == "HIT"


@pytest.mark.parametrize("status", [204, 304])
def test_length_of_an_answer_without_body_is_not_waited_for(one_fill, origin, status):
    origin.reply("/a", status=status, headers=(*FRESH, "Content-Length: 100"))
    n = one_fill("proxy_read_timeout 2s;")
    assert n.get("/a").status == status


@pytest.mark.parametrize("lines", [[], ["Content-Length: 100"], ["Transfer-Encoding: chunked"]])
@pytest.mark.parametrize("earned", [0, EARNED])
def test_answer_that_has_no_body_is_stored(cached, origin, lines, earned):
    origin.reply("/a", status=204, headers=(*FRESH, "X-Own: 1", *lines))
    n = cached(level="debug")
    earn(n, origin, earned)
    answers = [n.get("/a") for _ in range(3)]
    assert [(a.status, a.cache, a.header("X-Own")) for a in answers] == [(204, c, "1") for c in ("MISS", "HIT", "HIT")]
    assert direct_fills(n) == (1 if earned else 0)


def test_validations_take_no_trust_away(cached, origin):
    origin.sequence("/a", Reply("a", headers=("Cache-Control: no-cache", 'ETag: "a"')),
                    Reply(status=304, headers=("Cache-Control: no-cache", 'ETag: "a"')))
    n = cached(level="debug")
    for i in range(EARNED):
        earn(n, origin, 1) if i == 0 else n.get("/a")
    origin.reply("/b", "b", headers=FRESH)
    n.get("/b")
    assert direct_fills(n) == 1


def test_location_that_sends_its_requests_elsewhere_stores_nothing(cached, origin):
    n = cached("try_files /no/such/file @other;", server=f"location @other {{ proxy_pass http://{origin.address}; }}")
    origin.reply("/b", "body", headers=FRESH)
    assert [(a.body, a.why) for a in (n.get("/b"), n.get("/b"))] == [(b"body", "ELSEWHERE")] * 2
    assert origin.hits("/b") == 2


def test_too_big_header_leaves_nothing_of_it(one_fill, origin):
    origin.reply("/a", "body", headers=(*FRESH, "Set-Cookie: a=b", "X-Big: " + "x" * 5000))
    n = one_fill("proxy_buffer_size 4k;")
    n.expect_log("upstream sent too big header")
    answer = n.get("/a")
    assert answer.status == 502
    assert answer.header("Set-Cookie") is None and answer.header("Cache-Control") is None and answer.header("X-Big") is None


@pytest.mark.skipif(IS_ANGIE, reason="Angie sets its reader after us: what its own buffer does not hold is filled by a clone")
def test_client_that_reads_slowly_has_its_own_time(nginx, trusted, origin):
    body = bytes(i % 251 for i in range(30_000))
    origin.handle("*", lambda request: Reply(body, headers=FRESH))
    port = nginx.another_port()
    n = trusted("proxy_read_timeout 1s;", server=f"listen 127.0.0.1:{port} sndbuf=4k;")
    with Connection(("127.0.0.1", port), receive_buffer=2304) as c:
        for i in range(20):
            c.send(f"/{i}")
        threading.Event().wait(1.5)         # the origin's time is over
        for _ in range(20):
            assert c.read_body(c.read_header()).body == body
    assert direct_fills(n) == 20


def test_rate_that_the_origin_names_does_not_stop_its_answer(one_fill, origin):
    origin.reply("/a", "body", headers=(*FRESH, "X-Accel-Limit-Rate: 10000", "X-Long: " + "x" * 2000))
    n = one_fill()
    with n.connect(timeout=3) as c:
        assert c.request("/a").body == b"body"


@pytest.mark.parametrize("earned", [0, EARNED])
def test_no_cache_rule_sees_the_answer_through_a_map(cached, origin, earned):
    origin.reply("/a", "mine", headers=(*FRESH, "X-Mine: 1"))
    n = cached("slab_no_cache $mine;", http='map $upstream_http_x_mine $mine { default ""; 1 1; }', level="debug")
    earn(n, origin, earned)
    assert [n.get("/a").cache for _ in range(2)] == ["MISS", "MISS"]
    assert direct_fills(n) == (2 if earned else 0)


def test_truncated_answer_is_none(trusted, origin):
    origin.sequence("/a", Reply("x" * 1000, headers=FRESH, truncate=500), Reply("good", headers=FRESH))
    n = trusted()
    n.expect_log("upstream prematurely closed connection")
    assert n.get("/a").status == 502
    answer = wait_until(lambda: (r := n.get("/a")).status == 200 and r, "the next one")
    assert answer.body == b"good"


def test_origin_that_hangs_up_is_a_502_for_all_who_wait(trusted, origin):
    gate = threading.Event()
    origin.sequence("/a", Reply(raw=b"", before=gate), Reply("good", headers=FRESH))
    n = trusted()
    n.expect_log("upstream prematurely closed connection")
    with ThreadPoolExecutor(4) as pool:
        answers = [pool.submit(n.get, "/a")]
        origin.wait_for_hits("/a", 1)
        gate.set()
        assert answers[0].result().status == 502
    assert wait_until(lambda: n.get("/a").body == b"good", "the origin is back")


def test_header_too_big_for_the_location_is_a_502(one_fill, origin):
    origin.reply("/a", "body", headers=(*FRESH, "X-Big: " + "x" * 5000))
    n = one_fill("proxy_buffer_size 4k;")
    n.expect_log("upstream sent too big header")
    assert n.get("/a").status == 502


def test_redirect_by_the_origin_is_an_answer_and_is_made_again(one_fill, origin):
    origin.reply("/a", "", headers=(*FRESH, "X-Accel-Redirect: /elsewhere"))
    n = one_fill(server='location = /elsewhere { internal; return 200 "elsewhere"; }')
    for _ in range(3):
        assert n.get("/a").body == b"elsewhere"
    assert origin.hits("/a") == 1


def test_redirect_into_a_cached_location_is_judged_there(trusted, origin):
    origin.reply("/a", "", headers=("Cache-Control: no-store", "X-Accel-Redirect: /b"))
    origin.reply("/b", "b", headers=FRESH)
    n = trusted()
    assert [n.get("/a").body for _ in range(3)] == [b"b"] * 3
    assert (origin.hits("/a"), origin.hits("/b")) == (3, 1)


def test_interim_response_is_passed_on(one_fill, origin):
    origin.reply("/a", raw=b"HTTP/1.1 103 Early Hints\r\nLink: </s>; rel=preload\r\n\r\n"
                           b"HTTP/1.1 200 OK\r\nCache-Control: max-age=600\r\nContent-Length: 4\r\n\r\nbody")
    n = one_fill()
    with n.connect() as c:
        c.send("/a")
        assert c.read_any_header().status == 103
        assert c.read_body(c.read_header()).body == b"body"
    assert n.get("/a").cache == "HIT"


# ---- limits, pages, kills -----------------------------------------------------------------------------------------
@pytest.mark.parametrize("directive", ["limit_rate 10m;", "error_page 502 /sorry;", "proxy_intercept_errors on;", "proxy_buffering off;"])
def test_location_with_a_say_in_the_answer_is_filled_by_clone(trusted, origin, directive):
    origin.reply("/a", "body", headers=FRESH)
    n = trusted(directive)
    assert [n.get("/a").cache for _ in range(2)] == ["MISS", "HIT"]
    assert direct_fills(n) == 0


def test_worker_killed_in_the_middle_leaves_nothing_stuck(trusted, origin):
    gate = threading.Event()
    origin.sequence("/a", Reply("body", headers=FRESH, before=gate), Reply("body", headers=FRESH))
    n = trusted("slab_cache_lock_age 200ms;")
    n.expect_log("exited on signal 9")
    c = n.connect()
    c.send("/a")
    origin.wait_for_hits("/a", 1)
    n.kill_worker()
    gate.set()
    assert n.get("/a").body == b"body"
    assert n.get("/a").cache == "HIT"
    c.close()


@pytest.mark.skipif(VERSION < (1, 29, 4), reason="proxy_pass speaks HTTP/2 from nginx 1.29.4 on")
def test_origin_that_speaks_http2_is_filled_by_clone(make_nginx):
    behind = make_nginx()
    behind.start(server="http2 on;", zone="", location='location / { add_header Cache-Control max-age=600; return 200 "body of $uri"; }')
    n = make_nginx()
    n.start(level="debug", location=f"location / {{ slab_cache one; proxy_http_version 2; proxy_pass http://127.0.0.1:{behind.port}; }}")
    for _ in range(2):
        for i in range(2 * EARNED):
            assert n.get(f"/{i}").body == b"body of /%d" % i
    assert n.get("/1").cache == "HIT"
    assert direct_fills(n) == 0


# ---- an origin that frames its bodies ------------------------------------------------------------------------------
def serve_http2(sock, is_read):
    """One request: a body of 100 bytes. With is_read(bytes), which waits until nginx has read so many at once, its frame is
    cut so that 100 bytes of it lie behind the header first."""
    stream = sock.makefile("rb")
    stream.read(24)                                               # preface
    sock.sendall(b"\0\0\0\4\0\0\0\0\0")                           # SETTINGS
    while len(head := stream.read(9)) == 9:
        stream.read(int.from_bytes(head[:3], "big"))
        if head[3] == 1:                                          # HEADERS
            fields = b"\x88" + b"".join(bytes([0, len(name)]) + name + bytes([len(value)]) + value for name, value in
                                        ((b"content-length", b"100"), (b"cache-control", b"max-age=600")))
            data = b"\0\0\x64\0\1" + head[5:] + b"x" * 100
            sock.sendall(len(fields).to_bytes(3, "big") + b"\1\4" + head[5:] + fields)
            is_read(9 + len(fields))
            sock.sendall(data[:100])
            is_read(100)
            sock.sendall(data[100:])


@pytest.mark.skipif(VERSION < (1, 29, 4), reason="no proxy_http_version 2")
def test_framed_body_is_not_taken_for_a_plain_one(nginx):
    listener = socket.create_server(("127.0.0.1", 0))

    def is_read(n_bytes):
        wait_until(lambda: re.search(rf"recv: fd:\d+ {n_bytes} of", nginx.error_log()), f"nginx has read {n_bytes} bytes")

    def serve():
        for i in range(EARNED + 1):
            sock, _ = listener.accept()
            threading.Thread(target=serve_http2, args=(sock, is_read if i == EARNED else lambda _: None), daemon=True).start()
    threading.Thread(target=serve, daemon=True).start()
    n = nginx.start(location=f"""location / {{
        slab_cache one; proxy_pass http://127.0.0.1:{listener.getsockname()[1]}; proxy_http_version 2;
    }}""", level="debug")
    for i in range(EARNED + 1):
        assert n.get(f"/{i}").body == b"x" * 100
    answer = n.get(f"/{EARNED}")
    assert (answer.body, answer.cache) == (b"x" * 100, "HIT")
    assert direct_fills(n) == 0
    listener.close()


def test_client_that_hangs_up_ends_a_stream_that_nobody_else_wants(trusted, origin):
    gate = threading.Event()
    origin.reply("/a", ["x" * 100, gate, "y"], headers=("Cache-Control: no-store",), framing="chunked")
    n = trusted("access_log logs/access.log;", http="")
    with n.connect() as c:
        c.send("/a")
        c.read_header()
        c.abort()
        log = n.prefix / "logs/access.log"
        wait_until(lambda: log.exists() and "/a" in log.read_text(), "the request ends before the origin does")
    gate.set()
