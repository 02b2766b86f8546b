"""What is measured, of each server alike. Every function returns {server: {…}}; the rounds are interleaved."""
import contextlib
import pathlib
import select
import socket
import statistics
import tempfile
import threading
import time

from harness.client import Connection
from harness.nginx import Nginx
from harness.origin import Origin, Reply

from .machine import CLIENTS, cpu_us, on_core, wrk

SIZES = {"512 B": ("512", 512), "4 KB": ("4k", 4000), "32 KB": ("32k", 32000)}     # a literal of nginx has 4,095 bytes at most
CLIENTS_THAT_WAIT, ORIGIN_SECONDS = 200, 0.3
WAITED_FOR = b"x" * 4000 + b" the end"
FIELDS = """add_header Cache-Control "max-age=3600"; add_header ETag '"5e1f-62a1b2c3"'; add_header X-Frame-Options SAMEORIGIN;
            add_header Last-Modified "Mon, 23 Nov 2026 08:49:37 GMT"; add_header Content-Language en;"""
OBJECT = 1024


def text(size):
    return ("0123456789abcdef" * 4096)[:size]


def pages(extra=""):
    """For nginx: what belongs into http, and the locations."""
    out = "".join(f'location = /page/{n} {{ {extra} return 200 "{text(s) if s < 4096 else "$b4000" * 8}"; }}\n' for n, s in SIZES.values())
    return f'geo $b4000 {{ default "{text(4000)}"; }}', out


class Source:
    """The origin of all, on the clients' core: nginx, and behind it, for /slow/, one that takes its time and counts."""

    def __init__(self):
        with on_core(CLIENTS):
            self.slow = Origin()
            self.slow.handle("*", self._slowly)
            self.nginx = n = Nginx()
            fresh = 'add_header Cache-Control "max-age=3600";'
            block, locations = pages(fresh)
            config = n.config(zone="", level="error", http=block, server="keepalive_requests 1000000000;", location=locations + f"""
                location /key/ {{ {fresh} return 200 "{text(4000)}"; }}
                location /object/ {{ {FIELDS} return 200 "{text(OBJECT)}"; }}
                location /slow/ {{ proxy_pass http://{self.slow.address}; }}
                location = /count {{ stub_status; }}""")
            n.start(text="\n".join(line for line in config.splitlines() if "$slab_cache" not in line and "$pid" not in line))
        self.port = n.port

    @staticmethod
    def _slowly(_):
        threading.Event().wait(ORIGIN_SECONDS)
        return Reply(WAITED_FOR, headers=["Cache-Control: max-age=600"])

    def count(self):
        """Requests so far, without these."""
        self.asked = getattr(self, "asked", 0) + 1
        return int(self.nginx.get("/count").text.split()[9]) - self.asked

    def stop(self):
        self.nginx.stop()
        self.nginx.clean_up(keep=False)
        self.slow.stop()


class Client(Connection):
    """As wrk asks: the same Host, so the same key."""

    def __init__(self, port):
        super().__init__(("127.0.0.1", port))
        self.host = f"127.0.0.1:{port}"

    def get(self, path, method="GET"):
        answer = self.request(path, method, host=self.host)
        assert answer.status in (200, 204), answer
        return answer


def cost(peer, path, duration, script=None):
    """CPU of all its processes a request in µs, and requests a second."""
    pids = peer.pids()
    before = cpu_us(pids)
    requests, rate = wrk(peer.port, path, duration, script)
    return sum(us - before[pid] for pid, us in cpu_us(pids).items()) / requests, rate


def medians(rounds, base):
    """{name: [(µs, rate) of each round]} as figures; the ratio is that to `base` in the same round."""
    return {name: {"us": statistics.median(us for us, _ in rows), "rate": statistics.median(rate for _, rate in rows),
                   "ratio": statistics.median(us / b for (us, _), (b, _) in zip(rows, rounds[base])),
                   "ratios": [us / b for (us, _), (b, _) in zip(rows, rounds[base])]} for name, rows in rounds.items()}


# ---- a hit ----------------------------------------------------------------------------------------------------------
def hits(source, baseline, peers, rounds, duration):
    """{size: {name: figures}}: that all are hits, the origin's counter shows."""
    everyone = [baseline, *peers]
    for peer in everyone:
        for path, size in SIZES.values():
            peer.put(f"/page/{path}", text(size).encode())
            with Client(peer.port) as c:
                for _ in range(3):
                    assert c.get(f"/page/{path}").body == text(size).encode(), (peer.name, path)
        wrk(peer.port, "/page/4k", 1)
    found = {size: {peer.name: [] for peer in everyone} for size in SIZES}
    for _ in range(rounds):
        for size, (path, _) in SIZES.items():
            for peer in everyone:
                asked = source.count()
                found[size][peer.name].append(cost(peer, f"/page/{path}", duration))
                assert source.count() == asked, f"{peer.name} asked its origin"
    return {size: medians(rows, baseline.name) for size, rows in found.items()}


