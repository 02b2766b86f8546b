"""The servers that are compared: each in a directory of its own, with one core, before the same origin.

All have 512 MB for what they keep. What is usual is left as Debian has it; what is tuned says so in its configuration.
"""
import contextlib
import os
import pathlib
import re
import shutil
import socket
import subprocess
import tempfile

from harness.nginx import Nginx, reserve_port
from harness.wait import wait_until

from .machine import SERVERS, family, memory_bytes, on_core

MEMORY_MB = 512
OURS = "load_module modules/ngx_http_slab_cache_module.so;"
MODULES = pathlib.Path("/usr/lib/nginx/modules")


def program(name):
    return shutil.which(name) or next((p for p in (f"/usr/sbin/{name}", f"/usr/bin/{name}") if os.path.exists(p)), None)


def said_by(*command):
    p = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    return p.stdout


class Peer:
    """Subclasses say what to start. `lacks` names what this machine has not."""

    name = ""
    is_cache = True         # else it is what the others are compared with
    fills_itself = True     # else the application does, by put()
    purge_by = None         # in words; None: it has no purges
    stored_in = ()          # directories whose files are memory it takes

    def __init__(self, origin):
        self.origin = origin
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="sc_peer_", dir="/dev/shm"))
        self.directory.chmod(0o755)
        self.processes = []

    @classmethod
    def lacks(cls):
        return None

    def start(self):
        with on_core(SERVERS):
            self.run()
        return self

    def run(self):
        raise NotImplementedError

    def spawn(self, *command, env=None):
        with open(self.directory / "said", "ab") as log:
            self.processes.append(subprocess.Popen([str(c) for c in command], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                                   env={**os.environ, **(env or {})}))

    def answers(self):
        """Waits until it is there, and caches."""
        def does():
            assert all(p.poll() is None for p in self.processes), (self.directory / "said").read_text() if (self.directory / "said").exists() else self.name
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 5) as s:
                s.sendall(b"GET /key/is-it-there HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                return b" 200 " in s.recv(4096).partition(b"\r\n")[0]
            return False
        wait_until(does, f"{self.name} answers", 60)

    def pids(self):
        return [pid for p in self.processes for pid in family(p.pid)]

    def memory(self):
        """Bytes that it takes now, with what it stores."""
        return memory_bytes(self.pids(), self.stored_in)

    def put(self, path, body):
        """Stores a body, where the application does that."""

    def line_for_purges(self, client):
        return client(self.port)

    def purge(self, line, path):
        line.get(path, "PURGE")

    def stop(self):
        for p in reversed(self.processes):
            p.terminate()
        for p in self.processes:
            try:
                p.wait(20)
            except subprocess.TimeoutExpired:
                p.kill()
                p.wait()
        self.processes = []
        shutil.rmtree(self.directory, ignore_errors=True)


class NginxPeer(Peer):
    nginx = None
    modules = ()
    http = ""
    location = ""
    keepalive = "keepalive 64;"
    to_origin = 'proxy_http_version 1.1; proxy_set_header Connection "";'

    @classmethod
    def lacks(cls):
        return next((m for m in cls.modules if not (MODULES / m).exists()), None)

    @property
    def port(self):
        return self.nginx.port

    def run(self):
        self.nginx = n = Nginx()
        words = {"d": self.directory, "disk": n.prefix, "mb": MEMORY_MB}
        text = n.config(zone="", level="error", http=f"upstream origin {{ server 127.0.0.1:{self.origin}; {self.keepalive} }}\n" + self.http % words,
                        server=f"keepalive_requests 1000000000; {self.to_origin}",
                        location=self.location % words)
        load = OURS if "slab_cache" in self.location else "".join(f"load_module {MODULES / m};\n" for m in self.modules)
        # The headers of tests are not for figures, nor is our module in the others.
        text = re.sub(r"add_header X-\w+ \$\w+ always;", "", text).replace(OURS, load)
        n.start(text=text)
        self.processes.append(n.process)

    def stop(self):
        if self.nginx is not None:
            self.nginx.stop()
            self.nginx.clean_up(keep=False)
        super().stop()


class Uncached(NginxPeer):
    """The baseline: a hit's is `return 200`, a miss's proxy_pass."""
    name, is_cache = "nginx without a cache", False

    def __init__(self, origin, pages):
        super().__init__(origin)
        self.http, returned = pages
        self.location = returned + " location / { proxy_pass http://origin; }"


class SlabCache(NginxPeer):
    name, purge_by = "slab_cache", "PURGE"
    http = "slab_cache_zone zone=one:%(mb)dm;"
    location = "location / { slab_cache one; slab_cache_purge PURGE from 127.0.0.1; proxy_pass http://origin; }"


class ProxyCache(NginxPeer):
    """On the disk, as most people run it: Debian's sendfile, no connection kept to the origin, no lock."""
    name = "proxy_cache"        # Debian's module for purges, 2.3-4, ends the worker
    keepalive, to_origin = "", ""
    http = """sendfile on; tcp_nopush on;
              proxy_cache_path %(disk)s/cache levels=1:2 keys_zone=one:64m max_size=%(mb)dm inactive=1d;"""
    location = "location / { proxy_cache one; proxy_pass http://origin; }"

    def run(self):
        super().run()
        self.stored_in = (self.nginx.prefix / "cache",)


class TunedProxyCache(ProxyCache):
    """On a tmpfs, files kept open, a lock, connections kept; its answers by read()."""
    name = "proxy_cache, tuned"
    keepalive, to_origin = NginxPeer.keepalive, NginxPeer.to_origin
    send = "sendfile off; output_buffers 1 64k;"
    http = """%(send)s open_file_cache max=200000 inactive=1d; open_file_cache_valid 1d; open_file_cache_min_uses 1;
              proxy_cache_path %%(d)s/cache levels=1:2 keys_zone=one:64m max_size=%%(mb)dm inactive=1d use_temp_path=off;"""
    location = ProxyCache.location.replace("proxy_pass", "proxy_cache_lock on; proxy_cache_use_stale updating; proxy_pass")

    def __init__(self, origin):
        super().__init__(origin)
        self.http = self.http % {"send": self.send}

    def run(self):
        super().run()
        self.stored_in = (self.directory / "cache",)


class AioProxyCache(TunedProxyCache):
    name = "proxy_cache, tuned, aio threads"
    send = "sendfile on; tcp_nopush on; aio threads;"


class Memcached:
    """A memcached beside an nginx, on the same core."""

    def start_memcached(self):
        self.socket = self.directory / "memcached.sock"
        self.spawn(program("memcached"), "-t", "1", "-m", MEMORY_MB, "-c", "4096", "-s", self.socket, "-a", "0777",
                   *(("-u", "root") if os.getuid() == 0 else ()))
        wait_until(self.socket.exists, "memcached listens")
        self.line = self.memcached()
        return f"upstream memcached {{ server unix:{self.socket}; keepalive 64; }}"

    def memcached(self):
        s = socket.socket(socket.AF_UNIX)
        s.connect(str(self.socket))
        return s

    def tell(self, line, text, wanted):
        line.sendall(text)
        answer = b""
        while not answer.endswith(b"\r\n"):
            answer += line.recv(100)
        assert answer == wanted, (text[:100], answer)

    def put(self, path, body):
        self.tell(self.line, b"set %s 0 3600 %d\r\n%s\r\n" % (path.encode(), len(body), body), b"STORED\r\n")

    def line_for_purges(self, _):
        return self.memcached()

    def purge(self, line, path):
        self.tell(line, b"delete %s\r\n" % path.encode(), b"DELETED\r\n")

    @classmethod
    def lacks(cls):
        return None if program("memcached") else "memcached"


class MemcachedPass(Memcached, NginxPeer):
    """The application stores what it answered; nginx answers from memcached."""
    name, purge_by, fills_itself = "memcached_pass", "delete, at memcached", False
    location = """location / { memcached_pass memcached; set $memcached_key $uri; error_page 404 502 504 = @origin; }
                  location @origin { proxy_pass http://origin; }"""

    def run(self):
        self.http = self.start_memcached()
        super().run()


class Srcache(Memcached, NginxPeer):
    name, purge_by = "srcache and memcached", "delete, at memcached"
    modules = ("ndk_http_module.so", "ngx_http_memc_module.so", "ngx_http_srcache_filter_module.so")
    location = """location / { set $key $uri; srcache_fetch GET /memc $key; srcache_store PUT /memc $key; proxy_pass http://origin; }
                  location = /memc { internal; set $memc_key $query_string; set $memc_exptime 3600; memc_pass memcached; }"""

    @classmethod
    def lacks(cls):
        return Memcached.lacks() or next((m for m in cls.modules if not (MODULES / m).exists()), None)

    def run(self):
        self.http = self.start_memcached()
        super().run()


class Other(Peer):
    """A server that is not nginx: it listens on a port of its own."""
    command = ""

    @classmethod
    def lacks(cls):
        return None if program(cls.command) else cls.command

    def run(self):
        with reserve_port() as sock:
            self.port = sock.getsockname()[1]
        self.serve()


class Haproxy(Other):
    name, command = "HAProxy", "haproxy"

    def serve(self):
        (self.directory / "haproxy.cfg").write_text(f"""
global
    stats socket {self.directory}/stats mode 600 level admin
    nbthread 1
    maxconn 8192
defaults
    mode http
    timeout connect 10s
    timeout client 1h
    timeout server 1h
    http-reuse always
cache one
    total-max-size {MEMORY_MB}
    max-object-size 1000000
    max-age 3600
frontend all
    bind 127.0.0.1:{self.port} backlog 4096
    http-request cache-use one
    http-response cache-store one
    default_backend origin
backend origin
    server one 127.0.0.1:{self.origin}
""")
        self.spawn(program("haproxy"), "-db", "-f", self.directory / "haproxy.cfg")

    def memory(self):
        """It takes all of it when it starts: the share that is in use."""
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(f"{self.directory}/stats")
            s.sendall(b"show cache\n")
            listed = s.makefile("rb").read()
        used = sum(int(n) for n in re.findall(rb"\((\d+) blocks\)", listed))
        assert used, listed[:200]
        return super().memory() * used / (MEMORY_MB * 1024)     # blocks of 1 KB


class Varnish(Other):
    name, command, purge_by = "Varnish", "varnishd", "PURGE"

    def serve(self):
        (self.directory / "site.vcl").write_text(f"""vcl 4.1;
backend default {{ .host = "127.0.0.1"; .port = "{self.origin}"; }}
sub vcl_recv {{ if (req.method == "PURGE") {{ return (purge); }} }}
""")
        self.spawn(program("varnishd"), "-F", *(("-j", "none") if os.getuid() == 0 else ()), "-n", self.directory / "varnish",
                   "-a", f"127.0.0.1:{self.port}", "-f", self.directory / "site.vcl", "-s", f"malloc,{MEMORY_MB}m",
                   "-p", "thread_pools=1")


class TrafficServer(Other):
    """One thread for the net; a cache file on a tmpfs, and as much memory for what is hot."""
    name, command, purge_by = "Traffic Server", "traffic_server", "PURGE"
    records = """http.server_ports STRING {port}:ip-in=127.0.0.1
exec_thread.autoconfig INT 0
exec_thread.limit INT 1
task_threads INT 1
accept_threads INT 0
cache.threads_per_disk INT 1
cache.ram_cache.size INT {memory}M
cache.min_average_object_size INT 2000
cache.enable_read_while_writer INT 1
http.cache.open_read_retry_time INT 10
http.cache.max_open_read_retries INT 50
reverse_proxy.enabled INT 1
url_remap.remap_required INT 1
log.logging_enabled INT 0
admin.user_id STRING {user}
http.keep_alive_no_activity_timeout_in INT 3600
net.connections_throttle INT 8192"""

    def serve(self):
        d = self.directory
        etc = d / "etc"
        for name in ("etc", "log", "run", "cache"):
            (d / name).mkdir()
        own = {"sysconfdir": etc, "datadir": etc, "localstatedir": d / "run", "runtimedir": d / "run", "logdir": d / "log", "cachedir": d / "cache"}
        debian = {"prefix": "/usr", "exec_prefix": "/usr", "bindir": "/usr/bin", "sbindir": "/usr/bin", "includedir": "/usr/include",
                  "libdir": "/usr/lib/trafficserver", "libexecdir": "/usr/lib/trafficserver/modules", "mandir": "/usr/share/man",
                  "infodir": "/usr/share/info"}
        (d / "runroot.yaml").write_text("".join(f"{k}: {v}\n" for k, v in {**debian, **own}.items()))
        records = self.records.format(port=self.port, memory=MEMORY_MB, user="trafficserver" if os.getuid() == 0 else "#-1")
        (etc / "records.config").write_text("".join(f"CONFIG proxy.config.{r}\n" for r in records.splitlines()))
        (etc / "remap.config").write_text(f"map / http://127.0.0.1:{self.origin}/\n")
        (etc / "storage.config").write_text(f"{d}/cache {MEMORY_MB}M\n")
        (etc / "ip_allow.yaml").write_text("ip_allow:\n  - {apply: in, ip_addrs: 127.0.0.1, action: allow, methods: ALL}\n")
        for name in ("plugin", "cache", "ssl_multicert", "hosting", "volume", "parent", "splitdns", "socks"):
            (etc / f"{name}.config").touch()
        if os.getuid() == 0:        # it refuses to be root
            for p in (d, *d.rglob("*")):
                shutil.chown(p, "trafficserver")
        self.spawn(program("traffic_server"), f"--run-root={d}")
        self.stored_in = (d / "cache",)


CACHES = (SlabCache, Haproxy, ProxyCache, TunedProxyCache, AioProxyCache, TrafficServer, MemcachedPass, Varnish, Srcache)


def versions():
    """Of what is here: name and number."""
    asked = {"nginx": ("nginx", "-v"), "HAProxy": ("haproxy", "-v"), "Varnish": ("varnishd", "-V"), "memcached": ("memcached", "-V"),
             "Traffic Server": ("traffic_server", "-V")}
    found = {}
    for name, (command, option) in asked.items():
        if program(command):
            number = re.search(r"\d+\.\d+[\d.]*\d", said_by(program(command), option))
            found[name] = number[0] if number else "?"
    return found
