"""Makes the changes. All or nothing for each location; where one place in a file is used in ways that differ, all of them stay."""
import re
from typing import Dict, List, Set, Tuple

import zones
from edit import Edit, added, apply, opened, replaced, words_with
from mapping import defaults, mapped
from model import FAMILIES, Configuration, Scope
from pagecaches import list_page_caches
from plan import Cached, Notes, Options, SETTINGS, find_cached, is_keyed_by_credentials, names_of_staying, settle_zones, users_of_settings
from purging import purge_locations
from reader import Directive, File

DIFFERS = "its lines are also used by another location, for which they would have to differ"
STATUS_MAP = ["map $slab_cache_status $slab_or_upstream_cache_status {", "    default $slab_cache_status;",
              '    ""      $upstream_cache_status;', "}"]


class Disagreement(Exception):
    def __init__(self, cached: List[Cached]) -> None:
        super().__init__()
        self.cached = cached


class Rewrite:
    def __init__(self, config: Configuration, options: Options) -> None:
        self.config, self.options = config, options
        self.found = find_cached(config, options.features)
        while True:
            self.notes = Notes()
            self.edits: Dict[str, List[Edit]] = {}
            self.openings: Dict[int, Tuple[Directive, List[str]]] = {}
            try:
                self._plan()
                break
            except Disagreement as e:
                for c in e.cached:
                    c.stays = c.stays or DIFFERS
                settle_zones(self.found)
        for block, lines in self.openings.values():
            self._edit(block.file, opened(block, lines))

    # ---- the parts -------------------------------------------------------------------------------------------------
    @property
    def moving(self) -> List[Cached]:
        return [c for c in self.found if not c.stays]

    def texts(self) -> Dict[str, str]:
        """Every file as it is to be, by its path."""
        return {path: apply(file, self.edits.get(path, [])) for path, file in self.config.files.items()}

    def _edit(self, file: File, edit: Edit) -> None:
        self.edits.setdefault(file.path, []).append(edit)

    def _open(self, block: Directive, lines: List[str]) -> None:
        if lines:
            known = self.openings.setdefault(id(block), (block, []))[1]
            known += [line for line in lines if line not in known]

    def _plan(self) -> None:
        list_page_caches(self.config, self.notes)
        for c in self.found:
            if c.stays:
                self.notes.add("loses", c.block.place, f"stays on {c.family}_cache: {c.stays}")
        if not self.moving:
            return
        self.notes.add("differs", self.config.path, "requests with Authorization pass by the cache, unless the response says public, "
                                                    "s-maxage or must-revalidate; nginx's caches do not look at it")
        self.users = users_of_settings(self.found)
        self.renamed = {c.zone: c.zone + "_slab" for c in self.moving if c.zone in names_of_staying(self.found)}
        self.flat = len({c.family for c in self.moving}) > 1
        self.in_location: Dict[int, List[str]] = {id(c): [] for c in self.moving}
        self._switches()
        self._settings()
        self._locations()
        self.turned_off: Set[int] = set()
        self._others_off()
        self._dead_switches()
        self._variables()
        zones.rewrite(self)
        purge_locations(self)

    def _by_place(self, directive: Directive) -> Tuple[List[Cached], List[Cached]]:
        users = self.users[id(directive)]
        return [c for c in users if not c.stays], [c for c in users if c.stays]

    def _known(self) -> List[Directive]:
        """Every X_cache directive that takes effect somewhere, once, in the order of the files."""
        return [d for d in self.config.directives() if id(d) in self.users]

    def _switches(self) -> None:
        for d in self._known():
            if d.name.removesuffix("_cache") not in FAMILIES:
                continue
            moving, staying = self._by_place(d)
            own = [c for c in moving + staying if c.has_own_switch]
            if moving and staying and own:
                raise Disagreement(moving)
            if not moving:
                continue
            line = f"slab_cache {self.renamed.get(d.args[0], d.args[0])};"
            inherits = [c for c in moving if not c.has_own_switch]
            if own and all(c.outer(self.found) in own for c in inherits):
                self._edit(d.file, replaced(d, [line]))
                continue
            if not staying:
                self._edit(d.file, replaced(d, []))
            for c in moving:
                outer = c.outer(self.found)
                if outer is None or outer.switch is not d:
                    self.in_location[id(c)] += ([f"{d.name} off;"] if staying else []) + [line]

    def _settings(self) -> None:
        for d in self._known():
            family, _, name = d.name.partition("_")
            if name not in SETTINGS:
                continue
            moving, staying = self._by_place(d)
            if not moving:
                continue
            texts = {tuple(mapped(d, c, self.options, self.notes)) for c in moving}
            is_own = all(any(own is d for own in c.scope.items) for c in moving)
            if len(texts) == 1 and (is_own or not self.flat):
                lines = list(texts.pop())
                if staying and name == "ignore_headers":
                    lines = [x for x in lines if x.startswith("slab_")]
                self._edit(d.file, added(d, lines) if staying and lines else replaced(d, lines) if not staying else Edit(0, 0, ""))
                continue
            if not staying:
                self._edit(d.file, replaced(d, []))
            for c in moving:
                self.in_location[id(c)] += mapped(d, c, self.options, self.notes)

    def _locations(self) -> None:
        """What a location needs of its own goes to the top of its block, if all uses of that block need the same."""
        blocks: Dict[int, List[Cached]] = {}
        for c in self.moving:
            blocks.setdefault(id(c.block), []).append(c)
        for uses in blocks.values():
            scopes = [s for s in self.config.scopes("location") if s.directive is uses[0].block]
            wanted = [self._lines_of(c) for c in uses]
            if len(uses) != len(scopes) or any(w != wanted[0] for w in wanted):
                raise Disagreement(uses)
            self._open(uses[0].block, wanted[0])
            self._note_credentials(uses[0])

    def _lines_of(self, c: Cached) -> List[str]:
        lines = self.in_location[id(c)] + defaults(c, self.options, self.notes)
        outer = c.outer(self.found)
        if outer is not None and not outer.stays and outer.switch is c.switch:
            inherited = self.in_location[id(outer)] + defaults(outer, self.options, self.notes)
            lines = [x for x in lines if x not in inherited]
        return lines

    def _note_credentials(self, c: Cached) -> None:
        key = " ".join(w for d in c.setting("cache_key") for w in d.args)
        if self.options.features.keyed and is_keyed_by_credentials(c, key):
            return
        if c.scope.value("auth_basic") not in ("", "off"):
            self.notes.add("loses", c.block.place, "auth_basic: all its requests have Authorization, so none is answered from the "
                                                   "cache unless the response says public, s-maxage or must-revalidate")

    def _others_off(self) -> None:
        """A location within one that moves, and is not cached itself, must not begin to be."""
        moving_scopes = {id(c.scope) for c in self.moving}
        done: Set[int] = set()
        for c in self.moving:
            for inner in c.scope.all():
                if inner.kind != "location" or id(inner) in moving_scopes or inner.directive is None:
                    continue
                if id(inner.directive) not in done and not _within_off(inner, moving_scopes):
                    done.add(id(inner.directive))
                    self._turn_off(inner, c)

    def _dead_switches(self) -> None:
        """`X_cache off` says nothing any more where no X_cache is left."""
        if any(c.stays for c in self.found):
            return
        for d in self.config.directives():
            if d.name.removesuffix("_cache") in FAMILIES and d.args == ["off"] and id(d) not in self.turned_off:
                self._edit(d.file, replaced(d, []))

    def _turn_off(self, inner: Scope, c: Cached) -> None:
        own = [d for d in inner.own(f"{c.family}_cache") if d.args == ["off"] and id(d) not in self.users]
        if own and own[0].file is inner.directive.file:  # type: ignore[union-attr]
            self.turned_off.add(id(own[0]))
            self._edit(own[0].file, replaced(own[0], ["slab_cache off;"]))
        else:
            assert inner.directive is not None
            self._open(inner.directive, ["slab_cache off;"])

    def _variables(self) -> None:
        everything = all(not c.stays for c in self.found)
        status = "$slab_cache_status" if everything else "$slab_or_upstream_cache_status"
        seen = False
        for file in self.config.files.values():
            for start, end in words_with(file, "upstream_cache_status"):
                seen = True
                if not any(e.start <= start < e.end for e in self.edits.get(file.path, [])):
                    self._edit(file, Edit(start, end, _named_as(file.text[start:end], status)))
            for name in ("last_modified", "etag", "date", "max_age"):
                for start, _ in words_with(file, f"upstream_cache_{name}"):
                    self.notes.add("differs", f"{file.path}:{file.line_of(start)}", f"$upstream_cache_{name} is empty now")
            for start, end in words_with(file, "upstream_cache_key"):
                self._edit(file, Edit(start, end, _named_as(file.text[start:end], "$slab_cache_key")))
        for d in self.config.directives():
            if d.lua and "upstream_cache_status" in d.file.text[d.block_start:d.block_end]:
                self.notes.add("differs", d.place, "Lua reads upstream_cache_status: let it read slab_cache_status")
        if seen and not everything:
            self._open(zones.http_block(self.config), STATUS_MAP)


def _named_as(old: str, new: str) -> str:
    """`new` in braces where `old` is: what stands behind may belong to no name."""
    return f"${{{new[1:]}}}" if old.startswith("${") else new


def _within_off(inner: Scope, moving_scopes: Set[int]) -> bool:
    """Is there a location around it, closer than the one that moves, which is turned off already?"""
    for scope in list(inner.up())[1:]:
        if id(scope) in moving_scopes:
            return False
        if scope.kind == "location":
            return True
    return False
