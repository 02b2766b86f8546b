"""Huge pages: asked for by huge_pages=on, or those of a hugetlbfs on which the zone's file lies."""
import contextlib
import os
import pathlib
import re
import subprocess
import tempfile

import pytest
from harness.origin import Reply
from harness.wait import wait_until

FRESH = ("Cache-Control: max-age=600",)
POOL = pathlib.Path("/proc/sys/vm/nr_hugepages")
FREE = pathlib.Path("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages")
NEEDED = 24         # of 2 MB: two zones of 16 and 24 MB at once, and some to spare


def flags_of_mapping(pid, size):
    """VmFlags of the shared mapping of that size."""
    found = None
    for line in pathlib.Path(f"/proc/{pid}/smaps").read_text().splitlines():
        head = re.match(r"([0-9a-f]+)-([0-9a-f]+) rw-s", line)
        if head:
            found = int(head[2], 16) - int(head[1], 16) == size
        elif re.match(r"[0-9a-f]+-[0-9a-f]+ ", line):
            found = False
        elif found and line.startswith("VmFlags:"):
            return line.split()[1:]
    raise AssertionError(f"no shared mapping of {size} bytes")


@pytest.mark.parametrize("word, advised", [("on", True), ("off", False)])
def test_huge_pages_are_asked_for_where_that_is_said(cached, origin, word, advised):
    origin.reply("/a", b"body", headers=FRESH)
    n = cached(zone=f"slab_cache_zone zone=one:16m huge_pages={word};")
    n.get("/a")
    assert n.get("/a").cache == "HIT"
    assert ("hg" in flags_of_mapping(n.workers()[0], 16 << 20)) == advised


def test_huge_pages_are_asked_for_in_a_file_on_tmpfs(cached, origin):
    origin.reply("/a", b"body", headers=FRESH)
    with tempfile.TemporaryDirectory(prefix="slab_test_", dir="/dev/shm") as d:
        n = cached(zone=f"slab_cache_zone zone=one:16m huge_pages=on file={d}/pages.slab;")
        n.get("/a")
        assert n.get("/a").cache == "HIT"
        assert "hg" in flags_of_mapping(n.workers()[0], 16 << 20)
        n.stop()


@pytest.fixture
def hugetlbfs():
    """A directory on a hugetlbfs of 2 MB pages, of which there are enough for the test. How many the machine has is the machine's
    setting, and a container's is its host's: it is changed only for who says so."""
    if os.getuid() != 0 or not FREE.exists():
        pytest.skip("only root can mount a hugetlbfs, and not on every kernel")
    missing = NEEDED - int(FREE.read_text())
    if missing > 0 and not os.environ.get("SLAB_HUGE_PAGES"):
        pytest.skip(f"{NEEDED} free huge pages are needed: SLAB_HUGE_PAGES=1 lets this test set vm.nr_hugepages, and back")
    with contextlib.ExitStack() as undo:
        d = undo.enter_context(tempfile.TemporaryDirectory(prefix="slab_huge_", dir="/tmp"))
        if missing > 0:
            had = POOL.read_text()
            try:
                POOL.write_text(str(int(had) + missing))
                undo.callback(POOL.write_text, had)
            except OSError as e:
                pytest.skip(f"no huge pages can be reserved here: {e}")
            if int(FREE.read_text()) < NEEDED:
                pytest.skip(f"the kernel has no {NEEDED} huge pages left")
        p = subprocess.run(["mount", "-t", "hugetlbfs", "-o", "pagesize=2M", "none", d], capture_output=True, text=True, check=False)
        if p.returncode != 0:
            pytest.skip(f"no hugetlbfs can be mounted here: {p.stderr}")
        undo.callback(subprocess.run, ["umount", "-l", d], check=True)     # nginx ends after this where the test failed
        yield pathlib.Path(d)


def test_file_on_hugetlbfs_survives_restarts_kills_and_a_change_of_size(cached, origin, hugetlbfs):
    origin.handle("*", lambda r: Reply(r.target.encode() * 3000, headers=FRESH))
    n = cached(zone=f"slab_cache_zone zone=one:16m file={hugetlbfs}/pages.slab;")
    paths = [f"/k/{i}" for i in range(50)]
    first = [n.get(p) for p in paths]
    assert [a.cache for a in first] == ["MISS"] * 50
    assert [n.get(p).cache for p in paths] == ["HIT"] * 50
    n.stop()
    n.start(text=n.text)
    assert [n.get(p).cache for p in paths] == ["HIT"] * 50
    n.kill_all()
    n.start(text=n.text)
    assert [n.get(p).cache for p in paths] == ["HIT"] * 50
    assert "repaired after an unclean stop" in n.error_log()
    n.write(n.text.replace("zone=one:16m", "zone=one:24m"))
    n.reload()
    assert [n.get(p).cache for p in paths] == ["HIT"] * 50
    assert "ht" in flags_of_mapping(n.workers()[0], 24 << 20)
    n.purge("/k/1")
    assert n.get("/k/1").cache == "MISS"
    wait_until(lambda: int(FREE.read_text()) >= NEEDED - 24 // 2 - 2, "the old zone's pages are given back", deadline=20)
    n.stop()


def test_size_that_is_no_multiple_of_huge_pages_is_refused(nginx, hugetlbfs):
    code, said = nginx.test_config(zone=f"slab_cache_zone zone=one:17m file={hugetlbfs}/pages.slab;")
    assert code == 1 and "the zone's size is not a multiple of its pages" in said
