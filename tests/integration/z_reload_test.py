"""Reloads that take a zone's name, its place or its module away, and a second nginx on the same configuration file."""
import pathlib
import shutil
import subprocess
import tempfile

import pytest
from harness.nginx import MODULE
from harness.origin import Reply

FRESH = ("Cache-Control: max-age=600",)


@pytest.fixture
def slab():
    with tempfile.TemporaryDirectory(prefix="slab_test_", dir="/dev/shm") as d:
        yield pathlib.Path(d) / "pages.slab"


@pytest.fixture(params=["anonymous", "file"])
def started(request, cached, origin, slab):
    origin.handle("*", lambda r: Reply(r.target.encode() * 100, headers=FRESH))
    file = f" file={slab}" if request.param == "file" else ""
    n = cached(zone=f"slab_cache_zone zone=one:16m{file};", workers=1)
    n.kind = request.param
    return n


def reload_with(n, *changes):
    text = n.text
    for before, after in changes:
        text = text.replace(before, after)
    n.write(text)
    n.reload()


def test_renamed_zone_works(started):
    n = started
    n.get("/a")
    reload_with(n, ("zone=one:", "zone=two:"), ("slab_cache one;", "slab_cache two;"))
    assert n.get("/a").cache == ("HIT" if n.kind == "file" else "MISS")
    assert n.get("/a").cache == "HIT"
    n.purge("/a")
    assert n.get("/a").cache == "MISS"


def test_zone_that_takes_a_removed_ones_place_in_a_location_works(started):
    n = started
    n.get("/a")
    zone = next(line.strip() for line in n.text.splitlines() if "slab_cache_zone" in line)
    reload_with(n, (zone, "slab_cache_zone zone=two:8m;"), ("slab_cache one;", "slab_cache two;"))
    assert (n.get("/a").cache, n.get("/a").cache) == ("MISS", "HIT")
    reload_with(n, ("slab_cache two;", "slab_cache off;"), ("slab_cache_zone zone=two:8m;", ""))
    assert n.get("/a").status == 200 and n.get("/a").cache is None


def test_module_from_another_path_is_bound_to_the_one_that_runs_and_keeps_its_zones(started):
    """As when a new build is installed beside the old one: nginx's dlopen() finds the symbol that is there already."""
    n = started
    n.get("/a")
    shutil.copy(MODULE, n.prefix / "modules/another.so")
    reload_with(n, ("modules/ngx_http_slab_cache_module.so", "modules/another.so"))
    assert n.get("/a").cache == "HIT"
    reload_with(n, ("zone=one:16m", "zone=one:20m"))
    assert n.get("/a").cache == "HIT"
    reload_with(n, ("modules/another.so", "modules/ngx_http_slab_cache_module.so"))
    assert n.get("/a").cache == "HIT"


def test_second_nginx_on_the_same_configuration_is_refused_and_the_first_unharmed(started):
    n = started
    n.get("/a")
    n.expect_log(r"is in use by another nginx", r"\[emerg\].*bind", r"still could not bind")
    p = subprocess.run(n._command(), stdin=subprocess.DEVNULL, capture_output=True, env=n._environment(), timeout=30, check=False)
    assert p.returncode == 1
    assert n.get("/a").cache == "HIT"
    n.purge("/a")
    assert (n.get("/a").cache, n.get("/a").cache) == ("MISS", "HIT")
