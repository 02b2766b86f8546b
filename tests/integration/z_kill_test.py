"""kill -9 of the master and all workers at full load: the zone in its file is as good as before."""
import os
import pathlib
import random
import subprocess
import tempfile
import threading

import pytest
from harness.origin import Reply
from harness.wait import wait_until

SHM = pathlib.Path("/dev/shm")
TOP = pathlib.Path(__file__).resolve().parents[2]
AUDIT = pathlib.Path(os.environ.get("SLAB_AUDIT", TOP / "build/tests/plain/torture/audit"))
KEYS, CLIENTS, REQUESTS = 400, 4, 700

pytestmark = pytest.mark.skipif(not SHM.is_dir(), reason="there is no /dev/shm")


@pytest.fixture
def slab():
    with tempfile.TemporaryDirectory(prefix="slab_test_", dir=SHM) as d:
        yield pathlib.Path(d) / "pages.slab"


def body_of(path):
    n = int(path.rpartition("/")[2])
    return f"{path} ".encode() * (100 + n * 7919 % 1500)


def paths_of(client, round_name):
    """Two thirds for keys that are asked for again and again, one for such as never come again. The zone has room for all: what is
    missing afterwards was lost."""
    r = random.Random(client)
    return [f"/k/{r.randrange(KEYS)}" if r.random() < 0.66 else f"/once/{client}/{round_name}/{i}" for i in range(REQUESTS)]


def ask(n, client, round_name, hits, wrong, asked):
    with n.connect() as c:
        for path in paths_of(client, round_name):
            try:
                answer = c.request(path)
            except (OSError, EOFError, ValueError, IndexError):
                return
            asked.append(path)
            hits.append(answer.cache == "HIT")
            if answer.status != 200 or answer.body != body_of(path):
                wrong.append(path)


def one_round(n, wrong, name, until=None):
    """All clients at once; the hit ratio. With `until`, which is called when they are under way, it may be cut short."""
    hits, asked = [], []
    threads = [threading.Thread(target=ask, args=(n, i, name, hits, wrong, asked)) for i in range(CLIENTS)]
    for t in threads:
        t.start()
    if until:
        wait_until(lambda: len(asked) > CLIENTS * REQUESTS // 3, "full load")
        until()
    for t in threads:
        t.join(60)
    return sum(hits) / max(1, len(hits))


def audit(slab, *args):
    if not AUDIT.exists():
        pytest.skip(f"{AUDIT} is not built: make test-programs")
    p = subprocess.run([AUDIT, slab, *args], capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    assert p.returncode == 0, p.stdout


def test_hit_ratio_after_kill_9_of_everything_at_full_load_is_what_it_was(cached, origin, slab):
    origin.handle("*", lambda r: Reply(body_of(r.target), headers=("Cache-Control: max-age=600",)))
    n = cached(zone=f"slab_cache_zone zone=one:32m file={slab};", workers=2, server="keepalive_requests 100000;")
    wrong = []
    for name in "ab":
        one_round(n, wrong, name)
    before = one_round(n, wrong, "before")
    one_round(n, wrong, "cut", until=lambda: n.kill_all())
    audit(slab, "recover")
    n.start(text=n.text)
    assert n.get("/k/0").cache == "HIT"
    after = one_round(n, wrong, "after")
    print(f"hit ratio {before:.4f} before, {after:.4f} after")
    assert wrong == []
    assert before > 0.6 and abs(after - before) <= 0.01
    n.stop()
    audit(slab)
