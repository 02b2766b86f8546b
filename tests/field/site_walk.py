"""One framework behind one nginx in one mode: starts it, walks through the steps, ends it."""
import dataclasses
import itertools
import os
import pathlib
import re
import shutil
import subprocess
import sys

from harness.client import Connection
from harness.nginx import MODULE, NGINX, TOP, Nginx
from harness.origin import Origin, request_header
from steps import Answer
from translate import STATUS, translate

HERE = pathlib.Path(__file__).parent
BROWSER = "Accept-Encoding: gzip, deflate, br"
PATIENCE = 4.5                     # seconds without a byte after which a request hangs: less than any lock's timeout
LINE = re.compile(r"step=(\d+) cache=(\S*) reason=(\S*)")

MAIN = """\
{load}
{user}
daemon off;
pid {d}/nginx.pid;
error_log {d}/error.log notice;
worker_processes 1;
events {{ worker_connections 1024; }}
http {{
    include mime.types;
    default_type application/octet-stream;
    log_format field "step=$http_x_step cache={status} reason={reason}";
    access_log {d}/access.log field;
    client_body_temp_path {d}/tmp/body;
    proxy_temp_path {d}/tmp/proxy;
    fastcgi_temp_path {d}/tmp/fastcgi;
    uwsgi_temp_path {d}/tmp/uwsgi;
    scgi_temp_path {d}/tmp/scgi;
{conf}
}}
"""


class Gathered:
    """A socket that keeps what is sent."""

    def __init__(self):
        self.pieces = []

    def sendall(self, data):
        self.pieces.append(data)


class PacedOrigin(Origin):
    """Sends header and body in two writes with a pause in between, as most application servers do. Where the client may have all it
    wants before the body is there (HEAD, Range, conditions) it sends both at once: then what nginx's cache does with the next
    request does not depend on who is faster."""

    PAUSE = 0.003

    def __init__(self, steps):
        self.steps = steps
        super().__init__()

    def _at_once(self, request):
        step = self.steps[int(request_header(request, "X-Step") or 0)]
        return step.method == "HEAD" or any(re.match("If-|Range", h) for h in step.headers)

    def _answer(self, sock, request, reply):
        gathered = Gathered()
        again = super()._answer(gathered, request, reply)
        if self._at_once(request):
            sock.sendall(b"".join(gathered.pieces))
        else:
            sock.sendall(gathered.pieces[0])
            self._wait(self.PAUSE)
            sock.sendall(b"".join(gathered.pieces[1:]))
        return again


@dataclasses.dataclass
class Framework:
    """steps are sent in order. conf is a file of conf/. origins: name -> function(site, request) -> Reply, @name@ in the file is its
    address. server: a real one of servers.py, @server@ its socket. files: path -> bytes below @root@; tree: a folder of apps/."""
    name: str
    steps: list
    origins: dict = dataclasses.field(default_factory=dict)
    server: str | None = None
    files: dict = dataclasses.field(default_factory=dict)
    tree: str | None = None
    host: str = "www.example.com"

    @property
    def conf(self):
        return HERE / "conf" / f"{self.name}.conf"


