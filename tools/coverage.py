#!/usr/bin/env python3
"""What the unit tests run of src/{base,shm,http,cache}: coverage.py BUILD. Needs gcc's gcov, no more.

Prints a figure for each layer and for all; lists in BUILD/coverage.txt the lines that never ran. Headers count once,
whoever includes them: a line has run when it ran anywhere.
"""
import collections
import json
import pathlib
import subprocess
import sys

TOP = pathlib.Path(__file__).resolve().parents[1]
LAYERS = ("base", "shm", "http", "cache")


def lines_of(objects):
    """{file: {line: runs}} of all objects' counts."""
    runs = collections.defaultdict(lambda: collections.defaultdict(int))
    for notes in sorted(objects.rglob("*.gcno")):
        report = subprocess.run(["gcov", "--json-format", "--stdout", str(notes)], cwd=TOP, check=True, capture_output=True)
        for text in report.stdout.splitlines():
            for file in json.loads(text)["files"]:
                path = pathlib.Path(file["file"])
                name = str(path.relative_to(TOP) if path.is_absolute() and path.is_relative_to(TOP) else path)
                if name.startswith("src/"):
                    for line in file["lines"]:
                        runs[name][line["line_number"]] += line["count"]
    return runs


def main():
    build = TOP / sys.argv[1]
    tree = build / "tests/coverage"
    for old in tree.rglob("*.gcda"):
        old.unlink()
    subprocess.run([str(tree / "unit_tests"), "--gtest_brief=1"], cwd=TOP, check=True)
    runs = lines_of(tree / "o/src")
    never, sums = [], collections.Counter()
    for name, lines in sorted(runs.items()):
        layer = name.split("/")[1]
        missed = sorted(n for n, count in lines.items() if count == 0)
        sums[layer] += len(lines)
        sums[layer, "missed"] += len(missed)
        if missed:
            never.append(f"{name}: {' '.join(map(str, missed))}")
    (build / "coverage.txt").write_text("".join(line + "\n" for line in never))
    for layer in LAYERS:
        print(f"{layer:6} {sums[layer] - sums[layer, 'missed']:5} of {sums[layer]:5} lines")
    total, missed = sum(sums[x] for x in LAYERS), sum(sums[x, "missed"] for x in LAYERS)
    print(f"src    {100 * (total - missed) / total:.1f} % of {total} lines; {missed} never ran: {sys.argv[1]}/coverage.txt")


if __name__ == "__main__":
    main()
