"""Methods beyond GET: HEAD that reaches the origin, unsafe ones, POST with Content-Location, QUERY."""
import contextlib
import threading

import pytest
from harness.origin import Reply, request_header
from harness.wait import wait_until

FRESH = ("Cache-Control: max-age=600",)


def versions(*names, **kw):
    """One reply after another, each with its name as body and tag."""
    return [Reply(name, headers=[*FRESH, f'ETag: "{name}"'], **kw) for name in names]


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "FROB"])
@pytest.mark.parametrize("status,gone", [(200, True), (303, True), (404, False), (500, False)])
def test_unsafe_method_invalidates_when_it_succeeds(cached, origin, method, status, gone):
    get, other = versions("one", "two")
    origin.handle("/a", lambda r: Reply("done", status=status) if r.method != "GET" else get)
    n = cached()
    n.get("/a")
    n.request("/a", method, body=b"x")
    assert n.get("/a").cache == ("MISS" if gone else "HIT")


def test_unsafe_method_invalidates_also_with_an_upgrade_on_offer(cached, origin):
    """Java's HttpClient, say, offers h2c with the first request of a connection."""
    origin.handle("/a", lambda r: Reply("x", headers=FRESH))
    n = cached()
    n.get("/a")
    offer = ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA")
    assert n.request("/a", "POST", headers=offer, body=b"x").why == "METHOD"
    assert n.get("/a").cache == "MISS"


def test_location_stays_without_the_word_for_it(cached, origin):
    origin.handle("/", lambda r: Reply("home", headers=FRESH))
    origin.handle("/login", lambda r: Reply("", status=302, headers=("Location: /",)))
    n = cached()
    n.get("/")
    n.request("/login", "POST", body=b"x")
    assert n.get("/").cache == "HIT"


def test_location_of_the_same_host_is_invalidated_too_where_the_word_is_there(cached, origin):
    origin.handle("/made", lambda r: Reply("made", headers=FRESH))
    origin.handle("/other", lambda r: Reply("other", headers=FRESH))
    origin.handle("/form", lambda r: Reply("", status=201, headers=("Location: /made", "Content-Location: http://elsewhere/other")))
    n = cached("slab_cache_invalidate unsafe location groups;")
    n.get("/made"), n.get("/other")
    n.request("/form", "POST", body=b"x")
    assert [n.get(p).cache for p in ("/made", "/other")] == ["MISS", "HIT"]


def test_invalidate_off_leaves_the_cache_alone(cached, origin):
    origin.handle("/a", lambda r: Reply("x", headers=FRESH))
    n = cached("slab_cache_invalidate off;")
    n.get("/a")
    n.request("/a", "POST", body=b"x")
    assert n.get("/a").cache == "HIT"


def test_group_invalidation_reaches_every_member(cached, origin):
    for p in ("/a", "/b", "/c"):
        group = '"news"' if p != "/c" else '"other"'
        origin.reply(p, p, headers=[*FRESH, f"Cache-Groups: {group}"])
    origin.reply("/publish", "ok", headers=('Cache-Group-Invalidation: "news"',))
    n = cached()
    for p in ("/a", "/b", "/c"):
        n.get(p)
    n.request("/publish", "POST", body=b"x")
    assert [n.get(p).cache for p in ("/a", "/b", "/c")] == ["MISS", "MISS", "HIT"]


REPLACE = "slab_cache_invalidate unsafe replace;"
OWN = "Content-Location: /a"


def post(n, path="/a", **kw):
    return n.request(path, "POST", body=b"x", **kw)


def says_its_method(*headers, **kw):
    return lambda r: Reply(r.method, headers=[*FRESH, *headers], **kw)


@pytest.mark.parametrize("directives,location,stored", [
    (REPLACE, OWN, True), (REPLACE, "Content-Location: http://localhost/a", True), (REPLACE, "Content-Location: /b", False),
    (REPLACE, "X-None: 1", False), ("", OWN, False), (REPLACE + "slab_cache_key $uri;", OWN, False),
    (REPLACE + "slab_cache_min_uses 2;", OWN, False)])
