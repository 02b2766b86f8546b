"""A zone whose size or layout changes at a reload: its objects come along, and no purge is lost between old and new workers."""
import os
import pathlib
import re
import socket
import tempfile
import threading

import pytest
from harness.nginx import Nginx
from harness.origin import Reply
from harness.wait import wait_until

FRESH = ("Cache-Control: max-age=600", "Surrogate-Key: red")
SHM = pathlib.Path("/dev/shm")
ANONYMOUS = "slab_cache_zone zone=one:16m;"


@pytest.fixture
def slab():
    with tempfile.TemporaryDirectory(prefix="slab_test_", dir=SHM) as d:
        yield pathlib.Path(d) / "pages.slab"


@pytest.fixture
def started(cached, origin):
    """started(zone): nginx in front of an origin that says how often it was asked."""
    asked = {}

    def answer(r):
        asked[r.target] = asked.get(r.target, 0) + 1
        return Reply(f"{r.target} version {asked[r.target]} ".encode() * 50, headers=FRESH)

    origin.handle("*", answer)
    return lambda zone=ANONYMOUS, **kw: cached(zone=zone, **kw)


def zone_line(n):
    return next(line.strip() for line in n.text.splitlines() if "slab_cache_zone" in line)


def change_zone(n, zone):
    n.write(n.text.replace(zone_line(n), zone))
    n.reload()


def version(answer):
    return int(answer.text.split()[2])


def came_along(n):
    return [(int(a), int(b)) for a, b in re.findall(r"(\d+) of (\d+) objects, \d+ bytes, came along", n.error_log())]


class Begun:
    """A request that a worker has begun to read, to be finished when that worker is draining."""

    def __init__(self, n, path, method="GET", *lines):
        self.c, self.method = n.connect(), method
        self.c.begin("".join(f"{x}\r\n" for x in (f"{method} {path} HTTP/1.1", "Host: localhost", *lines)).encode())

    def finish(self):
        self.c.send_raw(b"\r\n")
        answer = self.c.read_body(self.c.read_header(), self.method)
        self.c.close()
        return answer


# ---- what comes along ------------------------------------------------------------------------------------------------

