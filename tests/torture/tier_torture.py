#!/usr/bin/env python3
"""The torture of three machines, with a store before the origin: tier_torture.py [SECONDS] [SEED].

The store is Redis where SEED is even, two memcached where it is odd. Beside the machines, writers put pages there as the jobs
of an application do: some quickly, some seconds after they read the data, some with a position from long ago, some with none.
The store is killed, stopped, emptied. Pages are fresh for a second, so that the store is asked all the time. No page may be older
than a purge that all had applied, whoever put it into the store and whenever.
"""
import collections
import heapq
import json
import pathlib
import random
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "integration"), str(HERE.parents[1] / "clients/python")]

import pymemcache                                   # noqa: E402
import redis                                        # noqa: E402
import report                                       # noqa: E402
from fleet_torture import Torture                   # noqa: E402
from fleet_world import PAGES, fork                 # noqa: E402
from harness.memcached import Memcached             # noqa: E402
from harness.redis import Redis                     # noqa: E402
from pymemcache.client.hash import HashClient       # noqa: E402
from slab_cache_fleet import Fleet                  # noqa: E402
from slab_cache_tier import Tier                    # noqa: E402

WRITERS = 2
SLOWEST = 5.0           # seconds from the reading of the data to the writing of the page
REMEMBERED = 4000       # positions; older than these are those that no machine knows any more
FAILURES = (redis.RedisError, pymemcache.MemcacheError, OSError)


def client_of(stores):
    return redis.Redis(port=stores[0][1], socket_timeout=1) if stores[0][0] == "redis" else HashClient(
        [f"127.0.0.1:{port}" for _, port in stores], timeout=1, connect_timeout=1, ignore_exc=True, retry_attempts=0, dead_timeout=1)


def run_writer(world, streams, master, stores, seed, results):
    """Jobs: each takes the position, reads the page's version, and writes it, at once or much later."""
    pick, count = random.Random(seed), collections.Counter()
    fleets = [Fleet(redis.Redis(port=port, socket_timeout=1), stream="slab") for port in streams]
    tier, positions, jobs = Tier(client_of(stores)), collections.deque(maxlen=REMEMBERED), []
    while not world.stop.is_set():
        now = time.monotonic()
        try:
            positions.append(fleets[master.value].position())
            kind = pick.choices(("quick", "slow", "old", "none"), (4, 4, 2, 1))[0]
            position = {"old": pick.choice(positions), "none": ""}.get(kind, positions[-1])
            page = pick.randrange(PAGES)
            later = pick.random() * (SLOWEST if kind == "slow" else 0.01)
            heapq.heappush(jobs, (now + later, page, world.version[page], position, kind))
            while jobs and jobs[0][0] <= now:
                _, page, version, position, kind = heapq.heappop(jobs)
                done = tier.put(f"http://localhost/p/{page}", f"<{page}:{version}>", max_age=3600, position=position,
                                headers={"ETag": f'"v{version}"'})
                count[f"{kind} writes" if done else "writes that the store did not take"] += 1
        except FAILURES:
            count["writers' errors"] += 1
        world.stop.wait(pick.random() * 0.01)
    results.put(count)


class TierTorture(Torture):
    rules = "slab_cache_tier store; slab_cache_ttl max=1s;"

    def prepare(self):
        self.shared_master = fork.RawValue("i", 0)
        self.kind = "memcached" if self.seed % 2 else "redis"
        self.stores = [Memcached(), Memcached()] if self.seed % 2 else [Redis()]
        self.written = fork.SimpleQueue()
        for i in range(WRITERS):
            self.launch(run_writer, self.world, [s.port for s in self.servers], self.shared_master, [(self.kind, s.port) for s in self.stores],
                        self.seed * 10 + i, self.written)

    def declared(self):
        servers = ",".join(f"127.0.0.1:{s.port}" for s in self.stores)
        return f"slab_cache_tier store {self.kind}://{servers} fleet=main timeout=50ms lease=1s;"

    # ---- what happens ---------------------------------------------------------------------------------------------
    def fail_over(self):
        super().fail_over()
        self.shared_master.value = self.master

    def kill_store(self):
        s = self.random.choice(self.stores)
        s.kill()
        self.world.stop.wait(self.random.random())
        s.start()

    def pause_store(self):
        s = self.random.choice(self.stores)
        s.pause()
        self.world.stop.wait(self.random.random())
        s.go_on()

    def empty_store(self):
        s = self.random.choice(self.stores)
        if self.kind == "redis":
            s.call("FLUSHALL")
        else:
            s.ask(b"flush_all\r\n")

    def possible(self):
        return [*super().possible(), (self.kill_store, 1), (self.pause_store, 1), (self.empty_store, 1)]

    # ---- afterwards -----------------------------------------------------------------------------------------------
    def figures(self):
        super().figures()
        for n in self.nodes:
            counters = json.loads(n.get("/_cache/v1/tier").body)["tiers"][0]["counters"]
            counters.update(counters.pop("misses"))
            self.count.update({f"tier {name}": value for name, value in counters.items() if value})

    def collect(self):
        super().collect()
        for _ in range(WRITERS):
            self.count.update(self.written.get())
        for what in ("tier hits", "tier PURGED", "slow writes", "old writes", "none writes"):
            if self.count[what] == 0:
                self.violations.append(f"there were no {what}: nothing was tried")

    def finish(self):
        super().finish()
        for s in self.stores:
            s.stop()


if __name__ == "__main__":
    report.run("tier torture", TierTorture)
