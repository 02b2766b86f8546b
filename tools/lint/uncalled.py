#!/usr/bin/env python3
"""Functions that headers of base, shm, http and cache declare and src never names again: uncalled.py

A name followed by parentheses and `noexcept` is a declaration or a definition; each other occurrence is a use. Two
functions of one name are one: what this finds is dead, what it does not find may be so too.
"""
import pathlib
import re
import sys

SRC = pathlib.Path(__file__).resolve().parents[2] / "src"
LAYERS = ("base", "shm", "http", "cache")
# Called by tests and by the torture's audit program: nothing that runs in nginx.
FOR_TESTS = {"audit": "checks the invariants of a quiescent zone", "set_liveness": "lets a test say which worker lives"}
NOISE = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"', re.S)
NAME = re.compile(r"\b[a-z_][a-z0-9_]*\b")
SAYS_NOEXCEPT = re.compile(r"\s*(const\s*)?noexcept\b")


def closing(text, at):
    """Behind the parenthesis that closes the one at `at`."""
    depth = 0
    for i in range(at, len(text)):
        depth += {"(": 1, ")": -1}.get(text[i], 0)
        if depth == 0:
            return i + 1
    return len(text)


def names(text):
    """(name, whether it is declared there, its offset)"""
    for m in NAME.finditer(text):
        behind = re.compile(r"\s*\(").match(text, m.end())
        declared = behind is not None and SAYS_NOEXCEPT.match(text, closing(text, behind.end() - 1)) is not None
        yield m[0], declared, m.start()


def main():
    declared, used = {}, set()
    for path in sorted(SRC.rglob("*")):
        if path.suffix not in (".h", ".cpp", ".def"):
            continue
        text = NOISE.sub(lambda m: "\n" * m[0].count("\n") or " ", path.read_text())
        where = path.relative_to(SRC)
        for name, is_declared, at in names(text):
            if not is_declared:
                used.add(name)
            elif path.suffix == ".h" and where.parts[0] in LAYERS:
                declared.setdefault(name, f"src/{where}:{text.count(chr(10), 0, at) + 1}")
    dead = sorted((where, name) for name, where in declared.items() if name not in used and name not in FOR_TESTS)
    dead += [(__file__, f"exception {name}")  for name in FOR_TESTS if name in used or name not in declared]
    for where, name in dead:
        print(f"{where}: {name}() is never called in src")
    return 1 if dead or not declared else 0


if __name__ == "__main__":
    sys.exit(main())
