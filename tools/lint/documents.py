#!/usr/bin/env python3
"""What comments and prose of the repository name and is not in it: documents, files, functions of models: documents.py

A document (*.md) counts wherever it is named; a source file in comments and in prose. A name may leave out folders.
"""
import pathlib
import re
import subprocess
import sys

TOP = pathlib.Path(__file__).resolve().parents[2]
NAME = re.compile(r"(?<![\w./*{}$<>%-])(\w(?:[\w.-]*/)*[\w.-]*\.(?:md|txt|h|cpp|py|sh|def|inc|html|pml|yml))\b(?![\w/*(])")
COMMENT = {".h": "//", ".cpp": "//", ".def": "//", ".pml": "//", ".sh": "#", ".mk": "#", "": "#"}
PROSE = {".md", ".py"}
# Not of this repository: what tools write, what applications have, placeholders, other people's headers.
ELSEWHERE = {"migrate.md", "settings.py", "views.py", "trace.txt", "field/frameworks/x.py"}


def tracked():
    text = subprocess.run(["git", "ls-files"], cwd=TOP, check=True, capture_output=True, text=True).stdout
    return [name for name in text.splitlines() if (TOP / name).is_file()]


def cited(path, text):
    """(line number, name)"""
    mark = COMMENT.get(path.suffix)
    for number, line in enumerate(text.splitlines(), 1):
        if "#include" in line:
            continue
        comment = line if path.suffix in PROSE else line[line.find(mark):] if mark in line else ""
        for m in NAME.finditer(line):
            is_document = m[1].endswith(".md")
            if is_document or (m[1] in comment and path.suffix != ".py"):
                yield number, m[1]


def modelled():
    """(model, function) of each head's block `Code`."""
    for path in sorted((TOP / "tests/model").glob("*.pml")):
        block = re.search(r"\* Code(.*?)\n \* [A-Z]", path.read_text(), re.S)
        for name in re.findall(r"(?<![.\w])(?:\w+::)?([a-z]\w+)\b(?!\.(?:h|cpp))", block[1] if block else ""):
            yield path.name, name


def main():
    files = tracked()
    known = set(files)
    for name in files:
        parts = name.split("/")
        known.update("/".join(parts[i:]) for i in range(1, len(parts)))
    bad = 0
    code = "\n".join(p.read_text() for p in (TOP / "src").rglob("*.*") if p.suffix in (".h", ".cpp"))
    for model, name in modelled():
        if re.search(rf"\b{name}\(", code) is None:
            print(f"tests/model/{model}: {name}() is not in src")
            bad += 1
    for name in files:
        path = pathlib.Path(name)
        if (path.suffix not in COMMENT and path.suffix not in PROSE) or "corpus" in path.parts or name.startswith("tools/lint/"):
            continue
        try:
            text = (TOP / path).read_text()
        except UnicodeDecodeError:
            continue
        for number, cite in cited(path, text):
            if not cite.startswith("build/") and not {cite, pathlib.Path(cite).name} & (known | ELSEWHERE):
                print(f"{name}:{number}: {cite} is not in the repository")
                bad += 1
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
