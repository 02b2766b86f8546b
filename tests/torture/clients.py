"""Clients of every kind, each of which judges each answer it gets. What is wrong goes into `violations`."""
import collections
import random
import signal
import threading
import time

from harness.client import Connection
from world import (KEYS, LANGUAGES, body_of, etag_of, kind_of, language_for, parse_etag, path_of, size_of)

STUCK_SECONDS = 20
HABITS = ("get",) * 12 + ("head", "range", "condition", "range", "condition", "abort")


class Client(threading.Thread):
    """Asks until the world stops. One connection at a time, kept alive as long as it works."""

    def __init__(self, world, address, seed, slow=False):
        super().__init__(daemon=True)
        self.world, self.address, self.slow = world, address, slow
        self.random = random.Random(seed)
        self.connection, self.pid, self.fresh = None, None, True
        self.count = collections.Counter()
        self.violations = []
        self.slowest = 0.0
        self.seen = {}              # (key, language) -> etag

    def run(self):
        while not self.world.stop.is_set():
            try:
                self.one()
            except Exception as e:      # noqa: BLE001 - a broken judge must not look like a clean run
                self.violations.append(f"the judge failed: {e!r}")
                self.hang_up()
        self.hang_up()

    # ---- one request ------------------------------------------------------------------------------------------
    def one(self):
        key = min(int(self.random.paretovariate(0.6)) - 1, KEYS - 1) if self.random.random() < 0.7 \
            else self.random.randrange(KEYS)
        if self.slow:
            key = self.random.choice([k for k in range(KEYS) if size_of(k) > 60_000])
        ask = Ask(self, key, self.random.choice(LANGUAGES), "get" if self.slow else self.random.choice(HABITS))
        self.count["requests"] += 1
        for attempt in range(4):
            reused = self.connection is not None
            try:
                self.exchange(ask)
                break
            except (OSError, EOFError, ValueError, IndexError) as e:
                self.hang_up()
                if reused and not ask.got_any:
                    self.count["asked again on a new connection"] += 1
                    continue            # a kept-alive connection may be closed at any time between requests
                self.judge_failure(ask, e)
                break
        took = time.monotonic() - ask.start
        if not self.slow:
            self.slowest = max(self.slowest, took)
        self.pid = ask.pid or self.pid

    def exchange(self, ask):
        ask.begin()
        if self.connection is None:
            self.pid = None
            self.connection = Connection(self.address, timeout=STUCK_SECONDS, receive_buffer=4096 if self.slow else None)
        c = self.connection
        c.send(path_of(ask.key), ask.method, headers=ask.headers)
        if not c.buffer:
            c.more()
        ask.got_any = bool(c.buffer)
        response = c.read_header()
        ask.pid = int(response.header("X-Pid") or 0)
        ask.in_body = True
        if ask.habit == "abort":
            self.count["aborts"] += 1
            c.read(self.random.randrange(1, 1 + min(size_of(ask.key), 4000)))
            c.abort()
            self.connection = None
            return
        if self.slow:
            self.read_slowly(c, response)
        c.read_body(response, ask.method)
        ask.judge(response)
        if (response.header("Connection") or "") == "close" or self.random.random() < 0.05:
            self.hang_up()

    def read_slowly(self, c, response):
        want = int(response.header("Content-Length") or 0)
        pause = self.random.choice((0.002, 0.01, 0.05))
        end = time.monotonic() + 6
        self.count["slow readings"] += 1
        while len(c.buffer) < want and time.monotonic() < end and not self.world.stop.is_set():
            data = c.sock.recv(2048)
            if not data:
                break
            c.buffer += data
            self.world.stop.wait(pause)     # a slow reader is one that does nothing for a while

    def hang_up(self):
        if self.connection is not None:
            self.connection.close()
        self.connection = None

    # ---- what may be wrong ---------------------------------------------------------------------------------------
    def judge_failure(self, ask, e):
        if self.world.killed_since(ask.start, None if ask.in_body else ask.pid or self.pid):
            self.count["failed: worker killed"] += 1
        elif self.world.origin_failed_since(ask.key, ask.start):
            self.count["failed: origin failed"] += 1
        else:
            where = "within the body" if ask.in_body else "after bytes" if ask.got_any else "without a byte"
            self.wrong(ask, f"failed {where} after {time.monotonic() - ask.start:.2f} s: {e!r}")

    def wrong(self, ask, what):
        self.violations.append(f"{time.monotonic():.3f} {ask.method} {path_of(ask.key)} ({ask.habit}, {kind_of(ask.key)}, "
                               f"{size_of(ask.key)} bytes, floor {ask.floor}): {what}")


class Ask:
    """One question and what is known about it."""

    def __init__(self, client, key, language, habit):
        self.client, self.key, self.habit = client, key, habit
        self.language = language_for(key, language)
        self.method = "HEAD" if habit == "head" else "GET"
        self.headers = [("X-Language", language)]
        self.range = None
        self.condition = None
        self.pid = 0
        if habit == "range":
            first = client.random.randrange(size_of(key))
            self.range = (first, client.random.randrange(first, size_of(key)))
            self.headers.append(("Range", "bytes=%d-%d" % self.range))
        if habit == "condition" and (key, self.language) in client.seen:
            self.condition = client.seen[key, self.language]
            self.headers.append(("If-None-Match", self.condition))
        self.start = time.monotonic()

    def begin(self):
        self.got_any = self.in_body = False
        self.floor = self.client.world.floor[self.key]

    def judge(self, r):
        client, world = self.client, self.client.world
        client.count[f"status {r.status}"] += 1
        client.count[r.cache or "-"] += 1
        if r.status in (500, 502, 503, 504):
            if world.origin_failed_since(self.key, self.start):
                client.count["failed: origin failed"] += 1
            else:
                client.wrong(self, f"status {r.status} though the origin was well: {r.lines}")
            return
        tag = parse_etag(r.header("ETag"))
        if r.status not in (200, 206, 304) or tag is None:
            client.wrong(self, f"status {r.status} {r.lines}")
        elif tag[0] != self.key or tag[2] != self.language:
            client.wrong(self, f"got the object {tag}")
        elif tag[1] < self.floor:
            client.wrong(self, f"version {tag[1]} was purged before the request began: {r.lines}")
        elif not self.right_body(r, tag):
            client.wrong(self, f"wrong bytes: {len(r.body)} of them, {r.lines}, {r.body[:80]!r}")
        else:
            client.seen[self.key, self.language] = etag_of(*tag)

    def right_body(self, r, tag):
        if r.status == 304:
            return self.condition == etag_of(*tag)
        if self.method == "HEAD":
            return kind_of(self.key) == "chunked" or int(r.header("Content-Length") or -1) == size_of(self.key)
        whole = body_of(*tag)
        if r.status == 206:
            if self.range is None:
                return False
            first, last = self.range
            return r.body == whole[first:last + 1] and r.header("Content-Range") == f"bytes {first}-{last}/{len(whole)}"
        return r.body == whole


def run_clients(world, address, seed, fast, slow, results):
    """The body of a client process: puts (counters, violations, slowest answer) into `results`."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    clients = [Client(world, address, seed * 1000 + i, slow=i >= fast) for i in range(fast + slow)]
    for c in clients:
        c.start()
    world.stop.wait()
    count, violations, slowest = collections.Counter(), [], 0.0
    for c in clients:
        c.join(STUCK_SECONDS + 10)
        if c.is_alive():
            violations.append(f"a client is stuck: {c.name}")
        count.update(c.count)
        violations += c.violations
        slowest = max(slowest, c.slowest)
    results.put((dict(count), violations[:50], slowest))
