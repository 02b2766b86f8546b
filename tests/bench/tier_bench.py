"""The store before the origin: its bounds, measured with a real Redis, a real memcached and up to four nginx. Run by fleet_bench.py."""
import contextlib
import threading
import time

from bounds import line, quantile, until
from harness.fleet import together
from harness.tier import HOST, Reply, Tiered, message
from tier_cost import value

KEYS = 1000
FRESH = ["Cache-Control: max-age=3600"]


@contextlib.contextmanager
def tiered(kind, names, **kw):
    t = Tiered(kind)
    try:
        t.origin.handle("*", lambda request: Reply("x" * 4096, headers=FRESH, before=0.005))
        nodes = [t.node(name, http="keepalive_requests 1000000000;", fleet=True, **kw) for name in names]
        for n in nodes:
            n.expect_log("no connection to", "does not answer in time")
        yield (t, *nodes)
    finally:
        t.stop()


def ask(node, paths, took=None):
    """All over one connection; the statuses that are not 200, and the milliseconds of each."""
    with node.connect() as c:
        bad = []
        for p in paths:
            start = time.monotonic()
            status = c.request(p, host=HOST).status
            if took is not None:
                took.append((time.monotonic() - start) * 1000)
            if status != 200:
                bad.append((p, status))
    assert not bad, bad


def ask_at_once(nodes, paths, threads=8):
    together(*(lambda n=n, i=i: ask(n, paths[i::threads]) for n in nodes for i in range(threads)))


def cold():
    for kind in ("redis", "memcached"):
        with tiered(kind, "abcd") as (t, *nodes):
            ask_at_once(nodes, [f"/{i}" for i in range(KEYS)])
            line(f"4 nodes, {KEYS} cold keys asked by all at once, {kind}", f"{t.origin.hits()} at the origin", "1010", t.origin.hits() <= 1010)


def wake():
    """From the answer of the node that asked the origin, which has written the value by then, to the one of the node that waited."""
    for kind in ("redis", "memcached"):
        took = []
        with tiered(kind, "ab") as (t, a, b):
            for i in range(200):
                go_on, ended = threading.Event(), {}
                t.origin.reply(f"/{i}", "x", headers=FRESH, before=go_on)

                def run(node, name, path=f"/{i}", ended=ended):
                    ask(node, [path])
                    ended[name] = time.monotonic()
                lost = b.counters()["leases_lost"]
                threads = [threading.Thread(target=run, args=(a, "a"))]
                threads[0].start()
                t.origin.wait_for_hits(f"/{i}", 1)
                threads.append(threading.Thread(target=run, args=(b, "b")))
                threads[1].start()
                until(lambda lost=lost: b.counters()["leases_lost"] > lost)
                go_on.set()
                for thread in threads:
                    thread.join()
                took.append((ended["b"] - ended["a"]) * 1000)
            assert t.origin.hits() == 200
        line(f"who waits has another machine's value after, 200 times, {kind}", f"p50 {quantile(took, .5):.1f} ms, p99 {quantile(took, .99):.1f} ms",
             "p99 5 ms" if kind == "redis" else "none", kind != "redis" or quantile(took, .99) <= 5)


def restart():
    with tiered("redis", "ab") as (t, a, b):
        paths = [f"/{i}" for i in range(KEYS)]
        ask_at_once([a], paths)
        until(lambda: a.counters()["writes"] >= KEYS)
        before = t.origin.hits()
        b.stop()
        b.start(**b.kw)
        until(lambda: b.position() != "0-0")
        ask_at_once([b], paths)
        line(f"a node restarted empty asks for {KEYS} pages", f"{t.origin.hits() - before} at the origin", "1 %", t.origin.hits() - before <= KEYS / 100)


def job():
    with tiered("redis", "a") as (t, a):
        until(lambda: a.position() != "0-0")
        with t.redis.client() as c:
            page = message("made by a job", f"Slab-Position: {a.position()}").encode()
            for i in range(KEYS):
                c.call("SET", f"slab:http://{HOST}/report/{i}", page, "EX", 300)
        ask_at_once([a], [f"/report/{i}" for i in range(KEYS)])
        hits = a.counters()["hits"]
        line(f"{KEYS} pages that a worker put into Redis", f"{hits} hits, {t.origin.hits()} at the origin", f"{KEYS} hits, 0",
             hits == KEYS and t.origin.hits() == 0)


def dead():
    with tiered("redis", "ab") as (t, a, b):
        ask_at_once([a, b], [f"/{i}" for i in range(100)])
        t.redis.kill()
        ask_at_once([a, b], [f"/dead/{i}" for i in range(KEYS)])        # raises at the first that is no 200
        line(f"store dead, {2 * KEYS} misses", "0 failed", "0 failed", True)


def stalled():
    """Misses of a machine whose store answers nothing, and of one without a store, in turns: whatever else the machine does hits both."""
    with contextlib.ExitStack() as stack:
        nodes, took = {}, {"without": [], "stalled": []}
        for name in took:
            t = Tiered("redis")
            stack.callback(t.stop)
            t.origin.handle("*", lambda request: Reply("x", headers=FRESH))
            nodes[name] = a = t.node("a", workers=1, http="keepalive_requests 1000000000;")
            a.expect_log("does not answer in time", "no connection to")
            a.kw["zone"] = a.kw["zone"].replace("timeout=2s", "timeout=20ms")
            if name == "without":
                a.kw["location"] = a.kw["location"].replace("slab_cache_tier store;", "")
            a.reload(**a.kw)
            ask(a, [f"/warm{i}" for i in range(50)])
        t.redis.pause()
        ask(a, [f"/open{i}" for i in range(5)])
        assert a.counters()["circuits"] == 1
        for block in range(100):
            for name, node in nodes.items():
                ask(node, [f"/{block}/{i}" for i in range(50)], took[name])
    p99 = {k: quantile(v, .99) for k, v in took.items()}
    line("p99 of a miss, without a store and with one that is stalled", f"{p99['without']:.2f}, {p99['stalled']:.2f} ms", "+ 1 ms",
         p99["stalled"] <= p99["without"] + 1)


ALL = (cold, wake, value, restart, job, dead, stalled)
