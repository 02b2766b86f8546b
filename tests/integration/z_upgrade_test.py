"""A binary upgrade (USR2) where both nginx have a zone of their own: what is purged by either holds in both, forward and back."""
import json
import os
import pathlib
import signal
import tempfile

import pytest
from harness.origin import Reply
from harness.wait import wait_until
from z_warm_restart_test import Daemon, workers_of

FRESH = ("Cache-Control: max-age=600", "Surrogate-Key: red")
ZONES = {
    "anonymous": ("slab_cache_zone zone=one:16m;", "slab_cache_zone zone=one:16m;"),
    "anonymous, resized": ("slab_cache_zone zone=one:16m;", "slab_cache_zone zone=one:24m;"),
    "into a file": ("slab_cache_zone zone=one:16m;", "slab_cache_zone zone=one:16m file={slab};"),
    "out of a file": ("slab_cache_zone zone=one:16m file={slab};", "slab_cache_zone zone=one:16m;"),
    "into another file": ("slab_cache_zone zone=one:16m file={slab};", "slab_cache_zone zone=one:16m file={slab}2;"),
    "file, resized": ("slab_cache_zone zone=one:16m file={slab};", "slab_cache_zone zone=one:24m file={slab};"),
}
PURGES = {
    "a URL": ("/dir/a", ()),
    "a prefix": ("/dir/*", ()),
    "a tag": ("/", ("Surrogate-Key: red",)),
    "a pattern": ("/d*r/a", ()),
}


@pytest.fixture
def site(cached, origin):
    """site(zone): a daemon in front of an origin that says how often it was asked."""
    asked = {}

    def answer(r):
        asked[r.target] = asked.get(r.target, 0) + 1
        return Reply(str(asked[r.target]), headers=FRESH)

    origin.handle("*", answer)
    with tempfile.TemporaryDirectory(prefix="slab_test_", dir="/dev/shm") as d:
        def start(zones):
            before, after = (z.format(slab=pathlib.Path(d) / "pages.slab") for z in ZONES[zones])
            n = cached(zone=before)
            n.stop()
            daemon = Daemon(n)
            started.append(daemon)
            n.write(n.text.replace(before, after))
            for path in ("/dir/a", "/kept"):
                n.get(path)
            return daemon

        started = []
        yield start
        for daemon in started:
            daemon.__exit__()


@pytest.fixture
def orphans():
    pids = []
    yield pids
    for pid in pids:
        os.kill(pid, signal.SIGKILL)


def entries(n):
    return json.loads(n.get("/_cache/v1/zones/one").body)["entries"]


def by(d, master, path, *args, **kw):
    """Asks until a worker of that master answers: both listen."""
    others = [m for m in d.pids if m != master]

    def ask():
        answer = d.n.request(path, *args, **kw)
        return answer if answer.header("X-Pid") in workers_of(master) else None

    for other in others:
        for pid in workers_of(other):
            if int(pid) not in d.pids:
                os.kill(int(pid), signal.SIGSTOP)
    try:
        return wait_until(ask, "a worker of that master answers")
    finally:
        for other in others:
            for pid in workers_of(other):
                os.kill(int(pid), signal.SIGCONT)


@pytest.mark.parametrize("zones", ZONES)
def test_objects_come_along(site, zones):
    d = site(zones)
    d.upgrade()
    assert by(d, d.pids[1], "/dir/a").cache == "HIT"


@pytest.mark.parametrize("what", PURGES)
@pytest.mark.parametrize("zones", ZONES)
def test_purge_by_a_new_worker_holds_in_the_old_nginx_and_after_the_way_back(site, zones, what):
    d = site(zones)
    d.upgrade()
    path, lines = PURGES[what]
    assert by(d, d.pids[1], path, "PURGE", headers=lines).status == 200
    assert by(d, d.pids[0], "/dir/a").cache == "MISS"
    by(d, d.pids[1], path, "PURGE", headers=lines)
    d.end(d.pids[1])
    assert d.n.get("/dir/a").text == "3"


