"""X_cache_path becomes slab_cache_zone: all of it is memory, so its size has to be thought about."""
import os
import re
from typing import TYPE_CHECKING, List, Tuple

from edit import Edit, added, replaced
from model import FAMILIES, Configuration
from reader import ConfigError, Directive

if TYPE_CHECKING:
    from rewrite import Rewrite

UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
UNKNOWN, MOST = 256 << 20, 1 << 30          # where nothing says how large; more than MOST is asked about
LEAST = 16 << 20


def bytes_of(text: str) -> int:
    m = re.fullmatch(r"(\d+)([kmgKMG]?)", text)
    return int(m[1]) * UNITS[m[2].lower()] if m else 0


def measured(path: str) -> Tuple[int, int, int]:
    """Files, bytes, and the largest, of a cache on disk that can be read; zeros else."""
    n = total = largest = 0
    for directory, _, names in os.walk(path):
        for name in names:
            try:
                size = os.stat(os.path.join(directory, name)).st_size
            except OSError:
                continue
            n, total, largest = n + 1, total + size, max(largest, size)
    return n, total, largest


def http_block(config: Configuration) -> Directive:
    found = [s for s in config.scopes("http") if s.directive is not None]
    if not found:
        raise ConfigError(f"{config.path}: no http block")
    assert found[0].directive is not None
    return found[0].directive


def _size(rewrite: "Rewrite", d: Directive, options: "dict[str, str]") -> int:
    bound = bytes_of(options.get("max_size", ""))
    n, total, largest = measured(os.path.join(rewrite.config.directory, d.args[0]))
    if rewrite.options.size:
        return bytes_of(rewrite.options.size)
    if n:
        want = max(LEAST, total + total // 4)
        said = f"the cache on disk has {n} files, {total >> 20} MB, the largest {largest >> 10} KB"
    else:
        want, said = bound or UNKNOWN, f"max_size={options['max_size']}" if bound else "no max_size, and no files to look at"
    size = min(max(-(-want >> 20) << 20, LEAST), MOST)
    rewrite.notes.add("loses" if want > MOST else "nothing", d.place,
                      f"the zone is memory: {size >> 20} MB, since {said}" + (f"; {want >> 20} MB would hold all" if want > MOST else ""))
    return size


def _max_object(rewrite: "Rewrite", d: Directive, name: str, size: int) -> "List[str]":
    """A slice is an object, and must fit: a zone takes a sixteenth of a shard by itself, a quarter where it is told to."""
    slice_size = max((bytes_of(c.scope.value("slice")) for c in rewrite.moving if c.zone == name or "$" in c.zone), default=0)
    shard = min(size, 64 << 20) * 15 // 16
    if slice_size < shard // 16:
        return []
    if slice_size >= shard // 4 - (64 << 10):
        rewrite.notes.add("loses", d.place, f"slices of {slice_size >> 20} MB are larger than any object of a zone of {size >> 20} MB")
        return []
    return [f"max_object={(slice_size >> 10) + 64}k"]


def line_for(rewrite: "Rewrite", d: Directive, name: str) -> str:
    options = dict(a.partition("=")[::2] for a in d.args[1:])
    size = _size(rewrite, d, options)
    words = [f"zone={rewrite.renamed.get(name, name)}:{size >> 20}m"]
    words += _max_object(rewrite, d, name, size)
    if "inactive" in options:
        words.append(f"inactive={options['inactive']}")
        rewrite.notes.add("differs", d.place, "inactive= counts from when a response ceases to be fresh, not from its last use")
    gone = sorted(set(options) - {"keys_zone", "inactive", "max_size"})
    if gone:
        rewrite.notes.add("nothing", d.place, f"gone, since there are no files: {' '.join(gone)}")
    rewrite.notes.add("nothing", d.place, "a restart of nginx empties the zone, unless it says file=/dev/shm/NAME")
    return f"slab_cache_zone {' '.join(words)};"


def rewrite(rewrite: "Rewrite") -> None:
    moving = {c.zone for c in rewrite.moving}
    staying = {c.zone for c in rewrite.found if c.stays}
    any_zone = any("$" in z for z in moving)
    for d in _paths(rewrite.config):
        name = dict(a.partition("=")[::2] for a in d.args[1:]).get("keys_zone", "").partition(":")[0]
        if name not in moving and not any_zone:
            continue
        line = line_for(rewrite, d, name)
        rewrite._edit(d.file, added(d, [line]) if name in staying else replaced(d, [line]))
    if not any("slab_cache" in m for m in rewrite.config.modules):
        main = rewrite.config.files[rewrite.config.path]
        at = main.tree[0].start if main.tree else 0
        end = "\r\n" if "\r\n" in main.text else "\n"
        rewrite._edit(main, Edit(at, at, f"load_module {rewrite.options.module};{end}"))


def _paths(config: Configuration) -> List[Directive]:
    return [d for d in config.directives() if d.name in [f"{f}_cache_path" for f in FAMILIES]]
