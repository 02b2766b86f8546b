"""Purges on several machines by one XADD (docs/fleet.md), with the Redis client that the application has.

    fleet = Fleet(redis.Redis(), stream="slab")
    fleet.purge("https://example.org/news/1", tags=["article-1"])
    fleet.purge_on_commit(tags=["article-1"])                    # Django

The client is anything with redis-py's `xadd`: redis, valkey, a pipeline of theirs. There is no list of machines.
"""
import time
from typing import Any, Dict, Iterable, Optional

from slab_cache import Cache, NodesFailed, Refused, _tags, _texts

__all__ = ["Fleet"]


def _list(what: str, values: Iterable[str]) -> str:
    """A field's value: a list with blanks between its members."""
    values = _texts(what, values)
    for v in values:
        if any(c.isspace() for c in v):
            raise ValueError(f"{what}: {v!r} has a blank in it, which separates; percent-encode it")
    return " ".join(values)


class Fleet:
    """A stream that nginx' `slab_cache_fleet … stream=` reads."""

    def __init__(self, client: Any, stream: str = "slab", *, zone: Optional[str] = None, maxlen: int = 100_000) -> None:
        """`zone`: purges are for the zones of that name alone. `maxlen`: entries that the stream keeps, about."""
        self.client, self.stream, self.zone, self.maxlen = client, stream, zone, maxlen

    @staticmethod
    def fields(*urls: str, tags: Iterable[str] = (), prefixes: Iterable[str] = (), hosts: Iterable[str] = (),
               globs: Iterable[str] = (), tags_all: Iterable[str] = (), without: Iterable[str] = (), all: bool = False,
               soft: bool = False) -> Dict[str, str]:
        """The entry that purges what is named: for who has a client of another kind."""
        if without and not tags_all:
            raise ValueError("`without` goes with `tags_all`")
        named = {"url": _list("urls", urls), "tag": " ".join(_tags(tags)), "prefix": _list("prefixes", prefixes),
                 "host": _list("hosts", hosts), "glob": _list("globs", globs), "tags_all": " ".join(_tags(tags_all)),
                 "not": " ".join(_tags(without)), "all": "1" if all else ""}
        found = {k: v for k, v in named.items() if v}
        if not found:
            raise ValueError("nothing to purge")
        return {**found, **({"mode": "soft"} if soft else {})}

    def purge(self, *urls: str, **named: Any) -> Any:
        """Purges what is named, on all machines; returns what the client's `xadd` does: the entry's id, its position.

        Arguments are those of `Cache.purge`. URLs are absolute. It holds everywhere a few milliseconds later.
        """
        return self._add(self.fields(*urls, **named))

    def purge_on_commit(self, *urls: str, using: Optional[str] = None, **named: Any) -> None:
        """With Django: once the transaction that runs now is committed, at once without one; never if it is rolled back."""
        from django.db import transaction
        fields = self.fields(*urls, **named)
        transaction.on_commit(lambda: self._add(fields), using)

    def position(self) -> str:
        """The stream's end. Take it before the data is read, and give it to `push()`: what is purged after it, by whatever way
        and on whatever machine, no push brings back.
        """
        last = self.client.xrevrange(self.stream, count=1)
        id_ = last[0][0] if last else self._add({"hello": "1"})
        return str(id_.decode() if isinstance(id_, bytes) else id_)

    @staticmethod
    def push(cache: Cache, url: str, body: Any, position: str, *, seconds: float = 2.0, **more: Any) -> Dict[str, Any]:
        """`cache.push()` to all its nodes, as of that position. `PurgedSince`: it was purged behind it; take a new one.

        A node that has not read the stream up to there says so. It is asked again, for `seconds`.
        """
        end = time.monotonic() + seconds
        while True:
            try:
                return cache.push(url, body, position=position, **more)
            except (Refused, NodesFailed) as e:
                errors = list(e.errors.values()) if isinstance(e, NodesFailed) else [e]
                is_behind = all(isinstance(x, Refused) and (x.status, x.title) == (503, "not there yet") for x in errors)
                if not is_behind or time.monotonic() > end:
                    raise
                time.sleep(0.02)

    def _add(self, fields: Dict[str, str]) -> Any:
        zone = {"zone": self.zone} if self.zone else {}
        return self.client.xadd(self.stream, {**fields, **zone}, maxlen=self.maxlen, approximate=True)
