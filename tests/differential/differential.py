#!/usr/bin/env python3
"""The same nginx without the module is the judge: differential.py [SECONDS] [SEED] [options].

Random configurations run twice on one scripted origin, with the module and without it; what a client gets with it, it must have been
able to get without. First the corpus, then seeds SEED, SEED+1 ... for SECONDS. What fails is shrunk and printed with its seed, which
replays it: `make differential SEED=n`."""
import argparse
import faulthandler
import collections
import json
import multiprocessing
import os
import pathlib
import queue
import signal
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
CORPUS = HERE / "corpus"


def arguments():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("seconds", nargs="?", type=float, default=60)
    p.add_argument("seed", nargs="?", type=int, default=None)
    p.add_argument("--module", help="another module, as a broken twin")
    p.add_argument("--jobs", type=int, default=2)
    p.add_argument("--replay", nargs="*", default=None, help="JSON files instead of seeds; no corpus")
    p.add_argument("--save", help="a folder that gets each kind of finding as JSON")
    p.add_argument("--shrink", type=float, default=45, help="seconds for each finding; 0: as it came")
    p.add_argument("--keep-going", action="store_true", help="one finding of a kind does not end it; kinds are shrunk once")
    p.add_argument("--only", nargs="*", help="parts of configurations to use (parts.py)")
    p.add_argument("--without", nargs="*", default=(), help="parts not to use")
    p.add_argument("--each", type=int, default=3, help="how many of a kind are shrunk")
    p.add_argument("--no-corpus", action="store_true")
    p.add_argument("--self", action="store_true", dest="itself", help="both sides without the module: what is found is this test's own fault")
    p.add_argument("--twin", action="store_true", help="succeed if, and as soon as, something is found")
    return p.parse_args()


class Bench:
    """What a process needs to run scenarios: origins, files, a port where nobody listens."""

    def __init__(self, itself=False):
        self.itself = itself
        from sides import dead_port, make_root
        from world import Origins
        self.origins, self.root, self.reserved = Origins(), make_root(), dead_port()
        self.dead = "127.0.0.1:%d" % self.reserved.getsockname()[1]

    def run(self, scenario):
        from run import Run
        return Run(scenario, self.origins, self.root, self.dead, itself=self.itself).go()

    def kinds(self, scenario):
        from shrink import kind_of
        return {kind_of(f.kind) for f in self.run(scenario).findings}

    def close(self):
        from sides import remove_root
        self.origins.stop()
        self.reserved.close()
        remove_root(self.root)


def describe(scenario, findings):
    from conf import http_text
    shown = "\n".join(f.text() for f in findings)
    pages = "\n".join(f"  p{k}: {v}" for k, v in scenario["pages"].items())
    steps = "\n".join(f"  {i}: {json.dumps(s)}" for i, s in enumerate(scenario["steps"]))
    return f"{shown}\nseed {scenario['seed']}\nhttp:\n{http_text(scenario['http'], True)}\npages:\n{pages}\nsteps:\n{steps}\n"


def examine(bench, scenario, options, known):
    """One scenario, twice where it fails: a dictionary for the parent."""
    from shrink import Shrinker, kind_of
    began = time.monotonic()
    r = bench.run(scenario)
    out = {"seed": scenario["seed"], "requests": r.requests, "invalid": r.invalid, "refused": r.refused, "kind": None}
    if not r.findings:
        return out
    found = {kind_of(f.kind): f for f in reversed(r.findings)}
    crashes = [k for k in found if k.startswith("logged")]       # all else may follow from it
    kind = crashes[0] if crashes else min(found, key=lambda k: known.get(k, 0))             # of several, what was seen least
    out["kind"] = kind
    if known.get(kind, 0) >= options.each:
        return out
    if "says" in scenario:                                        # the corpus is small already
        out["text"], out["scenario"] = f"{scenario['says']}\n{describe(scenario, r.findings)}", scenario
        return out
    again = sum(kind in bench.kinds(scenario) for _ in range(2))
    out["seldom"] = again == 0
    if again and options.shrink:
        known[kind] = known.get(kind, 0) + 1
        scenario = Shrinker(bench.kinds, kind, options.shrink * (3 if kind == "hang" else 1)).shrink(scenario, found[kind].step)
    for _ in range(3):
        last = [f for f in bench.run(scenario).findings if kind_of(f.kind) == kind]
        if last:
            found[kind] = last[0]
            break
    out["text"], out["scenario"] = describe(scenario, [found[kind]]), {**scenario, "kind": kind}
    out["seconds"] = time.monotonic() - began
    return out


