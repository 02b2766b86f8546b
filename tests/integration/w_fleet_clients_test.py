"""What applications hold in their hands: the example, and the Python client's Fleet over the client that they have."""
import importlib.util
import subprocess
import sys

import pytest
from harness import example as examples
from harness.nginx import TOP
from harness.wait import wait_until

sys.path.insert(0, str(TOP / "clients/python"))
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
