"""Client of slab_cache's admin API, in one file without dependencies (Python 3.8 and later).

    cache = Cache("http://127.0.0.1:8080/_cache/", zone="pages")
    cache.purge("https://example.org/news/1", tags=["article-1"])
    cache.purge(prefixes=["https://example.org/news/"], soft=True)
    cache.push("https://example.org/report", html, ttl=600, fence=cache.purge("https://example.org/report"))

A node is an address of the API: `http://host:port/_cache/`, `https://…`, or `unix:/run/nginx.sock:/_cache/` as nginx
writes it. With several nodes a purge or push goes to all of them at once. What a node refuses becomes an exception
with the node's own words; `NodesFailed` says which of several failed, and what the others answered.

With Django: `CacheTagsMiddleware`, `add_tags()`, `@cache_tags(...)` and `purge_on_commit()`; they read the setting
`SLAB_CACHE = {"nodes": ["http://127.0.0.1:8080/_cache/"], "zone": "pages"}`.
"""
import concurrent.futures
import contextvars
import functools
import hashlib
import hmac
import http.client
import inspect
import json
import logging
import os
import pathlib
import socket
import ssl
import time
import urllib.parse
from typing import Any, Callable, Dict, Iterable, Iterator, List, Mapping, Optional, Sequence, Tuple, Union

__all__ = ["Cache", "CacheTagsMiddleware", "Forbidden", "Node", "NodesFailed", "NotFound", "Purged", "PurgedSince", "Refused",
           "SlabCacheError", "Unauthorized", "Unreachable", "add_tags", "authorization", "cache_tags", "django_cache",
           "purge_on_commit"]
__version__ = "0.2.0"

log = logging.getLogger("slab_cache")
Headers = Union[Mapping[str, str], Iterable[Tuple[str, str]]]
Body = Union[bytes, str]

MOST_ITEMS = 50_000         # in one purge request; the server takes 100,000 and 1 MB
MOST_BYTES = 900_000
MOST_GLOBS = 32

# Fields of a PUT that say what is to be stored: these are signed.
_PUSH_FIELDS = frozenset(("content-type", "content-language", "content-disposition", "cache-control", "cdn-cache-control",
                          "expires", "etag", "last-modified", "link", "location", "vary", "content-encoding", "set-cookie",
                          "surrogate-key", "cache-tag", "xkey", "if-purge-seq", "slab-position"))
_OTHER_FIELDS = frozenset(("surrogate-key", "cache-tag", "xkey", "fastly-soft-purge"))


# ---- what can go wrong --------------------------------------------------------------------------------------------

class SlabCacheError(Exception):
    """All errors of this module that are not mistakes in its use (those are ValueError and TypeError)."""


class Unreachable(SlabCacheError):
    """No answer from a node: it is not there, too slow, or does not speak HTTP."""

    def __init__(self, node: str, cause: Exception) -> None:
        super().__init__(f"{node}: {cause}")
        self.node, self.cause = node, cause


class Refused(SlabCacheError):
    """A node answered with an error. `title`, `detail` and `reason` are the server's words."""

    def __init__(self, node: str, status: int, title: str, detail: str = "", reason: str = "") -> None:
        super().__init__(f"{node}: {status} {title}" + (f": {detail}" if detail else ""))
        self.node, self.status, self.title, self.detail, self.reason = node, status, title, detail, reason


class Unauthorized(Refused):
    """401: the signature is not valid: another secret, or clocks that differ."""


class Forbidden(Refused):
    """403: not from here, or the location has no write=on."""


class NotFound(Refused):
    """404: no such zone, or no such call."""


class PurgedSince(Refused):
    """412: what was pushed had been purged since its fence. Read the data again and start over."""


class NodesFailed(SlabCacheError):
    """Of several nodes some failed. `errors` has theirs, `answers` what the others said, both by node."""

    def __init__(self, errors: Dict[str, SlabCacheError], answers: Dict[str, Any]) -> None:
        super().__init__("; ".join(str(e) for e in errors.values()))
        self.errors, self.answers = errors, answers


