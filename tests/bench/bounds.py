"""Bounds of benchmarks: a line for each, and which of them were missed."""
import time

missed = []


def line(what, measured, bound, is_met):
    print(f"{'ok    ' if is_met else 'MISSED'}  {what:58} {measured:>34}   bound: {bound}", flush=True)
    if not is_met:
        missed.append(what)


def quantile(values, q):
    return sorted(values)[min(len(values) - 1, int(q * len(values)))]


def until(condition, deadline=60.0):
    """Seconds until it is true, looked at all the time."""
    start = time.monotonic()
    while not condition():
        assert time.monotonic() - start < deadline, "it never came"
    return time.monotonic() - start
