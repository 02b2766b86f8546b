#!/usr/bin/env python3
"""Links between documents, and what documents say of the code.

- Each relative link leads to a file, and to a heading of it where it says one.
- Each decision has a number of its own.
- Each page below docs is reached from README.md by at most two clicks; pages of decisions by one more.
- Each row of docs/questions.md names a file and a name in it.
- A source file in a span of code (`src/shm/lease.h`) is there; a name before it, `lease_attach` (`src/…`), is in it.
"""
import pathlib
import re
import subprocess
import sys

TOP = pathlib.Path(__file__).resolve().parents[2]
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
CLICKS = 2


def documents():
    listed = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"], cwd=TOP, check=True,
                            capture_output=True, text=True).stdout
    return [n for n in listed.splitlines() if (TOP / n).is_file()]


def prose(name):
    return re.sub(r"^```.*?^```", "", (TOP / name).read_text(), flags=re.S | re.M)


def anchors(name):
    """As GitHub makes them of headings."""
    heads = re.findall(r"^#+ +(.*)$", prose(name), re.M)
    return {re.sub(r"[^\w\- ]", "", re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", h).lower()).replace(" ", "-") for h in heads}


def links(name):
    """(target, path in the repository or None, anchor)"""
    for target in LINK.findall(prose(name)):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        there = (TOP / name).parent / path if path else TOP / name
        there = there.resolve()
        yield target, there.relative_to(TOP).as_posix() if there.exists() and there.is_relative_to(TOP) else None, anchor


def clicks(names):
    """Least clicks from README.md to each document."""
    seen, edge = {"README.md": 0}, ["README.md"]
    while edge:
        name = edge.pop(0)
        for _, path, _ in links(name):
            if path in names and path not in seen:
                seen[path] = seen[name] + 1
                edge.append(path)
    return seen


def main():
    names = documents()
    bad = []
    for name in names:
        for target, path, anchor in links(name):
            if path is None:
                bad.append(f"{name}: {target} leads nowhere")
            elif anchor and path.endswith(".md") and anchor not in anchors(path):
                bad.append(f"{name}: {target}: no such heading")
        if name.startswith("docs/") or name == "src/DESIGN.md":
            for path in re.findall(r"`((?:src|tools|tests|conf-examples|clients)/[\w./-]*\.\w+)`", prose(name)):
                if not (TOP / path).exists():
                    bad.append(f"{name}: {path} is not in the repository")
            for word, path in re.findall(r"`([\w:]+)`\s+\(`(src/[\w./-]+)`\)", prose(name)):
                if (TOP / path).is_file() and re.search(rf"\b{word.split('::')[-1]}\b", (TOP / path).read_text()) is None:
                    bad.append(f"{name}: {path} has no {word}")
    far = clicks(set(names))
    for name in names:
        if name.startswith("docs/") and far.get(name, 99) > CLICKS + name.startswith("docs/decisions/0"):
            bad.append(f"{name}: README leads there by {far.get(name, 'no')} clicks, not {CLICKS}")
    numbers = [n[15:19] for n in names if n.startswith("docs/decisions/0")]
    bad += [f"docs/decisions: two have the number {n}" for n in sorted(set(numbers)) if numbers.count(n) > 1]
    rows = 0
    for line in (TOP / "docs/questions.md").read_text().splitlines():
        row = re.fullmatch(r"\| .*\? \| .* \| \[`([^`]+)`\]\([^)]*\) \| `([^`]+)` \|", line)
        if row is None:
            if line.startswith("|") and "question" not in line and "---" not in line:
                bad.append(f"docs/questions.md: not a row: {line[:60]}")
            continue
        rows += 1
        path, word = TOP / row[1], row[2]
        if not path.is_file() or re.search(rf"\b{re.escape(word)}\b", path.read_text()) is None:
            bad.append(f"docs/questions.md: {row[1]} has no {word}")
    if rows < 10:
        bad.append(f"docs/questions.md: {rows} questions, not ten")
    print("\n".join(bad), end="\n" if bad else "")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
