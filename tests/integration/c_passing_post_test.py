"""A POST that passes by, and whose answer says that it is a GET's (RFC 9110 9.3.3): it is stored for GETs as it goes by."""
import contextlib
import json
import threading

import pytest
from harness.client import Connection
from harness.nginx import VERSION
from harness.origin import Reply, request_header
from harness.wait import wait_until

FRESH = ("Cache-Control: max-age=600",)
NAMED = "Content-Location: /a"


def says(r, *lines, **kw):
    """What it was asked, as an answer that is a GET's too."""
    return Reply(f"{r.method} ".encode() + r.body, headers=[*FRESH, f"Content-Location: {r.target}", *lines], **kw)


def post(n, path="/a", body=b"x", *lines):
    return n.request(path, "POST", headers=lines, body=body)


def is_kept(n, path="/a", body="POST x"):
    answer = n.get(path)
    return (answer.cache, answer.text) == ("HIT", body)


@pytest.fixture
def posts(cached, origin):
    """Nothing but `slab_cache`, and what is given."""
    origin.handle("*", says)
    return cached


# ---- what is kept ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("when", ["cold", "in place of a GET's", "again"])
def test_post_that_names_its_own_url_answers_later_gets(posts, origin, when):
    n = posts(workers=2)
    if when == "in place of a GET's":
        assert n.get("/a").text == "GET "
    elif when == "again":
        post(n, body=b"first")
    answer = post(n)
    assert (answer.text, answer.cache, answer.why) == ("POST x", None, "METHOD")
    assert is_kept(n)
    assert n.request("/a", "HEAD").cache == "HIT"
    assert post(n, body=b"y").text == "POST y"      # never answered from the cache
    assert is_kept(n, body="POST y")
    assert origin.hits("/a") == len([w for w in (when,) if w != "cold"]) + 2


@pytest.mark.parametrize("reference", ["", "a?b", "./a?b", "/d/a?b", "../d/a?b", "?b", "//localhost/d/a?b", "http://localhost/d/a?b",
                                       "http://localhost:80/d/a?b", "/d/a?b#part"])
def test_url_may_be_named_in_any_way(posts, origin, reference):
    origin.handle("*", lambda r: Reply(r.method, headers=[*FRESH, f"Content-Location: {reference}"]))
    n = posts()
    post(n, "/d/a?b")
    assert is_kept(n, "/d/a?b", "POST")


@pytest.mark.parametrize("key", ["$uri$is_args$args", "$request_method $scheme$host$request_uri", "$http_x_a$uri"])
def test_explicit_key_is_what_it_comes_to_for_a_get(posts, key):
    n = posts(f"slab_cache_key '{key}';")
    post(n)
    assert is_kept(n)


def test_fields_and_age_are_the_origins(posts, origin):
    origin.handle("/a", lambda r: says(r, 'ETag: "e"', "X-Own: 1", "Age: 7", "Content-Type: text/html", "Surrogate-Key: t1"))
    n = posts("add_header X-Ours 1;")
    seen = post(n)
    hit = n.get("/a")
    assert [hit.all(f) for f in ("ETag", "X-Own", "Content-Type", "X-Ours", "Content-Location")] == [
        seen.all(f) for f in ("ETag", "X-Own", "Content-Type", "X-Ours", "Content-Location")]
    assert hit.all("ETag") == ['"e"'] and int(hit.header("Age")) >= 7
    assert n.get("/a", 'If-None-Match: "e"').status == 304
    n.request("/_cache/v1/zones/one/purge", "POST", body=b'{"tags": ["t1"]}', headers=["Content-Type: application/json"])
    assert n.get("/a").text == "GET "


@pytest.mark.parametrize("framing", ["length", "chunked", "close"])
@pytest.mark.parametrize("size", [0, 1, 300_000])
def test_body_comes_back_exactly(posts, origin, framing, size):
    body = bytes(i % 251 for i in range(size))
    origin.handle("/a", lambda r: Reply(body, headers=[*FRESH, NAMED], framing=framing))
    n = posts("proxy_http_version 1.1;")
    assert post(n).body == body
    answer = n.get("/a")
    assert (answer.cache, answer.body) == ("HIT", body)


