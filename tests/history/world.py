"""What all processes of a history share: the keys, what their versions look like, the version that the origin has."""
import ctypes
import hashlib
import multiprocessing
import time

fork = multiprocessing.get_context("fork")
KEYS, DIRECTORIES, TAGS = 32, 4, 5
VARYING = frozenset(k for k in range(KEYS) if k % 4 == 1)
VARIANTS = ("a", "b", "")


class World:
    def __init__(self):
        self.version = fork.RawArray(ctypes.c_uint64, [1] * KEYS)
        self.lock = fork.Lock()
        self.stop = fork.Event()

    def change(self, keys):
        with self.lock:
            for k in keys:
                self.version[k] += 1
            return {k: self.version[k] for k in keys}


def now():
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def path_of(key):
    return f"/d{key % DIRECTORIES}/k{key}"


def key_of(path):
    return int(path.partition("?")[0].rpartition("/k")[2])


def tags_of(key):
    return f"t{key % TAGS} all"


def variant_of(key, asked):
    return asked if key in VARYING else ""


def body_of(key, version, variant, source):
    head = b"%d %d %s %s\n" % (key, version, variant.encode() or b"-", source.encode())
    size = (200, 3000, 900, 20000, 9000, 70000)[(key + version) % 6]
    return (head + hashlib.sha256(head).hexdigest().encode() * (size // 64 + 1))[:size]


def is_whole(body, key, version, variant, source):
    return body == body_of(key, version, variant, source)


def tag_of(version, variant, source):
    return f'"{version}-{variant}-{source}"'


def read_tag(tag):
    """(version, variant, source)"""
    version, variant, source = (tag or "0-?-nobody").removeprefix("W/").strip('"').split("-")
    return int(version), variant, source


def headers_of(key, version, variant, source, life):
    lines = [f"ETag: {tag_of(version, variant, source)}", f"Cache-Control: max-age={life}, stale-while-revalidate=2", f"Surrogate-Key: {tags_of(key)}",
             f"X-Made: {now():.3f}", f"X-Life: {life}"]
    return lines + (["Vary: X-Variant"] if key in VARYING else [])