_BY_STATUS = {401: Unauthorized, 403: Forbidden, 404: NotFound, 412: PurgedSince}


def _refused(node: str, status: int, type_: str, body: bytes) -> Refused:
    # Without JSON it is nginx itself that refused, 413 for client_max_body_size for example.
    problem = json.loads(body) if type_.startswith("application/problem+json") else {}
    title = problem.get("title") or http.client.responses.get(status, "refused")
    return _BY_STATUS.get(status, Refused)(node, status, title, problem.get("detail", ""), problem.get("reason", ""))


# ---- one node -----------------------------------------------------------------------------------------------------

def _pairs(headers: Headers) -> Iterable[Tuple[str, str]]:
    return headers.items() if isinstance(headers, Mapping) else headers


def _is_signed(method: str, name: str) -> bool:
    name = name.lower()
    if method == "PUT":
        return name in _PUSH_FIELDS or name.startswith(("x-response-", "x-request-"))
    return name in _OTHER_FIELDS


def authorization(secret: bytes, method: str, target: str, body: bytes = b"", headers: Iterable[Tuple[str, str]] = (),
                  seconds: int = 60) -> str:
    """The value of `Authorization` for a request; `target` is path and query as they are sent, `headers` in their order."""
    expiry = str(int(time.time()) + seconds)
    message = "\n".join((method, target, expiry, hashlib.sha256(body).hexdigest()))
    message += "".join(f"\n{name.lower()}:{value}" for name, value in headers if _is_signed(method, name))
    return f"SlabCache {expiry}:{hmac.new(secret, message.encode('latin-1'), hashlib.sha256).hexdigest()}"


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self.path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Node:
    """One address of the API. `call()` makes any request to it; the other classes are made of that."""

    def __init__(self, address: str, secret: Optional[bytes] = None, timeout: float = 5.0,
                 tls: Optional[ssl.SSLContext] = None) -> None:
        self.name, self.secret, self.timeout, self.tls = address, secret, timeout, tls
        self.socket_path = ""
        text = address[7:] if address.startswith("http://unix:") else address
        if text.startswith("unix:"):
            self.socket_path, _, prefix = text[5:].partition(":")
            self.scheme, self.host = "http", "localhost"
        else:
            parts = urllib.parse.urlsplit(text)
            if parts.scheme not in ("http", "https") or not parts.netloc or parts.query or parts.fragment or parts.username:
                raise ValueError(f"{address!r} is no address of a node: http://host/_cache/ or unix:/path:/_cache/")
            self.scheme, self.host, prefix = parts.scheme, parts.netloc, parts.path
        self.prefix = "/" + (prefix or "/_cache/").strip("/")
        self.prefix += "" if self.prefix == "/" else "/"

    def _connect(self) -> http.client.HTTPConnection:
        if self.socket_path:
            return _UnixConnection(self.socket_path, self.timeout)
        if self.scheme == "https":
            return http.client.HTTPSConnection(self.host, timeout=self.timeout, context=self.tls)
        return http.client.HTTPConnection(self.host, timeout=self.timeout)

    def call(self, method: str, path: str, query: Optional[Mapping[str, Any]] = None, body: Body = b"",
             headers: Headers = ()) -> Any:
        """One request below the API's prefix. Returns what the JSON says, or text; raises `Refused` or `Unreachable`."""
        target = self.prefix + urllib.parse.quote(path, safe="/")
        if query:
            target += "?" + urllib.parse.urlencode(query, quote_via=urllib.parse.quote, safe="")
        data = body.encode() if isinstance(body, str) else bytes(body)
        fields = [(n, str(v).strip()) for n, v in _pairs(headers) if v]
        if self.secret is not None:
            fields.append(("Authorization", authorization(self.secret, method, target, data, fields)))
        connection = self._connect()
        try:
            status, type_, answer = self._exchange(connection, method, target, fields, data)
        except (OSError, http.client.HTTPException) as e:
            raise Unreachable(self.name, e) from e
        finally:
            connection.close()
        if status >= 300:
            raise _refused(self.name, status, type_, answer)
        return json.loads(answer) if type_.startswith("application/json") else answer.decode("utf-8", "replace")

    @staticmethod
    def _exchange(connection: http.client.HTTPConnection, method: str, target: str, fields: Sequence[Tuple[str, str]],
                  data: bytes) -> Tuple[int, str, bytes]:
        connection.putrequest(method, target, skip_accept_encoding=True)
        for name, value in fields:
            connection.putheader(name, value)
        connection.putheader("Content-Length", str(len(data)))
        connection.endheaders(data)
        response = connection.getresponse()
        return response.status, response.getheader("Content-Type", ""), response.read()


