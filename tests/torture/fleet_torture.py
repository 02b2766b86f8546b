#!/usr/bin/env python3
"""Three nginx with one Redis Stream under everything at once: fleet_torture.py [SECONDS] [SEED].

Kills of workers, of holders, of whole machines; reloads; Redis killed, stopped, flushed, failed over with and without its end;
partitions. Purges with and without Prefer: wait, by the application too. Prints a summary and exits with 0 when no page was older
than a purge that all had applied, nor older than blind= in any case, nor than a purge that the same node had answered.
"""
import collections
import contextlib
import json
import pathlib
import random
import shutil
import socket
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "integration")]

import report                                       # noqa: E402
from fleet_world import BLIND, LATE, NODES, PAGES, WHY, World, fork, run_browser, run_origin   # noqa: E402
from harness.client import Connection               # noqa: E402
from harness.nginx import Nginx                     # noqa: E402
from harness.redis import Proxy, Redis, RedisError  # noqa: E402
from harness.wait import wait_until                 # noqa: E402

LOCATION = """
        keepalive_requests 1000000000;
        location / {{ slab_cache one; {rules} slab_cache_purge PURGE from 127.0.0.1; proxy_pass http://origin; proxy_http_version 1.1;
                     proxy_set_header Connection ""; }}
        location /_cache/ {{ slab_cache_api write=on; allow 127.0.0.1; deny all; }}
"""
EXPECTED = ("exited on signal 9", "was locked by", "no connection", "has lost entries", "OOM", "LOADING", "answers .* with", "may evict",
            "cannot change now", "gap in", "may not have been heard", "prematurely closed", "called \"n")


def purge(address, page, wait):
    """(status, JSON); None where the connection broke: whether it was purged is not known."""
    try:
        with Connection(address, timeout=20) as c:
            r = c.request(f"/p/{page}", "PURGE", headers=[f"Prefer: wait={wait}"] if wait else [])
            return r.status, json.loads(r.body) if r.body.startswith(b"{") else {}
    except (OSError, EOFError):
        return None


def run_purger(world, addresses, seed, mine, results):
    """Pages that are `mine` change, and are purged on one of the nodes."""
    pick = random.Random(seed)
    count, due = collections.Counter(), collections.deque()
    while not world.stop.is_set():
        while due and due[0][0] <= time.monotonic():
            _, page, version = due.popleft()
            world.forbid(range(NODES), page, version, WHY[3])
        page = pick.choice(mine)
        world.version[page] += 1
        version, node = world.version[page], pick.randrange(NODES)
        done = purge(addresses[node], page, pick.choice((0, 0, 1, 2)))
        if done is None or done[0] not in (200, 202):
            count["broken"] += 1
            world.stop.wait(0.02)
            continue
        due.append((time.monotonic() + BLIND + LATE, page, version))
        world.forbid([node], page, version, WHY[1])
        state = done[1].get("fleet", {}).get("state", "none")
        count[state] += 1
        if state == "applied":
            world.forbid(range(NODES), page, version, WHY[2])
        world.stop.wait(pick.random() * 0.02)
    results.put(count)