@pytest.mark.parametrize("what", PURGES)
@pytest.mark.parametrize("zones", ZONES)
def test_purge_by_an_old_worker_holds_in_the_new_nginx(site, zones, what):
    d = site(zones)
    d.upgrade()
    path, lines = PURGES[what]
    before = by(d, d.pids[1], "/dir/a").text
    assert by(d, d.pids[1], "/dir/a").cache == "HIT"
    assert by(d, d.pids[0], path, "PURGE", headers=lines).status == 200
    assert by(d, d.pids[1], "/dir/a").text == str(int(before) + 1)
    by(d, d.pids[0], path, "PURGE", headers=lines)
    d.end(d.pids[0])
    assert d.n.get("/dir/a").text == str(int(before) + 2)


@pytest.mark.parametrize("how", (signal.SIGTERM, signal.SIGKILL))
@pytest.mark.parametrize("zones", ZONES)
def test_purges_hold_in_an_upgrade_after_a_way_back(site, orphans, zones, how):
    """What the binary that left has put at the file's path is nobody's zone."""
    d = site(zones)
    d.upgrade()
    by(d, d.pids[1], "/dir/a")
    if how == signal.SIGKILL:
        d.n.expect_log("exited on signal 9")
        orphans += [int(p) for p in workers_of(d.pids[1])]      # in that zone
        for pid in orphans:
            os.kill(pid, signal.SIGSTOP)
    d.end(d.pids[1], how)
    d.n.purge("/dir/a")
    d.upgrade()
    again = by(d, d.pids[1], "/dir/a")
    before = int(again.text)
    assert (before, again.cache) != (1, "HIT")
    assert by(d, d.pids[1], "/dir/a", "PURGE").status == 200
    assert by(d, d.pids[0], "/dir/a").text == str(before + 1)
    assert by(d, d.pids[0], "/dir/a", "PURGE").status == 200
    assert by(d, d.pids[1], "/dir/a").text == str(before + 2)


@pytest.mark.parametrize("zones", ZONES)
def test_way_back_by_the_book_keeps_the_old_zone_and_the_purges(site, zones):
    """WINCH sends the old workers away, HUP brings them back, QUIT ends the new master: meanwhile nobody was in the old zone."""
    d = site(zones)
    n, old = d.n, d.pids[0]
    d.upgrade()
    os.kill(old, signal.SIGWINCH)
    wait_until(lambda: workers_of(old) == [str(d.pids[1])], "the old workers are gone")
    before = int(n.get("/dir/a").text)
    full = entries(n)
    n.purge("/dir/a")
    wait_until(lambda: entries(n) < full, "upkeep has come by, which gives back what is left")
    os.kill(old, signal.SIGHUP)
    wait_until(lambda: len(workers_of(old)) == 2, "they are back, beside the new master")
    d.end(d.pids[1])
    assert (n.get("/dir/a").text, n.get("/kept").cache) == (str(before + 1), "HIT")


def handed_on(pid):
    links = (os.readlink(f) for f in pathlib.Path(f"/proc/{pid}/fd").iterdir())
    return sorted(link.partition(":slab_cache:")[2].partition(" ")[0] for link in links if ":slab_cache:" in link)


def test_upgrade_after_upgrade_hands_on_one_zone(site):
    d = site("anonymous, resized")
    for _ in range(3):
        d.upgrade()
        d.end(d.pids[0])
        assert d.n.get("/dir/a").cache == "HIT"
    assert handed_on(d.pids[0]).count("one") <= 2        # its own, and what it succeeded
    d.n.purge("/dir/a")
    assert d.n.get("/dir/a").text == "2"


def test_purge_reaches_the_old_nginx_after_the_new_one_was_reloaded(site):
    d = site("anonymous, resized")
    d.upgrade()
    first = set(workers_of(d.pids[1]))
    os.kill(d.pids[1], signal.SIGHUP)
    wait_until(lambda: workers_of(d.pids[1]) and not set(workers_of(d.pids[1])) & first, "its workers are new ones")
    assert by(d, d.pids[1], "/dir/a", "PURGE").status == 200
    assert by(d, d.pids[0], "/dir/a").cache == "MISS"
