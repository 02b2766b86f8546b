"""The one mistake that leaks: proxy_cache's bypass rules left beside slab_cache, where they say nothing."""
from typing import List

from model import FAMILIES, Configuration, Scope, passes
from plan import Note

PAIRS = (("cache_bypass", "slab_cache_bypass"), ("no_cache", "slab_no_cache"))


def leaks(config: Configuration) -> List[Note]:
    found: List[Note] = []
    for scope in config.scopes("location"):
        if scope.value("slab_cache") not in ("", "off"):
            for family in FAMILIES:
                found += _left_over(scope, family) if passes(scope, family) else []
    return list(dict.fromkeys(found))


def _left_over(scope: Scope, family: str) -> List[Note]:
    notes = []
    for theirs, ours in PAIRS:
        known = {a for d in scope.effective(ours) for a in d.args}
        for d in scope.effective(f"{family}_{theirs}"):
            missing = [a for a in d.args if a not in known]
            if missing:
                notes.append(Note("leaks", d.place, f"{d.name} means nothing to slab_cache: write {ours} {' '.join(missing)} "
                                                    f"for {scope.title}"))
    return notes