def test_body_that_waits_in_a_file_for_its_client_is_kept_whole(posts, origin):
    body = bytes(i % 251 for i in range(8_000_000))
    origin.handle("/a", lambda r: Reply(body, headers=[*FRESH, NAMED]))
    n = posts("proxy_buffers 2 4k; proxy_buffer_size 4k; proxy_busy_buffers_size 4k;", zone="slab_cache_zone zone=one:128m max_object=15m;")
    with Connection(n.address, receive_buffer=65536) as c:
        c.send("/a", "POST", body=b"x")
        origin.wait_for_hits("/a", 1)
        wait_until(lambda: "is buffered to a temporary file" in n.error_log(), "it waits in a file")
        assert c.read_body(c.read_header()).body == body
    answer = n.get("/a")
    assert (answer.cache, answer.body) == ("HIT", body)


def test_filters_behind_change_what_this_client_gets_alone(posts, origin):
    origin.handle("/a", lambda r: Reply("POST " * 200, headers=[*FRESH, NAMED, "Content-Type: text/plain"]))
    n = posts("gzip on; gzip_types text/plain; gzip_min_length 1; sub_filter POST DONE; sub_filter_types text/plain; charset utf-8;")
    assert post(n, "/a", b"x", "Accept-Encoding: gzip").header("Content-Encoding") == "gzip"
    answer = n.get("/a")
    assert (answer.cache, answer.header("Content-Encoding"), answer.text[:5]) == ("HIT", None, "DONE ")


def test_over_http2_too(nginx, origin, certificate):
    origin.handle("/a", says)
    port = nginx.another_port()
    listen = f"listen 127.0.0.1:{port} ssl; http2 on;" if VERSION >= (1, 25, 1) else f"listen 127.0.0.1:{port} ssl http2;"
    cert, key = certificate
    nginx.start(http=f"""server {{
        {listen} server_name localhost; ssl_certificate {cert}; ssl_certificate_key {key};
        location / {{ slab_cache one; proxy_pass http://{origin.address}; }} }}""")
    bodies = [nginx.curl("--http2", *more, path="/a", scheme="https", port=port) for more in (["-d", "x"], [])]
    assert bodies == [b"POST x"] * 2


def test_variants_are_kept_apart(posts, origin):
    origin.handle("/a", lambda r: says(r, "Vary: Foo"))
    n = posts()
    post(n, "/a", b"x", "Foo: 1")
    assert [n.get("/a", f"Foo: {i}").text for i in (1, 2, 1)] == ["POST x", "GET ", "POST x"]


def test_it_is_what_its_own_backend_says(nginx, origin):
    """Where a variable names the backend, a GET of another one is another answer."""
    n = nginx.start(http="map $http_x_tenant $tenant { default a; b b; }",
                    location=f"location / {{ slab_cache one; set $up {origin.address}; proxy_pass http://$up/$tenant; }}")
    origin.handle("/a", lambda r: Reply(f"{r.method} a", headers=[*FRESH, "Content-Location: /x"]))
    origin.handle("/b", lambda r: Reply(f"{r.method} b", headers=[*FRESH, "Content-Location: /x"]))
    post(n, "/x", b"x", "X-Tenant: b")
    assert [n.get("/x", *h).text for h in ([], ["X-Tenant: b"])] == ["GET a", "POST b"]


# ---- what is not ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("reply", [
    lambda r: Reply("made", headers=[*FRESH, "Content-Location: /b"]),
    lambda r: Reply("made", headers=[*FRESH, "Content-Location: http://other/a"]),
    lambda r: Reply("made", headers=[*FRESH, "Content-Location: /a?x"]),
    lambda r: Reply("made", headers=[NAMED]),
    lambda r: Reply("made", headers=FRESH),
    lambda r: Reply("made", status=201, headers=[*FRESH, NAMED]),
    lambda r: Reply("made", status=206, headers=[*FRESH, NAMED, "Content-Range: bytes 0-3/9"]),
    lambda r: says(r, "Set-Cookie: a=b"),
    lambda r: Reply("made", headers=["Cache-Control: private, max-age=600", NAMED]),
    lambda r: Reply("made", headers=["Cache-Control: no-store, max-age=600", NAMED]),
    lambda r: Reply("made", headers=["Cache-Control: max-age=0", NAMED]),
    lambda r: says(r, "Vary: *"),
    lambda r: says(r, framing="chunked", truncate=3),
    lambda r: says(r, truncate=3),
], ids=["another URL", "another host", "another query", "no freshness", "no Content-Location", "created", "part", "cookie", "private",
        "no-store", "stale", "vary star", "chunks cut", "cut"])
