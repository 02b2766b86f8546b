"""conf-examples/docker: the rules of a good Dockerfile, and its instructions carried out in a Debian of its own, without Docker."""
import json
import os
import pathlib
import re
import shlex
import shutil
import subprocess

import pytest
from harness.client import Connection
from harness.debian import fresh_debian, needs
from harness.example import EXAMPLES
from harness.nginx import TOP, reserve_port

DOCKER = EXAMPLES / "docker"
SIZES = {"k": 1 << 10, "m": 1 << 20, "g": 1 << 30}


def instructions():
    """(word, rest) of each instruction; lines that are continued are one."""
    text = "".join(line for line in (DOCKER / "Dockerfile").read_text().splitlines(True) if not line.startswith("#"))
    return [tuple(line.split(None, 1)) for line in text.replace("\\\n", " ").splitlines() if line.strip()]


def bytes_of(size):
    return int(size[:-1]) * SIZES[size[-1].lower()]


def test_every_instruction_is_one_and_has_its_form():
    known = {"FROM", "RUN", "COPY", "WORKDIR", "EXPOSE", "STOPSIGNAL", "HEALTHCHECK", "CMD"}
    for word, rest in instructions():
        assert word in known, word
        if word in ("CMD", "HEALTHCHECK"):
            form = rest.partition("CMD ")[2] if word == "HEALTHCHECK" else rest
            assert all(isinstance(part, str) for part in json.loads(form)), rest        # no shell between docker and nginx
        if word == "RUN":
            assert subprocess.run(["sh", "-n", "-c", rest], check=False).returncode == 0, rest
        if word == "RUN" and "apt-get" in rest:
            assert "update" in rest and "--no-install-recommends" in rest and "rm -rf /var/lib/apt/lists/*" in rest
        if word == "FROM":
            assert re.fullmatch(r"debian:\w+-slim( AS \w+)?", rest), rest


def test_what_it_copies_is_there_and_is_sent_to_the_builder():
    sent = [line[1:] for line in (DOCKER / "Dockerfile.dockerignore").read_text().split() if line.startswith("!")]
    for word, rest in instructions():
        sources = [s for s in shlex.split(rest)[:-1] if not s.startswith("--")] if word == "COPY" and "--from" not in rest else []
        for source in sources:
            assert (TOP / source).exists() and any(source == s or source.startswith(f"{s}/") for s in sent), source


def test_shm_size_of_the_run_lines_holds_the_zones_that_lie_there():
    zones = re.findall(r"slab_cache_zone zone=\w+:(\w+)[^;]*file=/dev/shm/", (DOCKER / "nginx.conf").read_text())
    runs = re.findall(r"docker run .*", (DOCKER / "Dockerfile").read_text())
    assert zones and runs
    for line in runs:
        assert bytes_of(re.search(r"--shm-size=(\w+)", line)[1]) > sum(map(bytes_of, zones)), line
        assert not re.search(r"-p (?!127\.0\.0\.1:)\S*:8081\b", line), "the admin page is for this machine"


def test_nginx_takes_its_configuration(nginx):
    shutil.copytree(DOCKER, nginx.prefix / "conf.d", ignore=shutil.ignore_patterns("nginx.conf", "Dockerfile*"))
    text = (DOCKER / "nginx.conf").read_text().replace("/etc/nginx/conf.d", f"{nginx.prefix}/conf.d").replace("/dev/shm/", f"/dev/shm/{nginx.prefix.name}_")
    text = text.replace("/run/nginx.pid", f"{nginx.prefix}/nginx.pid").replace("/dev/stdout", f"{nginx.prefix}/access.log").replace("user www-data;", "")
    text = text.replace("http {", "http { " + "".join(f"{x}_temp_path {nginx.prefix}/tmp/{x};" for x in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")))
    (nginx.prefix / "conf.d/default.conf").write_text((DOCKER / "default.conf").read_text().replace("listen 80;", "listen 127.0.0.1:18080;"))
    code, said = nginx.test_config(text=text)
    assert code == 0, said


@pytest.mark.skipif(not os.environ.get("SLAB_DEB"), reason="takes minutes and the network: make deb-test")
@pytest.mark.skipif(bool(needs()), reason=str(needs()))
def test_what_it_builds_serves_and_caches():
    """Each FROM is a fresh Debian, RUN runs there, COPY copies."""
    stages, order, workdir, words = {}, [], "/", instructions()
    with reserve_port() as sock, reserve_port() as admin, reserve_port() as application:
        port, application_port = sock.getsockname()[1], application.getsockname()[1]
        try:
            for word, rest in words:
                if word == "FROM":
                    context = fresh_debian()
                    order.append((context, context.__enter__()))
                    stages[rest.partition(" AS ")[2] or "last"] = order[-1][1]
                    workdir = "/"
                here = order[-1][1]
                if word == "WORKDIR":
                    workdir = rest
                    here.run("mkdir", "-p", rest)
                if word == "RUN":
                    here.run("sh", "-c", f"cd {workdir} && {rest}")
                if word == "COPY":
                    *sources, to = [s for s in shlex.split(rest) if not s.startswith("--")]
                    root = stages[re.search(r"--from=(\w+)", rest)[1]].path if "--from" in rest else TOP
                    target = here.path / os.path.join(workdir, to).lstrip("/")
                    for source in (root / s.lstrip("/") for s in sources):
                        (target if to.endswith("/") else target.parent).mkdir(parents=True, exist_ok=True)
                        (shutil.copytree if source.is_dir() else shutil.copy)(source, target)
            debian = stages["last"]
            for name, old, new in (("conf.d/default.conf", "listen 80;", f"listen 127.0.0.1:{port};"),
                                   ("nginx.conf", "listen 8081;", f"listen 127.0.0.1:{admin.getsockname()[1]};"),
                                   ("nginx.conf", "access_log /dev/stdout;", "access_log off;"), ("nginx.conf", "/dev/stderr", "/run/error.log")):
                path = debian.path / "etc/nginx" / name
                assert old in path.read_text()
                path.write_text(path.read_text().replace(old, new).replace("127.0.0.1:8082", f"127.0.0.1:{application_port}"))
            debian.start(port)

            def get(path="/", at=port):
                with Connection(("127.0.0.1", at)) as c:
                    return c.request(path)
            assert [get().cache, get().cache] == ["MISS", "HIT"]
            assert get(at=admin.getsockname()[1]).status == 200
            assert b"HIT" in get("/metrics", at=admin.getsockname()[1]).body
        finally:
            for context, _ in reversed(order):
                context.__exit__(None, None, None)
