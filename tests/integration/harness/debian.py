"""A Debian of its own (debootstrap), for tests that install packages."""
import contextlib
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile

import pytest

from .client import Connection
from .nginx import TOP
from .wait import wait_until

SUITE = (re.search(r"VERSION_CODENAME=(\w+)", pathlib.Path("/etc/os-release").read_text()) or [None, "bookworm"])[1]
BASE = TOP / f"build/chroot/{SUITE}.tar"
MIRROR = os.environ.get("SLAB_MIRROR", "http://deb.debian.org/debian")


def needs():
    """What this machine lacks for one, if anything."""
    return None if os.getuid() == 0 and shutil.which("debootstrap") else "needs root and debootstrap: tools/deps.sh deb"


class Chroot:
    def __init__(self, path):
        self.path, self.nginx = path, None

    def run(self, *command, code=0):
        p = subprocess.run(["chroot", self.path, *command], capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False,
                           env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"})
        assert code is None or p.returncode == code, p.stdout + p.stderr
        return p.stdout + p.stderr

    def apt(self, *args):
        return self.run("apt-get", "-y", "-q", "--no-install-recommends", *args)

    def exists(self, name):
        return (self.path / name.lstrip("/")).is_symlink() or (self.path / name.lstrip("/")).exists()

    def write(self, name, text):
        """By a program in there: links are followed within, never out of it."""
        subprocess.run(["chroot", self.path, "tee", name], input=text, text=True, stdout=subprocess.DEVNULL, check=True)

    def start(self, port):
        # With /proc, which the module needs, and /dev/shm, in a mount namespace of its own: nothing is left mounted.
        script = 'mount -t proc proc "$1/proc" && mkdir -p "$1/dev/shm" && mount -t tmpfs none "$1/dev/shm" && exec chroot "$1" /usr/sbin/nginx -g "daemon off;"'
        self.nginx = subprocess.Popen(["unshare", "--mount", "sh", "-c", script, "sh", self.path], stdin=subprocess.DEVNULL)

        def listens():
            try:
                Connection(("127.0.0.1", port)).close()
                return True
            except OSError:
                return False
        wait_until(lambda: self.nginx.poll() is not None or listens(), "nginx listens")
        assert self.nginx.poll() is None

    def stop(self):
        if self.nginx is not None and self.nginx.poll() is None:
            self.nginx.send_signal(signal.SIGTERM)
            self.nginx.wait(20)


@contextlib.contextmanager
def fresh_debian():
    """The base is made once, and kept in build/chroot."""
    if not BASE.exists():
        BASE.parent.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="sc_debian_") as d:
            p = subprocess.run(["debootstrap", "--variant=minbase", SUITE, d, MIRROR], capture_output=True, text=True, check=False)
            if p.returncode != 0:
                pytest.skip(f"debootstrap does not work here: {p.stdout[-300:]}")
            subprocess.run(["tar", "-C", d, "-cf", BASE, "."], check=True)
    path = pathlib.Path(tempfile.mkdtemp(prefix="sc_debian_"))
    c = Chroot(path)
    try:
        subprocess.run(["tar", "-C", path, "-xf", BASE], check=True)
        path.chmod(0o755)               # it is the / of nginx's workers; the archive has the mode of a temporary directory
        c.write("/usr/sbin/policy-rc.d", "#!/bin/sh\nexit 101\n")
        c.run("chmod", "755", "/usr/sbin/policy-rc.d")
        c.write("/etc/resolv.conf", pathlib.Path("/etc/resolv.conf").read_text())
        # As up to date as what nginx-abi the packages were built against.
        c.write("/etc/apt/sources.list", "".join(f"deb {m} {s} main\n" for m, s in (
            (MIRROR, SUITE), (MIRROR, f"{SUITE}-updates"), (f"{MIRROR}-security", f"{SUITE}-security"))))
        c.apt("update")
        yield c
    finally:
        c.stop()
        shutil.rmtree(path, ignore_errors=True)