# ---- all nodes ----------------------------------------------------------------------------------------------------

class Purged:
    """A purge that every node took. It is the fence of a push: `push(..., fence=purged)`.

    `seq` has each node's own number; it is opaque and goes back as it came.
    """

    def __init__(self, seq: Dict[str, Any], accepted: int) -> None:
        self.seq, self.accepted = seq, accepted

    def __repr__(self) -> str:
        return f"Purged(seq={self.seq!r}, accepted={self.accepted})"


def _texts(what: str, values: Iterable[str]) -> List[str]:
    if isinstance(values, (str, bytes)):
        raise TypeError(f"{what} is a list of strings, not a string: [{values!r}]")
    values = list(values)
    for v in values:
        if not isinstance(v, str) or not v:
            raise TypeError(f"{what}: {v!r} is no text")
    return values


def _tags(values: Iterable[str]) -> List[str]:
    values = _texts("tags", values)
    for v in values:
        if any(c in v for c in ", \t\r\n"):
            raise ValueError(f"tag {v!r}: blanks and commas separate tags")
    return values


class Cache:
    """The zone of one or several nodes."""

    def __init__(self, *nodes: str, zone: str, secret: Union[bytes, str, None] = None,
                 secret_file: Union[str, "os.PathLike[str]", None] = None, timeout: float = 5.0,
                 tls: Optional[ssl.SSLContext] = None) -> None:
        """`secret` or `secret_file` sign every request (`slab_cache_api secret=file`); a line end after it is left out."""
        if not nodes:
            raise ValueError("a Cache needs the address of a node")
        secret = pathlib.Path(secret_file).read_bytes() if secret_file is not None else secret
        if secret is not None:
            secret = (secret.encode() if isinstance(secret, str) else secret).rstrip(b"\r\n")
            if len(secret) < 16:
                raise ValueError("a secret has 16 bytes or more")
        self.zone = zone
        self.nodes = [Node(n, secret, timeout, tls) for n in nodes]

    def __repr__(self) -> str:
        return f"Cache({', '.join(repr(n.name) for n in self.nodes)}, zone={self.zone!r})"

    def _path(self, what: str) -> str:
        return f"v1/zones/{urllib.parse.quote(self.zone, safe='')}/{what}".rstrip("/")

    def _everywhere(self, call: Callable[[Node], Any]) -> Dict[str, Any]:
        """The answers by node. Every node is asked, whatever the others say."""
        def attempt(node: Node) -> Any:
            try:
                return call(node)
            except SlabCacheError as e:
                return e
        if len(self.nodes) == 1:
            return {self.nodes[0].name: call(self.nodes[0])}
        with concurrent.futures.ThreadPoolExecutor(len(self.nodes)) as pool:
            results = dict(zip((n.name for n in self.nodes), pool.map(attempt, self.nodes)))
        errors = {n: r for n, r in results.items() if isinstance(r, SlabCacheError)}
        if errors:
            raise NodesFailed(errors, {n: r for n, r in results.items() if n not in errors})
        return results

    # ---- purging ---------------------------------------------------------------------------------------------------
    def purge(self, *urls: str, tags: Iterable[str] = (), prefixes: Iterable[str] = (), hosts: Iterable[str] = (),
              globs: Iterable[str] = (), tags_all: Iterable[str] = (), without: Iterable[str] = (), all: bool = False,
              soft: bool = False) -> Purged:
        """Purges what is named, on every node; when it returns the purge holds. `soft` makes stale instead of gone.

        URLs, prefixes and globs are absolute, as clients see them. `tags_all` takes what carries all of these tags, and
        none of `without`. More than one request can take are sent in several.
        """
        named = {"urls": urls, "prefixes": prefixes, "hosts": hosts, "globs": globs}
        what = [(kind, text) for kind, texts in named.items() for text in _texts(kind, texts)]
        what += [("tags", t) for t in _tags(tags)] + ([("all", "")] if all else [])
        condition = {"tags_all": _tags(tags_all), "not": _tags(without)} if tags_all else {}
        if not what and not condition or without and not tags_all:
            raise ValueError("nothing to purge")
        bodies = [json.dumps({**b, "mode": "soft"} if soft else b) for b in _purge_bodies(what, condition)]

        def send(node: Node) -> Tuple[Any, int]:
            answers = [node.call("POST", self._path("purge"), body=b, headers={"Content-Type": "application/json"})
                       for b in bodies]
            return answers[-1]["seq"], sum(a["accepted"] for a in answers)
        answers = self._everywhere(send)
        return Purged({n: seq for n, (seq, _) in answers.items()}, min(accepted for _, accepted in answers.values()))

    def delete(self, url: str) -> Purged:
        """Purges exactly this URL, also where it ends in `/*` or has a `*` in it."""
        answers = self._everywhere(lambda node: node.call("DELETE", self._path("entry"), {"url": url}))
        return Purged({n: a["seq"] for n, a in answers.items()}, min(a["accepted"] for a in answers.values()))

    # ---- pushing ---------------------------------------------------------------------------------------------------
    def push(self, url: str, body: Body, *, ttl: Optional[int] = None, status: int = 200,
             content_type: str = "text/html; charset=utf-8", tags: Iterable[str] = (), headers: Headers = (),
             request_headers: Headers = (), fence: Optional[Purged] = None, position: str = "") -> Dict[str, Any]:
        """Stores a response made beforehand, `headers` are its own. Returns the answers by node.

        With a `Vary` among them `request_headers` say which requests get it, one push for each variant. `fence` is the
        purge that came before the data was read: `PurgedSince` is raised if it was purged again meanwhile.
        """
        taken = [("Content-Type", content_type), ("Surrogate-Key", " ".join(_tags(tags)))]
        taken += [(n if n.lower() in _PUSH_FIELDS | {"cache-groups"} else f"X-Response-{n}", v) for n, v in _pairs(headers)]
        taken += [(f"X-Request-{n}", v) for n, v in _pairs(request_headers)]
        query = {"url": url, "status": status, **({} if ttl is None else {"ttl": ttl})}

        def send(node: Node) -> Any:
            own = [("If-Purge-Seq", str(fence.seq[node.name])) if fence else ("Slab-Position", position)]
            return node.call("PUT", self._path("entry"), query, body, taken + own)
        if fence and set(fence.seq) != {n.name for n in self.nodes}:
            raise ValueError("the fence is a purge of other nodes")
        return self._everywhere(send)

    def publish(self, url: str, make: Callable[[], Body], *, tries: int = 5, **push: Any) -> Dict[str, Any]:
        """Purges the URL, calls `make()` for the page, pushes it; starts over when it was purged while it was made.

        The order is what makes it right: `make` must read its data itself, not have it read before.
        """
        for left in range(tries, 0, -1):
            fence = self.purge(url)
            try:
                return self.push(url, make(), fence=fence, **push)
            except PurgedSince:
                if left == 1:
                    raise
            except NodesFailed as e:
                if left == 1 or not all(isinstance(x, PurgedSince) for x in e.errors.values()):
                    raise
        raise ValueError("tries is 1 or more")

    # ---- asking (the first node) -----------------------------------------------------------------------------------
    def explain(self, url: str, tag: Optional[str] = None) -> Dict[str, Any]:
        """What is stored for a URL, or why nothing is; with `tag` also whether it carries that tag."""
        return dict(self.nodes[0].call("GET", self._path("entry"), {"url": url, **({"tag": tag} if tag else {})}))

    def top(self, by: str = "lost", n: int = 20) -> List[Dict[str, Any]]:
        """The heaviest routes: by `lost`, `saved`, `hits` or `bytes`."""
        return list(self.nodes[0].call("GET", self._path("top"), {"by": by, "n": n})["rows"])

    def entries(self, **query: str) -> Iterator[Dict[str, Any]]:
        """What is stored: all, or below `prefix=` (a URL that ends in "/") and with `tag=`; a request for each hundred."""
        page: Dict[str, Any] = {"next": ""}
        while page["next"] is not None:
            page = self.nodes[0].call("GET", self._path("entries"), {"n": 100, **query})
            yield from page["entries"]
            query["after"] = page["next"]

    def stats(self) -> Dict[str, Any]:
        """Sizes, fill level, counters and reasons of the zone."""
        return dict(self.nodes[0].call("GET", self._path("")))


