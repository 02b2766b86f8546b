"""Nodes in network namespaces of their own. Packets are lost, and nobody is told: what a proxy that closes or stalls cannot show."""
import itertools

import pytest
from harness import netns
from harness.fleet import Fleet
from harness.netns import FarNode, Space
from harness.origin import Origin
from harness.redis import Redis
from harness.wait import wait_until

BLIND = "blind=3s"
NOT_HEARD = "may not have been heard of"
PATHS = [f"/{i}" for i in range(20)]


@pytest.fixture(scope="module")
def spaces():
    if why := netns.why_not():
        pytest.skip(why)
    made = []
    try:
        made += [Space(i) for i in range(2)]
        yield made
    finally:
        for s in made:
            s.stop()


TIER = "slab_cache_tier store redis://{}:{} timeout=20ms fleet=main;"


@pytest.fixture
def pair(spaces, request, tmp_path):
    """Two nodes, each in its own space, that know each other."""
    for s in spaces:
        s.heal()
    fleet = Fleet(Origin(tmp_path / "origin"),
                  Redis("--bind", "127.0.0.1", *(s.here for s in spaces), "--protected-mode", "no"))
    try:
        for name, space in zip("ab", spaces):
            fleet.nodes.append(FarNode(fleet, space, name, options=BLIND, more=TIER.format(space.here, fleet.redis.port),
                                       server="slab_cache_tier off; add_header X-Tier $slab_cache_tier always;"))
            fleet.nodes[-1].expect_log("no connection", NOT_HEARD, "does not answer")
        a, b = fleet.nodes
        for n in (a, b):
            wait_until(lambda n=n: n.state()["connected"] and n.state()["position"] != "0-0", "connected, and past the first gap")
        fleet.know_each_other(a, b)
        yield fleet, a, b
    finally:
        for s in spaces:
            s.heal()
        fleet.stop(keep=getattr(request.node, "failed_call", True))


def purge(node, path):
    """By its API: who asks over a socket's path has no address that PURGE could be allowed for."""
    body = b'{"urls": ["http://localhost%s"]}' % path.encode()
    assert node.request("/_cache/v1/zones/one/purge", "POST", body=body).status in (200, 202)


def is_caught_up(fleet, node):
    """It has read all there is."""
    newest = fleet.redis.call("XREVRANGE", "slab", "+", "-", "COUNT", "1")[0][0].decode()
    return node.state()["connected"] and node.state()["position"] == newest


def is_new_everywhere(fleet, *nodes):
    for n in nodes:
        for p in PATHS:
            assert n.get(p).text == str(fleet.versions[p]), (n.name, p)


@pytest.mark.parametrize("way", ["both", "from there", "to there"])
def test_purges_elsewhere_while_packets_are_lost(pair, way):
    fleet, a, b = pair
    for p in PATHS:
        b.fill(p)
    before = b.state()["position"]
    b.space.cut(way)
    for p in PATHS:
        fleet.change(p)
        purge(a, p)
    for p in PATHS:                         # how late, bench/fleet_bench.py measures
        wait_until(lambda p=p: b.get(p).text == "1", "b asks the origin, in doubt or because it has heard")
    assert b.counters()["blind"] >= 1
    if way != "from there":                 # that way round the answer to what it had asked still comes
        assert b.state()["position"] == before
    for p in PATHS:
        fleet.change(p)
        purge(a, p)
    b.space.heal()
    wait_until(lambda: is_caught_up(fleet, b), "b has read what it missed")
    is_new_everywhere(fleet, a, b)
    assert b.gaps() == {}                   # it has been told everything, late


def test_purges_of_the_node_that_is_cut_off(pair):
    """Its own page is gone at once, the other's within the bound; what it could not say is said afterwards."""
    fleet, a, b = pair
    for p in PATHS:
        a.fill(p)
        b.fill(p)
    before = a.state()["position"]
    b.space.cut()
    for p in PATHS:
        fleet.change(p)
        purge(b, p)
        assert b.get(p).text == "1"
    for p in PATHS:
        wait_until(lambda p=p: a.get(p).text == "1", "a doubts: it hears nothing of b")
    assert a.counters()["blind"] >= 1 and a.state()["position"] == before
    for p in PATHS:
        fleet.change(p)
        purge(b, p)
    b.space.heal()
    for p in PATHS:
        wait_until(lambda p=p: a.get(p).text == "2", "b's purge comes to a")
    is_new_everywhere(fleet, b)
    assert a.gaps() == {} and b.gaps() == {}


def test_what_it_missed_is_gone_when_it_comes_back(pair):
    fleet, a, b = pair
    for n in (a, b):
        n.expect_log("has lost entries", "nothing was read", "trimmed", "an older copy", "empty")
    for p in PATHS:
        b.fill(p)
    b.space.cut()
    for p in PATHS:
        fleet.change(p)
        purge(a, p)
    wait_until(lambda: is_caught_up(fleet, a), "the stream has all of them")
    fleet.redis.call("XTRIM", "slab", "MAXLEN", "1")
    b.space.heal()
    wait_until(lambda: b.gaps(), "b sees that it missed something")
    is_new_everywhere(fleet, b)
    assert b.gaps() == {"trimmed": 1}


def test_store_whose_packets_are_lost_costs_no_request(pair):
    fleet, a, b = pair
    for n in (a, b):
        n.kw["server"] = n.kw["server"].replace("slab_cache_tier off;", "slab_cache_tier store;")
        n.reload(**n.kw)
        wait_until(lambda n=n: n.state()["connected"], "connected again")

    def is_found_by_b(path):
        a.get(path)
        return b.get(path).header("X-Tier") == "HIT"
    tries = itertools.count()
    wait_until(lambda: is_found_by_b(f"/before{next(tries)}"), "b takes what a has written")
    b.space.cut()
    told = set()
    for i in range(30):
        answer = b.get(f"/cut{i}")
        assert (answer.status, answer.text) == (200, "0")
        told.add(answer.header("X-Tier"))
    assert "CIRCUIT" in told and told <= {"TIMEOUT", "CIRCUIT", "UNREACHABLE"}, told
    b.space.heal()
    wait_until(lambda: is_found_by_b(f"/after{next(tries)}"), "b takes what a has written")
