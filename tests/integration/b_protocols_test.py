"""Every way to make a response and every way to ask for it: HEAD, HTTP/2, TLS, SSI, files, fastcgi, gzip."""
import gzip

import pytest
from harness.fastcgi import FastCgi
from harness.origin import Reply

FRESH = ("Cache-Control: max-age=60",)


def test_head_on_a_cold_key_fills_with_a_get(cached, origin):
    origin.reply("/a", "body", headers=FRESH)
    n = cached()
    head = n.request("/a", "HEAD")
    assert (head.status, head.body, head.header("Content-Length")) == (200, b"", "4")
    assert n.get("/a").cache == "HIT"
    assert [r.method for r in origin.requests("/a")] == ["GET"]


def test_head_is_answered_from_the_stored_get(cached, origin):
    origin.reply("/a", "body", headers=FRESH)
    n = cached()
    n.get("/a")
    with n.connect() as c:
        head = c.request("/a", "HEAD")
        assert (head.cache, head.header("Content-Length")) == ("HIT", "4")
        assert c.request("/a").body == b"body"      # nothing of a body was left on the connection


def test_http_1_0_client_gets_the_hit(cached, origin):
    origin.reply("/a", "body", headers=FRESH)
    n = cached()
    n.get("/a")
    hit = n.request("/a", version="1.0")
    assert (hit.cache, hit.body) == ("HIT", b"body")


@pytest.fixture
def tls(nginx, origin, certificate):
    cert, key = certificate
    port = nginx.another_port()
    nginx.start(http=f"""
        server {{
            listen 127.0.0.1:{port} ssl http2;
            server_name localhost;
            ssl_certificate {cert};
            ssl_certificate_key {key};
            location / {{
                slab_cache one;
                slab_cache_purge PURGE from 127.0.0.1;
                add_header X-Cache $slab_cache_status;
                proxy_pass http://{origin.address};
            }}
        }}""")
    nginx.tls_port = port
    return nginx


@pytest.mark.parametrize("protocol", ["--http1.1", "--http2"])
def test_hits_over_tls(tls, origin, protocol):
    body = bytes(i % 251 for i in range(200_000))
    origin.reply("/a", body, headers=FRESH)
    answers = [tls.curl(protocol, "-i", path="/a", scheme="https", port=tls.tls_port) for _ in range(3)]
    for status, answer in zip((b"MISS", b"HIT", b"HIT"), answers):
        head, _, got = answer.partition(b"\r\n\r\n")
        assert b"x-cache: " + status.lower() in head.lower()
        assert got == body
    assert origin.hits("/a") == 1


def test_http2_streams_share_one_connection(tls, origin):
    origin.handle("*", lambda r: Reply(r.target * 1000, headers=FRESH))
    for p in ("/a", "/b"):
        tls.curl("--http2", path=p, scheme="https", port=tls.tls_port)
    base = f"https://localhost:{tls.tls_port}"
    out = tls.curl("--http2", "-Z", f"{base}/a", f"{base}/b", path="/a", scheme="https", port=tls.tls_port)
    assert len(out) == 3 * 2000 and out.count(b"/b") == 1000
    assert origin.hits() == 2


def test_purge_over_http2(tls, origin):
    origin.reply("/a", "body", headers=FRESH)
    tls.curl("--http2", path="/a", scheme="https", port=tls.tls_port)
    tls.curl("--http2", "-X", "PURGE", path="/a", scheme="https", port=tls.tls_port)
    assert b"x-cache: MISS" in tls.curl("--http2", "-i", path="/a", scheme="https", port=tls.tls_port)


def test_ssi_parts_are_cached_one_by_one(nginx, origin):
    origin.sequence("/part", Reply("[part]", headers=FRESH), Reply("[other]", headers=FRESH))
    origin.reply("/page", 'a<!--# include virtual="/part" -->b', headers=("Cache-Control: no-store",))
    nginx.start(location=f"""
        location /page {{ ssi on; ssi_types *; slab_cache one; proxy_pass http://{origin.address}; }}
        location /part {{ slab_cache one; proxy_pass http://{origin.address}; }}""")
    assert [nginx.get("/page").body for _ in range(3)] == [b"a[part]b"] * 3
    assert (origin.hits("/part"), origin.hits("/page")) == (1, 3)


