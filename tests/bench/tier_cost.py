"""What a hit in the store costs the worker, beside a hit in the zone and a miss without a cache: 4 KB, CPU of a request. Run by fleet_bench.py.

One at a time: one connection, each request after the answer to the last. The worker sleeps before each, and twice for a hit in the store. What
falling asleep and waking up cost is the kernel's, and differs by factors from one moment to the next where the machine is a virtual one.
32 at once: as a worker works that has something to do. The figures of hits and misses elsewhere (hit_bench.py) are of this kind, and so is
the bound.

The zone's memory has been touched before: the first lap through a fresh zone costs a page fault for each page, whoever fills it.
"""
import os
import pathlib
import re
import signal
import socket
import statistics
import subprocess
import tempfile

from bounds import line, until
from harness.nginx import Nginx
from harness.tier import HOST, Tiered, message

ROUNDS = int(os.environ.get("ROUNDS", "5"))
ALONE, AT_ONCE, CONNECTIONS = 1000, 6000, 32
BOUND_US = 35
BODY = "x" * 4000       # a literal in nginx.conf must fit into 4096 bytes
LOCATION = """
location / {{ slab_cache one; slab_cache_tier store; proxy_pass http://behind; }}
location /plain/ {{ proxy_pass http://behind; }}
location /_cache/ {{ slab_cache_api write=on; }}
"""
KINDS = ("tier", "zone", "plain")
LOAD = """local i, last = %d, %d
request = function()
  if i == last then
    io.stderr:write("done\\n")
    wrk.thread:stop()
  else
    i = i + 1
  end
  return wrk.format("GET", "%s/" .. i, {Host = "%s"})
end
"""


def cpu_ns(pid):
    return int(pathlib.Path(f"/proc/{pid}/schedstat").read_text().split()[0])


def path_of(kind):
    return "/plain" if kind == "plain" else ""


def alone(node, kind):
    with node.connect() as c:
        for i in range(ALONE):
            assert c.request(f"{path_of(kind)}/{i}", host=HOST).status == 200
    return ALONE


def at_once(node, kind):
    """Each key once, over all connections together; how many were answered."""
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(LOAD % (ALONE, ALONE + AT_ONCE - 1, path_of(kind), HOST))
        script.flush()
        pin = ["taskset", "-c", "1"] if os.cpu_count() > 1 else []
        wrk = subprocess.Popen([*pin, "wrk", "-t1", f"-c{CONNECTIONS}", "-d60s", "-s", script.name, f"http://127.0.0.1:{node.port}/"],
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert wrk.stderr.readline() == "done\n"
        wrk.send_signal(signal.SIGINT)      # else it sleeps on, with nothing to do
        said = wrk.communicate()[0]
    assert "Non-2xx" not in said and "Socket errors" not in said, said
    return int(re.search(r"(\d+) requests in", said)[1])


def fill(t, node):
    """The zone is empty, and the store has all pages, as of now."""
    with t.redis.client() as c:
        position = c.xadd(all="1")
    until(lambda: node.position() == position)
    value = message(BODY, f"Slab-Position: {position}").encode()
    keys = [f"slab:http://{HOST}/{i}" for i in range(ALONE + AT_ONCE + 1)]
    if t.kind == "redis":
        with t.redis.client() as c:
            for key in keys:
                c.send("SET", key, value, "EX", 3600)
            assert all(c.read() == b"OK" for _ in keys)
        return
    with socket.create_connection(("127.0.0.1", t.stores[0].port)) as s, s.makefile("rb") as answers:
        for key in keys:
            s.sendall(b"ms %s %d T3600\r\n%s\r\n" % (key.encode(), len(value), value))
            assert answers.readline() == b"HD\r\n"


def measure(node, how, kind):
    (pid,) = node.workers()
    hits = node.counters()["hits"]
    before = cpu_ns(pid)
    requests = how(node, kind)
    us = (cpu_ns(pid) - before) / requests / 1000
    found = node.counters()["hits"] - hits
    # What a client no longer waits for is not stored: those that were under way when the load ended are found in the store again.
    assert found >= requests if kind == "tier" else found <= CONNECTIONS, (kind, requests, found, node.misses())
    return us


def calls(node, how, kind):
    """System calls of a request."""
    (pid,) = node.workers()
    with tempfile.NamedTemporaryFile("r") as out:
        p = subprocess.Popen(["strace", "-c", "-p", str(pid), "-o", out.name], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                             stderr=subprocess.PIPE)
        p.stderr.readline()                 # "Process … attached"
        requests = how(node, kind)
        p.terminate()
        p.wait()
        return sum(int(f[3]) for f in map(str.split, out) if len(f) >= 5 and f[3].isdigit() and f[-1] != "total") / requests


def rounds(t, node):
    """Microseconds by way and kind. In the first round the zone's memory is touched; it does not count."""
    took = {(how, kind): [] for how in (alone, at_once) for kind in KINDS}
    (pid,) = node.workers()
    everywhere = os.sched_getaffinity(pid)
    for i in range(ROUNDS + 1):
        fill(t, node)
        for how in (alone, at_once):
            os.sched_setaffinity(pid, {0} if how is at_once and len(everywhere) > 1 else everywhere)
            for kind in KINDS:
                us = measure(node, how, kind)
                if i != 0:
                    took[how, kind].append(us)
    return took


def value():
    for store in ("redis", "memcached"):
        t, behind = Tiered(store), Nginx()
        try:
            fresh = f'location / {{ add_header Cache-Control "max-age=3600"; return 200 "{BODY}"; }}'
            conf = behind.config(fresh, zone="", server="keepalive_requests 1000000000;")
            behind.start(text=re.sub(r"add_header X-\w+ \$\w+ always;", "", conf))
            node = t.node("a", workers=1, zone="zone=one:128m", fleet=True, location=LOCATION, http=f"""
                keepalive_requests 1000000000; proxy_http_version 1.1; proxy_set_header Connection "";
                upstream behind {{ server 127.0.0.1:{behind.port}; keepalive 64; }}""")
            took = rounds(t, node)
            for how, name in ((alone, "one at a time"), (at_once, f"{CONNECTIONS} at once")):
                tier, zone, plain = (statistics.median(took[how, kind]) for kind in KINDS)
                is_bound = how is at_once
                line(f"a worker's CPU for a hit in {store}, 4 KB, {name}", f"{tier:.1f} us (zone {zone:.1f}, miss {plain:.1f})",
                     f"{BOUND_US} us" if is_bound else "none", not is_bound or tier <= BOUND_US)
            fill(t, node)
            for how, name in ((alone, "one at a time"), (at_once, f"{CONNECTIONS} at once")):
                tier, zone = (calls(node, how, kind) for kind in ("tier", "zone"))
                line(f"system calls for it, {name}", f"{tier:.2f} (zone {zone:.2f})", "none", True)
        finally:
            behind.stop()
            behind.clean_up(keep=False)
            t.stop()
