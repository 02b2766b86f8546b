"""More attacks on purge and admin: by disguise, by other ways in, by browsers, by what signed requests do not say."""
import hashlib
import hmac
import json
import socket
import time

import pytest
from harness.client import Connection
from harness.origin import Reply, request_header

FRESH = ("Cache-Control: max-age=600",)
SECRET = "correct horse battery staple"
JSON = "Content-Type: application/json"
ELSEWHERE = "X-Real-IP: 192.0.2.7"
REALIP = "set_real_ip_from 127.0.0.1; real_ip_header X-Real-IP;"
PURGE = "/_cache/v1/zones/one/purge"
ENTRY = "/_cache/v1/zones/one/entry?url=/a"
ALL = b'{"all":true}'


@pytest.fixture
def start(nginx, origin):
    """start(location="…", server="…"): {origin} in them is the origin's address. The cached page is /a."""
    def run(location, **kw):
        def answer(r):      # methods it does not know fail: one that succeeded would invalidate by itself
            known = r.method in ("GET", "HEAD", "POST", "OPTIONS")
            return Reply(r.target, status=200 if known else 405, headers=(*FRESH, "Surrogate-Key: red"))
        origin.handle("*", answer)
        nginx.start(location=location.replace("{origin}", origin.address), **kw)
        nginx.get("/a")
        assert is_stored(nginx)
        return nginx
    return run


def is_stored(n, path="/a", **kw):
    return n.get(path, **kw).cache == "HIT"


CACHED = "location / { slab_cache one; slab_cache_purge PURGE from 127.0.0.1; proxy_pass http://{origin}; }"
FROM_LAN = CACHED.replace("127.0.0.1", "10.0.0.0/8")
API = "location /_cache/ { slab_cache_api write=on; }"


# ---- an address is what the connection has, not what the request says -------------------------------------------------
@pytest.mark.parametrize("field", ["X-Forwarded-For: 10.1.2.3", "X-Real-IP: 10.1.2.3", "Forwarded: for=10.1.2.3", "Client-IP: 10.1.2.3",
                                   "True-Client-IP: 10.1.2.3", "X-Forwarded-For: 127.0.0.1, 10.1.2.3", "Via: 1.1 10.1.2.3"])
def test_an_address_that_is_only_claimed_does_not_purge(start, field):
    n = start(FROM_LAN)
    assert n.purge("/a", field).status == 403
    assert is_stored(n)


def test_a_proxy_that_is_not_trusted_cannot_say_for_whom_it_speaks(start):
    n = start(FROM_LAN, server="set_real_ip_from 192.0.2.0/24; real_ip_header X-Forwarded-For;")
    assert n.purge("/a", "X-Forwarded-For: 10.1.2.3").status == 403
    assert is_stored(n)


def test_behind_a_trusted_proxy_the_last_address_it_did_not_add_itself_counts(start):
    n = start(FROM_LAN, server="set_real_ip_from 127.0.0.1; real_ip_header X-Forwarded-For;")
    assert n.purge("/a", "X-Forwarded-For: 10.1.2.3, 192.0.2.9").status == 403     # the client wrote the first
    assert is_stored(n)
    assert n.purge("/a", "X-Forwarded-For: 192.0.2.9, 10.1.2.3").status == 200
    assert not is_stored(n)


def test_a_claimed_loopback_address_does_not_open_the_api(start):
    n = start(CACHED + API, server="set_real_ip_from 127.0.0.1; real_ip_header X-Forwarded-For;")
    for claim in ("192.0.2.9", "127.0.0.1, 192.0.2.9", "::1, 192.0.2.9"):
        assert n.request(PURGE, "POST", body=ALL, headers=(JSON, f"X-Forwarded-For: {claim}")).status == 403
        assert n.get("/_cache/metrics", f"X-Forwarded-For: {claim}").status == 403
    assert is_stored(n)


