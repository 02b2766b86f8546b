"""A real memcached. What it holds is asked for with the client that applications have."""
import contextlib
import os
import shutil
import socket
import subprocess

from .server import Server
from .wait import wait_until

PROGRAM = shutil.which("memcached")


class Memcached(Server):
    def __init__(self, *options, port=None, answers=b"MN\r\n"):
        assert PROGRAM, "no memcached here: tools/deps.sh test"
        super().__init__("sc_memcached_", port)
        self.options, self.answers = options, answers
        self.start()

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    def start(self):
        user = ["-u", "nobody"] if os.getuid() == 0 else []
        with open(self.dir / "output", "ab") as output:
            self.process = subprocess.Popen([PROGRAM, *user, "-l", "127.0.0.1", "-p", str(self.port), "-U", "0", *self.options],
                                            stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        wait_until(lambda: self.ask(b"mn\r\n") == self.answers, "memcached answers")
        return self

    def ask(self, command):
        """The first line of its answer."""
        assert self.process.poll() is None, (self.dir / "output").read_text(errors="replace")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 20) as s:
            s.sendall(command)
            return s.makefile("rb").readline()
        return b""

    def get(self, key):
        with socket.create_connection(("127.0.0.1", self.port), 20) as s:
            s.sendall(b"mg %s v\r\n" % key.encode())
            stream = s.makefile("rb")
            line = stream.readline().split()
            return stream.read(int(line[1])) if line[0] == b"VA" else None
