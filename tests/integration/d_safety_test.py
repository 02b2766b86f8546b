"""Attacks on purge and admin: who may not, must not."""
import hashlib
import hmac
import json
import time

import pytest
from harness.origin import Reply

FRESH = ("Cache-Control: max-age=600",)
SECRET = "correct horse battery staple"
JSON = "Content-Type: application/json"
FORM = "Content-Type: application/x-www-form-urlencoded"
ELSEWHERE = "X-Real-IP: 192.0.2.7"
REALIP = "set_real_ip_from 127.0.0.1; real_ip_header X-Real-IP;"
PURGE = "/_cache/v1/zones/one/purge"
ALL = b'{"all":true}'


@pytest.fixture
def site(nginx, origin):
    """site("parameters of slab_cache_api", "access rules"): one cached page, and requests that may come from elsewhere."""

    def start(parameters, rules=""):
        origin.handle("*", lambda r: Reply(r.target, headers=FRESH))
        nginx.start(server=REALIP, location=f"""
            location / {{ slab_cache one; slab_cache_purge PURGE from 127.0.0.1; proxy_pass http://{origin.address}; }}
            location /_cache/ {{ slab_cache_api {parameters}; {rules} }}""")
        nginx.get("/a")
        return nginx

    return start


def is_stored(n):
    return n.get("/a").cache == "HIT"


def is_problem(answer, status):
    return answer.status == status and answer.header("Content-Type") == "application/problem+json"


# ---- who may ------------------------------------------------------------------------------------------------------
RESOURCES = ["/_cache/", "/_cache/metrics", "/_cache/v1/zones", "/_cache/v1/zones/one", "/_cache/v1/zones/one/top?by=lost",
             "/_cache/v1/zones/one/entry?url=/a", "/_cache/nosuch"]


@pytest.mark.parametrize("path", RESOURCES)
def test_without_an_access_rule_strangers_read_nothing(site, path):
    assert is_problem(site("write=on").get(path, ELSEWHERE), 403)


@pytest.mark.parametrize("method, path, body", [
    ("POST", PURGE, ALL), ("PUT", "/_cache/v1/zones/one/entry?url=/a&ttl=9", b"evil"), ("DELETE", "/_cache/v1/zones/one/entry?url=/a", None),
    ("POST", "/_cache/service/one/purge_all", b""), ("POST", "/_cache/client/v4/zones/one/purge_cache", b'{"purge_everything":true}'),
    ("PURGE", "/a", None), ("PURGEKEYS", "/a", None),
])
def test_strangers_change_nothing(site, method, path, body):
    n = site("write=on")
    assert n.request(path, method, body=body, headers=(ELSEWHERE, JSON, "xkey-purge: x")).status == 403
    assert is_stored(n) and n.get("/a").body == b"/a"


def test_an_access_rule_lets_in_whom_it_names(site):
    n = site("write=on", "allow 192.0.2.7; deny all;")
    assert n.request(PURGE, "POST", body=ALL, headers=(ELSEWHERE, JSON)).status == 200
    assert n.request(PURGE, "POST", body=ALL, headers=("X-Real-IP: 192.0.2.8", JSON)).status == 403


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "TRACE", "FOO"])
def test_safe_and_unknown_methods_change_nothing(site, method):
    n = site("write=on")
    for path in (PURGE, PURGE + "?all=true", "/_cache/v1/zones/one/entry?url=/a", "/_cache/service/one/purge_all",
                 "/_cache/client/v4/zones/one/purge_cache"):
        assert n.request(path, method, headers=("X-HTTP-Method-Override: DELETE",)).status in (200, 405)
    assert is_stored(n)


def test_without_write_nothing_is_changed(site):
    n = site("write=off")
    for method, path in (("POST", PURGE), ("PUT", "/_cache/v1/zones/one/entry?url=/a&ttl=9"), ("DELETE", "/_cache/v1/zones/one/entry?url=/a"),
                         ("POST", "/_cache/service/one/purge_all"), ("POST", "/_cache/client/v4/zones/one/purge_cache")):
        assert is_problem(n.request(path, method, body=ALL, headers=(JSON,)), 403), path
    assert is_stored(n)