class Site:
    def __init__(self, framework, mode, servers):
        self.framework, self.mode = framework, mode
        self.written = "nginx" if mode == "migrated" else mode      # what is written by hand; tools/migrate does the rest
        self.version = 1                            # of what a scripted origin shows; unsafe requests raise it
        self.nginx = Nginx()
        self.complaints = []
        self.hung = 0
        self.connection = None
        self.origins = {}
        for name, function in framework.origins.items():
            self.origins[name] = o = PacedOrigin(framework.steps)
            o.handle("*", lambda request, f=function: f(self, request))
        self.root = self.nginx.prefix / "site"
        self.state = self.nginx.prefix / "state"
        self.state.mkdir()
        self._lay_out(servers)

    def _lay_out(self, servers):
        f, d = self.framework, self.nginx.prefix
        if f.tree:
            shutil.copytree(HERE / "apps" / f.tree, self.root)
            for shared in (HERE / "apps" / f.tree).parent.glob("*.php"):
                shutil.copy(shared, self.root)
        self.root.mkdir(exist_ok=True)
        for path, data in f.files.items():
            (self.root / path).parent.mkdir(parents=True, exist_ok=True)
            (self.root / path).write_bytes(data)
        for path in self.root.rglob("*"):                         # the same validators in all modes
            os.utime(path, (1764000000, 1764000000))
        for name in ("mime.types", "fastcgi.conf", "fastcgi_params", "uwsgi_params", "proxy_params", "snippets"):
            (d / name).symlink_to(pathlib.Path("/etc/nginx") / name)
        tokens = {"dir": d, "root": self.root, "state": self.state, "port": self.nginx.port,
                  "server": servers.address(f.server) if f.server else ""}
        for name, o in self.origins.items():
            tokens.update({name: o.address, f"{name}_port": o.port})
        self.tokens = tokens
        for extra in (HERE / "conf" / f.name).glob("*"):          # what the file includes
            (d / extra.name).write_text(self._filled(translate(extra.read_text(), self.written)))

    def _filled(self, text):
        return re.sub(r"@(\w+)@", lambda m: str(self.tokens[m[1]]), text)

    def text(self):
        conf = self._filled(translate(self.framework.conf.read_text(), self.written))
        text = MAIN.format(load="load_module modules/ngx_http_slab_cache_module.so;" if self.mode == "slab" else "",
                           user="user root;" if os.getuid() == 0 else "", d=self.nginx.prefix,
                           status=STATUS[self.written].strip('"'),
                           reason="$slab_cache_reason" if self.mode == "slab" else "-", conf=conf)
        return self._migrated(text) if self.mode == "migrated" else text

    def _migrated(self, text):
        """What tools/migrate makes of it, and of the files that it includes."""
        d = self.nginx.prefix
        (d / "nginx.conf").write_text(text)
        p = subprocess.run([sys.executable, TOP / "tools/migrate", "--module", MODULE, "--nginx", NGINX, "--out", d / "new", d / "nginx.conf"],
                           stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        assert p.returncode in (0, 1) and "nginx -t" not in p.stderr, p.stdout + p.stderr
        for path in (d / "new").rglob("*"):
            if path.is_file() and path.suffix != ".md":
                (d / path.relative_to(d / "new")).write_text(path.read_text())
        self.report = (d / "new/migrate.md").read_text()
        return (d / "nginx.conf").read_text()

    # ---- the walk -------------------------------------------------------------------------------------------
    def _asked(self):
        """Everything that origins were asked so far."""
        seen = [f"{name} {r.method} {r.target}" for name, o in self.origins.items() for r in o.requests()]
        log = self.state / "log"
        return seen + (log.read_text().splitlines() if log.exists() else [])

    def walk(self):
        """The answers, one for each step; None for steps of other modes."""
        self.nginx.start(text=self.text())
        answers = []
        try:
            for number, step in enumerate(self.framework.steps):
                if number == len(self.framework.steps) // 2:
                    self._hang_up()
                    self.nginx.reload()              # who has an object before has it after
                answers.append(self._take(number, step) if step.only in (None, self.mode) else None)
        finally:
            self._end()
        for number, cache, reason in self._logged():
            if answers[number] is not None:
                answers[number].cache, answers[number].reason = cache, reason
        return answers

    def _take(self, number, step):
        before = self._asked()
        if step.crowd:
            answer = Answer(crowd=self._ask_together(number, step))
        else:
            answer = self._attempt(lambda: self._ask(number, step))
        asked = self._asked()
        for line in before:
            asked.remove(line)
        answer.asked = asked
        return answer

    def _attempt(self, ask):
        """What ask() returns, or the answer that says why there was none."""
        try:
            return ask()
        except TimeoutError:
            self.hung += 1
            self._hang_up()
            return Answer(failure="hangs")
        except (OSError, EOFError, ValueError) as e:
            self._hang_up()
            return Answer(failure=f"closed ({e})"[:200])

    def _connect(self):
        return Connection(self.nginx.address, timeout=PATIENCE if self.hung < 3 else 1)

    def _hang_up(self):
        if self.connection is not None:
            self.connection.close()
        self.connection = None

    def _send(self, connection, number, step, headers):
        headers = (f"X-Step: {number}", *headers)
        if not any(h.startswith(("Accept-Encoding", "Range")) for h in headers):
            headers += (BROWSER,)
        connection.send(step.path, step.method, headers=headers, body=step.body, host=step.host or self.framework.host)

    def _receive(self, connection, step):
        return Answer.of(connection.read_body(connection.read_header(), step.method), self.nginx.port)

    def _ask(self, number, step):
        """On the one connection that a browser has, as long as nginx keeps it."""
        if self.connection is None:
            self.connection = self._connect()
        self._send(self.connection, number, step, step.headers)
        response = self.connection.read_body(self.connection.read_header(), step.method)
        if self.connection.eof or (response.header("Connection") or "").lower() == "close":
            self._hang_up()
        return Answer.of(response, self.nginx.port)

    def _ask_together(self, number, step):
        clients = [self._connect() for _ in step.crowd]
        for client, headers in zip(clients, step.crowd, strict=True):
            self._send(client, number, step, headers)
        answers = [self._attempt(lambda c=client: self._receive(c, step)) for client in clients]
        for client in clients:
            client.close()
        return answers

    def _logged(self):
        log = self.nginx.prefix / "access.log"
        lines = (LINE.match(line) for line in log.read_text().splitlines())
        return [(int(m[1]), m[2], m[3]) for m in lines if m]

    # ---- the end --------------------------------------------------------------------------------------------
    def _end(self):
        """QUIT, which waits for requests under way: there are none, and none must be left over."""
        self._hang_up()
        if not self.nginx.quit(10):
            self.complaints.append("QUIT does not end it within 10 s: something is still under way")
        self.complaints += self.nginx.complaints()
        for o in self.origins.values():
            o.stop()
            self.complaints += o.errors

    def clean_up(self, keep=False):
        self.nginx.stop()
        for o in self.origins.values():
            o.stop()
        self.nginx.clean_up(keep)


def repeated(items):
    return [name for name, group in itertools.groupby(sorted(items)) if len(list(group)) > 1]