def test_other_answers_are_no_gets(posts, origin, reply):
    origin.handle("/a", lambda r: reply(r) if r.method == "POST" else says(r))
    n = posts("slab_cache_valid 1h; proxy_http_version 1.1;")
    n.expect_log("prematurely closed")
    with contextlib.suppress(EOFError):
        post(n)
    assert n.get("/a").text == "GET "


@pytest.mark.parametrize("line", ["Cookie: a=b", "Authorization: Basic eDp5"])
def test_post_of_somebody_answers_nobody_else(posts, origin, line):
    origin.handle("/a", lambda r: Reply(r.method, headers=["Cache-Control: public, max-age=600", NAMED]))
    n = posts()
    post(n, "/a", b"x", line)
    assert n.get("/a").text == "GET"


def test_post_of_somebody_answers_who_the_key_says(posts, origin):
    n = posts("slab_cache_key $uri$http_cookie;")
    post(n, "/a", b"x", "Cookie: a=b")
    assert [n.get("/a", *c).text for c in ([], ["Cookie: a=b"])] == ["GET ", "POST x"]


@pytest.mark.parametrize("directives", [
    "slab_cache_key $uri$request_body;",
    "slab_cache_key $by_method$uri;",           # what it comes to for a GET is not known
    "slab_cache_key $proxy_host$uri;",          # nothing when a GET is looked up, and something now
    "rewrite ^/a$ /inner break;",
    "slab_no_cache $is_post;",
    "slab_cache_bypass $is_post;",
    "slab_no_cache $http_x_no;",
    "slab_cache_invalidate off;",
    "slab_cache_invalidate groups;",
    "slab_cache_min_uses 5;",
    "slab_cache_key_args drop=u;",
], ids=lambda d: d.rstrip(";").partition(" ")[2])
def test_where_a_get_is_or_may_be_another_matter_nothing_is_kept(posts, origin, directives):
    n = posts(directives, http="map $request_method $by_method { default same; } map $request_method $is_post { POST 1; default ''; }")
    origin.handle("*", lambda r: Reply(r.method, headers=[*FRESH, "Content-Location: "]))
    post(n, "/a?u=1", b"x", "X-No: 1")
    assert n.figures()["counters"]["fills_stored"] == 0
    assert n.get("/a?u=1").text == "GET"


def test_sliced_files_are_none(posts, origin):
    n = posts("slice 1m; proxy_set_header Range $slice_range; proxy_http_version 1.1;")
    post(n)
    assert n.get("/a").text == "GET "


def test_block_that_gets_do_not_come_to_is_another_location(posts):
    n = posts("if ($request_method = POST) { set $x 1; }")
    post(n)
    assert n.get("/a").text == "GET "


def test_answer_of_another_location_is_not_its_own(nginx, origin):
    origin.handle("*", lambda r: Reply(r.method, headers=[*FRESH, "Content-Location: /a"]))
    n = nginx.start(location=f"""
        location / {{ error_page 418 = @write; if ($request_method = POST) {{ return 418; }} slab_cache one; proxy_pass http://{origin.address}; }}
        location @write {{ slab_cache one; slab_cache_key $uri; proxy_pass http://{origin.address}; }}
        location = /key {{ slab_cache one; slab_cache_key /a; proxy_pass http://{origin.address}; }}""")
    assert post(n).text == "POST"
    assert [n.get(p).text for p in ("/a", "/key")] == ["GET", "GET"]


def test_client_that_hangs_up_leaves_nothing_half(posts, origin):
    go = threading.Event()
    origin.handle("/a", lambda r: Reply([b"x" * 5000, go, b"y"], headers=[*FRESH, NAMED]) if r.method == "POST" else says(r))
    n = posts("proxy_buffering off;", server="location /status { stub_status; }")
    with n.connect() as c:
        c.send("/a", "POST", body=b"x")
        c.read_header()
        c.abort()
    wait_until(lambda: "Active connections: 1 " in n.get("/status").text, "it has gone")
    go.set()
    assert n.get("/a").text == "GET "


