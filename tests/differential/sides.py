"""The two nginx of one scenario, and how they are asked."""
import gzip
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import zlib

from conf import render
from harness.client import Connection
from harness.nginx import Nginx, reserve_port
from harness.wait import wait_until

DEADLINE = 3.5       # the slowest page takes 0.2 s; slab_cache_lock_timeout, 5 s, is a hang


class Answer:
    """What a client saw: complete, broken off (it says so itself), or none within the deadline."""

    def __init__(self, response=None, fault=None, port=0):
        self.fault = fault                                       # None, "broken", "hang"
        self.status = response.status if response else 0
        # Each side has a port of its own, and nginx names it in what it redirects to.
        self.headers = [(n, v.replace(f":{port}/", ":<port>/")) for n, v in response.headers] if response else []
        self.body = response.body if response else b""
        self.raw = self.body
        self.coding = self.header("Content-Encoding")
        if self.coding == "gzip" and self.status != 206 and self.body and not fault:
            try:
                self.body = gzip.decompress(self.body)
            except (OSError, EOFError, zlib.error):
                self.fault = "bad gzip"

    def header(self, name):
        return next((v for n, v in self.headers if n.lower() == name.lower()), None)

    def show(self):
        fields = "; ".join(f"{n}: {v}" for n, v in self.headers if n not in ("Server", "Date", "Connection"))
        return f"{self.fault or ''} {self.status} {{{fields}}} {self.body[:200]!r}".strip()


def make_root():
    """The static files; both sides serve the same ones."""
    root = pathlib.Path(tempfile.mkdtemp(prefix="sd_", dir=os.environ.get("SLAB_TMP", "/tmp")))
    root.chmod(0o755)
    files = {"a.txt": "static a\n", "index.html": "static index\n", "404.html": "own 404\n", "d/index.html": "static d index\n", "d/a.txt": "static d a\n",
             "d/a.css": "plain css\n", "a.css": "plain css\n", "d/index.php": "php source\n", "d/sub/x": "x\n", "lang/x.en": "english\n",
             "lang/x.de": "deutsch\n", "lang/y": "any\n", "p4": "static p4\n", "d/s.shtml": "<!--#include virtual=\"/a.txt\" --> ssi\n",
             "htpasswd": "alice:{PLAIN}secret\nbob:{PLAIN}word\n"}
    for name, text in files.items():
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text(text)
    for name in ("a.css.gz", "d/a.css.gz"):
        (root / name).write_bytes(gzip.compress(b"zipped css\n", mtime=0))
    (root / "d/big.bin").write_bytes(b"0123456789abcdef" * 20000)
    for path in root.rglob("*"):
        os.utime(path, (1_700_000_000, 1_700_000_000))
    return root


class Refused(Exception):
    """nginx does not take the configuration; says why."""


class Side:
    def __init__(self, cached):
        self.cached, self.nginx = cached, Nginx()
        self.kept = {}
        self.second = self.nginx.another_port()

    def start(self, scenario, names):
        text = render(scenario, self.cached, self.nginx, {**names, "<port>": str(self.nginx.port), "<port2>": str(self.second),
                                                       "<own>": f"{self.nginx.prefix}/html"})
        try:
            self.nginx.start(text=text)
        except AssertionError:
            said = [line for line in self.nginx.error_log().splitlines() if "[emerg]" in line]
            raise Refused("\n".join(said) or self.nginx.output()[-500:]) from None
        wait_until(lambda: len(self.nginx.workers()) == scenario.get("workers", 1), "all workers are there")
        self.pids = self.nginx.workers()

    # ---- asking -----------------------------------------------------------------------------------------------------
    def connect(self):
        return Connection(self.nginx.address, timeout=DEADLINE)

    def send(self, connection, request):
        body = request.get("body")
        connection.send(request["target"], request["method"], request["headers"], body.encode() if body else None, request["host"],
                        request.get("version", "1.1"))

    def receive(self, connection, request, end=None):
        """end: when those that were sent together should all be there."""
        response = None
        try:
            if end:
                connection.sock.settimeout(max(end - time.monotonic(), 0.1))
            response = connection.read_header()
            return Answer(connection.read_body(response, request["method"]), None, self.nginx.port)
        except socket.timeout:
            return Answer(response, "hang", self.nginx.port)
        except (OSError, EOFError, ValueError, IndexError):
            return Answer(response, "broken", self.nginx.port)

    def ask(self, request):
        keep = request.get("keep")
        connection = self.kept.pop("c", None) if keep else None
        if connection is not None:
            answer = self.ask_on(connection, request)
            if not (answer.fault == "broken" and answer.status == 0):
                return answer
        # A server may close a kept connection at any time: then a client asks again (RFC 9110 9.2.2).
        return self.ask_on(None, request)

    def ask_on(self, connection, request):
        keep = request.get("keep")
        try:
            connection = connection or self.connect()
            self.send(connection, request)
            answer = self.receive(connection, request)
            if keep and answer.fault is None and (answer.header("Connection") or "") != "close" and not connection.eof:
                self.kept["c"], connection = connection, None
            return answer
        except OSError:
            return Answer(None, "broken")
        finally:
            if connection:
                connection.close()

    def api(self, method, path, body=None):
        """The module's own answer, for purges and metrics."""
        headers = ["Content-Type: application/json"] if body else []
        return self.ask({"method": method, "host": "api.test", "target": f"/_c/{path}", "headers": headers, "body": body})

    def burst(self, requests):
        connections = [self.connect() for _ in requests]
        try:
            for c, r in zip(connections, requests):
                self.send(c, r)
            end = time.monotonic() + DEADLINE
            return [self.receive(c, r, end) for c, r in zip(connections, requests)]
        finally:
            for c in connections:
                c.close()

    def abort(self, request):
        with self.connect() as c:
            self.send(c, request)

    # ---- the end ----------------------------------------------------------------------------------------------------
    def finish(self):
        """What is wrong with how it lived and died."""
        for c in self.kept.values():
            c.close()
        wrong = []
        if self.cached and self.nginx.process is not None and self.nginx.process.poll() is None:
            wrong += self.pins()
        if self.nginx.process is not None and self.nginx.process.poll() is None:
            if not self.wait_workers():
                wrong.append("workers died")
            self.nginx.process.send_signal(signal.SIGQUIT)
            try:
                self.nginx.process.wait(8)
            except subprocess.TimeoutExpired:
                wrong.append("does not end within 8 s of QUIT: a connection or a timer is left")
        return [f"logged: {line.split('] ', 1)[-1]}" for line in self.nginx.complaints()] + wrong

    def pins(self):
        """Objects that are held though nobody asks any more."""
        def held():
            return sum(float(x) for x in re.findall(r"(?m)^slab_cache_pins\S* (\d+)", self.api("GET", "metrics").body.decode()))
        try:
            wait_until(lambda: not held(), "nothing is held", 3)
        except AssertionError:
            return [f"pins are left: {held():g}"]
        return []

    def wait_workers(self):
        return self.nginx.workers() == self.pids

    def clean_up(self):
        try:
            self.nginx.stop()
        except AssertionError:
            pass
        self.nginx.clean_up(keep=False)


def dead_port():
    """A port that nobody listens on while the socket lives."""
    return reserve_port()


def remove_root(root):
    shutil.rmtree(root, ignore_errors=True)