@pytest.mark.parametrize("method, path, body", [("PURGE", "/a", None), ("POST", PURGE, ALL), ("GET", "/_cache/metrics", None)])
def test_http_1_0_without_a_host_is_judged_like_any_other(start, method, path, body):
    n = start(CACHED + API, server=REALIP)
    with n.connect() as c:
        c.send(path, method, headers=(ELSEWHERE, JSON), body=body, host=None, version="1.0")
        assert c.read_header().status == 403
    assert is_stored(n)


def test_a_purge_without_a_host_stays_within_the_server_it_reaches(start):
    n = start(CACHED)
    n.get("/a", host="other.example")
    with n.connect() as c:
        c.send("/a", "PURGE", host=None, version="1.0")
        assert c.read_header().status == 200
    assert is_stored(n, host="other.example")


# ---- unix sockets -----------------------------------------------------------------------------------------------------
@pytest.fixture
def by_socket(start, nginx):
    def run(sources):
        path = f"{nginx.prefix}/sock"
        n = start(CACHED.replace("127.0.0.1", sources) + API, server=f"listen unix:{path};")

        def request(target, method, **kw):
            with Connection(path) as c:
                return c.request(target, method, **kw)
        return n, request
    return run


def test_a_unix_socket_is_no_address(by_socket):
    n, request = by_socket("127.0.0.1 ::1 0.0.0.0/0")
    assert request("/a", "PURGE").status == 403
    assert is_stored(n)


def test_a_unix_socket_that_is_named_purges_and_nobody_else(by_socket):
    n, request = by_socket("unix:")
    assert n.purge("/a").status == 403
    assert is_stored(n)
    assert request("/a", "PURGE").status == 200
    assert not is_stored(n)


def test_the_api_takes_a_unix_socket_as_local(by_socket):
    n, request = by_socket("unix:")
    assert request(PURGE, "POST", body=ALL, headers=(JSON,)).status == 200
    assert not is_stored(n)


# ---- other ways in ----------------------------------------------------------------------------------------------------
REDIRECTS = {
    "rewrite": "location /x { rewrite ^ /a last; }",
    "named location": "location /x { return 418; } error_page 418 = @cached; location @cached { slab_cache one; "
                      "slab_cache_purge PURGE from 127.0.0.1; proxy_pass http://{origin}; }",
    "error page": "location /x { return 418; } error_page 418 = /a;",
    "try_files": "location /x { try_files /nosuch /a; }",
    "accel": "location /x { proxy_pass http://{origin}; }",
    "mirror": "location /x { mirror /a; return 204; }",
    "auth_request": "location /x { auth_request /a; return 204; }",
}


@pytest.mark.parametrize("way", list(REDIRECTS))
def test_no_internal_redirect_leads_a_stranger_to_a_purge(start, origin, way):
    n = start(REDIRECTS[way] + CACHED, server=REALIP)
    origin.handle("/x", lambda r: Reply("", headers=["X-Accel-Redirect: /a"]))
    n.purge("/x", ELSEWHERE)
    assert is_stored(n)


def test_an_origin_that_redirects_a_purge_elsewhere_purges_nothing(start, origin):
    n = start(REDIRECTS["accel"] + CACHED)
    origin.handle("/x", lambda r: Reply("", headers=["X-Accel-Redirect: /a"]))
    n.purge("/x")
    assert is_stored(n)


@pytest.mark.parametrize("access", [
    "satisfy any; allow all;",
    "satisfy any; allow 127.0.0.1; allow 192.0.2.0/24; deny all; auth_basic x; auth_basic_user_file /dev/null;"])
def test_an_access_rule_that_lets_a_stranger_read_does_not_let_him_purge(start, access):
    n = start(CACHED.replace("slab_cache one;", f"slab_cache one; {access}"), server=REALIP)
    assert n.purge("/a", ELSEWHERE).status == 403
    assert n.request("/a", "PURGEKEYS", headers=(ELSEWHERE, "xkey-purge: red")).status == 403
    assert n.get("/a", ELSEWHERE).cache == "HIT"