def test_post_that_is_a_question_is_answered_from_the_cache_as_ever(posts, origin):
    n = posts("slab_cache_methods GET HEAD POST; slab_cache_key $uri$request_body;")
    assert [post(n).cache for _ in range(2)] == ["MISS", "HIT"]
    assert is_kept(n)


# ---- what was purged meanwhile ----------------------------------------------------------------------------------------------
@pytest.fixture
def held(posts, origin):
    """held(): nginx; held.ask(): a POST that the origin has, and does not answer before held.go is set."""
    class Held:
        def start(self, directives="", **kw):
            self.go = threading.Event()
            origin.handle("/a", lambda r: says(r, "Surrogate-Key: t1", before=self.go if r.body == b"x" else None))
            self.n = posts(directives, **kw)
            return self.n

        @contextlib.contextmanager
        def asking(self):
            before = origin.hits("/a")
            with self.n.connect() as c:
                c.send("/a", "POST", body=b"x")
                origin.wait_for_hits("/a", before + 1)
                yield
                self.go.set()
                assert c.read_body(c.read_header()).text == "POST x"
    return Held()


def purge_by(n, **what):
    answer = n.request("/_cache/v1/zones/one/purge", "POST", body=json.dumps(what).encode(), headers=["Content-Type: application/json"])
    assert answer.status == 200


@pytest.mark.parametrize("purge", [
    lambda n: n.purge("/a"),
    lambda n: n.purge("/*"),
    lambda n: purge_by(n, tags=["t1"]),
    lambda n: purge_by(n, globs=["localhost/*"]),
    lambda n: purge_by(n, tags_all=["t1"], **{"not": ["t2"]}),
    lambda n: purge_by(n, hosts=["localhost"], mode="soft"),
    lambda n: purge_by(n, all=True),
    lambda n: n.request("/a", "DELETE"),                                        # which nobody hears of: nothing of it is stored
    lambda n: post(n, "/a", b"y"),
    lambda n: n.request("/_cache/v1/zones/one/entry?ttl=600&url=http://localhost/a", "PUT", body=b"pushed"),
], ids=["URL", "prefix", "tag", "pattern", "tags", "soft", "all", "another method", "another POST", "push"])
@pytest.mark.parametrize("workers", [1, 2])
def test_purge_between_question_and_answer_wins(held, purge, workers):
    n = held.start(workers=workers)
    with held.asking():
        purge(n)
    assert n.get("/a").text != "POST x"
    post(n, "/a", b"z")
    assert is_kept(n, body="POST z")        # and the next one is none the worse for it


@pytest.mark.parametrize("purge", [lambda n: n.purge("/b"), lambda n: purge_by(n, tags=["t2"]), lambda n: purge_by(n, globs=["localhost/b*"]),
                                   lambda n: post(n, "/b")], ids=["URL", "tag", "pattern", "POST"])
def test_purge_of_something_else_does_not_matter(held, purge):
    n = held.start()
    with held.asking():
        purge(n)
    assert is_kept(n)


def test_purge_before_the_question_does_not_matter(held):
    n = held.start()
    n.purge("/a")
    post(n, "/b")
    n.request("/a", "DELETE")
    with held.asking():
        pass
    assert is_kept(n)


def test_purge_while_the_body_is_under_way_wins(posts, origin):
    go = threading.Event()
    origin.handle("/a", lambda r: Reply([b"x", go, b"y"], headers=[*FRESH, NAMED]) if r.method == "POST" else says(r))
    n = posts("proxy_buffering off;")
    with n.connect() as c:
        c.send("/a", "POST", body=b"x")
        answer = c.read_header()
        n.purge("/a")
        go.set()
        assert c.read_body(answer).text == "xy"
    assert n.get("/a").text == "GET "


