#!/usr/bin/python3
"""What a purge costs, and what it does to hits, at 1,000 to 2,000,000 objects; and a storm of 10,000 tag purges a second.

zone_fill puts the objects into a zone file (14 selectors each), nginx attaches it. As in hit_bench.py the worker has core 0, the
load (wrk, random keys) and the purging client core 1, rounds are interleaved, medians count. In the storm each round compares a
slice of hits alone with one under the storm: batched (100 POSTs a second of 100 tags each) or single (10,000 PURGE requests a
second, pipelined on one connection). The tags of a storm are never the same twice, which is the worst case: records are dropped,
and what was not looked at while they were remembered goes with them. CPU per hit is the worker's; what the same storm takes
without any hits is taken off, since it is the purges' own.
Usage: purge_bench.py [latency] [storm] [tags]; OBJECTS="1000 100000", ROUNDS and DURATION (s) in the environment.
"""
import json
import os
import pathlib
import random
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent))

from hit_bench import Nginx, TOP, cpu_us, text  # noqa: E402

FILL = TOP / "build/tests/bench/bench/zone_fill"
OBJECTS = [int(x) for x in os.environ.get("OBJECTS", "1000 100000 2000000").split()]
ROUNDS = int(os.environ.get("ROUNDS", "5"))
DURATION = int(os.environ.get("DURATION", "2"))
STORM = 10_000          # tags a second
BATCH = 100
API = "/_cache/v1/zones/one"


class World:
    """An origin on core 1, and nginx on core 0 in front of a zone that has `objects` already."""

    def __init__(self, objects, size="2560m", more=""):
        self.directory = tempfile.TemporaryDirectory(prefix="slab_bench_", dir="/dev/shm")
        self.objects = objects
        self.origin, self.n = Nginx(), Nginx()
        try:
            self.start(f"{self.directory.name}/zone", size, more)
        except BaseException:
            self.close()
            raise

    def start(self, file, size, more):
        plain = self.origin.config(zone="", main="worker_cpu_affinity 10;", server="keepalive_requests 1000000000;",
                                   location=f'location / {{ add_header Cache-Control max-age=86400; return 200 "{text(512)}"; }}')
        self.origin.start(text=self.quiet(plain))
        n = self.n
        zone = f"slab_cache_zone zone=one:{size} objects={max(self.objects * 5 // 4, 200_000)} file={file} {more};"
        config = self.quiet(n.config(
            level="notice", main="worker_cpu_affinity 01;", zone=zone,
            http=f"upstream origin {{ server 127.0.0.1:{self.origin.port}; keepalive 64; }}",
            server='keepalive_requests 1000000000; proxy_http_version 1.1; proxy_set_header Connection "";',
            location="""location / { slab_cache one; slab_cache_key $scheme $http_host $request_uri; slab_cache_purge PURGE from 127.0.0.1; proxy_pass http://origin; }
                        location /_cache/ { slab_cache_api write=on; allow 127.0.0.1; deny all; }"""))
        n.start(text=config, deadline=120)      # the file's memory is taken from the kernel now
        n.stop()
        command = [str(FILL), file, f"127.0.0.1:{n.port}", str(self.objects)]
        subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True)
        n.start(text=config)
        assert self.zone()["entries"] == self.objects

    @staticmethod
    def quiet(config):
        return re.sub(r"add_header X-\w+ \$\w+ always;", "", config)

    def zone(self):
        z = json.loads(self.n.get(API).body)
        return {**z, **z.get("memory", {})}

    def metric(self, name):
        found = re.search(rf"^slab_cache_{re.escape(name)} (\S+)$", self.n.get("/_cache/metrics").text, re.M)
        return float(found.group(1))

    def hits(self):
        return self.metric('requests_total{zone="one",status="HIT"}')

    def pid(self):
        (pid,) = self.n.workers()
        return pid

    def random_keys(self):
        script = pathlib.Path(self.directory.name) / "keys.lua"
        script.write_text(f'init = function() math.randomseed(os.time()) end\n'
                          f'request = function() return wrk.format("GET", "/object/" .. math.random(0, {self.objects - 1})) end\n')
        return str(script)

    def load(self, connections=64, duration=DURATION):
        """Requests, and a second; CPU µs of the worker for each; share of hits; median and 99th percentile of the latency in µs; seconds."""
        before, cpu, begin = self.hits(), cpu_us(self.pid()), time.monotonic()
        out = subprocess.run(["taskset", "-c", "1", "wrk", "--latency", "-t1", f"-c{connections}", f"-d{duration}s", "-s",
                              self.random_keys(), f"http://127.0.0.1:{self.n.port}"],
                             stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True).stdout
        assert "Non-2xx" not in out and "Socket errors" not in out, out
        took = time.monotonic() - begin
        requests = int(re.search(r"(\d+) requests in", out).group(1))
        rate = float(re.search(r"Requests/sec:\s+(\S+)", out).group(1))
        assert "99%" in out, out
        quantile = {q: microseconds(v) for q, v in re.findall(r"^\s+(50|99)%\s+(\S+)$", out, re.M)}
        return {"rate": rate, "cpu": (cpu_us(self.pid()) - cpu) / requests, "requests": requests, "took": took, "hit": min(1, (self.hits() - before) / requests),
                "p50": quantile["50"], "p99": quantile["99"]}

    def close(self):
        for x in (self.n, self.origin):
            x.stop()
            x.clean_up(keep=False)
        self.directory.cleanup()


