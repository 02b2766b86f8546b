"""slab_cache_early_hints: a 103 with what a URL's last answer told browsers to fetch, while the origin makes the next one."""
import json
import threading

import pytest
from harness.nginx import VERSION
from harness.origin import Reply, request_header
from harness.wait import wait_until

CSS = "</app.css>; rel=preload; as=style"
LINKS = f"{CSS}, </2>; rel=next, <https://cdn.example>; rel=preconnect"
HINTS = f"{CSS}, <https://cdn.example>; rel=preconnect"
NAVIGATES = "Sec-Fetch-Mode: navigate"
ON = "slab_cache_early_hints on;"


class Slow:
    """An origin whose answers are asked about at each use, and that works as long as the test wants once `slow` is set."""

    def __init__(self, origin):
        self.origin, self.go, self.slow = origin, threading.Event(), False
        self.more, self.links, self.cache_control = [], LINKS, "no-cache"
        self.at_work = 0
        origin.handle("*", self.answer)

    def answer(self, r):
        links = [f"Link: {self.links(r) if callable(self.links) else self.links}"] if self.links else []
        reply = Reply("page of " + r.target, headers=[f"Cache-Control: {self.cache_control}", 'ETag: "1"', *links, *self.more])
        if self.slow:
            self.at_work += 1
            self.go.wait()
            self.at_work -= 1
        return reply

    def warm(self, n, *paths, headers=()):
        for path in paths:
            assert n.get(path, *headers).status == 200
        self.slow = True


@pytest.fixture
def slow(origin):
    s = Slow(origin)
    yield s
    s.go.set()


def ask(n, path="/p", *headers, **kw):
    c = n.connect()
    c.send(path, headers=[NAVIGATES, *headers], **kw)
    return c


def hints(c):
    """The Link of a 103 that comes while the origin still works."""
    r = c.read_any_header()
    assert r.status == 103, r
    assert [line for line in r.lines if not line.startswith("Link: ")] == []
    return r.header("Link")


def is_hinted(slow, n, path="/p", *headers, **kw):
    """Whether a 103 comes before the answer to one more request."""
    c = ask(n, path, *headers, **kw)
    wait_until(lambda: slow.at_work > 0, "the origin is asked")
    slow.go.set()
    first = c.read_any_header()
    final = first if first.status != 103 else c.read_header()
    assert final.status == 200
    c.close()
    wait_until(lambda: slow.at_work == 0, "the origin has answered, whoever waited for that")
    slow.go.clear()
    return first.status == 103


def test_hints_come_while_the_origin_works(cached, slow):
    n = cached(ON)
    slow.warm(n, "/p")
    c = ask(n)
    assert hints(c) == HINTS and not slow.go.is_set()
    slow.go.set()
    final = c.read_body(c.read_header())
    assert (final.status, final.text, final.all("Link")) == (200, "page of /p", [LINKS])
    assert json.loads(n.get("/_cache/v1/zones/one").body)["counters"]["early_hints"] == 1
    assert 'slab_cache_early_hints_total{zone="one"} 1' in n.get("/_cache/metrics").text


def test_hints_outlive_the_body(cached, slow):
    n = cached(ON, zone="slab_cache_zone zone=one:4m max_object=400k;")
    slow.cache_control = "max-age=600"
    slow.warm(n, "/p")
    slow.slow = False
    slow.origin.handle("*", lambda r: Reply("x" * 300_000, headers=["Cache-Control: max-age=600"]))

    def is_gone(i=[0]):
        i[0] += 1
        n.get(f"/filler/{i[0]}")
        shown = json.loads(n.get("/_cache/v1/zones/one/entry?url=/p").body)
        return not any("status" in e for e in shown["entries"])
    slow.origin.reply("/p", "y" * 300_000, headers=["Cache-Control: max-age=600", f"Link: {LINKS}"])
    n.purge("/p")
    n.get("/p")
    wait_until(is_gone, "the body is evicted")
    slow.slow = True
    slow.origin.handle("/p", slow.answer)
    c = ask(n)
    assert hints(c) == HINTS
    slow.go.set()
    assert c.read_body(c.read_header()).header("X-Cache") == "MISS"


