"""One URL with several answers: each is its own, purges and explain find them all, a restart forgets none."""
import json
import pathlib
import tempfile
from urllib.parse import quote

import pytest
from harness.nginx import PATIENT
from harness.origin import Reply

FRESH = ["Cache-Control: max-age=600"]
SLOTS = 8       # answers that one URL may have at a time
SHM = pathlib.Path("/dev/shm")
API = "location /_cache/ { slab_cache_api write=on; allow 127.0.0.1; deny all; }"


@pytest.fixture
def ways(cached, origin):
    """Every request is answered by the backend's path that its X-Way names: an identity for each."""
    origin.handle("*", lambda r: Reply(r.target, headers=[*FRESH, "Surrogate-Key: red"]))

    def start(**kw):
        return cached(**kw, server=f"""
            location /page {{ slab_cache one; slab_cache_purge PURGE from 127.0.0.1; proxy_pass http://{origin.address}/$http_x_way; }}""")
    return start


def ask(n, way, path="/page"):
    answer = n.get(path, f"X-Way: {way}")
    assert answer.text == f"/{way}"
    return answer.cache


def fill(n, names):
    assert [ask(n, w) for w in names] == ["MISS"] * len(names)
    assert [ask(n, w) for w in names] == ["HIT"] * len(names)


def api(n, body):
    answer = n.request("/_cache/v1/zones/one/purge", "POST", headers=["Content-Type: application/json"], body=json.dumps(body).encode())
    assert answer.status == 200, answer.text


def entry(n, method, path="/page"):
    return n.request(f"/_cache/v1/zones/one/entry?url={quote('http://localhost' + path, safe='')}", method)


def test_a_url_has_as_many_answers_as_slots(ways):
    fill(ways(), "abcdefgh"[:SLOTS])


def test_of_more_answers_than_slots_nobody_gets_anothers(ways):
    n = ways(workers=2)
    names = "abcdefghijkl"
    for _ in range(4):
        for w in names:
            ask(n, w)
    assert sum(ask(n, w) == "HIT" for w in names) >= SLOTS - 1


def test_explain_shows_every_answer_of_a_url(ways):
    n = ways()
    fill(n, "abcde")
    said = json.loads(entry(n, "GET").body)
    assert said["stored"] and len(said["entries"]) == 5
    assert {(e["validity"], e["body_bytes"], e["fresh"]) for e in said["entries"]} == {("valid", 2, True)}


@pytest.mark.parametrize("purge", [
    lambda n: n.purge("/page"),
    lambda n: n.purge("/p*e"),
    lambda n: n.purge("/p*", "X-Way: none"),
    lambda n: n.purge("/", "Surrogate-Key: red"),
    lambda n: entry(n, "DELETE"),
    lambda n: api(n, {"urls": ["http://localhost/page"]}),
    lambda n: api(n, {"prefixes": ["http://localhost/"]}),
    lambda n: api(n, {"hosts": ["localhost"]}),
    lambda n: api(n, {"globs": ["localhost/*age"]}),
    lambda n: api(n, {"tags_all": ["red"]}),
    lambda n: api(n, {"all": True}),
    lambda n: n.request("/page", "POST", body=b"x"),
], ids=["PURGE", "PURGE of a glob", "PURGE of a prefix", "PURGE of a tag", "DELETE", "url", "prefix", "host", "glob", "tags_all", "all", "POST"])
def test_purge_takes_every_answer_of_a_url(ways, purge):
    n = ways(workers=2)
    fill(n, "abcde")
    purge(n)
    assert [ask(n, w) for w in "abcde"] == ["MISS"] * 5
    assert [ask(n, w) for w in "abcde"] == ["HIT"] * 5


def test_purge_of_another_url_takes_none(ways):
    n = ways()
    fill(n, "abc")
    entry(n, "DELETE", "/page2")
    n.purge("/pag")
    assert [ask(n, w) for w in "abc"] == ["HIT"] * 3


def test_soft_purge_makes_every_answer_stale(ways):
    n = ways()
    fill(n, "abc")
    n.purge("/page", "Fastly-Soft-Purge: 1")
    assert "HIT" not in [ask(n, w) for w in "abc"]


# ---- restart -----------------------------------------------------------------------------------------------------------
FORMS = {
    "front controller": ("location / { try_files /none /index.php?q=$uri; } location = /index.php { slab_cache one; proxy_pass http://@O@; }",
                         [("/a", ()), ("/b", ())]),
    "rewrite": ("location / { slab_cache one; rewrite ^/(.*)$ /in/$1 break; proxy_pass http://@O@; }", [("/a", ()), ("/b?x", ())]),
    "if": ("location / { slab_cache one; if ($http_x_way = b) { proxy_pass http://@O@; } proxy_pass http://@O@/other/; }",
           [("/a", ()), ("/a", ("X-Way: b",))]),
    "variables": ("location / { slab_cache one; proxy_pass http://@O@/$http_x_way; }", [("/a", (f"X-Way: {w}",)) for w in "abcd"]),
    "named": ("location / { try_files /none @app; } location @app { slab_cache one; proxy_pass http://@O@; }", [("/a", ()), ("/b", ())]),
    "regex": (r"location ~ ^/(?<who>\w+)/ { slab_cache one; proxy_pass http://@O@/$who?$args; }", [("/a/x", ()), ("/b/x?y", ())]),
    "key": ("location / { slab_cache one; slab_cache_key $uri $http_x_way; proxy_pass http://@O@; }", [("/a", ()), ("/a", ("X-Way: b",))]),
}


