"""The rule: what a client gets with the cache, it could have got without it.

The plain side's answer to the same request, or to the same one without conditions and ranges, is what it could have got; from an earlier
epoch only if what the origin said then may still live. ALLOWED lists where the two may differ, each with its reason."""
import collections
import re
import time
import urllib.parse

from conf import cached_everywhere, http_text
from world import NEVER, SERIAL, UNSAFE, VALIDATE

STAMP = re.compile(rb"\[(\w\d)\|(\w+)\|([^|]*)\|host=([^|]*)(?:\|cookie=([^|]*)\|auth=([^|]*))?\|w=(\d+)\|s=(\d+)\]")
VALID = 60.0                     # what slab_cache_valid says wherever it is written

# Fields that may differ, and why. All others must be equal.
ALLOWED_FIELDS = {
    "age": "a cache says how old it is (RFC 9111 5.1)",
    "date": "a stored response carries the origin's",
    "x-cache": "ours, for people", "x-reason": "ours, for people", "cache-status": "ours, RFC 9211",
    "server": "nginx lets the first one through", "connection": "between two hops",
    "keep-alive": "between two hops",
    "content-length": "framing: whether the length is known differs, the body is compared",
    "transfer-encoding": "framing, as above",
    "content-encoding": "compared apart: one the client takes, and the body is compared decoded",
    "accept-ranges": "a stored response can be cut even if the origin would not",
    "etag": "compared apart: weak by gzip on one side; another version's; only by the body's version",
    "expires": "counted from Date by `expires`",
    "last-modified": "a stored response without one has the time of receipt at most",
}


def normal(data):
    data = re.sub(rb"\|host=([^|]*)", lambda m: m[0].lower(), data)
    return re.sub(rb"w=\d{4}", b"w=****", re.sub(rb"s=\d{8}|s=\d+$", b"s=********", data)).replace(b"|HEAD|", b"|GET|")


def fields(answer, skip=()):
    listed = [(n.lower(), normal(v.encode("latin-1")).decode("latin-1")) for n, v in answer.headers]
    vary = {x.strip().lower() for n, v in listed if n == "vary" for x in v.split(",")}
    if len(answer.body) < 20:            # below gzip_min_length gzip_vary counts only where the length is not known
        vary.discard("accept-encoding")
    return sorted((n, v) for n, v in listed if n not in ALLOWED_FIELDS and n != "vary" and n not in skip) + [("vary", ",".join(sorted(vary)))]


def header_of(request, name):
    for line in request["headers"]:
        n, _, v = line.partition(":")
        if n.lower() == name.lower():
            return v.strip()
    return None


def stripped(request):
    """The request without what may make a part or a confirmation of the answer."""
    keep = [h for h in request["headers"] if h.split(":")[0].lower() not in ("range", "if-none-match", "if-modified-since", "if-match", "if-range")]
    return {**request, "headers": keep}


def key_of(request):
    return (request["method"], request["host"], request["target"], tuple(request["headers"]))


def url_of(request):
    host, target = request["host"], request["target"].partition("#")[0]
    if absolute := re.match(r"http://([^/?]+)", target):     # its host counts, whatever Host says (RFC 9112 3.2.2)
        host, target = absolute[1], target[absolute.end():]
    return (host.lower(), target)


def canonical(url):
    """What nginx makes one path of: it decodes, resolves dots, merges slashes."""
    host, target = url
    path, _, args = target.partition("?")
    parts = []
    for x in urllib.parse.unquote(path).split("/"):
        if x == "..":
            parts = parts[:-1]
        elif x not in ("", "."):
            parts.append(x)
    return host, "/".join(parts), args


def takes(request, coding):
    asked = header_of(request, "Accept-Encoding")
    if coding in (None, "identity"):
        return True
    return bool(asked) and re.search(rf"\b{coding}\b(?!\s*;\s*q=0)", asked) is not None


def weak(tag):
    return (tag or "").removeprefix("W/")


