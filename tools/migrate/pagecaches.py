"""Page caches in memcached or Redis: srcache with its subrequests, memcached_pass before an application. They are listed, not
rewritten: what fills and empties them is often a program elsewhere. Each note says what to write, and what goes wrong without."""
import re
from typing import List, Optional, Set

from edit import words_with
from model import Configuration, Scope
from plan import Notes
from reader import Directive

STORES = ("memc_pass", "memcached_pass", "redis_pass", "redis2_pass")
STATUSES = "200 301 302"                # what srcache stores by itself, for 60 s where nothing is said
# What srcache stores against the response's own word.
AGAINST = {"srcache_store_private": "Cache-Control: private", "srcache_store_no_store": "Cache-Control: no-store",
           "srcache_store_no_cache": "Cache-Control: no-cache"}


def list_page_caches(config: Configuration, notes: Notes) -> None:
    helpers: Set[int] = set()
    for scope in config.scopes("location"):
        if scope.effective("srcache_fetch") or scope.effective("srcache_store"):
            helpers |= _list_srcache(config, scope, notes)
    for scope in config.scopes("location"):
        for d in [d for name in STORES for d in scope.own(name)]:
            if id(scope.directive) in helpers:
                notes.add("nothing", d.place, "srcache's way to its store; it goes with srcache, if nobody else uses it")
            else:
                _list_store(scope, d, notes)
    for file in config.files.values():
        for name in ("srcache_fetch_status", "srcache_store_status"):
            for start, _ in words_with(file, name):
                notes.add("differs", f"{file.path}:{file.line_of(start)}", f"${name}: write $slab_cache_status, with slab_cache in srcache's place")


# ---- srcache ------------------------------------------------------------------------------------------------------

def _list_srcache(config: Configuration, scope: Scope, notes: Notes) -> Set[int]:
    """Notes on one location; the locations that its subrequests go to, by identity."""
    switches = scope.effective("srcache_fetch") + scope.effective("srcache_store")
    place = scope.directive.place if scope.directive is not None else switches[0].place
    stores = [s for d in switches for s in _helpers(config, scope, d)]
    statuses = " ".join(a for d in scope.effective("srcache_store_statuses") for a in d.args) or STATUSES
    lines = [f"slab_cache ZONE; slab_cache_valid {statuses} {_lifetime(scope, stores)};"]
    if key := _key(switches[0], scope):
        lines.append(f"slab_cache_key {key};")
    if scope.value("srcache_response_cache_control") == "off":
        lines.append("slab_cache_ignore_headers Cache-Control Expires;")
    for d in scope.effective("srcache_methods"):
        lines.append(f"slab_cache_methods {d.raw_args};")
    notes.add("loses", place, f"stays on srcache. slab_cache in its place: {' '.join(lines)}")
    for theirs, ours in (("srcache_fetch_skip", "slab_cache_bypass"), ("srcache_store_skip", "slab_no_cache")):
        for d in scope.effective(theirs):
            notes.add("leaks", d.place, f"{theirs} says nothing to slab_cache: write {ours} {d.raw_args}; "
                                        "without it one visitor's page may go to others")
    for name, field in AGAINST.items():
        for d in scope.effective(name):
            if d.args == ["on"]:
                notes.add("leaks", d.place, f"stores what says {field}, which may be one visitor's; slab_cache does not")
    notes.add("differs", place, "srcache looks at no Vary, and drops Set-Cookie. As before would be slab_cache_vary off; "
                                "slab_cache_set_cookie strip; safer is neither")
    notes.add("loses", place, "who deletes keys in the store has to send PURGE instead, to each nginx: each has a cache of its own")
    return {id(s.directive) for s in stores}


def _helpers(config: Configuration, scope: Scope, d: Directive) -> List[Scope]:
    """Locations of the same server that `srcache_fetch GET /memc …` leads to."""
    server = next((s for s in scope.up() if s.kind == "server"), None)
    target = d.args[1].partition("?")[0] if len(d.args) > 1 else ""
    return [s for s in config.scopes("location")
            if s.directive is not None and s.directive.args[-1:] == [target] and any(up is server for up in s.up())]


def _made(scope: Scope, variable: str) -> Optional[Directive]:
    """The last `set`, `set_md5` or the like that makes this variable of something else."""
    for up in scope.up():
        found = [d for d in up.items if re.fullmatch(r"set(_\w+)?", d.name) and d.args[:1] == [variable] and len(d.args) > 1]
        if found:
            return found[-1]
    return None


def _key(switch: Directive, scope: Scope) -> str:
    """What is the key in the store, before it was escaped or digested."""
    words = [w.raw for w in switch.words[1:]]
    text = " ".join(words[2:]) or (words[1].partition("?")[2] if len(words) > 1 else "")
    text = re.sub(r"^\w+=", "", text)
    for _ in range(5):
        made = _made(scope, text)
        if made is None:
            break
        text = " ".join(w.raw for w in made.words[2:])
    return text if "$" in text else ""


def _lifetime(scope: Scope, stores: List[Scope]) -> str:
    for d in [d for s in stores for d in s.items]:
        if d.args[:1] in (["$memc_exptime"], ["expire"]) and d.name in ("set", "redis2_query"):
            return d.args[-1] if d.args[-1].isdigit() else "TIME"
    return scope.value("srcache_default_expire") or scope.value("srcache_max_expire") or "60s"


# ---- the rest -----------------------------------------------------------------------------------------------------

def _list_store(scope: Scope, d: Directive, notes: Notes) -> None:
    falls = any(code in e.args[:-1] for e in scope.effective("error_page") for code in ("404", "502", "504"))
    if not falls:
        notes.add("nothing", d.place, f"{d.name} is left as it is: nothing tells that these are pages of an application")
        return
    notes.add("loses", d.place, f"{d.name} is left as it is: pages that the application writes into the store. With slab_cache in the "
                                "application's own location it pushes them (PUT …/v1/zones/ZONE/entry?url=URL, slab_cache.py's publish()) and "
                                "purges where it deleted keys")
    made = [m for name in ("$memcached_key", "$memc_key", "$redis_key") for m in [_made(scope, name)] if m is not None]
    if any(re.search(r"\$(cookie_|http_cookie|remote_user|http_authorization)", m.raw_args) for m in made):
        notes.add("leaks", made[0].place, "its key tells visitors apart: slab_cache_key has to, or slab_cache_vary Cookie=NAME where the application "
                                          "says Vary: Cookie; without it one visitor's page may go to others")
