"""What is true: which version of which key the origin has, and which versions a purge has ruled out.

Shared by fork between the origin, the purger and the clients. A response is wrong when its bytes are not what
`body_of(key, version, language)` says, and old when its version is below `floor[key]` as it was before the request.
"""
import ctypes
import hashlib
import multiprocessing
import time

KEYS = 320
GROUPS = 8          # path prefixes
TAGS = 10
LANGUAGES = ("de", "en", "fr")
MAX_OBJECT = 512 * 1024

fork = multiprocessing.get_context("fork")


class World:
    def __init__(self):
        self.version = fork.RawArray(ctypes.c_uint64, [1] * KEYS)
        self.floor = fork.RawArray(ctypes.c_uint64, KEYS)       # version at the last completed hard purge
        self.failed_at = fork.RawArray(ctypes.c_double, KEYS)   # when the origin last failed for the key
        self.killed = fork.RawArray(ctypes.c_uint32, 65536)     # pids of killed workers
        self.gone_at = fork.RawArray(ctypes.c_double, 65536)    # when each was seen to be gone: dying takes its time
        self.kills = fork.RawValue(ctypes.c_uint32, 0)
        self.healthy = fork.Event()                             # set: the origin fails no more
        self.stop = fork.Event()                                # set: clients and purger end

    def note_kill(self, pid):
        """Before the kill; note_gone() follows."""
        n = self.kills.value
        self.killed[n], self.gone_at[n] = pid, float("inf")
        self.kills.value = n + 1

    def note_gone(self):
        self.gone_at[self.kills.value - 1] = time.monotonic()

    def killed_since(self, start, pid=None):
        """Whether a worker (that one, if it is known) was killed or still dying at `start` or later."""
        return any(self.gone_at[i] >= start and (pid is None or self.killed[i] == pid)
                   for i in range(max(0, self.kills.value - 200), self.kills.value))

    def origin_failed_since(self, key, start):
        return self.failed_at[key] >= start - 6


def path_of(key):
    return f"/t/{key % GROUPS}/{key}"


def tag_of(key):
    return f"tag{key % TAGS}"


def kind_of(key):
    """What the origin does for a key: a word for each of its habits."""
    return ("plain", "vary", "chunked", "short", "plain", "swr", "no-store", "close",
            "plain", "cookie", "swr", "vary", "plain", "short", "chunked", "revalidate")[key * 7 % 16]


def size_of(key):
    """Most are small, some are large, a few are larger than the cache takes."""
    n = int.from_bytes(hashlib.sha256(b"size%d" % key).digest()[:4], "big")
    if key % 40 == 17:
        return 700_000 + n % 500_000
    if key % 8 == 3:
        return 100_000 + n % 200_000
    return 200 + n % 16_000


def body_of(key, version, language=""):
    start = b"key=%d version=%d lang=%s\n" % (key, version, language.encode())
    seed = hashlib.sha256(start).digest()
    size = size_of(key)
    return (start + seed * (size // 32 + 1))[:size]


def etag_of(key, version, language=""):
    return f'"{key}-{version}-{language}"'


def parse_etag(text):
    """(key, version, language), or None for what is no etag of ours."""
    parts = (text or "").strip('"').split("-")
    if len(parts) != 3 or not parts[0].isdigit() or not parts[1].isdigit():
        return None
    return int(parts[0]), int(parts[1]), parts[2]


def language_for(key, header):
    return header if kind_of(key) == "vary" else ""
