"""Several nginx before one origin, with a Redis or a memcached as second tier between them."""
import json

from .fleet import Fleet
from .memcached import Memcached
from .nginx import Nginx
from .origin import Reply
from .wait import wait_until

HOST = "example.org"
LOCATION = """
location / {{ slab_cache one; slab_cache_tier store; slab_cache_purge PURGE from 127.0.0.1; {rules} proxy_pass http://{origin}; }}
location /_cache/ {{ slab_cache_api write=on; }}
"""


class Node(Nginx):
    """Asked as example.org, by whatever port: a value's key is the URL."""

    def request(self, path, method="GET", **kw):
        return super().request(path, method, **{"host": "localhost" if path.startswith("/_cache/") else HOST, **kw})

    def tier(self):
        return json.loads(self.get("/_cache/v1/tier").body)["tiers"][0]

    def counters(self):
        return self.tier()["counters"]

    def misses(self):
        return {k: v for k, v in self.counters()["misses"].items() if v}

    def zone_in_fleet(self):
        return json.loads(self.get("/_cache/v1/fleet").body)["fleets"][0]["zones"][0]

    def position(self):
        """Of the zone in its fleet."""
        return self.zone_in_fleet()["position"]


class Tiered(Fleet):
    """kind: "redis" or "memcached". Without `fleet` there are no positions, and no purges of others."""

    def __init__(self, kind):
        super().__init__()
        self.kind = kind
        self.stores = [Memcached()] if kind == "memcached" else [self.redis]
        self.servers += self.stores if kind == "memcached" else []

    def _answer(self, request):
        reply = super()._answer(request)
        reply.headers.append("X-Origin: 1")
        return reply

    def url(self, *proxies):
        addresses = [f"127.0.0.1:{p.port}" for p in proxies or self.stores]
        return f"{self.kind}://{','.join(addresses)}"

    def node(self, name, servers=None, options="", zone="zone=one:16m", rules="", fleet=False, member="", workers=2,
             location=LOCATION, more="", wait=True, **kw):
        n = Node()
        n.name = name
        joins = " fleet=main" if fleet else ""
        n.kw = {"workers": workers, "location": location.format(rules=rules, origin=self.origin.address),
                "server": "add_header X-Tier $slab_cache_tier always;", **kw, "zone": f"""
            {f"slab_cache_fleet main redis://127.0.0.1:{self.redis.port} stream=slab node={name} {member};" if fleet else ""}
            slab_cache_tier store {servers or self.url()} timeout=2s {options}{joins};
            slab_cache_zone {zone}{joins}; {more}"""}
        n.start(**n.kw)
        self.nodes.append(n)
        if fleet and wait:
            wait_until(lambda: n.position() != "0-0", f"{name} is connected, and past its first gap")
        return n

    def pair(self, **kw):
        return self.node("a", **kw), self.node("b", **kw)

    # ---- the store, as an application sees it ----

    def put(self, path, value, seconds=300, key=None):
        value = value.encode() if isinstance(value, str) else value
        key = key or f"slab:http://{HOST}{path}"
        if self.kind == "redis":
            self.redis.call("SET", key, value, "EX", seconds)
        else:
            assert self.stores[0].ask(b"ms %s %d T%d\r\n%s\r\n" % (key.encode(), len(value), seconds, value)) == b"HD\r\n"

    def value(self, path=None, key=None):
        key = key or f"slab:http://{HOST}{path}"
        if self.kind == "redis":
            return self.redis.call("GET", key)
        return self.stores[0].get(key)

    def keys(self):
        return [k.decode() for k in self.redis.call("KEYS", "slab:*")]

    def written(self, path):
        wait_until(lambda: self.value(path), f"{path} lies in the store")
        return self.value(path)


def message(body="stored", *fields, age="max-age=300", status="200 OK"):
    lines = [f"HTTP/1.1 {status}", *([f"Cache-Control: {age}"] if age else []), *fields, "", body]
    return "\r\n".join(lines)


__all__ = ["HOST", "LOCATION", "Node", "Reply", "Tiered", "message"]