def test_post_whose_answer_is_its_url_takes_the_place_of_what_was_there(cached, origin, directives, location, stored):
    origin.handle("/a", says_its_method(location))
    n = cached(directives)
    n.get("/a")
    assert post(n).body == b"POST"
    answer = n.get("/a")
    assert (answer.cache, answer.body) == (("HIT", b"POST") if stored else ("MISS", b"GET"))
    assert [post(n).body for _ in range(2)] == [b"POST"] * 2      # never answered from the cache itself


@pytest.mark.parametrize("reply", [
    {"status": 201}, {"status": 404}, {"headers": ["Cache-Control: private"]}, {"headers": ["Set-Cookie: a=b"]},
    {"headers": ["Vary: *"]}, {"truncate": 2}])
def test_answer_to_a_post_that_a_get_could_not_get_is_not_stored(cached, origin, reply):
    reply = {**reply, "headers": [*FRESH, OWN, *reply.get("headers", [])]}
    origin.handle("/a", lambda r: Reply(r.method, **(reply if r.method == "POST" else {"headers": FRESH})))
    n = cached(REPLACE)
    if "truncate" in reply:
        n.expect_log("upstream prematurely closed connection")
    with n.connect() as c:
        c.send("/a", "POST", body=b"x")
        c.read_header()
        c.close()
    assert wait_until(lambda: n.get("/a").body == b"GET", "the page of a GET")


def test_answer_to_a_post_with_credentials_is_for_its_sender_alone(cached, origin):
    origin.handle("/a", says_its_method(OWN))
    n = cached(REPLACE)
    assert post(n, headers=["Authorization: Basic eDp5"]).body == b"POST"
    assert n.get("/a").body == b"GET"


def test_answer_to_a_post_is_stored_though_others_are_purged_meanwhile(cached, origin):
    gate = threading.Event()
    origin.handle("/a", says_its_method(OWN, before=gate))
    n = cached(REPLACE, workers=2)
    with n.connect() as c:
        c.send("/a", "POST", body=b"x")
        origin.wait_for_hits("/a", 1)
        for i in range(20):
            n.purge(f"/other{i}")
        gate.set()
        c.read_body(c.read_header())
    answer = n.get("/a")
    assert (answer.cache, answer.body) == ("HIT", b"POST")


@pytest.mark.parametrize("what", ["url", "prefix", "tag", "pattern", "post"])
def test_what_is_purged_while_a_post_is_answered_is_held_against_it(cached, origin, what):
    gate = threading.Event()
    origin.handle("/a", lambda r: Reply(r.body or r.method, headers=[*FRESH, OWN, "Surrogate-Key: t1"], before=gate if r.body == b"x" else None))
    n = cached(REPLACE, workers=2)
    with n.connect() as c:
        c.send("/a", "POST", body=b"x")
        origin.wait_for_hits("/a", 1)
        purge = {"url": lambda: n.purge("/a"), "prefix": lambda: n.purge("/*"), "tag": lambda: n.purge("/", "Surrogate-Key: t1"),
                 "pattern": lambda: n.purge("/*a"), "post": lambda: n.request("/a", "DELETE")}[what]
        assert purge().status < 300
        gate.set()
        assert c.read_body(c.read_header()).body == b"x"
    answer = n.get("/a")
    assert (answer.cache, answer.body) == ("MISS", b"GET")


def test_post_that_breaks_off_leaves_nothing_behind(cached, origin):
    origin.handle("/a", says_its_method(OWN, truncate=2))
    n = cached(REPLACE)
    n.expect_log("upstream prematurely closed connection")
    with n.connect() as c:
        c.send("/a", "POST", body=b"x")
        c.read_header()
    wait_until(lambda: n.figures()["memory"]["filling_bytes"] == 0, "the copy is given up")


