"""Whatever a client gets with the cache, it could have got without it: from the same backend, for the same URI, at its own rights.

Each configuration runs twice on the same origins, with the cache on for the whole server and without. The origins stamp what they
answer with their name and what they were asked; what clients ask, in order, must come out the same."""
import base64
import hashlib

import pytest
from harness.memcached import Memcached
from harness.origin import Origin, Reply, request_header
from x_filters_test import without_cache

FRESH = ["Cache-Control: max-age=600"]
ALICE, MALLORY = ["Cookie: u=alice"], ["Cookie: u=mallory"]
MD5 = base64.urlsafe_b64encode(hashlib.md5(b"k/x").digest()).decode().rstrip("=")
AUTH = "location = /auth { internal; slab_cache off; proxy_pass http://@C@; proxy_pass_request_body off; }\n"

# name: (locations, http, [(path, headers)]). @A@ and @B@ answer all, @C@ lets alice in.
CASES = {
    # I1: what comes before the content runs for every request
    "auth_request": (AUTH + "location / { auth_request /auth; proxy_pass http://@A@; }", "",
                     [("/x", ALICE), ("/x", MALLORY), ("/x", []), ("/x", ALICE)]),
    "auth_request behind try_files": (AUTH + "location / { try_files /none @app; } location @app { auth_request /auth; proxy_pass http://@A@; }",
                                      "", [("/x", ALICE), ("/x", MALLORY), ("/x", [])]),
    "auth_request behind index": (AUTH + "location / { index none.html /app.php; } location = /app.php { auth_request /auth; proxy_pass http://@A@; }",
                                  "", [("/", ALICE), ("/", MALLORY), ("/", [])]),
    "satisfy any": (AUTH + "location / { satisfy any; deny all; auth_request /auth; proxy_pass http://@A@; }", "",
                    [("/x", ALICE), ("/x", MALLORY), ("/x", ALICE)]),
    "deny by header": ("location / { if ($http_cookie = u=mallory) { return 403; } proxy_pass http://@A@; }", "",
                       [("/x", ALICE), ("/x", MALLORY), ("/x", [])]),
    "deny by realip": ("location / { set_real_ip_from 127.0.0.1; real_ip_header X-Real; deny 10.0.0.1; proxy_pass http://@A@; }", "",
                       [("/x", []), ("/x", ["X-Real: 10.0.0.1"]), ("/x", [])]),
    "limit_req": ("location / { limit_req zone=l burst=1 nodelay; proxy_pass http://@A@; }", "limit_req_zone $binary_remote_addr zone=l:1m rate=1r/m;",
                  [("/x", []), ("/x", []), ("/x", [])]),
    "secure_link": ('location / { secure_link $arg_md5; secure_link_md5 "k$uri"; if ($secure_link = "") { return 403; } proxy_pass http://@A@; }',
                    "", [(f"/x?md5={MD5}", []), (f"/x?md5={MD5}", []), ("/x?md5=wrong", []), ("/x", [])]),
    # I2, I3: redirects are made anew
    "error_page to a login": (AUTH + "location / { auth_request /auth; error_page 401 = @login; proxy_pass http://@A@; } location @login { proxy_pass http://@B@; }",
                              "", [("/x", ALICE), ("/x", MALLORY), ("/y", MALLORY), ("/y", ALICE), ("/x", MALLORY)]),
    "intercepted": ("location / { proxy_intercept_errors on; error_page 404 = @b; error_page 503 /page; error_page 410 =200 /page; proxy_pass http://@A@; } "
                    "location @b { proxy_pass http://@B@; } location /page { proxy_pass http://@B@; }", "",
                    [(f"/status/{s}/{i}", []) for s in (404, 503, 410, 500, 200) for i in (1, 1, 1)] + [("/page", []), ("/page", [])]),
    "own errors": ("error_page 404 /page; location /files/ { root /nonexistent; } location /page { proxy_pass http://@B@; }", "",
                   [("/files/a", []), ("/files/a", []), ("/page", []), ("/files/b", [])]),
    "error_page 405 and a dead page": ("location /post { error_page 403 /dead; return 403; } location /dead { proxy_pass http://127.0.0.1:1; }", "",
                                       [("/post", []), ("/post", []), ("/dead", [])]),
    "X-Accel-Redirect": ("location / { proxy_pass http://@A@; } location /store/ { internal; proxy_pass http://@B@; } "
                         "location @store { proxy_pass http://@B@; }", "",
                         [(f"/accel/{kind}/{where}", who) for kind in ("private", "no-store", "cookie", "vary", "zero", "fresh", "none")
                          for where in ("named", "store") for who in (ALICE, MALLORY, [], ALICE)] + [("/store/file", [])]),
    "named by error_page of a whole server": ("error_page 404 = @b; proxy_intercept_errors on; location / { proxy_pass http://@A@; } "
                                              "location @b { proxy_pass http://@B@; }", "", [("/status/404/a", []), ("/status/404/a", []), ("/status/200/a", [])]),
    # I4: one URL, several answers
    "front controller": ("location / { try_files /none /index.php?q=$uri; } location = /index.php { proxy_pass http://@A@; }", "",
                         [("/a", []), ("/b", []), ("/a", []), ("/index.php", []), ("/index.php?q=/a", [])]),
    "rewrite break": ("location /api/ { rewrite ^/api/(.*) /$1 break; proxy_pass http://@A@; } location / { proxy_pass http://@B@; }", "",
                      [("/api/x", []), ("/x", []), ("/api/x", []), ("/x", [])]),
    "rewrite by header": ("location / { if ($http_cookie = u=alice) { rewrite ^ /own break; } proxy_pass http://@A@; }", "",
                          [("/x", []), ("/x", ALICE), ("/x", []), ("/x", ALICE), ("/own", [])]),
    "if chooses": ("location / { if ($http_cookie = u=alice) { proxy_pass http://@B@; } proxy_pass http://@A@; }", "",
                   [("/x", []), ("/x", ALICE), ("/x", []), ("/x", ALICE)]),
    "map chooses": ("location / { proxy_pass http://$up; }", "map $http_cookie $up { default @A@; u=alice @B@; }",
                    [("/x", []), ("/x", ALICE), ("/x", []), ("/x", ALICE)]),
    "set chooses": ("location / { set $up @A@; if ($http_cookie = u=alice) { set $up @B@; } proxy_pass http://$up$request_uri; }", "",
                    [("/x", []), ("/x", ALICE), ("/x", []), ("/x", ALICE)]),
    "two servers": ("location / { proxy_pass http://@A@; }", "server { listen 127.0.0.1:@PORT@; server_name other *.example.com; location / { proxy_pass http://@B@; } }",
                    [("/x", []), ("/x", ["Host: other"]), ("/x", ["Host: a.example.com"]), ("/x", ["Host: b.example.com"]), ("/x", [])]),
    "limit_except": ("location / { limit_except POST { proxy_pass http://@B@; } proxy_pass http://@A@; }", "", [("/x", []), ("/x", [])]),
    "nested": ("location /a { proxy_pass http://@A@; location ~ [.]b$ { proxy_pass http://@B@; } }", "", [("/a/x", []), ("/a/x.b", []), ("/a/x", [])]),
    "captures": (r"location ~ ^/(?<who>\w+)/(.*)$ { proxy_pass http://@A@/$2?who=$who; }", "", [("/one/x", []), ("/two/x", []), ("/one/x", []), ("/x/one", [])]),
    "proxy_redirect": ("location / { proxy_redirect http://app/ $http_x_proto://$host/; proxy_pass http://@A@; }", "",
                       [("/moved", ["X-Proto: http"]), ("/moved", ["X-Proto: https"]), ("/moved", ["X-Proto: evil"]), ("/moved", ["X-Proto: https"])]),
    "cookie path": ("location / { proxy_set_header X-User $cookie_u; proxy_pass http://@A@/$cookie_u; }", "", [("/x", ALICE), ("/x", MALLORY), ("/x", ALICE)]),
    "site that a header names": ("location / { proxy_set_header Host $site; proxy_pass http://@A@; }", "map $http_cookie $site { default one; u=alice two; }",
                                 [("/host", []), ("/host", ALICE), ("/host", []), ("/host", ALICE)]),
    "site of a port": ("location / { proxy_set_header Host $host:$server_port; proxy_pass http://@A@; }", "", [("/host", []), ("/host", [])]),
    "method and body by a header": ("location / { proxy_method $how; proxy_set_body $http_cookie; proxy_pass http://@A@; }",
                                    "map $http_cookie $how { default GET; u=alice OPTIONS; }", [("/x", []), ("/x", ALICE), ("/x", MALLORY), ("/x", [])]),
    "whom auth_request lets in": ("auth_request /door; auth_request_set $who $upstream_http_x_who; location / { proxy_set_header X-Who $who; proxy_pass http://@A@; } "
                                  "location /door { internal; slab_cache off; auth_request off; proxy_pass http://@A@; }", "",
                                  [("/who", ALICE), ("/who", MALLORY), ("/who", []), ("/who", ALICE)]),
    "what a map makes of whom auth_request lets in": (
        "auth_request /door; auth_request_set $who $upstream_http_x_who; location / { proxy_set_header X-Who $role; proxy_pass http://@A@; } "
        "location /door { internal; slab_cache off; auth_request off; proxy_pass http://@A@; }", "map $name $role { default $name; } map $who $name { default $who; }",
        [("/who", ALICE), ("/who", MALLORY), ("/who", []), ("/who", ALICE)]),
    "whom auth_request lets in, in an if": (
        "auth_request /door; auth_request_set $who $upstream_http_x_who; location / { proxy_set_header X-Who $who; proxy_pass http://@A@; "
        "if ($arg_x) { set $y 1; } } location /door { internal; slab_cache off; auth_request off; proxy_pass http://@A@; }", "",
        [("/who?x=1", ALICE), ("/who?x=1", MALLORY), ("/who?x=1", []), ("/who?x=1", ALICE)]),
    "credentials out of a cookie": ('location / { proxy_set_header Authorization "Bearer $cookie_u"; proxy_pass http://@A@; }', "",
                                    [("/who", ALICE), ("/who", MALLORY), ("/who", []), ("/who", ALICE)]),
    # I6: the key says what the origin is sent
    "question mark": ("location / { proxy_pass http://@A@; }", "", [("/x?", []), ("/x", []), ("/x?", []), ("/x?a", []), ("/x?a=", []), ("/x?a", [])]),
    "dot segments": ("location / { proxy_pass http://@A@; }", "", [("/a/../x", []), ("/x", []), ("/%78", []), ("//x", []), ("/x", []), ("/a%2fb", []), ("/a/b", [])]),
    "encoded once more": ("location / { proxy_pass http://@A@$uri; }", "", [("/a%20b", []), ("/a%2520b", []), ("/a%20b", [])]),
}


