#!/usr/bin/python3
"""slab_cache beside other caches: what a hit, a miss and an object cost, who waits how long, how long a purge takes.

All servers stand before one origin, at the same time; rounds are interleaved. Every server's processes have core 0; wrk and the
origin have core 1. CPU is that of all processes of a server, the ratio to nginx's `return 200` (misses: proxy_pass without a
cache) in the same round is what carries over to another machine. That hits are hits is seen at the origin.

    peers_bench.py [--short] [measure] [document] [NAME …]

`measure` (the default) prints the table and leaves JSON and a drawing in build/bench-peers. `document` puts what lies there
into docs/comparison.md. A NAME takes only servers whose names begin with it. --short proves that it runs: one round, few
objects. ROUNDS, DURATION (s) and OBJECTS in the environment.
"""
import datetime
import os
import pathlib
import shutil
import sys

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(TOP / "tests/integration"), str(pathlib.Path(__file__).parent)]

from peers import figures, machine, report, servers  # noqa: E402

OUT = TOP / "build/bench-peers"
PAGE, DRAWING = TOP / "docs/comparison.md", TOP / "docs/hits.svg"
# rounds, seconds of each, objects, purges
LONG, SHORT = (7, 2, 50_000, 1000), (1, 1, 2_000, 50)


def settings(is_short):
    rounds, duration, objects, purges = SHORT if is_short else LONG
    return (int(os.environ.get("ROUNDS", rounds)), int(os.environ.get("DURATION", duration)),
            int(os.environ.get("OBJECTS", objects)), purges)


def here(names):
    """The servers to compare; those that this machine lacks are told."""
    kinds = [k for k in servers.CACHES if not names or any(k.name.lower().startswith(n.lower()) for n in names)]
    for k in kinds:
        if k.lacks():
            print(f"SKIPPED: {k.name}: no {k.lacks()} here (tools/deps.sh bench-peers installs it)")
    return [k for k in kinds if not k.lacks()]


def measure(names, is_short):
    assert shutil.which("wrk"), "no wrk here: tools/deps.sh bench-peers"
    assert len(os.sched_getaffinity(0)) >= 2, "servers and clients want a core each"
    os.sched_setaffinity(0, {machine.CLIENTS})      # this program is a client too
    rounds, duration, objects, purges = settings(is_short)
    kinds, source, running = here(names), figures.Source(), []
    out = {"about": {"date": datetime.date.today().isoformat(), "machine": machine.description(), "rounds": rounds, "seconds": duration,
                     "objects": objects, "versions": servers.versions(), "short": is_short}}
    try:
        running = [servers.Uncached(source.port, figures.pages()), *(k(source.port) for k in kinds)]
        for peer in running:
            peer.start().answers()
        baseline, *peers = running
        out["hits"] = figures.hits(source, baseline, peers, rounds, duration)
        out["waiting"] = figures.waiting(source, peers, rounds)
        out["misses"] = figures.misses(source, baseline, peers, rounds, duration)
        while running:
            running.pop().stop()
        out["memory"], out["purges"] = figures.storage(source, kinds, objects, purges)
    finally:
        for peer in running:
            peer.stop()
        source.stop()
    return out


def main():
    words = [w for w in sys.argv[1:] if w != "--short"]
    wanted = [w for w in words if w in ("measure", "document")] or ["measure"]
    if "measure" in wanted:
        found = measure([w for w in words if w not in ("measure", "document")], "--short" in sys.argv)
        report.save(OUT, found)
        (OUT / "hits.svg").write_text(report.drawing(found))
        print("CPU of a request in µs (ratio to nginx without a cache); 200 requests for one cold key: requests at the origin, first to "
              "last answer;\na purge, client to answer; memory for an object of 1,024 B of body and five fields\n")
        print(report.table(found) + f"\n\n{OUT}: JSON, hits.svg")
    if "document" in wanted:
        found = report.load(OUT)
        assert not found["about"]["short"], "the last run was a short one: its figures are no figures"
        PAGE.write_text(report.put_into(PAGE.read_text(), found))
        DRAWING.write_text(report.drawing(found))
        print(f"written: {PAGE}, {DRAWING}")


if __name__ == "__main__":
    main()
