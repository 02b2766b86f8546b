"""The scripted origin of the differential test: what it answers follows from the request, the page's row and the epoch alone.

Every answer carries a stamp, in its body and in X-Stamp: which backend, method and URI, and, where the page says that it is personal
(private, no-store, X-Accel-Expires: 0, Vary: Cookie), whose cookies and credentials. The serial number in it is that of one answer:
the world remembers of each when it was made and how long it may live."""
import collections
import gzip
import re
import threading
import time

from harness.gateways import FastCgiOrigin, UwsgiOrigin
from harness.origin import Origin, Reply, request_header

BACKENDS = ("b0", "b1", "b2", "b3")
SERIAL = re.compile(rb"s=(\d{8})")
UNSAFE = ("POST", "PUT", "DELETE", "PATCH")
NEVER, VALIDATE = -1, -2          # Record.life: may not be given twice; only after validation

Record = collections.namedtuple("Record", "serial backend page version born life plain")


def is_personal(page):
    """Says so itself. Where nginx passes X-Sess on, the configuration has to keep the sessions apart."""
    return bool(re.search(r"private|no-store", page.get("cc", ""))) or page.get("xae") == "0" or page.get("vary") == "Cookie"


def life_of(page):
    """Seconds by the page's own fields; None where they name no lifetime."""
    cc = page.get("cc", "")
    if "no-store" in cc or "private" in cc or page.get("set_cookie") or page.get("vary") == "*":
        return NEVER
    if page.get("xae"):
        return int(page["xae"]) or NEVER
    if re.search(r"no-cache(?!=)", cc):
        return VALIDATE
    age = re.search(r"s-maxage=(\d+)", cc) or re.search(r"max-age=(\d+)", cc)
    return (int(age[1]) or VALIDATE) if age else None


