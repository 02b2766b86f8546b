"""entry?url= of the admin API: explain, push, exact purge."""
import json
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote

import pytest
from harness.origin import Reply, request_header
from harness.wait import wait_until

FRESH = ("Cache-Control: max-age=600",)


def url_of(n, path):
    return f"http://localhost:{n.port}{path}"


def entry(n, path, method="GET", query="", **kw):
    """`path`: of a request that says Host: localhost."""
    return n.request(f"/_cache/v1/zones/one/entry?url={quote('http://localhost' + path, safe='')}{query}", method, **kw)


def explain(n, path, query=""):
    answer = entry(n, path, query=query)
    assert answer.status == 200, answer
    return json.loads(answer.body)


def purge(n, **what):
    answer = n.request("/_cache/v1/zones/one/purge", "POST", body=json.dumps(what).encode(),
                       headers=("Content-Type: application/json",))
    assert answer.status == 200, answer
    return json.loads(answer.body)["seq"]


def push(n, path, body=b"pushed", query="&ttl=60", headers=()):
    return entry(n, path, "PUT", query, body=body, headers=headers)


# ---- explain ------------------------------------------------------------------------------------------------------
def test_explains_a_stored_object(cached, origin):
    origin.reply("/a", "hello", headers=["Cache-Control: max-age=100", "Surrogate-Key: red blue", "Content-Type: text/x"])
    n = cached()
    n.get("/a")
    said = explain(n, "/a", "&tag=red")
    assert said["stored"] and said["key"] == "http|localhost|/a" and said["complete"]
    one = said["entries"][0]
    assert one["status"] == 200 and one["body_bytes"] == 5 and one["validity"] == "valid" and one["fresh"]
    assert 95 <= one["ttl_sec"] <= 100 and 0 <= one["age_sec"] <= 5
    assert ["Content-Type", "text/x"] in one["headers"]
    assert said["tag"] == {"tag": "red", "present": True}
    assert explain(n, "/a", "&tag=green")["tag"]["present"] is False
    assert "why" not in said


def test_explains_that_a_purge_took_it(cached, origin):
    origin.reply("/a", "hello", headers=FRESH)
    n = cached()
    n.get("/a")
    purge(n, urls=["http://localhost/a"])
    said = explain(n, "/a")
    assert not said["stored"] and said["why"]["reason"] == "PURGED"


def test_explains_the_variants_of_a_url(cached, origin):
    origin.handle("/a", lambda r: Reply("body", headers=[*FRESH, "Vary: X-Kind"]))
    n = cached()
    for kind in ("one", "two"):
        n.get("/a", f"X-Kind: {kind}")
    said = explain(n, "/a")
    assert said["stored"]
    assert [e["vary"] for e in said["entries"] if "vary" in e] == [["x-kind"]]
    assert len([e for e in said["entries"] if "status" in e]) == 2


# What is said in words. `headers` None: nobody asked.
SENTENCES = [
    (["Cache-Control: max-age=100"], None, r"Stored, \d s old, and fresh for another \d\d+ s: requests get it from the cache\."),
    (["Cache-Control: max-age=86400", "Age: 7200"], None, r"Stored, 2 h old, and fresh for another 2[12] h: .*"),
    (["Cache-Control: max-age=864000"], None, r"Stored, \d s old, and fresh for another (9|10) days: .*"),
    (["Cache-Control: max-age=100"], "soft", r"Stored, \d s old, purged softly: the next request has the origin asked\. "
                                             r"Until that answers it may be served, for another \d\d+ s\."),
    (["Cache-Control: max-age=100, stale-while-revalidate=3600"], "soft", r".* Until that answers it may be served, for another 61 min\."),
    (["Cache-Control: max-age=100"], "hard", r"Not stored: it was purged, and nobody has asked for it since\."),
    (["Cache-Control: private"], None, r"Not stored: Cache-Control: private \(PRIVATE\)\."),
    (["Cache-Control: max-age=9", "Set-Cookie: a=b"], None, r"Not stored: the response sets a cookie \(SET_COOKIE\)\."),
    ([], None, r"Not stored: neither response nor slab_cache_valid names a lifetime \(NO_FRESHNESS\)\."),
    (None, None, r"Not stored, and no request for it came here lately\.")]