def test_who_may_purge_but_not_enter_does_not_purge(start):
    n = start(CACHED + "location /in/ { deny all; slab_cache one; slab_cache_purge PURGE from 127.0.0.1; proxy_pass http://{origin}; }")
    assert n.purge("/in/a").status == 403 and n.purge("/in/*", "Surrogate-Key: red").status == 403
    assert is_stored(n)


@pytest.mark.parametrize("rules, opened", [
    ("satisfy any; deny all; auth_basic x; auth_basic_user_file {prefix}/users;", 401),
    ("satisfy any; allow 10.0.0.0/8; deny all; auth_basic x; auth_basic_user_file {prefix}/users;", 401),
    ("satisfy any; deny all;", 403),
    ("limit_except GET { deny all; }", 403),
    ("auth_request /no;", 403),
])
def test_the_api_opens_by_no_rule_that_did_not_say_yes(start, nginx, rules, opened):
    (nginx.prefix / "users").write_text("admin:{PLAIN}secret\n")
    n = start(CACHED + "location = /no { return 403; } location /_cache/ { slab_cache_api write=on; "
              + rules.replace("{prefix}", str(nginx.prefix)) + " }", server=REALIP)
    wrong = "Authorization: Basic YWRtaW46d3Jvbmc="
    for more in ((), (wrong,)):
        assert n.request(PURGE, "POST", body=ALL, headers=(ELSEWHERE, JSON, *more)).status == opened
    assert n.get("/_cache/metrics", ELSEWHERE).status == (opened if "GET" not in rules else 403)
    assert is_stored(n)


def test_a_password_opens_the_api_where_it_is_the_rule(start, nginx):
    (nginx.prefix / "users").write_text("admin:{PLAIN}secret\n")
    n = start(CACHED + f"location /_cache/ {{ slab_cache_api write=on; auth_basic x; auth_basic_user_file {nginx.prefix}/users; }}",
              server=REALIP)
    assert n.request(PURGE, "POST", body=ALL, headers=(ELSEWHERE, JSON, "Authorization: Basic YWRtaW46c2VjcmV0")).status == 200
    assert not is_stored(n)


# ---- method and path in disguise --------------------------------------------------------------------------------------
@pytest.mark.parametrize("method", ["purge", "Purge", "PURGE_", "PURGEALL", "XPURGE", "purgekeys"])
def test_only_the_very_method_purges(start, method):
    n = start(CACHED)
    n.request("/a", method, headers=("xkey-purge: red",))
    assert is_stored(n)