def test_get_that_was_asked_before_a_post_does_not_take_its_place(cached, origin):
    gate = threading.Event()
    origin.handle("/a", lambda r: Reply(r.method, headers=[*FRESH, OWN], before=gate if r.method == "GET" else None))
    n = cached(REPLACE, workers=2)
    with n.connect() as c:
        c.send("/a")
        origin.wait_for_hits("/a", 1)
        assert post(n).body == b"POST"
        gate.set()
        assert c.read_body(c.read_header()).body == b"GET"
    assert [n.get("/a").body for _ in range(4)] == [b"POST"] * 4


def test_other_variants_go_when_a_post_replaces_one(cached, origin):
    origin.handle("/a", lambda r: Reply(f"{r.method} {request_header(r, 'X-Lang')}", headers=[*FRESH, OWN, "Vary: X-Lang"]))
    n = cached(REPLACE, workers=2)
    for lang in ("de", "en"):
        n.get("/a", f"X-Lang: {lang}")
    post(n, headers=["X-Lang: de"])
    assert [(a.cache, a.text) for a in (n.get("/a", f"X-Lang: {lang}") for lang in ("de", "en"))] == [("HIT", "POST de"), ("MISS", "GET en")]


BY_BODY = "slab_cache_methods GET HEAD POST; slab_cache_key $uri$is_args$args$request_body;"


def asked(r):
    return Reply(f"{r.method} ".encode() + r.body, headers=FRESH)


def test_post_is_answered_from_the_cache_by_what_it_asks(cached, origin):
    origin.handle("/graphql", asked)
    n = cached(BY_BODY)
    seen = [(a.cache, a.text) for a in (n.request("/graphql", "POST", body=b) for b in (b"x", b"y", b"x", b"y"))]
    assert seen == [("MISS", "POST x"), ("MISS", "POST y"), ("HIT", "POST x"), ("HIT", "POST y")]
    assert [r.body for r in origin.requests("/graphql")] == [b"x", b"y"]


def test_body_counts_only_where_the_key_says_so(cached, origin):
    origin.handle("/a", asked)
    n = cached("slab_cache_methods POST; slab_cache_key $uri;")
    assert [n.request("/a", "POST", body=b).text for b in (b"x", b"y")] == ["POST x", "POST x"]


def test_a_get_and_a_post_never_share_an_answer(cached, origin):
    origin.handle("/a", asked)
    n = cached("slab_cache_methods POST; slab_cache_key $uri;")
    seen = [(a.cache, a.text) for a in (n.request("/a", m, **kw) for m, kw in [("GET", {}), ("POST", {"body": b"x"})] * 2)]
    assert seen == [("MISS", "GET "), ("MISS", "POST x"), ("HIT", "GET "), ("HIT", "POST x")]


def test_body_counts_also_where_a_rewrite_has_looked_for_it_before_it_came(cached, origin):
    origin.handle("/a", asked)
    n = cached(BY_BODY + "if ($request_body = nonsense) { return 403; }")
    assert [n.request("/a", "POST", body=b).text for b in (b"x", b"y")] == ["POST x", "POST y"]


@pytest.mark.parametrize("size", [100_000, 50_000])
def test_post_whose_body_lies_in_a_file_or_is_long_passes_by(cached, origin, size):
    origin.handle("/a", lambda r: Reply(str(len(r.body)), headers=FRESH))
    n = cached(BY_BODY)
    assert [(a.text, a.why) for a in (n.request("/a", "POST", body=b"x" * size) for _ in range(2))] == [(str(size), "REQUEST_BODY")] * 2


def test_answer_to_a_post_that_may_not_be_stored_goes_to_its_client(cached, origin):
    origin.handle("/a", lambda r: Reply(b"did " + r.body, headers=("Cache-Control: no-store",)))
    n = cached(BY_BODY)
    assert [(a.text, a.why) for a in (n.request("/a", "POST", body=b) for b in (b"x", b"x", b"y"))] == [
        ("did x", "NO_STORE"), ("did x", "NO_STORE"), ("did y", "NO_STORE")]
    assert origin.hits("/a") == 3


def test_mutation_that_goes_by_takes_no_answers_away(cached, origin):
    origin.handle("/a", lambda r: asked(r) if r.body == b"x" else Reply("did", headers=("Cache-Control: no-store",)))
    n = cached(BY_BODY)
    for body in (b"x", b"y", b"y", b"z" * 100_000):
        n.request("/a", "POST", body=body)
    assert n.request("/a", "POST", body=b"x").cache == "HIT"


