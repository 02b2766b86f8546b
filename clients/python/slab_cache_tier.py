"""Pages that a job makes, put into the Redis or memcached that nginx asks before the origin (docs/tier.md).

    tier = Tier(redis.Redis(), fleet=Fleet(redis.Redis(), stream="slab"))
    position = tier.position()                                   # before the data is read
    tier.put("https://example.org/report/7", page, max_age=300, tags=["report-7"], position=position)
    tier.publish("https://example.org/report/7", make_page, max_age=300, tags=["report-7"])      # the same

The client is anything with `set(key, value, seconds)`, `get` and `delete`: redis-py and what is like it, pymemcache and
what is like it. Several memcached need pymemcache's HashClient, with servers as nginx names them. Without all of this:

    r.set("slab:https://example.org/report/7", "HTTP/1.1 200 OK\\nCache-Control: max-age=300\\n\\n" + page, ex=300)
"""
import email.utils
import hashlib
import http.client
import re
import string
import struct
import urllib.parse
from typing import Any, Callable, Iterable, List, Mapping, Optional, Sequence, Tuple, Union

from slab_cache import Body, Headers, _pairs, _tags
from slab_cache_fleet import Fleet

__all__ = ["Tier", "message", "store_key"]

MOST_PLAIN = 200                    # bytes of prefix and text
MOST_SECONDS = 30 * 86400           # memcached takes more for a date
MOST_SPECS = 4

_PRINTABLE = "".join(c for c in string.printable if "!" <= c <= "~")
_IN_FIELDS = "".join(c for c in _PRINTABLE if c not in "%|#")
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_AUTHORITY = re.compile(r"(?:\[[0-9a-f:.]+\]|[a-z0-9._~-]+)(?::[0-9]{1,5})?")
_ENCODINGS = {"gzip": 1, "x-gzip": 1, "br": 2, "zstd": 4, "identity": 8}
_OURS = frozenset(("content-length", "transfer-encoding", "date", "vary"))

Key = Union[str, Sequence[str]]     # a URL, or the fields of an explicit slab_cache_key
Vary = Mapping[str, Optional[str]]


# ---- keys ---------------------------------------------------------------------------------------------------------

def _text(key: Key) -> str:
    """What stands for a cache key: the URL as nginx sees it, or `key:field|field`."""
    if not isinstance(key, str):
        fields = list(key)
        if not fields or not all(isinstance(f, str) for f in fields):
            raise TypeError("a key is a URL, or the fields of a slab_cache_key as texts")
        return "key:" + "|".join(urllib.parse.quote(f, safe=_IN_FIELDS) for f in fields)
    scheme, _, rest = key.partition("://")
    scheme = scheme.lower()
    rest = rest.partition("#")[0]
    authority = re.split("[/?]", rest, maxsplit=1)[0]
    uri = rest[len(authority):] or "/"
    usual = {"http": ":80", "https": ":443"}.get(scheme)
    authority = authority.lower()
    if usual is None or not _AUTHORITY.fullmatch(authority) or not uri.startswith("/"):
        raise ValueError(f"{key!r} is no absolute URL: https://example.org/path")
    if authority.endswith(usual):
        authority = authority[:-len(usual)]
    return f"{scheme}://{authority}{urllib.parse.quote(uri, safe=_PRINTABLE)}"


def _members(value: str) -> List[str]:
    """A field's members, with commas in quoted strings left alone."""
    members, quoted, start, at = [], False, 0, 0
    while at < len(value):
        if value[at] == '"':
            quoted = not quoted
        elif quoted and value[at] == "\\":
            at += 1
        elif value[at] == "," and not quoted:
            members.append(value[start:at].strip(" \t"))
            start = at + 1
        at += 1
    return members + [value[start:].strip(" \t")]


