"""The application purges on all machines: one XADD, in the same breath as the commit.

    python3 fleet.py redis://127.0.0.1:6379 post-17

With redis-py, as most applications have it:

    r = redis.Redis.from_url("redis://127.0.0.1:6379")
    transaction.on_commit(lambda: r.xadd("slab", {"tag": "post-17"}, maxlen=100_000, approximate=True))

Here without any client, to show that there is no more to it.
"""
import socket
import sys
import urllib.parse


def xadd(address, **fields):
    url = urllib.parse.urlsplit(address)
    words = ["XADD", "slab", "MAXLEN", "~", "100000", "*", *(w for f in fields.items() for w in f)]
    with socket.create_connection((url.hostname, url.port or 6379), 5) as s:
        s.sendall(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w.encode()), w.encode()) for w in words))
        answer = s.makefile("rb")
        first = answer.readline()
        if not first.startswith(b"$"):
            raise SystemExit(first.decode().strip())
        return answer.readline().decode().strip()


if __name__ == "__main__":
    print("purged everywhere, at", xadd(sys.argv[1], tag=" ".join(sys.argv[2:])))
