"""Blocks of the documents, and a machine on which they are tried: nginx as Debian sets it up, below a test's directory.

```nginx   a whole nginx.conf, or a part of one; `# /etc/nginx/…` in its first line says which file it is
```vcl     a file, whose name is in its first line
```sh      commands
```console commands behind `$ `, and what they print; `…` stands for anything
"""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

from .nginx import MODULE, NGINX, TOP

WHOLE = {"load_module", "events", "http", "user", "worker_processes", "error_log", "pid"}
IN_HTTP = {"server", "map", "upstream", "log_format", "limit_req_zone", "slab_cache_zone", "proxy_cache_path", "geo"}
IN_SERVER = {"location", "listen", "server_name"}


class Block:
    def __init__(self, document, line, kind, text):
        self.document, self.line, self.kind, self.text = document, line, kind, text
        first = re.match(r"# (/\S+)", text)
        self.file = first[1] if first and kind == "nginx" else None

    def __str__(self):
        return f"{self.document}:{self.line}"


def documents():
    """Those whose blocks are tried."""
    listed = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"], cwd=TOP, check=True,
                            capture_output=True, text=True).stdout.split()
    return [n for n in listed if re.match(r"(docs|conf-examples|tools)/|README\.md$|clients/python/README\.md$", n)]


def blocks(document, kinds=("nginx", "vcl", "sh", "console")):
    """Those with a language; blocks that are indented are `sh` where a command begins each line."""
    found, lines, fence = [], (TOP / document).read_text().splitlines(), None
    for number, line in enumerate([*lines, ""], 1):
        mark = re.match(r"```(\w*)$", line)
        if mark and fence is None:
            fence = (number, mark[1], [])
        elif mark:
            found.append(Block(document, fence[0], fence[1], "\n".join(fence[2])))
            fence = None
        elif fence is not None:
            fence[2].append(line)
        elif re.match(r" {4}(\./|make\b|sudo\b|curl\b|python3 |docker\b)", line):
            found.append(Block(document, number, "sh", line.strip()))
    assert fence is None, f"{document}:{fence[0]}: a block without an end"
    return [b for b in found if b.kind in kinds]


def top_level(text):
    """The directives of a configuration that stand in no block of it."""
    text, depth, names, at_start = re.sub(r"#.*", "", text), 0, [], True
    for token in re.findall(r'"[^"]*"|\'[^\']*\'|[{};]|[^\s{};"\']+', text):
        if token in "{};":
            depth += {"{": 1, "}": -1}.get(token, 0)
            at_start = True
        else:
            if at_start and depth == 0:
                names.append(token)
            at_start = False
    return set(names)


