"""The Python client's Tier, with the clients that applications have, over a real Redis and a real memcached."""
import hashlib
import re
import sys

import pytest
from harness.memcached import Memcached
from harness.nginx import TOP
from harness.redis import Redis

sys.path.insert(0, str(TOP / "clients/python"))
from slab_cache_fleet import Fleet                                  # noqa: E402
from slab_cache_tier import MOST_SECONDS, Tier, message, store_key  # noqa: E402

redis = pytest.importorskip("redis", reason="no redis-py here (tools/deps.sh test)")
pymemcache = pytest.importorskip("pymemcache", reason="no pymemcache here (tools/deps.sh test)")
from pymemcache.client.base import Client, PooledClient             # noqa: E402
from pymemcache.client.hash import HashClient                       # noqa: E402

URL = "https://example.org/report/7"


@pytest.fixture(scope="module")
def servers():
    found = {"redis": Redis(), "memcached": Memcached(), "another": Memcached()}
    yield found
    for s in found.values():
        s.stop()


CLIENTS = {
    "redis": lambda s: redis.Redis(port=s["redis"].port),
    "decoding": lambda s: redis.Redis(port=s["redis"].port, decode_responses=True),
    "memcached": lambda s: Client(s["memcached"].address),
    "pooled": lambda s: PooledClient(s["memcached"].address),
    "several": lambda s: HashClient([s["memcached"].address, s["another"].address]),
}


@pytest.fixture(params=CLIENTS)
def client(request, servers):
    for name in ("memcached", "another"):
        servers[name].ask(b"flush_all\r\n")
    servers["redis"].call("FLUSHALL")
    return CLIENTS[request.param](servers)


def stored(client, key):
    value = client.get(key)
    return value.encode() if isinstance(value, str) else value


# ---- keys -----------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("key, expected", [
    (URL, f"slab:{URL}"), ("HTTPS://Example.ORG:443/a?b=C#top", "slab:https://example.org/a?b=C"),
    ("http://h:80", "slab:http://h/"), ("http://h:443/", "slab:http://h:443/"), ("http://[::1]:8080/", "slab:http://[::1]:8080/"),
    ("http://h/ä b?c=%20|\x7f", "slab:http://h/%C3%A4%20b?c=%20|%7F"),
    (["report", "7"], "slab:key:report|7"), (["a|b", "50%", "#x", "ä"], "slab:key:a%7Cb|50%25|%23x|%C3%A4"),
    ("https://example.org/" + 200 * "a", "slab:0adc49769b4316d421f2212b530c944478fdac3160c49e22c6c6428aa63fed2a")])
def test_key_is_the_one_that_nginx_looks_for(key, expected):
    """The same as in tests/unit/cache/tier_key_test.cpp."""
    assert store_key(key) == expected


def test_key_is_a_digest_from_the_byte_on_that_does_not_fit():
    fits = "https://example.org/" + 175 * "a"
    assert store_key(fits) == f"slab:{fits}" and len(store_key(fits + "a")) == 5 + 64
    assert store_key(fits, prefix="slab::") == "slab::" + hashlib.sha256(fits.encode()).hexdigest()


@pytest.mark.parametrize("key", ["", "/report", "example.org/report", "ftp://h/", "http:///x", "http://h?x", "http://a b/", "http://u@h/",
                                 "http://h:x/", "http://ä/", [], 7, [7]])
def test_key_of_what_is_no_url_is_refused(key):
    with pytest.raises((ValueError, TypeError)):
        store_key(key)


def test_variant_s_key_is_the_one_that_nginx_looks_for():
    vary = {"Accept-Language": "DE", "accept-encoding": "gzip"}
    assert store_key("https://example.org/", vary=vary) == "slab:vary:6430d1de9baafa33adb8c17f5be2a1fb94d5afda013b8783b1ebc3df749aec03"