def leave(*_):
    """On SIGTERM: by way of all that cleans up, and only once."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.exit(1)


def work(options, scenarios, results, known):
    """A process: takes seeds or scenarios until there are none."""
    from generate import scenario as generated
    signal.signal(signal.SIGTERM, leave)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    bench = Bench(options.itself)
    try:
        while (item := scenarios.get()) is not None:
            try:
                results.put(examine(bench, generated(item, options.only, options.without) if isinstance(item, int) else item, options, known))
            except Exception as e:       # noqa: BLE001 - an error of this program is a failure that must be seen
                import traceback
                results.put({"seed": item if isinstance(item, int) else item.get("seed"), "requests": 0, "invalid": None, "refused": None,
                             "kind": f"the test itself: {e!r}", "text": traceback.format_exc()})
    finally:
        bench.close()
        results.put(None)


def feed(options, end):
    """What is to be run: replays, or the corpus and then seeds until the time is over."""
    if options.replay is not None:
        for path in options.replay:
            yield json.loads(pathlib.Path(path).read_text())
        return
    if not options.no_corpus:
        for path in sorted(CORPUS.glob("*.json")):
            yield json.loads(path.read_text())
    seed = options.seed if options.seed is not None else int(time.time()) % 100000 * 1000
    while time.monotonic() < end:
        yield seed
        seed += 1


def main():
    options = arguments()
    faulthandler.register(signal.SIGUSR1, all_threads=True)
    if options.module:
        os.environ["SLAB_MODULE"] = str(pathlib.Path(options.module).absolute())
    if os.access("/dev/shm", os.W_OK):
        os.environ.setdefault("SLAB_TMP", "/dev/shm")
    sys.path[:0] = [str(HERE), str(HERE.parent / "integration")]
    fork = multiprocessing.get_context("fork")
    end, count = time.monotonic() + options.seconds, collections.Counter()
    scenarios, results, known = fork.Queue(options.jobs), fork.Queue(), fork.Manager().dict()
    workers = [fork.Process(target=work, args=(options, scenarios, results, known)) for _ in range(options.jobs)]
    for w in workers:
        w.start()
    signal.signal(signal.SIGTERM, leave)
    try:
        supervise(options, scenarios, results, workers, end, count)
    finally:
        for w in workers:
            w.terminate()
            w.join()
    return summary(count, options)


def supervise(options, scenarios, results, workers, end, count):
    source, stop, alive = feed(options, end), False, len(workers)
    pending = next(source, None)
    ended = False
    while alive:
        while not ended:
            try:
                scenarios.put(pending if not stop else None, timeout=0.05)
            except queue.Full:
                break
            if pending is None or stop:
                for _ in range(options.jobs - 1):
                    scenarios.put(None)
                ended = True
            else:
                pending = next(source, None)
        try:
            result = results.get(timeout=0.2)
        except queue.Empty:
            continue
        if result is None:
            alive -= 1
            continue
        stop |= account(result, count, options)


def summary(count, options):
    print(f"differential: {count['configurations']} configurations ({count['invalid']} invalid, {count['refused']} refused), {count['requests']} requests")
    kinds = {k[5:]: v for k, v in count.items() if k.startswith("kind ")}
    for kind, n in sorted(kinds.items(), key=lambda x: -x[1]):
        print(f"  {n} x {kind}")
    print(f"{count['configurations'] - count['failed']} passed, {count['failed']} failed")
    if options.twin:                     # one that does not even start proves nothing
        real = [k for k in kinds if not k.startswith(("refused", "the test itself"))]
        return 0 if real and len(real) == len(kinds) else 1
    return 1 if count["failed"] else 0


def account(result, count, options):
    """Prints a finding; says whether to stop."""
    count["requests"] += result["requests"]
    count["configurations"] += 1
    count["invalid"] += bool(result["invalid"])
    count["refused"] += bool(result["refused"])
    if os.environ.get("DIFFERENTIAL_VERBOSE") and result["invalid"]:
        print("invalid:", result["seed"], result["invalid"], flush=True)
    kind = result["kind"]
    if kind is None:
        return False
    seldom = " (seldom: not seen when run again)" if result.get("seldom") else ""
    count["failed"] += not seldom
    count["kind " + kind + seldom] += 1
    if result.get("text"):
        print(f"\n==== FINDING{seldom}: {kind} (seed {result['seed']}, {result.get('seconds', 0):.0f} s)\n{result['text']}", flush=True)
        if options.save and result.get("scenario"):
            folder = pathlib.Path(options.save)
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{result['seed']}.json").write_text(json.dumps({**result["scenario"], "seen": result["text"]}, indent=1))
    return not seldom and not options.keep_going


if __name__ == "__main__":
    sys.exit(main())
