"""A store in a directory of its own, at a port of its own: stopped for a while, killed, gone at the end."""
import pathlib
import shutil
import signal
import tempfile

from .nginx import reserve_port


class Server:
    """Who is derived from it starts `process`."""

    def __init__(self, prefix, port=None):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix=prefix))
        self.dir.chmod(0o755)
        self.reserved = reserve_port() if port is None else None
        self.port = port or self.reserved.getsockname()[1]
        self.process = None

    def pause(self):
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self):
        self.process.send_signal(signal.SIGCONT)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
            self.process.wait()
        if self.reserved:
            self.reserved.close()
        shutil.rmtree(self.dir, ignore_errors=True)