class Machine:
    """Runs a document's blocks in their order: run(block)."""

    def __init__(self, nginx):
        self.nginx = nginx
        self.app_port, self.third, self.fourth = (nginx.another_port() for _ in range(3))
        self.home = nginx.prefix / "home"                                        # where the reader's clone is
        self.memory = pathlib.Path(tempfile.mkdtemp(prefix="sc_docs_", dir="/dev/shm"))   # what is in /run, a tmpfs
        self.memory.chmod(0o755)
        self.places = {"/etc/nginx": nginx.prefix / "etc/nginx", "/etc/systemd": nginx.prefix / "etc/systemd",
                       "/run/slab-cache": self.memory, "/var/cache/nginx": nginx.prefix / "cache",
                       "/tmp/": f"{nginx.prefix}/scratch/"}
        for d in ("etc/nginx/conf.d", "etc/nginx/sites-available", "etc/nginx/sites-enabled", "etc/systemd/system", "home", "bin",
                  "scratch", "cache"):
            (nginx.prefix / d).mkdir(parents=True)
        for name in ("conf-examples", "clients", "tools", "docs"):
            (self.home / name).symlink_to(TOP / name)
        for name, command in {"sudo": 'exec "$@"',
                              "nginx": f"exec {NGINX} \"$@\"",
                              "slab-cache-top": f"exec {sys.executable} {TOP}/tools/slab-cache-top \"$@\"",
                              "slab-cache-migrate": f"exec {sys.executable} {TOP}/tools/migrate \"$@\""}.items():
            path = nginx.prefix / "bin" / name
            path.write_text(f"#!/bin/sh\n{command}\n")
            path.chmod(0o755)
        self.write_main()

    def write_main(self):
        n = self.nginx
        self.temp = temp = " ".join(f"{k}_temp_path {n.prefix}/tmp/{k};" for k in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        self.main = (f"load_module {MODULE};\n{'user root;' if os.getuid() == 0 else ''}\ndaemon off;\n"
                     f"pid {n.prefix}/nginx.pid;\nerror_log {n.prefix}/error.log notice;\nworker_processes 2;\nevents {{ }}\n"
                     f"http {{\n    {temp}\n    access_log off;\n    include {n.prefix}/etc/nginx/conf.d/*.conf;\n"
                     f"    include {n.prefix}/etc/nginx/sites-enabled/*;\n}}\n")
        (n.prefix / "etc/nginx/nginx.conf").write_text(self.main)

    def here(self, text):
        """Paths and ports of a document as they are on this machine."""
        text = re.sub("|".join(map(re.escape, self.places)), lambda m: str(self.places[m[0]]), text)
        text = text.replace("http://host/", "http://127.0.0.1:8080/")
        for there, port in (("8080", self.nginx.port), ("8081", self.app_port), ("8082", self.third), ("8083", self.fourth)):
            text = re.sub(rf"\b{there}\b", str(port), text)
        return text

    def there(self, text):
        return text.replace(str(self.nginx.port), "8080")

    def write(self, block):
        path = pathlib.Path(self.here(block.file))
        path.write_text(self.here(block.text) + "\n")

    def reload(self):
        if self.nginx.process is None:
            self.nginx.start(text=(self.nginx.prefix / "etc/nginx/nginx.conf").read_text())
        else:
            self.nginx.reload()

    def restart(self):
        self.nginx.stop()
        self.reload()

    def test(self):
        self.check((self.nginx.prefix / "etc/nginx/nginx.conf").read_text())

    def check(self, text):
        """nginx -t, and no warning."""
        code, said = self.nginx.test_config(text=text)
        assert code == 0 and "[warn]" not in said, said

    def install(self, names):
        control = (TOP / "debian/control").read_text()
        for name in re.findall(r"build/deb/([a-z-]+)_\*\.deb", names):
            assert re.search(rf"^Package: {name}$", control, re.M), name

    def make(self, arguments):
        p = subprocess.run(["make", "-n", *arguments.split()], cwd=TOP, stdin=subprocess.DEVNULL, capture_output=True,
                           text=True, check=False)
        assert p.returncode == 0, p.stderr

    # What is done in another way than by a shell.
    def _elsewhere(self, command):
        if command.startswith("promtool ") and not shutil.which("promtool"):
            return True             # tools/deps.sh browser installs it; d_examples_test.py says that it is skipped
        for pattern, action in ((r"nginx -t", self.test), (r"systemctl reload nginx|nginx -s reload", self.reload),
                                (r"systemctl restart nginx", self.restart), (r"systemctl daemon-reload", lambda: None),
                                (r"apt-get install (.*)", self.install), (r"make\b(.*)", self.make)):
            m = re.fullmatch(rf"(?:sudo )?{pattern}", command)
            if m:
                action(*m.groups())
                return True
        return False

    def command(self, command):
        """What it prints."""
        command = re.sub(r"\s+#.*$", "", command).strip()
        if self._elsewhere(command):
            return ""
        env = {**os.environ, "PATH": f"{self.nginx.prefix}/bin:{os.environ['PATH']}", "no_proxy": "*",
               "PYTHONDONTWRITEBYTECODE": "1"}
        # curl says that a request was refused by its exit code; a pipe's first command counts too.
        curl = re.sub(r"\bcurl ", "curl -fsS ", self.here(command))
        p = subprocess.run(["bash", "-o", "pipefail", "-c", curl], cwd=self.home, env=env, stdin=subprocess.DEVNULL,
                           capture_output=True, text=True, timeout=60, check=False)
        assert p.returncode == 0, f"{command}\n{p.stdout}{p.stderr}"
        return self.there(p.stdout)

    def run(self, block):
        if block.kind == "nginx":
            if block.file:
                self.write(block)
        elif block.kind == "vcl":
            (self.home / re.match(r"# (\S+)", block.text)[1]).write_text(block.text)
        elif block.kind == "sh":
            for command in block.text.replace("\\\n", " ").splitlines():
                if command.strip() and not command.strip().startswith("#"):
                    self.command(command)
        else:
            for command, printed in re.findall(r"^\$ (.*)\n?((?:(?!\$ ).*\n?)*)", block.text, re.M):
                said = self.command(command).replace("\r", "").rstrip("\n")
                form = re.escape(printed.rstrip("\n")).replace("…", "(?s:.*?)")
                assert re.fullmatch(form, said), f"{block}: {command}\nprints\n{said}\nand should\n{printed}"

    def close(self):
        shutil.rmtree(self.memory, ignore_errors=True)
