"""slab_cache_zone file=: what is no zone of ours is never replaced, whoever holds what."""
import fcntl
import json
import os
import pathlib
import signal
import socket
import stat
import struct
import subprocess
import sys
import tempfile
import threading

import pytest
from harness.nginx import is_alive
from harness.origin import Reply
from harness.wait import wait_until

SHM = pathlib.Path("/dev/shm")
TEXT = b"somebody's data"

pytestmark = pytest.mark.skipif(not SHM.is_dir(), reason="there is no /dev/shm")
as_root = pytest.mark.skipif(os.getuid() != 0, reason="only root makes devices and gives files away")


@pytest.fixture
def slab():
    with tempfile.TemporaryDirectory(prefix="slab_test_", dir=SHM) as d:
        os.chmod(d, 0o777)
        yield pathlib.Path(d) / "pages.slab"


@pytest.fixture
def warm(cached, origin, slab):
    origin.handle("*", lambda r: Reply(r.target.encode() * 50, headers=("Cache-Control: max-age=600",)))
    return lambda **kw: cached(zone=f"slab_cache_zone zone=one:16m file={slab};", **kw)


# ---- what lies there -------------------------------------------------------------------------------------------------

def a_file(f):
    f.write_bytes(TEXT)


def a_file_of_the_zones_size(f):
    f.write_bytes(TEXT)
    os.truncate(f, 16 << 20)
    f.chmod(0o600)


def an_empty_file(f):
    f.touch(0o600)


def a_socket(f):
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(str(f))


def a_link(f):
    a_file(f.with_name("other"))
    f.symlink_to("other")


def a_link_to_nothing(f):
    f.symlink_to("nowhere")


def a_hard_link(f):
    a_file(f.with_name("other"))
    os.link(f.with_name("other"), f)


def a_device(f):
    os.mknod(f, stat.S_IFCHR | 0o600, os.makedev(1, 3))


def somebody_elses(f):
    a_file(f)
    os.chown(f, 65534, 65534)


FOREIGN = {
    "file": (a_file, "it is no zone of slab_cache, and is not replaced"),
    "file of the size": (a_file_of_the_zones_size, "it is no zone of slab_cache, and is not replaced"),
    "empty file": (an_empty_file, "it is empty, and only a zone of slab_cache is replaced; remove it"),
    "socket": (a_socket, "it is a socket, which is not replaced"),
    "directory": (pathlib.Path.mkdir, "it is a directory"),
    "link": (a_link, "it is a symbolic link; name what it leads to"),
    "dangling link": (a_link_to_nothing, "it is a symbolic link; name what it leads to"),
    "hard link": (a_hard_link, "it has another name too (a hard link)"),
    "fifo": (os.mkfifo, "it is a named pipe, which is not replaced"),
    "device": (a_device, "it is a device, which is not replaced"),
    "owner": (somebody_elses, "it belongs to somebody else"),
}
KINDS = [pytest.param(k, marks=as_root if k in ("device", "owner") else ()) for k in FOREIGN]


def picture(directory):
    """Names, kinds, owners and contents: what must be the same afterwards."""
    out = []
    for p in sorted(directory.iterdir()):
        st = p.lstat()
        out.append((p.name, st.st_ino, st.st_mode, st.st_uid, st.st_size, p.read_bytes()[:64] if stat.S_ISREG(st.st_mode) else None))
    return out


def refusal(slab, nginx, why):
    line = next(i for i, text in enumerate(nginx.text.splitlines(), 1) if "slab_cache_zone" in text)
    return f'slab_cache zone "one" cannot have the file "{slab}": {why} in {nginx.prefix}/nginx.conf:{line}\n'


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_zone_is_refused_and_kept(nginx, slab, kind):
    make, why = FOREIGN[kind]
    make(slab)
    before = picture(slab.parent)
    zone = f"slab_cache_zone zone=one:16m file={slab};"
    code, said = nginx.test_config(zone=zone)
    assert code != 0 and "[emerg] " in said and refusal(slab, nginx, why) in said, said
    nginx.expect_log("cannot have the file")
    with pytest.raises(AssertionError, match="cannot have the file"):
        nginx.start(zone=zone)
    assert picture(slab.parent) == before


@pytest.mark.parametrize("kind", KINDS)
def test_reload_that_meets_what_is_no_zone_keeps_the_old_configuration(nginx, slab, kind):
    make, why = FOREIGN[kind]
    n = nginx.start(location="location / { slab_cache one; return 204; }")
    make(slab)
    before = picture(slab.parent)
    n.expect_log("cannot have the file")
    workers = n.workers()
    n.write(n.text.replace("zone=one:16m", f"zone=one:16m file={slab}"))
    n.process.send_signal(signal.SIGHUP)
    wait_until(lambda: refusal(slab, n, why) in n.error_log(), "the refusal")
    assert n.workers() == workers and n.get("/").status == 204
    assert picture(slab.parent) == before


def test_file_that_lies_where_the_new_one_is_made_is_not_replaced(warm, slab, nginx):
    """<path>.new.<pid> of the master: only what we left there half-made goes."""
    n = nginx.start(location="location / { slab_cache one; return 204; }")
    other = slab.with_name(f"{slab.name}.new.{n.process.pid}")
    other.write_bytes(TEXT)
    n.expect_log(r"open\(\) .* failed \(17")
    n.write(n.text.replace("zone=one:16m", f"zone=one:16m file={slab}"))
    n.process.send_signal(signal.SIGHUP)
    wait_until(lambda: "failed (17" in n.error_log(), "the refusal")
    assert other.read_bytes() == TEXT and not slab.exists() and n.get("/").status == 204


