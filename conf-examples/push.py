#!/usr/bin/env python3
"""Renders a page and puts it into the cache: what the worker of a task queue does after the data changed.

    push.py http://127.0.0.1:8080 ZONE /path [/path …]

`publish()` keeps the order that matters. First the purge: what is in the cache or being fetched now was made of old data.
Then the data is read and the page rendered. Then the push, fenced by the purge: should somebody purge the page again
meanwhile, because the data changed again, the push is refused with 412, and it starts over.
"""
import pathlib
import sys
import time

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "clients/python"))   # where it is not installed
import slab_cache  # noqa: E402


def render(path):
    """Stands in for your application: reads the data, makes the page."""
    return f"<!doctype html><title>{path}</title><p>made beforehand, {time.ctime()}\n"


if __name__ == "__main__":
    if len(sys.argv) < 4:
        raise SystemExit(__doc__)
    site = sys.argv[1].rstrip("/")
    cache = slab_cache.Cache(f"{site}/_cache/", zone=sys.argv[2])
    for each in sys.argv[3:]:
        try:
            print(each, cache.publish(site + each, lambda path=each: render(path), ttl=600, tags=["pushed"]))
        except slab_cache.SlabCacheError as e:
            raise SystemExit(str(e)) from e
