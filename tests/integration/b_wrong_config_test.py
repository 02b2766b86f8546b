"""Mistakes people make with a new cache module: each is told with file, line and what would be right."""
import re

import pytest
from harness.nginx import TOP
from harness.origin import Reply

NO_FILES = "there are no files: what is stored lies in the zone's memory"
NO_BOUND = 'there are no files: the size in "zone=name:size" bounds all that is stored'
SIZE = 'it must be a whole number with "k", "m" or "g", such as "256m" or "1536m"'
TIME = 'it must be a time such as "30s", "10m" or "1d"'
PEERS = ('"user=name", "password_file=file", "tls=on", "tls_name=name", "tls_ca=file", "tls_cert=file", "tls_key=file" or "tls_verify=off"')
OF_FLEET = f'it must be "stream=key", "node=name", "maxlen=number", "blind=time", "on_gap=soft", "on_gap=hard", {PEERS}'
OF_TIER = f'it must be "prefix=text", "timeout=time", "max_object=size", "lease=time", "write=on", "write=off", "fleet=name", {PEERS}'
SWITCH = 'it must be "on" or "off"'
POLICIES = re.findall(r'\{Eviction::k\w+, "(\w+)",', (TOP / "src/shm/evict_policy.cpp").read_text())
EVICTION = "it must be " + ", ".join(f'"{word}"' for word in POLICIES[:-1]) + f' or "{POLICIES[-1]}"'


def zone(parameters, said):
    return "zone", f"slab_cache_zone {parameters};", said


def brought_along(word, instead):
    return zone(f"zone=one:16m {word}", f'invalid parameter "{word}", {instead}')


def fleet(parameters, said):
    return "zone", f"slab_cache_fleet {parameters};", said


def tier(parameters, said):
    return "zone", f"slab_cache_tier {parameters};", said


def location(directive, said):
    return "location", f"{directive};", said