def _purge_bodies(what: Iterable[Tuple[str, str]], condition: Dict[str, List[str]]) -> Iterable[Dict[str, Any]]:
    """Bodies of requests, each within the server's bounds."""
    body: Dict[str, Any] = dict(condition)
    items = size = globs = 0
    for kind, text in what:
        # A URL with a star is a pattern too, unless it is a prefix.
        is_glob = kind in ("globs", "urls") and "*" in text
        cost = len(json.dumps(text)) + 2
        if body and (items >= MOST_ITEMS or size + cost > MOST_BYTES or globs + is_glob > MOST_GLOBS):
            yield body
            body, items, size, globs = {}, 0, 0, 0
        if kind == "all":
            body["all"] = True
        else:
            body.setdefault(kind, []).append(text)
        items, size, globs = items + 1, size + cost, globs + is_glob
    yield body


# ---- Django -------------------------------------------------------------------------------------------------------
# Django is imported where it is needed: the rest of this file works without it.

TAG_HEADER = "Surrogate-Key"
_request_tags: "contextvars.ContextVar[Optional[Dict[str, None]]]" = contextvars.ContextVar("slab_cache_tags", default=None)


@functools.lru_cache(maxsize=None)
def _cache_of(settings: str) -> Cache:
    options = json.loads(settings)
    return Cache(*options.pop("nodes"), **options)


