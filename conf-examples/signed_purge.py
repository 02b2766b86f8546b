#!/usr/bin/env python3
"""Purges everything below some URLs by a signed request: signed_purge.py http://host SECRET-FILE ZONE URL [URL …]"""
import pathlib
import sys

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "clients/python"))   # where it is not installed
import slab_cache  # noqa: E402

if __name__ == "__main__":
    if len(sys.argv) < 5:
        raise SystemExit(__doc__)
    cache = slab_cache.Cache(sys.argv[1].rstrip("/") + "/_cache/", zone=sys.argv[3], secret_file=sys.argv[2])
    try:
        print(cache.purge(prefixes=sys.argv[4:]))
    except slab_cache.SlabCacheError as e:
        raise SystemExit(str(e)) from e
