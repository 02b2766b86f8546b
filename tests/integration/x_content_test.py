"""Whatever makes the answer: with slab_cache inherited from the server, clients get what the same nginx gives without it, cold
and warm, and nothing keeps a worker from ending."""
import os
import struct

import pytest
from harness import modules
from harness.client import Connection
from harness.fastcgi import END, STDOUT, FastCgi
from harness.origin import Reply
from x_filters_test import SMALL, quit_in_time, without_cache

NOTICES = 60 * b"PHP Notice:  Undefined variable $something in /srv/www/index.php on line 12, referer: none at all\n"
STDERR = 7


class Noisy(FastCgi):
    """As php-fpm with display_errors off: notices first, on stderr."""

    def _answer(self, sock, request_id, params):
        sock.sendall(b"".join(struct.pack(">BBHHBx", 1, STDERR, request_id, len(piece), 0) + piece
                              for piece in (NOTICES[i:i + 1000] for i in range(0, len(NOTICES), 1000))))
        body = b"Content-Type: text/html\r\nCache-Control: max-age=60\r\n\r\npage " + params["REQUEST_URI"].encode()
        sock.sendall(struct.pack(">BBHHBx", 1, STDOUT, request_id, len(body), 0) + body)
        sock.sendall(struct.pack(">BBHHBxIB3x", 1, END, request_id, 8, 0, 0, 0))


LUA = """
    location /lua/print { content_by_lua_block { ngx.print("hello ", ngx.var.uri) } }
    location /lua/ctx { rewrite_by_lua_block { ngx.ctx.a = "rewritten" } access_by_lua_block { ngx.ctx.b = "let" }
        content_by_lua_block { ngx.print(tostring(ngx.ctx.a), " ", tostring(ngx.ctx.b)) } }
    location /lua/exec { content_by_lua_block { ngx.exec("/files/a.txt") } }
    location /lua/named { content_by_lua_block { ngx.exec("@named") } }
    location @named { return 200 named; }
    location /lua/capture { content_by_lua_block { local r = ngx.location.capture("/files/a.txt"); ngx.print(r.status, " ", r.body) } }
    location /lua/two { content_by_lua_block { local a, b = ngx.location.capture_multi({{"/app/one"}, {"/files/a.txt"}})
        ngx.print(a.body, b.body) } }
    location /lua/pieces { content_by_lua_block { for i = 1, 5 do ngx.print(string.rep(i, 1000)); ngx.flush(true); ngx.sleep(0.002) end } }
    location /lua/redirect { content_by_lua_block { return ngx.redirect("/elsewhere") } }
    location /lua/status { content_by_lua_block { ngx.status = 410; ngx.say("gone"); return ngx.exit(410) } }
    location /lua/error { content_by_lua_block { error("oops") } }
    location /lua/socket { content_by_lua_block { local s = ngx.req.socket(true); s:send("HTTP/1.1 200 OK\\r\\nContent-Length: 3\\r\\nConnection: close\\r\\n\\r\\nraw") } }
    location /lua/rewrite { rewrite_by_lua_block { ngx.req.set_uri("/app/lua", true) } }
    location /lua/length { content_by_lua_block { ngx.header["Content-Length"] = 5; ngx.header["Cache-Control"] = "max-age=9"; ngx.print("12345") } }
    location /lua/abort { content_by_lua_block { ngx.header["Content-Length"] = 50; ngx.print("12345"); ngx.flush(true); ngx.exit(ngx.ERROR) } }
    """
ECHO = """
    location /echo/plain { echo hello; echo again; }
    location /echo/flush { echo one; echo_flush; echo_sleep 0.01; echo two; }
    location /echo/sub { echo before; echo_location /files/a.txt; echo_location /app/echo; echo after; }
    location /echo/async { echo before; echo_location_async /files/a.txt; echo_location_async /app/echo; echo after; }
    location /echo/exec { echo_exec /files/a.txt; }
    location /echo/dup { echo_duplicate 3000 abc; }
    location /echo/around { echo_before_body -n head; echo_after_body tail; proxy_pass http://@ORIGIN@; }
    """