@pytest.mark.skipif(not SHM.is_dir(), reason="there is no /dev/shm")
@pytest.mark.parametrize("form", FORMS)
def test_answers_are_found_again_after_a_restart_with_a_file(nginx, origin, form):
    origin.handle("*", lambda r: Reply(r.target, headers=FRESH))
    locations, requests = FORMS[form]
    with tempfile.TemporaryDirectory(prefix="slab_test_", dir=SHM) as d:
        n = nginx.start(location=locations.replace("@O@", origin.address), zone=f"slab_cache_zone zone=one:16m file={d}/pages.slab;")
        first = [n.get(path, *headers).text for path, headers in requests]
        n.stop()
        n.start(text=n.text)
        again = [n.get(path, *headers) for path, headers in requests]
        assert [a.text for a in again] == first
        assert [a.cache for a in again] == ["HIT"] * len(requests)
        n.stop()


@pytest.mark.skipif(not SHM.is_dir(), reason="there is no /dev/shm")
@pytest.mark.parametrize("how", ["reload", "restart"])
@pytest.mark.parametrize("old, new", [
    ("proxy_pass http://@O@/old/;", "proxy_pass http://@O@/new/;"),
    ("proxy_pass http://@O@$slab_cache_uri;", "proxy_pass http://@O@/new$uri;"),
    ("if ($http_x_one) { proxy_pass http://@O@/old$uri$is_args; } proxy_pass http://@O@/none/;",
     "if ($http_x_two) { proxy_pass http://@O@/two$uri$is_args; } if ($http_x_one) { proxy_pass http://@O@/new$uri$is_args; } proxy_pass http://@O@/none/;"),
], ids=["uri", "variables", "if"])
def test_location_written_anew_does_not_get_what_the_old_one_stored(nginx, origin, old, new, how):
    origin.handle("*", lambda r: Reply(r.target, headers=FRESH))
    with tempfile.TemporaryDirectory(prefix="slab_test_", dir=SHM) as d:
        def configuration(words):
            return dict(location=f"location / {{ slab_cache one; {words.replace('@O@', origin.address)} }}",
                        zone=f"slab_cache_zone zone=one:16m file={d}/pages.slab;")
        n = nginx.start(**configuration(old))
        for one in (("X-One: 1",), ()):
            n.get("/a", *one)
            assert n.get("/a", *one).cache == "HIT"
        if how == "reload":
            n.reload(**configuration(new))
        else:
            n.stop()
            n.start(**configuration(new))
        seen = [n.get("/a", "X-Two: 1"), n.get("/a", "X-One: 1"), n.get("/a")]
        plain = [r.target for r in origin.requests()[-sum(a.cache == "MISS" for a in seen):]]
        assert [a.text for a in seen if a.cache == "MISS"] == plain
        assert not any(a.text.startswith("/old") or a.text == "/a" for a in seen)
        n.stop()


# ---- nginx in front of itself --------------------------------------------------------------------------------------------
@pytest.mark.parametrize("form", ["two servers", "two locations", "one location"])
@pytest.mark.parametrize("workers", [1, 2])
def test_nginx_in_front_of_itself_does_not_wait_for_itself(nginx, origin, form, workers):
    origin.handle("*", lambda r: Reply(r.target, headers=FRESH))
    back = nginx.another_port()
    own, behind = f"http://127.0.0.1:{nginx.port}", f"http://127.0.0.1:{back}"
    host = "proxy_set_header Host $http_host;"      # so that both sides have one URL, and one key
    n = nginx.start(workers=workers, **{
        "two servers": {
            "http": f"server {{ listen 127.0.0.1:{back}; location / {{ slab_cache one; proxy_pass http://{origin.address}; }} }}",
            "location": f"location / {{ slab_cache one; {PATIENT} {host} proxy_pass {behind}; }}"},
        "two locations": {
            "location": f"""location / {{ slab_cache one; {PATIENT} {host} proxy_pass {own}/in/; }}
                            location /in/ {{ slab_cache one; {PATIENT} proxy_pass http://{origin.address}/; }}"""},
        "one location": {
            "location": f"""location / {{ slab_cache one; {PATIENT} if ($http_x_hop) {{ proxy_pass http://{origin.address}; }}
                            {host} proxy_set_header X-Hop 1; proxy_pass {own}; }}"""},
    }[form])
    for path in ("/a", "/b?x=1"):
        with n.connect(timeout=10) as c:
            answers = [c.request(path) for _ in range(3)]
        assert [a.text for a in answers] == [path] * 3
        assert [a.all("X-Cache")[-1] for a in answers[1:]] == ["HIT"] * 2      # the first is of the inner answer
    assert [origin.hits("/a"), origin.hits("/b")] == [1, 1]


def test_purge_of_the_url_takes_it_in_front_and_behind(nginx, origin):
    version = ["1"]
    origin.handle("*", lambda r: Reply(version[0], headers=FRESH))
    back = nginx.another_port()
    n = nginx.start(
        http=f"server {{ listen 127.0.0.1:{back}; location / {{ slab_cache one; proxy_pass http://{origin.address}; }} }}",
        location=f"location / {{ slab_cache one; proxy_set_header Host $http_host; proxy_pass http://127.0.0.1:{back}; }}" + API)
    assert n.get("/a").text == "1"
    version[0] = "2"
    api(n, {"urls": ["http://localhost/a"]})
    assert n.get("/a").text == "2"
