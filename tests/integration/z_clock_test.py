"""The wall clock is set back or forward while objects are stored: they live for as long as they were given, by a clock that nobody sets."""
import pathlib
import tempfile

import pytest
from harness.origin import Reply
from harness.rules import http_date
from harness.wait import wait_until

LIBRARY = next(iter(sorted(pathlib.Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))), None)
pytestmark = pytest.mark.skipif(LIBRARY is None, reason="no libfaketime here: tools/deps.sh test")

SETTINGS = {"FAKETIME_NO_CACHE": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1", "DONT_FAKE_MONOTONIC": "1"}


@pytest.fixture
def clock(cached, origin, monkeypatch, tmp_path):
    """clock(zone): nginx; n.set_clock(seconds) moves its wall clock that far from the true one."""
    file = tmp_path / "clock"
    monkeypatch.setenv("SLAB_PRELOAD", str(LIBRARY))
    monkeypatch.setenv("FAKETIME_TIMESTAMP_FILE", str(file))
    for name, value in SETTINGS.items():
        monkeypatch.setenv(name, value)
    keep = " ".join(f"env {name};" for name in ("FAKETIME_TIMESTAMP_FILE", *SETTINGS))

    def set_clock(seconds):
        new = file.with_suffix(".new")
        new.write_text(f"{seconds:+d}\n")
        new.rename(file)

    def start(zone="slab_cache_zone zone=one:16m;", seconds=0, **kw):
        set_clock(seconds)
        n = cached(zone=zone, main=keep, **kw)
        n.set_clock = set_clock
        return n

    return start


def short(origin, path="/a", seconds=2, *headers):
    origin.reply(path, "x", headers=[f"Cache-Control: max-age={seconds}", *headers])


@pytest.mark.parametrize("step", [-3, -1000, -10**6])
def test_object_is_fresh_no_longer_after_the_clock_is_set_back(clock, origin, step):
    short(origin)
    n = clock()
    n.get("/a")
    n.set_clock(step)
    assert n.get("/a").cache == "HIT"
    wait_until(lambda: n.get("/a").cache != "HIT", "it is stale", 4)


def test_age_goes_on_after_the_clock_is_set_back(clock, origin):
    short(origin, "/a", 600)
    n = clock()
    n.get("/a")
    n.set_clock(-1000)
    wait_until(lambda: int(n.get("/a").header("Age")) >= 2, "it ages", 5)


def test_object_is_fresh_as_long_after_the_clock_is_set_forward(clock, origin):
    short(origin, "/a", 600)
    n = clock()
    n.get("/a")
    n.set_clock(1000)
    answer = n.get("/a")
    assert answer.cache == "HIT" and int(answer.header("Age")) < 60


def test_pushed_object_is_fresh_no_longer_after_the_clock_is_set_back(clock, origin):
    short(origin)
    n = clock()
    assert n.request("/_cache/v1/zones/one/entry?ttl=2&url=http://localhost/a", "PUT", body=b"pushed").status == 201
    n.set_clock(-1000)
    assert n.get("/a").cache == "HIT"
    wait_until(lambda: n.get("/a").cache != "HIT", "it is stale", 4)


def test_stale_while_revalidate_ends_in_time_after_the_clock_is_set_back(clock, origin):
    origin.sequence("/a", Reply("old", headers=["Cache-Control: max-age=1, stale-while-revalidate=2"]), Reply("new", status=503), Reply("new"))
    n = clock("slab_cache_zone zone=one:16m;")
    n.get("/a")
    n.set_clock(-1000)
    wait_until(lambda: n.get("/a").cache not in ("HIT", "STALE", "UPDATING"), "it is gone", 6)


def test_object_in_a_file_is_fresh_no_longer_after_a_restart_with_the_clock_set_back(clock, origin):
    short(origin)
    with tempfile.TemporaryDirectory(prefix="slab_test_", dir="/dev/shm") as d:
        n = clock(f"slab_cache_zone zone=one:16m file={pathlib.Path(d) / 'pages.slab'};")
        n.get("/a")
        n.stop()
        n.set_clock(-1000)
        n.start(text=n.text)
        wait_until(lambda: n.get("/a").cache != "HIT", "it is stale", 4)
        n.stop()


def test_objects_are_stored_as_ever_after_a_clock_that_went_ahead_is_set_right(clock, origin):
    origin.handle("/a", lambda r: Reply("x", headers=["Cache-Control: max-age=60", f"Date: {http_date(0)}"]))
    n = clock(seconds=100_000)
    n.get("/a")
    n.set_clock(0)
    answers = [n.get("/a") for _ in range(4)]      # it was found stale on arrival a moment ago
    assert answers[3].cache == "HIT" and int(answers[3].header("Age")) < 30