FANCY = "location /fancy/ { alias @PREFIX@/html/files/; fancyindex on; fancyindex_header /head.html; fancyindex_footer /foot.html; }\n"
PERL = """location /perl/hello { perl 'sub { my $r = shift; $r->send_http_header("text/html"); return OK if $r->header_only; $r->print("perl"); return OK; }'; }
    location /perl/file { perl 'sub { my $r = shift; $r->send_http_header("text/html"); $r->sendfile("@PREFIX@/html/files/big.bin"); return OK; }'; }
    location /perl/sleep { perl 'sub { my $r = shift; $r->sleep(20, sub { my $r = shift; $r->send_http_header; $r->print("slept"); return OK; }); return OK; }'; }
    location /perl/elsewhere { perl 'sub { my $r = shift; $r->internal_redirect("/files/a.txt"); return OK; }'; }
    """
PLAIN = """
    location /files/ { }
    location /sendfile/ { alias @PREFIX@/html/files/; sendfile on; tcp_nopush on; }
    location /directio/ { alias @PREFIX@/html/files/; directio 512; output_buffers 1 64k; }
    location /aio/ { alias @PREFIX@/html/files/; aio threads; directio 1k; }
    location /threads/ { alias @PREFIX@/html/files/; sendfile on; aio threads; }
    location /auto/ { alias @PREFIX@/html/files/; autoindex on; autoindex_format json; }
    location /index/ { alias @PREFIX@/html/files/; index none.html a.txt; }
    location /try/ { try_files /none /files$uri /files/a.txt; }
    location /gif { empty_gif; }
    location /status { stub_status; }
    location /dav/ { alias @PREFIX@/html/dav/; dav_methods PUT DELETE MKCOL; create_full_put_path on; }
    location /mp4/ { alias @PREFIX@/html/files/; mp4; }
    location /flv/ { alias @PREFIX@/html/files/; flv; }
    location /return { return 200 "$uri"; }
    location /app/ { proxy_pass http://@ORIGIN@; }
    location /stub { return 204; }
    location /noisy { fastcgi_pass unix:@PREFIX@/noisy.sock; fastcgi_param REQUEST_METHOD $request_method; fastcgi_param REQUEST_URI $request_uri; }
    location /memcached { set $memcached_key $uri; memcached_pass 127.0.0.1:1; error_page 404 502 = /files/a.txt; }
    location /random/ { alias @PREFIX@/html/one/; random_index on; }
    """
PATHS = {
    None: ["/files/a.txt", "/files/big.bin", "/files/none", "/files", "/sendfile/big.bin", "/directio/big.bin", "/aio/big.bin",
           "/threads/big.bin", "/auto/", "/index/", "/try/none", "/gif", "/return", "/app/x", "/stub", "/noisy/1", "/memcached/x",
           "/random/", "/flv/a.txt?start=3", "/flv/a.txt", "/mp4/a.txt", "/dav/a.txt"],
    "http_lua": [f"/lua/{x}" for x in ("print", "ctx", "exec", "named", "capture", "two", "pieces", "redirect", "status", "error", "socket",
                                       "rewrite", "length", "abort")],
    "http_echo": [f"/echo/{x}" for x in ("plain", "flush", "sub", "async", "exec", "dup", "around")],
    "http_fancyindex": ["/fancy/"],
    "http_perl": [f"/perl/{x}" for x in ("hello", "file", "sleep", "elsewhere")],
}
CONFIGURATION = {None: PLAIN, "http_lua": LUA, "http_echo": ECHO, "http_fancyindex": FANCY, "http_perl": PERL}
BIG = b"".join(b"%09d\n" % i for i in range(70_001)) + b"odd"


def answer(n, path, method="GET", headers=()):
    with Connection(n.address, timeout=20) as c:
        try:
            c.send(path, method, headers=["Connection: close", *headers])
            r = c.read_header()
        except EOFError:
            return "closed"
        try:
            c.read_body(r, method)
        except EOFError:
            return r.status, "cut"
        return r.status, r.body, r.header("Content-Type"), (r.header("Location") or "").replace(str(n.port), "PORT")


