"""A real Celery worker, in the directory of an example."""
import contextlib
import os
import subprocess

from .wait import wait_until

WHY_NOT = "no Celery here (tools/deps.sh test)"


def is_here():
    return subprocess.run(["/usr/bin/python3", "-c", "import celery"], capture_output=True, check=False).returncode == 0


class Worker:
    def __init__(self, process, log):
        self.process, self.log = process, log

    def wait_for(self, text, times=1):
        """Its log says so."""
        wait_until(lambda: self.log.read_text(errors="replace").count(text) >= times or self.process.poll() is not None,
                   f"the worker's log says {text!r}", 120)
        assert self.process.poll() is None, self.log.read_text(errors="replace")


@contextlib.contextmanager
def worker(directory, app, log, **environment):
    with open(log, "wb") as output:
        process = subprocess.Popen(["/usr/bin/python3", "-m", "celery", "-A", app, "worker", "--pool", "solo", "--without-mingle",
                                    "--without-gossip", "--loglevel", "INFO"],
                                   cwd=directory, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                                   env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", **environment})
    try:
        yield Worker(process, log)
    finally:
        process.terminate()
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
