"""PURGE requests at a rate, to several nginx, from a process of its own."""
import multiprocessing
import re
import selectors
import socket
import time

CONNECTIONS = 16        # to each node
UNDER_WAY = 32          # of one connection
STATUS = re.compile(rb"HTTP/1\.1 (\d{3})")


class Line:
    """One connection; requests are pipelined on it."""

    def __init__(self, address):
        self.address = address
        self.sock = socket.create_connection(address)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sent = []              # URLs that are not answered yet, in order
        self.tail = b""

    def send(self, paths):
        self.sock.sendall(b"".join(b"PURGE %s HTTP/1.1\r\nHost: localhost\r\n\r\n" % p for p in paths))
        self.sent += paths

    def read(self):
        """Statuses of the answers that have come."""
        data = self.sock.recv(65536)
        if not data:
            raise EOFError
        data = self.tail + data
        statuses, end = [], 0
        for m in STATUS.finditer(data):
            statuses.append(int(m[1]))
            end = m.end()
        self.tail = data[end:][-11:]            # a status line that is not whole
        return statuses


class Load:
    def __init__(self, addresses, rate, seconds):
        self.rate, self.seconds = rate, seconds
        self.selector = selectors.DefaultSelector()
        self.lines = []
        self.answered = self.refused = self.sent = 0
        self.urls = []
        self.start = time.monotonic()
        for address in addresses:
            for _ in range(CONNECTIONS):
                self.connect(address)

    def connect(self, address):
        line = Line(address)
        self.selector.register(line.sock, selectors.EVENT_READ, line)
        self.lines.append(line)

    def replace(self, line):
        """Its worker died: what was not answered does not count."""
        self.selector.unregister(line.sock)
        line.sock.close()
        self.lines.remove(line)
        self.connect(line.address)

    def due(self):
        return int(self.rate * min(time.monotonic() - self.start, self.seconds)) - self.sent

    def send(self):
        for line in list(self.lines) if self.due() > 0 else ():
            n = min(UNDER_WAY - len(line.sent), -(-self.due() // len(self.lines)))
            if n > 0:
                self.sent += n
                try:
                    line.send([b"/p/%d" % i for i in range(self.sent - n, self.sent)])
                except OSError:
                    self.replace(line)

    def receive(self):
        for key, _ in self.selector.select(0.002):
            line = key.data
            if line not in self.lines:
                continue
            try:
                for status in line.read():
                    self.answered += 1
                    self.refused += status not in (200, 202)
                    self.urls.append("localhost" + line.sent.pop(0).decode())
            except (EOFError, OSError):
                self.replace(line)

    def run(self):
        while time.monotonic() - self.start < self.seconds or any(line.sent for line in self.lines):
            self.send()
            self.receive()
        return self.answered, self.refused, time.monotonic() - self.start, self.urls


def run(addresses, rate, seconds, out):
    out.send(Load(addresses, rate, seconds).run())


class PurgeLoad:
    """answered, refused, took and the URLs that were answered are known once it was joined."""

    def __init__(self, addresses, rate, seconds):
        self._in, out = multiprocessing.Pipe(False)
        self._process = multiprocessing.Process(target=run, args=(addresses, rate, seconds, out), daemon=True)
        self.is_done = False
        self.answered = self.refused = 0
        self.took, self.urls = 0.0, []

    def start(self):
        self._process.start()

    def join(self, timeout=None):
        if self._in.poll(timeout):
            self.answered, self.refused, self.took, self.urls = self._in.recv()
            self._process.join()
            self.is_done = True