NEVER_A_HIT = {"error_page 405 and a dead page"}


def stamp(name):
    def answer(request):
        path = request.target.partition("?")[0]
        cookie = next((line[8:] for line in request.lines if line.lower().startswith("cookie: ")), "nobody")
        body = f"{name} {request.method} {request.target}"
        if path == "/host":
            return Reply(body + request_header(request, "Host").partition(":")[0], headers=FRESH)
        if path == "/who":
            return Reply(f"{body} {request_header(request, 'X-Who')} {request_header(request, 'Authorization')}", headers=FRESH)
        if path == "/door":
            return Reply("", headers=[f"X-Who: {cookie}"])
        if path.startswith("/status/"):
            return Reply(body, status=int(path.split("/")[2]), headers=FRESH)
        if path == "/moved":
            return Reply(body, status=301, headers=[*FRESH, "Location: http://app/there"])
        if path.startswith("/accel/"):
            _, _, kind, where = path.split("/")
            if cookie != "u=alice" and kind != "fresh":
                return Reply("no", status=403, headers=["Cache-Control: no-store"])
            lines = {"private": ["Cache-Control: private"], "no-store": ["Cache-Control: no-store"], "cookie": [*FRESH, f"Set-Cookie: id=of-{cookie}"],
                     "vary": [*FRESH, "Vary: Cookie"], "zero": ["X-Accel-Expires: 0"], "fresh": FRESH, "none": []}[kind]
            return Reply("", headers=[*lines, "X-Accel-Redirect: " + ("@store" if where == "named" else "/store/file")])
        return Reply(body, headers=FRESH)
    return answer