@pytest.fixture
def both(make_nginx, origin):
    """The same nginx with the cache and without, on the same files."""
    noisy = []

    def start(directives, *loaded, **kw):
        pair = []
        for cache in (True, False):
            n = make_nginx()
            for d in ("files", "dav", "one"):
                (n.prefix / "html" / d).mkdir()
            for name, content in (("files/a.txt", b"a file\n"), ("files/big.bin", BIG), ("one/only.txt", b"only\n"), ("head.html", b"HEAD"),
                                  ("foot.html", b"FOOT"), ("dav/a.txt", b"dav\n")):
                (n.prefix / "html" / name).write_bytes(content)
                os.utime(n.prefix / "html" / name, (1764000000, 1764000000))         # autoindex shows it
            noisy.append(Noisy(n.prefix / "noisy.sock", None))
            text = directives.replace("@PREFIX@", str(n.prefix)).replace("@ORIGIN@", origin.address)
            http = modules.LUA_PATH if "http_lua" in loaded else ""
            config = n.config(location=text, server=f"root {n.prefix}/html; slab_cache one; slab_cache_valid any 1m;",
                              http=http, main=modules.load(*loaded), **kw)
            n.start(text=config if cache else without_cache(config.replace("slab_cache_valid any 1m;", "")))
            n.expect_log(r"lua entry thread aborted: runtime error")
            pair.append(n)
        return pair

    yield start
    for n in noisy:
        n.stop()


@pytest.mark.parametrize("module", CONFIGURATION, ids=lambda m: m or "nginx")
def test_every_content_gives_what_nginx_gives(both, origin, module):
    if module:
        modules.need(module)
    origin.handle("*", lambda r: Reply([0.01, SMALL], headers=["Cache-Control: max-age=60", "Content-Type: text/html"]))
    cached, plain = both(PLAIN + (CONFIGURATION[module] if module else ""), *([module] if module else []))
    wrong = []
    for path in PATHS[module]:
        for method in ("GET", "HEAD"):
            want = answer(plain, path, method)
            for again in range(3):
                got = answer(cached, path, method)
                if got != want:
                    wrong.append(f"{method} {path} ({again}): {str(got)[:150]}, without the cache {str(want)[:150]}")
        origin_range = answer(plain, path, headers=["Range: bytes=2-5"])
        got = answer(cached, path, headers=["Range: bytes=2-5"])
        if got[0] not in (200, 206) and got[0] != origin_range[0]:
            wrong.append(f"Range {path}: {str(got)[:150]}, without the cache {str(origin_range)[:150]}")
    assert not wrong, "\n".join(wrong)
    quit_in_time(cached)


def test_dav_writes_and_what_is_read_is_new(both):
    cached, _ = both(PLAIN)
    assert cached.get("/dav/a.txt").body == b"dav\n"
    assert cached.get("/dav/a.txt").cache == "HIT"
    assert cached.request("/dav/a.txt", "PUT", body=b"new\n").status == 204
    assert cached.get("/dav/a.txt").body == b"new\n"
    assert cached.request("/dav/a.txt", "DELETE").status == 204
    assert cached.get("/dav/a.txt").status == 404


def test_nchan_subscriber_waits_for_its_message(both):
    modules.need("nchan")
    cached, _ = both("location = /sub { nchan_subscriber longpoll; nchan_channel_id x; } location = /pub { nchan_publisher; nchan_channel_id x; }",
                     "nchan")
    with cached.connect() as c:
        c.send("/sub")
        assert cached.request("/pub", "POST", body=b"news").status in (201, 202)
        got = c.read_body(c.read_header())
    assert (got.status, got.body) == (200, b"news")
    quit_in_time(cached)


def test_stub_status_is_counted_anew(both):
    cached, _ = both(PLAIN)
    assert cached.get("/status").body.startswith(b"Active connections")