ROWS = [
    # proxy_cache_path's words
    *[brought_along(w, NO_FILES) for w in ("levels=1:2", "use_temp_path=off", "loader_files=100", "loader_threshold=200ms",
                                           "manager_files=100", "manager_sleep=50ms")],
    *[brought_along(w, NO_BOUND) for w in ("max_size=10g", "min_free=1g")],
    brought_along("purger=on", "there are no files: what is purged is out of use at once, and its memory is taken back by itself"),
    brought_along("keys_zone=one:10m", 'write "zone=name:size": there are no files, the zone holds the responses, not only their keys'),
    brought_along("/var/cache/nginx", 'there are no files: write "zone=name:size", and "file=path" for a zone that outlives nginx'),
    brought_along("path=/var/cache/nginx", 'there are no files, unless "file=path" keeps the zone on tmpfs'),
    zone("/var/cache/nginx levels=1:2 keys_zone=one:10m",
         'invalid parameter "/var/cache/nginx", there are no files: write "zone=name:size", and "file=path" for a zone that outlives nginx'),
    zone("name=one size=16m", 'invalid parameter "name=one", write "zone=name:size"'),
    zone("zone=one:16m size=16m", 'invalid parameter "size=16m", write "zone=name:size"'),
    zone("zone=one:16m zone=two:16m", 'invalid parameter "zone=two:16m", a second zone needs a "slab_cache_zone" of its own'),
    zone("one:16m", 'invalid parameter "one:16m", write "zone=one:16m"'),
    # more than the zone can hold: never silently less
    zone("zone=one:16m objects=65537", 'invalid objects value "65537" in slab_cache zone "one" of 16m, it must be 65536 at most'),
    zone("zone=one:16m objects=9223372036854775807",
         'invalid objects value "9223372036854775807" in slab_cache zone "one" of 16m, it must be 65536 at most'),
    zone("zone=one:16m purge_records=262145",
         'invalid purge_records value "262145" in slab_cache zone "one" of 16m, it must be 262144 at most'),
    # words and switches
    zone("zone=one:16m huge_pages=some", f'invalid huge_pages value "some", {SWITCH}'),
    zone("zone=one:16m huge_pages=", f'invalid huge_pages value "", {SWITCH}'),
    zone("zone=one:16m huge_pages=1", f'invalid huge_pages value "1", {SWITCH}'),
    zone("zone=one:16m eviction=lru", f'invalid eviction value "lru", {EVICTION}'),
    zone("zone=one:16m eviction=", f'invalid eviction value "", {EVICTION}'),
    location("slab_cache_api write=yes", f'invalid write value "yes", {SWITCH}'),
    location("slab_cache_api write=", f'invalid write value "", {SWITCH}'),
    # sizes and times
    *[zone(f"zone=one:{size}", f'invalid zone size "zone=one:{size}", {SIZE}') for size in ("16mb", "1t", "1.5g", "")],
    zone("zone=one", 'invalid zone size "zone=one", write "zone=name:size", such as "zone=pages:256m"'),
    zone("zone=one:16m inactive=10", None),
    zone("zone=one:16m inactive=1x", f'invalid inactive value "1x", {TIME}'),
    zone("zone=one:16m max_object=1mb", 'invalid max_object value "1mb", it must be a size such as "512k" or "16m"'),
    # other servers
    *[fleet(f"main redis://127.0.0.1 stream=s {word}", f'invalid parameter "{word}", {OF_FLEET}') for word in ("colour=red", "password=x", "timeout=5s", "on")],
    *[tier(f"store redis://127.0.0.1 {word}", f'invalid parameter "{word}", {OF_TIER}') for word in ("colour=red", "password=x", "stream=s", "on")],
    *[fleet(f"main redis://127.0.0.1 stream=s {word}=", f'invalid parameter "{word}=", it must name a file') for word in ("password_file", "tls_ca")],
    tier("store redis://127.0.0.1 tls_cert=", 'invalid parameter "tls_cert=", it must name a file'),
    fleet("redis://127.0.0.1 stream=s", 'invalid name "redis://127.0.0.1", write "slab_cache_fleet name server"'),
    fleet('"" redis://127.0.0.1 stream=s', 'invalid name "", write "slab_cache_fleet name server"'),
    tier("redis://127.0.0.1", 'invalid name "redis://127.0.0.1", write "slab_cache_tier name server"'),
    tier('"" redis://127.0.0.1', 'invalid name "", write "slab_cache_tier name server"'),
    fleet("main http://127.0.0.1 stream=s", 'invalid server "http://127.0.0.1", it must be "redis://host[:port][,…][/database]" or "rediss://…"'),
    tier("store http://127.0.0.1", 'invalid server "http://127.0.0.1", it must be "redis://host[:port][,…][/database]", "rediss://…" or '
         '"memcached://host[:port][,…]"'),
    zone("zone=one:16m fleet=main", 'slab_cache zone "one" names fleet=main, and there is no slab_cache_fleet main'),
    tier("store redis://127.0.0.1 fleet=main", 'slab_cache_tier "store" names fleet=main, and there is no slab_cache_fleet main'),
    # names
    location("slab_cache nosuchzone", 'slab_cache zone "nosuchzone" is unknown, it must be "one"'),
    location("slab_cache one:16m", 'slab_cache zone "one:16m" is unknown, it must be "one"'),
    location("slab_cache ONE", 'slab_cache zone "ONE" is unknown, it must be "one"'),
    location("slab_cache on", 'slab_cache zone "on" is unknown, it must be "one"'),
    # values of proxy_cache's directives in ours
    location("slab_cache_valid 200 10 minutes", f'invalid time value "minutes", {TIME}'),
    location("slab_cache_valid 2xx 10m", 'invalid status "2xx", it must be "any" or a number from 100 to 599'),
    location("slab_cache_use_stale off on", 'invalid value "on" in "slab_cache_use_stale" directive, it must be "error", "timeout", '
             '"invalid_header", "updating", "http_500", "http_502", "http_503", "http_504", "http_403", "http_404", "http_429", "force" or "off"'),
    location("slab_cache_methods DELETE", 'invalid value "DELETE" in "slab_cache_methods" directive, it must be "GET", "HEAD", "QUERY" or "POST"'),
    location("slab_cache_lock_timeout 5sec",
             'invalid value "5sec" in "slab_cache_lock_timeout" directive, it must be a time such as "500ms", "5s" or "1m"'),
    location("slab_cache_min_uses 0", 'invalid value "0" in "slab_cache_min_uses" directive, it must be a number from 1 to 15'),
    location("slab_cache_ttl 10m", 'invalid parameter "10m", it must be "min=time", "max=time", "jitter=percent" or "heuristic=percent", '
             'with a time such as "10m" and 100 percent at most'),
    location("slab_cache_stale 10m", 'invalid parameter "10m", it must be "while=time" or "if_error=time", with a time such as "10m"'),
    location("slab_cache_purge PURGE", '"slab_cache_purge" directive must say "from" which addresses, such as "PURGE from 127.0.0.1"'),
    location("slab_cache_purge from 127.0.0.1", 'invalid method "from", it must be of capital letters, such as "PURGE"'),
    location("slab_cache_purge GET from 127.0.0.1", 'method "GET" is safe and must not purge, name another such as "PURGE"'),
]


