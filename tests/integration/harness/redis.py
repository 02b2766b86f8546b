"""A real Redis in a directory of its own, a client for it, and a TCP proxy that can cut, stall and break what goes through."""
import contextlib
import os
import select
import shutil
import socket
import subprocess
import threading

from .server import Server
from .wait import wait_until

# Debian's redis-tools has the program under this name; what it does depends on the name it is called by.
PROGRAM = shutil.which("redis-server") or shutil.which("redis-check-rdb")


class RedisError(Exception):
    pass


class Client:
    """RESP, as much of it as tests need. call("XADD", …) returns bytes, int, None or lists of them."""

    def __init__(self, port, timeout=20):
        self.sock = socket.create_connection(("127.0.0.1", port), timeout)
        self.stream = self.sock.makefile("rb")

    def send(self, *words):
        self.sock.sendall(b"*%d\r\n" % len(words) + b"".join(
            b"$%d\r\n%s\r\n" % (len(w), w) for w in (x if isinstance(x, bytes) else str(x).encode() for x in words)))

    def read(self):
        line = self.stream.readline()
        if not line.endswith(b"\r\n"):
            raise EOFError("Redis closed the connection")
        kind, rest = line[:1], line[1:-2]
        if kind == b"-":
            raise RedisError(rest.decode())
        if kind == b":":
            return int(rest)
        if kind == b"+":
            return rest
        if kind == b"$":
            return None if rest == b"-1" else self.stream.read(int(rest) + 2)[:-2]
        return None if rest == b"-1" else [self.read() for _ in range(int(rest))]

    def call(self, *words):
        self.send(*words)
        return self.read()

    def xadd(self, stream="slab", **fields):
        """As an application does it."""
        return self.call("XADD", stream, "MAXLEN", "~", "100000", "*", *(x for f in fields.items() for x in f)).decode()

    def close(self):
        self.stream.close()
        self.sock.close()


class Redis(Server):
    """`name` is redis-server or redis-sentinel."""

    def __init__(self, *options, name="redis-server", config=None, port=None):
        assert PROGRAM, "no Redis here: tools/deps.sh test"
        super().__init__("sc_redis_", port)
        self.program = self.dir / name
        self.program.symlink_to(os.path.realpath(PROGRAM))
        self.config, self.options = config, options
        self.start()

    def start(self, *options):
        args = [str(self.program)]
        if self.config is not None:
            path = self.dir / "server.conf"
            if not path.exists():
                path.write_text(self.config)
            args.append(str(path))
        with open(self.dir / "output", "ab") as output:
            self.process = subprocess.Popen([*args, "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.dir), "--save", "",
                                             *self.options, *options] if self.program.name == "redis-server" else
                                            [*args, "--port", str(self.port), "--bind", "127.0.0.1", *self.options],
                                            stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        wait_until(self._answers, "Redis answers")
        return self

    def _answers(self):
        assert self.process.poll() is None, (self.dir / "output").read_text(errors="replace")
        with contextlib.suppress(OSError, EOFError):
            with self.client() as c:
                try:
                    return c.call("PING") == b"PONG"
                except RedisError as e:
                    return "LOADING" not in str(e)
        return False

    @contextlib.contextmanager
    def client(self):
        c = Client(self.port)
        try:
            yield c
        finally:
            c.close()

    def call(self, *words):
        with self.client() as c:
            return c.call(*words)

    def xadd(self, stream="slab", **fields):
        with self.client() as c:
            return c.xadd(stream, **fields)

    def entries(self, stream="slab"):
        """[(id, {field: value})]"""
        found = []
        for number, flat in self.call("XRANGE", stream, "-", "+"):
            texts = [x.decode() for x in flat]
            found.append((number.decode(), dict(zip(texts[::2], texts[1::2]))))
        return found


class Proxy:
    """Between nginx and Redis. cut(): refused, and what is open is reset; stall(): nothing goes through, nothing is closed;
    heal(): as before. `answers` (bytes -> bytes) rewrites what the server says. wait_until_held(): nginx has asked something since
    stall(), and it goes no further."""

    def __init__(self, port):
        self.to = port
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self.listener.getsockname()[1]
        self.address = f"127.0.0.1:{self.port}"
        self.is_cut = False
        self.flows = threading.Event()
        self.flows.set()
        self.answers = None
        self.held = threading.Event()
        self.chunk = 65536
        self._open = set()
        self._lock = threading.Lock()
        self._stopped = False
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while not self._stopped:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            if self.is_cut:
                self._reset(client)
                continue
            try:
                server = socket.create_connection(("127.0.0.1", self.to), 20)
            except OSError:
                self._reset(client)
                continue
            with self._lock:
                self._open |= {client, server}
            threading.Thread(target=self._carry, args=(client, server), daemon=True).start()

    def _carry(self, client, server):
        try:
            while True:
                for sock in select.select([client, server], [], [], 30)[0]:
                    data = sock.recv(self.chunk)
                    if data and sock is client and not self.flows.is_set():
                        self.held.set()
                    while not self.flows.wait(0.05):
                        if self._stopped:
                            return
                    if not data:
                        return
                    if sock is server and self.answers:
                        data = self.answers(data)
                    (server if sock is client else client).sendall(data)
        except (OSError, ValueError):
            pass
        finally:
            with self._lock:
                self._open -= {client, server}
            client.close()
            server.close()

    @staticmethod
    def _reset(sock):
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        sock.close()

    def drop(self):
        """Resets what is open."""
        with self._lock:
            for sock in self._open:
                with contextlib.suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)

    def cut(self):
        self.is_cut = True
        self.drop()

    def stall(self):
        self.held.clear()
        self.flows.clear()

    def wait_until_held(self):
        assert self.held.wait(20), "nothing was asked"

    def heal(self):
        self.is_cut = False
        self.flows.set()

    def stop(self):
        self._stopped = True
        self.flows.set()
        self.cut()
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