@pytest.mark.parametrize("field", ["X-HTTP-Method-Override: PURGE", "X-Method-Override: PURGE", "X-HTTP-Method: PURGE"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
def test_a_header_does_not_make_a_purge(start, method, field):
    n = start(CACHED)
    n.request("/a", method, headers=(field, "Surrogate-Key: red", "xkey-purge: red"))
    assert is_stored(n)


@pytest.mark.parametrize("path", ["/open/../in/a", "/open/%2e%2e/in/a", "/open/..%2fin/a", "/open/x/../../in/a", "/open/./../in/a", "/open//..//in/a",
                                  "//in/a", "/./in/a", "/%69n/a", "/in%2Fa"])
def test_no_spelling_of_a_path_leads_past_the_location_that_forbids_it(start, path):
    n = start("""location /open/ { slab_cache one; slab_cache_purge PURGE from 127.0.0.1; proxy_pass http://{origin}; }
                 location / { slab_cache one; proxy_pass http://{origin}; }""")
    n.get("/in/a")
    n.purge(path)
    assert is_stored(n, "/in/a")


@pytest.mark.parametrize("stored, purged", [("/a%2Fb", "/a/b"), ("/a/b", "/a%2Fb"), ("/%61/b", "/a/b"), ("/a/b", "/%61%2fb")])
def test_a_purge_meets_every_encoding_of_its_path(start, stored, purged):
    n = start(CACHED)
    n.get(stored)
    assert n.purge(purged).status == 200
    assert not is_stored(n, stored)


@pytest.mark.parametrize("path", ["/%5fcache/v1/zones/one/purge", "//_cache/v1/zones/one/purge", "/x/../_cache/v1/zones/one/purge",
                                  "/_cache/v1/zones/one%2Fpurge", "/_cache/./v1/zones/one/purge", "/_cache//v1/zones/one/purge",
                                  "/_cache/x/%2e%2e/v1/zones/one/purge", "/_cache/v1/../v1/zones/one/purge", "/_CACHE/v1/zones/one/purge"])
def test_no_spelling_of_the_api_s_path_lets_strangers_in(start, path):
    n = start(CACHED + API, server=REALIP)
    assert n.request(path, "POST", body=ALL, headers=(ELSEWHERE, JSON)).status != 200 or path.startswith("/_CACHE")
    assert is_stored(n)


@pytest.mark.parametrize("pattern", ["/" + "a*" * 2000, "/" + "*" * 4000 + "b", "/(a+)+$", "/[a-z]{1,9999}", "/a|b"])
def test_a_pattern_that_would_be_a_bomb_as_a_regular_expression_costs_nothing(start, pattern):
    n = start(CACHED + API, server="large_client_header_buffers 4 16k;")
    subject = "/" + "a" * 3000
    n.get(subject)
    n.request(PURGE, "POST", body=json.dumps({"globs": ["http://localhost" + pattern]}).encode(), headers=(JSON,))
    for _ in range(20):
        assert n.get(subject).status == 200     # an exponential match would run into the client's timeout
    assert not is_stored(n, "/b") and is_stored(n, "/b")


# ---- browsers -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("headers", [
    ("Origin: http://localhost:1",), ("Origin: http://localhost@evil.example",), ("Origin: http://127.0.0.1",), ("Origin: file://",),
    ("Origin: http://",), ("Origin: localhost",), ("Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: no-cors"),
    ("Origin: http://localhost", "Sec-Fetch-Site: cross-site"),
])
def test_a_browser_on_another_page_changes_nothing(start, headers):
    n = start(CACHED + API)
    for method, path, body in (("POST", PURGE, ALL), ("DELETE", ENTRY, None), ("PUT", ENTRY + "&ttl=60", b"evil"),
                               ("POST", "/_cache/service/one/purge/red", b"")):
        assert n.request(path, method, body=body, headers=(JSON, *headers)).status == 403, (method, path)
    assert is_stored(n) and n.get("/a").body == b"/a"


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "1.2.3.4.nip.io"])
def test_a_page_whose_name_was_pointed_at_us_afterwards_changes_nothing(start, host):
    n = start(CACHED + API)
    headers = (JSON, f"Origin: http://{host}", "Sec-Fetch-Site: same-origin")
    assert n.request(PURGE, "POST", body=ALL, headers=headers, host=host).status == 403
    assert n.request("/_cache/v1/zones/one/entry?url=http://localhost/a&ttl=60", "PUT", body=b"evil", headers=headers, host=host).status == 403
    assert n.request("/_cache/v1/zones/one/entry?url=http://localhost/a", "DELETE", headers=headers, host=host).status == 403
    assert is_stored(n) and n.get("/a").body == b"/a"


@pytest.mark.parametrize("path", ["/_cache/", "/_cache/metrics", "/_cache/v1/zones", "/_cache/v1/zones/one", "/_cache/v1/zones/one/top?by=hits",
                                  "/_cache/v1/zones/one/entry?url=http://localhost/a", "/_cache/v1/zones/none"])
@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "1.2.3.4.nip.io:8080"])
def test_a_page_whose_name_was_pointed_at_us_afterwards_reads_nothing(start, host, path):
    n = start(CACHED + API)
    for method in ("GET", "HEAD"):
        answer = n.request(path, method, host=host)
        assert answer.status == 403 and b"zone" not in answer.body, answer
    assert n.get(path).status in (200, 404)


