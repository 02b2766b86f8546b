#!/usr/bin/python3
"""What a hit, a miss and an object cost, on this machine, now.

CPU is the worker's time on its core, user and system, from /proc/PID/schedstat, per request, median of interleaved rounds; the worker has
core 0, the load generator and the origin core 1. The ratio to the baseline of the same round is what carries over
to another machine. Usage: hit_bench.py [hit] [miss] [syscalls] [memory]; ROUNDS and DURATION (s) in the environment.
"""
import json
import os
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "tests/integration"))

from harness.nginx import Nginx  # noqa: E402

ROUNDS = int(os.environ.get("ROUNDS", "7"))
DURATION = int(os.environ.get("DURATION", "2"))
TICK = os.sysconf("SC_CLK_TCK")
SIZES = {"512": 512, "4k": 4000, "32k": 32000}     # a literal in nginx.conf must fit into 4096 bytes
FIELDS = """add_header Cache-Control "max-age=3600"; add_header ETag '"5e1f-62a1b2c3"'; add_header X-Frame-Options SAMEORIGIN;
            add_header Last-Modified "Mon, 23 Nov 2026 08:49:37 GMT"; add_header Content-Language en;"""


def text(size):
    return ("0123456789abcdef" * 4096)[:size]


def locations(prefix, extra=""):
    out = [f'location = {prefix}/{n} {{ {extra} return 200 "{text(s)}"; }}' for n, s in SIZES.items() if s < 4096]
    out.append(f'location = {prefix}/32k {{ {extra} return 200 "{"$b4000" * 8}"; }}')
    return "\n".join(out)


def start():
    """An origin on core 1 and the nginx under test on core 0; returns both."""
    fresh = 'add_header Cache-Control "max-age=3600";'
    origin = Nginx()
    block = f'geo $b4000 {{ default "{text(4000)}"; }}'
    plain = origin.config(zone="", http=block, main="worker_cpu_affinity 10;",
                          server="keepalive_requests 1000000000;",
                          location=locations("/page", fresh) + f"""
        location /key/ {{ {fresh} return 200 "{text(4000)}"; }}
        location /object/ {{ {FIELDS} return 200 "{text(1024)}"; }}""")
    origin.start(text=re.sub(r"add_header X-\w+ \$\w+ always;", "", plain))
    n = Nginx()
    n.start(level="error", main="worker_cpu_affinity 01;", zone="slab_cache_zone zone=one:256m;",
            http=block + f"upstream origin {{ server 127.0.0.1:{origin.port}; keepalive 64; }}",
            server='keepalive_requests 1000000000; proxy_http_version 1.1; proxy_set_header Connection "";',
            location=locations("/return") + """
        location /page/ { slab_cache one; proxy_pass http://origin; }
        location /key/ { slab_cache one; proxy_pass http://origin; }
        location /plain/ { proxy_pass http://origin/key/; }
        location /_cache/ { slab_cache_api; allow 127.0.0.1; deny all; }""")
    return origin, n


def quiet(n):
    """Takes the test headers out: the baseline shall not pay for them either."""
    n.stop()
    n.start(text=re.sub(r"add_header X-\w+ \$\w+ always;", "", n.text))
    return n


def cpu_us(pid):
    """Time on a core: by the scheduler's own account where the kernel keeps one, else in clock ticks."""
    account = pathlib.Path(f"/proc/{pid}/schedstat")
    if account.exists() and (ns := int(account.read_text().split()[0])) != 0:
        return ns / 1000
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * 1_000_000 / TICK


def wrk(n, path, duration=DURATION, connections=64, script=None, address=None):
    """Requests answered; fails when any was not 2xx."""
    command = ["taskset", "-c", "1", "wrk", "-t1", "--timeout", "30s", f"-c{connections}", f"-d{duration}s", *(["-s", script] if script else []),
               f"{address or f'http://127.0.0.1:{n.port}'}{path}"]
    out = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True).stdout
    assert "Non-2xx" not in out and "Socket errors" not in out, out
    return int(re.search(r"(\d+) requests in", out).group(1))


def cost(n, path, **kw):
    (pid,) = n.workers()
    before = cpu_us(pid)
    requests = wrk(n, path, **kw)
    return (cpu_us(pid) - before) / requests


def table(name, rows, pairs):
    print(f"\n{name}\n{'':10}{'baseline µs':>12}{'ours µs':>10}{'ratio':>8}   ratios of the rounds")
    for row in rows:
        base, ours = ([p[i] for p in pairs[row]] for i in (0, 1))
        ratios = [o / b for b, o in pairs[row]]
        print(f"{row:10}{statistics.median(base):12.2f}{statistics.median(ours):10.2f}{statistics.median(ratios):8.3f}   "
              + " ".join(f"{r:.3f}" for r in sorted(ratios)))


