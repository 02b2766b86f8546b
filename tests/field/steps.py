"""What a test sends, and what came of it."""
import dataclasses
import gzip
import re

VERSION = re.compile(rb"\[\[version (\d+)\]\]")
# Fields that any cache, or the way a body is framed, may change.
FREE_FIELDS = {"date", "age", "connection", "keep-alive", "content-length", "transfer-encoding", "accept-ranges", "expires",
               "vary", "x-cache",
               "x-cached", "x-cache-status", "x-proxy-cache"}

# Fields that a cache may keep to itself, and a coding that it need not use.
KEPT_FIELDS = {"content-encoding", "set-cookie", "surrogate-key", "cache-tag", "xkey"}


@dataclasses.dataclass
class Step:
    name: str
    path: str
    method: str = "GET"
    headers: tuple = ()
    body: bytes | None = None
    host: str | None = None        # the framework's first name where none is given
    may: tuple = ()                # statuses by which a cache may answer though the origin alone would not: 304, 206, 416, 200
    fresh: bool = False            # what comes is the newest there is: somebody purged, or must not be served from a cache
    only: str | None = None        # sent in this mode alone
    crowd: tuple = ()              # header lines of each of many who ask at once
    nginx_errs: bool = False       # nginx's own cache gives something wrong here; ours must not
    expect: int | None = None      # the status, where plain nginx is not the judge (a step of one mode); None: any


def get(name, path, *headers, **kw):
    return Step(name, path, headers=headers, **kw)


def head(name, path, *headers, **kw):
    return Step(name, path, "HEAD", headers=headers, **kw)


def post(name, path, *headers, body=b"a=b", **kw):
    return Step(name, path, "POST", headers=headers, body=body, **kw)


def crowd(name, path, cookie="Cookie: session=%s", **kw):
    """Six strangers and six members, each with a cookie of his own, at once."""
    return Step(name, path, crowd=tuple((cookie % f"member{i}",) if i % 2 else () for i in range(12)), **kw)


def purge(name, path, *headers, method="PURGE", **kw):
    """Purges the cache, which only ours can do."""
    return Step(name, path, method, headers=headers, only="slab", expect=kw.pop("expect", 200), **kw)


def purge_by_api(name, zone, body):
    return Step(name, f"/_cache/v1/zones/{zone}/purge", "POST", ("Content-Type: application/json",), body, only="slab",
                expect=200)


@dataclasses.dataclass
class Answer:
    """`failure` says that none came: "hangs" or "closed"."""
    status: int = 0
    fields: dict = dataclasses.field(default_factory=dict)
    body: bytes = b""
    raw: bytes = b""
    failure: str | None = None
    cache: str = "?"               # these two from the access log
    reason: str = ""
    asked: list = dataclasses.field(default_factory=list)      # "app GET /x", one for each request that an origin saw
    crowd: list = dataclasses.field(default_factory=list)      # the answers to all of a crowd

    @staticmethod
    def of(response, port):
        """`port` is nginx's own, another one in each mode: not told in fields."""
        fields = {}
        for name, value in response.headers:
            if name.lower() not in FREE_FIELDS:
                fields.setdefault(name.lower(), []).append(value.replace(f":{port}", ":PORT").removeprefix("W/"))
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
        if step.expect == 200 and b'"seq"' not in other.body:
            return [f"this is no word of a purge: {other.body[:110]!r}"]
        return [] if step.expect in (None, other.status) else [f"{other.status} and not {step.expect}: {other.body[:110]!r}"]
    if other.status == 304 and 304 in step.may:
        return [] if not other.raw else ["a 304 with a body"]
    if other.status == 206 and plain.status == 200 and 206 in step.may:
        return _part_faults(plain, other)
    if other.status != plain.status and other.status in (200, 416) and other.status in step.may:
        return []
    if other.status != plain.status:
        return [f"{other.status} and not {plain.status}: {other.body[:110]!r}"]
    if other.status == 416:            # its page is whoever's
        return []
    bad = []
    coding = other.fields.get("content-encoding")
    if coding and not plain.fields.get("content-encoding"):
        bad.append(f"{coding} for who did not ask for it")
    if other.text != plain.text:
        bad.append(f"body {other.body[:110]!r}\n        and not {plain.body[:110]!r}")
    if plain.version is not None and other.version is not None:
        if other.version > plain.version:
            bad.append("newer than plain nginx's: the two did not see the same requests")
        if step.fresh and other.version < plain.version:
            bad.append(f"version {other.version}, where {plain.version} is the newest")
    return bad


def _part_faults(plain, other):
    """Each part that came is that part of the whole."""
    one = (other.fields.get("content-range") or [None])[0]
    parts = [(one, other.raw)] if one else [(h.decode(), body) for h, body in
                                           re.findall(rb"Content-Range: (.*?)\r\n\r\n(.*?)\r\n--", other.raw, re.S)]
    bad = [] if parts else ["a 206 without a range"]
    for what, data in parts:
        found = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+)", what)
        if not found or plain.raw[int(found[1]):int(found[2]) + 1] != data or int(found[3]) != len(plain.raw):
            bad.append(f"{what} is not that part of the whole")
    return bad


def field_faults(plain, nginx, other):
    """Fields that neither plain nginx nor nginx's cache sends so."""
    if other.failure:
        return []
    names = set(plain.fields) | set(nginx.fields) | set(other.fields)
    if other.status == 304 or other.status in (206, 416) and plain.status == 200:      # says less, and which part it is
        names = {n for n in set(other.fields) & names if n not in ("content-range", "content-type")}
    ours = {n: other.fields.get(n) for n in names}
    return [f"{n}: {ours[n]}, not {plain.fields.get(n)}" for n in sorted(names)
            if not (n in KEPT_FIELDS and ours[n] is None)
            and ours[n] not in (plain.fields.get(n), nginx.fields.get(n))]
