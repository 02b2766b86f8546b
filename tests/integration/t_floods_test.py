"""Floods that anybody can start: what bystanders and the origin notice of them."""
import collections
import json
import threading

import pytest
from harness.nginx import PATIENT
from harness.origin import Reply
from harness.wait import wait_until

FRESH = ("Cache-Control: max-age=600",)


def send_all(n, paths, form, status):
    """Fifty in flight, on connections of 500."""
    for k in range(0, len(paths), 500):
        with n.connect() as c:
            for i in range(k, min(k + 500, len(paths)), 50):
                part = paths[i:i + 50]
                c.send_raw(b"".join(form % p.encode() for p in part))
                for _ in part:
                    assert c.read_body(c.read_header()).status == status


def post_all(n, paths):
    send_all(n, paths, b"POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\nx", 302)


def get_all(n, paths, status):
    send_all(n, paths, b"GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", status)


# ---- unsafe requests ---------------------------------------------------------------------------------------------------

@pytest.fixture
def shop(nginx):
    """Pages of a 16 MB zone, and forms at any URL; the origin is nginx itself, as fast as the flood."""
    def start(**kw):
        port = nginx.another_port()
        nginx.start(http=f"""
        server {{ listen 127.0.0.1:{port}; location / {{
            if ($request_method = POST) {{ return 302 /login; }}
            if ($uri ~ ^/none) {{ return 404; }}
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
        before = n.figures()["purge_seq"]
        post_all(n, [f"/q{i}" for i in range(60_000)])
        assert collections.Counter(c.request(f"/page{i}").cache for i in range(500)) == {"HIT": 500}
    assert n.figures()["purge_seq"] - before < 3000


def test_unsafe_requests_to_urls_that_were_asked_for_throw_nothing_out(shop):
    """Each of them gets a record: something of it might have been stored. Far more than there are records."""
    n = shop()
    pages, others = [f"/page{i}" for i in range(500)], [f"/none{i}" for i in range(12_000)]
    get_all(n, pages, 200)
    get_all(n, others, 404)
    post_all(n, others)
    with n.connect() as c:
        assert collections.Counter(c.request(p).cache for p in pages) == {"HIT": 500}

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


# ---- fills -------------------------------------------------------------------------------------------------------------

def open_at(origin):
    """Connections that nginx has open to the origin."""
    def lines():
        with open("/proc/net/tcp", encoding="ascii") as f:
            return [x.split() for x in f.readlines()[1:]]
    return sum(int(x[2].rpartition(":")[2], 16) == origin.port and x[3] == "01" for x in lines())


def ask_and_leave(n, origin, path):
    with n.connect() as c:
        c.send(path)
        origin.wait_for_hits(path, 1)
        c.abort()


def test_fills_that_their_clients_left_are_few(cached, origin):
    go = threading.Event()
    origin.handle("*", lambda r: Reply("x", headers=FRESH, before=go if r.target.startswith("/slow") else None))
    n = cached(zone="slab_cache_zone zone=one:16m fills=16;")
    for i in range(40):
        ask_and_leave(n, origin, f"/slow{i}")
    wait_until(lambda: open_at(origin) <= 2, "an eighth of them is left at the origin")
    assert n.get("/other").status == 200
    go.set()
    wait_until(lambda: n.get("/slow0").cache == "HIT", "those are stored")


def test_limit_conn_is_not_got_round_by_hanging_up(cached, origin):
    go = threading.Event()
    origin.handle("*", lambda r: Reply("x", headers=FRESH, before=go))
    n = cached("limit_conn c 2;", http="limit_conn_zone $server_name zone=c:1m;")
    most = 0
    for i in range(20):
        ask_and_leave(n, origin, f"/a{i}")
        wait_until(lambda: open_at(origin) < 2, "nginx has seen it leave")
        most = max(most, open_at(origin))
    assert most < 2
    go.set()


def test_fill_that_others_wait_for_goes_on_without_its_client(cached, origin):
    go = threading.Event()
    origin.handle("/a", lambda r: Reply("x", headers=FRESH, before=go))
    n = cached(PATIENT + "limit_conn c 9;", http="limit_conn_zone $server_name zone=c:1m;")
    first, second = n.connect(), n.connect()
    first.send("/a")
    origin.wait_for_hits("/a", 1)
    second.send("/a")
    n.wait_for_waiters(1)
    first.abort()
    go.set()
    assert second.read_body(second.read_header()).status == 200
    assert origin.hits("/a") == 1
    second.close()


def test_above_the_bound_requests_go_as_without_a_cache_and_are_stored_in_passing(cached, origin):
    go = threading.Event()
    origin.handle("*", lambda r: Reply("x", headers=FRESH, before=go))
    n = cached(zone="slab_cache_zone zone=one:16m fills=1;")
    clients = [n.connect() for _ in range(5)]
    for i, c in enumerate(clients):
        c.send(f"/a{i}")
    for i in range(5):
        origin.wait_for_hits(f"/a{i}", 1)
    go.set()
    for c in clients:
        assert c.read_body(c.read_header()).status == 200
        c.close()
    assert [n.get(f"/a{i}").cache for i in range(5)] == ["HIT"] * 5


def test_fills_take_none_of_the_connections_that_clients_need(cached, origin, nginx):
    go = threading.Event()
    origin.handle("*", lambda r: Reply("x", headers=FRESH, before=go))
    n = cached(main="", http="")
    n.stop()
    n.start(text=n.text.replace("worker_connections 2048", "worker_connections 64"))
    clients = [n.connect() for _ in range(28)]       # and 28 at the origin
    for i, c in enumerate(clients):
        c.send(f"/a{i}")
    for i in range(28):
        origin.wait_for_hits(f"/a{i}", 1)
    go.set()
    assert [c.read_body(c.read_header()).status for c in clients] == [200] * 28
    for c in clients:
        c.close()


# ---- clients that leave ------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("headers", [FRESH, ("Cache-Control: no-store",)], ids=["stored", "relayed"])
@pytest.mark.parametrize("when", ["before the answer", "within it"])
def test_post_action_of_a_client_that_left_runs_once(nginx, origin, headers, when):
    go = threading.Event()
    slow = {"before": go} if when == "before the answer" else {}
    origin.handle("*", lambda r: Reply([b"a" * 3000, go, b"b" * 300_000], headers=headers, framing="chunked", **slow))
    origin.handle("/post", lambda r: Reply("noted", before=0.05))
    n = nginx.start(location=f"""
        location / {{ slab_cache one; post_action @post; proxy_http_version 1.1; proxy_pass http://{origin.address}; }}
        location @post {{ rewrite ^ /post break; proxy_pass http://{origin.address}; }}""")
    clients = [n.connect() for _ in range(10)]
    for i, c in enumerate(clients):
        c.send(f"/a{i}")
    for i in range(10):
        origin.wait_for_hits(f"/a{i}", 1)
    if when == "within it":
        for c in clients:
            assert c.read_header().status == 200
    for c in clients:
        c.abort()
    origin.wait_for_hits("/post", 10)
    go.set()
    assert n.get("/last").status == 200      # nothing of theirs runs any more when it has been answered
    origin.wait_for_hits("/post", 11)
    assert origin.hits("/post") == 11