def _encodings(value: str) -> int:
    """The set of encodings that an Accept-Encoding comes to (src/http/vary.h)."""
    named = taken = 0
    star = None
    for member in _members(value):
        coding, _, weight = member.partition(";")
        refused = re.fullmatch(r"[qQ]=[0.]+", weight.strip(" \t")) is not None
        if coding.strip(" \t") == "*":
            star = not refused
            continue
        bit = _ENCODINGS.get(coding.strip(" \t").lower(), 0)
        named |= bit
        taken |= 0 if refused else bit
    compressed = (taken | (~named if star else 0)) & 7
    return compressed | (8 if (named & 8 and not taken & 8) or (not named & 8 and star is False) else 0)


def _vary_value(name: str, value: Optional[str]) -> bytes:
    if value is None:
        return struct.pack("<I", 0)
    if name == "accept-encoding":
        said = bytes([_encodings(value)])
    else:
        said = ",".join(_members(value)).encode("latin-1")
        said = said.lower() if name == "accept-language" else said
    return struct.pack("<I", len(said) + 1) + said


def _spec(vary: Vary) -> str:
    names = sorted({name.lower() for name in vary})
    if len(names) != len(vary) or not all(_TOKEN.fullmatch(n) for n in names):
        raise ValueError("vary: the names of different fields, each with the value that requests have, or None")
    if "cookie" in names:
        raise ValueError("vary: which cookies count is for nginx' configuration to say; a page for one visitor is not for the store")
    return ",".join(names)


def store_key(key: Key, prefix: str = "slab:", vary: Optional[Vary] = None) -> str:
    """Where nginx looks: `slab:https://example.org/report/7`. With `vary`, where the variant for such requests is."""
    text = _text(key)
    if vary:
        said = {name.lower(): value for name, value in vary.items()}
        spec = _spec(vary)
        values = b"".join(_vary_value(name, said[name]) for name in spec.split(","))
        return f"{prefix}vary:" + hashlib.sha256(f"{text}\n{spec}\n".encode() + values).hexdigest()
    return prefix + (text if len(prefix) + len(text) <= MOST_PLAIN else hashlib.sha256(text.encode()).hexdigest())


# ---- values -------------------------------------------------------------------------------------------------------

def _field(name: str, value: Any) -> str:
    value = str(value).strip(" \t")
    if not _TOKEN.fullmatch(name) or any(c < " " and c != "\t" or c == "\x7f" for c in value):
        raise ValueError(f"{name!r}: {value!r} is no field")
    return f"{name}: {value}\r\n"


def message(body: Body, *, status: int = 200, content_type: str = "text/html; charset=utf-8", max_age: Optional[int] = None,
            tags: Iterable[str] = (), headers: Headers = (), position: str = "", key: Optional[Key] = None,
            vary: Optional[Vary] = None) -> bytes:
    """The value: an HTTP response. For who has a client of another kind, an asynchronous one for example."""
    if not 200 <= status <= 599:
        raise ValueError("status is a number from 200 to 599")
    if position and not re.fullmatch(r"[0-9]+-[0-9]+", position):
        raise ValueError(f"{position!r} is no position: take it of Tier.position() or Fleet.position()")
    fields: List[Tuple[str, Any]] = [("Date", email.utils.formatdate(usegmt=True))]
    fields += [("Content-Type", content_type)] if content_type else []
    fields += [("Cache-Control", f"max-age={int(max_age)}")] if max_age is not None else []
    fields += [("Surrogate-Key", " ".join(_tags(tags)))] if tags else []
    fields += [("Vary", ", ".join(_spec(vary).split(",")))] if vary else []
    for name, value in _pairs(headers):
        if name.lower() in _OURS or name.lower().startswith("slab-"):
            raise ValueError(f"{name} is not for headers= to say")
        fields.append((name, value))
    fields += [("Slab-Key", _text(key))] if key is not None else []
    fields += [("Slab-Position", position)] if position else []
    head = f"HTTP/1.1 {status} {http.client.responses.get(status, '')}\r\n" + "".join(_field(n, v) for n, v in fields)
    return head.encode("latin-1") + b"\r\n" + (body.encode() if isinstance(body, str) else bytes(body))


