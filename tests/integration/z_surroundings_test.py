"""What nginx finds around its zones: too little memory, no /proc, and what it says of it at the start."""
import os
import pathlib
import re
import signal
import subprocess
import tempfile

import pytest
from harness.origin import Reply
from harness.wait import wait_until

SHM = pathlib.Path("/dev/shm")
FRESH = ("Cache-Control: max-age=600",)


def can_mount():
    return os.getuid() == 0 and subprocess.run(["unshare", "-m", "mount", "-t", "tmpfs", "none", "/mnt"], stdin=subprocess.DEVNULL,
                                               capture_output=True, check=False).returncode == 0


needs_mounts = pytest.mark.skipif(not can_mount(), reason="SKIP: no mount namespace can be made here")


@pytest.fixture
def inside(cached, origin, monkeypatch):
    """inside(prepare, zone): nginx in a mount namespace of its own, where the shell commands `prepare` were run before."""
    origin.handle("*", lambda r: Reply(r.target.encode() * 30, headers=FRESH))

    def start(n, prepare, **kw):
        plain = n._command
        n._command = lambda *args: ["unshare", "-m", "sh", "-ec", prepare + '\nexec "$@"', "sh", *plain(*args)]
        return cached(**kw)
    return start


@pytest.fixture
def slab():
    with tempfile.TemporaryDirectory(prefix="slab_test_", dir=SHM) as d:
        yield pathlib.Path(d) / "pages.slab"


# ---- memory ----------------------------------------------------------------------------------------------------------

@needs_mounts
def test_zone_without_space_for_its_file_is_refused_with_both_figures(nginx, inside):
    small = nginx.prefix / "small"
    small.mkdir()
    zone = f"slab_cache_zone zone=one:16m file={small}/pages.slab;"
    nginx.expect_log("needs 16m for its file")
    with pytest.raises(AssertionError, match=rf'slab_cache zone "one" needs 16m for its file "{small}/pages.slab", and there is space for '
                       r"8m \(28: No space left on device\)"):
        inside(nginx, f"mount -t tmpfs -o size=8m none {small}", zone=zone)


@needs_mounts
def test_reload_without_space_keeps_the_zone_that_runs(nginx, inside):
    small = nginx.prefix / "small"
    small.mkdir()
    n = inside(nginx, f"mount -t tmpfs -o size=20m none {small}", zone=f"slab_cache_zone zone=one:16m file={small}/pages.slab;")
    n.get("/a")
    n.expect_log("needs 32m for its file")
    n.write(n.text.replace("zone=one:16m", "zone=one:32m"))
    n.process.send_signal(signal.SIGHUP)
    wait_until(lambda: "and there is space for 4m (28" in n.error_log(), "the refusal")
    assert n.get("/a").cache == "HIT"


GROUPS = {
    "version 2": ("memory.max", "12582912\n"),
    "version 1": ("memory/memory.limit_in_bytes", "12582912\n"),
}
WARNING = r'slab_cache zones up to "one" take 16m, and the control group allows 12m of memory: processes will be killed when they fill in .*:\d+'


needs_groups = pytest.mark.skipif(not pathlib.Path("/sys/fs/cgroup").is_dir(), reason="SKIP: no control groups are mounted here")


@needs_mounts
@needs_groups
@pytest.mark.parametrize("version", GROUPS)
def test_zone_above_the_control_group_is_warned_of(nginx, inside, version):
    groups = nginx.prefix / "groups"
    name, limit = GROUPS[version]
    if version == "version 1" and ":memory:" not in pathlib.Path("/proc/self/cgroup").read_text():
        pytest.skip("SKIP: no control groups of version 1 here")
    (groups / name).parent.mkdir(parents=True)
    (groups / name).write_text(limit)
    n = inside(nginx, f"mount --bind {groups} /sys/fs/cgroup")
    assert re.search(WARNING, n.error_log())
    assert (n.get("/a").cache, n.get("/a").cache) == ("MISS", "HIT")


@needs_mounts
@needs_groups
def test_zone_within_the_control_group_is_not_warned_of(nginx, inside):
    groups = nginx.prefix / "groups"
    groups.mkdir()
    (groups / "memory.max").write_text("max\n")
    n = inside(nginx, f"mount --bind {groups} /sys/fs/cgroup")
    assert "control group" not in n.error_log()


# ---- /proc -----------------------------------------------------------------------------------------------------------

def restarted_worker_serves(n):
    n.get("/a")
    n.kill_worker()
    assert n.get("/a").cache == "HIT"
    n.purge("/a")
    assert (n.get("/a").cache, n.get("/a").cache) == ("MISS", "HIT")
    n.reload()
    assert n.get("/a").cache == "HIT"


@needs_mounts
@pytest.mark.parametrize("file", [False, True])
def test_without_proc_it_works_and_says_so(nginx, inside, slab, file):
    zone = f"slab_cache_zone zone=one:16m{f' file={slab}' if file else ''};"
    n = inside(nginx, "mount -t tmpfs none /proc", zone=zone)
    assert 'slab_cache zone "one": /proc cannot be read: workers are told apart by their pids alone' in n.error_log()
    restarted_worker_serves(n)


@needs_mounts
def test_with_hidepid_it_works(nginx, inside):
    n = inside(nginx, "mount -t proc -o hidepid=2 proc /proc")
    assert "/proc cannot be read" not in n.error_log()
    restarted_worker_serves(n)


# ---- what it says at the start -----------------------------------------------------------------------------------------

def zone_lines(n):
    return re.findall(r'slab_cache zone "(.*)', n.error_log())


def test_each_zone_says_a_line_at_start_and_reload(cached, origin, slab):
    origin.handle("*", lambda r: Reply("x", headers=FRESH))
    n = cached(zone=f"slab_cache_zone zone=one:16m; slab_cache_zone zone=two:1100k file={slab};")
    new = [r'one": 16m, layout \d+, in memory, no objects', rf'two": 1100k, layout \d+, new file "{slab}", no objects']
    assert [bool(re.fullmatch(w, line)) for w, line in zip(new, zone_lines(n), strict=True)] == [True, True]
    n.get("/a")
    n.reload()
    again = [rf'two": 1100k, layout \d+, shares "{slab}" with 0 objects in \d+ ms', r'one": 16m, layout \d+, in memory, goes on with 1 objects']
    assert all(any(re.fullmatch(w, line) for line in zone_lines(n)[2:]) for w in again), zone_lines(n)
    n.stop()
    before = len(zone_lines(n))
    n.start(text=n.text)
    assert any(re.fullmatch(rf'two": 1100k, layout \d+, goes on with "{slab}" with 0 objects in \d+ ms', line) for line in zone_lines(n)[before:])


def test_resize_that_takes_objects_along_says_nothing_of_a_cold_start(cached, origin, slab):
    origin.handle("*", lambda r: Reply("x", headers=FRESH))
    n = cached(zone=f"slab_cache_zone zone=one:16m file={slab};")
    n.get("/a")
    n.write(n.text.replace("zone=one:16m", "zone=one:20m"))
    n.reload()
    assert n.get("/a").cache == "HIT"
    assert "starting cold" not in n.error_log()
    assert re.search(r'"one": ".*" cannot be used: its size is not the zone\'s, a new one is made', n.error_log())
    assert "1 of 1 objects" in n.error_log()
