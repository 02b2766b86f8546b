"""Network namespaces: a machine of its own for an nginx, with one cable to this one. Cut, it loses packets and tells nobody."""
import os
import pathlib
import shutil
import subprocess
import tempfile

from .fleet import Node

NOWHERE = "02:00:00:00:00:01"       # nobody has that address: what is sent to it is lost, in silence
IP = shutil.which("ip") or shutil.which("ip", path="/usr/sbin:/sbin")


def _ip(*words):
    return subprocess.run([IP, *words], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)


def _do(*words):
    p = _ip(*words)
    assert p.returncode == 0, f"ip {' '.join(words)}: {p.stderr}"


def why_not():
    """Why this machine has no namespaces for us; empty: it has."""
    if IP is None:
        return "no program ip here"
    name = f"slab{os.getpid()}try"
    for words in (("netns", "add", name), ("link", "add", name[:15], "type", "veth", "peer", "name", "far", "netns", name)):
        p = _ip(*words)
        if p.returncode != 0:
            break
    _ip("netns", "del", name)       # and its cable with it
    return "" if p.returncode == 0 else f"ip {' '.join(words)}: {p.stderr.strip()}"


class Space:
    """`here` is this machine's address as seen from there. `number` is free among those of this process, below 8."""

    def __init__(self, number):
        self.name = f"slab{os.getpid()}s{number}"
        self.near = self.name[-15:]
        block = (os.getpid() * 8 + number) % 32768          # of 198.18.0.0/15, which is for tests: four addresses each
        prefix = f"198.{18 + block // 16384}.{block // 64 % 256}"
        self.here, self.there = (f"{prefix}.{block % 64 * 4 + i}" for i in (1, 2))
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="sc_netns_"))
        self.dir.chmod(0o755)
        _do("netns", "add", self.name)
        _do("link", "add", self.near, "type", "veth", "peer", "name", "far", "netns", self.name)
        _do("addr", "add", f"{self.here}/30", "dev", self.near)
        _do("link", "set", self.near, "up")
        for words in (("addr", "add", f"{self.there}/30", "dev", "far"), ("link", "set", "far", "up"), ("link", "set", "lo", "up")):
            _do("-n", self.name, *words)

    def _ends(self, way):
        """Of that way what each sender believes: where the other one is."""
        sent = [("-n", self.name, "neigh", "{}", self.here, "dev", "far")] if way in ("both", "from there") else []
        return sent + ([("neigh", "{}", self.there, "dev", self.near)] if way in ("both", "to there") else [])

    def cut(self, way="both"):
        """What is sent that way ("both", "from there", "to there") is lost. No connection is closed, and no sender is told."""
        for words in self._ends(way):
            _do(*(w.format("replace") for w in words), "lladdr", NOWHERE, "nud", "permanent")

    def heal(self):
        for words in self._ends("both"):
            _ip(*(w.format("del") for w in words))

    def stop(self):
        _ip("netns", "del", self.name)
        _ip("link", "del", self.near)
        shutil.rmtree(self.dir, ignore_errors=True)


class FarNode(Node):
    """In a space of its own, and asked over a socket's path, which goes through no network."""

    def __init__(self, fleet, space, name, server="", **kw):
        self.space = space
        self.path = f"{space.dir}/{name}.sock"
        super().__init__(fleet, name, f"redis://{space.here}:{fleet.redis.port}", server=f"listen unix:{self.path}; {server}", **kw)

    def start(self, *args, **kw):
        self.address = self.path
        return super().start(*args, **kw)

    def _command(self, *args):
        return [IP, "netns", "exec", self.space.name, *super()._command(*args)]

    def _listens(self):
        try:
            self.connect().close()
            return True
        except OSError:
            return False