def test_variant_s_key_names_fields_in_their_order():
    said = "\n".join([URL, "a,b,c,d,e,f", ""]).encode() + b"".join(bytes([2, 0, 0, 0]) + c for c in (b"1", b"2", b"3", b"4", b"5", b"6"))
    vary = {"F": "6", "B": "2", "D": "4", "A": "1", "E": "5", "C": "3"}
    assert store_key(URL, vary=vary) == f"slab:vary:{hashlib.sha256(said).hexdigest()}"


@pytest.mark.parametrize("one, other, same", [
    ({"A": "x"}, {"a": "x"}, True), ({"A": " x ,y"}, {"A": "x,y"}, True), ({"A": '"x , y"'}, {"A": '"x,y"'}, False),
    ({"A": r'"x\" , y"'}, {"A": r'"x\",y"'}, False),
    ({"A": None}, {"A": ""}, False), ({"A": "X"}, {"A": "x"}, False), ({"Accept-Language": "DE"}, {"Accept-Language": "de"}, True),
    ({"Accept-Encoding": "deflate, gzip;q=0.5"}, {"Accept-Encoding": "X-GZIP"}, True),
    ({"Accept-Encoding": "*"}, {"Accept-Encoding": "br,zstd,gzip"}, True),
    ({"Accept-Encoding": "gzip;q=0, *"}, {"Accept-Encoding": "br,zstd"}, True),
    ({"Accept-Encoding": "identity;q=0"}, {"Accept-Encoding": "*;q=0.0"}, True),
    ({"Accept-Encoding": ""}, {"Accept-Encoding": "deflate"}, True), ({"A": "x", "B": "y"}, {"B": "y", "A": "x"}, True),
    ({"A": "x", "B": "y"}, {"A": "y", "B": "x"}, False)])
def test_variants_are_one_where_nginx_takes_them_for_one(one, other, same):
    assert (store_key(URL, vary=one) == store_key(URL, vary=other)) == same


@pytest.mark.parametrize("vary", [{"Cookie": "a=b"}, {"a b": "c"}, {"A": "x", "a": "y"}, {"*": "x y", "": "z"}])
def test_variant_that_nginx_would_not_find_is_refused(vary):
    with pytest.raises(ValueError):
        store_key(URL, vary=vary)


# ---- values ---------------------------------------------------------------------------------------------------------

def test_value_is_an_http_message():
    value = message("<p>ä", max_age=60, tags=["a", "b"], headers={"ETag": '"1"'}, position="17-3", key=URL)
    head, _, body = value.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    assert lines[0] == "HTTP/1.1 200 OK" and re.fullmatch("Date: .* GMT", lines[1]) and body == "<p>ä".encode()
    assert lines[2:] == ["Content-Type: text/html; charset=utf-8", "Cache-Control: max-age=60", "Surrogate-Key: a b", 'ETag: "1"',
                         f"Slab-Key: {URL}", "Slab-Position: 17-3"]


@pytest.mark.parametrize("wrong", [
    {"status": 199}, {"status": 600}, {"position": "now"}, {"position": "1-2\r\nX: y"}, {"headers": {"X": "a\r\nY: b"}},
    {"headers": {"X Y": "a"}}, {"headers": {"": "a"}}, {"headers": {"X": "a\0"}}, {"content_type": "a\nb"}, {"tags": ["a b"]}, {"tags": "ab"},
    {"headers": {"Content-Length": "1"}}, {"headers": {"slab-position": "1-1"}}, {"headers": {"Vary": "Accept"}},
    {"headers": {"Transfer-Encoding": "chunked"}}])
def test_value_that_nginx_would_not_take_or_take_for_another_is_refused(wrong):
    with pytest.raises((ValueError, TypeError)):
        message("x", **wrong)


# ---- stores ---------------------------------------------------------------------------------------------------------

def test_page_is_put_and_deleted(client):
    tier = Tier(client)
    assert tier.put(URL, b"\r\nx\r\n", content_type="", max_age=60) is True
    assert stored(client, f"slab:{URL}").endswith(b"GMT\r\nCache-Control: max-age=60\r\nSlab-Key: " + URL.encode() + b"\r\n\r\n\r\nx\r\n")
    tier.delete(URL)
    assert client.get(f"slab:{URL}") is None


