"""Purges by several tags: what carries all of some, and none of others."""
import json
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from harness.origin import Reply
from harness.wait import wait_until

TAGS = {"/ab": "a b", "/abc": "a b c", "/a": "a", "/b": "b", "/none": ""}


@pytest.fixture
def site(cached, origin):
    origin.handle("*", lambda r: Reply(r.target, headers=["Cache-Control: max-age=600", f"Surrogate-Key: {TAGS.get(r.target, r.target[1:])}"]))
    return cached


def purge(n, **what):
    answer = n.request("/_cache/v1/zones/one/purge", "POST", body=json.dumps(what).encode(), headers=("Content-Type: application/json",))
    assert answer.status == 200, answer
    return json.loads(answer.body)


def fill(n, *paths):
    for p in paths or TAGS:
        n.get(p)
        assert n.get(p).cache == "HIT"


def gone(n, word="MISS"):
    return [p for p in TAGS if n.get(p).cache == word]


@pytest.mark.parametrize("what, purged", [
    (dict(tags_all=["a", "b"]), ["/ab", "/abc"]), (dict(tags_all=["a", "b"], **{"not": ["c"]}), ["/ab"]),
    (dict(tags_all=["a"], **{"not": ["b"]}), ["/a"]), (dict(tags_all=["b"]), ["/ab", "/abc", "/b"]),
    (dict(tags_all=["a", "b", "c", "d"]), []), (dict(tags_all=["a", "b"], tags=["b"], **{"not": ["c"]}), ["/ab", "/abc", "/b"]),
])
def test_purges_exactly_what_carries_them(site, what, purged):
    n = site(workers=2)
    fill(n)
    assert purge(n, **what)["accepted"] >= 1
    assert gone(n) == purged
    assert gone(n) == []        # filled again, and not purged again


def test_softly_it_makes_stale(site):
    n = site()
    fill(n)
    purge(n, tags_all=["a", "b"], mode="soft")
    assert gone(n, "STALE") == ["/ab", "/abc"]


def test_holds_against_a_fill_in_flight(site, origin):
    go = threading.Event()
    origin.sequence("/ab", Reply("old", headers=["Cache-Control: max-age=600", "Surrogate-Key: a b"], before=go),
                    Reply("new", headers=["Cache-Control: max-age=600", "Surrogate-Key: a b"]))
    n = site()
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(n.get, "/ab")
        origin.wait_for_hits("/ab", 1)
        purge(n, tags_all=["a", "b"])
        go.set()
        assert first.result().body == b"old"
    assert n.get("/ab").body == b"new"


def test_a_push_that_is_older_is_refused(site):
    n = site()
    before = json.loads(n.get("/_cache/v1/zones/one").body)["purge_seq"]
    purge(n, tags_all=["a", "b"])
    def push(tags):
        return n.request("/_cache/v1/zones/one/entry?url=/p&ttl=60", "PUT", body=b"x", headers=(f"If-Purge-Seq: {before}", f"Surrogate-Key: {tags}"))
    assert push("a b").status == 412
    assert push("a").status == 201


def test_the_oldest_of_many_goes_with_the_first_of_its_tags(site):
    n = site()
    fill(n)
    purge(n, tags_all=["a", "never"])
    assert gone(n) == []
    for i in range(64):
        purge(n, tags_all=[f"x{i}", "y"])
    assert gone(n) == ["/ab", "/abc", "/a"]     # too much, never too little


def test_holds_over_a_reload_that_changes_the_zone(site, origin):
    n = site()
    fill(n)
    purge(n, tags_all=["a", "b"])
    n.reload(location=f"""
        location / {{ slab_cache one; slab_cache_purge PURGE from 127.0.0.1; proxy_pass http://{origin.address}; }}
        location /_cache/ {{ slab_cache_api write=on; }}""", zone="slab_cache_zone zone=one:24m;")
    wait_until(lambda: len(n.workers()) == 1, "the new worker")
    assert gone(n) == ["/ab", "/abc"]


def test_stands_beside_patterns(site):
    n = site()
    fill(n)
    assert purge(n, tags_all=["a", "c"], globs=["/n*e"])["accepted"] == 2
    assert gone(n) == ["/abc", "/none"]
