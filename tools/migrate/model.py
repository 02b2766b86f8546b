"""The configuration as nginx reads it: includes followed, scopes with what is inherited."""
import dataclasses
import glob
import os
import re
from typing import Dict, Iterator, List, Optional

from reader import ConfigError, Directive, File, parse

FAMILIES = ("proxy", "fastcgi", "uwsgi", "scgi")
TEMPLATE = re.compile(r"\{\{|\{%|<%")
TREES = {"http", "server", "location", "if", "limit_except"}


@dataclasses.dataclass
class Scope:
    """One use of a block: what stands in a file that two servers include has two scopes."""
    kind: str                               # main, http, server, location, if, limit_except, or other
    directive: Optional[Directive]
    parent: Optional["Scope"]
    items: List[Directive] = dataclasses.field(default_factory=list)     # its own level, includes followed
    children: List["Scope"] = dataclasses.field(default_factory=list)

    def up(self) -> Iterator["Scope"]:
        scope: Optional[Scope] = self
        while scope is not None:
            yield scope
            scope = scope.parent

    def own(self, name: str) -> List[Directive]:
        return [d for d in self.items if d.name == name]

    def effective(self, name: str) -> List[Directive]:
        """Those of the innermost level that has any: nginx replaces lists as a whole too."""
        for scope in self.up():
            if found := scope.own(name):
                return found
        return []

    def value(self, name: str) -> str:
        """The first argument of a directive that takes effect here, or nothing."""
        found = self.effective(name)
        return found[0].args[0] if found and found[0].args else ""

    def all(self) -> Iterator["Scope"]:
        yield self
        for child in self.children:
            yield from child.all()

    @property
    def title(self) -> str:
        if self.directive is None:
            return "the main file"
        return f"{self.directive.place} {self.directive.name} {' '.join(self.directive.args)}".rstrip()


class Configuration:
    """All files, each read once, and the tree of scopes. `overlay` has texts to read instead of what is on disk."""

    def __init__(self, path: str, overlay: Optional[Dict[str, str]] = None) -> None:
        self.path = os.path.abspath(path)
        self.directory = os.path.dirname(self.path)
        self.overlay = overlay or {}
        self.files: Dict[str, File] = {}
        self.modules: List[str] = []
        self.root = Scope("main", None, None)
        self._fill(self.root, self.file(self.path).tree, [self.path])

    def file(self, path: str) -> File:
        if path not in self.files:
            try:
                text = self.overlay.get(path)
                if text is None:
                    with open(path, "rb") as f:
                        text = f.read().decode("latin-1")
            except OSError as e:
                raise ConfigError(f"{path}: {e.strerror}") from e
            try:
                self.files[path] = parse(path, text)
            except ConfigError as e:
                what = ". A template? Migrate what is made of it" if TEMPLATE.search(text) else ""
                raise ConfigError(f"{e}{what}") from e
        return self.files[path]

    def included(self, directive: Directive) -> List[str]:
        pattern = os.path.join(self.directory, directive.args[0])
        if not any(c in pattern for c in "*?["):
            return [os.path.abspath(pattern)]
        return [os.path.abspath(p) for p in sorted(glob.glob(pattern)) if os.path.isfile(p)]

    def _fill(self, scope: Scope, tree: List[Directive], chain: List[str]) -> None:
        for d in tree:
            if d.name == "include" and len(d.args) == 1 and d.block is None:
                for path in self.included(d):
                    if path in chain:
                        raise ConfigError(f"{d.place}: {path} includes itself")
                    self._fill(scope, self.file(path).tree, [*chain, path])
            scope.items.append(d)
            if d.name == "load_module" and d.args:
                self.modules.append(d.args[0])
            if d.block is not None and not d.lua:
                child = Scope(d.name if d.name in TREES else "other", d, scope)
                scope.children.append(child)
                self._fill(child, d.block, chain)

    def scopes(self, *kinds: str) -> List[Scope]:
        return [s for s in self.root.all() if s.kind in kinds]

    def directives(self) -> Iterator[Directive]:
        """Each once, however often its file is used."""
        def walk(tree: List[Directive]) -> Iterator[Directive]:
            for d in tree:
                yield d
                yield from walk(d.block or [])
        for file in self.files.values():
            yield from walk(file.tree)


def passes(scope: Scope, family: str) -> List[Directive]:
    """The X_pass of a location, those in its if blocks and limit_except included."""
    found = scope.own(f"{family}_pass")
    for child in scope.children:
        if child.kind in ("if", "limit_except"):
            found += child.own(f"{family}_pass")
    return found
