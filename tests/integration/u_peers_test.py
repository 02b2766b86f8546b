"""`make bench-peers`: it runs whole, and what it writes into the documents is whole. Its figures are not judged here."""
import copy
import json
import pathlib
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as xml

import pytest
from harness.nginx import TOP

sys.path.insert(0, str(TOP / "tests/bench"))

from peers import report, servers  # noqa: E402

PROGRAM = TOP / "tests/bench/peers_bench.py"
PAGE, DRAWING = TOP / "docs/comparison.md", TOP / "docs/hits.svg"
NAMES = ["nginx without a cache", *(k.name for k in servers.CACHES)]


def hit(us):
    return {"us": us, "rate": 1e6 / us, "ratio": us / 10, "ratios": [us / 10]}


@pytest.fixture
def figures():
    hits = {size: {name: hit(10 + i * factor) for i, name in enumerate(NAMES)} for size, factor in (("512 B", 1), ("4 KB", 2), ("32 KB", 9))}
    return {"about": {"date": "2026-01-02", "machine": "a machine <of> two cores", "rounds": 7, "seconds": 2, "objects": 50_000, "short": False,
                      "versions": {"nginx": "1.22.1"}},
            "hits": hits, "misses": {n: hit(30) for n in NAMES if n != "memcached_pass"},
            "waiting": {n: {"asked": 1, "last_ms": 310, "spread_ms": 4.25, "worst_spread_ms": 9} for n in NAMES[1:] if n != "memcached_pass"},
            "memory": {n: {"bytes": 1300.4} for n in NAMES[1:]},
            "purges": {n: {"us": 40, "p99_us": 90, "lost": 0, "of": 1000} if n == "slab_cache" else None for n in NAMES[1:]}}


@pytest.mark.skipif(not shutil.which("wrk"), reason="no wrk: tools/deps.sh bench-peers")
def test_a_short_run_goes_through_all_it_measures(tmp_path):
    p = subprocess.run(["/usr/bin/python3", PROGRAM, "--short", "slab_cache", "proxy_cache, tuned"], stdin=subprocess.DEVNULL, text=True,
                       capture_output=True, timeout=300, check=False)
    assert p.returncode == 0, p.stdout + p.stderr
    found = report.load(TOP / "build/bench-peers")
    assert found["waiting"]["slab_cache"]["asked"] == 1 and found["purges"]["slab_cache"]["lost"] == 0
    assert 1024 < found["memory"]["slab_cache"]["bytes"] < 4096
    assert all(by_name["slab_cache"]["us"] > 0 for by_name in found["hits"].values())
    assert re.search(r"^slab_cache +\d", p.stdout, re.M) and "proxy_cache, tuned" in p.stdout
    # A short run's figures are no figures.
    p = subprocess.run(["/usr/bin/python3", PROGRAM, "document"], stdin=subprocess.DEVNULL, text=True, capture_output=True, check=False)
    assert p.returncode != 0 and "short one" in p.stderr


def test_the_table_has_a_row_for_each_server_and_says_when_and_where(figures):
    page = report.put_into(f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n", figures)
    assert page.startswith("before\n") and page.endswith("\nafter\n") and "old" not in page
    assert "2026-01-02" in page and "two cores" in page and "nginx 1.22.1" in page
    rows = [line for line in page.splitlines() if line.startswith("| ")]
    assert len(rows) == len(NAMES) + 2 and len({row.count("|") for row in rows}) == 1
    assert [r for r in rows if "**slab_cache**" in r and "12.0 (1.20)" in r and "1,300" in r and " 4.2 " in r]
    assert report.put_into(page, figures) == page


def test_a_purge_that_was_lost_is_told(figures):
    assert "lost" not in report.table(figures)
    worse = copy.deepcopy(figures)
    worse["purges"]["Varnish"] = {"us": 50, "p99_us": 90, "lost": 3, "of": 1000}
    assert "50 (3 of 1000 lost)" in report.table(worse)


def test_the_drawing_is_well_formed_small_and_complete(figures):
    text = report.drawing(figures)
    root = xml.fromstring(text)
    words = [t.text for t in root.iter("{http://www.w3.org/2000/svg}text")]
    assert set(NAMES) <= set(words) and "4 KB: 12.0 (1.20)" in words and len(text) < 30_000
    width = float(root.get("viewBox").split()[2])
    assert all(float(r.get("x") or 0) + float(r.get("width")) <= width for r in root.iter("{http://www.w3.org/2000/svg}rect"))


def test_json_comes_back_as_it_was(figures, tmp_path):
    report.save(tmp_path / "new", figures)
    assert report.load(tmp_path / "new") == json.loads(json.dumps(figures))


def test_the_page_has_figures_of_all_servers_and_the_drawing_those_of_the_same_day():
    page = PAGE.read_text()
    block = page.partition(report.BEGIN)[2].partition(report.END)[0]
    day = re.search(r"Measured on (\d{4}-\d\d-\d\d)", block)[1]
    assert all(name in block for name in NAMES)
    assert day in pathlib.Path(DRAWING).read_text() and DRAWING.stat().st_size < 30_000 and "](hits.svg)" in page