def let_alice(request):
    return Reply("", status=200 if any(line == "Cookie: u=alice" for line in request.lines) else 401)


@pytest.fixture(scope="module")
def origins():
    made = {"@A@": stamp("A"), "@B@": stamp("B"), "@C@": let_alice}
    started = {}
    for mark, function in made.items():
        started[mark] = Origin()
        started[mark].handle("*", function)
    yield started
    for o in started.values():
        o.stop()


def seen(response):
    return response.status, response.body if response.status < 400 or b"<html>" not in response.body else b"", response.header("Location"), \
        response.all("Set-Cookie")


def ask(n, path, headers):
    host = next((h[6:] for h in headers if h.startswith("Host: ")), "localhost")
    return n.get(path, *[h for h in headers if not h.startswith("Host: ")], host=host)


@pytest.mark.parametrize("name", CASES)
def test_client_gets_what_it_could_have_got_without_the_cache(make_nginx, origins, name):
    locations, http, requests = CASES[name]
    pair = []
    for cache in (True, False):
        n = make_nginx()
        text = n.config(location=locations, http="slab_cache one;" + http)
        for mark, o in origins.items():
            text = text.replace(mark, o.address)
        text = text.replace("@PORT@", str(n.port)).replace("slab_cache off;", "slab_cache off;" if cache else "")
        n.start(text=text if cache else without_cache(text))
        pair.append(n)
    wrong, hits = [], 0
    for round_ in ("cold", "warm", "after a reload"):
        for i, (path, headers) in enumerate(requests):
            answer = ask(pair[0], path, headers)
            hits += answer.cache == "HIT"
            got, want = seen(answer), seen(ask(pair[1], path, headers))
            if name == "limit_req":
                got, want = got[0], want[0]
            if got != want:
                wrong.append(f"{round_}, request {i} {path} {headers}: {got}, without the cache {want}")
        if round_ == "warm" and name != "limit_req":
            pair[0].process.send_signal(1)
    assert not wrong, "\n".join(wrong)
    assert hits > 0 or name in NEVER_A_HIT       # else nothing was tried


