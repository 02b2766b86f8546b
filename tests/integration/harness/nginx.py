"""A real nginx in a directory of its own, on ports that are reserved for it."""
import contextlib
import json
import os
import pathlib
import re
import resource
import shutil
import signal
import socket
import subprocess
import tempfile

from .client import Connection
from .wait import DEADLINE, wait_until

TOP = pathlib.Path(__file__).resolve().parents[3]
MODULE = pathlib.Path(os.environ.get("SLAB_MODULE", TOP / "build/ngx_http_slab_cache_module.so")).absolute()
NGINX = os.environ.get("SLAB_NGINX") or shutil.which("nginx") or "/usr/sbin/nginx"
_SAID = subprocess.run([NGINX, "-V"], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True).stderr
VERSION = tuple(int(x) for x in re.search(r"nginx/([\d.]+)", _SAID)[1].split("."))
IS_ANGIE = "Angie/" in _SAID
# For locations whose origin is held back until a number of clients wait: none of them may lose its patience on a slow machine.
PATIENT = "slab_cache_lock_timeout 60s; slab_cache_lock_age 60s;"
# An ordinary user's soft limit is often 1024, of which nginx warns.
_SOFT, _HARD = resource.getrlimit(resource.RLIMIT_NOFILE)
if _SOFT != resource.RLIM_INFINITY and _SOFT < 8192:
    resource.setrlimit(resource.RLIMIT_NOFILE, (8192 if _HARD == resource.RLIM_INFINITY else min(8192, _HARD), _HARD))
BAD = re.compile(r"\[alert\]|\[emerg\]|exited on signal|AddressSanitizer|LeakSanitizer|runtime error:")

CONFIG = """\
{load}
{user}
daemon off;
pid {prefix}/nginx.pid;
error_log {prefix}/error.log {level};
worker_processes {workers};
worker_shutdown_timeout 20s;
{main}
events {{ worker_connections 2048; {events} }}
http {{
    access_log off;
    default_type text/plain;
    client_body_temp_path {prefix}/tmp/body;
    proxy_temp_path {prefix}/tmp/proxy;
    fastcgi_temp_path {prefix}/tmp/fastcgi;
    uwsgi_temp_path {prefix}/tmp/uwsgi;
    scgi_temp_path {prefix}/tmp/scgi;
    {hints}
    {zone}
    {http}
    server {{
        listen 127.0.0.1:{port} backlog=4096{reuseport};
        server_name localhost;
        add_header X-Cache $slab_cache_status always;
        add_header X-Reason $slab_cache_reason always;
        add_header X-Pid $pid always;
        {server}
        {location}
    }}
}}
"""


