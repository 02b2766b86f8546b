"""What anybody can do from outside, with one machine. Each returns when the flood has had its effect, and gives what holds it up."""
import contextlib
import os
import select
import socket
import struct
import threading

from harness.client import Connection
from harness.wait import wait_until


# ---- HTTP/2, as little as a flood needs ------------------------------------------------------------------------------------
def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def text(index, value):
    """A literal field whose name is in the static table."""
    return bytes([index, len(value)]) + value


def get(stream, path):
    return frame(1, 5, stream, b"\x82\x86" + text(1, b"localhost") + text(4, path.encode()))


class Http2:
    """Reads what comes and throws it away."""

    def __init__(self, n, window=None):
        self.sock = socket.create_connection(("127.0.0.1", n.second), timeout=60)
        settings = b"" if window is None else struct.pack(">HI", 4, window)
        self.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0, settings))
        self.bytes, self.pong = 0, threading.Event()
        threading.Thread(target=self._read, daemon=True).start()

    def send(self, data):
        with contextlib.suppress(OSError):      # refused: that is an answer
            self.sock.sendall(data)

    def _read(self):
        tail = b""
        with contextlib.suppress(OSError):
            while data := self.sock.recv(1 << 18):
                self.bytes += len(data)
                tail = (tail + data)[-4096:]
                if b"floodend" in tail:
                    self.pong.set()
        self.pong.set()

    def wait(self):
        """Until all that was sent has been read: the answer to a PING comes after it."""
        self.send(frame(6, 0, 0, b"floodend"))
        self.pong.wait(60)

    def close(self):
        self.sock.close()


def reset_streams(n, count):
    c = Http2(n)
    for i in range(count):
        c.send(get(1 + 2 * i, f"/slow/{os.getpid()}-{i}") + frame(3, 0, 1 + 2 * i, struct.pack(">I", 8)))
    c.wait()
    return [c]


def closed_windows(n, asked, kind, connections, streams):
    """Each stream asks for something else, and takes nothing of it. One connection at a time: what is written at once is no flood."""
    held = []
    for k in range(connections):
        c = Http2(n, window=0)
        for i in range(streams):
            c.send(get(1 + 2 * i, f"/{kind}/{k * streams + i}"))
        c.wait()
        wait_until(lambda: asked.answered.value >= asked.begun(), "the origin has answered all that it was asked")
        held.append(c)
    return held


# ---- HTTP/1.1 --------------------------------------------------------------------------------------------------------------
def hang_up(n, count, asked):
    """One after the other: each leaves when the origin has its request, or it was refused."""
    for i in range(count):
        before = asked.total["slow"].value
        with Connection(n.address, timeout=0.01) as c:
            c.send(f"/slow/limited/{i}")
            for _ in range(2000):
                with contextlib.suppress(TimeoutError):
                    c.more()
                if c.buffer or asked.total["slow"].value > before:
                    break
            c.abort()
    return []


def ask_at_once(n, count):
    """Clients who wait for their answers: what became of them is theirs to say."""
    clients = [Connection(n.address, timeout=60) for _ in range(count)]
    for i, c in enumerate(clients):
        c.send(f"/slow/{i}")
    return clients


def answered(clients):
    return sum(bool(select.select([c.sock], [], [], 0)[0]) for c in clients)


def send_all(n, paths, form):
    """Fifty in flight, on connections of 500."""
    for k in range(0, len(paths), 500):
        with Connection(n.address, timeout=60) as c:
            for i in range(k, min(k + 500, len(paths)), 50):
                part = paths[i:i + 50]
                c.send_raw(b"".join(form % p.encode() for p in part))
                for _ in part:
                    c.read_body(c.read_header())
    return []


def post_all(n, paths):
    return send_all(n, paths, b"POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\nx")


def get_all(n, paths):
    return send_all(n, paths, b"GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n")
