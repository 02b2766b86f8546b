#!/usr/bin/env python3
"""A real nginx with four workers under everything at once: torture.py [SECONDS] [SEED].

The zone lies in a file; in the end everything is killed at once, the file is repaired, started from again, audited.
Clients that ask, compare, read slowly, hang up; an origin that fails; purges; SIGKILLs; reloads. Prints a summary
and exits with 0 when nothing was wrong: no wrong byte, nothing older than the last completed purge, no failed request
but those of killed workers and of a failing origin, no key stuck, no byte of the zone unaccounted for.
"""
import collections
import json
import os
import pathlib
import random
import signal
import shutil
import socket
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "integration")]

import report                                       # noqa: E402
from clients import run_clients                     # noqa: E402
from harness.nginx import Nginx                     # noqa: E402
from harness.wait import wait_until                 # noqa: E402
from origin import run_origin                       # noqa: E402
from purger import run_purger                       # noqa: E402
from world import KEYS, LANGUAGES, MAX_OBJECT, World, body_of, fork, parse_etag, path_of   # noqa: E402

WORKERS = 4
TOP = HERE.parents[1]
AUDIT = pathlib.Path(os.environ.get("SLAB_AUDIT", TOP / "build/tests/plain/torture/audit"))
LOCATION = """
        keepalive_requests 100000;
        send_timeout 30s;
        location / {{
            slab_cache one;
            slab_cache_purge PURGE from 127.0.0.1;
            proxy_pass http://origin;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header X-Language $http_x_language;
            proxy_read_timeout 2s;
            proxy_next_upstream off;
        }}
        location /_cache/ {{ slab_cache_api write=on; allow 127.0.0.1; deny all; }}
"""
UPSTREAM = "upstream origin {{ server 127.0.0.1:{port} max_fails=0; keepalive 8; }}"


def first_difference(body, tag):
    if tag is None:
        return "without a tag"
    want = body_of(*tag)
    at = next((i for i, (a, b) in enumerate(zip(body, want)) if a != b), min(len(body), len(want)))
    return "as it should be" if body == want else f"of {len(body)} bytes differs from {len(want)} at {at}: {body[at:at + 24]!r}"


