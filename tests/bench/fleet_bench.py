#!/usr/bin/python3
"""Several machines as one: each bound that docs/design/fleet.md gives, measured with a real Redis and three nginx on this machine.

Usage: fleet_bench.py [latency] [storm] [holder] [partition] [down] [losses] [hit], and [cold] [wake] [value] [restart] [job] [dead] [stalled]
of the store before the origin (tier_bench.py); SECONDS (60) is how long the storm of purges, the
partition and the server's absence last. Prints a line for each bound, and exits with 1 where one is missed. A machine that cannot
bring about the load says so: the line has what it brought about.
"""
import contextlib
import os
import pathlib
import re
import subprocess
import sys
import threading
import time

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(TOP / "tests/integration"), str(pathlib.Path(__file__).parent)]

import tier_bench                                   # noqa: E402
from bounds import line, missed, quantile, until    # noqa: E402
from fleet_load import PurgeLoad                    # noqa: E402
from harness.fleet import LOCATION, Fleet           # noqa: E402
from harness.nginx import Nginx                     # noqa: E402
from harness.wait import wait_until                 # noqa: E402

SECONDS = float(os.environ.get("SECONDS", "60"))
RATE = 10_000
PAGES = [f"/page/{i}" for i in range(50)]


@contextlib.contextmanager
def fleet_of(names="", **kw):
    fleet = Fleet()
    try:
        nodes = [fleet.node(name, server="keepalive_requests 1000000000;", **kw) for name in names]
        for n in nodes:
            n.expect_log("no connection", "has lost entries", "exited on signal 9", "was locked by", "OOM", "may evict", "LOADING")
        if len(nodes) > 1:
            fleet.know_each_other(*nodes)
        yield (fleet, *nodes)
    finally:
        fleet.stop()


def last_id(fleet):
    return fleet.redis.call("XREVRANGE", "slab", "+", "-", "COUNT", "1")[0][0].decode()


def add_many(server, count, what="tag", first=0):
    """By an application, in pipelines of 1,000."""
    with server.client() as c:
        for at in range(first, first + count, 1000):
            for i in range(at, min(at + 1000, first + count)):
                c.send("XADD", "slab", "MAXLEN", "~", "100000", "*", what, f"t{i}")
            for _ in range(at, min(at + 1000, first + count)):
                c.read()


# ---- the bounds ------------------------------------------------------------------------------------------------------


def latency():
    took = []
    with fleet_of("ab") as (fleet, a, b), a.connect() as ca, b.connect() as cb:
        for i in range(500):
            path = PAGES[i % len(PAGES)]
            while cb.request(path).cache != "HIT":
                pass
            version = str(fleet.change(path))
            start = time.monotonic()
            assert ca.request(path, "PURGE").status == 200
            until(lambda p=path, v=version: cb.request(p).text == v)
            took.append((time.monotonic() - start) * 1000)
    line("purge sent to A until B serves the new page, 500 times", f"p50 {quantile(took, .5):.1f} ms, p99 {quantile(took, .99):.1f} ms", "p99 5 ms",
         quantile(took, .99) <= 5)


def storm():
    with fleet_of("abc") as (fleet, a, b, c):
        load = PurgeLoad([n.address for n in (a, b, c)], RATE, SECONDS)
        load.start()
        load.join()
        last = last_id(fleet)
        lag = until(lambda: all(n.state()["position"] >= last for n in (a, b, c)))
        counts = [n.counters() for n in (a, b, c)]
        rate = load.answered / load.took
        line(f"purges over 3 nodes for {SECONDS:.0f} s", f"{rate:.0f}/s, {load.refused} refused", f"{RATE}/s", rate >= 0.98 * RATE and load.refused == 0)
        line("    lag of the slowest node behind the last of them", f"{lag * 1000:.0f} ms", "1 s", lag < 1)
        lost = [sum(k["published"] for k in counts) - k["applied"] - k["own"] for k in counts]
        gaps = sum(sum(n.gaps().values()) for n in (a, b, c))
        line("    entries that some node did not read; gaps", f"{max(lost)}; {gaps}", "0; 0", max(lost) <= 0 and gaps == 0)


