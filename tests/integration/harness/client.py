"""A raw HTTP/1.1 client: shows header lines as they came, in order; can be slow, and can hang up."""
import pathlib
import socket
import struct

from .wait import wait_until


class Response:
    def __init__(self, status, reason, lines, body=b""):
        self.status = status
        self.reason = reason
        self.lines = lines                      # raw header lines, in order
        self.headers = [(n.strip(), v.strip()) for n, _, v in (x.partition(":") for x in lines)]
        self.body = body

    def all(self, name):
        return [v for n, v in self.headers if n.lower() == name.lower()]

    def header(self, name):
        values = self.all(name)
        return values[0] if values else None

    @property
    def cache(self):
        return self.header("X-Cache")

    @property
    def why(self):
        return self.header("X-Reason")

    @property
    def text(self):
        return self.body.decode("utf-8", "replace")

    def __repr__(self):
        return f"<{self.status} {self.lines} {self.body[:80]!r}>"


def _in_proc(address):
    """As /proc/net/tcp writes it."""
    host, port = address
    return f"{int.from_bytes(socket.inet_aton(host), 'little'):08X}:{port:04X}"


def _has_read_all(reader, writer):
    """On this machine: the reader's end is somebody's, and nothing lies unread in it."""
    for line in pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:]:
        word = line.split()
        if (word[1], word[2]) == (_in_proc(reader), _in_proc(writer)):
            return word[9] != "0" and int(word[4].partition(":")[2], 16) == 0
    return False


class Connection:
    """One connection; not pipelined. `address` is (host, port) or a path of a unix socket."""

    def __init__(self, address, timeout=20, receive_buffer=None):
        family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
        self.sock = socket.socket(family, socket.SOCK_STREAM)
        if receive_buffer:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.sock.settimeout(timeout)
        self.sock.connect(address)
        self.buffer = b""
        self.eof = False

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def send(self, path, method="GET", headers=(), body=None, host="localhost", version="1.1"):
        lines = [f"{method} {path} HTTP/{version}"]
        if host is not None:
            lines.append(f"Host: {host}")
        lines += [h if isinstance(h, str) else f"{h[0]}: {h[1]}" for h in headers]
        if body is not None:
            lines.append(f"Content-Length: {len(body)}")
        self.send_raw("\r\n".join(lines).encode() + b"\r\n\r\n" + (body or b""))

    def send_raw(self, data):
        self.sock.sendall(data)

    def begin(self, data):
        """Sends the beginning of a request. Whoever has it when this returns keeps it: it was read, not only sent."""
        self.send_raw(data)
        ends = self.sock.getpeername(), self.sock.getsockname()
        wait_until(lambda: _has_read_all(*ends), "the beginning of a request is read")

    def more(self):
        data = self.sock.recv(65536)
        if not data:
            self.eof = True
        self.buffer += data
        return bool(data)

    def _line(self):
        while b"\r\n" not in self.buffer:
            if not self.more():
                raise EOFError(f"closed within a line: {self.buffer[:200]!r}")
        line, self.buffer = self.buffer.split(b"\r\n", 1)
        return line

    def read(self, n):
        """Exactly n bytes of what follows; EOFError carries what there was."""
        while len(self.buffer) < n:
            if not self.more():
                raise EOFError(f"closed after {len(self.buffer)} of {n} bytes")
        data, self.buffer = self.buffer[:n], self.buffer[n:]
        return data

    def read_any_header(self):
        """Status and header lines of the next response, be it an interim one."""
        _, _, rest = self._line().decode("latin-1").partition(" ")
        status, _, reason = rest.partition(" ")
        lines = []
        while (line := self._line()) != b"":
            lines.append(line.decode("latin-1"))
        return Response(int(status), reason, lines)

    def read_header(self):
        """Those of the next final response; the body is left unread."""
        while True:
            response = self.read_any_header()
            if response.status >= 200:
                return response

    def read_body(self, response, method="GET"):
        if method == "HEAD" or response.status in (204, 304):
            return response
        if "chunked" in (response.header("Transfer-Encoding") or ""):
            response.body = self._chunked()
        elif response.header("Content-Length") is not None:
            response.body = self.read(int(response.header("Content-Length")))
        else:
            while self.more():
                pass
            response.body, self.buffer = self.buffer, b""
        return response

    def _chunked(self):
        body = b""
        while (size := int(self._line().split(b";")[0], 16)) > 0:
            body += self.read(size)
            self.read(2)
        while self._line() != b"":
            pass
        return body

    def request(self, path, method="GET", **kw):
        self.send(path, method, **kw)
        return self.read_body(self.read_header(), method)

    def abort(self):
        """Closes with a reset, as a client that is killed."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def close(self):
        self.sock.close()