def differences(request, got, could, bodies=True, named=False):
    """What is wrong with the one, the other being what the client could have got. named: the origin says no-cache="X-Stamp"."""
    # This field, and no other, may then be absent from what is stored. A 304 needs none but those of RFC 9110 15.4.5.
    named = named or any("no-cache=" in v for n, v in could.headers if n.lower() == "cache-control")
    skip = ("x-stamp",) if (named or got.status == could.status == 304) and not got.header("X-Stamp") else ()
    if got.fault or could.fault:
        return [] if got.fault == could.fault else [f"{got.fault or 'complete'} instead of {could.fault or 'complete'}"]
    stamps = [x.header("X-Stamp") or "" for x in (got, could)]
    if {got.status, could.status} <= {200, 206, 304} and all(stamps) and normal(stamps[0].encode()) != normal(stamps[1].encode()):
        return [stamp_difference(*(x.encode() for x in stamps)) or "another stamp"]
    if got.status != could.status:
        return [f"status {got.status} instead of {could.status}"]
    found = []
    if bodies and (difference := body_difference(got.body, could.body)):
        return [difference]
    if got.coding != could.coding and not takes(request, got.coding):
        found.append(f"Content-Encoding {got.coding} that the client did not ask for")
    mine, theirs = fields(got, skip), fields(could, skip)
    if mine != theirs:
        only = [f"{n}: {v}" for n, v in (collections.Counter(mine) - collections.Counter(theirs)).elements()]
        lost = [f"{n}: {v}" for n, v in (collections.Counter(theirs) - collections.Counter(mine)).elements()]
        names = sorted({x.split(":")[0] for x in only + lost})
        found.append(f"fields {' '.join(names)}: has {only}, should have {lost}")
    return found


def stamp_difference(mine, theirs):
    """Names what the stamps differ in, since that is what a finding is called by."""
    a, b = STAMP.findall(mine), STAMP.findall(theirs)
    names = ("backend", "method", "URI", "Host", "cookie", "credentials")
    for x, y in zip(a, b):
        for name, left, right in zip(names, x, y):
            if left.lower() != right.lower() and {left, right} != {b"GET", b"HEAD"}:
                return f"body of another {name}: {left.decode()} instead of {right.decode()}"
    return f"body with {len(a)} stamps instead of {len(b)}" if len(a) != len(b) else None


def body_difference(mine, theirs):
    # A part that the origin compressed, put into a page, is of no fixed length.
    end = min((i for i in (x.find(b"\x1f\x8b\x08") for x in (normal(mine), normal(theirs))) if i >= 0), default=None)
    if normal(mine)[:end] == normal(theirs)[:end]:
        return None
    return stamp_difference(mine[:end], theirs[:end]) or f"body differs: {len(mine)} bytes instead of {len(theirs)}"


# ---- what may be made of a complete answer ------------------------------------------------------------------------------
def is_part_of(request, got, whole):
    """A 206, 304, 412 or 416 that is right, given the whole answer."""
    if whole.status != 200 or (whole.fault and got.status != 304):
        return False
    if got.status == 304:
        asked, since = header_of(request, "If-None-Match"), header_of(request, "If-Modified-Since")
        tags = [weak(t.strip()) for t in asked.split(",")] if asked else []
        return "*" in tags or bool({weak(got.header("ETag")), weak(whole.header("ETag"))} & set(tags) - {""}) or (since is not None and asked is None)
    if got.status == 412:
        return header_of(request, "If-Match") is not None
    if header_of(request, "Range") is None:
        return False
    if got.status == 416:
        return True
    span = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+)", got.header("Content-Range") or "")
    if got.status != 206 or (got.coding or whole.coding):
        return got.status == 206
    if span is None:
        return "multipart/byteranges" in (got.header("Content-Type") or "")
    first, last, full = map(int, span.groups())
    if request["method"] == "HEAD" and got.header("Content-Length") == str(last - first + 1):
        return True                      # of a location in slices: nginx cuts a HEAD there as it cuts a GET
    expected, part = normal(whole.body).lower(), got.raw.lower()
    if full != len(expected) or last - first + 1 != len(got.raw):
        return False
    return all(e == g or e == ord("*") for e, g in zip(expected[first:last + 1], part))