def holder():
    took, lost = [], 0
    with fleet_of("ab") as (fleet, a, b):
        for i in range(20):
            old, before = a.holder(), a.counters()["applied"]
            os.kill(old, 9)
            start = time.monotonic()
            fleet.redis.xadd(tag=f"t{i}")
            until(lambda o=old, k=before: a.holder() not in (o, 0) and a.counters()["applied"] > k)
            took.append((time.monotonic() - start) * 1000)
            wait_until(lambda: len(a.workers()) == 2, "a new worker")
        add_many(fleet.redis, 3000)
        killed = 0
        wait_until(lambda: a.holder(), "there is a holder")
        b_before = b.counters()["published"]
        load = PurgeLoad([b.address], 1000, 5)
        load.start()
        while not load.is_done:
            os.kill(b.holder() or b.workers()[0], 9)
            killed += 1
            load.join(0.7)
        last = last_id(fleet)
        wait_until(lambda: a.state()["position"] >= last and b.state()["outbox"]["waiting"] == 0, "all is read")
        named = {f["url"] for _, f in fleet.redis.entries() if "url" in f}
        lost = sum(1 for url in load.urls if url not in named)
        assert b.counters()["published"] > b_before
    line("a killed holder is replaced, and its successor reads, 20 times", f"p50 {quantile(took, .5):.0f} ms, max {max(took):.0f} ms", "300 ms", max(took) <= 300)
    line(f"    answered purges that are not in the stream, {killed} kills", f"{lost} of {len(load.urls)}", "0", lost == 0)


def partition():
    with fleet_of("ab") as (fleet, a, b):
        proxy = fleet.proxy()
        c = fleet.node("c", servers=f"redis://{proxy.address}", options="blind=off")
        c.expect_log("no connection")
        c.fill("/x")
        proxy.cut()
        wait_until(lambda: not c.state()["connected"], "it is cut off")
        fleet.change("/x")
        start = time.monotonic()
        add_many(fleet.redis, 49_999)
        assert a.purge("/x").status == 200
        last = last_id(fleet)
        threading.Event().wait(max(0.0, SECONDS - (time.monotonic() - start)))   # the length of the partition is what is measured
        assert c.get("/x").text == "0"
        proxy.heal()
        took = until(lambda: c.state()["position"] >= last)
        line(f"cut off for {SECONDS:.0f} s, 50,000 purges: caught up after", f"{took * 1000:.0f} ms, gaps {c.gaps() or 0}, new page {c.get('/x').text == '1'}",
             "1 s", took <= 1 and c.get("/x").text == "1")


def down():
    with fleet_of() as (fleet,):
        fleet.redis.kill()
        fleet.redis.start("--appendonly", "yes")
        a, b = fleet.pair(options="blind=off")
        for n in (a, b):
            n.expect_log("no connection", "LOADING")
            n.fill("/x")
        fleet.redis.kill()
        wait_until(lambda: not a.state()["connected"], "it is noticed")
        fleet.change("/x")
        start = time.monotonic()
        status = a.purge("/x").status
        answered = (time.monotonic() - start) * 1000
        here = a.get("/x").text == "1"
        line("server down: purge answered, and held here, after", f"{answered:.0f} ms, status {status}, {here}", "at once: 202 in 200 ms", here and status == 202 and answered < 200)
        threading.Event().wait(SECONDS)                    # so long it is away
        assert b.get("/x").text == "0"
        fleet.redis.start("--appendonly", "yes")
        took = until(lambda: b.get("/x").text == "1")
        line(f"    it is back after {SECONDS:.0f} s: the other node has it after", f"{took * 1000:.0f} ms, gaps {b.gaps() or 0}", "1 s", took <= 1)


def lose(how, fleet, servers):
    """The stream's end, or all of it, is gone; the purge of all pages with it."""
    if how == "FLUSHALL":
        fleet.redis.call("FLUSHALL")
    elif how == "DEL":
        fleet.redis.call("DEL", "slab")
    elif how == "eviction":
        fleet.redis.call("CONFIG", "SET", "maxmemory-policy", "allkeys-random")
        fleet.redis.call("CONFIG", "SET", "maxmemory", "1")
        with contextlib.suppress(Exception):
            fleet.redis.xadd(tag="x")
        fleet.redis.call("CONFIG", "SET", "maxmemory", "0")
    elif how == "old dump":
        fleet.redis.call("RESTORE", "slab", "0", servers["dump"], "REPLACE")
    else:
        fleet.redis.kill()


