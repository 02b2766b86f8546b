"""The rules of fills hold on every path: over HTTP/2, through uwsgi_pass and fastcgi_pass, inside SSI subrequests."""
import subprocess
import threading

import pytest
from harness.gateways import FASTCGI_PARAMS, UWSGI_PARAMS, FastCgiOrigin, UwsgiOrigin
from harness.nginx import PATIENT
from harness.origin import Origin, Reply, request_header
from harness.wait import wait_until

FRESH = ["Cache-Control: max-age=600"]
TAG = 'ETag: "1"'


class Client:
    """One request; nothing is read before it is asked for."""

    def __init__(self, n, path):
        self.connection = n.connect(timeout=10)
        self.connection.send(path)
        self.header = None

    def read(self, count):
        self.header = self.header or self.connection.read_header()
        return self.connection.read(count)

    def rest(self):
        """The rest of the body, or None where it was visibly cut off."""
        try:
            self.header = self.header or self.connection.read_header()
            return self.connection.read_body(self.header).body
        except (EOFError, ConnectionError):
            return None
        finally:
            self.connection.close()


class Http2Client:
    def __init__(self, n, path):
        self.process = subprocess.Popen(["curl", "-sN", "--max-time", "15", "--http2-prior-knowledge", f"http://127.0.0.1:{n.h2_port}{path}"],
                                        stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)

    def read(self, count):
        return self.process.stdout.read(count)

    def rest(self):
        body = self.process.stdout.read()
        self.process.stdout.close()
        return body if self.process.wait() == 0 else None


class SsiClient:
    """Asks for a page that includes the path; shows what is between its brackets."""

    def __init__(self, n, path):
        self.connection = n.connect(timeout=10)
        self.connection.send(f"/page?p={path}", version="1.0")
        self.header = None

    def read(self, count):
        if self.header is None:
            self.header = self.connection.read_header()
            assert self.connection.read(1) == b"["
        return self.connection.read(count)

    def rest(self):
        try:
            self.read(0)
            while self.connection.more():
                pass
        except (EOFError, ConnectionError):
            return None
        body = self.connection.buffer
        self.connection.close()
        return body[:-1] if body.endswith(b"]") else None


class Way:
    def __init__(self, origin, client, passes):
        self.origin, self.client, self.passes = origin, client, passes


WAYS = {
    "h2": Way(Origin, Http2Client, "proxy_pass http://{};"),
    "uwsgi": Way(UwsgiOrigin, Client, UWSGI_PARAMS + "uwsgi_pass {};"),
    "fastcgi": Way(FastCgiOrigin, Client, FASTCGI_PARAMS + "fastcgi_pass {};"),
    "ssi": Way(Origin, SsiClient, "proxy_pass http://{};"),
}


class Running:
    def __init__(self, n, origin, client):
        self.nginx, self.origin, self._client = n, origin, client

    def open(self, path):
        return self._client(self.nginx, path)

    def get(self, path):
        return self.open(path).rest()


@pytest.fixture(params=WAYS)
def way(request, make_nginx):
    chosen = WAYS[request.param]
    origin = chosen.origin()

    def start(directives="", workers=2):
        n = make_nginx()
        n.h2_port = n.another_port()
        reuse = " reuseport" if workers > 1 else ""
        n.start(workers=workers, server=f"listen 127.0.0.1:{n.h2_port} http2 backlog=4096{reuse};",
                location=f"""
            location = /page {{ ssi on; ssi_types *; return 200 '[<!--# include virtual="$arg_p" -->]'; }}
            location /_cache/ {{ slab_cache_api; allow 127.0.0.1; deny all; }}
            location / {{ slab_cache one; {directives} {chosen.passes.format(origin.address)} }}""")
        return Running(n, origin, chosen.client)

    yield start
    origin.stop()
    assert not origin.errors, origin.errors


def test_many_requests_for_a_cold_key_are_one_at_the_origin(way):
    w = way(PATIENT, workers=4)
    gate = threading.Event()
    w.origin.reply("/a", b"body" * 1000, headers=FRESH, before=gate)
    clients = [w.open("/a") for _ in range(20)]
    w.nginx.wait_for_waiters(19)
    gate.set()
    assert {c.rest() for c in clients} == {b"body" * 1000}
    assert (w.get("/a"), w.origin.hits("/a")) == (b"body" * 1000, 1)


