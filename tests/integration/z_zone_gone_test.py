"""The zone's file is cut short or written over while nginx runs: nobody dies, no wrong byte is sent, a reload heals."""
import json
import os
import pathlib
import signal
import tempfile
import zlib

import pytest
from harness.nginx import is_alive
from harness.origin import Reply
from harness.wait import wait_until

SHM = pathlib.Path("/dev/shm")
SIZE = 16 << 20
PAGE = 4096

pytestmark = pytest.mark.skipif(not SHM.is_dir(), reason="there is no /dev/shm")


@pytest.fixture
def slab():
    with tempfile.TemporaryDirectory(prefix="slab_test_", dir=SHM) as d:
        yield pathlib.Path(d) / "pages.slab"


def body_of(path):
    return (path * 300).encode()[:2000 + len(path)]


@pytest.fixture
def warm(cached, origin, slab):
    origin.handle("*", lambda r: Reply(body_of(r.target), headers=("Cache-Control: max-age=600",)))

    def start(workers=2, **kw):
        n = cached(zone=f"slab_cache_zone zone=one:16m file={slab} max_object=3000k;", workers=workers, **kw)
        for i in range(50):
            n.get(f"/k/{i}")
        return n
    return start


def cut(slab, size):
    os.truncate(slab, size)


def assert_serves(n, paths):
    for p in paths:
        answer = n.get(p)
        assert (answer.status, answer.body) == (200, body_of(p)), p


def assert_heals(n, slab):
    n.reload()
    assert is_alive(n.process.pid)
    wait_until(lambda: n.get("/healed").cache == "HIT", "the cache works again")
    assert slab.stat().st_size == SIZE
    assert not [line for line in n.error_log().splitlines() if "exited on signal" in line]


PATHS = [f"/k/{i}" for i in range(20)] + [f"/new/{i}" for i in range(20)]