@pytest.mark.parametrize("names, host", [("localhost", "localhost"), ("localhost", "127.0.0.1"), ("localhost", "[::1]"),
                                         ("localhost", "127.0.0.1:8080"), ("www.example.org", "www.example.org"),
                                         ("a.example.org *.example.org", "any.example.org"), ("a.example.org b.example.org", "b.example.org")])
def test_the_page_works_under_addresses_and_the_names_of_its_server(nginx, names, host):
    nginx.start(text=nginx.config(API, http=f"server {{ listen 127.0.0.1:{nginx.port} default_server; return 421; }}" if "a." in names else "")
                .replace("server_name localhost;", f"server_name {names} 127.0.0.1 [::1] localhost;" if "localhost" in names
                         else f"server_name {names};"))
    assert nginx.request(PURGE, "POST", body=ALL, headers=(JSON, f"Origin: http://{host}"), host=host).status == 200


def test_an_application_may_ask_under_any_name(start):
    n = start(CACHED + API)
    assert n.request(PURGE, "POST", body=ALL, headers=(JSON,), host="cache.internal").status == 200
    assert not is_stored(n)


# ---- what a signature covers ------------------------------------------------------------------------------------------
def sign(method, path, body=b"", fields=(), expiry=None):
    expiry = str(int(time.time()) + 60 if expiry is None else expiry)
    message = "\n".join((method, path, expiry, hashlib.sha256(body).hexdigest(), *fields))
    return f"Authorization: SlabCache {expiry}:{hmac.new(SECRET.encode(), message.encode(), hashlib.sha256).hexdigest()}"


@pytest.fixture
def signed(start, nginx):
    (nginx.prefix / "secret").write_text(SECRET)
    return start(CACHED + "location /_cache/ { slab_cache_api write=on secret=secret; }", server=REALIP)


def test_a_field_that_says_what_to_purge_is_signed_or_counts_for_nothing(signed):
    path = "/_cache/service/one/purge"
    body = b'{"surrogate_keys":["blue"]}'
    token = sign("POST", path, body)
    assert signed.request(path, "POST", body=body, headers=(ELSEWHERE, JSON, token, "Surrogate-Key: red")).status == 401
    assert is_stored(signed)
    assert signed.request(path, "POST", body=b"", headers=(ELSEWHERE, sign("POST", path, b"", ["surrogate-key:blue"]), "Surrogate-Key: red")).status == 401
    assert is_stored(signed)
    assert signed.request(path, "POST", body=b"", headers=(ELSEWHERE, sign("POST", path, b"", ["surrogate-key:red"]), "Surrogate-Key: red")).status == 200
    assert not is_stored(signed)


def test_a_hard_purge_cannot_be_made_a_soft_one_on_its_way(signed):
    path = "/_cache/service/one/purge/red"
    assert signed.request(path, "POST", headers=(ELSEWHERE, sign("POST", path), "Fastly-Soft-Purge: 1")).status == 401
    assert is_stored(signed)


@pytest.mark.parametrize("field", ["Content-Type: text/html", "X-Response-Refresh: 0;url=http://evil.example", "Location: http://evil.example",
                                   "Cache-Control: max-age=99999", "Surrogate-Key: x", "Vary: Accept", "X-Request-Accept: */*", "If-Purge-Seq: 0"])
def test_a_push_cannot_be_given_other_fields_on_its_way(signed, field):
    path = "/_cache/v1/zones/one/entry?url=http://localhost/a&ttl=60"
    assert signed.request(path, "PUT", body=b"page", headers=(ELSEWHERE, sign("PUT", path, b"page"), field)).status == 401
    assert signed.get("/a").body == b"/a"