def losses():
    for how in ("FLUSHALL", "DEL", "eviction", "old dump", "failover with lost tail"):
        with fleet_of() as (fleet,):
            replica = fleet.server("--replicaof", "127.0.0.1", str(fleet.redis.port), "--repl-diskless-sync-delay", "0")
            wait_until(lambda r=replica: b"master_link_status:up" in r.call("INFO", "replication"), "the replica is in sync")
            to = [fleet.proxy(), fleet.proxy(replica)]
            one = f"redis://127.0.0.1:{fleet.redis.port},127.0.0.1:{replica.port}"
            a, b = (fleet.node(name, servers=one) for name in "ab")
            c = fleet.node("c", servers="redis://" + ",".join(p.address for p in to))
            fleet.know_each_other(a, b, c)
            for n in (a, b, c):
                n.expect_log("no connection", "has lost entries", "OOM", "may evict")
            a.purge("/before", "Prefer: wait=10")
            wait_until(lambda: replica.entries() == fleet.redis.entries(), "the replica has all so far")
            servers = {"dump": fleet.redis.call("DUMP", "slab")}
            replica.call("REPLICAOF", "NO", "ONE") if "failover" in how else None
            for n in (a, b, c):
                for path in PAGES:
                    n.fill(path)
            heard = c.counters()["applied"]
            to[0].cut()                                    # c hears nothing of the purge
            wait_until(lambda: not c.state()["connected"] or "failover" in how, "c is cut off")
            for path in PAGES:
                fleet.change(path)
            assert a.purge("/page/*").status == 200
            wait_until(lambda: b.counters()["applied"] >= 2, "b has read what will be lost")
            lose(how, fleet, servers)
            to[0].heal()
            if "failover" in how:
                wait_until(lambda: all(n.state()["connected"] and n.state()["server"].endswith((str(replica.port), str(to[1].port))) for n in (a, b, c)),
                           "the new master is found")
                wait_until(lambda: a.gaps() and b.gaps(), "those who read what was lost see a gap")
                wait_until(lambda: c.gaps() or c.counters()["applied"] > heard, "c has a gap, or is told of it")
            else:
                wait_until(lambda: a.gaps() and b.gaps(), "those who read what was lost see a gap")
                wait_until(lambda: c.gaps() or c.counters()["applied"] > heard, "c has a gap, or is told of it")
            stale = sum(n.get(path).text == "0" for n in (a, b, c) for path in PAGES)
            gaps = [sum(n.gaps().values()) for n in (a, b, c)]
            line(f"{how}: gaps of A, B, C; stale of 150 after them", f"{gaps}; {stale}", "at most one each; 0", stale == 0 and max(gaps) == 1)


# ---- the hit path -----------------------------------------------------------------------------------------------------


class Counted(Nginx):
    """One process, under callgrind, which counts what the module does with requests."""

    def _command(self, *args):
        return ["valgrind", "--tool=callgrind", "--collect-atstart=no", "--toggle-collect=ngx_http_core_run_phases",
                f"--callgrind-out-file={self.prefix}/callgrind.out", *super()._command(*args)]

    def workers(self):
        return [self.process.pid] if self.process else []


def own_cost(path):
    """Instructions of the module's own functions. A line behind `calls=` is what the called function took."""
    total, is_ours, names = 0, False, {}
    lines = iter(path.read_text().splitlines())
    for text in lines:
        if m := re.match(r"ob=\((\d+)\)(?: (.*))?", text):
            names.setdefault(m[1], m[2] or "")
            is_ours = "slab_cache" in names[m[1]]
        elif m := re.match(r"cob=\((\d+)\) (.*)", text):
            names.setdefault(m[1], m[2])
        elif text.startswith("calls="):
            next(lines)
        elif is_ours and re.match(r"[+*\d-]", text):
            total += int(text.split()[1])
    return total


def instructions(count, zone, origin):
    n = Counted()
    try:
        n.start(zone=zone, main="master_process off;", location=LOCATION.format(rules="", origin=origin), deadline=120)
        with n.connect() as c:
            until(lambda: all(c.request("/x").cache == "HIT" for _ in range(50)), 120)      # past the first gap, too
            subprocess.run(["callgrind_control", "-z", str(n.process.pid)], check=True, capture_output=True)
            for _ in range(count):
                assert c.request("/x").cache == "HIT"
        n.stop()
        return own_cost(n.prefix / "callgrind.out")
    finally:
        n.clean_up(keep=False)


def hit():
    if subprocess.run(["which", "valgrind"], capture_output=True, check=False).returncode != 0:
        print("SKIPPED: instructions of a hit: no valgrind here")
        return
    with fleet_of() as (fleet,):
        zones = {"without": "slab_cache_zone zone=one:16m;",
                 "with": f"slab_cache_fleet main redis://127.0.0.1:{fleet.redis.port} stream=slab blind=off; slab_cache_zone zone=one:16m fleet=main;"}
        # Some of them are drawn by lot (samples), so a run differs from the next.
        runs = {k: sorted(instructions(900, zone, fleet.origin.address) / 900 for _ in range(5)) for k, zone in zones.items()}
        each = {k: counts[2] for k, counts in runs.items()}
    line("the module's instructions of a hit, without and with fleet=", f"{each['without']:.1f}, {each['with']:.1f}", "the same, within 1 %",
         each["with"] < 1.01 * each["without"])


def main():
    known = {f.__name__: f for f in (latency, storm, holder, partition, down, losses, hit, *tier_bench.ALL)}
    for name in sys.argv[1:] or known:
        known[name]()
    print(f"{len(missed)} bounds missed" + "".join(f"\n    {m}" for m in missed))
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
