"""A scripted origin: raw sockets, one thread per connection; says exactly what a test wants it to, when it wants."""
import collections
import socket
import struct
import threading

REASONS = {200: "OK", 204: "No Content", 206: "Partial Content", 301: "Moved Permanently", 302: "Found",
           304: "Not Modified", 404: "Not Found", 410: "Gone", 500: "Internal Server Error",
           502: "Bad Gateway", 503: "Service Unavailable"}

Request = collections.namedtuple("Request", "method target version lines body connection")


def request_header(request, name):
    values = [v.strip() for n, _, v in (x.partition(":") for x in request.lines) if n.lower() == name.lower()]
    return values[0] if values else None


class Reply:
    """One answer.

    headers      raw lines, or (name, value) pairs; sent in order, nothing added but framing
    body         bytes or str, or a list of these, of threading.Events that are waited for in between, and of pauses in seconds
    framing      "length", "chunked", "close" (HTTP/1.1, Connection: close) or "none" (headers say it all)
    before       Event to wait for before the header is sent, or how long the origin thinks, in seconds
    truncate     close after so many body bytes; with reset=True by RST
    raw          bytes to send instead of all of that
    """

    def __init__(self, body=b"", status=200, headers=(), framing="length", before=None, truncate=None,
                 reset=False, raw=None, version="1.1", reason=None):
        self.parts = [p.encode() if isinstance(p, str) else p for p in (body if isinstance(body, list) else [body])]
        self.status, self.headers, self.framing = status, headers, framing
        self.before, self.truncate, self.reset, self.raw = before, truncate, reset, raw
        self.version, self.reason = version, reason

    def header(self):
        lines = [f"HTTP/{self.version} {self.status} {self.reason or REASONS.get(self.status, 'Whatever')}"]
        lines += [h if isinstance(h, str) else f"{h[0]}: {h[1]}" for h in self.headers]
        if self.framing == "length" and self.status not in (204, 304):
            lines.append(f"Content-Length: {sum(len(p) for p in self.parts if isinstance(p, bytes))}")
        elif self.framing == "chunked":
            lines.append("Transfer-Encoding: chunked")
        elif self.framing == "close":
            lines.append("Connection: close")
        return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"


