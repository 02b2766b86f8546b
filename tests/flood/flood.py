#!/usr/bin/env python3
"""Floods that anybody can start, beside plain nginx and its own cache: flood.py [--short] [NAME …].

For each flood and side: requests of bystanders that reached the origin, how many of them failed, their p99, and what of the flood
itself was open at the origin at once. Exits with 0 where slab_cache is nowhere worse than proxy_cache: not for the p99, which is for
people to look at. --short is smaller, has no plain side, and is what `make test` runs.
"""
import pathlib
import sys
from typing import Callable, NamedTuple

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "integration")]

import attacks                              # noqa: E402
import sides                                # noqa: E402
from bystander import Bystander             # noqa: E402
from harness.wait import wait_until         # noqa: E402
from origin import Origin                   # noqa: E402


class Flood(NamedTuple):
    what: str
    attack: Callable            # (nginx, origin, short): connections that hold it up, statuses of who failed in it
    pages: tuple = tuple(f"/page/{i}" for i in range(50))
    before: tuple = ()          # what is in the cache beside them
    size: str = "16m"           # of the cache
    largest: str = None
    connections: int = 4096


def reset(n, _, short):
    return attacks.reset_streams(n, 300 if short else 2000), []


def hang_up(n, origin, short):
    attacks.hang_up(n, 40 if short else 300, origin.asked)
    return [], []


def near_the_bound(n, origin, _):
    """150 who miss where there are 330 connections: each takes two of them. Who is refused is so before the others are answered."""
    clients = attacks.ask_at_once(n, 150)
    wait_until(lambda: origin.asked.open.value + attacks.answered(clients) >= 150, "all are at the origin, or refused")
    origin.go.set()
    statuses = [c.read_body(c.read_header()).status for c in clients]
    for c in clients:
        c.close()
    return [], [status for status in statuses if status != 200]


def posts(n, _, short):
    attacks.post_all(n, [f"/q/{i}" for i in range(3000 if short else 30_000)])
    return [], []


def posts_to_what_was_asked_for(n, _, short):
    paths = [f"/none/{i}" for i in range(3000 if short else 20_000)]
    attacks.get_all(n, paths)
    attacks.post_all(n, paths)
    return [], []


def junk(n, _, short):
    attacks.get_all(n, [f"/junk/{i}" for i in range(4000 if short else 40_000)])
    return [], []


def windows_of_pages(n, origin, _):
    return attacks.closed_windows(n, origin.asked, "page", 8, 128), []


def windows_of_large_objects(n, origin, _):
    return attacks.closed_windows(n, origin.asked, "large", 4, 10), []


FLOODS = {
    "reset": Flood("HTTP/2 HEADERS and RST_STREAM at once", reset),
    "hang-up": Flood("hanging up under limit_conn 2", hang_up),
    "bound": Flood("misses near worker_connections", near_the_bound, connections=330),
    "windows": Flood("1,024 streams that take nothing of small pages", windows_of_pages, size="64m",
                     before=tuple(f"/page/{i}" for i in range(1024)), pages=tuple(f"/page/{i}" for i in range(1000, 1050))),
    "large": Flood("streams that take nothing of large objects", windows_of_large_objects, largest="1m",
                   pages=(*(f"/page/{i}" for i in range(50)), "/film/1")),
    "posts": Flood("POSTs to random URLs", posts),
    "posts-404": Flood("POSTs to URLs that were asked for before", posts_to_what_was_asked_for),
    "junk": Flood("GETs of URLs that nobody wants again", junk),
}
SLACK = 5       # what chance may add: the origin hears later than nginx that somebody has left


class Result(NamedTuple):
    asked: int          # of bystanders' requests, at the origin
    failed: list        # of bystanders, or of who waits in the flood itself
    p99: float
    most: int           # slow ones open at the origin at once


def run(flood, side, short):
    origin = Origin()
    n = sides.start(side, origin, flood.size, connections=flood.connections, largest=flood.largest)
    try:
        Bystander(n, flood.before).walk()
        Bystander(n, flood.pages).walk(3)
        before = origin.asked.by_bystanders()
        held, failed = flood.attack(n, origin, short)
        bystander = Bystander(n, flood.pages)
        bystander.walk(2 if short else 20)
        for connection in held:
            connection.close()
        return Result(origin.asked.by_bystanders() - before, bystander.failures + failed, bystander.p99(), origin.asked.most.value)
    finally:
        n.stop()
        n.clean_up(keep=False)
        origin.stop()


def complaints(results):
    """What is worse than with nginx's own cache."""
    own, ours = results["proxy_cache"], results["slab_cache"]
    if len(ours.failed) > len(own.failed):
        yield f"{len(ours.failed)} failed, {len(own.failed)} with proxy_cache: {ours.failed[:3]}"
    if ours.asked > own.asked + SLACK:
        yield f"{ours.asked} requests of bystanders at the origin, {own.asked} with proxy_cache"
    if ours.most > own.most + SLACK:
        yield f"{ours.most} open at the origin, {own.most} with proxy_cache"


def main():
    short = "--short" in sys.argv
    names = [a for a in sys.argv[1:] if not a.startswith("-")] or list(FLOODS)
    worse = 0
    print(f"{'flood':12} {'side':12} {'at the origin':>14} {'failed':>7} {'p99 ms':>8} {'open at once':>13}")
    for name in names:
        results = {}
        for side in sides.SIDES[1 if short else 0:]:
            r = results[side] = run(FLOODS[name], side, short)
            print(f"{name:12} {side:12} {r.asked:14} {len(r.failed):7} {r.p99 * 1000:8.1f} {r.most:13}", flush=True)
        for complaint in complaints(results):
            worse += 1
            print(f"WORSE {FLOODS[name].what}: {complaint}")
    print("flood: nowhere worse than proxy_cache" if worse == 0 else f"flood: worse in {worse} ways")
    return 1 if worse else 0


if __name__ == "__main__":
    sys.exit(main())