def test_waiters_get_the_body_as_it_arrives(way):
    w = way()
    gate = threading.Event()
    w.origin.reply("/a", [b"a" * 100_000, gate, b"b" * 100_000], headers=FRESH)
    clients = [w.open("/a") for _ in range(4)]
    assert [c.read(100_000) == b"a" * 100_000 for c in clients] == [True] * 4
    late = w.open("/a")
    assert late.read(100_000) == b"a" * 100_000
    gate.set()
    assert [rest_of(c) == b"b" * 100_000 for c in [*clients, late]] == [True] * 5
    assert w.origin.hits("/a") == 1


def rest_of(client):
    if isinstance(client, Client):          # its Content-Length counts what was read already
        return client.read(100_000)
    return client.rest()


def test_broken_fill_is_never_a_complete_looking_body(way):
    w = way()
    gate = threading.Event()
    w.origin.reply("/a", [b"a" * 100_000, gate, b"b" * 100_000], headers=FRESH, truncate=150_000)
    clients = [w.open("/a") for _ in range(3)]
    assert [c.read(1000) for c in clients] == [b"a" * 1000] * 3     # who has nothing yet would get a 502
    gate.set()
    whole = b"a" * 100_000 + b"b" * 100_000
    assert [c.rest() for c in clients] == [None] * 3
    w.origin.reply("/a", whole, headers=FRESH)
    assert w.get("/a") == whole


@pytest.mark.parametrize("failure", [Reply("bad", status=503), Reply("bad", status=500), Reply(raw=b"")])
def test_stale_is_served_when_the_origin_fails(way, failure):
    w = way()
    w.origin.sequence("/a", Reply("good", headers=["Cache-Control: max-age=100", "Age: 100", TAG]), failure)
    assert [w.get("/a") for _ in range(3)] == [b"good"] * 3


def test_waiters_of_a_failing_validation_get_stale(way):
    w = way(f"slab_cache_use_stale http_503; {PATIENT}")
    gate = threading.Event()
    w.origin.sequence("/a", Reply("good", headers=["Cache-Control: max-age=100", "Age: 100", TAG]), Reply("bad", status=503, before=gate))
    w.get("/a")
    clients = [w.open("/a") for _ in range(6)]
    w.nginx.wait_for_waiters(5)
    gate.set()
    assert [c.rest() for c in clients] == [b"good"] * 6
    assert w.origin.hits("/a") == 2


def test_error_goes_through_where_stale_is_forbidden(way):
    w = way()
    w.origin.sequence("/a", Reply("good", headers=["Cache-Control: max-age=100, must-revalidate", "Age: 100", TAG]), Reply("bad", status=503))
    assert [w.get("/a") for _ in range(2)] == [b"good", b"bad"]


def test_stale_is_served_while_one_fill_refreshes_in_the_background(way):
    w = way()
    gate = threading.Event()
    w.origin.sequence("/a", Reply("old", headers=["Cache-Control: max-age=100, stale-while-revalidate=600", "Age: 100"]),
                      Reply("new", headers=FRESH, before=gate))
    assert [w.get("/a") for _ in range(5)] == [b"old"] * 5
    w.origin.wait_for_hits("/a", 2)
    gate.set()
    wait_until(lambda: w.get("/a") == b"new", "the refresh arrives")
    assert w.origin.hits("/a") == 2


def test_validation_with_304_keeps_the_body(way):
    w = way()
    w.origin.sequence("/a", Reply("body", headers=["Cache-Control: max-age=100", "Age: 100", TAG]), Reply(status=304, headers=[*FRESH, TAG]))
    assert [w.get("/a") for _ in range(3)] == [b"body"] * 3
    assert w.origin.hits("/a") == 2
    assert request_header(w.origin.requests("/a")[1], "If-None-Match") == '"1"'


def test_what_is_not_storable_reaches_each_client_by_itself(way):
    w = way()
    w.origin.handle("/a", lambda r: Reply(f"number {w.origin.hits('/a')}", headers=["Cache-Control: private"]))
    assert [w.get("/a") for _ in range(3)] == [b"number 1", b"number 2", b"number 3"]


def test_large_unstorable_body_is_whole(way):
    w = way()
    body = bytes(i % 251 for i in range(1_000_000))
    w.origin.reply("/a", body, headers=["Cache-Control: no-store"])
    assert [w.get("/a") == body for _ in range(2)] == [True, True]
