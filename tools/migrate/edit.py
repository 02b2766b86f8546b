"""Changes by offset: a text with some of its places replaced, all else as it was."""
import dataclasses
from typing import Dict, List, Tuple

from reader import Directive, File, pieces


@dataclasses.dataclass(frozen=True)
class Edit:
    start: int
    end: int
    text: str


def indent_of(file: File, offset: int) -> str:
    """The blanks before the first word of the line in which `offset` is."""
    line = file.text[file.text.rfind("\n", 0, offset) + 1:offset]
    return line[:len(line) - len(line.lstrip(" \t"))]


def begins_its_line(file: File, offset: int) -> bool:
    return not file.text[file.text.rfind("\n", 0, offset) + 1:offset].strip()


def line_end(file: File) -> str:
    return "\r\n" if "\r\n" in file.text else "\n"


def replaced(d: Directive, lines: List[str]) -> Edit:
    """The directive becomes these lines; without any it goes, and its line too where it is alone there."""
    file = d.file
    if lines:
        between = line_end(file) + indent_of(file, d.start) if begins_its_line(file, d.start) else " "
        return Edit(d.start, d.end, between.join(lines))
    end = file.text.find("\n", d.end)
    rest = file.text[d.end:end if end >= 0 else len(file.text)]
    if begins_its_line(file, d.start) and not rest.strip():
        start = file.text.rfind("\n", 0, d.start) + 1
        return Edit(start, end + 1 if end >= 0 else len(file.text), "")
    return Edit(d.start, d.end + (len(rest) - len(rest.lstrip(" \t"))), "")


def added(d: Directive, lines: List[str]) -> Edit:
    """The directive stays, these lines come behind it."""
    between = line_end(d.file) + indent_of(d.file, d.start) if begins_its_line(d.file, d.start) else " "
    return Edit(d.end, d.end, between + between.join(lines))


def opened(d: Directive, lines: List[str]) -> Edit:
    """These lines become the first of a block."""
    file, at = d.file, d.block_start
    inside = file.text[at:d.block_end]
    if "\n" not in inside:
        return Edit(at, at, " " + " ".join(x for x in lines if not x.startswith("#")))
    inner = indent_of(file, d.block[0].start) if d.block and begins_its_line(file, d.block[0].start) else indent_of(file, d.start) + "    "
    new = line_end(file)
    return Edit(at, at, "".join(new + inner + line for line in lines))


def apply(file: File, edits: List[Edit]) -> str:
    out, at = [], 0
    for e in sorted(set(edits), key=lambda e: (e.start, e.end)):
        assert e.start >= at, f"{file.path}: two changes of one place, {e}"
        out += [file.text[at:e.start], e.text]
        at = e.end
    return "".join(out) + file.text[at:]


def words_with(file: File, name: str) -> List[Tuple[int, int]]:
    """Places of `$name` and `${name}` in words (not in comments, not in Lua)."""
    import re
    pattern = re.compile(r"\$(?:" + name + r"(?![A-Za-z0-9_])|\{" + name + r"\})")
    found = []
    for kind, start, end in pieces(file.text):
        if kind == "word":
            found += [(start + m.start(), start + m.end()) for m in pattern.finditer(file.text[start:end])]
    return found


Texts = Dict[str, List[Edit]]
