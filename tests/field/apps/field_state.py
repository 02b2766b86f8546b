"""What the Python stand-ins share: a site's version and the list of its requests lie in files of the directory that nginx names."""
import pathlib

FILLER = "<p>It was a dark and stormy night; the rain fell in torrents, except at occasional intervals.</p>\n" * 20


class State:
    def __init__(self, directory):
        self.directory = pathlib.Path(directory)

    def log(self, method, target):
        with open(self.directory / "log", "a", encoding="utf-8") as f:
            f.write(f"app {method} {target}\n")

    @property
    def version(self):
        path = self.directory / "version"
        return int(path.read_text()) if path.exists() else 1

    def changed(self):
        (self.directory / "version").write_text(str(self.version + 1))

    def page(self, target, host, user="nobody", text=""):
        return f"<html>GET {target} host={host} user={user} {text}\n[[version {self.version}]]\n{FILLER}</html>\n"