def test_post_is_purged_with_its_url(cached, origin):
    origin.handle("/a", asked)
    n = cached(BY_BODY)
    n.request("/a", "POST", body=b"x")
    n.purge("/a")
    assert n.request("/a", "POST", body=b"x").cache == "MISS"


# ---- a POST's answer that says it is a GET's (RFC 9110 9.3.3) --------------------------------------------------------------
WITH_POST = "slab_cache_methods GET HEAD POST;"


def names_itself(r, *lines, **kw):
    return Reply(f"{r.method} ".encode() + r.body, headers=[*FRESH, f"Content-Location: {r.target}", *lines], **kw)


@pytest.mark.parametrize("key", ["$uri$is_args$args$request_body", "$request_method $scheme$host$request_uri", "$request_uri", "$http_x_a$uri"])
@pytest.mark.parametrize("when", ["cold", "in place of a GET's"])
def test_post_that_names_its_own_url_answers_later_gets(cached, origin, key, when):
    origin.handle("/a", names_itself)
    n = cached(f"{WITH_POST} slab_cache_key '{key}';", workers=2)
    if when == "in place of a GET's":
        assert n.get("/a").text == "GET "
    assert n.request("/a", "POST", body=b"x").text == "POST x"
    assert (n.get("/a").cache, n.get("/a").text) == ("HIT", "POST x")
    assert n.request("/a", "POST", body=b"x").cache == "HIT"


@pytest.mark.parametrize("reply", [
    lambda r: Reply("made", headers=[*FRESH, "Content-Location: /b"]),
    lambda r: Reply("made", headers=["Content-Location: /a"]),
    lambda r: Reply("made", headers=FRESH),
    lambda r: Reply("made", status=201, headers=[*FRESH, "Content-Location: /a"]),
    lambda r: names_itself(r, "Set-Cookie: a=b"),
    lambda r: names_itself(r, framing="chunked", truncate=3),
], ids=["another URL", "no freshness", "no Content-Location", "created", "cookie", "cut"])
def test_other_answers_of_posts_are_no_gets(cached, origin, reply):
    origin.handle("/a", lambda r: reply(r) if r.method == "POST" else asked(r))
    n = cached(f"{WITH_POST} slab_cache_key $uri; slab_cache_valid 1h; proxy_http_version 1.1;")
    n.expect_log("prematurely closed")
    with contextlib.suppress(EOFError):
        n.request("/a", "POST", body=b"x")
    assert n.get("/a").text == "GET "


@pytest.mark.parametrize("directives", [
    "slab_cache_key $by_method$uri;",                                       # what it comes to for a GET is not known
    "slab_cache_key $uri; rewrite ^/a$ /inner break;",
], ids=["map", "rewrite"])
def test_where_the_key_of_a_get_is_not_known_no_post_answers_one(cached, origin, directives):
    origin.handle("*", lambda r: Reply(r.method, headers=[*FRESH, "Content-Location: /a"]))
    n = cached(WITH_POST + directives, http="map $request_method $by_method { default same; }")
    assert n.request("/a", "POST", body=b"x").text == "POST"
    assert [n.get(path).text for path in ("/a", "/inner")] == ["GET", "GET"]


def test_post_answers_the_get_of_its_own_url_alone(cached, origin):
    origin.handle("*", names_itself)
    n = cached(WITH_POST + "slab_cache_key $uri$request_body;")
    n.request("/a", "POST", body=b"b")
    assert [(path, n.get(path).text) for path in ("/ab", "/a", "/a?x")] == [("/ab", "GET "), ("/a", "POST b"), ("/a?x", "POST b")]


def test_post_answers_gets_of_its_own_variant(cached, origin):
    origin.handle("/a", lambda r: names_itself(r, "Vary: Foo"))
    n = cached(WITH_POST + "slab_cache_key $uri;")
    n.request("/a", "POST", headers=["Foo: 1"], body=b"x")
    assert [n.get("/a", f"Foo: {i}").text for i in (1, 2, 1)] == ["POST x", "GET ", "POST x"]
    assert n.request("/a", "POST", headers=["Foo: 1"], body=b"x").cache == "HIT"