def bench_hits(n):
    pairs = {size: [] for size in SIZES}
    for size in SIZES:
        n.get(f"/page/{size}")
        wrk(n, f"/page/{size}", duration=1)
    for _ in range(ROUNDS):
        for size in SIZES:
            pairs[size].append((cost(n, f"/return/{size}"), cost(n, f"/page/{size}")))
    table("Hit against `return 200` of the same body, CPU per request", SIZES, pairs)


def distinct_keys(directory, prefix, start_at):
    script = pathlib.Path(directory) / "keys.lua"
    script.write_text(f'local i = {start_at}\nrequest = function() i = i + 1; return wrk.format("GET", "{prefix}" .. i) end\n')
    return str(script)


def bench_misses(n):
    pairs = []
    with tempfile.TemporaryDirectory() as d:
        cost(n, "/", script=distinct_keys(d, "/key/", 0), duration=4)     # the zone is full from here on
        # Many short rounds: on a shared machine a median of few long ones is no steadier than they are.
        for i in range(1, 3 * ROUNDS + 1):
            plain = cost(n, "/", script=distinct_keys(d, "/plain/", i * 10_000_000), duration=1)
            pairs.append((plain, cost(n, "/", script=distinct_keys(d, "/key/", i * 10_000_000), duration=1)))
    table("Miss against proxy_pass without a cache, distinct keys, 4 KB, CPU per request", ["4k"], {"4k": pairs})


def bench_syscalls(n):
    (pid,) = n.workers()
    print("\nSystem calls per request (strace -c, 64 connections)")
    for path in ("/return/4k", "/page/4k"):
        with tempfile.NamedTemporaryFile("r") as out:
            p = subprocess.Popen(["strace", "-c", "-p", str(pid), "-o", out.name], stdin=subprocess.DEVNULL,
                                 stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
            p.stderr.readline()                 # "Process … attached"
            requests = wrk(n, path, duration=2)
            p.terminate()
            p.wait()
            calls = {f[-1]: int(f[3]) for f in (line.split() for line in out) if len(f) >= 5 and f[3].isdigit()}
        calls.pop("total", None)
        each = {k: v / requests for k, v in calls.items() if v / requests >= 0.005}
        print(f"{path:14}" + "  ".join(f"{k} {v:.2f}" for k, v in sorted(each.items(), key=lambda kv: -kv[1])))


def find(tree, name):
    """The first value under that name, anywhere in a JSON document."""
    if isinstance(tree, dict):
        if isinstance(tree.get(name), (int, float)):
            return tree[name]
        tree = list(tree.values())
    if isinstance(tree, list):
        return next((v for v in (find(t, name) for t in tree) if v is not None), None)
    return None


def bench_memory(origin, objects=200_000):
    n = Nginx()
    n.start(zone=f"slab_cache_zone zone=one:512m objects={objects};",
            http=f"upstream origin {{ server 127.0.0.1:{origin.port}; keepalive 64; }}",
            server='keepalive_requests 1000000000; proxy_http_version 1.1; proxy_set_header Connection "";',
            location="""location / { slab_cache one; proxy_pass http://origin/object/; }
                        location /_cache/ { slab_cache_api; allow 127.0.0.1; deny all; }""")

    def zone():
        return json.loads(n.get("/_cache/v1/zones/one").body)

    with tempfile.TemporaryDirectory() as d:
        at = 0
        while (find(zone(), "entries") or 0) < objects:
            wrk(n, "/", duration=2, script=distinct_keys(d, "/some/ordinary/page/number-", 1_000_000 + at))
            at += 1_000_000
    z = zone()
    entries, used, overhead = (find(z, k) for k in ("entries", "used_bytes", "overhead_bytes"))
    print(f"\nMemory: {entries} objects of 1,024 B body and five ordinary fields\n"
          f"{(used + overhead) / entries:10.0f} B per object, everything included "
          f"(blocks {used / entries:.0f} B, index and all other metadata {overhead / entries:.0f} B)")
    n.stop()
    n.clean_up(keep=False)


def main():
    wanted = sys.argv[1:] or ["hit", "miss", "syscalls", "memory"]
    origin, n = start()
    quiet(n)
    try:
        if "hit" in wanted:
            bench_hits(n)
        if "miss" in wanted:
            bench_misses(n)
        if "syscalls" in wanted:
            bench_syscalls(n)
        if "memory" in wanted:
            bench_memory(origin)
    finally:
        for x in (n, origin):
            x.stop()
            x.clean_up(keep=False)


if __name__ == "__main__":
    main()
