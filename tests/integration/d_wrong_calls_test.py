"""Calls of the admin API that are wrong: what is answered, in words that help, and that what is right then works."""
import hashlib
import hmac
import json
import time

import pytest
from harness.origin import Reply

JSON = "Content-Type: application/json"
FORM = "Content-Type: application/x-www-form-urlencoded"
CURL = "User-Agent: curl/7.88.1"
SECRET = b"a secret of many bytes"
Z = "/_cache/v1/zones/one"
S = "/_signed/v1/zones/one/purge"
PURGE, ENTRY, TOP = f"{Z}/purge", f"{Z}/entry", f"{Z}/top"
URL = "http%3A%2F%2Flocalhost%2Fp"


def sign(method, path, body=b"", ahead=60, secret=SECRET):
    expiry = str(int(time.time()) + ahead)
    text = "\n".join((method, path, expiry, hashlib.sha256(body).hexdigest()))
    return f"Authorization: SlabCache {expiry}:{hmac.new(secret, text.encode(), 'sha256').hexdigest()}"


def call(method, path, *headers, body=None):
    return method, path, headers, body


def purge(*headers, **what):
    return call("POST", PURGE, *(headers or (JSON,)), body=json.dumps(what).encode())


def push(*headers, url=URL, query="&ttl=60", body=b"x"):
    return call("PUT", f"{ENTRY}?url={url}{query}", *headers, body=body)


def signed(token, body=b'{"all":true}'):
    return call("POST", S, JSON, token, body=body)


ALL = b'{"all":true}'
GOOD = purge(all=True)

# what is wrong, status, words of the answer, what would be right (None: nothing would)
WRONG = [
    # the purge's body
    (purge(urls=["http//h y"]), 400, '"urls"[0] is no URL (scheme://host/path', purge(urls=["http://localhost/p"])),
    (purge(urls=["ftp://h/"]), 400, '"urls"[0] is no URL', purge(urls=["http://h/"])),
    (purge(urls=["/a", "http://a@b/"]), 400, '"urls"[1] is no URL', purge(urls=["/a", "http://b/"])),
    (purge(urls=["http://*.example.com/"]), 400, '"urls"[0] is no URL', purge(hosts=["www.example.com"])),
    (purge(urls=[""]), 400, '"urls"[0] is no URL', purge(urls=["/"])),
    (purge(urls="/a"), 400, '"urls" must be a list of strings', purge(urls=["/a"])),
    (purge(urls=[7]), 400, '"urls"[0] must be a string', purge(urls=["/7"])),
    (purge(files=[{"href": "/a"}]), 400, '"files"[0] must be a string', purge(files=[{"url": "http://localhost/a"}])),
    (purge(globs=["/" + "x" * 300 + "*"]), 400, "pattern too many or too long", purge(globs=["/x*"])),
    (purge(prefixes=["/a?b=c"]), 400, '"prefixes"[0] is no URL without arguments', purge(prefixes=["/a"])),
    (purge(hosts=["localhost/a"]), 400, '"hosts"[0] is no host name', purge(hosts=["localhost"])),
    (purge(hosts=["*.example.com"]), 400, '"hosts"[0] is no host name', purge(hosts=["www.example.com"])),
    (purge(tags=["a b"]), 400, '"tags"[0] is no tag: tags have neither spaces nor commas', purge(tags=["a", "b"])),
    (purge(tags=["a,b"]), 400, '"tags"[0] is no tag', purge(tags=["a", "b"])),
    (purge(tags=[""]), 400, '"tags"[0] is no tag', purge(tags=["a"])),
    (purge(tag=["a"]), 400, 'unknown field "tag": urls, prefixes, hosts, tags', purge(tags=["a"])),
    (purge(tags_any=["a"]), 400, 'unknown field "tags_any"', purge(tags=["a"])),
    (purge(tags_all=["a b"]), 400, '"tags_all"[0] is no tag', purge(tags_all=["a", "b"])),
    (purge(tags=["a"], **{"not": ["b"]}), 400, '"not" goes with "tags_all"', purge(tags_all=["a"], **{"not": ["b"]})),
    (purge(tags_all=["a"], **{"not": "b"}), 400, '"not" must be a list of strings', purge(tags_all=["a"], **{"not": ["b"]})),
    (purge(tags_all=[f"t{i}" for i in range(29)]), 400, "28 in one condition", purge(tags_all=[f"t{i}" for i in range(28)])),
    (purge(all="yes"), 400, '"all" must be true or false', GOOD),
    (purge(all=True, mode="gentle"), 400, '"mode" must be "hard" or "soft"', purge(all=True, mode="soft")),
    (purge(), 400, "nothing to purge in the body", GOOD),
    (call("POST", PURGE, JSON, body=b"all=true"), 400, "not JSON", GOOD),
    (call("POST", PURGE, FORM, CURL, body=b"all=true"), 400, "not JSON", call("POST", PURGE, FORM, CURL, body=ALL)),
    (call("POST", PURGE, body=b""), 400, "not JSON", call("POST", PURGE, body=ALL)),
    (call("POST", PURGE, "Content-Type: text/plain", body=ALL), 415, "Content-Type: application/json", GOOD),
    (call("POST", PURGE, FORM, "User-Agent: Mozilla/5.0", body=ALL), 415, "Content-Type: application/json", GOOD),
    (call("POST", PURGE + "?all=true", JSON, body=ALL), 400, '"all" is no argument here', GOOD),
    # where it is sent
    (call("GET", PURGE), 405, "POST", GOOD),
    (call("POST", "/_cache/v1/zones/two/purge", JSON, body=ALL), 404, "there are: one", GOOD),
    (call("POST", Z + "/ban", JSON, body=ALL), 404, "purge, entry, entries, purges, history, top", GOOD),
    (call("POST", Z + "/purges", JSON, body=ALL), 405, "GET, HEAD", GOOD),
    (call("DELETE", TOP), 405, "GET, HEAD", call("GET", TOP + "?by=hits")),
    (call("POST", "/_read/v1/zones/one/purge", JSON, body=ALL), 403, "write=on", GOOD),
    # entry and top
    (call("GET", ENTRY), 400, "entry?url=", call("GET", f"{ENTRY}?url={URL}")),
    (call("GET", f"{ENTRY}?url="), 400, "entry?url=", call("GET", f"{ENTRY}?url={URL}")),
    (call("GET", f"{ENTRY}?url=ftp://h/"), 400, "scheme://host/path", call("GET", f"{ENTRY}?url={URL}")),
    (call("DELETE", f"{ENTRY}?url=http://localhost/p?a=1&b=2"), 400, '"b" is no argument here',
     call("DELETE", f"{ENTRY}?url={URL}%3Fa%3D1%26b%3D2")),
    (call("GET", f"{ENTRY}?uri=/p"), 400, '"uri" is no argument here', call("GET", f"{ENTRY}?url=/p")),
    (call("GET", f"{ENTRY}?url=/p&url=/q"), 400, "stands there twice", call("GET", f"{ENTRY}?url=/p")),
    (call("GET", TOP), 400, "saved, lost, bytes or hits", call("GET", TOP + "?by=lost")),
    (call("GET", TOP + "?by=lost&n=1000"), 400, "1 to 100", call("GET", TOP + "?by=lost&n=100")),
    # push
    (push(query=""), 422, "lifetime", push()),
    (push(query="&ttl=1m"), 400, "ttl= is a positive number of seconds", push()),
    (push(query="&ttl=60&status=99"), 400, "status= is a number from 200 to 599", push(query="&ttl=60&status=404")),
    (push(url="http://localhost/p?a=1&b=2"), 400, '"b" is no argument here', push(url=f"{URL}%3Fa%3D1%26b%3D2")),
    (push("If-Purge-Seq: now"), 400, "If-Purge-Seq", push()),
    (push("Content-Encoding: gzip"), 400, "Vary: Accept-Encoding", push()),
    (push("Set-Cookie: a=b"), 422, "cookie", push()),
    (call("PUT", f"/_cache/v1/zones/keyed/entry?url={URL}&ttl=60", body=b"x"), 422, "slab_cache_key", push()),
    (call("PUT", f"/_cache/v1/zones/unused/entry?url={URL}&ttl=60", body=b"x"), 422, "no location would serve it", push()),
]


