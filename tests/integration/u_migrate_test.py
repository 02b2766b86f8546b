"""tools/migrate on configurations as people write them: nginx's cache before and slab_cache after are asked the same."""
import collections
import difflib
import pathlib
import re
import shutil
import subprocess
import sys
import time

import pytest
from harness.files import File, numbered
from harness.gateways import FastCgiOrigin, UwsgiOrigin
from harness.nginx import MODULE, NGINX, TOP
from harness.origin import Origin, Reply, request_header
from harness.wait import wait_until

DATA = pathlib.Path(__file__).parent / "data/migrate"
ALL = sorted(p.stem for p in DATA.glob("*.conf"))
MIXED = {"graphql"}         # one location stays
SCRIPT = """GET /a|GET /a|GET /a?x=1|GET /a?x=1|GET /h|HEAD /h|POST /a|GET /a|GET /fresh|GET /fresh|GET /nostore|GET /nostore|
GET /cookie|GET /cookie|GET /missing|GET /missing|GET /private|GET /vary Accept-Language: de|GET /vary Accept-Language: en|
GET /vary Accept-Language: de|GET /fresh Range: bytes=0-3|GET /fresh If-None-Match: "no"|GET /a host=b.example.org""".replace("\n", "").split("|")
HEAD = """user root;
daemon off;
pid @PREFIX@/nginx.pid;
error_log @PREFIX@/error.log notice;
events { worker_connections 512; }
http {
    access_log off;
    default_type text/plain;
    client_body_temp_path @PREFIX@/tmp/body;
    proxy_temp_path @PREFIX@/tmp/proxy;
    fastcgi_temp_path @PREFIX@/tmp/fastcgi;
    uwsgi_temp_path @PREFIX@/tmp/uwsgi;
    scgi_temp_path @PREFIX@/tmp/scgi;
    include conf.d/*.conf;
}
"""
HEADERS = {"/fresh": ["Cache-Control: max-age=60", "Accept-Ranges: bytes", 'ETag: "f"'], "/nostore": ["Cache-Control: no-store"], "/private": ["Cache-Control: private"],
           "/cookie": ["Set-Cookie: a=1"], "/vary": ["Cache-Control: max-age=60", "Vary: Accept-Language"],
           "/busy": ["Cache-Control: max-age=1"], "/dists/short": ["Cache-Control: max-age=1", 'ETag: "s"'], "/short": ["Cache-Control: max-age=30"]}
FILM = File(numbered(40_000), headers=["Cache-Control: max-age=60"])
STATUS = {"/missing": 404, "/gone": 410}


class World:
    """Origins that say who they are, what they were asked and how often; they can be told to fail."""

    def __init__(self, tmp_path):
        self.http, self.other = Origin(), Origin()
        self.fastcgi, self.uwsgi = FastCgiOrigin(), UwsgiOrigin()
        self.all = {"http": self.http, "other": self.other, "fastcgi": self.fastcgi, "uwsgi": self.uwsgi}
        for name, o in self.all.items():
            o.handle("*", lambda request, name=name: self.answer(name, request))
        self.reset()

    def reset(self):
        self.fails, self.count, self.asked = False, collections.Counter(), []
        for o in self.all.values():
            o.log.clear()

    def answer(self, name, request):
        path = request.target.partition("?")[0]
        fails = self.fails              # before it counts: a script that waits for the count lets it fail next
        self.count[name, request.target] += 1
        # nginx asks for GET where a client said HEAD, and so do we, but not always both in the same place.
        self.asked.append((name, request.method.replace("HEAD", "GET"), request.target))
        if fails:
            return Reply("failed\n", status=500)
        if path == "/film":
            return FILM(request)
        if request_header(request, "If-None-Match") == '"s"':
            return Reply(status=304, headers=HEADERS[path])
        language = request_header(request, "Accept-Language") if path == "/vary" else ""
        part = '<!--#include virtual="/part" -->' if path == "/ssi" else ""
        return Reply(f"{part}{name} {request.target} {language} #{self.count[name, request.target]}\n", status=STATUS.get(path, 200),
                     headers=HEADERS.get(path, []))

    def stop(self):
        for o in self.all.values():
            o.stop()
            assert not o.errors, o.errors


@pytest.fixture
def world(tmp_path):
    w = World(tmp_path)
    yield w
    w.stop()