class World:
    def __init__(self):
        self.lock = threading.Lock()
        self.pages, self.records = {}, {}
        self.serial = self.last_cut = 0
        self.versions = collections.Counter()
        self.broken, self.failed = None, False

    def begin(self, pages):
        self.pages, self.records, self.broken = {int(k): v for k, v in pages.items()}, {}, None
        self.failed = False
        self.versions.clear()

    def page_of(self, target):
        """The page a URI means: pN in its last component, else in its arguments, else page 0."""
        path, _, args = target.partition("?")
        for text in (path.rpartition("/")[2], args, path):
            if m := re.search(r"p(\d+)", text):
                return int(m[1])
        return 0

    def edit(self):
        with self.lock:
            for n in self.pages:
                self.versions[n] += 1

    def answer(self, backend, request, target):
        with self.lock:
            number = self.page_of(request.target)
            page = self.pages.get(number) or self.pages.get(0) or {}
            if page.get("session_cc") and request_header(request, "X-Sess"):
                page = {**page, "cc": page["session_cc"]}
            self.serial += 1
            serial = self.serial
            unsafe = request.method in UNSAFE
            if unsafe:
                self.versions[number] += 1
            version = self.versions[number]
            broken = self.broken
            self.failed = self.failed or bool(broken)
            if page.get("cut"):
                self.last_cut = serial
        stamp = f"[{backend}|{request.method}|{target}|host={request_header(request, 'Host')}"
        if is_personal(page) or request_header(request, "X-Sess"):
            # What says so may be shared in spite of credentials (RFC 9111 3.5).
            shared = re.search(r"public|must-revalidate|s-maxage", page.get("cc", ""))
            stamp += f"|cookie={request_header(request, 'Cookie')}|auth={'*' if shared else request_header(request, 'Authorization')}"
        stamp += f"|w={version:04d}|s={0 if page.get('range') else serial:08d}]"
        life = NEVER if unsafe or broken else life_of(page)
        plain = not broken and not unsafe and life is not None and life >= 60 and not page.get("vary") and not page.get("cut") \
            and not page.get("accel") and not page.get("users") and not page.get("gzip") and page.get("status", 200) == 200
        self.records[serial] = Record(serial, backend, number, version, time.monotonic(), life, plain)
        return self.reply(backend, request, page, stamp, f'"v{version}-{number}"')

    def reply(self, backend, request, page, stamp, etag):
        if self.broken == "close":
            return Reply(raw=b"")
        if self.broken:
            return Reply("down\n", status=503)
        cookies = request_header(request, "Cookie") or ""
        if request.target.rpartition("/")[2].startswith("auth"):
            return Reply(b"", status=200 if "u=alice" in cookies else 401,
                         headers=["Cache-Control: no-store", f"X-User: {'alice' if 'u=alice' in cookies else 'nobody'}"])
        if request.method in UNSAFE:
            return Reply(f"done {stamp}\n", status=page.get("post", 200), headers=[f"X-Stamp: {stamp}", *self.location(page, "post")])
        own = [f"Set-Cookie: id={re.sub('[^a-z=]', '', cookies) or 'new'}; Path=/"] if page.get("set_cookie") else []
        if page.get("users") and f"u={page['users']}" not in cookies:
            return Reply(f"not for you {stamp}\n", status=403, headers=[f"X-Stamp: {stamp}", *self.fields(page), *own])
        headers = [f"X-Stamp: {stamp}", f"Content-Type: {page.get('type', 'text/plain')}", *self.fields(page), *own,
                   *self.location(page, "status")]
        if page.get("etag"):
            headers.append(f"ETag: {etag}")
            if request_header(request, "If-None-Match") == etag:
                return Reply(b"", status=304, headers=[h for h in headers if "Content-Type" not in h])
        if page.get("accel"):
            headers.append(f"X-Accel-Redirect: {page['accel']}")
        return self.body(request, page, headers, stamp)

    def fields(self, page):
        pairs = (("Cache-Control", page.get("cc")), ("X-Accel-Expires", page.get("xae")), ("Vary", page.get("vary")),
                 ("X-Accel-Charset", page.get("charset")), ("Last-Modified", page.get("modified")))
        return [f"{n}: {v}" for n, v in pairs if v] + ["Vary: Accept-Encoding"] * bool(page.get("gzip"))

    def location(self, page, key):
        return ["Location: /moved/here"] if page.get(key, 200) in (301, 302, 303) else []

    def body(self, request, page, headers, stamp):
        text = stamp + "\n" + page.get("ssi", "") + "some text " * (page.get("size", 0) // 10) + f"\nend {stamp}\n"
        body = text.encode()
        status = page.get("status", 200)
        if page.get("gzip") and "gzip" in (request_header(request, "Accept-Encoding") or ""):
            body = gzip.compress(body, mtime=0)
            headers.append("Content-Encoding: gzip")
        part = re.fullmatch(r"bytes=(\d+)-(\d*)", request_header(request, "Range") or "")
        if page.get("range") and part and int(part[1]) < len(body):
            first, last = int(part[1]), min(int(part[2] or len(body)), len(body) - 1)
            headers.append(f"Content-Range: bytes {first}-{last}/{len(body)}")
            status, body = 206, body[first:last + 1]
        parts = [body]
        if page.get("split"):
            parts = {"header": [page["pause"], body], "body": [body[:len(body) // 2], page["pause"], body[len(body) // 2:]]}[page["split"]]
        return Reply(parts, status=status, headers=headers, framing=page.get("framing", "length"), before=page.get("think"),
                     truncate=page.get("cut"))


class Backend:
    """One listener; name it and it stamps what it says."""

    def __init__(self, world, name):
        self.world, self.name = world, name
        super().__init__()

    def _choose(self, request):
        cgi = request_header(request, "X-TARGET") if request.version == "CGI" else None
        return self.world.answer(self.name, request, cgi or request.target)


class HttpBackend(Backend, Origin):
    pass


class FastCgiBackend(Backend, FastCgiOrigin):
    pass


class UwsgiBackend(Backend, UwsgiOrigin):
    pass


class Busy(Origin):
    """The peer that proxy_next_upstream leaves."""

    def _choose(self, request):
        return Reply("busy\n", status=503)


class Origins:
    """All backends of one world, and the names by which configurations call their addresses."""

    def __init__(self):
        self.world = World()
        self.all = {name: HttpBackend(self.world, name) for name in BACKENDS}
        self.all["f0"] = FastCgiBackend(self.world, "f0")
        self.all["u0"] = UwsgiBackend(self.world, "u0")
        self.all["busy"] = Busy()

    def names(self):
        return {f"<{name}>": o.address for name, o in self.all.items()}

    def begin(self, pages):
        for o in self.all.values():
            with o.changed:
                o.log.clear()
        self.world.begin(pages)

    def are_idle(self):
        return all(o.is_idle() for o in self.all.values())

    def errors(self):
        return [e for o in self.all.values() for e in o.errors]

    def stop(self):
        for o in self.all.values():
            o.stop()
