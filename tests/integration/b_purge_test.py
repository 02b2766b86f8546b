"""Purging: exact, by prefix, softly, over the API, and against fetches in flight."""
import json
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from harness.origin import Reply

FRESH = ("Cache-Control: max-age=600",)


def fill(n, origin, *paths):
    origin.handle("*", lambda r: Reply(r.target, headers=FRESH))
    for p in paths:
        n.get(p)
        assert n.get(p).cache == "HIT"


def api_purge(n, zone="one", **what):
    answer = n.request(f"/_cache/v1/zones/{zone}/purge", "POST", body=json.dumps(what).encode(),
                       headers=("Content-Type: application/json",))
    return answer


def test_purge_drops_the_url_and_nothing_else(cached, origin):
    n = cached()
    fill(n, origin, "/a", "/a/b", "/b", "/a?x=1")
    assert n.purge("/a").status == 200
    assert [n.get(p).cache for p in ("/a", "/a/b", "/b", "/a?x=1")] == ["MISS", "HIT", "HIT", "HIT"]


def test_purge_of_what_is_not_there_is_200(cached):
    assert cached().purge("/never").status == 200


def test_the_answer_to_a_purge_is_no_miss(cached, origin):
    n = cached()
    fill(n, origin, "/a")
    answer = n.purge("/a")
    assert (answer.cache, answer.reason) == (None, "OK")


def test_purge_drops_all_variants(cached, origin):
    origin.handle("/a", lambda r: Reply("body", headers=[*FRESH, "Vary: X-Kind"]))
    n = cached()
    for kind in ("one", "two"):
        n.get("/a", f"X-Kind: {kind}")
        assert n.get("/a", f"X-Kind: {kind}").cache == "HIT"
    n.purge("/a")
    assert [n.get("/a", f"X-Kind: {k}").cache for k in ("one", "two")] == ["MISS", "MISS"]


def test_purge_works_whatever_the_key_says(cached, origin):
    n = cached("slab_cache_key $http_x_device $uri;")
    fill(n, origin, "/a")
    n.get("/a", "X-Device: mobile")
    n.purge("/a")
    assert n.get("/a").cache == "MISS"
    assert n.get("/a", "X-Device: mobile").cache == "MISS"


def test_purge_with_a_trailing_star_drops_a_prefix(cached, origin):
    n = cached()
    fill(n, origin, "/news/1", "/news/old/2", "/newsletter", "/other")
    assert n.purge("/news/*").status == 200
    assert [n.get(p).cache for p in ("/news/1", "/news/old/2", "/newsletter", "/other")] == ["MISS", "MISS", "HIT", "HIT"]


def test_soft_purge_makes_stale_not_gone(cached, origin):
    n = cached("slab_cache_revalidate off;")
    fill(n, origin, "/a")
    n.purge("/a", "Fastly-Soft-Purge: 1")
    answer = n.get("/a")
    assert answer.cache in ("STALE", "UPDATING", "EXPIRED") and answer.body == b"/a"


def test_purge_from_elsewhere_is_forbidden(nginx, origin):
    nginx.start(location=f"""location / {{ slab_cache one; slab_cache_purge PURGE from 10.0.0.0/8;
                                          proxy_pass http://{origin.address}; }}""")
    fill(nginx, origin, "/a")
    assert nginx.purge("/a").status == 403
    assert nginx.get("/a").cache == "HIT"
    assert [r for r in origin.requests() if r.method == "PURGE"] == []


def test_purge_reaches_every_worker_at_once(cached, origin):
    n = cached(workers=4)
    fill(n, origin, "/a")
    for i in range(50):
        n.purge("/a")
        assert n.get("/a").cache == "MISS", i


def test_fetch_in_flight_when_the_purge_came_is_not_stored(cached, origin):
    gate = threading.Event()
    origin.sequence("/a", Reply("old", headers=FRESH, before=gate), Reply("new", headers=FRESH))
    n = cached(workers=2)
    with ThreadPoolExecutor() as pool:
        early = pool.submit(n.get, "/a")
        origin.wait_for_hits("/a", 1)
        assert n.purge("/a").status == 200
        gate.set()
        assert early.result().body == b"old"
    for _ in range(20):
        assert n.get("/a").body == b"new"


def test_purge_wins_over_a_body_in_flight(cached, origin):
    gate = threading.Event()
    origin.sequence("/a", Reply([b"o" * 50_000, gate, b"d" * 50_000], headers=FRESH), Reply("new", headers=FRESH))
    n = cached(workers=2)
    with n.connect() as c:
        c.send("/a")
        header = c.read_header()
        c.read(50_000)
        n.purge("/a")
        gate.set()
        c.read(50_000)
    assert header.status == 200
    for _ in range(20):
        assert n.get("/a").body == b"new"


def test_request_that_comes_after_the_purge_does_not_wait_for_the_old_fetch(cached, origin):
    gate = threading.Event()
    origin.sequence("/a", Reply("old", headers=FRESH, before=gate), Reply("new", headers=FRESH))
    n = cached("slab_cache_lock_timeout 100ms;", workers=2)
    with ThreadPoolExecutor() as pool:
        early = pool.submit(n.get, "/a")
        origin.wait_for_hits("/a", 1)
        n.purge("/a")
        assert n.get("/a").body == b"new"
        gate.set()
        early.result()
    assert n.get("/a").body == b"new"


