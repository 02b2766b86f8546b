"""slab_cache_zone file=: the cache outlives nginx, and nothing that is off about the file is ever used."""
import os
import pathlib
import re
import signal
import subprocess
import tempfile
import threading
import time

import pytest
from harness.load import Load
from harness.nginx import is_alive
from harness.origin import Reply
from harness.wait import wait_until

FRESH = ("Cache-Control: max-age=600",)
TAGGED = (*FRESH, "Surrogate-Key: red")
SHM = pathlib.Path("/dev/shm")

pytestmark = pytest.mark.skipif(not SHM.is_dir(), reason="there is no /dev/shm")


@pytest.fixture
def slab():
    """The path of a file that does not exist yet."""
    with tempfile.TemporaryDirectory(prefix="slab_test_", dir=SHM) as d:
        yield pathlib.Path(d) / "pages.slab"


@pytest.fixture
def warm(cached, origin, slab, nginx):
    """warm(size) starts nginx with its zone in the file."""
    origin.handle("*", lambda r: Reply(body_of(r.target), headers=TAGGED))

    def start(size="16m", more="", **kw):
        return cached(zone=f"slab_cache_zone zone=one:{size} file={slab} {more};",
                      main="env LD_PRELOAD; env ASAN_OPTIONS; env UBSAN_OPTIONS;", **kw)
    return start


def body_of(path):
    return (path * 300)[:2000 + len(path)]


def restart(n):
    n.stop()
    return n.start(text=n.text)


def said(n, pattern):
    return re.findall(pattern, n.error_log())


# ---- restart ---------------------------------------------------------------------------------------------------------

def test_first_request_after_a_restart_is_a_hit(warm, origin):
    n = warm()
    n.get("/a")
    restart(n)
    answer = n.get("/a")
    assert (answer.cache, answer.text) == ("HIT", body_of("/a"))
    assert origin.hits("/a") == 1
    assert said(n, r"goes on with .* with 1 objects") and not said(n, "unclean")


def test_first_request_after_kill_9_of_everything_is_a_hit(warm, origin):
    n = warm(workers=2)
    for i in range(50):
        n.get(f"/k/{i}")
    n.kill_all()
    n.start(text=n.text)
    assert [n.get(f"/k/{i}").cache for i in range(50)] == ["HIT"] * 50
    assert said(n, "repaired after an unclean stop")


def test_unclean_stop_is_forgotten_after_a_clean_one(warm):
    n = warm()
    n.kill_all()
    n.start(text=n.text)
    restart(n)
    assert len(said(n, "repaired after an unclean stop")) == 1


def test_purge_survives_a_restart(warm):
    n = warm()
    n.get("/a")
    n.get("/b")
    n.purge("/a")
    restart(n)
    assert (n.get("/a").cache, n.get("/b").cache) == ("MISS", "HIT")


def test_purge_of_a_tag_survives_kill_9(warm):
    n = warm()
    n.get("/a")
    n.purge("/", ("Surrogate-Key", "red"))
    n.kill_all()
    n.start(text=n.text)
    assert n.get("/a").cache == "MISS"


def test_what_was_being_filled_at_kill_9_is_given_back(warm, origin):
    n = warm()
    n.get("/a")
    before = n.figures()["memory"]
    forever = threading.Event()
    origin.handle("/slow", lambda r: Reply([b"x" * 100_000, forever, b"y"], headers=FRESH))
    with n.connect() as c:
        c.send("/slow")
        c.read_header()
        c.read(50_000)
        n.kill_all()
    forever.set()
    n.start(text=n.text)
    assert n.get("/a").cache == "HIT"
    after = n.figures()["memory"]
    assert (after["filling_bytes"], after["used_bytes"]) == (0, before["used_bytes"])


def test_reload_keeps_the_file_and_its_objects(warm):
    n = warm(workers=2)
    n.get("/a")
    n.reload()
    assert n.get("/a").cache == "HIT"
    assert said(n, "shares")
    restart(n)
    assert n.get("/a").cache == "HIT"


def test_renamed_zone_goes_on_with_its_file(warm):
    n = warm()
    n.get("/a")
    n.write(n.text.replace("zone=one:", "zone=two:").replace("slab_cache one;", "slab_cache two;"))
    n.reload()
    assert n.get("/a").cache == "HIT"


def test_removed_zone_leaves_its_file_for_later(warm, slab):
    n = warm()
    n.get("/a")
    with_zone = n.text
    n.write("\n".join(x for x in with_zone.splitlines() if "slab_cache" not in x or "load_module" in x))
    n.write(n.text.replace("add_header X-Cache $slab_cache_status always;", "").replace("$slab_cache_reason", "none"))
    n.reload()
    assert n.get("/a").cache is None
    n.write(with_zone)
    n.reload()
    assert n.get("/a").cache == "HIT"
    assert slab.exists()


# ---- binary upgrade --------------------------------------------------------------------------------------------------

