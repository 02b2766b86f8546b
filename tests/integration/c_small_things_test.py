"""Small things that nginx's own caches do, each of which somebody has in his configuration."""
import re

import pytest
from harness.nginx import VERSION
from harness.origin import Reply
from harness.wait import wait_until

FRESH = "Cache-Control: max-age=600"


def raw(n, path, *lines):
    """The whole answer to a request with Connection: close, as it comes."""
    with n.connect() as c:
        c.send_raw("\r\n".join([f"GET {path} HTTP/1.1", "Host: localhost", "Connection: close", *lines, "", ""]).encode())
        while c.more():
            pass
        return c.buffer


# ---- variables ---------------------------------------------------------------------------------------------------------

def logged(n, count):
    path = n.prefix / "cookies.log"
    wait_until(lambda: path.exists() and len(path.read_text().splitlines()) >= count, "the log")
    return path.read_text().splitlines()


@pytest.mark.parametrize("mode, hit", [("strip", "-"), ("store", "abc")])
def test_cookies_of_the_origin_are_in_variables(cached, origin, mode, hit):
    origin.reply("/", "page", headers=[FRESH, "Set-Cookie: other=1; Path=/", "Set-Cookie: Sid = abc; Path=/"])
    n = cached(f"slab_cache_set_cookie {mode};", http="log_format c '$upstream_cookie_sid $upstream_cookie_other $upstream_cookie_no';",
               server="access_log {}/cookies.log c;".format("."))
    n.get("/")
    assert n.get("/").cache == "HIT"
    assert logged(n, 2) == ["abc 1 -", f"{hit} {'1' if hit != '-' else '-'} -"]


def test_cookies_of_what_is_not_stored_are_in_variables(cached, origin):
    origin.reply("/", "page", headers=[FRESH, "Set-Cookie: sid=abc"])
    n = cached(http="log_format c '$upstream_cookie_sid';", server="access_log ./cookies.log c;")
    n.get("/")
    n.get("/")
    assert logged(n, 2) == ["abc", "abc"]


def test_status_of_a_redirect_within_is_logged_by_who_asked(nginx, origin):
    origin.reply("/a", headers=[FRESH, "X-Accel-Redirect: /inside/x"])
    n = nginx.start(f"""location / {{ slab_cache one; proxy_pass http://{origin.address}; }}
                        location /inside/ {{ internal; return 200 "inside"; }}""",
                    http="log_format c '$upstream_status $upstream_addr';", server="access_log ./cookies.log c;")
    assert n.get("/a").text == n.get("/a").text == "inside"
    assert logged(n, 2) == [f"200 {origin.address}", "- -"]


def test_zone_that_there_is_not_is_a_500(nginx, origin):
    origin.reply("/", "page", headers=[FRESH])
    n = nginx.start(f"location / {{ slab_cache $arg_zone; proxy_pass http://{origin.address}; }}")
    assert n.get("/?zone=nosuch").status == 500
    assert 'slab_cache zone "nosuch" not found' in n.error_log()
    assert [n.get("/?zone=" + z).status for z in ("one", "off", "")] == [200, 200, 200]
    assert origin.hits("/") == 3


# ---- fields ------------------------------------------------------------------------------------------------------------

def test_a_range_of_a_200_that_has_content_range_has_one(cached, origin):
    origin.reply("/", "hello", headers=[FRESH, "Content-Range: bytes 0-4/5"])
    n = cached()
    for _ in range(2):
        part = n.get("/", ("Range", "bytes=1-2"))
        assert (part.status, part.all("Content-Range"), part.text) == (206, ["bytes 1-2/5"], "el")
    assert n.get("/").all("Content-Range") == ["bytes 0-4/5"]        # as it came


# ---- connections -------------------------------------------------------------------------------------------------------

def test_zones_take_none_of_worker_connections(nginx, origin):
    """As many clients fit with twenty more zones as with one."""
    def clients_that_fit(zones):
        n.start(text=n.config("location / { slab_cache one; return 200 ok; }", zone=zones).replace("worker_connections 2048", "worker_connections 40"))
        connections, answers = [], 0
        try:
            for _ in range(60):
                c = n.connect(timeout=5)
                connections.append(c)
                try:
                    answers += c.request("/").status == 200
                except (OSError, EOFError):
                    break
        finally:
            for c in connections:
                c.close()
        n.stop()
        return answers
    n = nginx
    n.expect_log("worker_connections are not enough")
    one = "slab_cache_zone zone=one:1m;"
    assert clients_that_fit(one + " ".join(f"slab_cache_zone zone=z{i}:1m;" for i in range(20))) >= clients_that_fit(one) >= 20


# ---- trailers ----------------------------------------------------------------------------------------------------------

@pytest.fixture
def h2_origin():
    pytest.importorskip("h2")
    from harness.h2_origin import H2Origin
    origins = []

    def make(replies):
        origins.append(H2Origin(replies))
        return origins[-1]
    yield make
    for o in origins:
        o.stop()


PASSES = {"grpc": "grpc_pass grpc://{};", **({"proxy": "proxy_http_version 2; proxy_pass_trailers on; proxy_pass http://{};"} if VERSION >= (1, 29, 4) else {})}


@pytest.mark.parametrize("kind", PASSES)
@pytest.mark.parametrize("cache_control", ["max-age=600", "private"])
@pytest.mark.parametrize("size", [5, 200_000])
def test_trailers_reach_who_asked(nginx, h2_origin, kind, cache_control, size):
    body = (b"0123456789" * (size // 10 + 1))[:size]
    pieces = [body[i:i + 16000] for i in range(0, size, 16000)]
    o = h2_origin({"/a": ([("cache-control", cache_control)], pieces[:4], [("x-check", "sum"), ("x-more", "2")])})
    n = nginx.start(f"location / {{ slab_cache one; {PASSES[kind].format(o.address)} }}")
    first = raw(n, "/a", "TE: trailers")
    assert re.search(rb"\r\n0\r\nx-check: sum\r\nx-more: 2\r\n\r\n$", first, re.I), first[-200:]
    if cache_control == "max-age=600":
        hit = raw(n, "/a", "TE: trailers")
        assert b"X-Cache: HIT" in hit and b"x-check" not in hit
        assert o.requests == ["/a"]


def test_trailers_are_not_for_a_part_nor_for_a_head(nginx, h2_origin):
    o = h2_origin({p: ([("cache-control", "max-age=600")], [b"0123456789"], [("x-check", "sum")]) for p in ("/a", "/b")})
    n = nginx.start(f"location / {{ slab_cache one; grpc_pass grpc://{o.address}; }}")
    assert b"x-check" not in raw(n, "/a", "Range: bytes=1-2")
    assert n.request("/b", "HEAD").status == 200
    assert n.get("/b").text == "0123456789"
