"""GET …/v1/zones/{zone}/history: an hour of counters, a row a minute, kept in the zone."""
import contextlib
import json
import os
import pathlib
import signal
import tempfile
import time

import pytest
from harness.boot_clock import BootClock
from harness.origin import Reply
from harness.wait import wait_until

API = "/_cache/v1/zones/one/history"
FIGURES = "requests hits stale fills fills_failed evicted purges bytes_from_cache bytes_from_origin sent_5xx".split()


@pytest.fixture
def clock(monkeypatch):
    yield from BootClock.fixture(monkeypatch)


@pytest.fixture
def site(clock, cached, origin):
    origin.handle("*", lambda r: Reply("x" * 100, headers=["Cache-Control: max-age=86400"]))
    origin.handle("/broken", lambda r: Reply("", status=500))

    def start(**kw):
        n = cached(**{"workers": 2, **kw})
        n.clock = clock
        return n

    return start


def rows(n):
    answer = n.get(API)
    assert answer.status == 200, answer
    said = json.loads(answer.body)
    assert set(said) == {"now_sec", "rows"} and abs(said["now_sec"] - time.time()) < 3
    times = [r["at_sec"] for r in said["rows"]]
    assert times == sorted(set(times)) and all(said["now_sec"] - 64 * 60 <= t <= said["now_sec"] + 1 for t in times)
    assert all(list(r) == ["at_sec", *FIGURES] for r in said["rows"])
    return said["rows"]


def a_minute_later(n, minutes=1):
    """The row of a minute that has begun."""
    n.clock.forward(60 * minutes)
    wait_until(lambda: rows(n) and rows(n)[-1]["at_sec"] > time.time() - 30, "a row of this minute")
    return rows(n)[-1]


def without_times(rows):
    """The clock that rows are dated by runs ahead of the wall clock here."""
    return [[row[k] for k in FIGURES] for row in rows]


def figures(n):
    """What the row of this moment would hold."""
    z = n.figures()
    c = z["counters"]
    own = {"requests": sum(c[k] for k in "hits misses expired stale updating revalidated bypassed passed".split()),
           "stale": c["stale"] + c["updating"], "evicted": 0}
    return {k: own[k] if k in own else c[k] for k in FIGURES}


def test_first_row_is_there_at_once(site):
    n = site()
    wait_until(lambda: len(rows(n)) == 1, "the first upkeep")
    assert all(v == 0 for k, v in rows(n)[0].items() if k != "at_sec")


def test_row_says_what_the_counters_said(site):
    n = site()
    wait_until(lambda: rows(n), "the first row")
    for path in ("/a", "/a", "/a", "/b", "/broken"):
        n.get(path)
    n.purge("/b")
    n.get("/b")
    row = a_minute_later(n)
    assert {k: row[k] for k in FIGURES} == figures(n)
    assert (row["requests"], row["hits"], row["fills"], row["purges"], row["sent_5xx"], row["bytes_from_cache"]) == (6, 2, 4, 1, 1, 200)
    n.get("/a")
    later = a_minute_later(n)
    assert later["hits"] == row["hits"] + 1 and 55 <= later["at_sec"] - rows(n)[-2]["at_sec"] <= 65


def test_an_hour_is_kept_and_no_more(site):
    n = site(workers=1)
    wait_until(lambda: rows(n), "the first row")
    for i in range(8):
        n.get(f"/{i}")
        a_minute_later(n, 9)
    kept = rows(n)
    assert 54 * 60 <= kept[-1]["at_sec"] - kept[0]["at_sec"] < 64 * 60
    assert [r["requests"] for r in kept] == list(range(9 - len(kept), 9))


def test_minutes_without_a_row_are_part_of_the_next_step(site):
    n = site()
    wait_until(lambda: rows(n), "the first row")
    n.get("/a")
    a_minute_later(n, 30)
    first, last = rows(n)
    assert last["at_sec"] - first["at_sec"] >= 29 * 60 and last["requests"] - first["requests"] == 1
    a_minute_later(n, 60)
    assert [r["requests"] for r in rows(n)] == [1, 1]


def test_reload_keeps_it(site):
    n = site()
    n.get("/a")
    a_minute_later(n)
    before = rows(n)
    n.reload()
    assert without_times(rows(n)[:len(before)]) == without_times(before)
    n.get("/a")
    assert a_minute_later(n)["requests"] == before[-1]["requests"] + 1


def test_larger_zone_goes_on_with_it_and_counts_anew(site):
    n = site()
    n.get("/a")
    a_minute_later(n)
    before = rows(n)
    n.write(n.text.replace("zone=one:16m", "zone=one:32m"))
    n.reload()
    assert without_times(rows(n)[:len(before)]) == without_times(before) and before[-1]["requests"] == 1
    n.get("/a")
    n.get("/a")
    assert a_minute_later(n)["requests"] == 2


def test_each_worker_may_be_killed_and_somebody_writes(site):
    n = site(workers=3)
    n.get("/a")
    written = [a_minute_later(n)]
    for pid in n.workers():
        n.kill_worker(pid)
        n.get("/a")
        written.append(a_minute_later(n))
    assert without_times(rows(n)[-4:]) == without_times(written)
    assert [r["requests"] for r in written] == [1, 2, 3, 4]


@pytest.mark.parametrize("which", [0, 1])
def test_worker_that_is_stopped_holds_nobody_up(site, which):
    n = site(workers=2)
    a_minute_later(n)
    stopped, awake = n.workers()[which], n.workers()[1 - which]
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(n.connect()) for _ in range(20)]
        c = next(c for c in clients if c.request("/a").header("X-Pid") == str(awake))
        os.kill(stopped, signal.SIGSTOP)
        try:
            n.clock.forward(60)
            wait_until(lambda: json.loads(c.request(API).body)["rows"][-1]["at_sec"] > time.time() - 30, "a row of this minute")
        finally:
            os.kill(stopped, signal.SIGCONT)


@pytest.mark.skipif(not pathlib.Path("/dev/shm").is_dir(), reason="there is no /dev/shm")
def test_warm_restart_keeps_it(site):
    with tempfile.TemporaryDirectory(prefix="slab_test_", dir="/dev/shm") as d:
        n = site(zone=f"slab_cache_zone zone=one:16m file={d}/one.slab;")
        n.get("/a")
        a_minute_later(n)
        before = rows(n)
        n.stop()
        n.start(text=n.text)
        assert without_times(rows(n)[:len(before)]) == without_times(before) and n.get("/a").cache == "HIT"
        assert a_minute_later(n)["requests"] == before[-1]["requests"] + 1


@pytest.mark.parametrize("query, status", [("", 200), ("?n=1", 400), ("?", 200)])
def test_takes_no_arguments(site, query, status):
    assert site().get(API + query).status == status