def test_post_to_one_page_of_a_front_controller_flushes_that_page_alone(make_nginx, origins):
    n = make_nginx().start(f"""
        location / {{ try_files /none /index.php?$args; }}
        location = /index.php {{ slab_cache one; slab_cache_purge PURGE from 127.0.0.1; proxy_pass http://{origins['@A@'].address}; }}""")
    for path in ("/one", "/two"):
        n.get(path)
        assert n.get(path).cache == "HIT"
    n.request("/one", "POST", body=b"x")
    assert (n.get("/one").cache, n.get("/two").cache) == ("MISS", "HIT")


@pytest.mark.parametrize("locations", [
    "location / { try_files /none @app; } location @app { slab_cache one; proxy_pass http://@A@; }",
    "location / { slab_cache one; rewrite ^/(.*)$ /in/$1 break; proxy_pass http://@A@; }",
    "location / { rewrite ^/(.*)$ /in/$1 last; } location /in/ { slab_cache one; proxy_pass http://@A@; }",
    "location / { slab_cache one; if ($http_cookie = u=alice) { proxy_pass http://@B@; } proxy_pass http://@A@; }",
], ids=["try_files", "rewrite break", "rewrite last", "if"])
@pytest.mark.parametrize("how", ["url", "prefix", "host"])
def test_purge_by_the_clients_url_takes_every_answer_of_it(make_nginx, origins, locations, how):
    for mark, o in origins.items():
        locations = locations.replace(mark, o.address)
    n = make_nginx().start(locations + "location /_cache/ { slab_cache_api write=on; allow 127.0.0.1; deny all; }")
    for who in ([], ALICE):
        n.get("/pages/x", *who)
        assert n.get("/pages/x", *who).cache == "HIT"
    body = {"url": b'{"urls": ["http://localhost/pages/x"]}', "prefix": b'{"prefixes": ["http://localhost/pages/"]}',
            "host": b'{"hosts": ["localhost"]}'}[how]
    answer = n.request("/_cache/v1/zones/one/purge", "POST", headers=["Content-Type: application/json"], body=body)
    assert answer.status == 200, answer.text
    # Where both are given the same, the second finds what the first has stored anew.
    assert [n.get("/pages/x", *who).cache for who in (ALICE, [])] == ["MISS", "MISS" if "if (" in locations else "HIT"]


@pytest.mark.parametrize("line", ["proxy_set_header Authorization 'Basic c2l0ZQ==';", "proxy_set_header X-Real-IP $remote_addr;",
                                  "proxy_set_header Host $http_host;", "proxy_set_header Authorization $http_authorization;"])
def test_what_the_origin_is_told_of_a_client_tells_nobody_apart(cached, origin, line):
    origin.reply("/x", "for all", headers=FRESH)
    n = cached(line)
    assert [n.get("/x", *who).cache for who in (ALICE, MALLORY, [])] == ["MISS", "HIT", "HIT"]


@pytest.mark.parametrize("cookie", ["session=joe", "session=joe; theme=dark"])
def test_refusal_of_one_kind_is_none_of_another(cached, origin, cookie):
    """What a bypassed request could not store does not mark the page for visitors, whoever comes first."""
    origin.handle("*", lambda r: Reply("own", headers=["Cache-Control: private"]) if any("session" in line for line in r.lines)
                  else Reply("for all", headers=FRESH))
    n = cached("slab_cache_bypass $cookie_session; slab_no_cache $cookie_session;")
    for _ in range(3):
        assert n.get("/page", f"Cookie: {cookie}").body == b"own"
    assert [n.get("/page").cache for _ in range(2)] == ["MISS", "HIT"]
    assert n.get("/page", f"Cookie: {cookie}").body == b"own"
    assert n.get("/page").cache == "HIT"