def test_everybody_who_waits_is_hinted_once(cached, slow):
    n = cached(ON, workers=2)
    slow.warm(n, "/p")
    slow.cache_control = "max-age=600"      # the next answer is for all who wait
    clients = [ask(n) for _ in range(6)]
    assert [hints(c) for c in clients] == [HINTS] * 6
    slow.go.set()
    assert [c.read_any_header().status for c in clients] == [200] * 6
    assert slow.origin.hits("/p") == 2


@pytest.mark.parametrize("headers, kw", [
    (["Sec-Fetch-Mode: no-cors"], {}), ([], {}), ([NAVIGATES], {"version": "1.0"}), ([NAVIGATES, "Authorization: Basic eDp5"], {}),
    ([NAVIGATES], {"method": "HEAD"}), ([NAVIGATES], {"method": "POST", "body": b"x"})])
def test_nobody_else_is(cached, slow, headers, kw):
    n = cached(ON)
    slow.warm(n, "/p")
    slow.go.set()
    c = n.connect()
    c.send("/p", headers=headers, **kw)
    assert c.read_any_header().status == 200


@pytest.mark.parametrize("directives", ["", "slab_cache_early_hints off;"])
def test_it_is_off_unless_said(cached, slow, directives):
    n = cached(directives)
    slow.warm(n, "/p")
    assert not is_hinted(slow, n)


def test_a_hit_has_no_hints_before_it(cached, slow):
    slow.cache_control = "max-age=600"
    n = cached(ON)
    slow.warm(n, "/p")
    c = ask(n)
    assert c.read_any_header().header("X-Cache") == "HIT"


PURGES = {
    "url": lambda n: n.purge("/dir/p"),
    "soft": lambda n: n.purge("/dir/p", ("Fastly-Soft-Purge", "1")),
    "prefix": lambda n: n.purge("/dir/*"),
    "glob": lambda n: n.purge("/d*p"),
    "tag": lambda n: n.purge("/", ("Surrogate-Key", "news")),
    "tags": lambda n: n.request("/_cache/v1/zones/one/purge", "POST", body=b'{"tags_all": ["news", "red"]}'),
    "all": lambda n: n.request("/_cache/v1/zones/one/purge", "POST", body=b'{"all": true}'),
    "delete": lambda n: n.request("/_cache/v1/zones/one/entry?url=/dir/p", "DELETE"),
    "post": lambda n: n.request("/dir/p", "POST", body=b"x"),
}


@pytest.mark.parametrize("kind", PURGES)
def test_a_purge_takes_hints_too(cached, slow, kind):
    slow.more = ["Surrogate-Key: news red"]
    n = cached(ON)
    slow.warm(n, "/dir/p", "/other")
    assert is_hinted(slow, n, "/dir/p")
    slow.go.set()
    assert PURGES[kind](n).status == 200
    slow.go.clear()
    assert not is_hinted(slow, n, "/dir/p")
    assert is_hinted(slow, n, "/dir/p")            # of the answer since
    assert is_hinted(slow, n, "/other") == (kind not in ("all", "tag", "tags"))


def test_an_answer_without_links_forgets_them(cached, slow):
    n = cached(ON)
    slow.warm(n, "/p")
    slow.links = "</2>; rel=next"
    slow.more = ["Cache-Control: no-cache", "X-New: 1"]
    assert is_hinted(slow, n)
    assert not is_hinted(slow, n)


def test_hints_change_with_the_answer(cached, slow):
    n = cached(ON)
    slow.warm(n, "/p")
    slow.links = "</new.css>; rel=preload"
    assert is_hinted(slow, n)
    c = ask(n)
    assert hints(c) == "</new.css>; rel=preload"


def test_what_is_not_stored_leaves_no_hints(cached, slow):
    slow.cache_control = "private"
    n = cached(ON)
    slow.warm(n, "/p")
    assert not is_hinted(slow, n)


def test_a_variants_hints_are_its_own(cached, slow):
    slow.more = ["Vary: X-User"]
    slow.links = lambda r: f"</avatar/{request_header(r, 'X-User')}.png>; rel=preload"
    n = cached(ON)
    slow.warm(n, "/p", headers=[("X-User", "anna")])
    assert not is_hinted(slow, n, "/p", "X-User: bert")
    c = ask(n, "/p", "X-User: anna")
    assert hints(c) == "</avatar/anna.png>; rel=preload"