def _specs_of(value: Any) -> List[str]:
    """Of a marker, which says what responses of a URL vary on."""
    text = value.decode("latin-1") if isinstance(value, bytes) else str(value or "")
    return re.findall(r"^Slab-Vary: *([^\r\n]+)", text.partition("\r\n\r\n")[0], re.MULTILINE)


class Tier:
    """A store that nginx' `slab_cache_tier … redis://…` or `memcached://…` reads."""

    def __init__(self, client: Any, prefix: str = "slab:", fleet: Optional[Fleet] = None) -> None:
        """`prefix` and `fleet` as the directive has them. The client itself puts nothing before its keys."""
        if len(prefix) > 64 or any(c not in _PRINTABLE for c in prefix):
            raise ValueError("prefix: 64 printable characters at most, no blanks")
        self.client, self.prefix, self.fleet = client, prefix, fleet
        # pymemcache does not wait for answers where it is not told to, and would not say what was not stored.
        modules = {c.__module__.partition(".")[0] for c in type(client).__mro__}
        self._said = {"noreply": False} if "pymemcache" in modules else {}

    def position(self) -> str:
        """The stream's end: take it before the data is read. What is purged after it, no page made then brings back."""
        if self.fleet is None:
            raise ValueError("a position is the fleet's: Tier(client, fleet=Fleet(…))")
        return self.fleet.position()

    def put(self, key: Key, body: Body, *, position: Optional[str] = None, max_age: Optional[int] = None,
            ttl: Optional[int] = None, vary: Optional[Vary] = None, **more: Any) -> bool:
        """Stores a page for `max_age` seconds; False where the store did not take it.

        `ttl` is how long the store keeps it, where that is not `max_age`; a `Cache-Control` of your own goes into `headers`.
        `vary` says which requests get it: `{"Accept-Language": "de"}`; one put for each variant. With a fleet there must be
        a `position`: nginx takes a page without one for older than every purge. The rest is `message()`'s.
        """
        if self.fleet is not None and position is None:
            raise ValueError("position: what position() said before the data was read")
        seconds = max_age if ttl is None else ttl
        if seconds is None or seconds < 1:
            raise ValueError("max_age or ttl: seconds, at least one")
        value = message(body, position=position or "", max_age=max_age, key=key, vary=vary, **more)
        seconds = min(int(seconds), MOST_SECONDS)
        return self._set(store_key(key, self.prefix, vary), value, seconds) and (not vary or self._mark(key, _spec(vary), seconds))

    def publish(self, key: Key, make: Callable[[], Body], **put: Any) -> bool:
        """Takes the position, calls `make()` for the page, puts it. `make` must read its data itself."""
        position = self.position() if self.fleet is not None else None
        return self.put(key, make(), position=position, **put)

    def delete(self, key: Key) -> None:
        """Takes the page out of the store, not out of any nginx: that is what purges are for (`Fleet.purge`)."""
        self.client.delete(store_key(key, self.prefix), **self._said)

    def _set(self, key: str, value: bytes, seconds: int) -> bool:
        return bool(self.client.set(key, value, seconds, **self._said))

    def _mark(self, key: Key, spec: str, seconds: int) -> bool:
        """Says at the URL's own place what its pages vary on. Another variant may live longer than this one."""
        where = store_key(key, self.prefix)
        specs = [spec] + [s for s in _specs_of(self.client.get(where)) if s != spec]
        head = "".join(_field(n, v) for n, v in [("Slab-Key", _text(key)), *(("Slab-Vary", s) for s in specs[:MOST_SPECS])])
        return self._set(where, f"HTTP/1.1 200 OK\r\n{head}\r\n".encode("latin-1"), max(seconds, 86400))