def test_no_cache_may_be_an_allow_list_of_what_the_answer_is(nginx, origin):
    origin.reply("/json", "{}", headers=[*FRESH, "Content-Type: application/json"])
    origin.reply("/html", "<p>", headers=[*FRESH, "Content-Type: text/html"])
    nginx.start(http="map $sent_http_content_type $dont { application/json 0; default 1; }",
                location=f"location / {{ slab_cache one; slab_no_cache $dont; proxy_pass http://{origin.address}; }}")
    assert [nginx.get("/json").cache for _ in range(2)][1] == "HIT"
    assert "HIT" not in [nginx.get("/html").cache for _ in range(3)]


@pytest.mark.parametrize("line", ["gzip;q=0", "GZIP;q=0, identity", "abracadabra", "x-gzip-not", "identity;q=1, gzip;q=0.000"])
def test_coding_that_was_not_accepted_is_given_to_nobody_else(cached, origin, line):
    def naive(request):             # as many applications: looks for the word
        coded = any(h.lower().startswith("accept-encoding:") and ("gzip" in h.lower() or "abra" in h) for h in request.lines)
        return Reply("coded" if coded else "plain", headers=[*FRESH, "Vary: Accept-Encoding", *(["Content-Encoding: gzip"] if coded else [])])
    origin.handle("*", naive)
    n = cached()
    n.get("/x", f"Accept-Encoding: {line}")
    for victim in ("identity", "deflate", "identity;q=1, *;q=0"):
        assert n.get("/x", f"Accept-Encoding: {victim}").header("Content-Encoding") is None


@pytest.mark.parametrize("lines", [["Cache-Control: max-age=600", "Content-Disposition: inline"], ["Cache-Control: no-store", "Set-Cookie: a=b"], []],
                         ids=["stored", "not stored", "silent"])
@pytest.mark.parametrize("place", ["@gone", "/../out", "/missing"])
def test_redirect_that_leads_nowhere_keeps_the_applications_fields(make_nginx, origin, place, lines):
    origin.handle("/x", lambda r: Reply("", headers=[*lines, "X-Accel-Redirect: " + place]))
    location = f"location / {{ slab_cache one; proxy_pass http://{origin.address}; }} location /missing {{ root /nonexistent; }} location @other {{ return 204; }}"
    cached, plain = make_nginx(), make_nginx()
    cached.start(text=cached.config(location))
    plain.start(text=without_cache(plain.config(location)))

    def answer(n):
        a = n.get("/x")
        return a.status, a.body, sorted(h for h in a.headers if not h[0].startswith(("X-", "Date")))
    want = answer(plain)
    assert want[0] == (500 if place == "@gone" else 404)
    asked = origin.hits("/x")
    assert [answer(cached) for _ in range(3)] == [want] * 3
    assert origin.hits("/x") - asked == (1 if "max-age" in str(lines) else 3)


def test_answer_whose_redirect_nginx_ignores_is_the_origins_own(cached, origin):
    origin.reply("/x", "body", headers=["X-Accel-Redirect: /y", "X-Accel-Expires: 600", "Date: Mon, 01 Jan 2024 00:00:00 GMT"])
    n = cached("proxy_ignore_headers X-Accel-Redirect;")
    answers = [n.get("/x") for _ in range(2)]
    assert [(a.cache, a.text, a.header("Date")) for a in answers] == [(c, "body", "Mon, 01 Jan 2024 00:00:00 GMT") for c in ("MISS", "HIT")]


def test_what_memcached_is_asked_for_counts(nginx):
    store = Memcached()
    try:
        for key in ("one:/x", "two:/x"):
            assert store.ask(f"set {key} 0 0 {len(key)}\r\n{key}\r\n".encode()) == b"STORED\r\n"
        nginx.start(location=f"""location / {{
            slab_cache one; slab_cache_valid 200 1m; default_type text/plain;
            set $memcached_key "$http_site:$uri";
            memcached_pass {store.address};
        }}""")
        found = [(a.text, a.cache) for a in (nginx.get("/x", f"Site: {site}") for site in ("one", "two", "one", "two"))]
    finally:
        store.stop()
    assert found == [("one:/x", "MISS"), ("two:/x", "MISS"), ("one:/x", "HIT"), ("two:/x", "HIT")]
