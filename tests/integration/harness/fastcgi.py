"""A FastCGI responder, just enough of the protocol: answers each request with what function(params) returns."""
import socket
import struct

from harness.listener import serve_each

BEGIN, END, PARAMS, STDIN, STDOUT = 1, 3, 4, 5, 6


def _length(data, at):
    if data[at] < 128:
        return data[at], at + 1
    return struct.unpack(">I", data[at:at + 4])[0] & 0x7FFFFFFF, at + 4


def parse_params(data):
    params, at = {}, 0
    while at < len(data):
        n, at = _length(data, at)
        v, at = _length(data, at)
        params[data[at:at + n].decode()] = data[at + n:at + n + v].decode()
        at += n + v
    return params


class FastCgi:
    """Listens on a unix socket. function(params) -> bytes: CGI header lines, an empty line, the body."""

    def __init__(self, path, function):
        self.function = function
        self.requests = []
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(path))
        self.listener.listen(64)
        serve_each(self.listener, self._serve)

    def _serve(self, sock):
        stream, params = sock.makefile("rb"), b""
        with sock:
            while True:
                head = stream.read(8)
                if len(head) < 8:
                    return
                _, kind, request_id, length, padding = struct.unpack(">BBHHBx", head)
                content = stream.read(length)
                stream.read(padding)
                if kind == PARAMS:
                    params += content
                elif kind == STDIN and not content:
                    self._answer(sock, request_id, parse_params(params))
                    return

    def _answer(self, sock, request_id, params):
        self.requests.append(params)
        out = self.function(params)
        for i in range(0, len(out), 60000):
            piece = out[i:i + 60000]
            sock.sendall(struct.pack(">BBHHBx", 1, STDOUT, request_id, len(piece), 0) + piece)
        sock.sendall(struct.pack(">BBHHBx", 1, STDOUT, request_id, 0, 0))
        sock.sendall(struct.pack(">BBHHBxIB3x", 1, END, request_id, 8, 0, 0, 0))

    def stop(self):
        self.listener.close()