def microseconds(text_of_wrk):
    number, unit = re.fullmatch(r"([\d.]+)(us|ms|s)", text_of_wrk).groups()
    return float(number) * {"us": 1, "ms": 1000, "s": 1_000_000}[unit]


def median(rows, key):
    return statistics.median(r[key] for r in rows)


# ---- one purge ------------------------------------------------------------------------------------------------------
def post(tags):
    body = json.dumps({"tags": tags})
    return (f"POST {API}/purge HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n{body}").encode()


def purge_latency(w, times=1000):
    """Client to answer, µs, on a connection that is open: median and 99th percentile."""
    took = []
    with w.n.connect() as c:
        for i in range(times):
            start = time.perf_counter()
            c.send_raw(post([f"latency-{i}"]))
            answer = c.read_body(c.read_header())
            took.append((time.perf_counter() - start) * 1e6)
            assert answer.status == 200
    took.sort()
    return took[len(took) // 2], took[len(took) * 99 // 100]


def bench_latency():
    print(f"\nPurge of one tag by POST, client to answer, and hits before and after 1,000 of them (random keys, 16 connections), "
          f"medians of {ROUNDS} rounds")
    print(f"{'objects':>10}{'purge µs':>10}{'p99':>8}{'hit µs':>10}{'p99':>8}{'after µs':>10}{'p99':>8}{'CPU/hit µs':>12}{'after':>8}")
    for objects in OBJECTS:
        w = World(objects)
        try:
            w.load(16)
            purges, before, after = [], [], []
            for _ in range(ROUNDS):
                before.append(w.load(16, 1))
                purges.append(purge_latency(w))
                after.append(w.load(16, 1))
            assert min(r["hit"] for r in before + after) > 0.999
            print(f"{objects:10}{statistics.median(p[0] for p in purges):10.0f}{statistics.median(p[1] for p in purges):8.0f}"
                  f"{median(before, 'p50'):10.0f}{median(before, 'p99'):8.0f}{median(after, 'p50'):10.0f}{median(after, 'p99'):8.0f}"
                  f"{median(before, 'cpu'):12.2f}{median(after, 'cpu'):8.2f}")
        finally:
            w.close()


# ---- a storm --------------------------------------------------------------------------------------------------------
def storm(port, kind, first):
    """Purges until killed, at the storm's rate; says on stdout how many were answered."""
    sock = socket.create_connection(("127.0.0.1", port))
    begin, sent = time.monotonic(), 0
    while True:
        tags = [f"storm-{first + sent + i}" for i in range(BATCH)]
        if kind == "batched":
            sock.sendall(post(tags))
        else:
            sock.sendall(b"".join(b"PURGE / HTTP/1.1\r\nHost: localhost\r\nSurrogate-Key: %s\r\n\r\n" % t.encode() for t in tags))
        wanted, data = (1 if kind == "batched" else BATCH), b""
        while data.count(b'"accepted"') < wanted or not data.endswith(b"}"):
            more = sock.recv(1 << 16)
            assert more, "the server hung up"
            data += more
        assert data.count(b"HTTP/1.1 200") == wanted
        sent += BATCH
        print(sent, flush=True)
        time.sleep(max(0.0, begin + sent / STORM - time.monotonic()))      # the rate that is asked for


class Storm:
    first = random.randrange(1 << 40)

    def __init__(self, w, kind):
        self.w, self.kind = w, kind

    def __enter__(self):
        Storm.first += 100_000_000
        self.process = subprocess.Popen(["taskset", "-c", "1", sys.executable, __file__, "--storm", str(self.w.n.port), self.kind,
                                         str(Storm.first)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        self.sent = int(self.process.stdout.readline())
        self.began = time.monotonic()
        return self

    def __exit__(self, *_):
        self.process.terminate()
        lines = self.process.communicate()[0].split()
        self.sent = int(lines[-1]) if lines else self.sent
        self.rate = self.sent / (time.monotonic() - self.began)


def cpu_of(w, kind):
    """What the storm alone costs the worker, µs a tag."""
    before = cpu_us(w.pid())
    with Storm(w, kind) as s:
        while s.sent < STORM * DURATION:
            s.sent = int(s.process.stdout.readline())
    return (cpu_us(w.pid()) - before) / s.sent


def under_storm(w, kind, own):
    """As load(), without what the purges themselves cost."""
    with Storm(w, kind) as s:
        row = w.load()
    return {**row, "cpu": row["cpu"] - own * s.rate * row["took"] / row["requests"], "tags": s.rate}


def bench_storm(w, name):
    w.load()
    for kind in ("batched", "single"):
        own = cpu_of(w, kind)
        calm, stormy = [], []
        for _ in range(ROUNDS):
            calm.append(w.load())
            stormy.append(under_storm(w, kind, own))
        cpu = sorted(b["cpu"] / a["cpu"] for a, b in zip(calm, stormy))
        rate = sorted(b["rate"] / a["rate"] for a, b in zip(calm, stormy))
        print(f"{name:34}{kind:8}{median(stormy, 'tags'):7.0f}{own:8.2f}{median(calm, 'rate'):11.0f}{median(stormy, 'rate'):10.0f}"
              f"{statistics.median(rate):7.3f}{median(calm, 'cpu'):11.2f}{median(stormy, 'cpu'):10.2f}{statistics.median(cpu):7.3f}"
              f"{median(calm, 'hit') * 100:9.2f}%{median(stormy, 'hit') * 100:8.2f}%   " + " ".join(f"{x:.3f}" for x in cpu), flush=True)


def bench_storms():
    print(f"\nStorm of {STORM} tag purges a second; hits of random keys, 64 connections, medians of {ROUNDS} rounds of {DURATION} s\n"
          f"{'':42}{'tags/s':>7}{'µs/tag':>8}{'hits/s':>11}{'in storm':>10}{'ratio':>7}{'µs/hit':>11}{'in storm':>10}{'ratio':>7}{'hits':>10}{'storm':>9}"
          "   ratios of the rounds")
    for objects, size, more in ((2_000, "256m", ""), (100_000, "256m", ""), (100_000, "256m", "purge_records=1000000"),
                                (2_000_000, "2560m", "purge_records=4000000")):
        if objects > max(OBJECTS):
            continue
        w = World(objects, size, more)
        try:
            bench_storm(w, f"{objects} in {size}{', ' + more[6:] if more else ''}")
        finally:
            w.close()


# ---- tags -----------------------------------------------------------------------------------------------------------
def bench_tags(objects=1_000_000, sample=20_000):
    """One purge of a tag that a tenth of a million objects carry, over HTTP; which of a sample are gone: those, and no other."""
    w = World(objects, "2048m")
    try:
        with w.n.connect() as c:
            start = time.perf_counter()
            c.send_raw(post(["0-3"]))
            answer = c.read_body(c.read_header())
            took = (time.perf_counter() - start) * 1e6
            assert answer.status == 200 and json.loads(answer.body)["accepted"] == 1
            gone = 0
            for i in random.sample(range(objects), sample):
                is_gone = c.request(f"/object/{i}", host=f"127.0.0.1:{w.n.port}").header("Age") is None      # hits have one
                assert is_gone == (i % 10 == 3), i
                gone += is_gone
        print(f"\n{objects} objects of ten tags each: one purge of a tag on a tenth of them took {took:.0f} µs, client to answer; "
              f"of a sample of {sample}, exactly the {gone} that carry it were gone")
    finally:
        w.close()


def main():
    if sys.argv[1:2] == ["--storm"]:
        storm(int(sys.argv[2]), sys.argv[3], int(sys.argv[4]))
    wanted = sys.argv[1:] or ["latency", "storm", "tags"]
    if "latency" in wanted:
        bench_latency()
    if "storm" in wanted:
        bench_storms()
    if "tags" in wanted:
        bench_tags()


if __name__ == "__main__":
    main()
