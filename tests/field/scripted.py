"""What scripted origins share: pages that say for whom and how new they are, files with conditions and ranges."""
import re
import urllib.parse

from harness.origin import Reply, request_header

FILLER = "<p>It was a dark and stormy night; the rain fell in torrents, except at occasional intervals.</p>\n" * 20


def cookies(request):
    pairs = (p.strip().partition("=") for p in (request_header(request, "Cookie") or "").split(";"))
    return {n: v for n, _, v in pairs if n}


def path_of(request):
    return urllib.parse.unquote(request.target.partition("?")[0])


def page(site, request, *headers, user="nobody", status=200, kind="text/html; charset=utf-8", text="", etag=None,
         framing="length"):
    """A page that shows what it was made for. With etag its conditions are answered."""
    body = (f"<html>{request.method if request.method != 'HEAD' else 'GET'} {request.target} host={request_header(request, 'Host')} "
            f"user={user} {text}\n[[version {site.version}]]\n{FILLER}</html>\n")
    fields = [("Content-Type", kind), *headers]
    if etag:
        tag = f'W/"{etag}-{site.version}"'
        fields.append(("ETag", tag))
        if _matches(request_header(request, "If-None-Match"), tag):
            return Reply(b"", status=304, headers=fields)
    return Reply(body, status=status, headers=fields, framing=framing)


def _matches(condition, tag):
    if condition is None:
        return False
    tags = [t.strip().removeprefix("W/") for t in condition.split(",")]
    return "*" in tags or tag.removeprefix("W/") in tags


def file(request, data, *headers, kind="application/octet-stream", tag=None, modified=None):
    """A file, as any server that knows HTTP sends it."""
    tag = tag or f'"{len(data):x}-{sum(data[:4096]):x}"'
    fields = [("Content-Type", kind), ("ETag", tag), ("Accept-Ranges", "bytes"), *headers]
    if modified:
        fields.append(("Last-Modified", modified))
    wanted = request_header(request, "If-None-Match")
    if _matches(wanted, tag) or (wanted is None and modified and request_header(request, "If-Modified-Since") == modified):
        return Reply(b"", status=304, headers=fields)
    part = re.fullmatch(r"bytes=(\d*)-(\d*)", request_header(request, "Range") or "")
    if request_header(request, "If-Range") not in (None, tag, modified):
        part = None
    if part and (part[1] or part[2]) and request.method == "GET":
        first = int(part[1]) if part[1] else max(len(data) - int(part[2]), 0)
        last = min(int(part[2]) if part[1] and part[2] else len(data) - 1, len(data) - 1)
        if first >= len(data):
            return Reply(b"", status=416, headers=[("Content-Range", f"bytes */{len(data)}")], reason="Range Not Satisfiable")
        return Reply(data[first:last + 1], status=206, headers=[*fields, ("Content-Range", f"bytes {first}-{last}/{len(data)}")])
    return Reply(data, headers=fields)


def redirect(to, *headers, status=302):
    return Reply(f"<a href='{to}'>there</a>\n", status=status,
                 headers=[("Location", to), ("Content-Type", "text/html"), *headers])


def not_found(site, request, *headers):
    return page(site, request, *headers, status=404, text="not found")
