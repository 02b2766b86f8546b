"""Clients that read, purge, push and change, over HTTP/1.1 and HTTP/2, and write down what they saw."""
import collections
import json
import random
import signal
import socket
from urllib.parse import quote

try:
    import h2.config
    import h2.connection
    import h2.events
except ImportError:
    h2 = None

from harness.client import Connection, Response
from spec import Purge, Push, Read, Stuck
from world import DIRECTORIES, KEYS, TAGS, VARIANTS, body_of, headers_of, is_whole, now, path_of, read_tag, tag_of, variant_of

PATIENCE = 12       # seconds
API = "/_cache/v1/zones/one"
JSON = ("Content-Type: application/json",)


class Http2:
    """As much of HTTP/2 as harness.client.Connection has of HTTP/1.1: requests without a body, one after the other."""

    def __init__(self, address):
        self.sock = socket.create_connection(address, timeout=PATIENCE)
        self.state = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
        self.state.initiate_connection()

    def request(self, path, method="GET", headers=(), body=None):
        assert body is None
        stream = self.state.get_next_available_stream_id()
        fields = [(":method", method), (":scheme", "http"), (":authority", "localhost"), (":path", path)]
        fields += [(name.lower(), value) for name, _, value in (h.partition(": ") for h in headers)]
        self.state.send_headers(stream, fields, end_stream=True)
        lines, text = ["HTTP/2 0 "], b""
        while True:
            self.sock.sendall(self.state.data_to_send())
            data = self.sock.recv(65536)
            if not data:
                raise EOFError("closed")
            for event in self.state.receive_data(data):
                if isinstance(event, h2.events.ResponseReceived):
                    status = int(dict(event.headers)[":status"])
                    lines = [f"{k}: {v}" for k, v in event.headers if not k.startswith(":")]
                elif isinstance(event, h2.events.DataReceived):
                    text += event.data
                    self.state.acknowledge_received_data(event.flow_controlled_length, stream)
                elif isinstance(event, (h2.events.StreamReset, h2.events.ConnectionTerminated)):
                    raise EOFError("reset")
                elif isinstance(event, h2.events.StreamEnded):
                    return Response(status, "", lines, text)

    def close(self):
        self.sock.close()


