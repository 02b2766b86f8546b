#!/usr/bin/python3
"""A large file in slices of 1 MB, 50 clients at random ranges: this cache beside nginx's own.

CPU is that of the worker (and of nginx's cache manager) per request; origin bytes are what the origin sent per request. Rounds of
the two alternate, with the same ranges; the ratio of a round carries over to another machine. nginx's cache lies on tmpfs: the
disk shall not decide. `held` asks within 96 MB that both hold, also over TLS: without it nginx sends files by sendfile, and needs no copy of
them. `all` asks within the whole file, its beginning more often, of which both may hold 256 MB; nginx looks at max_size every ten
seconds only, so what it really holds is told, and a zone of about as much is asked too. ROUNDS and DURATION (s) in the environment.
"""
import os
import pathlib
import re
import shutil
import statistics
import subprocess
import sys
import tempfile

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "tests/integration"))
sys.path.insert(0, str(TOP / "tests/bench"))

from harness.nginx import Nginx       # noqa: E402
from hit_bench import cpu_us, wrk     # noqa: E402

ROUNDS = int(os.environ.get("ROUNDS", "7"))
DURATION = int(os.environ.get("DURATION", "3"))
FILE, HELD, ROOM, MORE = 1 << 30, 96 << 20, "256m", "448m"
LEAST, MOST = 16 << 10, 1 << 20           # bytes of a range

SCRIPT = """math.randomseed({seed})
request = function()
   local length = math.random({least}, {most})
   local at = math.floor(({span} - length) * math.random() ^ {skew})
   return wrk.format("GET", "/{side}/film", {{["Range"] = string.format("bytes=%d-%d", at, at + length - 1)}})
end
"""


def bare(n, text):
    """Starts without the test suite's own response fields."""
    n.start(text=re.sub(r"add_header X-\w+ \$\w+ always;", "", text))


def start(memory):
    origin, n = Nginx(), Nginx()
    n.tls_port = n.another_port()
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost", "-keyout",
                    n.prefix / "key.pem", "-out", n.prefix / "cert.pem"], check=True, capture_output=True)
    (origin.prefix / "html/film").touch()
    os.truncate(origin.prefix / "html/film", FILE)
    bare(origin, origin.config(zone="", level="error", main="worker_cpu_affinity 10;", server="keepalive_requests 1000000000;", location=f"""
        location / {{ root {origin.prefix}/html; sendfile on; add_header Cache-Control "max-age=86400";
                      access_log {origin.prefix}/sent sent; }}""", http="log_format sent $bytes_sent;"))
    common = "slice 1m; proxy_set_header Range $slice_range; proxy_pass http://origin/;"
    bare(n, n.config(level="error", main="worker_cpu_affinity 01;", zone=f"slab_cache_zone zone=one:{ROOM}; slab_cache_zone zone=more:{MORE};", http=f"""
        upstream origin {{ server 127.0.0.1:{origin.port}; keepalive 64; }}
        proxy_cache_path {memory}/cache levels=1:2 keys_zone=two:8m max_size={ROOM} use_temp_path=off;""",
                     server=f"""sendfile on; keepalive_requests 1000000000; proxy_http_version 1.1; listen 127.0.0.1:{n.tls_port} ssl;
                                ssl_certificate {n.prefix}/cert.pem; ssl_certificate_key {n.prefix}/key.pem;""", location=f"""
        location /slab/ {{ slab_cache one; proxy_set_header Connection ""; {common} }}
        location /more/ {{ slab_cache more; proxy_set_header Connection ""; {common} }}
        location /nginx/ {{ proxy_cache two; proxy_cache_key $uri$slice_range; proxy_cache_valid 200 206 1d; proxy_cache_lock on;
                            proxy_set_header Connection ""; {common} }}"""))
    return origin, n


def used_us(n):
    """The worker, and who looks after nginx's files."""
    return sum(cpu_us(pid) for pid, title in n._children().items() if "worker process" in title or "cache manager" in title)


class Sent:
    """Bytes that the origin has sent since the last question."""

    def __init__(self, origin):
        self.path, self.at = origin.prefix / "sent", 0

    def more(self):
        with open(self.path) as f:
            f.seek(self.at)
            text = f.read()
        self.at += len(text)
        return sum(int(line) for line in text.split())


def one_round(n, sent, directory, side, seed, span, skew, tls):
    script = pathlib.Path(directory) / "ranges.lua"
    script.write_text(SCRIPT.format(seed=seed, least=LEAST, most=MOST, span=span, skew=skew, side=side))
    sent.more()
    before = used_us(n)
    requests = wrk(n, "/", duration=DURATION, connections=50, script=str(script), address=f"https://127.0.0.1:{n.tls_port}" if tls else None)
    files = sum(f.stat().st_blocks * 512 for f in pathlib.Path(directory, "cache").rglob("*") if f.is_file())
    return (used_us(n) - before) / requests, sent.more() / requests, files


def row(name, rounds, i, unit):
    nginx, slab = ([r[side][i] / unit for r in rounds] for side in (0, 1))
    ratios = sorted(s / p for p, s in zip(nginx, slab, strict=True) if p) or [float("nan")]
    print(f"{name:24}{statistics.median(nginx):12.1f}{statistics.median(slab):12.1f}{statistics.median(ratios):8.3f}   "
          + " ".join(f"{r:.3f}" for r in ratios))


def main():
    memory = tempfile.mkdtemp(prefix="slice_bench_", dir="/dev/shm")
    os.chmod(memory, 0o777)
    origin, n = start(memory)
    sent = Sent(origin)
    try:
        print(f"\nSlices of 1 MB of a file of 1 GB, 50 clients, ranges of 16 KB to 1 MB, per request\n{'':24}{'proxy_cache':>12}{'ours':>12}"
              f"{'ratio':>8}   ratios of the rounds")
        for name, side, span, skew, tls in (("held", "slab", HELD, 1, False), ("held, TLS", "slab", HELD, 1, True),
                                            (f"all, {ROOM}", "slab", FILE, 3, False), (f"all, {MORE}", "more", FILE, 3, False)):
            for each in ("nginx", side):
                one_round(n, sent, memory, each, 1, span, skew, tls)
            rounds = [[one_round(n, sent, memory, each, 100 + i, span, skew, tls) for each in ("nginx", side)] for i in range(ROUNDS)]
            row(f"{name}: CPU, us", rounds, 0, 1)
            if span == FILE:
                row(f"{name}: origin, KB", rounds, 1, 1024)
                held = statistics.median(r[0][2] for r in rounds) / (1 << 20)
                print(f"{name + ': held, MB':24}{held:12.0f}{name[5:-1]:>12}")
    finally:
        for x in (n, origin):
            x.stop()
            x.clean_up(keep=False)
        shutil.rmtree(memory, ignore_errors=True)


if __name__ == "__main__":
    main()