@pytest.mark.parametrize("headers, mode, sentence", SENTENCES, ids=[s[2][:60] for s in SENTENCES])
def test_says_it_in_a_sentence(cached, origin, headers, mode, sentence):
    n = cached()
    if headers is not None:
        origin.reply("/a", "x", headers=headers)
        n.get("/a")
    if mode:
        purge(n, urls=["http://localhost/a"], mode=mode)
    assert re.fullmatch(sentence, explain(n, "/a")["sentence"]), explain(n, "/a")


def test_says_of_variants_how_many_are_fresh(cached, origin):
    origin.handle("/a", lambda r: Reply("body", headers=[f"Cache-Control: max-age={60 if request_header(r, 'X-Kind') == 'one' else 1}", "Vary: X-Kind"]))
    n = cached()
    for kind in ("one", "two"):
        n.get("/a", f"X-Kind: {kind}")
    wait_until(lambda: "1 of them fresh" in explain(n, "/a")["sentence"], "one is stale")
    assert re.fullmatch(r"2 variants are stored, 1 of them fresh, for another \d\d s at most: a request that one of these fits gets it from the cache\.",
                        explain(n, "/a")["sentence"])


def test_says_what_is_done_with_it_should_the_origin_fail(cached, origin):
    origin.reply("/a", "x", headers=["Cache-Control: max-age=1"])
    n = cached()
    n.get("/a")
    wait_until(lambda: re.fullmatch(r".* asked\. Should that fail, it may be served, for another \d\d min\.", explain(n, "/a")["sentence"]), "it is stale")


def test_says_for_how_long_an_object_is_stale(cached, origin):
    origin.reply("/a", "x", headers=["Cache-Control: max-age=1"])
    n = cached("slab_cache_stale if_error=0;")
    n.get("/a")
    wait_until(lambda: re.fullmatch(r"Stored, \d s old, stale for [01] s: the next request has the origin asked\.", explain(n, "/a")["sentence"]), "it is stale")


def test_finds_objects_under_another_key(cached, origin):
    origin.reply("/a", "x", headers=FRESH)
    n = cached("slab_cache_key $uri;")
    n.get("/a")
    said = explain(n, "/a")
    assert said["stored"] and said["entries"][0]["key"] == "/a"


@pytest.mark.parametrize("headers, reason", [
    (["Cache-Control: private"], "PRIVATE"), (["Cache-Control: no-store"], "NO_STORE"), ([], "NO_FRESHNESS"),
    (["Cache-Control: max-age=9", "Set-Cookie: a=b"], "SET_COOKIE"),
])
def test_says_why_a_url_is_not_stored(cached, origin, headers, reason):
    origin.reply("/a", "x", headers=headers)
    n = cached()
    n.get("/a")
    said = explain(n, "/a")
    assert not said["stored"] and said["why"]["reason"] == reason and said["why"]["sentence"]


def test_says_that_a_url_was_never_seen(cached):
    assert explain(cached(), "/never")["why"]["reason"] == "NOT_STORED"


def test_says_that_an_object_was_purged(cached, origin):
    origin.reply("/a", "x", headers=FRESH)
    n = cached()
    n.get("/a")
    n.purge("/a")
    said = explain(n, "/a")
    assert not said["stored"]
    assert said["entries"] == [] or said["entries"][0]["validity"] == "purged"


# ---- explain, for a request with these fields ---------------------------------------------------------------------
def explain_for(n, path, *fields):
    return explain(n, path, "".join("&header=" + quote(f, safe="") for f in fields))


def chosen(said):
    """Whether something fits, and the language of what does."""
    entries = [said["entries"][i] for i in said["request"]["entries"]]
    return said["request"]["fits"], [dict(e["headers"]).get("Content-Language") for e in entries]


@pytest.fixture
def two_languages(cached, origin):
    """A URL of two variants, de and en."""
    def page(r):
        lang = request_header(r, "Accept-Language")
        return Reply(lang, headers=["Cache-Control: max-age=600", "Vary: Accept-Language", f"Content-Language: {lang}"])

    origin.handle("/a", page)
    n = cached()
    for lang in ("de", "en"):
        n.get("/a", f"Accept-Language: {lang}")
    return n