def configuration(n, world, name):
    """The files of one case, by their names."""
    text = (DATA / f"{name}.conf").read_bytes().decode()
    site, *rest = re.split(r"^#file (\S+)\r?\n", text, flags=re.M)
    files = {"nginx.conf": HEAD, "conf.d/site.conf": site, **dict(zip(rest[::2], rest[1::2]))}
    for mark, value in {"PREFIX": n.prefix, "PORT": f"127.0.0.1:{n.port}", "ORIGIN": world.http.address, "ORIGIN2": world.other.address,
                        "HOST": "127.0.0.1", "ORIGINPORT": world.http.port, "FASTCGI": world.fastcgi.address,
                        "UWSGI": world.uwsgi.address}.items():
        files = {f: t.replace(f"@{mark}@", str(value)) for f, t in files.items()}
    return files


def put(directory, files):
    for name, text in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode())


def migrate(*args, code=(0, 1)):
    p = subprocess.run([sys.executable, TOP / "tools/migrate", *map(str, args)], capture_output=True, stdin=subprocess.DEVNULL, check=False)
    out, err = p.stdout.decode(), p.stderr.decode()
    assert p.returncode in code, f"exit {p.returncode}\n{out}\n{err}"
    return out, err, p.returncode


def steps_of(name):
    """The common script and the case's own; `#- STEP | why` leaves out of it what begins so."""
    lines = (DATA / f"{name}.conf").read_text().splitlines()
    left_out = tuple(line[3:].partition(" | ")[0] for line in lines if line.startswith("#- "))
    return [s for s in SCRIPT if not s.startswith(left_out)] + [line[3:].strip() for line in lines if line.startswith("#> ")]


def settle(n, world):
    """nginx has read all that the origins sent: they are done to the last byte, and it has answered what came later. A client may
    have its answer before: a 403 needs no more than the header of what auth_request asked for."""
    wait_until(lambda: all(o.is_idle() for o in world.all.values()), "the origins have answered")
    wait_until(lambda: not world.fastcgi._open and not world.uwsgi._open, "the gateways are done")
    for _ in range(2):
        with n.connect() as c:
            c.send_raw(b"nonsense\r\n\r\n")
            assert c.read_header().status == 400


def play(n, world, steps):
    """What a script of requests gets: a line for each, and what the origins were asked."""
    world.reset()
    seen = []
    connection = n.connect()            # one for all: nginx has stored an answer when it reads the next request
    for step in steps:
        if step == "fail":
            world.fails = True
        elif step.startswith("asked "):     # in the background
            _, target, times = step.split()
            wait_until(lambda: world.count["http", target] >= int(times), step)
        elif step == "wait":
            end = int(time.time()) + 2      # a lifetime of one second is over, on nginx's clock of whole seconds
            wait_until(lambda: time.time() > end + 0.05, "two seconds have begun")
        else:
            method, path, *rest = step.split(" ", 2)
            words = rest[0] if rest else ""
            host = (re.match(r"host=(\S+) ?", words) or [None, "a.example.org"])[1]
            headers = re.findall(r"[\w-]+: .*?(?= [\w-]+: |$)", re.sub(r"^host=\S+ ?", "", words))
            got = connection.request(path, method, headers=headers, host=host, **({"body": b"x"} if method == "POST" else {}))
            if got.header("Connection") == "close":
                connection.close()
                connection = n.connect()
            settle(n, world)
            seen.append(f"{step} -> {got.status} {got.cache} {got.body.decode()!r}")
    connection.close()
    return seen, world.asked


def start(n):
    n.start(text=(n.prefix / "nginx.conf").read_text())


@pytest.mark.parametrize("name", ALL)
def test_same_statuses_bodies_and_origin_counts(make_nginx, world, name):
    n = make_nginx()
    put(n.prefix, configuration(n, world, name))
    start(n)
    before = play(n, world, steps_of(name))
    n.stop()
    for zone in re.findall(r"_cache_path '?(/[^ ']+)", "".join(p.read_text() for p in n.prefix.rglob("*.conf"))):
        shutil.rmtree(zone)             # what stays on proxy_cache starts empty too
    out, err, _ = migrate("--out", n.prefix / "new", "--module", MODULE, "--nginx", NGINX, n.prefix / "nginx.conf")
    assert "nginx -t" not in err, err
    for path in (n.prefix / "new").rglob("*.conf"):
        (n.prefix / path.relative_to(n.prefix / "new")).write_bytes(path.read_bytes())
    start(n)
    after = play(n, world, steps_of(name))
    assert before == after, "\n".join(difflib.unified_diff(*[[*seen, *map(str, asked)] for seen, asked in (before, after)], lineterm="")) + out
    assert len(steps_of(name)) >= 20
    assert any(" HIT " in line for line in after[0]), "nothing was cached: the case shows nothing"
    assert not re.search(r"^\s*(proxy|fastcgi|uwsgi|scgi)_(cache|no_cache)", "".join(
        p.read_text() for p in (n.prefix / "new").rglob("*.conf")), re.M) or name in MIXED
