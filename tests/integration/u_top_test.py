"""tools/slab-cache-top: one report as text, and live in a real terminal."""
import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios

import pytest
from harness.nginx import TOP
from harness.origin import Reply
from harness.wait import wait_until

PROGRAM = TOP / "tools/slab-cache-top"


def once(url, *args, code=0):
    p = subprocess.run([sys.executable, PROGRAM, "--once", *args, url], capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    assert p.returncode == code, p.stdout + p.stderr
    return p.stdout if code == 0 else p.stderr


@pytest.fixture
def busy(cached, origin):
    """A zone with three hits of four requests, a route that is never stored, and a purge."""
    origin.reply("/good", "x" * 2000, headers=["Cache-Control: max-age=600"])
    origin.handle("/slow", lambda request: Reply("slow", before=0.05))
    n = cached()
    for _ in range(4):
        n.get("/good")
    for _ in range(2):
        n.get("/slow")
    n.purge("/other")
    return n


def url(n):
    return f"http://127.0.0.1:{n.port}/_cache/"


def test_a_report_has_ratio_memory_routes_with_reasons_and_purges(busy):
    text = once(url(busy))
    assert "zone one" in text and re.search(r"hit ratio +- now +50\.0 % since start", text)
    assert re.search(r"^  +\d+ ms +2 +\d+ ms  localhost/slow  \[NO_FRESHNESS: neither response nor slab_cache_valid names a lifetime\]$", text, re.M)
    assert re.search(r"purges +1 \(-\)", text) and "1 objects" in text and re.search(r"memory +\[[#.]{20}\] \d+\.\d %", text)


def test_the_ratio_now_is_of_the_time_between_two_looks(busy):
    p = subprocess.Popen([sys.executable, PROGRAM, "--once", "--interval", "1", url(busy)], stdout=subprocess.PIPE, text=True)
    while p.poll() is None:
        busy.get("/good")
    assert re.search(r"hit ratio +100\.0 % now", out := p.stdout.read()), out
    p.stdout.close()


@pytest.mark.parametrize("by, words", [("saved", "localhost/good"), ("hits", "localhost/good"), ("bytes", "/good"), ("lost", "localhost/slow")])
def test_routes_by(busy, by, words):
    text = once(url(busy), "--by", by)
    assert words in text.split(":\n", 1)[1].split("\n\n")[0]


def test_by_a_unix_socket_and_with_several_zones(nginx, tmp_path):
    nginx.start("location /_cache/ { slab_cache_api; allow unix:; deny all; }", server=f"listen unix:{tmp_path}/s;",
                zone="slab_cache_zone zone=one:16m; slab_cache_zone zone=two:16m;")
    assert "zone two  (others: one)" in once(f"unix:{tmp_path}/s:/_cache/", "--zone", "two")
    assert "no zone 'three'; there are: one, two" in once(f"unix:{tmp_path}/s", "--zone", "three", code=1)


@pytest.mark.parametrize("where, words", [("http://127.0.0.1:1/_cache/", "refused"), ("ftp://h/", "is no address"), ("/x", "is no address")])
def test_what_does_not_answer_is_said_in_a_line(where, words):
    text = once(where, code=1)
    assert words in text and text.startswith("slab-cache-top: ") and text.count("\n") == 1


def test_a_site_without_the_api_is_told_apart(busy):
    assert "404" in once(f"http://127.0.0.1:{busy.port}/nosuch/", code=1)
    assert "405" not in once(f"http://127.0.0.1:{busy.port}/_cache/", "--rows", "1")


def test_without_a_terminal_it_says_what_to_do():
    p = subprocess.run([sys.executable, PROGRAM, "http://h/"], capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    assert p.returncode == 2 and "say --once" in p.stderr


class Terminal:
    """The program in a pseudo terminal; `text` is what it has written, without the control sequences."""

    def __init__(self, *args, rows=30, columns=110):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.environ["TERM"] = "xterm"
            os.execv(sys.executable, [sys.executable, str(PROGRAM), *args])
        self.resize(rows, columns)
        self.raw, self.status = b"", None

    def resize(self, rows, columns):
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def key(self, text):
        self.raw = b""
        os.write(self.fd, text.encode())

    def text(self):
        while select.select([self.fd], [], [], 0)[0]:
            try:
                data = os.read(self.fd, 65536)
            except OSError:
                break
            if not data:
                break
            self.raw += data
        return re.sub(r"\x1b(\[[0-9;?]*[A-Za-z]|[()][A-B0]|[=>])", " ", self.raw.decode("utf-8", "replace"))

    def shows(self, words):
        wait_until(lambda: re.search(words, self.text()), f"{words} on the terminal; it shows\n{self.text()}")

    def ended(self):
        if self.status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self.text()
            self.status = (status,) if pid else None
        return self.status

    def close(self):
        if not self.ended():
            os.kill(self.pid, 9)
            os.waitpid(self.pid, 0)
        os.close(self.fd)


@pytest.fixture
def terminal():
    opened = []

    def run(*args, **kw):
        opened.append(Terminal(*args, **kw))
        return opened[-1]
    yield run
    for t in opened:
        t.close()


def test_live_in_a_terminal(busy, terminal):
    t = terminal("--interval", "0.2", url(busy))
    t.shows("zone one")
    t.shows(r"localhost/slow +\[NO_FRESHNESS")
    busy.purge("/other")
    t.shows(r"last 0 s ago")
    t.key("b")
    t.shows("hits saved most")
    t.key("q")
    wait_until(t.ended, "it ends at q")
    assert t.status == (0,)


def test_a_terminal_of_any_size_is_enough(busy, terminal):
    for rows, columns in ((1, 1), (2, 10), (8, 40)):
        t = terminal("--interval", "0.1", url(busy), rows=rows, columns=columns)
        t.shows("." if columns == 1 else "slab")
        t.resize(40, 200)
        t.key("b")
        t.shows("saved")
        t.key("q")
        wait_until(t.ended, "it ends at q")
        assert t.status == (0,), t.text()


def test_it_says_when_nginx_is_gone_and_goes_on_when_it_is_back(busy, terminal, origin):
    t = terminal("--interval", "0.1", url(busy))
    t.shows("zone one")
    busy.stop()
    t.shows("refused")
    busy.start(text=busy.text)

    def repainted():
        t.key("\x0c")
        return wait_until(t.text, "it repaints")
    wait_until(lambda: "zone one" in repainted(), "the report is back")


def test_keys_of_zones_go_round(nginx, terminal):
    nginx.start("location /_cache/ { slab_cache_api; allow 127.0.0.1; deny all; }",
                zone="slab_cache_zone zone=one:16m; slab_cache_zone zone=two:16m;")
    t = terminal(f"http://127.0.0.1:{nginx.port}/_cache/")
    t.shows("zone one")
    t.key("z")
    t.shows("two")
    t.key("z")
    t.shows("one")