def test_explains_which_variant_a_request_gets(two_languages):
    n = two_languages
    said = explain_for(n, "/a", "Accept-Language: de")
    assert chosen(said) == (True, ["de"]) and "why" not in said
    assert re.fullmatch(r"A request with these fields gets what is stored for it, \d s old, and fresh for another \d+ min\.", said["sentence"])
    assert chosen(explain_for(n, "/a", "X-Other: x", "accept-language:EN")) == (True, ["en"])
    assert "request" not in explain(n, "/a")


def test_explains_that_no_variant_fits(two_languages):
    n = two_languages
    for fields in (["Accept-Language: fr"], ["X-Other: de"], ["Accept-Language: de", "Accept-Language: en"]):
        said = explain_for(n, "/a", *fields)
        assert chosen(said) == (False, []) and said["stored"] and said["why"]["reason"] == "VARIANT"
        assert said["sentence"] == "2 variants are stored, none for a request with these fields."
    assert n.get("/a", "Accept-Language: fr").cache == "MISS"
    assert chosen(explain_for(n, "/a", "Accept-Language: fr")) == (True, ["fr"])


def test_a_purged_variant_fits_nobody(two_languages):
    n = two_languages
    purge(n, urls=["http://localhost/a"])
    said = explain_for(n, "/a", "Accept-Language: de")
    assert chosen(said) == (False, []) and not said["stored"] and said["why"]["reason"] == "PURGED"


def test_explains_what_of_a_stale_variant_a_request_gets(two_languages):
    n = two_languages
    purge(n, urls=["http://localhost/a"], mode="soft")
    assert explain_for(n, "/a", "Accept-Language: de")["sentence"].startswith("For a request with these fields a response is stored, ")


def test_variants_are_found_by_the_cookies_that_their_location_looks_at(nginx, origin):
    origin.handle("*", lambda r: Reply("x", headers=[*FRESH, "Vary: Cookie"]))
    n = nginx.start(location=f"""
        location / {{ slab_cache one; proxy_pass http://{origin.address}; }}
        location /s/ {{ slab_cache one; slab_cache_vary Cookie=sessionid; proxy_pass http://{origin.address}; }}
        location /t/ {{ slab_cache one; slab_cache_vary Cookie=token; proxy_pass http://{origin.address}; }}
        location /_cache/ {{ slab_cache_api; }}""")
    for path in ("/s/a", "/t/a", "/a"):
        n.get(path, "Cookie: x=1; sessionid=me")
    fits = {(path, cookie): explain_for(n, path, f"Cookie: {cookie}")["request"]["fits"]
            for path in ("/s/a", "/t/a", "/a") for cookie in ("sessionid=me; x=2", "sessionid=you", "token=me", "x=1; sessionid=me")}
    for (path, cookie), said in fits.items():
        assert said == (n.get(path, f"Cookie: {cookie}").cache == "HIT"), (path, cookie)


def test_what_does_not_vary_is_for_everybody_but_those_with_credentials(cached, origin):
    origin.reply("/a", "x", headers=FRESH)
    origin.reply("/b", "x", headers=["Cache-Control: public, max-age=600"])
    n = cached()
    n.get("/a"), n.get("/b")
    assert explain_for(n, "/a", "Cookie: a=b")["request"] == {"fits": True, "entries": [0]}
    said = explain_for(n, "/a", "Authorization: Bearer x")
    assert said["request"] == {"fits": False, "entries": []} and said["why"]["reason"] == "AUTHORIZATION"
    assert said["sentence"].startswith("One response is stored, but not for a request with these fields: ")
    assert explain_for(n, "/b", "Authorization: Bearer x")["request"]["fits"]


def test_of_keys_with_cookies_in_them_nothing_is_told(cached, origin):
    origin.handle("*", lambda r: Reply("x", headers=FRESH))
    n = cached("slab_cache_key $uri$cookie_a;")
    n.get("/a", "Cookie: a=b")
    said = explain_for(n, "/a", "Cookie: a=b")
    assert said["request"] == {"fits": None, "entries": []} and "cannot be told" in said["sentence"] and "why" not in said
    n.get("/b")
    assert explain_for(n, "/b", "Cookie: a=b")["request"]["fits"] is None