def test_page_lives_as_long_as_it_was_told(servers):
    client = redis.Redis(port=servers["redis"].port)
    for more, seconds in (({"max_age": 60}, 60), ({"ttl": 90, "headers": {"Cache-Control": "max-age=60"}}, 90), ({"ttl": 90, "max_age": 30}, 90)):
        assert Tier(client).put(URL, "x", **more)
        assert seconds - 5 <= client.ttl(f"slab:{URL}") <= seconds
    for more in ({}, {"max_age": 0}, {"ttl": -1}):
        with pytest.raises(ValueError):
            Tier(client).put(URL, "x", **more)


def test_long_lifetime_is_no_date_for_memcached(client):
    """A number above thirty days is one, and long past."""
    assert Tier(client).put(URL, "x", max_age=10 * MOST_SECONDS) and client.get(f"slab:{URL}") is not None


def test_page_that_is_too_large_is_said_not_to_be_stored(servers):
    for client in (Client(servers["memcached"].address), HashClient([servers["memcached"].address, servers["another"].address])):
        with pytest.raises(pymemcache.exceptions.MemcacheServerError):
            Tier(client).put(URL, b"x" * (2 << 20), max_age=60)


def test_variants_are_marked_at_the_url_newest_first(client):
    tier = Tier(client)
    for n in range(6):
        assert tier.put(URL, f"page {n}", max_age=60, vary={f"X-{n}": "1"})
    assert tier.put(URL, "page 3", max_age=60, vary={"x-3": "2"})
    assert stored(client, f"slab:{URL}") == (
        f"HTTP/1.1 200 OK\r\nSlab-Key: {URL}\r\nSlab-Vary: x-3\r\nSlab-Vary: x-5\r\nSlab-Vary: x-4\r\nSlab-Vary: x-2\r\n\r\n".encode())
    value = stored(client, store_key(URL, vary={"X-5": "1"}))
    assert b"\r\nVary: x-5\r\n" in value and value.endswith(b"\r\n\r\npage 5")


# ---- positions ------------------------------------------------------------------------------------------------------

def test_page_of_a_fleet_says_which_purges_its_maker_knew(servers):
    servers["redis"].call("FLUSHALL")
    client = redis.Redis(port=servers["redis"].port)
    for store in (client, Client(servers["memcached"].address)):
        fleet = Fleet(client, stream="slab")
        tier = Tier(store, fleet=fleet)
        before = tier.position()
        assert re.fullmatch("[0-9]+-[0-9]+", before)
        purged = []
        assert tier.publish(URL, lambda f=fleet, p=purged: p.append(f.purge(URL)) or "page", max_age=60)
        assert f"\r\nSlab-Position: {before}\r\n".encode() in stored(store, f"slab:{URL}") and tier.position() == purged[0].decode()


def test_page_of_a_fleet_without_a_position_is_refused(servers):
    client = redis.Redis(port=servers["redis"].port)
    with pytest.raises(ValueError, match="position"):
        Tier(client, fleet=Fleet(client)).put(URL, "x", max_age=60)
    with pytest.raises(ValueError, match="fleet"):
        Tier(client).position()


@pytest.mark.parametrize("prefix", ["a b", "a\n", "ä", 65 * "x"])
def test_prefix_is_one_that_nginx_takes(prefix):
    with pytest.raises(ValueError):
        Tier(None, prefix)


def test_what_the_readme_of_the_client_shows_runs(servers):
    servers["redis"].call("FLUSHALL")
    block = re.findall(r"```python\n(.*?)```", (TOP / "clients/python/README.md").read_text(), re.S)[3]
    exec(block.replace("redis.Redis()", f"redis.Redis(port={servers['redis'].port})"), {})       # noqa: S102 - our own file
    assert {k.decode() for k in redis.Redis(port=servers["redis"].port).scan_iter("slab:*")} == {
        "slab:https://example.org/report/7", "slab:https://example.org/", "slab:https://example.org/report/9",
        store_key("https://example.org/", vary={"Accept-Language": "de"})}