class Daemon:
    """nginx as it is in production: a daemon, since only such a one takes USR2."""

    def __init__(self, n):
        # The new binary gets no more of the environment than is named: a sanitizer's runtime is loaded by it.
        n.write("env LD_PRELOAD; env ASAN_OPTIONS; env UBSAN_OPTIONS;\n" + n.text.replace("daemon off;", "daemon on;"))
        self.n = n
        self.pids = []
        self.begin()

    def begin(self):
        subprocess.run(self.n._command(), stdin=subprocess.DEVNULL, check=True, env=self.n._environment(), timeout=20)
        self.pids.append(wait_until(lambda: pid_in(self.n.prefix / "nginx.pid"), "the pid file"))
        wait_until(self.n._listens, "nginx listens")

    def upgrade(self):
        """USR2; returns when the workers of the new master run."""
        old = self.pids[-1]
        new_pid = self.n.prefix / "nginx.pid"
        wait_until(lambda: pid_in(new_pid) == old, "it knows that the last new master is gone")
        os.kill(old, signal.SIGUSR2)
        wait_until(lambda: pid_in(self.n.prefix / "nginx.pid.oldbin") == old and pid_in(new_pid) not in (0, old), "a new master")
        self.pids.append(pid_in(new_pid))
        children = pathlib.Path(f"/proc/{self.pids[-1]}/task/{self.pids[-1]}/children")
        wait_until(lambda: children.read_text().split(), "its workers")

    def end(self, pid, sig=signal.SIGQUIT):
        os.kill(pid, sig)
        self.pids.remove(pid)
        wait_until(lambda: not is_alive(pid), "the master ends")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for pid in list(self.pids):     # end() takes them out
            if is_alive(pid):
                self.end(pid, signal.SIGTERM)


def pid_in(path):
    text = path.read_text().strip() if path.exists() else ""
    return int(text or 0)


def daemon(warm, **kw):
    n = warm(**kw)
    n.stop()
    return Daemon(n)


def test_binary_upgrade_shares_the_zone_and_the_old_master_may_go(warm, origin):
    with daemon(warm, workers=2) as d:
        n = d.n
        n.get("/a")
        d.upgrade()
        assert {n.get("/a").cache for _ in range(20)} == {"HIT"}      # of old and new workers
        d.end(d.pids[0])
        assert n.get("/a").cache == "HIT"
        n.purge("/a")
        assert n.get("/a").cache == "MISS"
        assert origin.hits("/a") == 2
        d.end(d.pids[0])
        d.begin()
        assert n.get("/a").cache == "HIT"
        assert not said(n, "unclean")       # the old master's end did not count, the new one's did


def test_binary_upgrade_taken_back_keeps_the_zone(warm):
    with daemon(warm) as d:
        d.n.get("/a")
        d.upgrade()
        d.end(d.pids[1])
        assert d.n.get("/a").cache == "HIT"
        d.end(d.pids[0])
        d.begin()
        assert d.n.get("/a").cache == "HIT"
        assert not said(d.n, "unclean")


def workers_of(pid):
    return pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


def test_binary_upgrade_rolled_back_by_the_book_keeps_the_zone(warm):
    """WINCH sends the old workers away, HUP brings them back, QUIT ends the new master."""
    with daemon(warm, workers=2) as d:
        n, old = d.n, d.pids[0]
        n.get("/a")
        d.upgrade()
        os.kill(old, signal.SIGWINCH)
        wait_until(lambda: workers_of(old) == [str(d.pids[1])], "the old workers are gone")
        assert n.get("/a").cache == "HIT"
        n.purge("/a")
        assert (n.get("/a").cache, n.get("/a").cache) == ("MISS", "HIT")
        os.kill(old, signal.SIGHUP)
        wait_until(lambda: len(workers_of(old)) == 3, "they are back, beside the new master")
        d.end(d.pids[1])
        assert {n.get("/a").cache for _ in range(10)} == {"HIT"}


def test_second_binary_upgrade_works_as_the_first(warm):
    with daemon(warm) as d:
        d.n.get("/a")
        for _ in range(2):
            d.upgrade()
            d.end(d.pids[0])
            assert d.n.get("/a").cache == "HIT"


def test_binary_upgrade_under_load_fails_no_request(warm):
    paths = [f"/k/{i}" for i in range(40)]
    with daemon(warm, workers=2) as d:
        with Load(d.n, paths, lambda path: body_of(path).encode(), clients=3) as load:
            load.wait_for(200)
            d.upgrade()
            load.wait_for(200)
            d.end(d.pids[0])
            load.wait_for(200)
        assert load.wrong == []


# ---- two by mistake --------------------------------------------------------------------------------------------------

def test_second_instance_on_one_file_is_refused_and_the_first_unharmed(warm, make_nginx, slab):
    n = warm()
    n.get("/a")
    other = make_nginx()
    other.expect_log(r"is in use by another nginx")
    with pytest.raises(AssertionError, match=f"is in use by another nginx .master {n.process.pid}."):
        other.start(zone=f"slab_cache_zone zone=one:16m file={slab};")
    assert n.get("/a").cache == "HIT"
    assert n.test_config(text=n.text)[0] == 0       # nginx -t is no second instance


