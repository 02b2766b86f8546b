"""Every file of conf-examples starts, and does what it says."""
import re
import subprocess

import pytest
from harness.example import EXAMPLES
from harness.fastcgi import FastCgi
from harness.wait import wait_until


def statuses(n, path, count=2):
    return [n.get(path).cache for _ in range(count)]


def test_every_example_is_tested():
    tested = {"minimal.conf", "demo.conf", "gunicorn-flask.conf", "uwsgi.conf", "fastcgi.conf", "static.conf",
              "purge-and-api.conf", "tuning.conf", "log-format.conf", "slice.conf",
              "push.conf", "signed-purge.conf", "wordpress-purge.conf",    # d_examples_test.py
              "fleet.conf", "tier.conf"}                     # w_fleet_clients_test.py, w_tier_examples_test.py
    assert {p.name for p in EXAMPLES.glob("*.conf")} == tested
    elsewhere = {"django", "flask", "wordpress", "rest-api"}          # tests/field/recipes_test.py, strangers_test.py
    elsewhere |= {"docker"}                                          # u_docker_test.py
    assert {p.parent.name for p in EXAMPLES.glob("*/nginx.conf")} == elsewhere


SITES = [*EXAMPLES.glob("*.conf"), *EXAMPLES.glob("*/nginx.conf"), EXAMPLES / "docker/default.conf"]
SITES.remove(EXAMPLES / "docker/nginx.conf")                         # has none


@pytest.mark.parametrize("path", SITES, ids=lambda p: str(p.relative_to(EXAMPLES)))
def test_every_example_says_who_shares_what(path):
    assert re.search(r"^# Shared with everybody", path.read_text(), re.M)


@pytest.mark.parametrize("path", SITES, ids=lambda p: str(p.relative_to(EXAMPLES)))
def test_lifetimes_that_the_application_does_not_name_stand_beside_a_rule_for_cookies(path):
    """slab_cache_valid shares what nobody said is the same for all: good where it is known who is somebody."""
    text = re.sub(r"#.*", "", path.read_text())
    if re.search(r"slab_cache_valid (?!404)", text) and "static" not in path.name:
        assert "slab_no_cache $personal" in text and "slab_cache_bypass $personal" in text or re.search(r"slab_cache_vary Cookie=\w", text)


def test_minimal(example):
    n = example("minimal.conf")
    assert statuses(n, "/x") == ["MISS", "HIT"]
    assert n.purge("/x").status == 200
    assert n.get("/x").cache == "MISS"


@pytest.mark.parametrize("path", ["/changing", "/image.svg", "/data.json", "/"])
def test_demo(example, path):
    n = example("demo.conf")
    first, second = n.get(path), n.get(path)
    assert [first.cache, second.cache] == ["MISS", "HIT"]
    assert first.body == second.body and second.header("Age") is not None
    assert n.purge(path).status == 200
    assert n.get(path).cache == "MISS"
    assert n.get("/_cache/v1/zones").status == 200


def test_demo_slow_page(example):
    n = example("demo.conf")
    assert statuses(n, "/slow") == ["MISS", "HIT"]


def test_static(example):
    n = example("static.conf")
    (n.prefix / "html/x.txt").write_text("file\n")
    assert statuses(n, "/x.txt") == ["MISS", "HIT"]


def test_slice(example):
    n = example("slice.conf")
    film = b"".join(b"%07d\n" % i for i in range(600_000))
    (n.prefix / "html/film").write_bytes(film)
    part = n.get("/film", "Range: bytes=3000000-3000999")
    assert (part.status, part.body, part.cache) == (206, film[3_000_000:3_001_000], "MISS")
    assert n.get("/film", "Range: bytes=2500000-2500999").cache == "HIT"
    assert n.get("/film").body == film
    assert n.get("/film", "Range: bytes=0-9").cache == "HIT"
    assert n.purge("/film").status == 200
    assert [n.get("/film", f"Range: bytes={at}-{at}").cache for at in (0, 3_000_000)] == ["MISS", "MISS"]


