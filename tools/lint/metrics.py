#!/usr/bin/env python3
"""What is said of metrics elsewhere is what src/ngx/request/metric.def has: metrics.py

README names each family. Names of metrics in README, docs and conf-examples exist. The page and slab-cache-top read members
that there are.
"""
import pathlib
import re
import sys

TOP = pathlib.Path(__file__).resolve().parents[2]
ROW = re.compile(r'^SLAB_(?:COUNTED|STATED)\(([^"]*), "(\w*)", "([\w=]*)", \d+,\s+"([\w.]*)",\s+"(.*)"\)', re.M)
MORE = {"build_info", "refusals_total", "hit_seconds", "miss_seconds"}   # families of src/ngx/api/metrics.cpp alone
SAID = re.compile(r"(?<![$\w/.-])slab_cache_(\w*?[a-z])(?:_bucket|_sum|_count)?\b(?!\.)")
READERS = {"src/ngx/api/admin.html": r"\b{}\.([a-z]\w*)", "tools/slab-cache-top": r"\b{}\['(\w+)'\]"}
OF_ZONE = {"name", "available", "file", "memory", "counters", "reasons", "sentences"}   # beside the rows' members


def text(path):
    return (TOP / path).read_text()


def main():
    rows = ROW.findall(text("src/ngx/request/metric.def"))
    bad = []
    if len(rows) != len(re.findall(r"^SLAB_", text("src/ngx/request/metric.def"), re.M)):
        bad.append("src/ngx/request/metric.def: a row that this check cannot read")
    own = {row[1] for row in rows if row[1]}
    store = {f"store_{word}_total" for word in re.findall(r'ROW\(\w+, "(\w+)"', text("src/shm/counters.h"))}
    fleet = {f"fleet_{word}" for word in re.findall(r'^    \{"(\w+)",', text("src/ngx/api/metrics.cpp"), re.M)}
    fleet |= {f"fleet_{word}_total" for word in re.findall(r'^    \{"(\w+)",', text("src/ngx/fleet/fleet_state.h"), re.M)}
    tier = {f"tier_{word}_total" for word in re.findall(r'^    \{"(\w+)",', text("src/ngx/tier/tier_figures.cpp"), re.M)}
    families = own | MORE | store | fleet | tier | {"fleet_nodes", "fleet_gaps_total", "tier_misses_total", "tier_circuit_open"}
    readme = text("README.md")
    bad += [f"README.md does not name slab_cache_{family}" for family in sorted(own) if f"slab_cache_{family}" not in readme]
    # Directives, variables and their kin are named so too.
    others = {name for path in (TOP / "src").rglob("*.[ch]*") for name in re.findall(r'"slab_cache_(\w+)"', path.read_text())}
    others |= set(re.findall(r"^SLAB_\w+\((\w+), ", text("src/ngx/conf/plain.def"), re.M))
    for path in sorted([TOP / "README.md", *(TOP / "docs").rglob("*.md"), *(TOP / "conf-examples/prometheus").iterdir(),
                        TOP / "conf-examples/grafana-dashboard.json"]):
        bad += [f"{path.relative_to(TOP)}: there is no slab_cache_{name}"
                for name in sorted({n for n in SAID.findall(path.read_text())} - families - others)]
    members = {"z": {row[3] for row in rows if "s." in row[0]} | OF_ZONE, "c": {row[3] for row in rows if "s." not in row[0]} | {"evicted"},
               "m": {row[3].removeprefix("memory.") for row in rows if row[3].startswith("memory.")}}
    for path, pattern in READERS.items():
        for of, known in members.items():
            bad += [f"{path}: a zone of the API has no {of}.{name}"
                    for name in sorted(set(re.findall(pattern.format(of), text(path))) - known)]
    print("\n".join(bad), end="\n" if bad else "")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
