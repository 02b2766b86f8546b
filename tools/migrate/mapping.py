"""One directive of proxy_cache's family as slab_cache's: see the table in README.md beside this file."""
import re
from typing import List

from plan import Cached, Notes, Options, is_keyed_by_credentials
from reader import Directive

CACHE_FIELDS = ("X-Accel-Expires", "Expires", "Cache-Control", "Set-Cookie", "Vary")
# Stale for as long as nginx would keep the file: the zone's inactive= is the bound.
STALE_WINDOW = "slab_cache_stale if_error=30d;"
PLAIN = {"cache_valid": "slab_cache_valid", "cache_bypass": "slab_cache_bypass", "no_cache": "slab_no_cache",
         "cache_background_update": "slab_cache_background_update", "cache_lock": "slab_cache_lock",
         "cache_lock_timeout": "slab_cache_lock_timeout", "cache_lock_age": "slab_cache_lock_age",
         "cache_revalidate": "slab_cache_revalidate", "cache_methods": "slab_cache_methods"}


def short(d: Directive, c: Cached) -> str:
    return d.name[len(c.family) + 1:]


def mapped(d: Directive, c: Cached, options: Options, notes: Notes) -> List[str]:
    """The lines that say what `d` says for the location `c`."""
    name = short(d, c)
    if name in PLAIN:
        return [f"{PLAIN[name]} {d.raw_args};"]
    return globals()[f"_{name}"](d, c, options, notes)  # type: ignore[no-any-return]


def upstream_of(c: Cached) -> str:
    """What nginx's own default key begins with: scheme and name of the proxied server."""
    from model import passes
    return passes(c.scope, c.family)[0].args[0]


def _host_of(c: Cached) -> str:
    host = re.sub(r"^https?://", "", upstream_of(c)).partition("/")[0]
    return "localhost" if host.startswith("unix:") else host


def _cache_key(d: Directive, c: Cached, options: Options, notes: Notes) -> List[str]:
    text = d.raw_args
    if re.search(r"\$\{?proxy_host\b", text):
        # The variable is empty until the request is on its way to the upstream, which a hit never is.
        text = re.sub(r"\$([a-z]\w*)", r"${\1}", text)            # a name would run into what takes the next one's place
        text = text.replace("${proxy_host}", _host_of(c))
    if not re.search(r"\$\{?(host|http_host|server_name)\b", text):
        notes.add("differs", d.place, "the key has no host in it: a purge takes what was stored under the host that it names")
    keyed = options.features.keyed and is_keyed_by_credentials(c, text)
    return [f"slab_cache_key {text};"] + (["slab_cache_authorization keyed;"] if keyed else [])


def _cache_use_stale(d: Directive, c: Cached, options: Options, notes: Notes) -> List[str]:
    if d.args == ["off"]:
        return ["slab_cache_use_stale off;"]
    if options.features.force:
        return [f"slab_cache_use_stale {d.raw_args} force;"]
    notes.add("differs", d.place, "a response with s-maxage, must-revalidate or proxy-revalidate is not served stale")
    return [f"slab_cache_use_stale {d.raw_args};"]


def _cache_min_uses(d: Directive, c: Cached, options: Options, notes: Notes) -> List[str]:
    n = int(d.args[0])
    if n > 15:
        notes.add("differs", d.place, f"stored at the 15th request, not at the {n}th: slab_cache_min_uses ends at 15")
    return [f"slab_cache_min_uses {min(n, 15)};"] if n > 0 else []


def _cache_convert_head(d: Directive, c: Cached, options: Options, notes: Notes) -> List[str]:
    if options.features.convert_head:
        return [f"slab_cache_convert_head {d.raw_args};"]
    if d.args == ["off"]:
        notes.add("differs", d.place, "a HEAD asks the origin for GET: this module has no slab_cache_convert_head")
    return []


def _cache_max_range_offset(d: Directive, c: Cached, options: Options, notes: Notes) -> List[str]:
    notes.add("nothing", d.place, f"{d.name} goes: what is fetched is always the whole response")
    return []


def _ignore_headers(d: Directive, c: Cached, options: Options, notes: Notes) -> List[str]:
    ours = [a for a in d.args if a.lower() in {f.lower() for f in CACHE_FIELDS}]
    rest = [a for a in d.args if a not in ours]
    if any(a.lower() == "set-cookie" for a in ours):
        notes.add("differs", d.place, "Set-Cookie is not replayed to others any more: it is taken out of what is stored")
    lines = [f"slab_cache_ignore_headers {' '.join(ours)};"] if ours else []
    return lines + ([f"{d.name} {' '.join(rest)};"] if rest else [])


def _cache_purge(d: Directive, c: Cached, options: Options, notes: Notes) -> List[str]:
    args = [a for a in d.args if a != "purge_all"]
    if "from" in args and args[0].isupper():
        addresses = args[args.index("from") + 1:]
        if "all" in addresses:
            notes.add("loses", d.place, "anybody could purge; now 127.0.0.1 can: name the addresses of who may")
            addresses = ["127.0.0.1"]
        if "purge_all" in d.args:
            notes.add("differs", d.place, "PURGE takes the URL that it names; `PURGE /*` takes all of that host")
        return [f"slab_cache_purge {args[0]} from {' '.join(addresses)};"]
    if args and args[0].startswith("$"):
        notes.add("loses", d.place, f"{args[0]} said who may purge and by which method; now PURGE from 127.0.0.1: name the addresses")
        return ["slab_cache_purge PURGE from 127.0.0.1;"]
    return []           # ZONE KEY in a location of its own: purge_location()


def defaults(c: Cached, options: Options, notes: Notes) -> List[str]:
    """What nginx does where nothing is said, and slab_cache would do otherwise."""
    lines = []
    place = c.block.place
    wanted = [(not c.setting("cache_use_stale"), "slab_cache_use_stale off;", "errors of the origin are answered from the cache"),
              (c.arg("cache_background_update") != "on" and not c.setting("cache_background_update"),
               "slab_cache_background_update off;", "what is stale is refreshed in the background"),
              (not c.setting("cache_lock"), "slab_cache_lock off;", "one request at a time fetches a URL, others wait for it"),
              (not c.setting("cache_revalidate"), "slab_cache_revalidate off;", "what is stale is asked for with If-None-Match"),
              (True, "slab_cache_invalidate off;", "a POST, PUT or DELETE that succeeds purges its URL")]
    for missing, line, otherwise in wanted:
        if missing and options.modern:
            notes.add("differs", place, f"new: {otherwise}")
        elif missing:
            lines.append(line)
    if c.setting("cache_use_stale") and c.arg("cache_use_stale") != "off":
        lines.append(STALE_WINDOW)
    if not c.setting("cache_key"):
        if options.modern or _has_ssi(c):
            notes.add("differs", place, "the key has scheme, host and URL in it, not the upstream's name")
        else:
            lines.append(default_key(c))
    return lines


def _has_ssi(c: Cached) -> bool:
    """$request_uri is the page's in a part of it too: each page would have parts of its own."""
    root = list(c.scope.up())[-1]
    return any(d.args == ["on"] for scope in root.all() for d in scope.own("ssi"))


def default_key(c: Cached) -> str:
    """nginx's is the upstream and what it is asked for; fields are kept apart, so that none can pass for another."""
    return f'slab_cache_key "{upstream_of(c)}" $request_uri $uri $is_args$args;'