def test_purge_wins_over_a_post_in_flight(cached, origin):
    go = threading.Event()
    origin.handle("/a", lambda r: names_itself(r, before=go if r.method == "POST" else None))
    n = cached(WITH_POST + "slab_cache_key $uri;")
    with n.connect() as c:
        c.send("/a", "POST", body=b"x")
        origin.wait_for_hits("/a", 1)
        n.purge("/a")
        go.set()
        assert c.read_body(c.read_header()).text == "POST x"
    assert n.get("/a").text == "GET "


def test_post_reaches_a_gateway_with_its_length_and_type(cached, origin):
    origin.handle("/a", asked)
    n = cached(BY_BODY)
    n.request("/a", "POST", headers=["Content-Type: application/json"], body=b"{}")
    request, = origin.requests("/a")
    assert (request_header(request, "Content-Type"), request_header(request, "Content-Length")) == ("application/json", "2")


def test_post_needs_a_key(nginx):
    code, out = nginx.test_config(location="location /q { slab_cache one; slab_cache_methods GET HEAD POST; }")
    assert code != 0
    assert ('"slab_cache_methods POST" in location "/q" needs a "slab_cache_key" that says which of them have the same answer, '
            'such as "$scheme$host$request_uri$request_body"') in out


def test_query_is_keyed_by_its_body(cached, origin):
    origin.handle("/search", lambda r: Reply(b"found " + r.body, headers=FRESH))
    n = cached("slab_cache_methods GET HEAD QUERY;")
    seen = [(a.cache, a.body) for a in (n.request("/search", "QUERY", body=b) for b in (b"x", b"y", b"x"))]
    assert seen == [("MISS", b"found x"), ("MISS", b"found y"), ("HIT", b"found x")]
    assert n.get("/search").cache == "MISS"


def test_query_is_stored_though_its_client_has_gone(cached, origin):
    gate = threading.Event()
    origin.reply("/search", "found", headers=FRESH, before=gate)
    origin.reply("/other", "other", headers=["Cache-Control: no-store"])
    n = cached("slab_cache_methods GET HEAD QUERY;", server="location /status { stub_status; }")
    with n.connect() as c:
        c.send("/search", "QUERY", body=b"x")
        origin.wait_for_hits("/search", 1)
        c.abort()
    wait_until(lambda: "Active connections: 2 " in n.get("/status").text, "only the fill is left beside this one")
    assert {n.get("/other").text for _ in range(5)} == {"other"}    # the memory of the client is used for others
    gate.set()
    assert n.request("/search", "QUERY", body=b"x").text == "found"
    assert origin.hits("/search") == 1


def test_query_without_a_body_is_stored(cached, origin):
    origin.reply("/search", "found", headers=FRESH)
    n = cached("slab_cache_methods GET HEAD QUERY;")
    assert [n.request("/search", "QUERY", body=b"").cache for _ in range(2)] == ["MISS", "HIT"]


def test_query_is_left_alone_unless_listed(cached, origin):
    origin.handle("/search", lambda r: Reply(b"found " + r.body, headers=FRESH))
    n = cached()
    for _ in range(2):
        answer = n.request("/search", "QUERY", body=b"x")
        assert (answer.body, answer.why) == (b"found x", "METHOD")


@pytest.mark.parametrize("tag,status", [("one", "HIT"), ("two", "EXPIRED")])
def test_head_at_the_origin_that_differs_makes_the_get_stale(cached, origin, tag, status):
    get, = versions("one")
    origin.handle("/a", lambda r: Reply("", headers=[*FRESH, f'ETag: "{tag}"'], framing="none")
                  if r.method == "HEAD" else get)
    n = cached("slab_cache_methods GET;", server="")
    n.get("/a")
    n.request("/a", "HEAD")
    assert n.get("/a").cache in (status, "STALE" if status == "EXPIRED" else status)
