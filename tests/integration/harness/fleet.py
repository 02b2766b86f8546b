"""Several nginx as one: an origin with a version for each path, a Redis, and nodes, each behind a proxy of its own."""
import contextlib
import json
import threading

from .nginx import Nginx
from .origin import Origin, Reply
from .redis import Proxy, Redis
from .wait import wait_until

LOCATION = """
location / {{ slab_cache one; slab_cache_purge PURGE from 127.0.0.1; slab_cache_methods GET HEAD; {rules} proxy_pass http://{origin}; }}
location /_cache/ {{ slab_cache_api write=on; }}
"""


class Node(Nginx):
    """`options` go behind stream=, `zone` are parameters of slab_cache_zone."""

    def __init__(self, fleet, name, servers, options="", zone="zone=one:16m", rules="", workers=2, more="", **kw):
        super().__init__()
        self.name, self.fleet = name, fleet
        self.kw = {"workers": workers, "zone": f"slab_cache_fleet main {servers} stream=slab node={name} {options};\n"
                                               f"slab_cache_zone {zone} fleet=main;\n{more}",
                   "location": LOCATION.format(rules=rules, origin=fleet.origin.address), **kw}
        self.start(**self.kw)

    def state(self):
        """What its API says of the zone in the fleet."""
        return json.loads(self.get("/_cache/v1/fleet").body)["fleets"][0]["zones"][0]

    def counters(self):
        return self.state()["counters"]

    def gaps(self):
        """Without those of the start."""
        return {k: v for k, v in self.counters()["gaps"].items() if v and k != "start"}

    def sees(self, *names):
        """Connected, and these others are live."""
        state = self.state()
        return state["connected"] and {n["name"] for n in state["nodes"] if n["state"] != "silent"} >= set(names)

    def holder(self):
        return self.state()["holder"]

    def fill(self, path, *headers):
        """Stores it, at today's version."""
        self.get(path, *headers)
        wait_until(lambda: self.get(path, *headers).cache == "HIT", f"{path} is stored on {self.name}")

    def is_hit(self, path):
        return self.get(path).cache == "HIT"


class Fleet:
    def __init__(self, origin=None, redis=None):
        self.origin = origin or Origin()
        self.versions = {}
        self.tags = {}
        self.age = "max-age=3600"
        self.origin.handle("*", self._answer)
        self.redis = redis or Redis()
        self.nodes, self.proxies, self.servers = [], [], [self.redis]

    def _answer(self, request):
        path = request.target.partition("?")[0]
        tag = f'"{self.versions.get(path, 0)}"'
        if any(line.lower().startswith("if-none-match:") and tag in line for line in request.lines):
            return Reply(status=304, headers=[f"Cache-Control: {self.age}", f"ETag: {tag}"])
        return Reply(str(self.versions.get(path, 0)),
                     headers=[f"Cache-Control: {self.age}", f"ETag: {tag}", *([f"Cache-Tag: {self.tags[path]}"] if path in self.tags else [])])

    def change(self, path):
        """The origin's page is another one from now on; its version."""
        self.versions[path] = self.versions.get(path, 0) + 1
        return self.versions[path]

    def proxy(self, server=None):
        self.proxies.append(Proxy((server or self.redis).port))
        return self.proxies[-1]

    def server(self, *options, **kw):
        self.servers.append(Redis(*options, **kw))
        return self.servers[-1]

    def node(self, name, servers=None, wait=True, **kw):
        node = Node(self, name, servers or f"redis://127.0.0.1:{self.redis.port}", **kw)
        self.nodes.append(node)
        if wait:
            wait_until(lambda: node.state()["connected"] and node.state()["position"] != "0-0", f"{name} is connected, and past its first gap")
        return node

    def pair(self, **kw):
        """Two nodes that know each other."""
        a, b = self.node("a", **kw), self.node("b", **kw)
        self.know_each_other(a, b)
        return a, b

    def pair_by_proxy(self):
        """The same; the first has a proxy of its own before Redis, which the test may cut."""
        proxy = self.proxy()
        a, b = self.node("a", servers=f"redis://{proxy.address}"), self.node("b")
        self.know_each_other(a, b)
        a.expect_log("no connection")
        return proxy, a, b

    def know_each_other(self, *nodes):
        for n in nodes:
            others = [o.name for o in nodes if o is not n]
            wait_until(lambda n=n, others=others: n.sees(*others), f"{n.name} sees {others}")

    def stop(self, keep=False):
        problems = []
        for s in self.servers:
            with contextlib.suppress(OSError):
                s.go_on()
        for n in self.nodes:
            try:
                n.stop()
            except AssertionError as e:
                problems.append(str(e))
            problems += [f"{n.name}: {c}" for c in n.complaints()]
        for n in self.nodes:
            if problems:
                print(f"---- {n.name}\n{n.error_log()}")
            n.clean_up(keep)
        for p in self.proxies:
            p.stop()
        for s in self.servers:
            s.stop()
        self.origin.stop()
        assert not self.origin.errors, self.origin.errors
        assert not problems, problems


def together(*calls):
    """All at once; raises what the first of them raised."""
    errors = []

    def run(call):
        try:
            call()
        except BaseException as e:      # noqa: BLE001 - handed on below
            errors.append(e)
    threads = [threading.Thread(target=run, args=(c,)) for c in calls]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    if errors:
        raise errors[0]