def test_a_key_of_the_url_alone_is_followed(cached, origin):
    origin.handle("*", lambda r: Reply("x", headers=[*FRESH, "Vary: X-Kind"]))
    n = cached("slab_cache_key $uri;")
    n.get("/a", "X-Kind: one")
    assert explain_for(n, "/a", "X-Kind: one")["request"]["fits"] is True
    assert explain_for(n, "/a", "X-Kind: two")["request"]["fits"] is False


def test_marks_hold_for_requests_of_their_kind(cached, origin):
    origin.handle("/a", lambda r: Reply("x", headers=["Cache-Control: private" if request_header(r, "Cookie") else "Cache-Control: no-store"]))
    n = cached()
    n.get("/a", "Cookie: a=b")
    wait_until(lambda: n.get("/a") and explain_for(n, "/a", "X-Other: x")["why"]["reason"] == "NO_STORE", "a mark; it may be lost")
    asked = {"Cookie: other=x": "PRIVATE", "X-Other: x": "NO_STORE", "Authorization: x": "NO_STORE"}     # the last one: of the route
    assert {f: explain_for(n, "/a", f)["why"]["reason"] for f in asked} == asked
    assert explain_for(n, "/never", "Cookie: a=b")["why"]["reason"] == "NOT_STORED"


def test_a_mark_of_a_kind_of_request_comes_before_that_nothing_fits(cached, origin):
    """With a cookie the page is private, without one it varies: the mark lies where the variant would be."""
    origin.handle("/a", lambda r: Reply("x", headers=["Cache-Control: private"] if request_header(r, "Cookie") else [*FRESH, "Vary: X-Kind"]))
    n = cached()
    n.get("/a", "X-Kind: one")
    n.get("/a", "X-Kind: two", "Cookie: a=b")
    said = explain_for(n, "/a", "X-Kind: two", "Cookie: a=b")
    assert chosen(said)[0] is False and said["why"]["reason"] == "PRIVATE"
    assert said["sentence"] == "One response is stored, but not for a request with these fields: Cache-Control: private (PRIVATE)."
    assert explain_for(n, "/a", "X-Kind: two")["why"]["reason"] == "VARIANT"
    assert explain_for(n, "/a", "X-Kind: one", "Cookie: a=b")["request"]["fits"]


def test_explaining_changes_nothing(cached, origin):
    origin.reply("/a", "x", headers=FRESH)
    n = cached()
    n.get("/a")
    for _ in range(5):
        explain(n, "/a")
    assert explain(n, "/a")["entries"][0]["uses"] == 0
    assert n.get("/a").cache == "HIT"


@pytest.mark.parametrize("query", ["", "?url=", "?url=ftp://x/", "?url=http://", "?url=http://a:x/", "?url=http://a@b/",
                                   "?url=" + "x" * 17000])
def test_refuses_what_is_no_url(cached, query):
    n = cached(server="large_client_header_buffers 4 64k;")
    answer = n.get("/_cache/v1/zones/one/entry" + query)
    assert answer.status == 400 and answer.header("Content-Type") == "application/problem+json"


def test_a_url_that_is_no_utf8_is_a_problem_document_or_an_answer(cached):
    n = cached()
    for what in ("/_cache/v1/zones/%ff", "/_cache/v1/zones/one/entry?url=%ff%fe", "/_cache/v1/zones/one/entry?url=http://h/%c3%28"):
        answer = n.get(what)
        assert answer.status in (200, 400, 404), answer
        json.loads(answer.body)


def test_a_path_means_the_host_that_is_asked(cached, origin):
    origin.reply("/a", "x", headers=FRESH)
    n = cached()
    n.get("/a")
    assert json.loads(n.get("/_cache/v1/zones/one/entry?url=/a").body)["stored"]


# ---- exact purge --------------------------------------------------------------------------------------------------
def test_delete_purges_exactly_the_url(cached, origin):
    origin.handle("*", lambda r: Reply(r.target, headers=FRESH))
    n = cached()
    paths = ("/a", "/a?x=1", "/a/b")
    for p in paths:
        n.get(p)
    answer = entry(n, "/a", "DELETE")
    assert answer.status == 200 and json.loads(answer.body)["accepted"] == 1
    assert [n.get(p).cache for p in paths] == ["MISS", "HIT", "HIT"]


