"""What a test sends, and what came of it."""
import dataclasses
import gzip
import re

VERSION = re.compile(rb"\[\[version (\d+)\]\]")
# Fields that any cache, or the way a body is framed, may change.
FREE_FIELDS = {"date", "age", "connection", "keep-alive", "content-length", "transfer-encoding", "accept-ranges", "expires", "x-cache", "vary"}


@dataclasses.dataclass
class Step:
    name: str
    path: str
    method: str = "GET"
    headers: tuple = ()
    body: bytes | None = None
    host: str | None = None        # the framework's first name where none is given
    may: tuple = ()                # statuses by which a cache may answer though the origin alone would not: 304, 206, 416
    fresh: bool = False            # what comes is the newest there is: somebody purged, or must not be served from a cache
    only: str | None = None        # sent in this mode alone
    expect: int | None = None      # the status, where plain nginx is not the judge (a step of one mode)


def get(name, path, *headers, **kw):
    return Step(name, path, headers=headers, **kw)


def head(name, path, *headers, **kw):
    return Step(name, path, "HEAD", headers=headers, **kw)


def post(name, path, *headers, body=b"a=b", **kw):
    return Step(name, path, "POST", headers=headers, body=body, **kw)


def purge(name, path, *headers, method="PURGE", **kw):
    """Purges the cache, which only ours can do."""
    return Step(name, path, method, headers=headers, only="slab", expect=kw.pop("expect", 200), **kw)


@dataclasses.dataclass
class Answer:
    """`failure` says that none came: "hangs" or "closed"."""
    status: int = 0
    fields: dict = dataclasses.field(default_factory=dict)
    body: bytes = b""
    raw: bytes = b""
    failure: str | None = None
    cache: str = "?"               # from the access log
    asked: list = dataclasses.field(default_factory=list)      # "app GET /x", one for each request that an origin saw

    @staticmethod
    def of(response):
        fields = {}
        for name, value in response.headers:
            if name.lower() not in FREE_FIELDS:
                fields.setdefault(name.lower(), []).append(value)
        body = response.body
        if response.header("Content-Encoding") == "gzip" and body:
            body = gzip.decompress(body)
        return Answer(response.status, fields, body, response.body)

    @property
    def version(self):
        found = VERSION.search(self.body)
        return int(found[1]) if found else None

    @property
    def text(self):
        """The body without its version: that may be an older one."""
        return VERSION.sub(b"", self.body)

    def outcome(self, newest):
        """What the cache made of it, in words. `newest` is what plain nginx answers now."""
        if self.failure:
            return self.failure
        names = [a.split()[0] for a in self.asked]
        asked = ", ".join(f"{n} asked {names.count(n)}" if names.count(n) > 1 else f"{n} asked" for n in sorted(set(names)))
        words = [self.cache or "-", asked or "nobody asked"]
        if newest.status != self.status:
            words.append(str(self.status))
        if self.version is not None and newest.version is not None and self.version < newest.version:
            words.append("older")
        return ", ".join(words)


def faults(step, plain, other):
    """Why `other` is not what plain nginx answers at the same rights; nothing where it is."""
    if other.failure:
        return [other.failure]
    if step.only:
        return [] if other.status == step.expect else [f"{other.status} and not {step.expect}: {other.body[:110]!r}"]
    if other.status == 304 and 304 in step.may:
        return [] if not other.raw else ["a 304 with a body"]
    if other.status == 206 and plain.status == 200 and 206 in step.may:
        return _part_faults(plain, other)
    if other.status == 416 and 416 in step.may:
        return []
    if other.status != plain.status:
        return [f"{other.status} and not {plain.status}: {other.body[:110]!r}"]
    bad = []
    if other.text != plain.text:
        bad.append(f"body {other.body[:110]!r}\n        and not {plain.body[:110]!r}")
    if plain.version is not None and other.version is not None:
        if other.version > plain.version:
            bad.append("newer than plain nginx's: the two did not see the same requests")
        if step.fresh and other.version < plain.version:
            bad.append(f"version {other.version}, where {plain.version} is the newest")
    return bad


def _part_faults(plain, other):
    found = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+)", (other.fields.get("content-range") or [""])[0])
    if not found:
        return ["a 206 without a range"]
    first, last, whole = map(int, found.groups())
    right = plain.raw[first:last + 1] == other.raw and whole == len(plain.raw)
    return [] if right else [f"{found[0]} is not that part of the whole"]


def field_faults(plain, nginx, other):
    """Fields that neither plain nginx nor nginx's cache sends so."""
    if other.failure:
        return []
    names = set(plain.fields) | set(nginx.fields) | set(other.fields)
    if other.status in (206, 304, 416) and plain.status == 200:        # says less, and which part it is
        names = {n for n in set(other.fields) & names if n not in ("content-range", "content-type")}
    ours = {n: other.fields.get(n) for n in names}
    return [f"{n}: {ours[n]}, not {plain.fields.get(n)}" for n in sorted(names)
            if ours[n] not in (plain.fields.get(n), nginx.fields.get(n))]
