"""What applications hold in their hands: the example, and the Python client's Fleet over the client that they have."""
import importlib.util
import re
import subprocess
import sys

import pytest
from harness import example as examples
from harness.nginx import TOP
from harness.wait import wait_until

sys.path.insert(0, str(TOP / "clients/python"))
import slab_cache                                   # noqa: E402
from slab_cache_fleet import Fleet as Purger        # noqa: E402

redis = pytest.importorskip("redis", reason="no redis-py here (tools/deps.sh test)")


@pytest.fixture
def purger(fleet):
    return Purger(redis.Redis(port=fleet.redis.port))


def test_example(fleet, nginx, origin):
    """Beside another machine, whose zone has the same name."""
    origin.handle("*", fleet._answer)
    fleet.tags["/x"] = "post-17"
    text = examples.read("fleet.conf", nginx).replace("127.0.0.1:6379", f"127.0.0.1:{fleet.redis.port}").replace("pages", "one")
    nginx.start(text=text.replace("127.0.0.1:8000", origin.address).replace("listen 8080", f"listen 127.0.0.1:{nginx.port}"))
    other = fleet.node("web2")
    wait_until(lambda: other.sees("web1"), "they know each other")
    nginx.get("/x")
    wait_until(lambda: nginx.get("/x").header("X-Cache") == "HIT", "it is stored")
    fleet.change("/x")
    p = subprocess.run([sys.executable, TOP / "conf-examples/fleet.py", f"redis://127.0.0.1:{fleet.redis.port}", "post-17"],
                       capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    assert p.returncode == 0 and "purged everywhere, at " in p.stdout, p.stdout + p.stderr
    wait_until(lambda: nginx.get("/x").text == "1", "it is purged")
    assert nginx.get("/_cache/v1/fleet").status == 200


@pytest.mark.parametrize("call", [
    lambda f: f.purge("http://localhost/a/x"), lambda f: f.purge("http://localhost/a/y", "http://localhost/a/x"),
    lambda f: f.purge(tags=["t1", "t9"]), lambda f: f.purge(tags_all=["t1", "t2"], without=["t3"]),
    lambda f: f.purge(prefixes=["http://localhost/a/"]), lambda f: f.purge(hosts=["localhost"]),
    lambda f: f.purge(globs=["http://localhost/*/x"]), lambda f: f.purge(all=True), lambda f: f.purge(all=True, soft=True)])
def test_client_purges_what_it_names_and_leaves_the_rest(fleet, purger, call):
    fleet.tags.update({"/a/x": "t1 t2", "/b/z": "t3"})
    a = fleet.node("a")
    a.fill("/a/x")
    a.fill("/b/z")
    position = call(purger).decode()
    wait_until(lambda: a.state()["position"] == position, "it was read")
    assert a.get("/a/x").cache != "HIT"
    names_all = "all" in str(fleet.redis.entries()[-1]) or "host" in fleet.redis.entries()[-1][1]
    assert a.is_hit("/b/z") != names_all or "tags_all" in fleet.redis.entries()[-1][1]
    assert a.counters()["unreadable"] == 0 and a.counters()["unknown_fields"] == 0


def test_client_can_name_the_zone(fleet):
    a = fleet.node("a", more="slab_cache_zone zone=another:16m fleet=main;")
    a.fill("/x")
    position = Purger(redis.Redis(port=fleet.redis.port), zone="another").purge(all=True).decode()
    wait_until(lambda: a.state()["position"] == position, "it was read")
    assert a.is_hit("/x")
    Purger(redis.Redis(port=fleet.redis.port), zone="one").purge(all=True)
    wait_until(lambda: not a.is_hit("/x"), "it is for this one")


@pytest.mark.parametrize("arguments", [{}, {"tags": ["a b"]}, {"prefixes": ["http://h/a b/"]}, {"without": ["x"]}, {"tags": "t1"}])
def test_client_sends_nothing_that_would_be_understood_as_something_else(fleet, purger, arguments):
    with pytest.raises((ValueError, TypeError)):
        purger.purge(**arguments)
    assert fleet.redis.call("EXISTS", "slab") == 0


DJANGO = """
import sys
sys.path.insert(0, sys.argv[1])
import django, redis
from django.conf import settings
settings.configure(DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}})
django.setup()
from django.db import transaction
from slab_cache_fleet import Fleet
fleet = Fleet(redis.Redis(port=int(sys.argv[2])))
try:
    with transaction.atomic():
        fleet.purge_on_commit(tags=["rolled-back"])
        raise KeyError
except KeyError:
    pass
with transaction.atomic():
    fleet.purge_on_commit(tags=["committed"])
    assert not fleet.client.exists("slab")
"""


@pytest.mark.skipif(importlib.util.find_spec("django") is None, reason="no Django here (tools/deps.sh test)")
def test_client_purges_once_the_transaction_is_committed(fleet):
    p = subprocess.run([sys.executable, "-c", DJANGO, TOP / "clients/python", str(fleet.redis.port)], capture_output=True, text=True,
                       stdin=subprocess.DEVNULL, check=False)
    assert p.returncode == 0, p.stderr
    assert [fields["tag"] for _, fields in fleet.redis.entries()] == ["committed"]


# ---- pages made beforehand ------------------------------------------------------------------------------------------


def push(fleet, position, path="/p", body="pushed", **more):
    cache = slab_cache.Cache(*(f"http://127.0.0.1:{n.port}/_cache/" for n in fleet.nodes), zone="one")
    return Purger.push(cache, f"http://localhost{path}", body, position, ttl=600, **more)


def test_push_behind_its_position_is_stored_on_all(fleet, purger):
    a, b = fleet.pair()
    push(fleet, purger.position())
    push(fleet, purger.purge("http://localhost/q").decode(), "/q")       # they may not have read it yet
    for n in (a, b):
        assert n.get("/p").text == n.get("/q").text == "pushed"


@pytest.mark.parametrize("purged", [lambda a, f: f.purge(tags=["t1"]), lambda a, f: a.purge("/p"), lambda a, f: a.purge("/*"),
                                    lambda a, f: a.request("/p", "POST", body=b"x"), lambda a, f: f.purge(all=True, soft=True)])
def test_push_that_was_overtaken_by_a_purge_anywhere_is_refused_on_all(fleet, purger, purged):
    a, b = fleet.pair()
    position = purger.position()
    purged(a, purger)
    wait_until(lambda: a.state()["outbox"]["waiting"] == 0, "what a POST invalidates is published behind its answer")
    purger.purge(tags=["last"])
    last = purger.position()
    wait_until(lambda: a.state()["position"] == b.state()["position"] == last, "all is read")
    with pytest.raises(slab_cache.NodesFailed) as e:
        push(fleet, position, tags=["t1"])
    assert [type(x) for x in e.value.errors.values()] == 2 * [slab_cache.PurgedSince]
    push(fleet, last, tags=["t1"])


def test_push_at_a_position_that_nobody_remembers_is_refused(fleet, purger):
    a = fleet.node("a")
    with pytest.raises(slab_cache.PurgedSince):
        push(fleet, "1-1")
    fleet.redis.call("FLUSHALL")
    wait_until(a.gaps, "it is a gap")
    for wrong in ("now", "12", "12-x"):
        with pytest.raises(slab_cache.Refused) as e:
            push(fleet, wrong)
        assert e.value.status == 400
    assert a.request("/_cache/v1/zones/one/entry?ttl=60&url=http://localhost/p", "PUT", body=b"x",
                     headers=["Slab-Position: 99999999999999-0"]).status == 503


def test_what_the_readme_of_the_client_shows_runs(fleet):
    a = fleet.node("a")
    block = re.findall(r"```python\n(.*?)```", (TOP / "clients/python/README.md").read_text(), re.S)[2]
    lines = [line for line in block.splitlines() if "Django" not in line]
    names = {"cache": slab_cache.Cache(f"http://127.0.0.1:{a.port}/_cache/", zone="one")}
    text = "\n".join(lines).replace("redis.Redis()", f"redis.Redis(port={fleet.redis.port})").replace("https://example.org", "http://localhost")
    exec(text, names)                                       # noqa: S102 - our own file
    assert a.get("/report").text == "<p>made by a job"
