"""slab_cache_fleet and fleet=: what is wrong is told with file and line, and what would be right."""
import pytest
from harness.nginx import IS_ANGIE

FLEET = "slab_cache_fleet main redis://127.0.0.1 stream=slab"
ZONE = "slab_cache_zone zone=one:16m fleet=main;"
HAS_RESOLVER = pytest.mark.skipif(IS_ANGIE, reason="Angie has a resolver without being told: a name is looked up when it is needed")


@pytest.mark.parametrize("fleet, zone, said", [
    ("slab_cache_fleet main redis://127.0.0.1;", ZONE, 'must have "stream" parameter'),
    ("slab_cache_fleet main;", ZONE, "invalid number of arguments"),
    ("slab_cache_fleet main 127.0.0.1 stream=s;", ZONE, 'invalid server "127.0.0.1", it must be "redis://host[:port]'),
    ("slab_cache_fleet main redis://a:b@127.0.0.1 stream=s;", ZONE, "they are named by user= and password_file="),
    ("slab_cache_fleet main redis:// stream=s;", ZONE, 'invalid address in "redis://"'),
    ("slab_cache_fleet main redis://127.0.0.1,,127.0.0.2 stream=s;", ZONE, "invalid address in"),
    ("slab_cache_fleet main redis://127.0.0.1:99999 stream=s;", ZONE, "invalid port"),
    ("slab_cache_fleet main redis://127.0.0.1/x stream=s;", ZONE, "invalid database"),
    pytest.param("slab_cache_fleet main redis://no.such.host.invalid stream=s;", ZONE, "host not found", marks=HAS_RESOLVER),
    (FLEET + " node=a/b;", ZONE, 'invalid node "a/b"'),
    (FLEET + " blind=1s;", ZONE, 'invalid blind value "1s", it must be "off" or a time of at least 2s'),
    (FLEET + " maxlen=10;", ZONE, 'invalid maxlen value "10", it must be a number of entries, 1000 at least'),
    (FLEET + " on_gap=maybe;", ZONE, 'invalid on_gap value "maybe", it must be "soft" or "hard"'),
    (FLEET + " tls=yes;", ZONE, 'invalid tls value "yes", it must be "on" or "off"'),
    (FLEET + " tls_name=x;", ZONE, 'has tls_ parameters without "tls=on"'),
    (FLEET + " tls=on tls_ca=/no/such/file;", ZONE, "/no/such/file"),
    (FLEET + " user=me;", ZONE, 'has "user=" without "password_file="'),
    (FLEET + " password_file=/no/such/file;", ZONE, 'no password can be read from "/no/such/file"'),
    (FLEET + ";\n" + FLEET + ";", ZONE, 'slab_cache_fleet "main" is already defined'),
    (FLEET + ";", "slab_cache_zone zone=one:16m fleet=other;", 'names fleet=other, and there is no slab_cache_fleet other'),
    (FLEET + ";", "slab_cache_zone zone=one:16m fleet=;", 'invalid fleet value "", it must be the name of a "slab_cache_fleet"'),
])
def test_wrong_directives_are_told(nginx, fleet, zone, said):
    code, text = nginx.test_config(location="location / { slab_cache one; }", zone=f"{fleet}\n{zone}")
    assert code != 0 and said in text, text
    assert "nginx.conf" in text


@pytest.mark.parametrize("fleet", [
    FLEET + ";", FLEET + " maxlen=200k;", FLEET + " maxlen=1m blind=off;", "slab_cache_fleet main redis://127.0.0.1:6379,[::1]:6380/2 stream=slab;",
    "slab_cache_fleet main rediss://localhost 'stream={slab}' on_gap=hard tls_verify=off;",
    "slab_cache_fleet main redis://unix:/run/redis/redis.sock stream=slab node=web1.example.org;",
    "resolver 127.0.0.1; slab_cache_fleet main redis://no.such.host.invalid stream=slab;"])
def test_right_directives_are_taken(nginx, fleet):
    code, text = nginx.test_config(location="location / { slab_cache one; }", zone=f"{fleet}\n{ZONE}")
    assert code == 0, text


def test_zone_may_stand_before_its_fleet(nginx):
    code, text = nginx.test_config(location="location / { slab_cache one; }", zone=f"{ZONE}\n{FLEET};")
    assert code == 0, text


def test_fleet_without_a_zone_is_warned_of(nginx):
    code, text = nginx.test_config(zone=f"slab_cache_zone zone=one:16m;\n{FLEET};")
    assert code == 0 and 'slab_cache_fleet "main" in' in text and "has no slab_cache_zone with fleet=main" in text
