#!/usr/bin/env python3
"""How long a full zone in a file takes to be used again: attach_bench.py [SIZE_IN_MB …] (64 and 4096).

Fills the zone with objects of 32 KB from a static file, then: a clean stop and start, kill -9 of everything and start,
a reload, and a reload that makes the zone a quarter larger. Figures are those the module logs, and the time until nginx answers.
"""
import os
import pathlib
import re
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))

from harness.nginx import Nginx         # noqa: E402
from harness.wait import wait_until     # noqa: E402

SHM = pathlib.Path("/dev/shm")
OBJECT = 32 * 1024
CLIENTS = 3


def fill(n, count):
    def ask(first):
        with n.connect() as c:
            for i in range(first, count, CLIENTS):
                c.request(f"/f?{i}")

    threads = [threading.Thread(target=ask, args=(i,)) for i in range(CLIENTS)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()


def timed(what, n, act, pattern):
    seen = len(re.findall(pattern, n.error_log()))
    began = time.monotonic()
    act()
    wait_until(lambda: n.get("/f?1").status == 200, "it answers", deadline=60)
    ready = time.monotonic() - began
    objects, ms = re.findall(pattern, n.error_log())[seen:][-1]
    print(f"    {what:<34}{objects:>8} objects {ms:>6} ms, answers after {ready:.2f} s, first is a {n.get('/f?1').cache}", flush=True)


def kill_and_start(n):
    n.kill_all()
    n.start(text=n.text)


def restart(n):
    n.stop()
    n.start(text=n.text)


def larger(n, megabytes):
    n.write(n.text.replace(f"zone=one:{megabytes}m", f"zone=one:{megabytes * 5 // 4}m"))
    n.reload()


def bench(megabytes):
    free = os.statvfs(SHM)
    if free.f_bavail * free.f_frsize < megabytes * 3 << 20:
        print(f"{megabytes} MB: skipped, {SHM} has no room for twice that")
        return
    n = Nginx()
    with tempfile.TemporaryDirectory(prefix="slab_bench_", dir=SHM) as d:
        slab = pathlib.Path(d) / "one.slab"
        (n.prefix / "html/f").write_bytes(os.urandom(OBJECT))
        try:
            n.start(f"location / {{ slab_cache one; slab_cache_valid 200 10h; root {n.prefix}/html; }}",
                    zone=f"slab_cache_zone zone=one:{megabytes}m objects={megabytes * 48} file={slab};", workers=2,
                    server="keepalive_requests 10000000;")
            began = time.monotonic()
            fill(n, megabytes * 1024 // 32 * 95 // 100)
            print(f"{megabytes} MB: filled in {time.monotonic() - began:.0f} s", flush=True)
            attached = r"with (\d+) objects in (\d+) ms"
            timed("clean stop, start", n, lambda: restart(n), attached)
            timed("kill -9 of everything, start", n, lambda: kill_and_start(n), attached)
            timed("reload", n, n.reload, attached)
            timed("reload, a quarter larger", n, lambda: larger(n, megabytes),
                  r"(\d+) of \d+ objects, \d+ bytes, came along .* in (\d+) ms")
        finally:
            n.stop()
            n.clean_up(keep=False)


if __name__ == "__main__":
    for arg in sys.argv[1:] or ("64", "4096"):
        bench(int(arg))
