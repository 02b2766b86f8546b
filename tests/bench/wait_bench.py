#!/usr/bin/python3
"""How long those wait who ask for a cold key while somebody else fills it.

CLIENTS requests over four workers for one cold key of an origin that takes 300 ms; round after round a new key. Printed:
what the origin saw, the time from the first request to the last answer, and from the first answer to the last; beside it
nginx's own proxy_cache_lock. One epoll loop asks, and takes the time when each answer is there: this program's own work is
part of the spread. Usage: wait_bench.py; ROUNDS and CLIENTS in the environment.
"""
import os
import pathlib
import select
import statistics
import sys
import threading
import time

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "tests/integration"))

from harness.nginx import Nginx      # noqa: E402
from harness.origin import Origin, Reply  # noqa: E402

ROUNDS = int(os.environ.get("ROUNDS", "5"))
CLIENTS = int(os.environ.get("CLIENTS", "200"))
ORIGIN_SECONDS = 0.3
BODY = b"x" * 4000


def slow_origin():
    origin = Origin()

    def answer(_):
        threading.Event().wait(ORIGIN_SECONDS)      # the origin that is measured against takes that long
        return Reply(BODY, headers=["Cache-Control: max-age=600"])

    origin.handle("*", answer)
    return origin


def start(origin):
    n = Nginx()
    n.start(workers=4, level="error",
            http=f"""proxy_cache_path {n.prefix}/disk keys_zone=disk:10m;
                     upstream origin {{ server {origin.address}; }}""",
            location="""
        location /slab/ { slab_cache one; proxy_pass http://origin; }
        location /disk/ { proxy_cache disk; proxy_cache_lock on; proxy_pass http://origin; }""")
    return n


def run(n, path):
    """(seconds to the last answer, seconds between the first answer and the last)"""
    clients = [n.connect() for _ in range(CLIENTS)]
    poll = select.epoll()
    left = {c.sock.fileno(): [c.sock, 0] for c in clients}
    request = f"GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n".encode()     # the answer ends with the connection
    begin = time.monotonic()
    for c in clients:
        c.sock.sendall(request)
        poll.register(c.sock, select.EPOLLIN)
    answered = []
    while left:
        for fd, _ in poll.poll():
            sock, got = left[fd]
            data = sock.recv(65536)
            left[fd][1] = got + len(data)
            if not data or got + len(data) > len(BODY):
                answered.append(time.monotonic())
                poll.unregister(fd)
                assert left.pop(fd)[1] > len(BODY), "an answer was cut off"
    for c in clients:
        c.close()
    poll.close()
    return answered[-1] - begin, answered[-1] - answered[0]


def main():
    origin = slow_origin()
    n = start(origin)
    run(n, "/slab/warm"), run(n, "/disk/warm")
    print(f"{CLIENTS} requests over 4 workers for a cold key, the origin takes {ORIGIN_SECONDS * 1000:.0f} ms; "
          f"median (worst) of {ROUNDS} rounds, ms")
    print(f"{'':18}{'at the origin':>15}{'last answer after':>24}{'first to last answer':>24}")
    for name, prefix in (("slab_cache", "/slab"), ("proxy_cache_lock", "/disk")):
        before, total, spread = origin.hits(), [], []
        for i in range(ROUNDS):
            last, between = run(n, f"{prefix}/{i}")
            total.append(last * 1000)
            spread.append(between * 1000)
        show = [f"{statistics.median(x):.1f} ({max(x):.1f})" for x in (total, spread)]
        print(f"{name:18}{(origin.hits() - before) / ROUNDS:15.1f}{show[0]:>24}{show[1]:>24}")
    n.stop()
    origin.stop()
    n.clean_up(keep=False)


if __name__ == "__main__":
    main()