class Judge:
    """The verdicts of one scenario. ask_plain(request) asks the other side; seen in an epoch once, it is remembered."""

    def __init__(self, world, ask_plain, tree):
        text = http_text(tree, True)
        self.has_inner = "<port2>" in text
        self.has_purge = "slab_cache_purge" in text
        self.has_error_page = re.search(r"error_page [0-9 ]*50[24]", text) is not None
        self.everywhere = cached_everywhere(tree)
        self.world, self.ask_plain, self.has_valid = world, ask_plain, "slab_cache_valid" in text
        self.has_slices = re.search(r"\bslice [1-9]", text) is not None
        self.has_parts = re.search(r"\bssi on|add_(before|after)_body", text) is not None
        self.epochs = [{}]
        self.purged = {}                 # URL -> serial below which nothing may be given
        self.first_after_purge = set()
        self.plain_asks = {}

    # ---- epochs -----------------------------------------------------------------------------------------------------
    def remember(self, requests):
        for r in requests:
            self.plain({**stripped(r), "method": "GET" if r["method"] in UNSAFE else r["method"]})     # error_page may make one of it

    def next_epoch(self):
        self.epochs.append({})

    def plain(self, request):
        k = key_of(request)
        if k not in self.epochs[-1]:
            self.epochs[-1][k] = self.ask_plain(request)
        return self.epochs[-1][k]

    # ---- the verdict ------------------------------------------------------------------------------------------------
    def judge(self, request, got, plain, began, burst=False):
        """began: the world's serial when the request was sent."""
        if got.fault == "hang" and plain.fault != "hang":
            return ["hang"]
        if request["method"] == "PURGE" and self.has_purge:
            if got.status == 200 and got.body.startswith(b'{"seq"'):
                self.note_purge(request)
            return []                    # ours; or a refusal of ours, and what error_page makes of it
        found = self.compare(request, got, plain, began)
        if not found:
            found = self.too_old(request, got, began, burst)
            found += self.never_stored(request, got, began) if not burst else []
        # error_page makes a GET of any method: then nothing unsafe reached the origin.
        if request["method"] in UNSAFE and 200 <= got.status < 400 and f"|{request['method']}|" in (got.header("X-Stamp") or ""):
            self.note_purge(request)
        return found

    def note_purge(self, request):
        if self.has_inner:
            return                       # what the inner server has lies under another URL
        self.purged[url_of(request)] = self.world.serial
        self.plain_asks.pop(url_of(request), None)
        if request["method"] == "PURGE":
            self.first_after_purge.add(canonical(url_of(request)))

    def compare(self, request, got, plain, began):
        if self.world.broken and {got.status, plain.status} <= {502, 503, 504}:
            return []                    # which of the failing peers was the last
        if plain.fault in ("hang", "bad gzip"):
            return []                    # a busy machine; an origin that breaks off without telling
        named = any("no-cache=" in p.get("cc", "") for p in self.world.pages.values())     # `expires` of nginx may hide it
        found = differences(request, got, plain, named=named)
        if self.world.last_cut > began and (got.fault == "broken" or got.status in (502, 504)):
            return []                    # an origin that breaks off may be noticed earlier or later, also within subrequests
        if self.world.last_cut > began and request.get("version") == "1.0" and got.status == plain.status and normal(plain.body).startswith(normal(got.body)):
            return []                    # the same, where nothing tells the client of it
        if self.world.last_cut > began and self.has_parts and not differences(request, got, plain, bodies=False):
            return []                    # of a part that breaks off nothing may have come yet
        if not found:
            return found
        if got.status == 412 and header_of(request, "If-Match"):
            return []                    # nginx itself looks at it only where a validator came, and never for upstreams
        if self.has_slices and got.fault == "broken" and (self.world.failed or any(r.version > 0 for r in self.world.records.values())):
            return []                    # behind the first slice the file changed, or the origin failed: nginx's module ends the answer
        if plain.fault == "broken" and (got.fault or got.status in (206, 304, 416, 502, 504)):
            return []
        if plain.fault == "broken" and request.get("version") == "1.0" and not got.header("Content-Length"):
            return []                    # a header that had not been sent yet: nothing else tells such a client that it was cut
        if plain.fault == "broken" and self.has_error_page and not (got.header("X-Stamp") and got.status == 200):
            return []                    # the page for a 502, that without us came too late
        if request["method"] == "HEAD" and got.status in (502, 504) and self.plain({**stripped(request), "method": "GET"}).fault:
            return []                    # it is filled by a GET, and the origin breaks off only there
        whole = self.plain(stripped(request))
        if is_part_of(request, got, whole) or not differences(request, got, whole, named=named):
            return []
        # On errors what is stored may be stale; while it is fresh the origin is not asked whether it broke.
        for before in self.earlier(request, got):
            if before and (is_part_of(request, got, before) or not differences(request, got, before, named=named)):
                return []
            if before and self.has_parts and not differences(request, got, before, bodies=False, named=named):
                return []                # some parts are stored, others are asked for anew
        if whole.fault == "broken" and not got.fault and got.status == 200:
            return self.complete_though_cut(got)
        return found

    def earlier(self, request, got):
        """What plain nginx answered to it in the epochs before, the youngest first."""
        for epoch in reversed(self.epochs[:-1]):
            yield epoch.get(key_of(stripped(request)))
            # error_page makes a GET of any method; a 304 has no stamp, and is of nothing else.
            if request["method"] in UNSAFE and (got.status == 304 or "|GET|" in (got.header("X-Stamp") or "")):
                yield from (a for k, a in epoch.items() if k[0] == "GET" and k[1:3] == (request["host"], request["target"]))

    def complete_though_cut(self, got):
        return [] if re.search(rb"\nend \[", got.body) else ["complete, of an origin that breaks off"]

    def confirmed(self, record, stamps):
        """When the origin said last that this is its page: as it made it, or by a 304, whose stamp takes the place of the page's."""
        said = [self.world.records[s] for s in stamps if s in self.world.records]
        return max([record.born] + [r.born for r in said if (r.page, r.version) == (record.page, record.version)])

    def too_old(self, request, got, began, burst):
        """Serials of what was made for an earlier request."""
        found, url = [], url_of(request)
        stamp = got.header("X-Stamp")
        main = [int(s) for s in SERIAL.findall(stamp.encode())] if stamp else []
        for serial in {int(s) for s in SERIAL.findall(got.body)} | set(main):
            record = self.world.records.get(serial)
            if record is None or serial > began:
                continue
            life = record.life if record.life is not None else (VALID if self.has_valid else NEVER)
            if life == NEVER:
                found.append("stored what may not be stored")
            elif got.header("X-Cache") == "STALE" and self.world.failed:
                pass                     # an origin that has just failed is not asked again at once
            elif life == VALIDATE and self.has_inner and self.world.pages[record.page].get("modified"):
                pass                     # all versions have one date: by that the inner server answers 304
            elif life == VALIDATE and record.version != self.world.versions[record.page] and not self.world.broken:
                found.append("given without the validation it needs")
            elif life > 0 and time.monotonic() - self.confirmed(record, main) > life + 1.5 and not self.world.broken:
                found.append("older than its freshness")
            if serial in main and serial <= self.purged.get(url, 0) and request["method"] in ("GET", "HEAD"):
                found.append("older than a purge or an unsafe method of its URL")
        if canonical(url) in self.first_after_purge:
            self.first_after_purge.discard(canonical(url))
            if request["method"] not in ("GET", "HEAD"):
                return found             # error_page may have made a GET of it, and that fills
            # Where there is a stamp its serial says more; a part of another page may have been fetched since.
            if not main and not self.has_parts and not burst and got.status != 500 and got.header("X-Cache") in ("HIT", "STALE", "UPDATING"):
                found.append("a hit right after a purge of its URL")
        return found

    # ---- what is lost -----------------------------------------------------------------------------------------------
    def never_stored(self, request, got, began):
        """The third plain GET for a page that anybody may store must not ask the origin again."""
        if not self.everywhere:
            return []
        url, status = url_of(request), got.header("X-Cache")
        if request["method"] != "GET" or request["headers"]:
            if request["method"] not in ("GET", "HEAD"):
                self.plain_asks.pop(url, None)
            return []
        serials = SERIAL.findall((got.header("X-Stamp") or "").encode())
        record = self.world.records.get(int(serials[0])) if serials else None
        if record is None or not record.plain or got.fault or self.world.broken or got.header("X-Reason") == "MIN_USES" or \
                "x=" in request["target"]:
            self.plain_asks.pop(url, None)
            return []
        if status in (None, "", "-") or int(serials[0]) <= began:
            self.plain_asks.pop(url, None)
            return []
        self.plain_asks[url] = self.plain_asks.get(url, 0) + 1
        return [f"never stored: {got.header('X-Reason') or 'no reason'}"] if self.plain_asks[url] >= 3 else []
