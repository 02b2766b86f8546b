"""What caches, what of it can move, and why the rest stays."""
import dataclasses
import re
from typing import Dict, List, Optional, Set

from model import FAMILIES, Configuration, Scope, passes
from reader import Directive

SETTINGS = ("cache_key", "cache_valid", "cache_bypass", "no_cache", "cache_use_stale", "cache_background_update", "cache_lock",
            "cache_lock_timeout", "cache_lock_age", "cache_revalidate", "cache_min_uses", "cache_methods", "cache_convert_head",
            "cache_max_range_offset", "ignore_headers", "cache_purge")
PRIVATE_KEY = re.compile(r"\$\{?(http_authorization|remote_user|request_body)\b")
SEVERITIES = ("leaks", "loses", "differs", "nothing")


@dataclasses.dataclass
class Features:
    """What the module at hand knows beyond its first version; see probe()."""
    force: bool = False             # slab_cache_use_stale … force
    convert_head: bool = False      # slab_cache_convert_head
    keyed: bool = False             # slab_cache_authorization keyed; since then also answers to POST, by an explicit key
    slices: bool = False            # nginx's slice: each part is an object


@dataclasses.dataclass
class Options:
    modern: bool = False
    module: str = "modules/ngx_http_slab_cache_module.so"
    size: str = ""
    features: Features = dataclasses.field(default_factory=Features)


@dataclasses.dataclass(frozen=True)
class Note:
    severity: str
    place: str
    text: str


class Notes:
    def __init__(self) -> None:
        self.list: List[Note] = []

    def add(self, severity: str, place: str, text: str) -> None:
        note = Note(severity, place, text)
        if note not in self.list:
            self.list.append(note)


@dataclasses.dataclass
class Cached:
    """One location in which X_cache takes effect."""
    scope: Scope
    family: str
    switch: Directive
    stays: str = ""                 # why, if it does

    @property
    def zone(self) -> str:
        return self.switch.args[0]

    @property
    def block(self) -> Directive:
        assert self.scope.directive is not None
        return self.scope.directive

    def setting(self, name: str) -> List[Directive]:
        return self.scope.effective(f"{self.family}_{name}")

    def arg(self, name: str) -> str:
        return self.scope.value(f"{self.family}_{name}")

    @property
    def has_own_switch(self) -> bool:
        return any(d is self.switch for d in self.scope.items)

    def outer(self, all_cached: List["Cached"]) -> Optional["Cached"]:
        """The cached location around this one."""
        for scope in list(self.scope.up())[1:]:
            for c in all_cached:
                if c.scope is scope:
                    return c
        return None


def find_cached(config: Configuration, features: Optional[Features] = None) -> List[Cached]:
    found = []
    for scope in config.scopes("location"):
        for family in FAMILIES:
            switches = scope.effective(f"{family}_cache")
            if switches and switches[0].args and switches[0].args[0] != "off" and passes(scope, family):
                found.append(Cached(scope, family, switches[0]))
    for c in found:
        c.stays = why_it_stays(c, found, features or Features())
    settle_zones(found)
    return found


def is_keyed_by_credentials(c: Cached, key: str) -> bool:
    """The key tells all credentials apart: the field is in it, or the name in it is one whose password nginx checks each time."""
    checked = c.scope.value("auth_basic") not in ("", "off") and "$" not in c.scope.value("auth_basic") and c.scope.value("satisfy") != "any"
    return bool(re.search(r"\$\{?http_authorization\b", key) or (checked and re.search(r"\$\{?remote_user\b", key)))


def why_it_stays(c: Cached, found: List[Cached], features: Features) -> str:
    key = " ".join(w for d in c.setting("cache_key") for w in d.args)
    if len([o for o in found if o.scope is c.scope]) > 1:
        return "two kinds of X_pass in one location"
    outer = c.outer(found)
    if outer is not None and outer.family != c.family:
        return f"the location around it is cached for {outer.family}_pass"
    if not features.slices and (c.scope.value("slice") not in ("", "0") or "$slice_range" in key):
        return "it caches slices"
    if "POST" in [a for d in c.setting("cache_methods") for a in d.args] and not (features.keyed and key):
        return "it caches answers to POST"
    private = [m[1] for m in PRIVATE_KEY.finditer(key)]
    credentials = [name for name in private if name != "request_body"]
    if private and not (features.keyed and (not credentials or is_keyed_by_credentials(c, key))):
        return f"its key has ${(credentials or private)[0]} in it"
    targets = {d.raw_args for d in passes(c.scope, c.family)}
    if len(targets) > 1 and (not key or "$proxy_host" in key):
        return "its key is the upstream's name, and an if block has another upstream"
    return ""


def settle_zones(found: List[Cached]) -> None:
    """A zone that a variable names may be any: it moves only if all do."""
    if any(c.stays for c in found):
        for c in found:
            if "$" in c.zone and not c.stays:
                c.stays = "its zone is chosen by a variable, and other locations stay on their zones"


def users_of_settings(found: List[Cached]) -> Dict[int, List[Cached]]:
    """For each directive, by identity, the locations in which it takes effect."""
    users: Dict[int, List[Cached]] = {}
    for c in found:
        for d in [c.switch] + [d for name in SETTINGS for d in c.setting(name)]:
            users.setdefault(id(d), []).append(c)
    return users


def names_of_staying(found: List[Cached]) -> Set[str]:
    return {c.zone for c in found if c.stays}
