#!/usr/bin/env python3
"""Figures of the prose: words a sentence, words a paragraph, longest line. prose.py [--all] [--at REVISION] [FILE...]

Without arguments: only what is over a limit, and the exit code says so. --all prints every document, --at one commit's.
Code blocks, tables and headings are no prose; a list item is a paragraph; a span of code is one word.
"""
import argparse
import pathlib
import re
import subprocess
import sys

TOP = pathlib.Path(__file__).resolve().parents[2]
SENTENCE, PARAGRAPH, COLUMNS = 20, 80, 120    # a document's mean; any paragraph; any line
DOCUMENTS = re.compile(r"(README|CONTRIBUTING|SECURITY)\.md|src/DESIGN\.md|docs/.*\.md")
TABLE = re.compile(r"^\s*\|")


def git(*args):
    return subprocess.run(["git", *args], cwd=TOP, check=True, capture_output=True, text=True).stdout


def paragraphs(text):
    """[words of each sentence] per paragraph."""
    text = re.sub(r"^(```|~~~).*?^\1[^\n]*$", "", text, flags=re.S | re.M)
    blocks, block = [], []
    for line in [*text.splitlines(), ""]:
        starts_item = re.match(r"\s*([-*]|\d+\.) ", line)
        is_prose = line.strip() and not TABLE.match(line) and not line.startswith(("#", "<"))
        is_code = re.match(r"( {4}|\t)", line) and not block
        if block and (starts_item or not is_prose):
            blocks.append(" ".join(block))
            block = []
        if is_prose and not is_code:
            block.append(re.sub(r"^\s*([-*]|\d+\.) ", "", line).strip())
    return [sentences(b) for b in blocks]


def sentences(text):
    text = re.sub(r"``.+?``|`[^`]+`", "Code", text)
    text = re.sub(r"\]\([^)]*\)", "]", text)
    text = re.sub(r"[*\[\]]", "", text)
    counts = [len(re.findall(r"[\w$%&+#…-]*\w[\w'.:/%§-]*", s)) for s in re.split(r"(?<=[.!?])[\")]*\s+(?=[\"(A-Z0-9])", text)]
    return [n for n in counts if n]


def figures(text):
    blocks = [b for b in paragraphs(text) if b]
    words = sum(map(sum, blocks))
    fenced = re.sub(r"^(```|~~~).*?^\1[^\n]*$", "", text, flags=re.S | re.M)
    prose = [line for line in fenced.splitlines() if not TABLE.match(line) and not line.startswith("    ")]
    return {"words": words, "sentence": words / max(1, sum(map(len, blocks))), "mean": words / max(1, len(blocks)),
            "paragraph": max((sum(b) for b in blocks), default=0), "line": max(map(len, prose), default=0)}


def over(f):
    return [text for bad, text in [(f["sentence"] > SENTENCE, f"{f['sentence']:.1f} words a sentence, at most {SENTENCE}"),
                                   (f["paragraph"] > PARAGRAPH, f"a paragraph of {f['paragraph']} words, at most {PARAGRAPH}"),
                                   (f["line"] > COLUMNS, f"a line of {f['line']} columns, at most {COLUMNS}")] if bad]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--all", action="store_true", help="print every document")
    parser.add_argument("--at", metavar="REVISION", help="as of that commit, not as it lies here")
    parser.add_argument("files", nargs="*")
    args = parser.parse_args()
    command = ["ls-tree", "-r", "--name-only", args.at] if args.at else ["ls-files", "--cached", "--others", "--exclude-standard"]
    listed = git(*command)
    names = args.files or sorted(n for n in listed.splitlines()
                                 if DOCUMENTS.fullmatch(n) and (args.at or (TOP / n).is_file()))
    bad, total = 0, []
    if args.all:
        print(f"{'document':50} {'words':>6} {'a sentence':>11} {'a paragraph':>12} {'longest':>8} {'columns':>8}")
    for name in names:
        f = figures(git("show", f"{args.at}:{name}") if args.at else (TOP / name).read_text())
        total.append(f)
        if args.all:
            print(f"{name:50} {f['words']:6} {f['sentence']:11.1f} {f['mean']:12.1f} {f['paragraph']:8} {f['line']:8}")
        for text in over(f):
            bad += 1
            if not args.all:
                print(f"{name}: {text}")
    if args.all and total:
        print(f"{len(total)} documents, {sum(f['words'] for f in total)} words; over a limit: {bad}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