# ---- a miss ---------------------------------------------------------------------------------------------------------
class Keys:
    """Scripts for wrk whose keys are never the same twice."""

    def __init__(self):
        self.directory = tempfile.TemporaryDirectory(prefix="sc_keys_")
        self.last = 0

    def script(self):
        self.last += 10_000_000
        path = pathlib.Path(self.directory.name) / "keys.lua"
        path.write_text(f'local i = {self.last}\nrequest = function() i = i + 1; return wrk.format("GET", "/key/" .. i) end\n')
        return str(path)


def misses(source, baseline, peers, rounds, duration):
    """4 KB, distinct keys; what the application would have to store is left out."""
    everyone = [baseline, *(p for p in peers if p.fills_itself)]
    keys, found = Keys(), {peer.name: [] for peer in everyone}
    with keys.directory:
        for peer in everyone:
            wrk(peer.port, "/", duration, keys.script())
        for _ in range(rounds):
            for peer in everyone:
                asked = source.count()
                found[peer.name].append(cost(peer, "/", duration, keys.script()))
                assert source.count() > asked
    return medians(found, baseline.name)


# ---- waiting for one fetch ------------------------------------------------------------------------------------------
def ask_together(port, path, clients):
    """(ms to the last answer, ms between the first and the last)."""
    request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()
    mark = WAITED_FOR[-8:]
    with contextlib.ExitStack() as stack:
        poll = stack.enter_context(select.epoll())
        socks = [stack.enter_context(socket.create_connection(("127.0.0.1", port))) for _ in range(clients)]
        left = {s.fileno(): [s, b""] for s in socks}
        begin = time.monotonic()
        for s in socks:
            s.sendall(request)
            poll.register(s, select.EPOLLIN)
        answered = []
        while left:
            events = poll.poll(60)
            assert events, f"{len(left)} of {clients} are not answered"
            for fd, _ in events:
                data = left[fd][0].recv(65536)
                left[fd][1] = (left[fd][1] + data)[-64:]
                if mark in left[fd][1] or not data:
                    answered.append(time.monotonic())
                    poll.unregister(fd)
                    assert mark in left.pop(fd)[1], "an answer was cut off"
    return (answered[-1] - begin) * 1000, (answered[-1] - answered[0]) * 1000


def waiting(source, peers, rounds):
    """200 requests for one cold key of an origin that takes 300 ms."""
    found = {p.name: [] for p in peers if p.fills_itself}
    for i in range(rounds):
        for peer in peers:
            if peer.fills_itself:
                before = source.slow.hits()
                last, spread = ask_together(peer.port, f"/slow/{i}", CLIENTS_THAT_WAIT)
                found[peer.name].append((source.slow.hits() - before, last, spread))
    return {name: {"asked": statistics.median(r[0] for r in rows), "last_ms": statistics.median(r[1] for r in rows),
                   "spread_ms": statistics.median(r[2] for r in rows), "worst_spread_ms": max(r[2] for r in rows)}
            for name, rows in found.items()}


# ---- an object, and its end -----------------------------------------------------------------------------------------
def fill(peer, first, count):
    with Client(peer.port) as c:
        for i in range(first, first + count):
            path = f"/object/of/some/ordinary/length/number-{i:08}"
            if peer.fills_itself:
                c.get(path)
            else:
                peer.put(path, text(OBJECT).encode())


def bytes_per_object(peer, objects):
    """Growth of its memory and of its files, by objects of 1,024 B of body and five ordinary fields."""
    some = min(2_000, objects // 4)
    fill(peer, 0, some)
    before = peer.memory()
    fill(peer, some, objects - some)
    return (peer.memory() - before) / (objects - some)


def purge_us(source, peer, times):
    """Client to answer, for a URL that is stored; and how often the origin was not asked for it afterwards."""
    if peer.purge_by is None:
        return None
    took, lost = [], 0
    with Client(peer.port) as c, contextlib.closing(peer.line_for_purges(Client)) as p:
        for i in range(times):
            path = f"/key/to-be-purged-{i}"
            peer.put(path, text(4000).encode())
            c.get(path)
            asked = source.count()
            c.get(path)
            assert source.count() == asked, f"{peer.name} has not stored it"
            begin = time.perf_counter()
            peer.purge(p, path)
            took.append((time.perf_counter() - begin) * 1e6)
            c.get(path)
            lost += source.count() == asked
    took.sort()
    return {"us": took[len(took) // 2], "p99_us": took[len(took) * 99 // 100], "lost": lost, "of": times}


def storage(source, kinds, objects, purges):
    """Of each server started anew, alone: memory an object, and purges while so many are stored."""
    memory, purged = {}, {}
    for kind in kinds:
        peer = kind(source.port)
        try:
            peer.start().answers()
            memory[peer.name] = {"bytes": bytes_per_object(peer, objects)}
            purged[peer.name] = purge_us(source, peer, purges)
        finally:
            peer.stop()
    return memory, purged
