"""Somebody who asks for pages as ever while the flood goes on: what he gets, and how soon."""
import time

from harness.client import Connection

PATIENCE = 60


class Bystander:
    def __init__(self, n, paths):
        self.n, self.paths, self.failures, self.times = n, paths, [], []

    def walk(self, times=1):
        """Each page, on connections of twenty requests."""
        for _ in range(times):
            for k in range(0, len(self.paths), 20):
                self._walk(self.paths[k:k + 20])

    def _walk(self, paths):
        connection = None
        for path in paths:
            start = time.perf_counter()
            try:
                connection = connection or Connection(self.n.address, timeout=PATIENCE)
                answer = connection.request(path)
                ok = answer.status == 200 and answer.body.startswith(path.encode() + b" ")
                self.failures += [] if ok else [(path, answer.status)]
            except (OSError, EOFError, ValueError) as e:
                self.failures.append((path, type(e).__name__))
                connection = None
            self.times.append(time.perf_counter() - start)
        if connection is not None:
            connection.close()

    def p99(self):
        return sorted(self.times)[len(self.times) * 99 // 100] if self.times else 0.0
