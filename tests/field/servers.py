"""Real application servers: php-fpm, gunicorn, uWSGI. One process of each serves all sites of a session: nginx tells the
application by FIELD_STATE in which directory that site's state and the list of its requests lie."""
import os
import pathlib
import shutil
import subprocess
import tempfile

from harness.wait import wait_until

APPS = pathlib.Path(__file__).parent / "apps"
PHP_FPM = next((str(p) for d in ("/usr/sbin", "/usr/local/sbin") for p in sorted(pathlib.Path(d).glob("php-fpm*"))), None)

FPM = """[global]
error_log = {d}/fpm.log
daemonize = no
[www]
listen = {d}/php.sock
pm = static
pm.max_children = 2
clear_env = yes
{user}
"""


class Servers:
    """Starts each at its first use; stop() ends them all."""

    def __init__(self):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="sc_field_", dir="/tmp"))
        self.directory.chmod(0o755)
        self._processes = {}

    def address(self, what):
        """Of "php", or of "gunicorn:module", "uwsgi:module": a unix socket's path."""
        if what not in self._processes:
            self._processes[what] = self._start(what)
        return self._socket(what)

    @staticmethod
    def missing(what):
        """The program that this machine lacks, if any: tools/deps.sh test installs all."""
        program = {"php": PHP_FPM or "php-fpm", "gunicorn": "/usr/bin/gunicorn",
                   "uwsgi": "/usr/bin/uwsgi_python3"}[what.partition(":")[0]]
        return None if pathlib.Path(program).exists() else program

    def _socket(self, what):
        return self.directory / f"{what.replace(':', '_')}.sock"

    def _command(self, what):
        kind, _, module = what.partition(":")
        where = self._socket(what)
        if kind == "php":
            conf = self.directory / "fpm.conf"
            root = os.getuid() == 0
            conf.write_text(FPM.format(d=self.directory, user="user = root\ngroup = root" if root else ""))
            return [PHP_FPM, *(["-R"] if root else []), "-F", "-n", "-y", str(conf)]
        if kind == "gunicorn":
            return ["/usr/bin/python3", "/usr/bin/gunicorn", "--chdir", str(APPS), "--workers", "1", "--threads", "4",
                    "--worker-class",
                    "gthread", "--bind", f"unix:{where}", "--worker-tmp-dir", str(self.directory), f"{module}:application"]
        return ["/usr/bin/uwsgi_python3", "--chdir", str(APPS), "--socket", str(where), "--module", f"{module}:application",
                "--master",
                "--die-on-term", "--buffer-size", "16384", "--chmod-socket=666"]

    def _start(self, what):
        log = self.directory / f"{what.replace(':', '_')}.log"
        with open(log, "wb") as out:
            p = subprocess.Popen(self._command(what), stdin=subprocess.DEVNULL, stdout=out, stderr=out, cwd=self.directory,
                                 env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"})
        wait_until(lambda: self._socket(what).exists() or p.poll() is not None, f"{what} listens")
        assert p.poll() is None, log.read_text()
        return p

    def logs(self):
        return "".join(f"--- {p.name}\n{p.read_text(errors='replace')[-2000:]}\n" for p in sorted(self.directory.glob("*.log")))

    def stop(self):
        for p in self._processes.values():
            p.terminate()
        for p in self._processes.values():
            p.wait(20)
        shutil.rmtree(self.directory, ignore_errors=True)
