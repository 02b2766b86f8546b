"""Files for the scripted origin: whole or by one range, with validators, as a static server gives them."""
import hashlib
import re

from .origin import Reply, request_header


class File:
    """Assign it to a path by origin.handle(path, file). What is changed later counts from the next request on."""

    def __init__(self, body, headers=("Cache-Control: max-age=600",), etag=True, modified="Mon, 23 Nov 2026 08:49:37 GMT",
                 ranged=True, **reply):
        self.body, self.headers, self.modified, self.ranged, self.reply = body, headers, modified, ranged, reply
        self.etag = f'"{hashlib.sha256(body).hexdigest()[:8]}"' if etag is True else etag

    def lines(self):
        own = [f"ETag: {self.etag}"] if self.etag else []
        own += [f"Last-Modified: {self.modified}"] if self.modified else []
        return [*self.headers, *own, *(["Accept-Ranges: bytes"] if self.ranged else [])]

    def is_confirmed(self, request):
        if (asked := request_header(request, "If-None-Match")) is not None:
            return asked == self.etag
        since = request_header(request, "If-Modified-Since")
        return since is not None and since == self.modified

    def __call__(self, request):
        if self.is_confirmed(request):
            return Reply(status=304, headers=self.lines())
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", request_header(request, "Range") or "")
        condition = request_header(request, "If-Range")
        if not self.ranged or asked is None or condition not in (None, self.etag, self.modified):
            return Reply(self.body, headers=self.lines(), **self.reply)
        size = len(self.body)
        first, last = int(asked[1]), min(int(asked[2] or size - 1), size - 1)
        if first >= size:
            return Reply(b"no such range\n", status=416, headers=[f"Content-Range: bytes */{size}"])
        return Reply(self.body[first:last + 1], status=206, headers=[*self.lines(), f"Content-Range: bytes {first}-{last}/{size}"],
                     **self.reply)


def numbered(size):
    """A body of so many bytes in which each place can be told from the others."""
    return b"".join(b"%07d\n" % i for i in range(size // 8 + 1))[:size]