class Torture:
    def __init__(self, seconds, seed):
        self.seconds, self.seed = seconds, seed
        self.random = random.Random(seed)
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="slab_torture_", dir="/dev/shm"))
        self.slab = self.directory / "one.slab"
        self.zone = f"slab_cache_zone zone=one:14m max_object={MAX_OBJECT} file={self.slab};"
        self.notes, self.deeds = [], []
        self.world = World()
        self.count = collections.Counter()
        self.violations = []
        self.slowest = 0.0
        self.nginx = Nginx()
        self.processes = []

    # ---- the parts ------------------------------------------------------------------------------------------------
    def start(self):
        sock = socket.create_server(("127.0.0.1", 0), backlog=512)
        port = sock.getsockname()[1]
        self.origin = fork.Process(target=run_origin, args=(self.world, sock, self.seed), daemon=True)
        self.origin.start()
        self.nginx.expect_log("exited on signal 9", "was locked by", "cannot change now")
        self.nginx.start(LOCATION.format(), http=UPSTREAM.format(port=port), workers=WORKERS, level="notice", zone=self.zone)
        self.results = fork.SimpleQueue()
        address = self.nginx.address
        for i in range(3):
            self.launch(run_clients, (self.world, address, self.seed * 10 + i, 4, 0, self.results))
        self.launch(run_clients, (self.world, address, self.seed * 10 + 7, 0, 8, self.results))
        self.launch(run_purger, (self.world, address, self.seed, self.results))

    def launch(self, target, args):
        p = fork.Process(target=target, args=args, daemon=True)
        p.start()
        self.processes.append(p)

    def kill_one(self):
        children = self.nginx._children()
        workers = [p for p, title in children.items() if "worker process" in title]
        if not workers:
            return
        pid = self.random.choice(workers)
        self.world.note_kill(pid)
        os.kill(pid, signal.SIGKILL)
        # Not by the master's list of children, which leaves out some while others come and go.
        wait_until(lambda: not pathlib.Path(f"/proc/{pid}").exists(), "the killed worker is gone")
        self.world.note_gone()
        self.count["kills"] += 1

    def reload(self):
        """One in three changes the zone's size, so that its objects and purges move."""
        if self.random.random() < 0.33:
            zone = f"slab_cache_zone zone=one:{self.random.randrange(12, 20)}m max_object={MAX_OBJECT} file={self.slab};"
            self.nginx.write(self.nginx.text.replace(self.zone, zone))
            self.count["resizes"] += zone != self.zone
            self.zone = zone
        self.nginx.reload()
        self.count["reloads"] += 1

    def rage(self):
        end = time.monotonic() + self.seconds
        while time.monotonic() < end:
            self.world.stop.wait(self.random.random() * 0.5)
            if self.random.random() < 0.12:
                self.reload()
            else:
                self.kill_one()
        wait_until(lambda: len(self.nginx.workers()) >= WORKERS, "all workers run again")

    def kill_everything(self):
        """At full load, master included. Nothing of what is in flight may harm what is started next."""
        def before(pid):
            self.world.note_kill(pid)
            self.world.stop.set()
        self.nginx.kill_all(before)

    def collect(self):
        for _ in self.processes:
            count, violations, slowest = self.results.get()
            self.count.update(count)
            self.violations += violations
            self.slowest = max(self.slowest, slowest)
        for p in self.processes:
            p.join(10)

    def audit(self, when, *args):
        if not AUDIT.exists():
            self.notes.append(f"{when}: not audited, {AUDIT} is not built")
            return
        p = subprocess.run([AUDIT, self.slab, *args], capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
        self.notes.append(f"{when}: {p.stdout.strip()}")
        if p.returncode != 0:
            self.violations.append(f"audit {when}: {p.stdout}{p.stderr}")
            shutil.copy(self.slab, self.nginx.prefix / f"{when.replace(' ', '_')}.slab")

    def start_again(self):
        self.nginx.start(text=self.nginx.text)

    # ---- afterwards -----------------------------------------------------------------------------------------------
    def every_key_answers(self):
        self.world.healthy.set()
        with self.nginx.connect() as c:
            for key in range(KEYS):
                for language in LANGUAGES[:1 + key % 3]:
                    try:
                        start = time.monotonic()
                        r = c.request(path_of(key), headers=[("X-Language", language)])
                        took = time.monotonic() - start
                        tag = parse_etag(r.header("ETag"))
                        if r.status != 200 or tag is None or tag[1] < self.world.floor[key] or r.body != body_of(*tag):
                            self.violations.append(f"afterwards {path_of(key)}: {r.status} {r.cache}, version {tag}, purged below "
                                                   f"{self.world.floor[key]}, body {first_difference(r.body, tag)} {r.lines}")
                        if took > 6:
                            self.violations.append(f"afterwards {path_of(key)} took {took:.1f} s")
                    except (OSError, EOFError) as e:
                        self.violations.append(f"afterwards {path_of(key)}: {e!r}")
                        return

    def figures(self):
        return json.loads(self.nginx.get("/_cache/v1/zones/one").body)

    def nothing_is_left(self):
        """All purged, swept, released: every byte is free again."""
        r = self.nginx.request("/_cache/v1/zones/one/purge", "POST", body=b'{"all":true,"mode":"hard"}')
        if r.status != 200:
            self.violations.append(f"purge of all: {r}")
        figures = {}

        def empty():
            nonlocal figures
            figures = self.figures()
            m = figures["memory"]
            return (figures["entries"], figures["pins"], m["used_bytes"], m["live_bytes"], m["retired_bytes"],
                    m["filling_bytes"]) == (0, 0, 0, 0, 0, 0)

        try:
            wait_until(empty, "an empty zone", deadline=60)
        except AssertionError:
            self.violations.append(f"not empty after the purge of all: {json.dumps(figures)}")
        if figures.get("counters", {}).get("corrupt"):
            self.violations.append(f"corrupt entries were counted: {figures['counters']}")

    def finish(self):
        try:
            self.nginx.stop()
        except AssertionError as e:
            self.violations.append(str(e))
        self.violations += [f"error.log: {line}" for line in self.nginx.complaints()]
        self.origin.terminate()
        shutil.rmtree(self.directory, ignore_errors=True)
        self.nginx.clean_up(keep=bool(self.violations))

    def run(self):
        self.start()
        try:
            self.rage()
            self.kill_everything()
            self.collect()
            self.audit("after the end of everything", "recover")
            self.start_again()
            self.every_key_answers()
            self.nginx.stop()
            self.audit("after a clean stop")
            self.start_again()
            self.nothing_is_left()
            self.nginx.stop()
            self.audit("emptied")
        finally:
            self.world.stop.set()
            self.finish()
        return self

    def headline(self):
        c = self.count
        return (f"{c['requests']} requests, {c['kills']} kills, {c['purges']} purges, {c['reloads']} reloads, {c['aborts']} aborts, "
                f"slowest answer {self.slowest:.2f} s")

    def kept(self):
        return [self.nginx.prefix]


if __name__ == "__main__":
    report.run("torture", Torture)
