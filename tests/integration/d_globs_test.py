"""Purges by pattern: '*' anywhere in the path."""
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote

import pytest
from harness.origin import Reply

FRESH = ("Cache-Control: max-age=600",)
PATHS = ("/a", "/ab/x.html", "/ab/y.html", "/ab/y.txt", "/b/a.html", "/ab/y.html?v=1")


@pytest.fixture
def site(cached, origin):
    origin.handle("*", lambda r: Reply(r.target, headers=FRESH))
    return cached(workers=2)


def fill(n, *paths, host="localhost"):
    for p in paths:
        n.get(p, host=host)
        assert n.get(p, host=host).cache == "HIT"


def hits(n, *paths, host="localhost"):
    return [p for p in paths if n.get(p, host=host).cache == "HIT"]


def api(n, **what):
    return n.request("/_cache/v1/zones/one/purge", "POST", body=json.dumps(what).encode(), headers=("Content-Type: application/json",))


@pytest.mark.parametrize("glob, kept", [
    ("/a*", ["/b/a.html"]),
    ("/*.html", ["/a", "/ab/y.txt"]),
    ("/ab/*.html", ["/a", "/ab/y.txt", "/b/a.html"]),
    ("*/y.*", ["/a", "/ab/x.html", "/b/a.html"]),
    ("/ab/y.html?v=*", ["/a", "/ab/x.html", "/ab/y.html", "/ab/y.txt", "/b/a.html"]),
    ("/nothing*like*this", list(PATHS)),
])
def test_purges_exactly_what_matches(site, glob, kept):
    fill(site, *PATHS)
    if glob.startswith("/"):
        assert site.purge(glob).status == 200
    else:
        assert api(site, globs=["localhost/" + glob]).status == 200
    assert hits(site, *PATHS) == kept
    assert hits(site, *PATHS) == list(PATHS)      # filled again, and not purged again


def test_touches_no_other_host(site):
    fill(site, "/a")
    fill(site, "/a", host="other")
    site.purge("/a*")
    assert hits(site, "/a") == [] and hits(site, "/a", host="other") == ["/a"]


def test_by_the_api_as_a_url(site):
    fill(site, *PATHS)
    answer = api(site, urls=["http://localhost/ab/*.html"], tags=["none"])
    assert answer.status == 200 and json.loads(answer.body)["accepted"] == 2
    assert hits(site, *PATHS) == ["/a", "/ab/y.txt", "/b/a.html"]


def test_softly(cached, origin):
    origin.handle("*", lambda r: Reply(r.target, headers=FRESH))
    n = cached("slab_cache_revalidate off;")
    fill(n, "/a", "/b")
    n.purge("/a*", "Fastly-Soft-Purge: 1")
    got = n.get("/a")
    assert got.cache in ("STALE", "UPDATING", "EXPIRED") and got.body == b"/a"
    assert hits(n, "/b") == ["/b"]


def test_all_variants(cached, origin):
    origin.handle("/a", lambda r: Reply("body", headers=[*FRESH, "Vary: X-Kind"]))
    n = cached(workers=2)
    for kind in ("one", "two"):
        n.get("/a", f"X-Kind: {kind}")
    n.purge("/*a")
    for kind in ("one", "two"):
        assert n.get("/a", f"X-Kind: {kind}").cache == "MISS"
        assert n.get("/a", f"X-Kind: {kind}").cache == "HIT"      # its marker is there again too


def test_a_fetch_in_flight_is_purged_too(cached, origin):
    gate = threading.Event()
    origin.sequence("/a", Reply("old", headers=FRESH, before=gate), Reply("new", headers=FRESH))
    n = cached(workers=2)
    with ThreadPoolExecutor() as pool:
        early = pool.submit(n.get, "/a")
        origin.wait_for_hits("/a", 1)
        assert n.purge("/*a").status == 200
        gate.set()
        early.result()
    for _ in range(10):
        assert n.get("/a").body == b"new"


def test_a_push_fenced_before_it_is_refused(site):
    fence = json.loads(api(site, tags=["x"]).body)["seq"]
    site.purge("/p*")
    entry = "/_cache/v1/zones/one/entry?ttl=60&url=" + quote("http://localhost/page")
    assert site.request(entry, "PUT", body=b"old", headers=(f"If-Purge-Seq: {fence}",)).status == 412
    assert site.request(entry, "PUT", body=b"new").status == 201
    assert site.get("/page").body == b"new"


def test_many_patterns_purge_too_much_never_too_little(site):
    fill(site, "/keep", "/old1", host="other")
    fill(site, "/old1")
    site.purge("/old1*")
    for i in range(100):
        assert site.purge(f"/x{i}*y").status == 200
    assert hits(site, "/old1") == []
    assert hits(site, "/keep", host="other") == ["/keep"]


def test_holds_after_a_reload(site):
    fill(site, "/a", "/b")
    site.purge("/*a")
    site.reload()
    assert hits(site, "/a", "/b") == ["/b"]


@pytest.mark.parametrize("what", [{"globs": ["localhost/" + "x*" * 200]}, {"globs": [f"localhost/{i}*" for i in range(33)]}, {"globs": [1]}])
def test_what_a_rule_cannot_hold_is_an_error(site, what):
    answer = api(site, **what)
    assert answer.status == 400 and '"globs"' in json.loads(answer.body)["detail"]


def test_stars_that_never_match_do_not_slow_a_lookup_down_for_good(site):
    """A pattern with many stars over a long path: each object is matched once, then its birth is raised."""
    path = "/" + "a" * 3000
    fill(site, path)
    site.purge("/" + "a*" * 100 + "b")
    assert hits(site, path) == [path]
    said = json.loads(site.get("/_cache/v1/zones/one/entry?url=http://localhost" + path).body)
    assert said["entries"][0]["birth"] >= 1


def test_pattern_longer_than_a_rule_is_refused_and_purges_nothing(site):
    fill(site, "/a")
    assert site.purge("/a*" + "b" * 300).status == 400
    assert api(site, globs=["localhost/a*" + "b" * 300]).status == 400
    assert hits(site, "/a") == ["/a"]