# ---- pages of other origins -----------------------------------------------------------------------------------------
@pytest.mark.parametrize("headers, status", [
    (("Origin: http://evil.example", JSON), 403), (("Origin: null", JSON), 403), (("Sec-Fetch-Site: cross-site", JSON), 403),
    (("Sec-Fetch-Site: same-site", JSON), 403), (("Content-Type: text/plain",), 415),
    ((FORM, "User-Agent: Mozilla/5.0 (X11; Linux x86_64)"), 415), ((FORM, "Referer: http://evil.example/"), 415),
    ((FORM, "Cookie: a=b"), 415), ((FORM, "Sec-Fetch-Mode: navigate"), 415), ((FORM, "Origin: http://localhost"), 415),
    (("Content-Type: multipart/form-data; boundary=x",), 415),
    (("content-type: Text/Plain;charset=utf-8",), 415), (("Origin: http://evil.example",), 403),
    (("Origin: http://localhost.evil.example", JSON), 403),
])
def test_a_page_of_another_origin_cannot_purge(site, headers, status):
    n = site("write=on")
    for path in (PURGE, "/_cache/service/one/purge_all", "/_cache/client/v4/zones/one/purge_cache"):
        assert is_problem(n.request(path, "POST", body=ALL, headers=headers), status), path
    assert is_stored(n)


def test_a_body_from_the_command_line_is_taken_for_what_it_is(site):
    """`curl -d` says of every body that a form sent it."""
    n = site("write=on")
    assert is_problem(n.request(PURGE, "POST", body=b"all=true", headers=(FORM, "User-Agent: curl/7.88.1")), 400)
    assert is_stored(n)
    assert n.request(PURGE, "POST", body=ALL, headers=(FORM, "User-Agent: curl/7.88.1")).status == 200
    assert not is_stored(n)


def test_other_origins_are_not_told_that_they_may(site):
    n = site("write=on")
    for method in ("OPTIONS", "GET", "POST"):
        answer = n.request(PURGE, method, headers=("Origin: http://evil.example", "Access-Control-Request-Method: POST"))
        assert not [h for h, _ in answer.headers if h.lower().startswith("access-control-")]


def test_the_own_page_may(site):
    n = site("write=on")
    headers = ("Origin: http://localhost", "Sec-Fetch-Site: same-origin", JSON)
    assert n.request(PURGE, "POST", body=ALL, headers=headers).status == 200