def test_delete_of_a_star_is_no_prefix(cached, origin):
    origin.handle("*", lambda r: Reply(r.target, headers=FRESH))
    n = cached()
    n.get("/a/b")
    entry(n, "/a/*", "DELETE")
    assert n.get("/a/b").cache == "HIT"


# ---- push ---------------------------------------------------------------------------------------------------------
def test_pushed_response_is_served_as_it_came(cached, origin):
    n = cached()
    answer = push(n, "/p", b"made beforehand", "", headers=(
        "Content-Type: text/html; charset=utf-8", "Cache-Control: max-age=60", 'ETag: "v1"', "X-Response-X-Frame-Options: DENY",
        "User-Agent: x", "X-Other: no"))
    assert answer.status == 201, answer
    got = n.get("/p")
    assert got.cache == "HIT" and got.body == b"made beforehand"
    assert got.header("Content-Type") == "text/html; charset=utf-8" and got.header("ETag") == '"v1"'
    assert got.header("X-Frame-Options") == "DENY" and got.header("X-Other") is None and got.header("User-Agent") is None
    assert got.header("Content-Length") == "15" and got.header("Age") is not None
    assert n.get("/p", 'If-None-Match: "v1"').status == 304
    assert n.get("/p", "Range: bytes=0-3").body == b"made"
    assert origin.requests() == []


def test_push_replaces_what_was_stored(cached, origin):
    origin.reply("/p", "old", headers=FRESH)
    n = cached()
    n.get("/p")
    assert push(n, "/p", b"new").status == 201
    assert n.get("/p").body == b"new"


def test_push_of_a_large_body_and_of_none(cached):
    n = cached(server="client_max_body_size 2m;", workers=2)
    large = bytes(range(256)) * 3000
    assert push(n, "/l", large).status == 201 and push(n, "/e", b"").status == 201
    assert n.get("/l").body == large and n.get("/e").body == b""


def test_pushed_status_and_lifetime(cached, origin):
    n = cached()
    assert push(n, "/gone", b"no more", "&status=410&ttl=60").status == 201
    got = n.get("/gone")
    assert got.status == 410 and got.body == b"no more" and got.cache == "HIT"
    assert 55 <= explain(n, "/gone")["entries"][0]["ttl_sec"] <= 60


def test_pushed_tags_can_be_purged(cached, origin):
    origin.reply("/p", "from the origin", headers=FRESH)
    n = cached()
    push(n, "/p", headers=("Surrogate-Key: red blue",))
    assert n.get("/p").body == b"pushed" and n.get("/p").header("Surrogate-Key") is None
    purge(n, tags=["blue"])
    assert n.get("/p").body == b"from the origin"


@pytest.mark.parametrize("query, headers, status", [
    ("", (), 422), ("&ttl=0", (), 400), ("&ttl=x", (), 400), ("&status=99&ttl=5", (), 400), ("&status=304&ttl=5", (), 422),
    ("&status=206&ttl=5", (), 422), ("&ttl=5", ("Cache-Control: no-store",), 422), ("&ttl=5", ("Cache-Control: private",), 422),
    ("&ttl=5", ("Vary: *",), 422), ("&ttl=5", ("Vary: a, *",), 422), ("&ttl=5", ("Set-Cookie: a=b",), 422),
    ("&ttl=5", ("X-Response-Set-Cookie: a=b",), 422), ("&ttl=5", ("If-Purge-Seq: x",), 400),
    ("&ttl=5", ("If-Purge-Seq: 999999",), 400), ("&ttl=5", ("If-Purge-Seq: 99999999999999999999999999",), 400),
])
def test_refuses_to_push_what_could_not_be_stored(cached, query, headers, status):
    n = cached()
    answer = push(n, "/p", query=query, headers=headers)
    assert answer.status == status and answer.header("Content-Type") == "application/problem+json", answer
    assert not explain(n, "/p")["stored"]