def django_cache() -> Cache:
    """The `Cache` of the setting `SLAB_CACHE`: `nodes` and the other arguments of `Cache`."""
    from django.conf import settings
    return _cache_of(json.dumps(settings.SLAB_CACHE, default=os.fspath))


def _write_tags(response: Any, tags: Iterable[str]) -> Any:
    there = response[TAG_HEADER].split() if response.has_header(TAG_HEADER) else []
    if tags:
        response[TAG_HEADER] = " ".join(dict.fromkeys([*there, *tags]))
    return response


def add_tags(*tags: str) -> None:
    """Names tags of the response that is being made; from a view, a template tag, a model. Needs the middleware."""
    collected = _request_tags.get()
    if collected is not None:
        collected.update(dict.fromkeys(_tags(tags)))


def CacheTagsMiddleware(get_response: Callable[..., Any]) -> Callable[..., Any]:  # noqa: N802 - Django names it as a class
    """Django middleware: writes what `add_tags()` was told into the response's Surrogate-Key."""
    def middleware(request: Any) -> Any:
        collected: Dict[str, None] = {}
        token = _request_tags.set(collected)
        try:
            return _write_tags(get_response(request), collected)
        finally:
            _request_tags.reset(token)

    async def async_middleware(request: Any) -> Any:
        collected: Dict[str, None] = {}
        _request_tags.set(collected)        # of this request's task alone
        return _write_tags(await get_response(request), collected)
    return async_middleware if inspect.iscoroutinefunction(get_response) else middleware