@pytest.fixture
def api(nginx, origin):
    origin.handle("*", lambda r: Reply("x", headers=["Cache-Control: max-age=60"]))
    (nginx.prefix / "secret").write_bytes(SECRET)
    return nginx.start(zone="slab_cache_zone zone=one:16m; slab_cache_zone zone=keyed:16m; slab_cache_zone zone=unused:16m;", location=f"""
        location / {{ slab_cache one; proxy_pass http://{origin.address}; }}
        location /k/ {{ slab_cache keyed; slab_cache_key $uri; proxy_pass http://{origin.address}; }}
        location /_cache/ {{ slab_cache_api write=on; }}
        location /_read/ {{ slab_cache_api; }}
        location /_signed/ {{ slab_cache_api write=on secret={nginx.prefix}/secret; }}""")


def ask(n, what):
    method, path, headers, body = what
    return n.request(path, method, headers=headers, body=body)


@pytest.mark.parametrize("wrong, status, words, right", WRONG, ids=range(len(WRONG)))
def test_wrong_call_is_told_what_is_wrong_and_the_right_one_works(api, wrong, status, words, right):
    answer = ask(api, wrong)
    assert answer.status == status and answer.header("Content-Type") == "application/problem+json", answer
    said = json.loads(answer.body)
    assert said["status"] == status and said["title"]
    assert words in said["detail"], said
    if words == "there are: one":
        assert said["detail"] == "there are: one, keyed, unused"
    then = ask(api, right)
    assert then.status in (200, 201), then