def test_push_above_max_object_is_refused(cached):
    n = cached(server="client_max_body_size 0;", zone="slab_cache_zone zone=one:16m max_object=64k;")
    assert push(n, "/p", b"x" * 65537).status == 413
    assert push(n, "/p", b"x" * 65530).status == 413          # with its header above the bound
    assert push(n, "/p", b"x" * 60000).status == 201


@pytest.mark.parametrize("selector", [{"urls": ["http://localhost/x/p"]}, {"tags": ["t"]}, {"hosts": ["localhost"]},
                                      {"prefixes": ["localhost/x/"]}, {"all": True},
                                      {"tags": ["t"], "mode": "soft"}])
def test_fence_stops_a_push_that_a_purge_has_overtaken(cached, selector):
    n = cached(workers=2)
    fence = purge(n, urls=["http://localhost/x/p"])
    assert push(n, "/x/p", headers=(f"If-Purge-Seq: {fence}", "Surrogate-Key: t")).status == 201
    purge(n, **selector)
    answer = push(n, "/x/p", b"late", headers=(f"If-Purge-Seq: {fence}", "Surrogate-Key: t"))
    assert answer.status == 412 and json.loads(answer.body)["reason"] == "PURGED_INFLIGHT"


def test_fence_lets_pass_what_other_purges_touch(cached):
    n = cached()
    fence = purge(n, urls=["http://localhost/p"])
    purge(n, urls=["http://localhost/other"], tags=["other"], hosts=["elsewhere"])
    assert push(n, "/p", headers=(f"If-Purge-Seq: {fence}",)).status == 201


def test_purge_that_comes_while_a_push_is_sent_wins(cached, origin):
    origin.reply("/p", "new", headers=FRESH)
    n = cached(workers=2)
    with n.connect() as c:
        c.send_raw(b"PUT /_cache/v1/zones/one/entry?url=http://localhost/p&ttl=60 HTTP/1.1\r\nHost: localhost\r\n"
                   b"Content-Length: 10\r\nExpect: 100-continue\r\n\r\nhalf ")
        while b"100 Continue" not in c.buffer:      # nginx reads the body: the push has begun
            c.more()
        purge(n, urls=["http://localhost/p"])
        c.send_raw(b"after")
        assert c.read_header().status == 412
    assert n.get("/p").body == b"new"


def test_fill_in_flight_before_a_purge_does_not_replace_the_push_after_it(cached, origin):
    gate = threading.Event()
    origin.reply("/p", "old", headers=FRESH, before=gate)
    n = cached(workers=2)
    with ThreadPoolExecutor() as pool:
        early = pool.submit(n.get, "/p")
        origin.wait_for_hits("/p", 1)
        fence = purge(n, urls=["http://localhost/p"])
        assert push(n, "/p", b"new", headers=(f"If-Purge-Seq: {fence}",)).status == 201
        gate.set()
        early.result()
    for _ in range(10):
        assert n.get("/p").body == b"new"


# ---- what is not allowed ------------------------------------------------------------------------------------------
def test_methods_it_does_not_know_are_405_and_say_which_it_does(cached):
    n = cached()
    answer = entry(n, "/a", "POST", body=b"{}", headers=("Content-Type: application/json",))
    assert answer.status == 405 and "PUT" in answer.header("Allow")
    assert n.request("/_cache/v1/zones/one/purge").status == 405


def test_without_write_nothing_is_pushed_or_purged(nginx, origin):
    origin.reply("/a", "x", headers=FRESH)
    nginx.start(location=f"""location / {{ slab_cache one; proxy_pass http://{origin.address}; }}
                             location /_cache/ {{ slab_cache_api; allow 127.0.0.1; deny all; }}""")
    nginx.get("/a")
    assert push(nginx, "/a").status == 403 and entry(nginx, "/a", "DELETE").status == 403
    got = nginx.get("/a")
    assert got.cache == "HIT" and got.body == b"x"


def test_body_of_a_refused_request_is_not_read_as_the_next_one(cached):
    n = cached()
    smuggled = b"GET /_cache/v1/zones HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with n.connect() as c:
        c.send("/_cache/v1/nosuch", "POST", body=smuggled)
        assert c.read_body(c.read_header()).status == 404
        c.send("/_cache/v1/nosuch2")
        assert c.read_body(c.read_header()).status == 404