def test_purge_of_a_tag_drops_exactly_what_carries_it(cached, origin):
    def tags(i):        # ten each: tag k is on every (k + 2)nd
        return " ".join(f"t{k}-{i % (k + 2)}" for k in range(10))
    origin.handle("*", lambda r: Reply(r.target, headers=[*FRESH, f"Surrogate-Key: {tags(int(r.target[1:]))}"]))
    n = cached(workers=2)
    with n.connect() as c:
        for i in range(300):
            c.request(f"/{i}")
        for purged, left in ((("t8-3", "t3-1"), range(300)), (("t0-1",), range(300))):
            assert json.loads(api_purge(n, tags=list(purged)).body)["accepted"] == len(purged)
            states = {i: c.request(f"/{i}").cache for i in left}
            assert {i for i, s in states.items() if s != "HIT"} == {i for i in left if set(purged) & set(tags(i).split())}


# ---- the API ------------------------------------------------------------------------------------------------------
def test_api_lists_zones_as_json(cached, origin):
    n = cached()
    fill(n, origin, "/a")
    answer = n.get("/_cache/v1/zones")
    assert answer.status == 200
    assert answer.header("Content-Type").startswith("application/json")
    assert answer.header("Cache-Control") == "no-store"
    assert '"one"' in json.dumps(json.loads(answer.body))
    one = n.get("/_cache/v1/zones/one")
    assert one.status == 200 and isinstance(json.loads(one.body), dict)


@pytest.mark.parametrize("what, gone, kept", [
    ({"urls": ["http://localhost/x/a"]}, ["/x/a"], ["/x/b", "/y"]),
    ({"files": ["http://localhost/x/a", "http://localhost/y"]}, ["/x/a", "/y"], ["/x/b"]),
    ({"prefixes": ["localhost/x/"]}, ["/x/a", "/x/b"], ["/y"]),
    ({"hosts": ["localhost"]}, ["/x/a", "/x/b", "/y"], []),
    ({"hosts": ["elsewhere"]}, [], ["/x/a", "/x/b", "/y"]),
    ({"all": True}, ["/x/a", "/x/b", "/y"], []),
    ({"purge_everything": True}, ["/x/a", "/x/b", "/y"], []),
])
def test_api_purges(cached, origin, what, gone, kept):
    n = cached()
    fill(n, origin, "/x/a", "/x/b", "/y")
    answer = api_purge(n, **what)
    assert answer.status == 200, answer
    said = json.loads(answer.body)
    assert said["seq"] >= 1 and said["accepted"] >= 1
    assert [n.get(p).cache for p in gone] == ["MISS"] * len(gone)
    assert [n.get(p).cache for p in kept] == ["HIT"] * len(kept)


def test_api_purge_counter_grows(cached):
    n = cached()
    first, second = (json.loads(api_purge(n, all=True).body)["seq"] for _ in range(2))
    assert second > first


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"colour":"red"}', b'{"urls":"x"}', b'{"urls":[1]}', b'{"mode":"hard"}'])
def test_api_refuses_nonsense_with_a_problem_document(cached, body):
    answer = cached().request("/_cache/v1/zones/one/purge", "POST", body=body)
    assert 400 <= answer.status < 500
    assert answer.header("Content-Type").startswith("application/problem+json")


def test_api_unknown_zone_is_404(cached):
    n = cached()
    assert n.get("/_cache/v1/zones/nosuch").status == 404
    assert api_purge(n, zone="nosuch", all=True).status == 404


def test_api_without_write_does_not_purge(nginx, origin):
    nginx.start(location=f"""location / {{ slab_cache one; proxy_pass http://{origin.address}; }}
                             location /_cache/ {{ slab_cache_api; allow 127.0.0.1; deny all; }}""")
    fill(nginx, origin, "/a")
    assert api_purge(nginx, all=True).status == 403
    assert nginx.get("/a").cache == "HIT"


def test_api_get_changes_nothing(cached, origin):
    n = cached()
    fill(n, origin, "/a")
    n.get("/_cache/v1/zones/one/purge?all=true")
    assert n.get("/a").cache == "HIT"


@pytest.mark.parametrize("count, status", [(1024, 200), (1025, 413)])
def test_purge_takes_1024_tags(cached, count, status):
    assert cached().purge("/a", "Surrogate-Key: " + " ".join(f"t{i}" for i in range(count))).status == status


@pytest.mark.parametrize("alias", ["/x/../a", "/x/%2e%2e/a", "//a", "/./a"])
def test_purge_of_a_url_reaches_its_other_spellings(cached, origin, alias):
    origin.handle("*", lambda r: Reply("page", headers=FRESH))
    n = cached()
    assert [n.get(alias).cache for _ in range(2)] == ["MISS", "HIT"]
    n.purge("/a")
    assert n.get(alias).cache == "MISS"