class Origin:
    def __init__(self, path=None):
        """At a port, or at a path: that one is the same in all network namespaces."""
        if path is None:
            self.listener = socket.create_server(("127.0.0.1", 0), backlog=512)
            self.port = self.listener.getsockname()[1]
            self.address = f"127.0.0.1:{self.port}"
        else:
            self.listener = socket.socket(socket.AF_UNIX)
            self.listener.bind(str(path))
            self.listener.listen(512)
            self.address = f"unix:{path}"
        self.changed = threading.Condition()
        self.log = []                      # every Request, in order of arrival
        self.errors = []
        self.stopped = threading.Event()
        self._replies = {}                 # path -> list of Reply or a function Request -> Reply
        self._count = collections.Counter()
        self._open = set()
        self._connections = 0
        self._asked = self._answered = 0
        self._acceptor = threading.Thread(target=self._accept, daemon=True)
        self._acceptor.start()

    def is_idle(self):
        """Whether all that was asked has been answered, to the last byte."""
        with self.changed:
            return self._answered == self._asked

    # ---- the script -----------------------------------------------------------------------------------------
    def reply(self, path, body=b"", **kw):
        self._replies[path] = [Reply(body, **kw)]

    def sequence(self, path, *replies):
        """One reply for each request, in order; the last one is given again and again."""
        self._replies[path] = list(replies)

    def handle(self, path, function):
        """function(request) -> Reply. Path "*" is for all paths that have nothing of their own."""
        self._replies[path] = function

    # ---- what was seen --------------------------------------------------------------------------------------
    def requests(self, path=None):
        with self.changed:
            return [r for r in self.log if path is None or r.target.partition("?")[0] == path]

    def hits(self, path=None):
        return len(self.requests(path))

    def wait_for_hits(self, path, n, deadline=20):
        def enough():
            return sum(r.target.partition("?")[0] == path for r in self.log) >= n
        with self.changed:
            assert self.changed.wait_for(enough, deadline), f"origin saw fewer than {n} requests for {path}"

    # ---- the wire -------------------------------------------------------------------------------------------
    def _accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            self._connections += 1
            self._open.add(sock)
            threading.Thread(target=self._serve, args=(sock, self._connections), daemon=True).start()

    def _serve(self, sock, number):
        try:
            stream = sock.makefile("rb")
            while (request := self._read_request(stream, number)) is not None:
                try:
                    again = self._answer(sock, request, self._choose(request))
                finally:
                    with self.changed:
                        self._answered += 1
                        self.changed.notify_all()
                if not again:
                    break
        except OSError:
            pass                            # nginx may go away at any time; tests look at what it did before
        except Exception as e:              # noqa: BLE001 - a broken script must fail the test, not a thread
            self.errors.append(repr(e))
        finally:
            self._open.discard(sock)
            sock.close()

    def _read_request(self, stream, number):
        first = stream.readline().decode("latin-1").rstrip("\r\n")
        if not first:
            return None
        method, target, version = first.split(" ", 2)
        lines, length = [], 0
        while (line := stream.readline().decode("latin-1").rstrip("\r\n")) != "":
            lines.append(line)
            name, _, value = line.partition(":")
            if name.lower() == "content-length":
                length = int(value)
        return self._arrived(Request(method, target, version, lines, stream.read(length), number))

    def _arrived(self, request):
        with self.changed:
            self.log.append(request)
            self._asked += 1
            self.changed.notify_all()
        return request

    def _choose(self, request):
        path = request.target.partition("?")[0]
        script = self._replies.get(path, self._replies.get("*"))
        if script is None:
            return Reply("no script for this path\n", status=404)
        if callable(script):
            return script(request)
        with self.changed:
            n = self._count[path]
            self._count[path] += 1
        return script[min(n, len(script) - 1)]

    def _wait(self, what):
        """For an Event, or for so many seconds; no longer than the origin runs."""
        if isinstance(what, (int, float)):
            if self.stopped.wait(what):
                raise OSError("origin stopped")
            return
        while not what.wait(0.05):
            if self.stopped.is_set():
                raise OSError("origin stopped")

    def _answer(self, sock, request, reply):
        """Returns whether the connection may be used again."""
        if reply.before is not None:
            self._wait(reply.before)
        if reply.raw is not None:
            sock.sendall(reply.raw)
            return False
        header = reply.header()
        left = reply.truncate
        if left is None or left >= 0:
            sock.sendall(header)
        for part in reply.parts if request.method != "HEAD" else []:
            if not isinstance(part, bytes):
                self._wait(part)
                continue
            piece = part if left is None else part[:max(left, 0)]
            if piece:
                sock.sendall(b"%x\r\n%s\r\n" % (len(piece), piece) if reply.framing == "chunked" else piece)
            if left is not None:
                left -= len(part)
                if left <= 0:
                    break
        if reply.truncate is not None:
            if reply.reset:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            return False
        if reply.framing == "chunked" and request.method != "HEAD":
            sock.sendall(b"0\r\n\r\n")
        wants_close = (request_header(request, "Connection") or "").lower() == "close"
        return reply.framing != "close" and request.version == "HTTP/1.1" and not wants_close

    def drop_connections(self):
        """Resets all that is open, as an origin that is killed."""
        for sock in list(self._open):
            try:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def stop(self):
        self.stopped.set()
        # Not closed before the thread has left it: about to accept, it would do so on the next origin's socket, which gets
        # the same descriptor.
        if self.listener.fileno() != -1:   # a test may have stopped it before
            self.listener.shutdown(socket.SHUT_RDWR)
            self._acceptor.join()
            self.listener.close()
        self.drop_connections()