def test_a_push_with_its_fields_signed_is_stored(signed):
    path = "/_cache/v1/zones/one/entry?url=http://localhost/a&ttl=60"
    fields = ("content-type:text/html", "x-response-x-frame-options:DENY")
    headers = (ELSEWHERE, "Content-Type: text/html", "X-Other: 1", sign("PUT", path, b"page", fields), "X-Response-X-Frame-Options: DENY")
    assert signed.request(path, "PUT", body=b"page", headers=headers).status == 201
    got = signed.get("/a")
    assert got.body == b"page" and got.header("Content-Type") == "text/html" and got.header("X-Frame-Options") == "DENY"
    swapped = (ELSEWHERE, "X-Response-X-Frame-Options: DENY", sign("PUT", path, b"page", fields), "Content-Type: text/html")
    assert signed.request(path, "PUT", body=b"page", headers=swapped).status == 401


def test_a_fenced_push_that_is_sent_again_after_the_next_purge_is_refused(signed):
    seq = json.loads(signed.request(PURGE, "POST", body=ALL, headers=(JSON,)).body)["seq"]
    path = "/_cache/v1/zones/one/entry?url=http://localhost/a&ttl=60"
    headers = (ELSEWHERE, sign("PUT", path, b"old", [f"if-purge-seq:{seq}"]), f"If-Purge-Seq: {seq}")
    assert signed.request(path, "PUT", body=b"old", headers=headers).status == 201
    assert signed.get("/a").body == b"old"
    assert signed.request(PURGE, "POST", body=b'{"urls":["/a"]}', headers=(JSON,)).status == 200
    assert signed.request(path, "PUT", body=b"old", headers=headers).status == 412
    assert signed.get("/a").body == b"/a"


def test_a_signed_request_says_for_which_host_it_is(signed):
    """The Host field is not signed: what was meant for one site must not be turned against another."""
    signed.get("/a", host="other.example")
    for method, path, body in (("POST", PURGE, b'{"urls":["/a"]}'), ("POST", PURGE, b'{"prefixes":["/"]}'), ("DELETE", ENTRY, b""),
                               ("PUT", ENTRY + "&ttl=60", b"page"), ("GET", ENTRY, b"")):
        answer = signed.request(path, method, body=body, headers=(ELSEWHERE, JSON, sign(method, path, body, ["content-type:application/json"]
                                                                                         if method == "PUT" else ())), host="other.example")
        assert answer.status == 400, (method, path, answer)
    assert is_stored(signed, host="other.example") and signed.get("/a", host="other.example").body == b"/a"


@pytest.mark.parametrize("target", [ENTRY.replace("=/a", "=/b"), ENTRY + "&ttl=9", ENTRY.replace("entry", "%65ntry"), ENTRY.replace("/_cache/", "/_cache//")])
def test_a_signature_is_for_the_path_and_query_as_they_were_signed(signed, target):
    assert signed.request(target, "DELETE", headers=(ELSEWHERE, sign("DELETE", ENTRY))).status == 401
    assert is_stored(signed)


def test_an_expiry_cannot_be_moved(signed):
    expiry = int(time.time()) - 5
    old = sign("DELETE", ENTRY, expiry=expiry)
    for token in (old, old.replace(str(expiry), str(expiry + 60)), old.replace(str(expiry), f"0{expiry + 60}"), old.replace(str(expiry), f"+{expiry + 60}")):
        assert signed.request(ENTRY, "DELETE", headers=(ELSEWHERE, token)).status == 401
    assert is_stored(signed)


def test_a_body_behind_a_get_is_no_way_to_write(signed):
    assert signed.request(PURGE, "GET", body=ALL, headers=(ELSEWHERE, JSON, sign("GET", PURGE, ALL))).status in (401, 405)
    assert is_stored(signed)


def test_a_purge_smuggled_behind_another_request_s_body_is_not_seen(start, origin):
    n = start(CACHED)
    seen = origin.hits("/form")
    inner = b"PURGE /a HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with socket.create_connection(n.address) as s:
        s.settimeout(20)
        s.sendall(b"POST /form HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(inner) + inner)
        answer = b""
        while data := s.recv(65536):
            answer += data
    assert answer.count(b"HTTP/1.1 ") == 1 and origin.hits("/form") == seen + 1
    assert request_header(origin.requests("/form")[-1], "Content-Length") == str(len(inner))
    assert is_stored(n)