@pytest.mark.parametrize("place, line, said", ROWS, ids=[r[1] for r in ROWS])
def test_mistake_is_told_with_file_and_line(nginx, place, line, said):
    more = {"zone": line} if place == "zone" else {"location": f"location / {{\n{line}\n}}"}
    code, out = nginx.test_config(**more)
    if said is None:
        assert code == 0, out
        return
    at = max(i for i, text in enumerate(nginx.text.splitlines(), 1) if line in text)
    assert code != 0 and "[emerg] " in out and f": {said} in {nginx.prefix}/nginx.conf:{at}\n" in out, out


@pytest.mark.parametrize("zones, named, right", [
    (("pages", "pictures", "api"), "page", 'it must be "pages", "pictures" or "api"'), (("pages", "api"), "page", 'it must be "pages" or "api"'),
    (("pages", "api"), "API:1m", 'it must be "api"'), ((), "pages", 'define one by "slab_cache_zone zone=name:size"'),
    ([f"a-zone-of-a-long-name-{i:03}" for i in range(40)], "page", None)], ids=lambda x: "" if isinstance(x, str) or x is None else str(len(x)))
def test_zones_that_there_are_are_told(nginx, zones, named, right):
    code, out = nginx.test_config(zone=" ".join(f"slab_cache_zone zone={z}:2m;" for z in zones), location=f"location / {{ slab_cache {named}; }}")
    assert code != 0 and f'slab_cache zone "{named}" is unknown, {right or "it must be"}' in out, out
    assert f" in {nginx.prefix}/nginx.conf:" in out


def test_there_are_forty_rows():
    assert len(ROWS) >= 40


@pytest.mark.parametrize("parameters", ["objects=65536", "purge_records=262144"])
def test_bound_that_is_told_is_taken(nginx, parameters):
    code, out = nginx.test_config(zone=f"slab_cache_zone zone=one:16m {parameters};")
    assert code == 0, out


def test_largest_object_that_is_told_is_stored(nginx, cached, origin):
    """The bound hangs on the number of workers, which is the machine's."""
    _, out = nginx.test_config(zone="slab_cache_zone zone=one:16m max_object=1g;")
    told = re.search(r'invalid max_object value "1073741824" in slab_cache zone "one" of 16m, it must be (\d+) at most in .*nginx.conf:\d+\n', out)
    assert told, out
    most = int(told[1])
    assert nginx.test_config(zone=f"slab_cache_zone zone=one:16m max_object={most + 1};")[0] != 0
    origin.handle("*", lambda r: Reply(b"x" * (most - 20_000), headers=("Cache-Control: max-age=60",)))
    n = cached(zone=f"slab_cache_zone zone=one:16m max_object={most};")
    assert (n.get("/a").cache, n.get("/a").cache) == ("MISS", "HIT")


@pytest.mark.parametrize("size", ["1g", "1G", "1024m", "1048576k"])
def test_sizes_are_nginxs_with_g(nginx, size):
    assert nginx.test_config(zone=f"slab_cache_zone zone=one:{size};")[0] == 0


def test_zone_may_be_defined_below_its_use(nginx, origin):
    """As proxy_cache and proxy_cache_path."""
    origin.handle("*", lambda r: Reply("x", headers=("Cache-Control: max-age=60",)))
    zone = "slab_cache_zone zone=one:16m;"
    text = nginx.config(zone="", http="slab_cache one;", location=f"""
        location / {{ slab_cache_purge PURGE from 127.0.0.1; proxy_pass http://{origin.address}; }}
        location /b/ {{ slab_cache one; proxy_pass http://{origin.address}; }}
        location /_cache/ {{ slab_cache off; slab_cache_api write=on; }}
    """)
    n = nginx.start(text=text.rstrip().removesuffix("}") + zone + "\n}\n")
    for path in ("/a", "/b/"):
        assert (n.get(path).cache, n.get(path).cache) == ("MISS", "HIT")
    n.reload()
    assert n.get("/a").cache == "HIT"
    n.purge("/a")
    assert n.get("/a").cache == "MISS"
    assert n.get("/_cache/v1/zones/one").status == 200


def test_each_eviction_policy_is_in_the_documents():
    readme, page = (TOP / "README.md").read_text(), (TOP / "docs/design/eviction.md").read_text()
    assert "[eviction=" + r"\|".join(POLICIES) + "]" in readme
    assert re.findall(r"^\| `(\w+)`", page, re.M) == POLICIES