def reserve_port():
    """A port that nobody else gets while the socket lives; nginx can still listen on it (SO_REUSEADDR)."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind(("127.0.0.1", 0))
    return sock


def is_alive(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


class Nginx:
    def __init__(self):
        self.prefix = pathlib.Path(tempfile.mkdtemp(prefix="sc_", dir=os.environ.get("SLAB_TMP", "/tmp")))
        self.prefix.chmod(0o755)
        for d in ("tmp", "modules", "logs", "html"):
            (self.prefix / d).mkdir()
        (self.prefix / "modules" / MODULE.name).symlink_to(MODULE)
        self._reserved = [reserve_port()]
        self.port = self._reserved[0].getsockname()[1]
        self.address = ("127.0.0.1", self.port)
        self.process = None
        self.expected = []
        self.text = ""
        self._output = None

    # ---- configuration --------------------------------------------------------------------------------------
    def another_port(self):
        self._reserved.append(reserve_port())
        return self._reserved[-1].getsockname()[1]

    def config(self, location="", server="", http="", main="", events="", workers=1, level="notice",
               zone="slab_cache_zone zone=one:16m;"):
        return CONFIG.format(load="load_module modules/ngx_http_slab_cache_module.so;",
                             user="user root;" if os.getuid() == 0 else "", prefix=self.prefix, port=self.port,
                             location=location, server=server, http=http, main=main, events=events,
                             workers=workers, level=level, zone=zone,
                             hints="early_hints 1;" if VERSION >= (1, 29) else "",
                             # Spreads connections over the workers by their ports, where the kernel would
                             # otherwise give a lone client's to the same worker again and again.
                             reuseport=" reuseport" if workers > 1 else "")

    def write(self, text):
        self.text = text
        (self.prefix / "nginx.conf").write_text(text)

    def _command(self, *args):
        return [NGINX, "-p", f"{self.prefix}/", "-c", f"{self.prefix}/nginx.conf", "-e", f"{self.prefix}/error.log", *args]

    def _environment(self):
        preload = os.environ.get("SLAB_PRELOAD")
        clean = {k: v for k, v in os.environ.items() if k != "NGINX"}    # nginx's own: inherited sockets
        return {**clean, **({"LD_PRELOAD": preload} if preload else {})}

    def test_config(self, text=None, **kw):
        """nginx -t: its exit code and what it says."""
        self.write(text if text is not None else self.config(**kw))
        p = subprocess.run([NGINX, "-t", "-p", f"{self.prefix}/", "-c", f"{self.prefix}/nginx.conf", "-e", "stderr"],
                           stdin=subprocess.DEVNULL, capture_output=True, text=True, env=self._environment(), check=False)
        return p.returncode, p.stdout + p.stderr

    # ---- life -----------------------------------------------------------------------------------------------
    def start(self, location="", text=None, deadline=DEADLINE, **kw):
        """Starts and returns when it listens and all workers are there."""
        self.write(text if text is not None else self.config(location, **kw))
        self._output = open(self.prefix / "output", "wb")
        self.process = subprocess.Popen(self._command(), stdin=subprocess.DEVNULL, stdout=self._output,
                                        stderr=self._output, env=self._environment())
        wait_until(lambda: self.process.poll() is not None or (self._listens() and self.workers()), "nginx listens", deadline)
        assert self.process.poll() is None, "nginx did not start:\n" + self.error_log() + self.output()
        return self

    def _listens(self):
        try:
            socket.create_connection(self.address).close()
            return True
        except OSError:
            return False

    def _children(self):
        try:
            pids = pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        except OSError:
            return {}
        titles = {}
        for pid in pids:
            try:
                titles[int(pid)] = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                pass
        return titles

    def workers(self):
        """Pids of the workers of the newest cycle; Angie names itself in their titles."""
        return sorted(p for p, t in self._children().items()
                      if re.match(r"\w*: worker process", t) and "shutting down" not in t)

    def reload(self, **kw):
        """HUP (with a new configuration where one is given); returns when the new workers run."""
        if kw:
            self.write(self.config(**kw))
        old = set(self.workers())
        done = self.error_log().count("reconfiguring")
        self.process.send_signal(signal.SIGHUP)
        wait_until(lambda: self.error_log().count("reconfiguring") > done, "nginx takes the signal")
        wait_until(lambda: set(self.workers()) - old and not set(self.workers()) & old or
                   "[emerg]" in self.error_log(), "new workers")

    def kill_worker(self, pid=None):
        """SIGKILL; returns when another one has taken its place."""
        before = self.workers()
        pid = pid or before[0]
        self.expected += [rf"{pid} exited on signal 9", r"was locked by"]
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: pid not in self.workers() and len(self.workers()) >= len(before), "a new worker")
        return pid

    def kill_all(self, before=lambda pid: None):
        """SIGKILL for master and workers, as by the OOM killer or a power failure of the container; returns when all are
        gone. before(pid) is called for each before the first is killed."""
        pids = [self.process.pid, *self._children()]
        for pid in pids:
            before(pid)
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):       # gone by itself
                os.kill(pid, signal.SIGKILL)
        self.process.wait()
        wait_until(lambda: not any(is_alive(p) for p in pids), "all are gone")
        self._output.close()
        self.process = None

    def stop(self):
        if self.process is None:
            return
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                raise AssertionError("nginx did not end within 15 s of SIGTERM") from None
        self._output.close()
        self.process = None

    def quit(self, deadline):
        """QUIT, and whether that ended it in time; where it did not, everything is killed."""
        self.process.send_signal(signal.SIGQUIT)
        try:
            self.process.wait(deadline)
        except subprocess.TimeoutExpired:
            self.kill_all()
            return False
        self._output.close()
        self.process = None
        return True

    # ---- what it said ---------------------------------------------------------------------------------------
    def error_log(self):
        """All of it; the examples have theirs in logs/."""
        paths = [p for p in (self.prefix / "error.log", self.prefix / "logs/error.log") if p.exists()]
        return "".join(p.read_text(errors="replace") for p in paths)

    def output(self):
        path = self.prefix / "output"
        return path.read_text(errors="replace") if path.exists() else ""

    def expect_log(self, *patterns):
        """Declares lines of error.log that would otherwise fail the test."""
        self.expected += patterns

    def complaints(self):
        return [line for line in (self.error_log() + self.output()).splitlines()
                if BAD.search(line) and not any(re.search(e, line) for e in self.expected)]

    def clean_up(self, keep):
        for sock in self._reserved:
            sock.close()
        if not keep:
            shutil.rmtree(self.prefix, ignore_errors=True)

    # ---- asking it ------------------------------------------------------------------------------------------
    def connect(self, **kw):
        return Connection(self.address, **kw)

    def request(self, path, method="GET", **kw):
        with self.connect() as c:
            return c.request(path, method, **kw)

    def figures(self, zone="one"):
        """What the API, at /_cache/, says of a zone."""
        return json.loads(self.get(f"/_cache/v1/zones/{zone}").body)

    def wait_for_waiters(self, count):
        """Returns when so many requests have begun to wait for somebody else's fill since the start. That a request is sent
        says nothing: it may be read when the fill is over. What is counted after that needs this, and PATIENT."""
        wait_until(lambda: self.figures()["counters"]["waits"] >= count, f"{count} requests wait for a fill")

    def ask_together(self, path, count, meanwhile):
        """The answers to `count` requests that are all sent before meanwhile() is called."""
        clients = [self.connect() for _ in range(count)]
        for c in clients:
            c.send(path)
        meanwhile()
        answers = [c.read_body(c.read_header()) for c in clients]
        for c in clients:
            c.close()
        return answers

    def get(self, path, *headers, **kw):
        return self.request(path, headers=headers, **kw)

    def purge(self, path, *headers, **kw):
        return self.request(path, "PURGE", headers=headers, **kw)

    def curl(self, *args, path="/", scheme="http", port=None):
        """curl's stdout as bytes: for HTTP/2 and TLS."""
        url = f"{scheme}://localhost:{port or self.port}{path}"
        resolve = f"localhost:{port or self.port}:127.0.0.1"
        p = subprocess.run(["curl", "-sS", "-k", "--max-time", "20", "--resolve", resolve, *args, url],
                           stdin=subprocess.DEVNULL, capture_output=True, check=False)
        assert p.returncode == 0, p.stderr.decode()
        return p.stdout
