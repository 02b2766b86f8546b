"""Clients that ask and compare until told to stop."""
import threading

from harness.wait import wait_until


class Load:
    """`with Load(nginx, paths, body_of)`: asks on new connections; keeps what went wrong, and what `tolerate` names in `broken`."""

    def __init__(self, nginx, paths, body_of, clients=4, tolerate=()):
        self.nginx, self.paths, self.body_of, self.tolerate = nginx, paths, body_of, tolerate
        self.wrong, self.broken, self.done = [], [], 0
        self.end = threading.Event()
        self.lock = threading.Lock()
        self.threads = [threading.Thread(target=self._client, args=(i,)) for i in range(clients)]

    def __enter__(self):
        for t in self.threads:
            t.start()
        return self

    def __exit__(self, *_):
        self.end.set()
        for t in self.threads:
            t.join(30)

    def _client(self, number):
        i = number * 7919
        while not self.end.is_set():
            i += 1
            path = self.paths[i % len(self.paths)]
            try:
                answer = self.nginx.get(path)
                if answer.status != 200 or answer.body != self.body_of(path):
                    self.wrong.append((path, answer))
            except self.tolerate as e:
                self.broken.append((path, repr(e)))
            except Exception as e:      # noqa: BLE001 - whatever it is, the test must see it
                self.wrong.append((path, repr(e)))
            with self.lock:
                self.done += 1

    def wait_for(self, more):
        goal = self.done + more
        wait_until(lambda: self.done >= goal, f"{more} more requests")