CHANGES = {
    "larger": (ANONYMOUS, "slab_cache_zone zone=one:40m;"),
    "smaller": (ANONYMOUS, "slab_cache_zone zone=one:4m;"),
    "another layout": (ANONYMOUS, "slab_cache_zone zone=one:16m objects=9000 eviction=bytes;"),
    "fewer purge records": (ANONYMOUS, "slab_cache_zone zone=one:16m purge_records=100;"),
    "larger file": ("slab_cache_zone zone=one:16m file={slab};", "slab_cache_zone zone=one:40m file={slab};"),
    "smaller file": ("slab_cache_zone zone=one:16m file={slab};", "slab_cache_zone zone=one:4m file={slab};"),
    "into a file": (ANONYMOUS, "slab_cache_zone zone=one:16m file={slab};"),
    "out of a file": ("slab_cache_zone zone=one:16m file={slab};", "slab_cache_zone zone=one:20m;"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_objects_are_hits_after_the_zone_has_changed(started, slab, change):
    before, after = (x.format(slab=slab) for x in CHANGES[change])
    n = started(before, workers=2)
    paths = [f"/k/{i}" for i in range(60)]
    for p in paths:
        n.get(p)
    change_zone(n, after)
    answers = [n.get(p) for p in paths]
    assert [(a.cache, version(a)) for a in answers] == [("HIT", 1)] * 60
    assert came_along(n) == [(60, 60)]
    n.purge("/k/7")
    assert version(n.get("/k/7")) == 2


def test_smaller_zone_keeps_what_was_asked_for_most(cached, origin):
    origin.handle("*", lambda r: Reply(os.urandom(30_000), headers=FRESH))
    n = cached(zone="slab_cache_zone zone=one:16m;")
    with n.connect() as c:
        for i in range(300):
            c.request(f"/k/{i}")
        for i in range(0, 300, 10):
            c.request(f"/k/{i}")
    change_zone(n, "slab_cache_zone zone=one:4m;")
    (kept, of), = came_along(n)
    assert of == 300 and 50 < kept < 150
    assert [n.get(f"/k/{i}").cache for i in range(0, 300, 10)] == ["HIT"] * 30


def test_changed_file_is_the_new_one_and_survives_a_restart(started, slab):
    n = started(f"slab_cache_zone zone=one:16m file={slab};")
    n.get("/a")
    change_zone(n, f"slab_cache_zone zone=one:20m file={slab};")
    assert slab.stat().st_size == 20 << 20
    assert [p.name for p in slab.parent.iterdir()] == [slab.name]
    n.stop()
    n.start(text=n.text)
    assert (n.get("/a").cache, version(n.get("/a"))) == ("HIT", 1)


def test_file_that_a_zone_left_does_not_come_back_without_the_purges_since(started, slab):
    n = started(f"slab_cache_zone zone=one:16m file={slab};")
    n.get("/a")
    change_zone(n, ANONYMOUS)
    assert n.get("/a").cache == "HIT" and not slab.exists()
    n.purge("/a")
    change_zone(n, f"slab_cache_zone zone=one:16m file={slab};")
    assert version(n.get("/a")) == 2


def test_file_from_before_is_not_used_for_a_zone_that_runs_elsewhere(started, slab):
    n = started(f"slab_cache_zone zone=one:16m file={slab};")
    n.get("/a")
    n.stop()
    n.start(text=n.text.replace(f" file={slab}", ""))
    n.get("/a")
    n.purge("/a")
    assert version(n.get("/a")) == 3
    change_zone(n, f"slab_cache_zone zone=one:16m file={slab};")
    assert version(n.get("/a")) == 3


def test_what_was_purged_before_stays_purged(started):
    n = started()
    for p in ("/a", "/news/1.html", "/c"):
        n.get(p)
    n.purge("/a")
    n.purge("/news*.html")
    change_zone(n, "slab_cache_zone zone=one:24m;")
    assert [version(n.get(p)) for p in ("/a", "/news/1.html", "/c")] == [2, 2, 1]


def test_change_under_load_fails_no_request(started):
    n = started(workers=2)
    paths = [f"/k/{i}" for i in range(40)]
    wrong, done, end = [], [0], threading.Event()

    def ask(i):
        while not end.is_set():
            i += 1
            try:
                answer = n.get(paths[i % 40])
                if answer.status != 200 or not answer.text.startswith(paths[i % 40] + " version 1 "):
                    wrong.append(answer)
            except Exception as e:      # noqa: BLE001 - whatever it is, the test must see it
                wrong.append(repr(e))
            done[0] += 1

    for p in paths:
        n.get(p)
    threads = [threading.Thread(target=ask, args=(i,)) for i in range(3)]
    for t in threads:
        t.start()
    for size in (24, 12, 30):
        goal = done[0] + 60
        wait_until(lambda: done[0] >= goal, "more requests")
        change_zone(n, f"slab_cache_zone zone=one:{size}m;")
    end.set()
    for t in threads:
        t.join(30)
    assert wrong == []
    assert came_along(n) == [(40, 40)] * 3


# ---- purges while old workers drain ----------------------------------------------------------------------------------

PURGES = {
    "a URL": ("/a", ()),
    "a prefix": ("/dir/*", ()),
    "a tag": ("/", ("Surrogate-Key: red",)),
    "a pattern": ("/d*r/a", ()),
}


@pytest.mark.parametrize("what", PURGES)
@pytest.mark.parametrize("kind", ["anonymous", "file"])
def test_purge_by_a_draining_worker_holds_for_new_ones(started, slab, what, kind):
    file = f" file={slab}" if kind == "file" else ""
    path, lines = PURGES[what]
    object_path = "/a" if what in ("a URL", "a tag") else "/dir/a"
    n = started(f"slab_cache_zone zone=one:16m{file};")
    n.get(object_path)
    begun = Begun(n, path, "PURGE", *lines)
    change_zone(n, f"slab_cache_zone zone=one:24m{file};")
    assert n.get(object_path).cache == "HIT"
    old = begun.finish()
    assert old.status == 200 and int(old.header("X-Pid")) not in n.workers()
    answer = n.get(object_path)
    assert (answer.cache, version(answer)) == ("MISS", 2)
    assert n.get(object_path).cache == "HIT"


@pytest.mark.parametrize("what", PURGES)
@pytest.mark.parametrize("end", [Nginx.kill_all, Nginx.stop], ids=["kill", "stop"])
def test_purge_by_a_draining_worker_outlives_all_who_could_have_heard_of_it(started, slab, what, end):
    path, lines = PURGES[what]
    object_path = "/a" if what in ("a URL", "a tag") else "/dir/a"
    n = started(f"slab_cache_zone zone=one:16m file={slab};")
    n.get(object_path)
    begun = Begun(n, path, "PURGE", *lines)
    change_zone(n, f"slab_cache_zone zone=one:24m file={slab};")
    assert begun.finish().status == 200
    end(n)
    n.start(text=n.text)
    assert version(n.get(object_path)) == 2


def test_stop_right_after_a_change_costs_only_what_was_purged(started, slab):
    n = started(f"slab_cache_zone zone=one:16m file={slab};")
    for path in ("/a", "/b"):
        n.get(path)
    begun = Begun(n, "/a", "PURGE")
    change_zone(n, f"slab_cache_zone zone=one:24m file={slab};")
    begun.finish()
    n.stop()
    n.start(text=n.text)
    assert [n.get(path).cache for path in ("/a", "/b")] == ["MISS", "HIT"]


def test_zone_stays_warm_over_a_kill_once_the_old_workers_are_gone(started, slab):
    n = started(f"slab_cache_zone zone=one:16m file={slab};")
    change_zone(n, f"slab_cache_zone zone=one:24m file={slab};")
    n.get("/a")
    wait_until(lambda: len(n._children()) == 1, "the old worker is gone")
    n.expect_log("exited on signal 9")
    # Upkeep closes the old zone, and says so in the only way there is: a kill no longer costs anything.
    def survives():
        n.kill_all()
        n.start(text=n.text)
        return n.get("/a").cache == "HIT"
    wait_until(survives, "a kill no longer costs the cache")


def test_purge_by_a_draining_worker_takes_what_new_ones_stored(started):
    n = started()
    begun = Begun(n, "/b", "PURGE")
    change_zone(n, "slab_cache_zone zone=one:24m;")
    assert (n.get("/b").cache, n.get("/b").cache) == ("MISS", "HIT")
    begun.finish()
    assert version(n.get("/b")) == 2


def test_soft_purge_by_a_draining_worker_makes_stale(started):
    n = started(directives="slab_cache_background_update on; slab_cache_stale while=60;")
    n.get("/a")
    begun = Begun(n, "/a", "PURGE", "Fastly-Soft-Purge: 1")
    change_zone(n, "slab_cache_zone zone=one:24m;")
    begun.finish()
    assert n.get("/a").cache in ("STALE", "UPDATING")
    wait_until(lambda: version(n.get("/a")) == 2, "the refresh")


def test_unsafe_request_that_ends_in_a_draining_worker_invalidates_for_new_ones(cached, origin):
    gate = threading.Event()
    posted = []

    def answer(r):
        if r.method == "POST":
            posted.append(r)
            gate.wait(20)
            return Reply(b"done")
        return Reply(f"{len(posted)} posts".encode(), headers=FRESH)

    origin.handle("*", answer)
    n = cached(workers=1)
    n.get("/a")
    with n.connect() as c:
        c.send_raw(b"POST /a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\nx")
        wait_until(lambda: posted, "the POST reaches the origin")
        change_zone(n, "slab_cache_zone zone=one:24m;")
        assert (n.get("/a").cache, n.get("/a").text) == ("HIT", "0 posts")
        gate.set()
        assert c.read_body(c.read_header()).status == 200
    assert n.get("/a").text == "1 posts"


@pytest.mark.parametrize("what", PURGES)
def test_purge_by_a_new_worker_holds_for_draining_ones(started, what):
    path, lines = PURGES[what]
    object_path = "/a" if what in ("a URL", "a tag") else "/dir/a"
    n = started()
    n.get(object_path)
    begun = Begun(n, object_path)
    change_zone(n, "slab_cache_zone zone=one:24m;")
    n.purge(path, *[tuple(x.split(": ")) for x in lines])
    answer = begun.finish()
    assert int(answer.header("X-Pid")) not in n.workers()
    assert (answer.cache, version(answer)) == ("MISS", 2)


def test_purge_reaches_over_two_changes_and_a_reload(started):
    n = started()
    n.get("/a")
    begun = Begun(n, "/a", "PURGE")
    change_zone(n, "slab_cache_zone zone=one:24m;")
    change_zone(n, "slab_cache_zone zone=one:20m;")
    n.reload()
    assert n.get("/a").cache == "HIT"
    begun.finish()
    assert version(n.get("/a")) == 2


def test_a_change_while_workers_of_five_older_zones_run_is_refused(started):
    n = started()
    n.get("/a")
    begun = []
    for size in (18, 20, 22, 24, 26):
        begun.append(Begun(n, "/a", "PURGE"))
        change_zone(n, f"slab_cache_zone zone=one:{size}m;")
    n.expect_log(r"\[emerg\].*cannot change now")
    workers = n.workers()
    change_zone(n, "slab_cache_zone zone=one:28m;")
    assert re.search("cannot change now: workers of too many zones before it still run", n.error_log())
    assert n.workers() == workers
    for i, b in enumerate(begun):
        assert (n.get("/a").cache, n.get("/a").cache) == ("HIT" if i == 0 else "MISS", "HIT")
        assert b.finish().status == 200
    assert n.get("/a").cache == "MISS"


# ---- reloads that fail -----------------------------------------------------------------------------------------------

@pytest.mark.parametrize("kind", ["anonymous", "file"])
def test_reload_that_fails_leaves_the_old_zone_and_its_purges(started, slab, kind):
    file = f" file={slab}" if kind == "file" else ""
    n = started(f"slab_cache_zone zone=one:16m{file};")
    n.get("/a")
    good = n.text
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        n.expect_log(r"\[emerg\].*bind", r"\[emerg\].*still could not bind")
        n.write(good.replace("zone=one:16m", "zone=one:24m").replace("server_name", f"listen 127.0.0.1:{port}; server_name"))
        n.process.send_signal(1)
        wait_until(lambda: "still could not bind" in n.error_log(), "the reload fails")
    assert n.get("/a").cache == "HIT"
    n.purge("/a")
    n.write(good.replace("zone=one:16m", "zone=one:24m"))
    old = set(n.workers())
    n.process.send_signal(1)
    wait_until(lambda: n.workers() and not old & set(n.workers()), "the reload that does not fail")
    assert version(n.get("/a")) == 2
    if kind == "file":
        assert [p.name for p in slab.parent.iterdir()] == [slab.name]


# ---- memory ----------------------------------------------------------------------------------------------------------

def blocks_of(pid, size):
    """Bytes of memory behind each shared mapping of that size, as its file system counts them."""
    out = []
    for line in pathlib.Path(f"/proc/{pid}/maps").read_text().splitlines():
        where, mode = line.split()[:2]
        start, end = (int(x, 16) for x in where.split("-"))
        if mode == "rw-s" and end - start == size:
            out.append(os.stat(f"/proc/{pid}/map_files/{start:x}-{end:x}").st_blocks * 512)
    return out


@pytest.mark.skipif(os.getuid() != 0, reason="only root may look at /proc/PID/map_files")
def test_memory_of_the_old_zone_is_given_back_once_its_workers_are_gone(cached, origin):
    origin.handle("*", lambda r: Reply(os.urandom(100_000), headers=FRESH))
    n = cached(zone="slab_cache_zone zone=one:32m;")
    with n.connect() as c:
        for i in range(100):
            c.request(f"/k/{i}")
    begun = Begun(n, "/k/1")
    change_zone(n, "slab_cache_zone zone=one:24m;")
    worker = n.workers()[0]
    held, = blocks_of(worker, 32 << 20)
    assert held > 10_000_000
    begun.finish()
    wait_until(lambda: blocks_of(worker, 32 << 20)[0] < 3_000_000, "the memory is given back", deadline=20)
    assert n.get("/k/1").cache == "HIT"
    n.reload()
    assert blocks_of(n.workers()[0], 32 << 20) == []
