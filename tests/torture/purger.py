"""Purges at random: new versions first, then the purge, then what it promises is noted as the floor."""
import collections
import json
import random
import signal

from harness.client import Connection
from world import GROUPS, KEYS, TAGS, path_of

KINDS = ("url",) * 12 + ("prefix",) * 3 + ("tag",) * 3 + ("all",)


class Purger:
    def __init__(self, world, address, seed):
        self.world, self.address = world, address
        self.random = random.Random(seed)
        self.count = collections.Counter()
        self.violations = []
        self.connection = None

    def choose(self):
        """What to purge, as (method, path, headers, body), and the keys it covers."""
        kind = self.random.choice(KINDS)
        soft = self.random.random() < 0.25
        headers = [("Fastly-Soft-Purge", "1")] if soft else []
        if kind == "url":
            key = min(int(self.random.paretovariate(0.6)) - 1, KEYS - 1)
            what, keys, json_body = ("PURGE", path_of(key), headers, None), [key], {"urls": [f"localhost{path_of(key)}"]}
        elif kind == "prefix":
            group = self.random.randrange(GROUPS)
            what, keys = ("PURGE", f"/t/{group}/*", headers, None), range(group, KEYS, GROUPS)
            json_body = {"prefixes": [f"http://localhost/t/{group}/"]}
        elif kind == "tag":
            tag = self.random.randrange(TAGS)
            what, keys = ("PURGE", "/", headers + [("Surrogate-Key", f"tag{tag}")], None), range(tag, KEYS, TAGS)
            json_body = {"tags": [f"tag{tag}"]}
        else:
            what, keys, json_body = None, range(KEYS), {"all": True}
        if what is None or self.random.random() < 0.3:
            json_body["mode"] = "soft" if soft else "hard"
            what = ("POST", "/_cache/v1/zones/one/purge", [], json.dumps(json_body).encode())
        self.count[f"{'soft' if soft else 'hard'} {kind}"] += 1
        return what, list(keys), soft

    def purge(self, what):
        """Until it is answered: a worker may be killed in the middle of it."""
        method, path, headers, body = what
        for _ in range(100):
            if self.world.stop.is_set():
                return False
            try:
                if self.connection is None:
                    self.connection = Connection(self.address)
                r = self.connection.request(path, method, headers=headers, body=body)
                if r.status == 200:
                    return True
                self.violations.append(f"purge {what} was answered by {r}")
                return False
            except (OSError, EOFError, ValueError):
                self.connection = None
                self.count["asked again"] += 1
        self.violations.append(f"purge {what} was never answered")
        return False

    def one(self):
        what, keys, soft = self.choose()
        versions = {}
        for k in keys:
            self.world.version[k] += 1
            versions[k] = self.world.version[k]
        if self.purge(what):
            self.count["purges"] += 1
            if not soft:
                for k, v in versions.items():
                    self.world.floor[k] = v

    def run(self):
        while not self.world.stop.wait(self.random.random() * 0.06):
            self.one()


def run_purger(world, address, seed, results):
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    p = Purger(world, address, seed)
    p.run()
    results.put((dict(p.count), p.violations[:50], 0.0))