def test_a_locations_hints_are_its_own(nginx, slow):
    """One URL, two answers: whose they are decides, not the URL."""
    n = nginx.start(f"""location / {{ if ($http_x_way = two) {{ rewrite ^ /two$uri last; }} slab_cache one; {ON} proxy_pass http://{slow.origin.address}; }}
                        location /two/ {{ internal; slab_cache one; {ON} proxy_pass http://{slow.origin.address}; }}""")
    slow.links = lambda r: f"<{r.target}.css>; rel=preload"
    slow.warm(n, "/p")
    assert not is_hinted(slow, n, "/p", "X-Way: two")
    c = ask(n, "/p", "X-Way: two")
    assert hints(c) == "</two/p.css>; rel=preload"
    c = ask(n, "/p")
    assert hints(c) == "</p.css>; rel=preload"


def test_fields_that_access_rules_have_set_are_for_the_answer(nginx, slow):
    n = nginx.start(f"""location / {{ auth_basic "x"; auth_basic_user_file {nginx.prefix}/users; satisfy any; allow 127.0.0.1; deny all;
                        add_header X-Mine 1; slab_cache one; {ON} proxy_pass http://{slow.origin.address}; }}""")
    slow.warm(n, "/p")
    c = ask(n)
    assert hints(c) == HINTS
    slow.go.set()
    assert c.read_header().header("X-Mine") == "1"


def test_explain_shows_hints_apart_from_objects(cached, slow):
    slow.cache_control = "max-age=600"
    n = cached(ON)
    slow.warm(n, "/p")
    entries = json.loads(n.get("/_cache/v1/zones/one/entries").body)["entries"]
    assert sorted("early_hints" in e for e in entries) == [False, True]
    assert [e["early_hints"] for e in entries if "early_hints" in e] == [HINTS]
    assert json.loads(n.get("/_cache/v1/zones/one/entry?url=/p").body)["stored"]


def test_hints_over_tls(nginx, slow, certificate):
    import socket
    import ssl
    cert, key = certificate
    port = nginx.another_port()
    n = nginx.start(f"location / {{ slab_cache one; {ON} proxy_pass http://{slow.origin.address}; }}",
                    server=f"listen 127.0.0.1:{port} ssl; ssl_certificate {cert}; ssl_certificate_key {key};")
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    request = f"GET /p HTTP/1.1\r\nHost: localhost\r\n{NAVIGATES}\r\nConnection: close\r\n\r\n".encode()

    def talk():
        s = context.wrap_socket(socket.create_connection(("127.0.0.1", port), 20), server_hostname="localhost")
        s.sendall(request)
        return s
    with talk() as s:
        while s.recv(65536):
            pass
    slow.slow = True
    with talk() as s:
        early = s.recv(65536)
        assert early == f"HTTP/1.1 103 Early Hints\r\nLink: {HINTS}\r\n\r\n".encode()
        slow.go.set()
        rest = b""
        while data := s.recv(65536):
            rest += data
        assert rest.startswith(b"HTTP/1.1 200 OK\r\n") and rest.endswith(b"page of /p")


def test_hints_over_http2_where_nginx_can(nginx, slow, certificate):
    cert, key = certificate
    port = nginx.another_port()
    listen = f"listen 127.0.0.1:{port} ssl; http2 on;" if VERSION >= (1, 25, 1) else f"listen 127.0.0.1:{port} ssl http2;"
    n = nginx.start(f"location / {{ slab_cache one; {ON} proxy_pass http://{slow.origin.address}; }}",
                    server=f"{listen} ssl_certificate {cert}; ssl_certificate_key {key};")
    n.curl("--http2", path="/p", scheme="https", port=port)
    slow.slow = True
    threading.Thread(target=lambda: (slow.origin.wait_for_hits("/p", 2), slow.go.set())).start()
    said = n.curl("--http2", "-i", "-H", NAVIGATES, path="/p", scheme="https", port=port).decode()
    early = f"HTTP/2 103 \r\nlink: {HINTS}\r\n\r\n"
    assert said.startswith(early if VERSION >= (1, 29) else "HTTP/2 200"), said
    assert "HTTP/2 200" in said and said.endswith("page of /p")


def test_a_client_that_reads_nothing_breaks_nothing(cached, slow):
    n = cached(ON)
    slow.warm(n, "/p")
    clients = [ask(n) for _ in range(3)]
    for c in clients:
        assert hints(c) == HINTS
        c.abort()
    slow.go.set()
    slow.slow = False
    wait_until(lambda: n.get("/p").text == "page of /p", "it goes on")
