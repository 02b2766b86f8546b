"""Purges against fetches, pushes and refreshes, in random order: nothing older than the last completed purge is ever served."""
import json
import random
import threading
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote

import pytest
from harness.origin import Reply

PATHS = [f"/r/{i}" for i in range(4)]
ROUNDS = 250
JSON = "Content-Type: application/json"


class World:
    """The application's data: one version per path. `floor` is what the last purge that was answered made the minimum."""

    def __init__(self, seed):
        self.lock = threading.Lock()
        self.version = {p: 0 for p in PATHS}
        self.floor = {p: 0 for p in PATHS}
        self.seed = seed
        self.done = threading.Event()
        self.wrong = []

    def answer(self, request):
        path = request.target
        with self.lock:
            version = self.version[path]
        # The origin read its data; now it takes its time over the answer.
        self.done.wait(random.choice([0, 0, 0.001, 0.004]))
        return Reply(f"{version}".encode(), headers=["Cache-Control: max-age=600", f"Surrogate-Key: all path-{path[-1]}"])

    def bump(self, paths):
        with self.lock:
            for p in paths:
                self.version[p] += 1
            return {p: self.version[p] for p in paths}

    def raise_floor(self, versions):
        with self.lock:
            for p, v in versions.items():
                self.floor[p] = max(self.floor[p], v)


def api(n, **what):
    answer = n.request("/_cache/v1/zones/one/purge", "POST", body=json.dumps(what).encode(), headers=(JSON,))
    assert answer.status == 200, answer
    return json.loads(answer.body)["seq"]


WAYS = {
    "url": (1, lambda n, p: n.purge(p)),
    "tag": (1, lambda n, p: n.purge("/", f"Surrogate-Key: path-{p[-1]}")),
    "entry": (1, lambda n, p: n.request("/_cache/v1/zones/one/entry?url=http://localhost" + p, "DELETE")),
    "glob": (1, lambda n, p: n.purge("/*/" + p[-1])),
    "prefix": (4, lambda n, p: n.purge("/r/*")),
    "all tags": (4, lambda n, p: api(n, tags=["all"])),
    "host": (4, lambda n, p: api(n, hosts=["localhost"])),
    "all": (4, lambda n, p: api(n, all=True)),
}


def purger(world, n, chance):
    for _ in range(ROUNDS):
        path = chance.choice(PATHS)
        reach, purge = WAYS[chance.choice(list(WAYS))]
        versions = world.bump(PATHS if reach > 1 else [path])
        answer = purge(n, path)
        if not isinstance(answer, int) and answer.status != 200:
            world.wrong.append(answer)
        world.raise_floor(versions)
        world.done.wait(chance.random() * 0.01)


def pusher(world, n, chance):
    while not world.done.is_set():
        path = chance.choice(PATHS)
        fence = api(n, tags=["nobody"])
        with world.lock:
            version = world.version[path]
        world.done.wait(chance.choice([0, 0.002, 0.005]))
        answer = n.request(f"/_cache/v1/zones/one/entry?ttl=600&url={quote('http://localhost' + path)}", "PUT",
                           body=str(version).encode(),
                           headers=(f"If-Purge-Seq: {fence}", f"Surrogate-Key: all path-{path[-1]}"))
        if answer.status not in (201, 412):
            world.wrong.append(answer)


def reader(world, n, chance):
    with n.connect() as c:
        while not world.done.is_set():
            path = chance.choice(PATHS)
            with world.lock:
                floor = world.floor[path]
            answer = c.request(path)
            if answer.status != 200 or int(answer.body) < floor:
                world.wrong.append((path, floor, answer))


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_nothing_older_than_the_last_completed_purge_is_served(cached, origin, seed):
    world = World(seed)
    origin.handle("*", world.answer)
    n = cached(workers=3, http="keepalive_requests 1000000;")
    with ThreadPoolExecutor(12) as pool:
        others = [pool.submit(f, world, n, random.Random(seed * 100 + i)) for i, f in enumerate([reader] * 6 + [pusher] * 2)]
        purgers = [pool.submit(purger, world, n, random.Random(seed * 1000 + i)) for i in range(2)]
        for f in purgers:
            f.result()
        world.done.set()
        for f in others:
            f.result()
    assert world.wrong == [], f"seed {seed}: {world.wrong[:3]}"
