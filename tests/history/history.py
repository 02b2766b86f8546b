#!/usr/bin/env python3
"""A history of a real nginx with four workers, and whether it keeps what spec.py says: history.py [SECONDS] [SEED].

Clients read, purge, push and change at once, while workers are killed and stopped, the configuration is reloaded, the zone resized,
nginx restarted, upgraded and rolled back, and the wall clock set. Prints what was done and each broken rule with its first events;
exits with 0 when no rule is broken. The same SEED gives the same moves, not the same moments.
"""
import collections
import contextlib
import os
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "integration")]

import clients                                      # noqa: E402
import spec                                         # noqa: E402
from clients import run_client                      # noqa: E402
from harness.nginx import Nginx, is_alive           # noqa: E402
from harness.wait import wait_until                 # noqa: E402
from origin import run_origin                       # noqa: E402
from world import World, fork                       # noqa: E402

CLIENTS = 6
FAKETIME = next(iter(sorted(pathlib.Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))), None)
SETTINGS = {"FAKETIME_NO_CACHE": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1", "DONT_FAKE_MONOTONIC": "1"}
# Kills, a sixth size in a row, and what nginx says when worker_shutdown_timeout is over and somebody still waits.
EXPECTED = ("exited on signal 9", "was locked by", "cannot change now", "open socket", "aborting")
LOCATION = """
        location / {{
            slab_cache one;
            slab_cache_purge PURGE from 127.0.0.1;
            proxy_pass http://origin;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header X-Variant $http_x_variant;
            proxy_next_upstream off;
        }}
        location /_cache/ {{ slab_cache_api write=on; allow 127.0.0.1; deny all; }}
"""


def children(pid):
    try:
        return [int(p) for p in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


class History:
    def __init__(self, seconds, seed):
        self.seconds, self.seed, self.random = seconds, seed, random.Random(seed)
        self.world, self.count, self.history = World(), collections.Counter(), []
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="slab_history_", dir="/dev/shm"))
        self.nginx = Nginx()
        self.second = self.nginx.another_port()
        self.master, self.size, self.processes = None, 16, []

    # ---- nginx ----------------------------------------------------------------------------------------------------------
    def write(self):
        file = f" file={self.directory / 'one.slab'}" if self.seed % 3 == 0 else ""
        keep = " ".join(f"env {name};" for name in ("LD_PRELOAD", "FAKETIME_TIMESTAMP_FILE", *SETTINGS)) if FAKETIME else ""
        text = self.nginx.config(LOCATION.format(), workers=self.random.choice((3, 4, 4, 5)), main=keep, level="notice",
                                 zone=f"slab_cache_zone zone=one:{self.size}m max_object=200k{file};",
                                 http=f"upstream origin {{ server 127.0.0.1:{self.origin_port} max_fails=0; keepalive 16; }}",
                                 server=f"listen 127.0.0.1:{self.second} http2 reuseport;")
        self.nginx.write(text.replace("daemon off;", "daemon on;").replace("shutdown_timeout 20s", "shutdown_timeout 3s"))

    def read_pid(self):
        try:
            return int((self.nginx.prefix / "nginx.pid").read_text() or 0)
        except (OSError, ValueError):
            return 0

    def start_nginx(self):
        self.write()
        wait_until(lambda: subprocess.run(self.nginx._command(), stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=30,
                                          env=self.nginx._environment()).returncode == 0, "nginx starts", 30)
        self.master = wait_until(self.read_pid, "the pid file")
        wait_until(self.nginx._listens, "nginx listens")

    def end(self, pid, sig):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, sig)
        wait_until(lambda: not is_alive(pid), "the master ends", 40)

    def workers(self):
        return [p for p in children(self.master) if p != self.master]

    # ---- what happens to it ---------------------------------------------------------------------------------------------
    def kill(self):
        if self.workers():
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.random.choice(self.workers()), signal.SIGKILL)

    def pause(self):
        if self.workers():
            pid = self.random.choice(self.workers())
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)
                self.world.stop.wait(self.random.choice((0.02, 0.2, 0.6)))
                os.kill(pid, signal.SIGCONT)

    def reload(self):
        self.write()
        os.kill(self.master, signal.SIGHUP)

    def resize(self):
        self.size = self.random.randrange(12, 24)
        self.reload()

    def restart(self):
        self.end(self.master, signal.SIGTERM)
        self.start_nginx()

    def upgrade(self):
        before = self.size, self.nginx.text
        self.size = self.random.choice((self.size, self.random.randrange(12, 24)))
        self.write()
        old = self.master
        os.kill(old, signal.SIGUSR2)
        new = wait_until(lambda: self.read_pid() not in (0, old) and self.read_pid(), "a new master", 30)
        self.world.stop.wait(self.random.random())      # so long both are there
        if self.random.random() < 0.5:
            self.master = new
            self.end(old, signal.SIGQUIT)
            self.count["upgrades kept"] += 1
        else:
            self.end(new, signal.SIGQUIT)
            wait_until(lambda: self.read_pid() == old, "the old master is itself again")
            self.size = before[0]
            self.nginx.write(before[1])

    def set_clock(self):
        offset = self.random.choice((0, -3, -100, 5, -86400))
        new = self.directory / "clock.new"
        new.write_text(f"{offset:+d}\n")
        new.rename(self.directory / "clock")

    def rage(self):
        moves = {self.kill: 30, self.pause: 12, self.reload: 6, self.resize: 8, self.restart: 6, self.upgrade: 6}
        if FAKETIME:
            moves[self.set_clock] = 6
        end = time.monotonic() + self.seconds
        while time.monotonic() < end:
            self.world.stop.wait(self.random.random() * 0.6)
            move = self.random.choices(list(moves), list(moves.values()))[0]
            move()
            self.count[move.__name__] += 1

    # ---- all of it ------------------------------------------------------------------------------------------------------
    def launch(self, target, *args):
        p = fork.Process(target=target, args=args, daemon=True)
        p.start()
        self.processes.append(p)

    def begin(self):
        if FAKETIME:
            self.set_clock()
            os.environ.update(SETTINGS, SLAB_PRELOAD=str(FAKETIME), FAKETIME_TIMESTAMP_FILE=str(self.directory / "clock"))
        sock = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.origin_port = sock.getsockname()[1]
        self.launch(run_origin, self.world, sock, self.seed)
        self.start_nginx()
        self.results = fork.SimpleQueue()
        for i in range(CLIENTS):
            self.launch(run_client, self.world, self.nginx.address, ("127.0.0.1", self.second), self.seed * 100 + i, self.results)

    def collect(self):
        self.world.stop.set()
        for _ in range(CLIENTS):
            history, count = self.results.get()
            self.history += history
            self.count.update(count)

    def clean_up(self):
        for p in self.processes:
            p.kill()
        for pid in {self.master, self.read_pid()} - {None, 0}:
            if is_alive(pid):
                self.end(pid, signal.SIGTERM)
        shutil.rmtree(self.directory, ignore_errors=True)

    def run(self):
        broken = {"it could not be carried out": []}
        try:
            self.begin()
            self.rage()
            self.collect()
            broken = spec.judge(self.history)
            bad = [line for line in self.nginx.error_log().splitlines()
                   if any(w in line for w in ("[alert]", "[emerg]", "exited on signal")) and not any(w in line for w in EXPECTED)]
            if bad:
                broken["nginx says nothing of an emergency"] = bad
        finally:
            self.clean_up()
            self.nginx.clean_up(keep=bool(broken))
        return broken


def main():
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 60
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else random.randrange(1 << 30)
    for what, there in (("libfaketime: the clock stays as it is", FAKETIME), ("python3-h2: HTTP/1.1 alone", clients.h2)):
        if not there:
            print(f"SKIP no {what}")
    h = History(seconds, seed)
    broken = h.run()
    kinds = collections.Counter(type(e).__name__ for e in h.history)
    print(", ".join(f"{name} {n}" for name, n in sorted(h.count.items(), key=lambda x: str(x[0]))))
    for rule, events in broken.items():
        print(f"BROKEN {rule.replace('_', ' ')}: {len(events)} times")
        for e in events[:3]:
            print(f"    {e}")
    print(f"history: seed {seed}, {seconds:g} s, reads {kinds['Read']}, purges {kinds['Purge']}, pushes {kinds['Push']}, "
          f"rules {len(spec.RULES)}, broken {len(broken)}")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