def test_two_zones_with_one_file_are_refused_at_configuration(nginx, slab):
    code, text = nginx.test_config(zone=f"slab_cache_zone zone=one:16m file={slab}; slab_cache_zone zone=two:16m file={slab};")
    assert code == 1 and "another slab_cache zone has the file" in text


# ---- files that are not used -----------------------------------------------------------------------------------------

def spoil(slab, at, data):
    with open(slab, "r+b") as f:
        f.seek(at)
        f.write(data)


def resize(slab, _):
    os.truncate(slab, 12 << 20)


OFF = {
    "boot": (lambda f, _: spoil(f, 24, b"0" * 36), "another boot"),
    "layout": (lambda f, _: spoil(f, 4096, b"x" * 64), "another layout"),
    "size": (resize, "its size is not the zone's"),
    "mode": (lambda f, _: f.chmod(0o644), "its mode is not 0600"),
}


@pytest.mark.parametrize("what", OFF)
def test_zone_that_is_off_means_a_cold_start_with_a_reason(warm, slab, what):
    n = warm()
    n.get("/a")
    n.stop()
    change, reason = OFF[what]
    change(slab, slab.with_name("other"))
    n.start(text=n.text)
    assert re.search(f"pages.slab.*{reason}.*starting cold|{reason}.*starting cold", n.error_log())
    assert (n.get("/a").cache, n.get("/a").cache) == ("MISS", "HIT")
    assert slab.stat(follow_symlinks=False).st_mode & 0o177777 == 0o100600


def test_changed_size_leaves_old_workers_the_old_file(warm, slab):
    n = warm()
    n.get("/a")
    with n.connect() as c:
        c.begin(b"GET /a HTTP/1.1\r\nHost: localhost\r\n")
        n.write(n.text.replace("zone=one:16m", "zone=one:20m"))
        n.reload()
        c.send_raw(b"\r\n")
        assert c.read_body(c.read_header()).cache == "HIT"
    assert n.get("/a").cache == "HIT"
    assert slab.stat().st_size == 20 << 20
    assert [p.name for p in slab.parent.iterdir()] == [slab.name]


def test_size_changed_between_stop_and_start_means_a_cold_start(warm):
    n = warm()
    n.get("/a")
    n.stop()
    n.start(text=n.text.replace("zone=one:16m", "zone=one:20m"))
    assert (n.get("/a").cache, n.get("/a").cache) == ("MISS", "HIT")
    assert said(n, "its size is not the zone's; starting cold")


# ---- configuration ---------------------------------------------------------------------------------------------------

def test_file_on_a_disk_is_refused_with_the_reason(nginx):
    code, text = nginx.test_config(zone=f"slab_cache_zone zone=one:16m file={pathlib.Path('/var/tmp/pages.slab')};")
    if code == 0:
        pytest.skip("/var/tmp is no disk here")
    assert "neither on tmpfs nor on hugetlbfs" in text and "nginx.conf:" in text


def test_directory_that_is_not_there_is_refused(nginx):
    code, text = nginx.test_config(zone="slab_cache_zone zone=one:16m file=/dev/shm/no_such_place/pages.slab;")
    assert code == 1 and "directory cannot be looked at" in text


def test_file_without_a_name_is_refused(nginx):
    code, text = nginx.test_config(zone="slab_cache_zone zone=one:16m file=;")
    assert code == 1 and 'invalid file value "", it must be a path on tmpfs' in text


def test_nginx_t_makes_no_file(nginx, slab):
    assert nginx.test_config(zone=f"slab_cache_zone zone=one:16m file={slab};")[0] == 0
    assert not slab.exists()


# ---- how long it takes -----------------------------------------------------------------------------------------------

@pytest.mark.parametrize("size", ["64m", "1024m"])
def test_reattaching_takes_milliseconds_at_any_size(warm, size):
    free = os.statvfs(SHM)
    if free.f_bavail * free.f_frsize < 2 << 30:
        pytest.skip("/dev/shm is too small")
    n = warm(size=size)
    with n.connect() as c:
        for i in range(500):
            c.request(f"/k/{i}")
    restart(n)
    clean = said(n, r"with 500 objects in (\d+) ms$|with 500 objects in (\d+) ms\n")
    n.kill_all()
    began = time.monotonic()
    n.start(text=n.text)
    ready = time.monotonic() - began
    took = said(n, r"with (\d+) objects in (\d+) ms")
    print(f"{size}: re-attached in {took[-2][1]} ms after a clean stop, in {took[-1][1]} ms with repair; nginx ready after {ready:.2f} s")
    assert clean and [int(x[0]) for x in took] == [500, 500]
    assert n.get("/k/7").cache == "HIT"
