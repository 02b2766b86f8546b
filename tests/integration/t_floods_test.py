"""Floods that anybody can start: what bystanders and the origin notice of them."""
import collections
import json
import threading

import pytest
from harness.origin import Reply
from harness.wait import wait_until

FRESH = ("Cache-Control: max-age=600",)


def figures(n):
    return json.loads(n.get("/_cache/v1/zones/one").body)


def post_all(n, paths):
    """Fifty in flight, on connections of 500."""
    for k in range(0, len(paths), 500):
        with n.connect() as c:
            for i in range(k, min(k + 500, len(paths)), 50):
                part = paths[i:i + 50]
                c.send_raw(b"".join(b"POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\nx" % p.encode() for p in part))
                for _ in part:
                    assert c.read_body(c.read_header()).status == 302


# ---- unsafe requests ---------------------------------------------------------------------------------------------------

@pytest.fixture
def shop(nginx):
    """Pages of a 16 MB zone, and forms at any URL; the origin is nginx itself, as fast as the flood."""
    def start(**kw):
        port = nginx.another_port()
        nginx.start(http=f"""
        server {{ listen 127.0.0.1:{port}; location / {{
            if ($request_method = POST) {{ return 302 /login; }}
            add_header Cache-Control max-age=600; return 200 "$request_uri"; }} }}
        upstream up {{ server 127.0.0.1:{port}; keepalive 32; }}""", location="""
        location / { slab_cache one; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_pass http://up; }
        location /_cache/ { slab_cache_api write=on; allow 127.0.0.1; deny all; }""", **kw)
        return nginx
    return start


def test_unsafe_requests_to_random_urls_throw_nothing_out(shop):
    n = shop()
    with n.connect() as c:
        for i in range(500):
            c.request(f"/page{i}")
        before = figures(n)["purge_seq"]
        post_all(n, [f"/q{i}" for i in range(60_000)])
        assert collections.Counter(c.request(f"/page{i}").cache for i in range(500)) == {"HIT": 500}
    assert figures(n)["purge_seq"] - before < 3000


def test_unsafe_requests_to_what_is_stored_still_invalidate_in_a_flood(shop):
    n = shop(workers=2)
    pages = [f"/page{i}" for i in range(300)]
    for p in pages:
        n.get(p)
    flood = threading.Thread(target=post_all, args=(n, [f"/q{i}" for i in range(20_000)]))
    flood.start()
    post_all(n, pages)
    assert {n.get(p).cache for p in pages} == {"MISS"}
    flood.join()


@pytest.mark.parametrize("key", ["", "slab_cache_key $uri;"])
@pytest.mark.parametrize("other", ["/a?x=1&y=2", "/%61?y=2&x=1"])
def test_url_written_another_way_is_invalidated(cached, origin, key, other):
    origin.handle("*", lambda r: Reply(r.method, headers=FRESH))
    n = cached(key)
    n.get("/a?x=1&y=2")
    n.request(other, "POST", body=b"x")
    assert n.get("/a?x=1&y=2").cache == "MISS"


def test_fill_in_flight_is_invalidated_though_nothing_is_stored_yet(cached, origin):
    go = threading.Event()
    origin.handle("/a", lambda r: Reply("done") if r.method == "POST" else Reply("old", headers=FRESH, before=go))
    n = cached()
    with n.connect() as c:
        c.send("/a")
        origin.wait_for_hits("/a", 1)
        n.request("/a", "POST", body=b"x")
        go.set()
        c.read_body(c.read_header())
    assert n.get("/a").cache == "MISS"


def test_what_a_reload_kept_is_invalidated(cached, origin):
    origin.handle("*", lambda r: Reply(r.method, headers=FRESH))
    n = cached()
    n.get("/a")
    n.reload()
    n.request("/a", "POST", body=b"x")
    assert n.get("/a").cache == "MISS"


def test_what_a_resize_carried_over_is_invalidated(cached, origin):
    origin.handle("*", lambda r: Reply(r.method, headers=FRESH))
    n = cached()
    n.get("/a")
    n.write(n.text.replace("one:16m", "one:24m"))
    n.reload()
    assert n.get("/a").cache == "HIT"
    n.request("/a", "POST", body=b"x")
    assert n.get("/a").cache == "MISS"


def test_push_fenced_before_an_invalidation_of_what_is_not_stored_is_refused(cached, origin):
    origin.handle("*", lambda r: Reply(r.method, headers=FRESH))
    n = cached()
    answer = n.request("/_cache/v1/zones/one/purge", "POST", body=b'{"tags": ["t"]}', headers=["Content-Type: application/json"])
    seq = json.loads(answer.body)["seq"]
    n.request("/a", "POST", body=b"x")
    push = n.request("/_cache/v1/zones/one/entry?ttl=600&url=http://localhost/a", "PUT", body=b"old",
                     headers=[f"If-Purge-Seq: {seq}"])
    assert push.status == 412
