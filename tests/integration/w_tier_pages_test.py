"""Pages that an application puts into the store with the Python client, and nginx serves: the right one, to whom it is for."""
import re
import sys
import threading

import pytest
from harness.memcached import Memcached
from harness.nginx import TOP
from harness.tier import HOST, Tiered
from harness.wait import wait_until

sys.path.insert(0, str(TOP / "clients/python"))
from slab_cache_fleet import Fleet                  # noqa: E402
from slab_cache_tier import Tier                    # noqa: E402

redis = pytest.importorskip("redis", reason="no redis-py here (tools/deps.sh test)")
pytest.importorskip("pymemcache", reason="no pymemcache here (tools/deps.sh test)")
from pymemcache.client.base import Client           # noqa: E402
from pymemcache.client.hash import HashClient       # noqa: E402

SITE = f"http://{HOST}"


@pytest.fixture(params=["redis", "memcached"])
def tiered(request):
    t = Tiered(request.param)
    yield t
    t.stop(keep=getattr(request.node, "failed_call", True))


def tier_of(tiered, **kw):
    return Tier(redis.Redis(port=tiered.redis.port) if tiered.kind == "redis" else Client(tiered.stores[0].address), **kw)


@pytest.mark.parametrize("path, put", [
    ("/report/7", f"{SITE}/report/7"), ("/?a=b&c=%20", f"HTTP://{HOST.upper()}:80/?a=b&c=%20#top"),
    ("/%C3%A4%20b", f"{SITE}/ä b"), ("/" + 300 * "long", f"{SITE}/" + 300 * "long")])
def test_page_is_found_by_its_url(tiered, path, put):
    a = tiered.node("a")
    assert tier_of(tiered).put(put, "a job's", max_age=300, content_type="text/x", headers={"ETag": '"1"'})
    answer = a.get(path)
    assert (answer.status, answer.text, answer.cache, answer.header("Content-Type"), answer.header("ETag")) == (200, "a job's", "HIT", "text/x", '"1"')
    assert tiered.origin.hits() == 0 and not [line for line in answer.lines if line.lower().startswith("slab-")]


def test_page_is_found_by_the_fields_of_the_key(tiered):
    a = tiered.node("a", rules="slab_cache_key report $arg_n;")
    assert tier_of(tiered).put(["report", "a|b%20#"], "a job's", max_age=300)
    assert a.get("/any?n=a|b%20#").text == "0" and a.get("/any?n=a%7Cb%20").text == "0"
    assert tier_of(tiered).put(["report", "a|b%20c"], "a job's", max_age=300)
    hits = tiered.origin.hits()
    assert a.get("/any?n=a|b%20c").text == a.get("/other?x&n=a|b%20c").text == "a job's" and tiered.origin.hits() == hits


def test_page_is_for_those_whom_it_was_made_for(tiered):
    a = tiered.node("a")
    tier = tier_of(tiered)
    for language in ("de", "en, fr;q=0.5", None):
        assert tier.put(f"{SITE}/", f"<p>{language}", max_age=300, vary={"Accept-Language": language})
    assert tier.put(f"{SITE}/", b"coded", max_age=300, headers={"Content-Encoding": "gzip"},
                    vary={"Accept-Language": "it", "Accept-Encoding": "gzip, br"})
    for _ in range(2):
        assert a.get("/", "Accept-Language: DE").text == "<p>de"
        assert a.get("/", "Accept-Language: en ,fr;q=0.5").text == "<p>en, fr;q=0.5"
        assert a.get("/").text == "<p>None"
        assert a.get("/", "Accept-Language: it", "Accept-Encoding: br;q=0.1, x-gzip").body == b"coded"
    assert tiered.origin.hits() == 0
    assert a.get("/", "Accept-Language: it", "Accept-Encoding: br").text == "0" and tiered.origin.hits() == 1


def test_page_of_one_of_several_memcached_is_asked_for_there():
    tiered = Tiered("memcached")
    try:
        tiered.stores += [Memcached(), Memcached()]
        tiered.servers += tiered.stores[1:]
        tier = Tier(HashClient([s.address for s in tiered.stores]))
        for i in range(60):
            assert tier.put(f"{SITE}/{i}", f"page {i}", max_age=300)
        counts = [int(Client(s.address).stats()[b"curr_items"]) for s in tiered.stores]
        assert sum(counts) == 60 and min(counts) > 5
        a = tiered.node("a")
        assert [a.get(f"/{i}").text for i in range(60)] == [f"page {i}" for i in range(60)] and tiered.origin.hits() == 0
    finally:
        tiered.stop()


def test_purge_after_the_position_wins_over_the_page_whenever_it_comes(tiered):
    a, b = tiered.node("a", fleet=True), tiered.node("b", fleet=True)
    purger = Fleet(redis.Redis(port=tiered.redis.port))
    tier = tier_of(tiered, fleet=purger)
    position = tier.position()
    assert tier.put(f"{SITE}/before", "new", max_age=300, tags=["report"], position=position)
    assert a.get("/before").text == "new"
    purged = purger.purge(tags=["report"]).decode()
    wait_until(lambda: a.position() == purged == b.position(), "all have read the purge")
    for path in ("/before", "/after"):
        assert tier.put(f"{SITE}{path}", "old", max_age=300, tags=["report"], position=position)
        assert a.get(path).text == b.get(path).text == "0"
    assert tier.publish(f"{SITE}/again", lambda: "newer", max_age=300, tags=["report"])
    assert a.get("/again").text == b.get("/again").text == "newer"


def test_access_rule_of_the_document_is_enough():
    """For pages, and to be told when another machine is done."""
    tiered = Tiered("redis")
    try:
        rule = re.search(r"An access rule for Redis: `([^`]+)`", (TOP / "docs/tier.md").read_text())[1].split()
        tiered.redis.call("ACL", "SETUSER", "nginx", "on", ">secret", *rule)
        password = tiered.redis.dir / "password"
        password.write_text("secret\n")
        a, b = (tiered.node(n, options=f"user=nginx password_file={password}") for n in "ab")
        may_go = threading.Event()
        tiered.origin.reply("/x", "x", headers=["Cache-Control: max-age=300"], before=may_go)
        with a.connect() as ca, b.connect() as cb:
            ca.send("/x", host=HOST)
            tiered.origin.wait_for_hits("/x", 1)
            cb.send("/x", host=HOST)
            wait_until(lambda: b.counters()["leases_lost"] == 1, "the other one waits")
            may_go.set()
            assert [c.read_body(c.read_header()).text for c in (ca, cb)] == ["x", "x"]
        assert tiered.origin.hits() == 1 and a.counters()["errors"] == b.counters()["errors"] == 0
        assert tiered.redis.call("ACL", "LOG") == []
    finally:
        tiered.stop()