def test_purge_and_api(example):
    n = example("purge-and-api.conf")
    assert statuses(n, "/news/1") == ["MISS", "HIT"]
    assert n.purge("/news/*").status == 200
    assert statuses(n, "/news/1") == ["MISS", "HIT"]
    body = b'{"prefixes":["http://127.0.0.1:8080/news/"]}'
    assert n.request("/_cache/v1/zones/pages/purge", "POST", body=body, host="127.0.0.1:8080").status == 200


def test_commands_of_purge_and_api_work_as_they_stand(example):
    n = example("purge-and-api.conf")
    commands = [line[2:].strip() for line in n.text.splitlines() if line.startswith("#     curl")]
    assert len(commands) == 5
    for command in commands:
        p = subprocess.run(command.replace("curl", "curl -sSf --noproxy '*'", 1), shell=True, stdin=subprocess.DEVNULL, capture_output=True,
                           text=True, check=False)
        assert p.returncode == 0, (command, p.stderr)


def test_tuning(example):
    n = example("tuning.conf")
    assert statuses(n, "/x?utm_source=a", 3) == ["MISS", "MISS", "HIT"]
    hit = n.get("/x?utm_source=b")
    assert hit.cache == "HIT" and "utm_source" not in hit.text
    assert statuses(n, "/counted/x", 3) == ["MISS", "MISS", "HIT"]
    assert n.get("/counted/x").all("Set-Cookie") == []
    assert n.get("/x", "User-Agent: Mobile").cache == "MISS"


def test_fastcgi(example, nginx):
    responder = FastCgi(nginx.prefix / "fcgi.sock", lambda p: b"Content-Type: text/plain\r\n\r\nfrom fastcgi\n")
    n = example("fastcgi.conf")
    assert statuses(n, "/x") == ["MISS", "HIT"]
    for cookie in ("session=1", "PHPSESSID=1", "_ga=1; PHPSESSID=1", "_ga=1; laravel_session =1", "_ga=1;x", "a", "_gax; b=1"):
        assert n.get("/x", f"Cookie: {cookie}").cache == "BYPASS", cookie
    for cookie in ("_ga=1", "_ga=GA1.1.2; _ga_AB12=x=y; _gid=3", "_fbp=fb.1;_hjid=2", "_ga=1; "):
        assert n.get("/x", f"Cookie: {cookie}").cache == "HIT", cookie
    responder.stop()


def _application(n, command):
    """Starts an application server and waits for its socket; the caller ends it."""
    socket_path = n.prefix / "app.sock"
    log = open(n.prefix / "app.log", "wb")
    p = subprocess.Popen(command(socket_path), stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=n.prefix)
    log.close()
    wait_until(lambda: socket_path.exists() or p.poll() is not None, "the application listens")
    assert p.poll() is None, (n.prefix / "app.log").read_text()
    return p


COMMANDS = {
    "gunicorn-flask.conf": lambda s: ["/usr/bin/python3", "/usr/bin/gunicorn", "--chdir", EXAMPLES, "--workers", "2",
                                      "--bind", f"unix:{s}", "app:app"],
    "uwsgi.conf": lambda s: ["/usr/bin/uwsgi_python3", "--chdir", EXAMPLES, "--socket", s, "--module", "app:app",
                             "--master", "--die-on-term"],
}


@pytest.mark.parametrize("name", COMMANDS)
def test_real_wsgi_application(example, nginx, name):
    app = _application(nginx, COMMANDS[name])
    try:
        n = example(name)
        first, second = n.get("/"), n.get("/")
        assert [first.cache, second.cache] == ["MISS", "HIT"]
        assert first.body == second.body and b"front page number" in first.body
        assert second.header("Age") is not None
        assert n.purge("/").status == 200
        third = n.get("/")
        assert third.cache == "MISS" and third.body != first.body
        assert statuses(n, "/hello?name=you") == ["MISS", "HIT"]
        assert n.get("/hello?name=you").body == b"hello you\n"
        assert statuses(n, "/account") == ["MISS", "MISS"]
        assert statuses(n, "/report") == ["MISS", "HIT"]
    finally:
        app.terminate()
        app.wait(20)
