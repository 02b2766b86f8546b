#!/usr/bin/env python3
"""Purges everything below some URLs by a signed request: signed_purge.py http://host SECRET-FILE ZONE URL [URL …]"""
import hashlib
import hmac
import json
import pathlib
import sys
import time
import urllib.request


def authorization(secret, method, path, body, seconds=60):
    expiry = str(int(time.time()) + seconds)
    message = "\n".join((method, path, expiry, hashlib.sha256(body).hexdigest()))
    return f"SlabCache {expiry}:{hmac.new(secret, message.encode(), hashlib.sha256).hexdigest()}"


def purge(site, secret, zone, **what):
    path = f"/_cache/v1/zones/{zone}/purge"
    body = json.dumps(what).encode()
    request = urllib.request.Request(site + path, data=body, method="POST", headers={
        "Content-Type": "application/json", "Authorization": authorization(secret, "POST", path, body)})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)


if __name__ == "__main__":
    if len(sys.argv) < 5:
        raise SystemExit(__doc__)
    key = pathlib.Path(sys.argv[2]).read_bytes().rstrip(b"\r\n")
    print(purge(sys.argv[1].rstrip("/"), key, sys.argv[3], prefixes=sys.argv[4:]))
