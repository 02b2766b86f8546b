"""A lossless reader of nginx's configuration language.

Text is bytes decoded as Latin-1, so that every file has one. `pieces()` cuts it into pieces that joined are the text
again; `parse()` makes directives of them that know where they stand. Nothing is printed from a tree: changes are made by
offset (`edit.py`), so what is not changed stays as it is to the byte.
"""
import dataclasses
import re
from typing import Iterator, List, Optional, Tuple

SPACE = " \t\r\n"
LUA_BLOCK = re.compile(r"_by_lua_block$")
LUA_LONG = re.compile(r"\[(=*)\[")


class ConfigError(Exception):
    """Not a configuration of nginx's, with file and line."""


@dataclasses.dataclass
class Word:
    raw: str            # as written, quotes and all
    start: int

    @property
    def value(self) -> str:
        """As nginx sees it."""
        text = self.raw
        if len(text) > 1 and text[0] in "\"'":
            text = text[1:-1]
        return re.sub(r"\\([\"'\\tnr])", lambda m: {"t": "\t", "n": "\n", "r": "\r"}.get(m[1], m[1]), text)


@dataclasses.dataclass
class Directive:
    file: "File"
    words: List[Word]
    end: int = 0                                    # after its ; or }
    block: Optional[List["Directive"]] = None
    block_start: int = 0                            # after its {
    block_end: int = 0                              # at its }
    lua: bool = False

    @property
    def name(self) -> str:
        return self.words[0].value

    @property
    def args(self) -> List[str]:
        return [w.value for w in self.words[1:]]

    @property
    def start(self) -> int:
        return self.words[0].start

    @property
    def line(self) -> int:
        return self.file.text.count("\n", 0, self.start) + 1

    @property
    def place(self) -> str:
        return f"{self.file.path}:{self.line}"

    @property
    def raw_args(self) -> str:
        return " ".join(w.raw for w in self.words[1:])


@dataclasses.dataclass
class File:
    path: str
    text: str
    tree: List[Directive] = dataclasses.field(default_factory=list)

    def line_of(self, offset: int) -> int:
        return self.text.count("\n", 0, offset) + 1


def _quoted(text: str, at: int) -> int:
    """The end of a quoted word; -1 if it has none."""
    quote, i = text[at], at + 1
    while i < len(text):
        if text[i] == "\\":
            i += 2
        elif text[i] == quote:
            return i + 1
        else:
            i += 1
    return -1


def _plain(text: str, at: int) -> int:
    """The end of a word without quotes: nginx ends it at a blank, ; or {, but not at the { of ${."""
    i = at
    while i < len(text):
        c = text[i]
        if c == "\\":
            i += 2
        elif c == "$" and text[i + 1:i + 2] == "{":
            i += 2
        elif c in SPACE or c in ";{":
            return i
        else:
            i += 1
    return len(text)


def _lua_end(text: str, at: int) -> int:
    """The offset of the } that ends Lua which begins at `at`; -1 if there is none."""
    depth, i = 1, at
    while i < len(text):
        c = text[i]
        if text.startswith("--", i):
            long = LUA_LONG.match(text, i + 2)
            end = text.find(f"]{long[1]}]", long.end()) if long else text.find("\n", i)
            if end < 0:
                return -1
            i = end + (len(long[1]) + 2 if long else 1)
        elif c in "\"'":
            i = _quoted(text, i)
            if i < 0:
                return -1
        elif c == "[" and (long := LUA_LONG.match(text, i)):
            end = text.find(f"]{long[1]}]", long.end())
            if end < 0:
                return -1
            i = end + len(long[1]) + 2
        else:
            depth += (c == "{") - (c == "}")
            if depth == 0:
                return i
            i += 1
    return -1


def pieces(text: str) -> Iterator[Tuple[str, int, int]]:
    """(kind, start, end) of every piece, without gaps: space, comment, word, ;, {, }, lua, or bad (to the end)."""
    at = 0
    words: List[str] = []       # of the directive so far
    while at < len(text):
        c = text[at]
        if c in SPACE:
            end = at + 1
            while end < len(text) and text[end] in SPACE:
                end += 1
            yield "space", at, end
        elif c == "#":
            end = text.find("\n", at)
            end = len(text) if end < 0 else end
            yield "comment", at, end
        elif c in ";{}":
            end = at + 1
            yield c, at, end
            if c == "{" and words and LUA_BLOCK.search(words[0]):
                close = _lua_end(text, end)
                if close < 0:
                    yield "bad", end, len(text)
                    return
                yield "lua", end, close
                end = close
            words = []
        else:
            end = _quoted(text, at) if c in "\"'" else _plain(text, at)
            if end < 0 or end > len(text) or (c in "\"'" and end < len(text) and text[end] not in SPACE + ";{)"):
                yield "bad", at, len(text)
                return
            words.append(text[at:end])
            yield "word", at, end
        at = end


def parse(path: str, text: str) -> File:
    """The file with its tree; `ConfigError` where nginx would refuse its form."""
    file = File(path, text)
    stack: List[Directive] = []
    words: List[Word] = []

    def fail(at: int, what: str) -> ConfigError:
        return ConfigError(f"{path}:{file.line_of(at)}: {what}")

    def siblings() -> List[Directive]:
        block = stack[-1].block if stack else file.tree
        assert block is not None
        return block

    for kind, start, end in pieces(text):
        if kind == "word":
            words.append(Word(text[start:end], start))
        elif kind == ";":
            if not words:
                raise fail(start, 'unexpected ";"')
            siblings().append(Directive(file, words, end))
            words = []
        elif kind == "{":
            if not words:
                raise fail(start, 'unexpected "{"')
            block = Directive(file, words, block=[], block_start=end)
            siblings().append(block)
            stack.append(block)
            words = []
        elif kind == "}":
            if words or not stack:
                raise fail(start, 'unexpected "}"')
            block = stack.pop()
            block.block_end, block.end = start, end
        elif kind == "lua":
            stack[-1].lua = True
        elif kind == "bad":
            raise fail(start, "a quote or a Lua block without an end" if text[start:start + 1] in "\"'" or stack else "not nginx's form")
    if words:
        raise fail(words[0].start, f'"{words[0].raw}" is not ended by ";"')
    if stack:
        raise fail(stack[-1].start, f'"{stack[-1].words[0].raw}" has no "}}"')
    return file