@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize("workers", [1, 2])
def test_of_two_posts_at_once_the_later_is_not_hidden_by_the_other(posts, origin, first, workers):
    go = [threading.Event(), threading.Event()]
    origin.handle("/a", lambda r: says(r, before=go[int(r.body)] if r.body else None))
    n = posts(workers=workers)
    clients = [n.connect(), n.connect()]
    for i, c in enumerate(clients):
        c.send("/a", "POST", body=str(i).encode())
        origin.wait_for_hits("/a", i + 1)
    for i in (first, 1 - first):
        go[i].set()
        assert clients[i].read_body(clients[i].read_header()).text == f"POST {i}"
    assert n.get("/a").text == "GET "       # which of the two the origin did last nobody knows
    for c in clients:
        c.close()


def test_post_that_is_sent_while_another_is_answered_wins(posts, origin):
    go = threading.Event()
    origin.handle("/a", lambda r: Reply([b"old", go, b"er"], headers=[*FRESH, NAMED]) if r.body == b"x" else says(r))
    n = posts("proxy_buffering off;")
    with n.connect() as c:
        c.send("/a", "POST", body=b"x")
        answer = c.read_header()
        post(n, "/a", b"y")
        assert is_kept(n, body="POST y")
        go.set()
        assert c.read_body(answer).text == "older"
    assert is_kept(n, body="POST y")


@pytest.mark.parametrize("workers", [1, 2])
def test_get_that_asks_the_origin_while_the_body_is_under_way_wins(posts, origin, workers):
    go = threading.Event()
    origin.handle("/a", lambda r: Reply([b"old", go, b"er"], headers=[*FRESH, NAMED]) if r.method == "POST" else says(r))
    n = posts("proxy_buffering off;", workers=workers)
    with n.connect() as c:
        c.send("/a", "POST", body=b"x")
        answer = c.read_header()
        assert (n.get("/a").text, is_kept(n, body="GET ")) == ("GET ", True)
        go.set()
        assert c.read_body(answer).text == "older"
    assert is_kept(n, body="GET ")
    # The next one is none the worse for it. Its client has the whole answer a moment before nginx is done with the first one.
    wait_until(lambda: post(n, "/a", b"y") and n.get("/a").cache == "HIT", "the next one is stored")


def test_get_that_was_stored_before_the_answer_keeps_nothing_out(held):
    """It was asked for later than the POST, and goes by the POST's invalidation."""
    n = held.start()
    with held.asking():
        n.purge("/b")                           # moves the counter of purges
        assert (n.get("/a").text, is_kept(n, body="GET ")) == ("GET ", True)
    assert is_kept(n)


def test_get_in_flight_does_not_take_its_place(posts, origin):
    go = threading.Event()
    origin.handle("/a", lambda r: says(r, before=go if r.method == "GET" else None))
    n = posts()
    with n.connect() as c:
        c.send("/a")
        origin.wait_for_hits("/a", 1)
        post(n)
        assert is_kept(n)
        go.set()
        assert c.read_body(c.read_header()).text in ("GET ", "POST x")
    assert is_kept(n)


def test_other_workers_of_the_same_zone_know(posts):
    n = posts(workers=2)
    n.reload()
    post(n)
    assert all(is_kept(n) for _ in range(10))
    n.reload()
    assert is_kept(n)


def test_where_a_zone_takes_anothers_place_it_is_kept_as_soon_as_that_has_gone(posts):
    n = posts()
    n.get("/a")
    n.write(n.text.replace("one:16m", "one:24m"))
    n.reload()

    def kept():
        assert post(n).text == "POST x"
        return is_kept(n)
    wait_until(kept, "the old workers are gone")


def test_posts_of_which_nothing_is_kept_write_no_record(posts, origin):
    origin.handle("*", lambda r: Reply("x", headers=FRESH))
    n = posts()
    before = n.figures()["purge_seq"]
    for i in range(50):
        post(n, f"/{i}")
    assert n.figures()["purge_seq"] == before
    origin.handle("*", says)
    post(n)
    assert n.figures()["purge_seq"] == before + 1


def test_arguments_reach_the_origin_as_they_are(posts, origin):
    n = posts()
    post(n, "/a?b=1&a=2", b"x", "Content-Type: text/plain")
    request, = origin.requests("/a")
    assert (request.target, request_header(request, "Content-Length")) == ("/a?b=1&a=2", "1")
    assert is_kept(n, "/a?b=1&a=2")
