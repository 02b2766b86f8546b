"""What is true for several machines: the origin's version of each page, and below which version no node may answer any more.

Three floors are one here, as all that differs is when a version is put in: on a node that took the purge, when it was answered; on
all nodes when the answer said that all have applied it, or, whatever it said, `blind` after it.
"""
import ctypes
import multiprocessing
import re
import selectors
import socket
import time

NODES = 3
PAGES = 240
BLIND = 3.0             # slab_cache_fleet blind=
LATE = 1.0              # what a loaded machine may be late with
WHY = ("", "was purged here", "was applied by all", "was purged blind= ago")
fork = multiprocessing.get_context("fork")
ASKED = re.compile(rb"GET /p/(\d+) HTTP/1\.[01]\r\n(.*?)\r\n\r\n", re.S)
HAS = re.compile(rb'If-None-Match: "v(\d+)"', re.I)


class World:
    def __init__(self):
        self.version = fork.RawArray(ctypes.c_uint64, [1] * PAGES)
        self.floor = [fork.RawArray(ctypes.c_uint64, PAGES) for _ in range(NODES)]
        self.why = [fork.RawArray(ctypes.c_uint8, PAGES) for _ in range(NODES)]     # an index of WHY
        self.asked = fork.RawValue(ctypes.c_uint64)             # requests of the origin
        self.stop = fork.Event()

    def forbid(self, nodes, page, below, why):
        for n in nodes:
            if below > self.floor[n][page]:
                self.why[n][page] = WHY.index(why)
                self.floor[n][page] = below


class Serving:
    """A process's loop over sockets: `handle(sock)` is called for what is readable; it ends with the world."""

    def __init__(self, world):
        self.world, self.selector = world, selectors.DefaultSelector()

    def add(self, sock, handle):
        self.selector.register(sock, selectors.EVENT_READ, handle)

    def drop(self, sock):
        self.selector.unregister(sock)
        sock.close()

    def run(self):
        while not self.world.stop.is_set():
            for key, _ in self.selector.select(0.1):
                try:
                    key.data(key.fileobj)
                except (OSError, EOFError):
                    if key.fileobj.fileno() != -1:
                        self.drop(key.fileobj)


def run_origin(world, listener):
    """Says the version that the page has when it is asked."""
    serving, begun = Serving(world), {}

    def answer(sock):
        data = begun.pop(sock, b"") + sock.recv(65536)
        if not data:
            raise EOFError
        out, end = [], 0
        for m in ASKED.finditer(data):
            end = m.end()
            world.asked.value += 1
            page = int(m[1])
            version = world.version[page]
            has = HAS.search(m[2])
            head = b'Cache-Control: max-age=3600\r\nETag: "v%d"\r\n' % version
            if has and int(has[1]) == version:
                out.append(b"HTTP/1.1 304 Not Modified\r\n%s\r\n" % head)
            else:
                body = b"<%d:%d>" % (page, version)
                out.append(b"HTTP/1.1 200 OK\r\n%sContent-Length: %d\r\n\r\n%s" % (head, len(body), body))
        begun[sock] = data[end:]
        sock.sendall(b"".join(out))

    def accept(sock):
        serving.add(sock.accept()[0], answer)
    serving.add(listener, accept)
    serving.run()


class Browser:
    """One connection: twenty pages are asked for at once, and compared with what was forbidden before they were."""
    BATCH = 20
    FOUND = re.compile(rb"<(\d+):(\d+)>")

    def __init__(self, world, address, node, random):
        self.world, self.address, self.node, self.random = world, address, node, random
        self.sock = None
        self.count = self.broken = 0
        self.violations = []

    def connect(self):
        if self.sock is not None:
            self.sock.close()
        self.sock = socket.create_connection(self.address, 10)
        self.sock.settimeout(20)

    def look(self):
        pages = [self.random.randrange(PAGES) for _ in range(self.BATCH)]
        floor = [self.world.floor[self.node][p] for p in pages]
        self.sock.sendall(b"".join(b"GET /p/%d HTTP/1.1\r\nHost: localhost\r\n\r\n" % p for p in pages))
        data, found = b"", []
        while len(found) < len(pages):
            part = self.sock.recv(65536)
            if not part:
                raise EOFError
            data += part
            found = self.FOUND.findall(data)
        now = time.monotonic()
        for page, least, (got, version) in zip(pages, floor, found):
            self.count += 1
            if int(got) != page or int(version) < least:
                self.violations.append(f"node {self.node}: page {page} had version {int(version)} of {int(got)}, below {least} was forbidden: it "
                                       f"{WHY[self.world.why[self.node][page]]}, at {now:.2f}")


def run_browser(world, addresses, seed, results):
    """At all nodes in turn. A connection that breaks belongs to a worker that was killed."""
    import random
    browsers = [Browser(world, address, node, random.Random(seed * 100 + node)) for node, address in enumerate(addresses)]
    while not world.stop.is_set():
        for b in browsers:
            try:
                if b.sock is None:
                    b.connect()
                b.look()
            except (OSError, EOFError):
                b.broken += 1
                if b.sock is not None:
                    b.sock.close()
                b.sock = None
                world.stop.wait(0.02)
    results.put((sum(b.count for b in browsers), sum(b.broken for b in browsers), [v for b in browsers for v in b.violations]))