CacheTagsMiddleware.sync_capable = CacheTagsMiddleware.async_capable = True  # type: ignore[attr-defined]


def cache_tags(*tags: Union[str, Callable[..., Union[str, Iterable[str]]]]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Decorator of a view: `@cache_tags("news", "article-{pk}", lambda request, **kw: ["lang-" + request.LANGUAGE_CODE])`.

    `{name}` stands for an argument of the view by name; a function gets the view's arguments and names one or several.
    Works without the middleware.
    """
    def named(args: Tuple[Any, ...], kwargs: Dict[str, Any]) -> List[str]:
        out: List[str] = []
        for tag in tags:
            made = tag(*args, **kwargs) if callable(tag) else tag.format(**kwargs)
            out += [made] if isinstance(made, str) else made
        return _tags(out)

    def decorate(view: Callable[..., Any]) -> Callable[..., Any]:
        async def async_tagged(*args: Any, **kwargs: Any) -> Any:
            return _write_tags(await view(*args, **kwargs), named(args, kwargs))

        def tagged(*args: Any, **kwargs: Any) -> Any:
            return _write_tags(view(*args, **kwargs), named(args, kwargs))
        return functools.wraps(view)(async_tagged if inspect.iscoroutinefunction(view) else tagged)
    return decorate


class _PurgeLater:
    """What one transaction, or one savepoint of it, is to purge when it is committed."""

    def __init__(self, cache: Cache, soft: bool) -> None:
        self.cache, self.soft = cache, soft
        self.urls: Dict[str, None] = {}
        self.lists: Dict[str, Dict[str, None]] = {}

    def add(self, urls: Iterable[str], lists: Mapping[str, Iterable[str]]) -> None:
        self.urls.update(dict.fromkeys(urls))
        for kind, values in lists.items():
            self.lists.setdefault(kind, {}).update(dict.fromkeys(values))

    def __call__(self) -> None:
        try:
            self.cache.purge(*self.urls, soft=self.soft, **self.lists)  # type: ignore[arg-type]
        except SlabCacheError as e:
            # The data is committed: what comes after us in the same transaction must still happen.
            log.error("the cache was not told what changed, and shows old pages until they expire: %s", e)


def purge_on_commit(*urls: str, soft: bool = False, using: Optional[str] = None, cache: Optional[Cache] = None,
                    **lists: Iterable[str]) -> None:
    """Purges once the transaction that runs now is committed, at once without one; never if it is rolled back.

    Arguments are those of `Cache.purge`. Calls within one transaction become one purge. A node that does not answer is
    an error in the log "slab_cache", not an exception: the data is committed by then.
    """
    from django.db import transaction
    unknown = set(lists) - {"tags", "prefixes", "hosts", "globs"}
    if unknown:
        raise TypeError(f"purge_on_commit() knows no {', '.join(sorted(unknown))}")
    checked = {kind: _tags(values) if kind == "tags" else _texts(kind, values) for kind, values in lists.items()}
    cache = cache or django_cache()
    connection = transaction.get_connection(using)
    for savepoints, function, *_ in connection.run_on_commit:
        if (isinstance(function, _PurgeLater) and function.cache is cache and function.soft == soft
                and savepoints == set(connection.savepoint_ids)):
            function.add(_texts("urls", urls), checked)
            return
    later = _PurgeLater(cache, soft)
    later.add(_texts("urls", urls), checked)
    if not later.urls and not any(later.lists.values()):
        raise ValueError("nothing to purge")
    transaction.on_commit(later, using)
