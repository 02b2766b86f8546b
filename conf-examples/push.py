#!/usr/bin/env python3
"""Renders a page and puts it into the cache: what the worker of a task queue does after the data changed.

    push.py http://127.0.0.1:8080 ZONE /path [/path …]

The order matters. First the purge: what is in the cache or being fetched now was made of old data. Then the data is read
and the page rendered. Then the push, fenced by the purge's number: should somebody purge the page again meanwhile,
because the data changed again, the push is refused with 412, and the job starts over.
"""
import json
import sys
import time
import urllib.error
import urllib.parse
import urllib.request


def call(url, method, body, headers):
    request = urllib.request.Request(url, data=body, method=method, headers=headers)
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)


def render(path):
    """Stands in for your application: reads the data, makes the page."""
    return f"<!doctype html><title>{path}</title><p>made beforehand, {time.ctime()}\n".encode()


def push(site, zone, path, ttl=600, tags=(), tries=5):
    api = f"{site}/_cache/v1/zones/{zone}"
    url = site + path
    for _ in range(tries):
        purged = call(f"{api}/purge", "POST", json.dumps({"urls": [url]}).encode(), {"Content-Type": "application/json"})
        body = render(path)
        try:
            return call(f"{api}/entry?ttl={ttl}&url={urllib.parse.quote(url, safe='')}", "PUT", body,
                        {"Content-Type": "text/html; charset=utf-8", "Surrogate-Key": " ".join(tags),
                         "If-Purge-Seq": str(purged["seq"])})
        except urllib.error.HTTPError as e:
            if e.code != 412:
                raise SystemExit(f"{url}: {e.code} {e.read().decode()}") from e
    raise SystemExit(f"{url}: purged again and again")


if __name__ == "__main__":
    if len(sys.argv) < 4:
        raise SystemExit(__doc__)
    for each in sys.argv[3:]:
        print(each, push(sys.argv[1].rstrip("/"), sys.argv[2], each, tags=["pushed"]))