SPELLINGS = ["{d}/./{f}", "{d}/../{d.name}/{f}", "{d}//{f}", "{link}/{f}"]


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_one_file_under_two_spellings_is_one_zone(nginx, slab, spelling):
    link = nginx.prefix / "shm"
    link.symlink_to(slab.parent)
    other = spelling.format(d=slab.parent, f=slab.name, link=link)
    second = f"slab_cache_zone zone=two:16m file={other};"
    code, said = nginx.test_config(zone=f"slab_cache_zone zone=one:16m file={slab};\n{second}")
    line = next(i for i, text in enumerate(nginx.text.splitlines(), 1) if "zone=two" in text)
    assert code != 0 and f'another slab_cache zone has the file "{other}" in {nginx.prefix}/nginx.conf:{line}\n' in said, said


def test_other_spelling_at_a_reload_is_the_same_zone(warm, slab):
    n = warm()
    n.get("/a")
    n.write(n.text.replace(f"file={slab}", f"file={slab.parent}/./{slab.name}"))
    n.reload()
    assert n.get("/a").cache == "HIT"
    assert [p.name for p in slab.parent.iterdir()] == [slab.name]


# ---- who holds it ----------------------------------------------------------------------------------------------------

HOLDER = """
import fcntl, os, struct, sys
os.setgid(65534); os.setuid(65534)
fd = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT, 0o600)
os.ftruncate(fd, 16 << 20)
fcntl.fcntl(fd, 37, struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 0, 0, 0))      # F_OFD_SETLK
print("locked", flush=True)
sys.stdin.read()
"""


@as_root
def test_lock_of_somebody_who_is_not_the_owner_is_not_asked_for(nginx, slab):
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, slab], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout.readline() == "locked\n"
        nginx.expect_log("belongs to somebody else")
        with pytest.raises(AssertionError, match="it belongs to somebody else"):
            nginx.start(zone=f"slab_cache_zone zone=one:16m file={slab};")
    finally:
        holder.communicate()


def test_lock_on_a_file_that_others_may_open_does_not_keep_nginx_from_starting(warm, slab):
    n = warm()
    n.stop()
    slab.chmod(0o644)
    with open(slab, "rb") as f:
        fcntl.fcntl(f, 37, struct.pack("hhqqi4x", fcntl.F_RDLCK, 0, 0, 0, 0))
        n.start(text=n.text)
        assert "its mode is not 0600; starting cold" in n.error_log()
    assert slab.stat().st_mode & 0o7777 == 0o600


class Draining:
    """A worker that goes on with one answer after kill -9 of its master."""

    def __init__(self, n, origin, gate):
        origin.handle("/slow", lambda r: Reply([b"x" * 100_000, gate, b"y"], headers=("Cache-Control: max-age=600",)))
        self.n, self.gate = n, gate
        self.c = n.connect()
        self.c.send("/slow")
        self.c.read_header()
        self.worker, = n.workers()
        n.reload()
        n.get("/a")
        master, new = n.process.pid, n.workers()
        for pid in (master, *new):
            os.kill(pid, signal.SIGKILL)
        n.process.wait()
        wait_until(lambda: not any(is_alive(p) for p in (master, *new)), "master and new workers are gone")
        assert is_alive(self.worker)

    def end(self):
        self.gate.set()
        self.c.close()
        os.kill(self.worker, signal.SIGKILL)


@pytest.fixture
def draining(warm, origin):
    n = warm()
    n.get("/a")
    d = Draining(n, origin, threading.Event())
    yield d
    d.end()


def test_draining_worker_that_outlives_its_master_does_not_keep_the_next_from_starting(draining, origin):
    n = draining.n
    n.start(text=n.text)
    assert (n.get("/a").cache, origin.hits("/a")) == ("HIT", 1)
    assert "shares, with workers that outlived their master," in n.error_log()


def test_second_instance_is_refused_though_an_orphan_drains(draining, make_nginx, slab):
    draining.n.start(text=draining.n.text)
    other = make_nginx()
    other.expect_log("is in use by another nginx")
    with pytest.raises(AssertionError, match="is in use by another nginx"):
        other.start(zone=f"slab_cache_zone zone=one:16m file={slab};")


def test_master_of_another_pid_namespace_is_not_taken_for_dead(warm, slab, make_nginx):
    """Its pid says nothing here: two containers with one /dev/shm."""
    n = warm()
    n.stop()
    if subprocess.run(["unshare", "--pid", "--fork", "true"], stdin=subprocess.DEVNULL, capture_output=True, check=False).returncode != 0:
        pytest.skip("SKIP: no pid namespace can be made here")
    inner = subprocess.Popen(["unshare", "--pid", "--fork", "--mount-proc", "--kill-child", *map(str, n._command())],
                             stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until(n._listens, "nginx listens in its namespace")
        wait_until(lambda: n.get("/a").cache, "it serves")
        other = make_nginx()
        other.expect_log("is in use by another nginx")
        with pytest.raises(AssertionError, match="is in use by another nginx .master .* in another pid namespace"):
            other.start(zone=f"slab_cache_zone zone=one:16m file={slab};")
    finally:
        inner.kill()
        inner.wait()


def test_api_says_where_the_file_of_a_zone_is(nginx, slab):
    nginx.start(zone=f"slab_cache_zone zone=one:16m file={slab};", location="location /_cache/ { slab_cache_api; }")
    assert json.loads(nginx.get("/_cache/v1/zones/one").body)["file"] == str(slab)