def test_wrong_calls_purge_nothing(api):
    api.get("/p")
    for wrong, *_ in WRONG:
        if wrong[0] != "PUT":
            ask(api, wrong)
            assert api.get("/p").cache == "HIT", wrong


# ---- signatures -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("token, words", [
    (lambda: sign("POST", S, ALL, ahead=-5), "expired"),
    (lambda: sign("POST", S, ALL, ahead=7200), "more than an hour"),
    (lambda: sign("POST", S, ALL, secret=b"another secret, as long"), "wrong signature"),
    (lambda: sign("POST", S, b"another body"), "wrong signature"),
    (lambda: "Authorization: SlabCache nonsense", "malformed"),
    (lambda: "Authorization: SlabCache 1:", "malformed"),
    (lambda: sign("POST", S, ALL, ahead=-5, secret=b"another secret, as long"), "wrong signature"),   # learns nothing of our clock
], ids=range(7))
def test_signature_that_is_not_good_is_told_why(api, token, words):
    answer = ask(api, signed(token()))
    assert answer.status == 401 and answer.header("WWW-Authenticate") == "SlabCache"
    assert words in json.loads(answer.body)["detail"]
    assert ask(api, signed(sign("POST", S, ALL))).status == 200


def test_signed_call_names_the_host(api):
    body = b'{"urls":["/p"]}'
    answer = ask(api, signed(sign("POST", S, body), body))
    assert answer.status == 400 and "unsigned" in json.loads(answer.body)["detail"]


# ---- what was understood --------------------------------------------------------------------------------------------
@pytest.mark.parametrize("what, understood", [
    (dict(urls=["http://Localhost:8080/a%20b?x=1"]), [{"host": "localhost", "path": "/a b?x=1"}]),
    (dict(urls=["/p"]), [{"host": "localhost", "path": "/p"}]),
    (dict(urls=["news/1"]), [{"host": "news", "path": "/1"}]),
    (dict(urls=["127.0.0.1/p"]), [{"host": "127.0.0.1", "path": "/p"}]),
    (dict(urls=["//localhost/p"]), None),
    (dict(urls=["http://localhost"]), [{"host": "localhost", "path": "/"}]),
    (dict(urls=["/a/*"], globs=["/b*.html"]), [{"host": "localhost", "prefix": "/a/"}, {"host": "localhost", "pattern": "/b*.html"}]),
    (dict(prefixes=["localhost/a"], hosts=["Example.com"]), [{"host": "localhost", "prefix": "/a/"}, {"host": "example.com"}]),
    (dict(tags_all=["a", "b"], **{"not": ["c"]}), [{"tags_all": ["a", "b"], "not": ["c"]}]),
    (dict(tags=["red"], all=True), [{"tag": "red"}, {"all": True}]),
])
def test_purge_says_what_it_understood(api, what, understood):
    answer = ask(api, purge(**what))
    if understood is None:
        assert answer.status == 400, answer
    else:
        assert answer.status == 200 and json.loads(answer.body)["understood"] == understood


def test_purge_of_many_says_the_first_of_them(api):
    said = json.loads(ask(api, purge(tags=[f"t{i}" for i in range(1000)])).body)
    assert said["accepted"] == 1000 and said["understood"] == [{"tag": f"t{i}"} for i in range(32)]


@pytest.mark.parametrize("path, headers, understood", [
    ("/a%2Fb?x", (), {"host": "localhost", "path": "/a/b?x"}), ("/a/*", (), {"host": "localhost", "prefix": "/a/"}),
    ("/", ("Surrogate-Key: red",), {"tag": "red"}),
])
def test_purge_by_method_says_what_it_understood(nginx, origin, path, headers, understood):
    nginx.start(location=f"location / {{ slab_cache one; slab_cache_purge PURGE from 127.0.0.1; proxy_pass http://{origin.address}; }}")
    assert json.loads(nginx.purge(path, *headers).body)["understood"] == [understood]


# ---- pushes ---------------------------------------------------------------------------------------------------------
def test_content_type_of_curl_is_not_the_responses(api):
    assert ask(api, push(FORM, CURL)).status == 201
    assert api.get("/p").cache == "HIT" and api.get("/p").header("Content-Type") is None
    assert ask(api, push(FORM, CURL, "X-Response-Content-Type: text/html")).status == 201
    assert api.get("/p").header("Content-Type") == "text/html"
    assert ask(api, push("Content-Type: text/css")).status == 201
    assert api.get("/p").header("Content-Type") == "text/css"


def test_push_says_under_which_key_it_lies(api):
    assert json.loads(ask(api, push()).body)["key"] == "http|localhost|/p"


def test_push_is_taken_where_a_variable_names_the_zone(nginx, origin):
    nginx.start(http="map $host $zone { default one; }", location=f"""
        location / {{ slab_cache $zone; proxy_pass http://{origin.address}; }}
        location /_cache/ {{ slab_cache_api write=on; }}""")
    assert ask(nginx, push()).status == 201 and nginx.get("/p").cache == "HIT"