# ---- bodies -------------------------------------------------------------------------------------------------------
def test_a_body_that_is_too_large_is_refused(nginx, origin):
    nginx.start(server="client_max_body_size 0;", location="location /_cache/ { slab_cache_api write=on; }")
    body = b'{"urls":["' + b"x" * 1_100_000 + b'"]}'
    assert is_problem(nginx.request(PURGE, "POST", body=body, headers=(JSON,)), 413)
    with nginx.connect() as c:
        c.send_raw(f"POST {PURGE} HTTP/1.1\r\nHost: x\r\n{JSON}\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
        for _ in range(20):
            c.send_raw(b"10000\r\n" + b" " * 65536 + b"\r\n")
        c.send_raw(b"0\r\n\r\n")
        assert is_problem(c.read_body(c.read_header()), 413)


@pytest.mark.parametrize("body", [b"[" * 100_000, b'{"all":true,"all":false}', b'{"urls":["http://h/\\u0000"]}', b'{"all":1}', b"\xff\xfe",
                                  b'{"all":true}{"all":true}', b'{"tags":[""]}', b'{"hosts":["a/b"]}', b'{"mode":"hard"}', b'{"urls":[[]]}'])
def test_nonsense_is_a_problem_and_purges_nothing(site, body):
    n = site("write=on")
    assert is_problem(n.request(PURGE, "POST", body=body, headers=(JSON,)), 400)
    assert is_stored(n)


def test_what_was_wrong_is_said_where(site):
    n = site("write=on")
    answer = n.request(PURGE, "POST", body=b'{"urls":["/a","/b"],"tags":["x",7]}', headers=(JSON,))
    assert '"tags"[1]' in json.loads(answer.body)["detail"]
    assert is_stored(n)


# ---- signed requests ------------------------------------------------------------------------------------------------
def sign(method, path, body=b"", expiry=None, secret=SECRET):
    expiry = str(int(time.time()) + 60 if expiry is None else expiry)
    message = "\n".join((method, path, expiry, hashlib.sha256(body).hexdigest()))
    return f"Authorization: SlabCache {expiry}:{hmac.new(secret.encode(), message.encode(), hashlib.sha256).hexdigest()}"


@pytest.fixture
def signed(site, nginx):
    (nginx.prefix / "secret").write_text(SECRET + "\n")
    return site("write=on secret=secret")


def test_a_signed_request_from_elsewhere_is_let_in(signed):
    assert signed.get("/_cache/v1/zones", ELSEWHERE, sign("GET", "/_cache/v1/zones")).status == 200
    entry = "/_cache/v1/zones/one/entry?url=http://localhost/a&ttl=60"
    assert signed.request(entry, "PUT", body=b"pushed", headers=(ELSEWHERE, sign("PUT", entry, b"pushed"))).status == 201
    assert signed.get("/_cache/v1/zones/one/entry?url=http://localhost/a", ELSEWHERE, sign("GET", "/_cache/v1/zones/one/entry?url=http://localhost/a")).status == 200
    assert is_stored(signed)
    assert signed.request(PURGE, "POST", body=ALL, headers=(ELSEWHERE, JSON, sign("POST", PURGE, ALL))).status == 200
    assert not is_stored(signed)
    assert signed.request("/_cache/v1/zones/one/entry?url=http://localhost/a", "DELETE",
                          headers=(ELSEWHERE, sign("DELETE", "/_cache/v1/zones/one/entry?url=http://localhost/a"))).status == 200


def forged():
    now = int(time.time())
    good = sign("POST", PURGE, ALL)
    return {
        "another body": (sign("POST", PURGE, b'{"tags":["x"]}'), 401),
        "no body": (sign("POST", PURGE), 401),
        "another path": (sign("POST", "/_cache/v1/zones/two/purge", ALL), 401),
        "another method": (sign("PUT", PURGE, ALL), 401),
        "expired": (sign("POST", PURGE, ALL, now - 1), 401),
        "too far ahead": (sign("POST", PURGE, ALL, now + 4000), 401),
        "another secret": (sign("POST", PURGE, ALL, secret="wrong wrong wrong wrong"), 401),
        "cut": (good[:-1], 401),
        "one digit off": (good[:-1] + ("0" if good[-1] != "0" else "1"), 401),
        "no signature": ("Authorization: SlabCache 99999999999:", 401),
        "nothing": ("Authorization: SlabCache x", 401),
        "another scheme": (good.replace("SlabCache", "Bearer"), 403),
        "none": ("X-None: 1", 403),
    }


@pytest.mark.parametrize("what", list(forged()))
def test_a_forged_request_purges_nothing(signed, what):
    header, status = forged()[what]
    answer = signed.request(PURGE, "POST", body=ALL, headers=(ELSEWHERE, JSON, header))
    assert is_problem(answer, status), answer
    assert is_stored(signed)


def test_a_forged_signature_is_refused_even_from_loopback(signed):
    assert signed.request(PURGE, "POST", body=ALL, headers=(JSON, sign("POST", PURGE, ALL, secret="x" * 20))).status == 401
    assert is_stored(signed)


def test_who_has_proven_nothing_is_not_told_which_zones_exist(signed):
    answers = {signed.request(f"/_cache/v1/zones/{z}/purge", "POST", body=ALL, headers=(ELSEWHERE, JSON, "Authorization: SlabCache 1:2")).status
               for z in ("one", "two")}
    answers |= {signed.get(f"/_cache/v1/zones/{z}", ELSEWHERE, "Authorization: SlabCache 1:2").status for z in ("one", "two")}
    assert answers == {401}


def test_a_signature_does_not_make_a_location_writable(site, nginx):
    (nginx.prefix / "secret").write_text(SECRET)
    n = site("secret=secret")
    assert n.request(PURGE, "POST", body=ALL, headers=(ELSEWHERE, JSON, sign("POST", PURGE, ALL))).status == 403
    assert is_stored(n)


def test_without_a_secret_a_signature_counts_for_nothing(site):
    n = site("write=on")
    assert n.request(PURGE, "POST", body=ALL, headers=(ELSEWHERE, JSON, sign("POST", PURGE, ALL, secret=""))).status == 403
    assert is_stored(n)


@pytest.mark.parametrize("content, says", [("short\n", "16 to 4095 bytes"), ("x" * 5000, "16 to 4095 bytes"), (None, "cannot be opened")])
def test_a_secret_that_is_none_does_not_start(nginx, content, says):
    if content is not None:
        (nginx.prefix / "secret").write_text(content)
    code, text = nginx.test_config(location="location /_cache/ { slab_cache_api secret=secret; }")
    assert code != 0 and says in text


def test_the_api_needs_a_location_with_a_prefix(nginx):
    code, text = nginx.test_config(location="location ~ ^/_cache/ { slab_cache_api; }")
    assert code != 0 and "regular expression" in text