class Client:
    def __init__(self, world, address, second, seed):
        self.world, self.address, self.second = world, address, second
        self.random = random.Random(seed)
        self.connections, self.history, self.count = [], [], collections.Counter()
        self.fences = collections.deque(maxlen=60)      # (key, number, when it was given, version)

    # ---- asking -------------------------------------------------------------------------------------------------------
    def connect(self):
        if h2 is not None and self.second is not None and self.random.random() < 0.2:
            return Http2(self.second)
        return Connection(self.address, timeout=PATIENCE)

    def ask(self, path, method="GET", headers=(), body=None):
        """An answer, or None where the connection broke: then nobody knows what was done."""
        start, c = now(), None
        try:
            if body is not None:
                c = Connection(self.address, timeout=PATIENCE)
            elif self.connections and self.random.random() < 0.9:
                c = self.connections.pop(self.random.randrange(len(self.connections)))
            else:
                c = self.connect()
            answer = c.request(path, method, headers=headers, body=body) if body is not None else c.request(path, method, headers=headers)
        except TimeoutError:
            self.history.append(Stuck(start, now(), f"{type(c).__name__} {method} {path}"))
            answer = None
        except Exception as e:      # noqa: BLE001 - killed, stopped, in the middle of anything
            self.count[f"broken off by {type(e).__name__}"] += 1
            answer = None
            if c is None:
                self.world.stop.wait(0.02)
        if c is not None:
            if answer is None or body is not None or answer.header("Connection") == "close" or len(self.connections) > 6:
                c.close()
            else:
                self.connections.append(c)
        return answer

    # ---- what it does -------------------------------------------------------------------------------------------------
    def some_key(self):
        return self.random.randrange(6) if self.random.random() < 0.6 else self.random.randrange(KEYS)

    def read(self, key=None):
        key = self.some_key() if key is None else key
        wanted = variant_of(key, self.random.choice(VARIANTS))
        current = self.world.version[key]
        headers = [f"X-Variant: {wanted}"] if wanted else []
        method = "HEAD" if self.random.random() < 0.08 else "GET"
        if self.random.random() < 0.1:
            headers.append(f'If-None-Match: {tag_of(max(1, current - self.random.randrange(3)), wanted, "origin")}')
        start = now()
        answer = self.ask(path_of(key), method, headers)
        if answer is None or answer.status not in (200, 304):
            self.count["no answer" if answer is None else str(answer.status)] += 1
            return
        version, variant, source = read_tag(answer.header("ETag"))
        whole = method == "HEAD" or answer.status == 304 or is_whole(answer.body, key, version, variant, source)
        self.count[answer.header("X-Cache")] += 1
        self.history.append(Read(start, now(), key, wanted, variant, version, whole, source,
                                 answer.header("X-Cache") or "",
                                 float(answer.header("X-Made") or start), float(answer.header("X-Life") or 0), current))

    def purge(self, key, way, soft):
        d, t = self.random.randrange(DIRECTORIES), self.random.randrange(TAGS)
        header = ("Fastly-Soft-Purge: 1",) if soft else ()
        in_directory = [k for k in range(KEYS) if k % DIRECTORIES == d]
        tagged = [k for k in range(KEYS) if k % TAGS == t]
        mode = "soft" if soft else "hard"

        def api(**what):
            return f"{API}/purge", "POST", JSON, json.dumps({**what, "mode": mode}).encode()

        keys, request = {
            "url": ([key], (path_of(key), "PURGE", header)),
            "prefix": (in_directory, (f"/d{d}/*", "PURGE", header)),
            "pattern": ([key], (path_of(key) + "*", "PURGE", header)),
            "tag": (tagged, ("/", "PURGE", (*header, f"Surrogate-Key: t{t} nobody"))),
            "api tag": (tagged, api(tags=[f"t{t}"])),
            "api url": ([key], api(urls=[f"http://localhost{path_of(key)}"])),
            "host": (range(KEYS), api(hosts=["localhost"])),
            "all": (range(KEYS), api(all=True)),
            "pattern over all": (in_directory, api(globs=[f"http://localhost/d{d}/*k*"])),
        }[way]
        versions = self.world.change(keys)
        start = now()
        answer = self.ask(*request)
        if answer is None or answer.status != 200:
            self.count[f"purge {answer and answer.status}"] += 1
            return None
        end = now()
        self.history.append(Purge(start, end, versions, soft, way))
        return json.loads(answer.body)["seq"], end, versions

    def purge_something(self):
        way = self.random.choices(("url", "prefix", "pattern", "tag", "api tag", "api url", "host", "all", "pattern over all"),
                                  (30, 6, 6, 8, 8, 8, 1, 2, 2))[0]
        given = self.purge(self.some_key(), way, self.random.random() < 0.35)
        if given is not None:
            number, end, versions = given
            self.fences += [(k, number, end, v) for k, v in list(versions.items())[:2]]

    def post(self):
        key = self.some_key()
        start, before = now(), self.world.version[key]
        variant = variant_of(key, self.random.choice(VARIANTS))
        answer = self.ask(path_of(key), "POST", [f"X-Variant: {variant}"] if variant else [], b"x")
        if answer is not None and answer.status == 200:
            self.history.append(Purge(start, now(), {key: before + 1}, False, "POST"))

    def put(self, key, version, number=None, fenced=None):
        variant = variant_of(key, self.random.choice(VARIANTS))
        headers = ["X-Response-" + h if h.startswith(("X-Made", "X-Life")) else h for h in headers_of(key, version, variant, "push", 600)]
        headers += [f"X-Request-X-Variant: {variant}"] if variant else []
        headers += [f"If-Purge-Seq: {number}"] if number is not None else []
        start = now()
        answer = self.ask(f"{API}/entry?url={quote('http://localhost' + path_of(key), safe='')}", "PUT", headers,
                          body_of(key, version, variant, "push"))
        self.count[f"{'fenced' if number is not None else 'plain'} push {answer and answer.status}"] += 1
        if answer is not None and answer.status == 201:
            self.history.append(Push(start, now(), key, variant, version, fenced))

    def push_new(self):
        """The data changed: whoever pushes has just read it, and says so by the counter as it was before."""
        key = self.some_key()
        zone = self.ask(API)
        if zone is not None and zone.status == 200:
            number, at = json.loads(zone.body)["purge_seq"], now()
            self.put(key, self.world.change([key])[key], number, at)
            self.read(key)

    def push_late(self):
        """A job that took its time."""
        if self.fences:
            key, number, at, version = self.random.choice(self.fences)
            self.put(key, version, number, at)
            self.read(key)

    def run(self):
        while not self.world.stop.is_set():
            self.random.choices((self.read, self.purge_something, self.post, self.push_new, self.push_late), (90, 6, 4, 3, 3))[0]()
        for c in self.connections:
            c.close()


def run_client(world, address, second, seed, results):
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    client = Client(world, address, second, seed)
    client.run()
    results.put((client.history, client.count))