@pytest.mark.parametrize("size", [0, PAGE, 2 * PAGE, 600_000, SIZE // 2, SIZE - PAGE])
def test_file_that_is_cut_short_costs_no_worker_and_no_request(warm, slab, size):
    n = warm()
    workers = n.workers()
    cut(slab, size)
    assert_serves(n, PATHS)
    assert n.workers() == workers
    wait_until(lambda: n.error_log().count("was cut short, or pages of it are gone") == 2, "both workers say so, once")
    assert_serves(n, PATHS)
    assert n.workers() == workers
    assert_heals(n, slab)


def test_file_that_is_cut_and_made_longer_again_costs_no_worker(warm, slab):
    n = warm()
    workers = n.workers()
    cut(slab, 0)
    cut(slab, SIZE)
    assert_serves(n, PATHS)
    assert n.workers() == workers
    assert_heals(n, slab)


def test_purge_of_a_zone_that_is_gone_is_not_answered_as_done(warm, slab):
    n = warm(workers=1)
    cut(slab, 0)
    wait_until(lambda: "was cut short" in n.error_log(), "the worker sees it")
    assert n.purge("/k/1").status >= 500
    assert json.loads(n.get("/_cache/v1/zones/one").body)["available"] is False


@pytest.mark.parametrize("gzip", [False, True])
def test_who_is_served_from_the_zone_gets_no_wrong_byte(warm, origin, slab, gzip):
    body = b"".join(b"%08d" % i for i in range(370_000))      # above the socket buffers
    origin.handle("/big", lambda r: Reply(body, headers=("Cache-Control: max-age=600",)))
    n = warm(workers=1, http="gzip on; gzip_types *;" if gzip else "")
    wait_until(lambda: n.get("/big").cache == "HIT", "it is stored")
    n.expect_log(r"writev\(\) failed \(14: Bad address\)")
    with n.connect(receive_buffer=4096) as c:
        c.send("/big", headers=("Accept-Encoding: gzip",) if gzip else ())
        assert c.read_header().cache == "HIT"
        got = c.read(20_000) + c.buffer
        cut(slab, 0)
        try:
            while more := c.sock.recv(1 << 16):
                got += more
        except ConnectionError:
            pass
    if gzip:
        got = zlib.decompressobj(31).decompress(dechunk(got))
    assert body.startswith(got) and len(got) < len(body)
    assert_serves(n, PATHS)


def dechunk(data):
    out = b""
    while b"\r\n" in data:
        size, _, data = data.partition(b"\r\n")
        out += data[:int(size or b"0", 16)]
        data = data[int(size or b"0", 16) + 2:]
    return out


def test_idle_client_is_not_hung_up_on(warm, slab):
    n = warm(workers=1)
    with n.connect() as c:
        c.request("/k/1")
        # An answer is here before its object has been let go.
        wait_until(lambda: json.loads(n.get("/_cache/v1/zones/one").body)["pins"] == 0, "idle")
        cut(slab, 0)
        assert c.request("/k/1").body == body_of("/k/1")


def test_stop_removes_the_ruin_and_the_next_start_is_cold(warm, slab):
    n = warm()
    cut(slab, 0)
    n.stop()
    assert not slab.exists()
    n.start(text=n.text)
    assert (n.get("/k/1").cache, n.get("/k/1").cache) == ("MISS", "HIT")


def write_over(slab, at, data):
    with open(slab, "r+b") as f:
        f.seek(at)
        f.write(data)


OVER = {
    "file header": (0, 80), "zone header": (PAGE, 1024), "both headers": (0, 2 * PAGE), "tables": (2 * PAGE, 600_000),
    "shard": (600_000, 200_000), "everything": (0, SIZE),
}


def zone_header(slab):
    """Offset of the first shard: the last but 15 of the offsets before the secret (layout.h)."""
    data = slab.read_bytes()[PAGE:PAGE + 1024]
    at = 8 + 4 + 4 + 8 + 4 + 4 + 16 + 16 + 8 + 8 + 8 + 48 + 16 + 8 + 8
    return int.from_bytes(data[at:at + 8], "little")


def place_of(n, slab, what):
    if what == "objects":       # whole blocks: what is written over a part of a body is not noticed
        first = json.loads(n.get("/_cache/v1/zones/one").body)["memory"]["overhead_bytes"]
        return first, SIZE - first
    return (zone_header(slab), 4096) if what == "first shard" else OVER[what]


@pytest.mark.parametrize("what", [*OVER, "first shard", "objects"])
@pytest.mark.parametrize("kind", ["random", "zeros", "ones"])
def test_bytes_written_over_a_running_zone_cost_no_worker(warm, slab, what, kind):
    n = warm()
    at, size = place_of(n, slab, what)
    workers = n.workers()
    write_over(slab, at, os.urandom(size) if kind == "random" else bytes(size) if kind == "zeros" else b"\xff" * size)
    assert_serves(n, PATHS)
    n.purge("/k/1")
    for path in ("/_cache/v1/zones/one", "/_cache/metrics", "/_cache/v1/zones/one/top?by=lost", "/_cache/v1/zones/one/entry?url=/k/1"):
        assert n.get(path).status in (200, 503)
    assert n.workers() == workers
    if what in ("file header", "zone header", "both headers", "everything"):
        assert_heals(n, slab)


def test_reload_under_a_cut_file_keeps_the_master(warm, slab):
    n = warm()
    cut(slab, 2 * PAGE)
    n.process.send_signal(signal.SIGHUP)
    assert_heals(n, slab)


def test_resize_of_a_zone_that_is_gone_starts_cold(warm, slab):
    n = warm()
    cut(slab, SIZE // 2)
    n.write(n.text.replace("zone=one:16m", "zone=one:20m"))
    n.reload()
    assert (n.get("/k/1").cache, n.get("/k/1").cache) == ("MISS", "HIT")
    assert slab.stat().st_size == 20 << 20
