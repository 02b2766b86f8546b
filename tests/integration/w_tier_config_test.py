"""slab_cache_tier in configurations: where it is defined, used, and what is refused."""
import pytest
from harness.nginx import IS_ANGIE

STORE = "slab_cache_tier store redis://127.0.0.1:1;"
ZONE = "slab_cache_zone zone=one:16m;"
HAS_RESOLVER = pytest.mark.skipif(IS_ANGIE, reason="Angie has a resolver without being told: a name is looked up when it is needed")


def said(nginx, zone=f"{STORE} {ZONE}", location="slab_cache one; slab_cache_tier store;", server=""):
    return nginx.test_config(zone=zone, server=server, location=f"location / {{ {location} }}")


@pytest.mark.parametrize("config", [
    dict(), dict(zone=f"{ZONE} slab_cache_tier store; {STORE}"), dict(server="slab_cache_tier store;", location="slab_cache_tier off;"),
    dict(zone=f"{ZONE} slab_cache_tier store memcached://127.0.0.1:1,127.0.0.1:2,[::1] prefix=p timeout=5ms max_object=1m lease=2s write=off;"),
    dict(zone=f"{ZONE} slab_cache_tier store rediss://127.0.0.1:1/3 tls_verify=off;"),
    dict(zone=f"{ZONE} {STORE} slab_cache_tier other memcached://127.0.0.1;")])
def test_right_configurations(nginx, config):
    code, text = said(nginx, **config)
    assert code == 0 and "[emerg]" not in text and "[warn]" not in text, text


@pytest.mark.parametrize("config, wanted", [
    (dict(zone=ZONE), 'slab_cache_tier "store" is used in {prefix}/nginx.conf:{line}, and its servers are named nowhere: '
                      'write "slab_cache_tier store redis://…;" in http {{}}'),
    (dict(zone=f"{ZONE} {STORE} {STORE}"), 'slab_cache_tier "store" is already defined'),
    (dict(zone=f"{ZONE} slab_cache_tier store redis://127.0.0.1 fleet=main;"), 'slab_cache_tier "store" names fleet=main, and there is no slab_cache_fleet main'),
    (dict(location=STORE), '"slab_cache_tier store" names servers, which it may in http {{}} alone'),
    pytest.param(dict(zone=f"{ZONE} slab_cache_tier store memcached://nosuch.invalid;"),
                 'host not found in address "nosuch.invalid" of slab_cache_tier "store"', marks=HAS_RESOLVER),
    (dict(zone=f"{ZONE} slab_cache_tier store redis://127.0.0.1 password_file=/nonexistent;"), 'no password can be read from "/nonexistent"')])
def test_wrong_configurations(nginx, config, wanted):
    code, text = said(nginx, **config)
    line = max([i for i, t in enumerate(nginx.text.splitlines(), 1) if "slab_cache_tier store;" in t], default=0)
    assert code != 0 and wanted.format(prefix=nginx.prefix, line=line) in text, text


@pytest.mark.parametrize("tier, zone, warned", [("", "fleet=main", True), ("fleet=main", "fleet=main", False), ("fleet=main", "", True), ("", "", False)])
def test_zone_and_tier_of_different_fleets_are_warned_of(nginx, tier, zone, warned):
    """Values carry positions of the tier's fleet, and the zone reads those of its own."""
    code, text = said(nginx, zone=f"slab_cache_fleet main redis://127.0.0.1:1 stream=slab node=a; slab_cache_zone zone=one:16m {zone};"
                                  f"slab_cache_tier store redis://127.0.0.1:1 {tier};")
    assert code == 0 and ("[warn]" in text and "slab_cache_tier" in text) == warned, text
