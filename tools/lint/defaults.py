#!/usr/bin/env python3
"""README's table of directives against the defaults in src: defaults.py

A row is compared with the value that merge_loc_conf() gives where nothing is written. What has no value there (a list, a
pointer) must be `none`, `off` or `all` in README, or stand in WORDS with the reason.
"""
import pathlib
import re
import sys

TOP = pathlib.Path(__file__).resolve().parents[2]
MERGE = re.compile(r"ngx_conf_merge_(\w+)\(\s*conf->(\w+),\s*prev->\w+,\s*(.*?)\);", re.S)
FIELD = {"slab_cache_refresh": "refresh_beta"}   # else the name without its prefix
# What stands in README for what is no number, and the text of src that says so.
WORDS = {
    "slab_cache_zone": ("`max_object=` 1/16 of a shard, `fills=` a quarter of `worker_connections`", None, ""),
    "slab_cache_key": ("what is really asked: see [Where the cache stands](#where-the-cache-stands)", None, ""),
    "slab_cache_fleet": ("`node=` the host's name, `maxlen=100k blind=60s on_gap=soft`", "src/ngx/fleet/fleet_conf.cpp",
                         r"kMaxlen = 100000;[^}]*kBlindMs = 60000;"),
    "slab_cache_tier": ("`prefix=slab: timeout=20ms max_object=512k lease=5s write=on`; off", "src/ngx/tier/tier_conf.cpp",
                        r"kTimeoutMs = 20;[^}]*kLeaseMs = 5000;[^}]*kMaxObject = 512 \* 1024;[^}]*\"slab:\"\)"),
    "slab_cache_vary": ("`max=8`", "src/http/policy.h", r"uint32_t max = 8;"),
    "slab_cache_stale": ("`while=0 if_error=1h`", "src/ngx/conf/conf.cpp",
                         r"prev->stale_while : 0;\s+conf->stale_if_error = set \? prev->stale_if_error : 3600;"),
    "slab_cache_api": ("`write=off`", None, ""),
    "slab_cache_tags": ("`Surrogate-Key`, `Cache-Tag`, `xkey`, `Cache-Groups` of the response", "src/ngx/conf/conf.cpp",
                        r"prev->tags_mode, kTagsFromResponse\)"),
    "slab_cache_use_stale": (None, "src/ngx/conf/conf.cpp", r"bit\(http::kStaleDefault\)"),
}
BITS = {"kCacheGet": "GET", "kCacheHead": "HEAD", "kInvalidateUnsafe": "unsafe", "kInvalidateGroups": "groups"}


def rows():
    """(directive, default) of README's table."""
    for line in (TOP / "README.md").read_text().splitlines():
        cells = [c.strip() for c in re.split(r"(?<!\\)\|", line)[1:-1]]
        if len(cells) == 4 and re.fullmatch(r"`slab_(cache|no_cache)\w*`", cells[0]):
            yield cells[0].strip("`"), cells[2].replace("**", "")


def in_words(kind, value):
    """A default of src as README writes it."""
    if kind == "msec_value":
        return f"{int(value) // 1000}s"
    if kind == "bitmask_value":
        return " ".join(word for bit, word in BITS.items() if bit in value) or "none"
    if kind == "value":
        return {"0": "off", "1": "on"}.get(value, value)
    name = re.search(r"k(?:[A-Z]\w*?)?(Refuse|Off|\d+)\b", value)
    return name[1].lower() if name else value


def main():
    text = (TOP / "src/ngx/conf/conf.cpp").read_text()
    defaults = {field: in_words(kind, re.sub(r"\s+", " ", value)) for kind, field, value in MERGE.findall(text)}
    bad, seen = [], 0
    for directive, said in rows():
        seen += 1
        field = FIELD.get(directive, directive.removeprefix("slab_cache_"))
        if directive in WORDS:
            words, path, pattern = WORDS[directive]
            if words is not None and said != words:
                bad.append(f"README.md: {directive} says \"{said}\", tools/lint/defaults.py \"{words}\"")
            if path is not None and re.search(pattern, (TOP / path).read_text()) is None:
                bad.append(f"{path}: the default of {directive} is another one")
        elif field in defaults:
            if said.strip("`") != defaults[field]:
                bad.append(f"README.md: {directive} says \"{said}\", src/ngx/conf/conf.cpp \"{defaults[field]}\"")
        elif said.strip("`") not in ("none", "off", "all"):
            bad.append(f"README.md: {directive} says \"{said}\", src/ngx/conf/conf.cpp gives it no value")
    if seen < 20 or len(defaults) < 10:
        bad.append(f"{seen} rows, {len(defaults)} defaults: the tables are not where they were")
    print("\n".join(bad), end="\n" if bad else "")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