def test_ssi_page_and_parts_from_the_cache(nginx, origin):
    origin.reply("/part", "[" + "p" * 100_000 + "]", headers=FRESH)
    origin.reply("/page", 'a<!--# include virtual="/part" -->b<!--# include virtual="/part" -->c', headers=FRESH)
    nginx.start(location=f"""
        location / {{ ssi on; ssi_types *; slab_cache one; proxy_pass http://{origin.address}; }}""")
    want = b"a[" + b"p" * 100_000 + b"]b[" + b"p" * 100_000 + b"]c"
    assert [nginx.get("/page").body == want for _ in range(3)] == [True] * 3
    assert (origin.hits("/part"), origin.hits("/page")) == (1, 1)


def test_static_files(nginx):
    (nginx.prefix / "html/f.txt").write_bytes(b"file " * 5000)
    nginx.start(location="location / { root html; slab_cache one; slab_cache_valid 200 1m; }")
    assert [nginx.get("/f.txt").cache for _ in range(2)] == ["MISS", "HIT"]
    (nginx.prefix / "html/f.txt").write_bytes(b"changed")
    hit = nginx.get("/f.txt")
    assert (hit.cache, hit.body) == ("HIT", b"file " * 5000)
    assert hit.header("Content-Type") == "text/plain"
    assert nginx.get("/f.txt", f"If-None-Match: {hit.header('ETag')}").status == 304
    assert nginx.get("/f.txt", "Range: bytes=0-3").body == b"file"


def test_return_directive_and_index_redirects_are_left_whole(nginx):
    nginx.start(location='location / { slab_cache one; slab_cache_valid any 1m; return 404 "none here"; }')
    assert [nginx.get("/x").body for _ in range(2)] == [b"none here"] * 2


def test_fastcgi(nginx):
    body = b"made by fastcgi " * 5000
    responder = FastCgi(nginx.prefix / "fcgi.sock", lambda params: (
        b"Status: 200 OK\r\nContent-Type: text/html\r\nCache-Control: max-age=60\r\nX-Args: "
        + params["QUERY_STRING"].encode() + b"\r\n\r\n" + body))
    nginx.start(location=f"""location / {{
        slab_cache one;
        fastcgi_param QUERY_STRING $query_string; fastcgi_param REQUEST_METHOD $request_method;
        fastcgi_param SCRIPT_FILENAME /x; fastcgi_param REQUEST_URI $request_uri;
        fastcgi_pass unix:{nginx.prefix}/fcgi.sock; }}""")
    answers = [nginx.get("/a?b=c") for _ in range(2)]
    responder.stop()
    assert [a.cache for a in answers] == ["MISS", "HIT"]
    assert [a.body == body for a in answers] == [True, True]
    assert answers[1].header("X-Args") == "b=c"
    assert len(responder.requests) == 1


def test_gzip_is_applied_to_hits_for_those_who_want_it(cached, origin):
    body = b"compress me " * 1000
    origin.reply("/a", body, headers=[*FRESH, "Content-Type: text/plain"])
    n = cached("gzip on; gzip_types text/plain;")
    n.get("/a")
    packed = n.get("/a", "Accept-Encoding: gzip")
    assert packed.header("Content-Encoding") == "gzip" and gzip.decompress(packed.body) == body
    assert n.get("/a").body == body
    assert origin.hits("/a") == 1


def test_sub_filter_and_add_header_are_applied_to_hits(cached, origin):
    origin.reply("/a", "one two", headers=[*FRESH, "Content-Type: text/html"])
    n = cached("sub_filter two three; add_header X-Cache $slab_cache_status; add_header X-More 1;")
    n.get("/a")
    hit = n.get("/a")
    assert (hit.cache, hit.body, hit.header("X-More")) == ("HIT", b"one three", "1")


def test_memory_tier_over_proxy_cache(nginx, origin):
    origin.reply("/a", "body", headers=FRESH)
    nginx.start(http=f"proxy_cache_path {nginx.prefix}/disk keys_zone=disk:1m;",
                location=f"""location / {{ slab_cache one; proxy_cache disk; proxy_pass http://{origin.address};
                                          slab_cache_purge PURGE from 127.0.0.1; }}""")
    assert [nginx.get("/a").cache for _ in range(2)] == ["MISS", "HIT"]
    nginx.purge("/a")
    assert nginx.get("/a").cache == "MISS"
    assert origin.hits("/a") == 1