class Torture:
    def __init__(self, seconds, seed):
        self.seconds, self.seed, self.random = seconds, seed, random.Random(seed)
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="slab_fleet_", dir="/dev/shm"))
        self.world, self.count, self.violations = World(), collections.Counter(), []
        self.servers, self.nodes, self.proxies, self.processes = [], [], [], []
        self.master = 0
        self.notes, self.deeds = [], []
        self.results = fork.SimpleQueue(), fork.SimpleQueue()

    # ---- the parts ------------------------------------------------------------------------------------------------
    def launch(self, target, *args):
        p = fork.Process(target=target, args=args, daemon=True)
        p.start()
        self.processes.append(p)

    def start(self):
        listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        origin = listener.getsockname()[1]
        self.launch(run_origin, self.world, listener)
        self.servers = [Redis(), Redis()]
        self.follow(1, 0)
        self.prepare()
        for i in range(NODES):
            self.proxies.append([Proxy(s.port) for s in self.servers])
            n = Nginx()
            n.expect_log(*EXPECTED)
            servers = "redis://" + ",".join(p.address for p in self.proxies[i])
            n.start(LOCATION.format(rules=self.rules), workers=2,
                    http=f"upstream origin {{ server 127.0.0.1:{origin} max_fails=0; keepalive 32; }}",
                    zone=f"slab_cache_fleet main {servers} stream=slab node=n{i} blind={BLIND:.0f}s maxlen=1k;\n"
                         f"slab_cache_zone zone=one:16m fleet=main file={self.directory}/n{i}.slab;\n{self.declared()}")
            self.nodes.append(n)
        self.wait_for_all("at first all know each other: nobody waits for a node that he has never heard of")
        addresses = [n.address for n in self.nodes]
        for i in range(2):
            self.launch(run_browser, self.world, addresses, self.seed * 10 + i, self.results[0])
        for i in range(4):
            self.launch(run_purger, self.world, addresses, self.seed * 10 + i, list(range(i, PAGES, 4)), self.results[1])

    rules = ""                          # beside slab_cache

    def prepare(self):
        """What the nodes need beside Redis."""

    def declared(self):
        """Directives of http {} beside fleet and zone."""
        return ""

    def follow(self, replica, master):
        with contextlib.suppress(OSError, EOFError, RedisError):
            self.servers[replica].call("REPLICAOF", "127.0.0.1", self.servers[master].port)

    def redis(self, *words):
        with contextlib.suppress(OSError, EOFError, RedisError):
            return self.servers[self.master].call(*words)
        return None

    # ---- what happens ---------------------------------------------------------------------------------------------
    def kill_worker(self):
        n = self.random.choice(self.nodes)
        if workers := n.workers():
            n.kill_worker(self.random.choice(workers))

    def kill_holder(self):
        n = self.random.choice(self.nodes)
        with contextlib.suppress(OSError, EOFError, ValueError, KeyError):
            pid = json.loads(n.get("/_cache/v1/fleet").body)["fleets"][0]["zones"][0]["holder"]
            if pid in n.workers():
                n.kill_worker(pid)

    def kill_machine(self):
        n = self.random.choice(self.nodes)
        n.kill_all()
        self.world.stop.wait(self.random.random() * 2 * BLIND * self.random.randrange(2))
        n.start(text=n.text)

    def reload(self):
        self.random.choice(self.nodes).reload()

    def kill_redis(self):
        """It comes back with nothing."""
        s = self.servers[self.master]
        s.kill()
        self.world.stop.wait(self.random.random() * 2)
        s.start()

    def pause_redis(self):
        s = self.servers[self.master]
        s.pause()
        self.world.stop.wait(self.random.random() * 4)
        s.go_on()

    def flush(self):
        self.redis(*self.random.choice((("FLUSHALL",), ("DEL", "slab"), ("XTRIM", "slab", "MAXLEN", "5"))))

    def fail_over(self):
        """In order, or with the master killed, perhaps while its replica heard nothing."""
        old, new = self.master, 1 - self.master
        deaf = self.random.random() < 0.5
        if deaf:
            self.servers[new].pause()
            self.world.stop.wait(self.random.random() * 0.3)
        if deaf or self.random.random() < 0.5:
            self.servers[old].kill()
        if deaf:
            self.servers[new].go_on()
        self.servers[new].call("REPLICAOF", "NO", "ONE")
        self.master = new
        if self.servers[old].process.poll() is not None:
            self.servers[old].start()
        self.follow(old, new)

    def cut_off(self):
        for p in self.random.choice(self.proxies):
            self.random.choice((p.cut, p.stall))()

    def heal(self):
        for p in sum(self.proxies, []):
            p.heal()

    def possible(self):
        """Deeds, and how often each is chosen."""
        return [(self.kill_worker, 5), (self.kill_holder, 5), (self.kill_machine, 1), (self.reload, 2), (self.kill_redis, 1),
                (self.pause_redis, 1), (self.flush, 2), (self.fail_over, 2), (self.cut_off, 3), (self.heal, 4)]

    def rage(self):
        deeds = self.possible()
        end = time.monotonic() + self.seconds
        while time.monotonic() < end:
            deed = self.random.choices([d for d, _ in deeds], [w for _, w in deeds])[0]
            self.count[deed.__name__] += 1
            self.deeds.append(f"{time.monotonic():.2f} {deed.__name__}")
            deed()
            self.world.stop.wait(self.random.random())
        self.heal()
        self.wait_for_all("in the end all are connected, and know each other")

    def wait_for_all(self, what):
        wait_until(lambda: all(self.sees_all(n) for n in self.nodes), what, 60)

    @staticmethod
    def sees_all(n):
        state = json.loads(n.get("/_cache/v1/fleet").body)["fleets"][0]["zones"][0]
        return state["connected"] and sum(x["state"] != "silent" for x in state["nodes"]) == NODES - 1

    # ---- afterwards -----------------------------------------------------------------------------------------------
    def figures(self):
        for n in self.nodes:
            counters = json.loads(n.get("/_cache/v1/fleet").body)["fleets"][0]["zones"][0]["counters"]
            self.count["gaps"] += sum(counters.pop("gaps").values())
            self.count.update({k: v for k, v in counters.items() if k in ("applied", "published", "readded", "blind", "takeovers", "unreadable")})

    def collect(self):
        """What browsers and purgers saw."""
        self.world.stop.set()
        browsers = [self.results[0].get() for _ in range(2)]
        purgers = [self.results[1].get() for _ in range(4)]
        for count in purgers:
            self.count.update({f"purges {k}": v for k, v in count.items()})
        for requests, broken, violations in browsers:
            self.count["requests"] += requests
            self.count["broken connections"] += broken
            self.violations += violations

    def finish(self):
        self.world.stop.set()
        for n in self.nodes:
            try:
                n.stop()
            except AssertionError as e:
                self.violations.append(str(e))
            self.violations += [f"error.log: {c}" for c in n.complaints()]
        for p in sum(self.proxies, []):
            p.stop()
        for s in self.servers:
            s.stop()
        for p in self.processes:
            p.terminate()
        for n in self.nodes:
            n.clean_up(keep=bool(self.violations))
        shutil.rmtree(self.directory, ignore_errors=True)

    def run(self):
        try:
            self.start()
            self.rage()
            self.figures()
            self.collect()
            self.count["origin"] = self.world.asked.value
        finally:
            self.finish()
        return self

    def headline(self):
        c = self.count
        return f"{c['requests']} requests, {sum(v for k, v in c.items() if k.startswith('purges'))} purges, {c['purges applied']} applied by all"

    def kept(self):
        return [n.prefix for n in self.nodes]


if __name__ == "__main__":
    report.run("fleet torture", Torture)
