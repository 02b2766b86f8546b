"""A worker is stopped in the middle of a purge (a debugger, SIGSTOP, a frozen cgroup): the others go on."""
import contextlib
import os
import pathlib
import shutil
import subprocess

import pytest
from harness.origin import Reply
from harness.wait import wait_until

pytestmark = pytest.mark.skipif(shutil.which("gdb") is None, reason="no gdb here: tools/deps.sh test")

API = "/_cache/v1/zones/one/purge"
JSON = ("Content-Type: application/json",)
WAYS = [
    ("/y", "PURGE", None, ()),
    ("/y*z", "PURGE", None, ()),
    (API, "POST", b'{"urls":["http://localhost/y"]}', JSON),
    (API, "POST", b'{"all":true}', JSON),
    ("/_cache/service/one/purge/red", "POST", b"", ()),
    ("/_cache/client/v4/zones/one/purge_cache", "POST", b'{"tags":["red"]}', JSON),
]


@contextlib.contextmanager
def stopped_purging(n, tmp_path):
    """One worker, held where its records are written and the counter is not; go_on() lets it end."""
    attached, stopped, go_on = (tmp_path / name for name in ("attached", "stopped", "go_on"))
    with n.connect() as c:
        pid = int(c.request("/_cache/v1/zones").header("X-Pid"))
        os.mkfifo(go_on)
        pipe = os.open(go_on, os.O_RDWR)        # its end, by whatever way this test ends, lets the worker go on
        wait = f"shell touch {stopped}; timeout 60 head -c 1 {go_on} > /dev/null"
        gdb = subprocess.Popen(["gdb", "-q", "-p", str(pid), "-batch", "-ex", "break slab_cache::shm::publish_purge_locked",
                                "-ex", f"shell touch {attached}", "-ex", "continue", "-ex", wait, "-ex", "delete", "-ex", "detach"],
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

        def let_go():
            os.write(pipe, b"1")

        def finish():
            let_go()
            gdb.communicate(timeout=20)
            return c.read_body(c.read_header())

        try:
            wait_until(attached.exists, "gdb is there")
            if "TracerPid:\t0" in pathlib.Path(f"/proc/{pid}/status").read_text():
                pytest.skip("gdb may not attach here")
            c.send("/x", "PURGE")
            wait_until(stopped.exists, "the worker is stopped")
            yield finish
        finally:
            let_go()
            gdb.communicate(timeout=20)
            os.close(pipe)


def elsewhere(n, *args, **kw):
    """Asks until the other worker has the connection: the stopped one takes them too, and does not answer."""
    for _ in range(20):
        with n.connect(timeout=1) as c, contextlib.suppress(TimeoutError):
            return c.request(*args, **kw)
    raise AssertionError("no worker answers")


@pytest.fixture
def site(cached, origin):
    version = {"n": 1}

    def answer(r):
        if r.method == "POST":
            version["n"] += 1
        return Reply(f"version {version['n']}".encode(), headers=("Cache-Control: max-age=600", "Surrogate-Key: red"))

    origin.handle("*", answer)
    n = cached(workers=2)
    for path in ("/x", "/y"):
        n.get(path)
    return n


def test_purges_by_others_are_refused_in_time_and_work_again_when_it_goes_on(site, tmp_path):
    with stopped_purging(site, tmp_path) as finish:
        for path, method, body, headers in WAYS:
            answer = elsewhere(site, path, method, body=body, headers=headers)
            assert answer.status == 503, (path, answer)
        assert elsewhere(site, "/y").cache == "HIT"
        assert finish().status == 200
    assert site.get("/x").cache == "MISS"
    for path, method, body, headers in WAYS:
        assert site.request(path, method, body=body, headers=headers).status == 200
        assert site.get("/y" if "*" not in path else "/yz").cache == "MISS"


def test_unsafe_request_meanwhile_invalidates(site, tmp_path):
    with stopped_purging(site, tmp_path) as finish:
        assert elsewhere(site, "/y", "POST", body=b"x").text == "version 2"
        assert elsewhere(site, "/y").text == "version 2"
        assert finish().status == 200
    assert site.get("/y").text == site.get("/x").text == "version 2"


def test_push_meanwhile_is_refused_in_time(site, tmp_path):
    with stopped_purging(site, tmp_path) as finish:
        answer = elsewhere(site, "/_cache/v1/zones/one/entry?ttl=60&url=http://localhost/y", "PUT", body=b"pushed")
        assert answer.status == 503
        assert finish().status == 200
