"""Purge clients that exist, unchanged: each test sends their requests as they send them."""
import json

import pytest
from harness.origin import Reply

FRESH = "Cache-Control: max-age=600"
TAGS = {"/a": "post-1 home", "/b": "post-2 home", "/c": "post-3"}


@pytest.fixture
def site(nginx, origin):
    """A cached site with tagged pages, an admin location, and the /purge/ location of WordPress's plugin."""
    origin.handle("*", lambda r: Reply(r.target, headers=[FRESH, f"Surrogate-Key: {TAGS.get(r.target, 'none')}"]))
    nginx.start(location=f"""
        location / {{
            slab_cache one;
            slab_cache_purge PURGE from 127.0.0.1;
            slab_cache_revalidate off;
            proxy_set_header Host $host;
            proxy_pass http://{origin.address};
        }}
        location ~ ^/purge(/.*)$ {{
            allow 127.0.0.1; deny all;
            proxy_method PURGE;
            proxy_set_header Host $host;
            proxy_pass http://127.0.0.1:{nginx.port}$1$is_args$args;
        }}
        location /_cache/ {{ slab_cache_api write=on; allow 127.0.0.1; deny all; }}""", workers=2,
                http="server_names_hash_bucket_size 64;")
    return nginx


def fill(n, *paths, host="localhost"):
    for p in paths:
        n.get(p, host=host)
        assert n.get(p, host=host).cache == "HIT"


def states(n, *paths, host="localhost"):
    return [n.get(p, host=host).cache for p in paths]


# ---- Wagtail: wagtail.contrib.frontend_cache.backends.HTTPBackend ---------------------------------------------------
def test_wagtail_purges_a_page_of_the_site_it_names(site):
    fill(site, "/a", "/b", host="www.example.org")
    fill(site, "/a")
    answer = site.request("/a", "PURGE", host="www.example.org",
                          headers=("Accept-Encoding: identity", "User-Agent: Wagtail-frontendcache/5.2", "Connection: close"))
    assert answer.status == 200
    assert states(site, "/a", "/b", host="www.example.org") == ["MISS", "HIT"]
    assert states(site, "/a") == ["HIT"]


# ---- WordPress: nginx-helper ----------------------------------------------------------------------------------------
def test_nginx_helper_purges_by_get_of_purge_and_the_uri(site):
    fill(site, "/2026/01/post/", "/2026/01/other/")
    answer = site.get("/purge/2026/01/post/", "User-Agent: WordPress/6.4; http://localhost", "Accept: */*",
                      "Accept-Encoding: deflate, gzip, br", "Referer: http://localhost/purge/2026/01/post/", "Connection: close")
    assert answer.status == 200
    assert states(site, "/2026/01/post/", "/2026/01/other/") == ["MISS", "HIT"]


def test_nginx_helper_purges_everything_below_a_star(site):
    fill(site, "/feed/", "/feed/rss/", "/2026/")
    assert site.get("/purge/feed/*").status == 200
    assert states(site, "/feed/rss/", "/2026/") == ["MISS", "HIT"]
    assert site.get("/purge/*").status == 200
    assert states(site, "/2026/") == ["MISS"]


def test_nginx_helper_keeps_the_query_apart(site):
    fill(site, "/?p=1", "/?p=2")
    assert site.get("/purge/?p=1").status == 200
    assert states(site, "/?p=1", "/?p=2") == ["MISS", "HIT"]


# ---- FOSHttpCache ---------------------------------------------------------------------------------------------------
def test_fos_purges_a_path(site):
    fill(site, "/a?x=1", "/a")
    assert site.request("/a?x=1", "PURGE", headers=("User-Agent: Symfony HttpClient/Curl",)).status == 200
    assert states(site, "/a?x=1", "/a") == ["MISS", "HIT"]


def test_fos_purges_keys_softly(site):
    fill(site, "/a", "/b", "/c")
    answer = site.request("/", "PURGEKEYS", headers=("xkey-softpurge: post-1 post-3",))
    assert answer.status == 200 and json.loads(answer.body)["accepted"] == 2
    assert site.get("/b").cache == "HIT"
    for path in ("/a", "/c"):
        got = site.get(path)
        assert got.cache in ("STALE", "UPDATING", "EXPIRED") and got.body == path.encode()


def test_fos_purges_keys(site):
    fill(site, "/a", "/b", "/c")
    assert site.request("/", "PURGEKEYS", headers=("xkey-purge: home",)).status == 200
    assert states(site, "/a", "/b", "/c") == ["MISS", "MISS", "HIT"]


def test_purgekeys_without_keys_purges_nothing(site):
    fill(site, "/")
    assert site.request("/", "PURGEKEYS").status == 400
    assert states(site, "/") == ["HIT"]


def test_surrogate_key_of_a_purge_names_tags(site):
    fill(site, "/a", "/b", "/c")
    assert site.purge("/", "Surrogate-Key: post-1,post-2").status == 200
    assert states(site, "/a", "/b", "/c") == ["MISS", "MISS", "HIT"]


# ---- Fastly -----------------------------------------------------------------------------------------------------------
FASTLY = ("Fastly-Key: secret-token", "Accept: application/json", "User-Agent: fastly-py")


def fastly(n, path, *headers, body=b""):
    return n.request("/_cache/service/SU1Z0isxPaozGVKXdv0eY" + path, "POST", headers=(*FASTLY, *headers), body=body)


def test_fastly_purges_a_key(site):
    fill(site, "/a", "/b", "/c")
    answer = fastly(site, "/purge/home")
    assert answer.status == 200 and json.loads(answer.body)["status"] == "ok" and json.loads(answer.body)["id"]
    assert states(site, "/a", "/b", "/c") == ["MISS", "MISS", "HIT"]


def test_fastly_purges_keys_of_a_field(site):
    fill(site, "/a", "/b", "/c")
    answer = fastly(site, "/purge", "Surrogate-Key: post-1 post-3")
    assert answer.status == 200 and set(json.loads(answer.body)) == {"post-1", "post-3"}
    assert states(site, "/a", "/b", "/c") == ["MISS", "HIT", "MISS"]


def test_fastly_purges_keys_of_a_body(site):
    fill(site, "/a", "/b", "/c")
    answer = fastly(site, "/purge", "Content-Type: application/json", body=b'{"surrogate_keys":["post-2"]}')
    assert answer.status == 200 and set(json.loads(answer.body)) == {"post-2"}
    assert states(site, "/a", "/b", "/c") == ["HIT", "MISS", "HIT"]


def test_fastly_purges_softly(site):
    fill(site, "/a", "/c")
    assert fastly(site, "/purge/home", "Fastly-Soft-Purge: 1").status == 200
    got = site.get("/a")
    assert got.cache in ("STALE", "UPDATING", "EXPIRED") and got.body == b"/a"
    assert states(site, "/c") == ["HIT"]


def test_fastly_purges_all(site):
    fill(site, "/a", "/c")
    assert fastly(site, "/purge_all").status == 200
    assert states(site, "/a", "/c") == ["MISS", "MISS"]


def test_fastly_purges_a_url_softly(site):
    fill(site, "/a", "/c")
    assert site.purge("/a", "Fastly-Soft-Purge: 1").status == 200
    assert site.get("/a").cache in ("STALE", "UPDATING", "EXPIRED")
    assert states(site, "/c") == ["HIT"]


@pytest.mark.parametrize("headers, body", [((), b""), (("Surrogate-Key:   ",), b""), ((), b"{}"), ((), b'{"surrogate_keys":"a"}'),
                                           ((), b'{"surrogate_keys":[1]}'), ((), b'{"surrogate_keys":["a"],"x":1}')])
def test_fastly_purge_of_no_keys_is_an_error_and_purges_nothing(site, headers, body):
    fill(site, "/a")
    answer = fastly(site, "/purge", *headers, body=body)
    assert answer.status == 400 and answer.header("Content-Type") == "application/problem+json"
    assert states(site, "/a") == ["HIT"]


def test_more_keys_than_fastly_takes_are_refused(site):
    assert fastly(site, "/purge", "Surrogate-Key: " + " ".join(f"k{i}" for i in range(700))).status == 400
    assert fastly(site, "/purge", "Content-Type: application/json",
                  body=json.dumps({"surrogate_keys": [f"k{i}" for i in range(2000)]}).encode()).status == 400


# ---- Cloudflare -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("what, gone, kept", [
    ({"files": ["http://localhost/a", {"url": "http://localhost/b"}]}, ["/a", "/b"], ["/c", "/d/e"]),
    ({"tags": ["home"]}, ["/a", "/b"], ["/c", "/d/e"]),
    ({"hosts": ["localhost"]}, ["/a", "/b", "/c", "/d/e"], []),
    ({"prefixes": ["localhost/d"]}, ["/d/e"], ["/a", "/b", "/c"]),
    ({"purge_everything": True}, ["/a", "/b", "/c", "/d/e"], []),
])
def test_cloudflare_purges(site, what, gone, kept):
    fill(site, "/a", "/b", "/c", "/d/e")
    answer = site.request("/_cache/client/v4/zones/023e105f4ecef8ad9ca31a8372d0c353/purge_cache", "POST",
                          headers=("Authorization: Bearer token", "Content-Type: application/json"), body=json.dumps(what).encode())
    said = json.loads(answer.body)
    assert answer.status == 200 and said["success"] is True and said["errors"] == [] and said["messages"] == []
    assert said["result"]["id"] == "one"
    assert states(site, *gone) == ["MISS"] * len(gone)
    assert states(site, *kept) == ["HIT"] * len(kept)


def test_cloudflare_errors_look_like_its_own(site):
    answer = site.request("/_cache/client/v4/zones/x/purge_cache", "POST", headers=("Content-Type: application/json",),
                          body=b'{"flies":[]}')
    said = json.loads(answer.body)
    assert answer.status == 400 and said["success"] is False and "flies" in said["errors"][0]["message"]


def test_of_several_zones_the_id_must_name_one(nginx, origin):
    nginx.start(zone="slab_cache_zone zone=one:16m; slab_cache_zone zone=two:16m;",
                location=f"""location / {{ slab_cache one; proxy_pass http://{origin.address}; }}
                             location /_cache/ {{ slab_cache_api write=on; allow 127.0.0.1; deny all; }}""")
    assert fastly(nginx, "/purge_all").status == 404
    assert nginx.request("/_cache/service/two/purge_all", "POST").status == 200


@pytest.mark.parametrize("count, status", [(256, 200), (257, 400)])
def test_fastly_takes_256_keys_in_one_request(site, count, status):
    keys = [f"k{i}" for i in range(count)]
    assert site.request("/_cache/service/one/purge", "POST", headers=("Surrogate-Key: " + " ".join(keys),)).status == status
    answer = site.request("/_cache/service/one/purge", "POST", body=json.dumps({"surrogate_keys": keys}).encode(),
                          headers=("Content-Type: application/json",))
    assert answer.status == status
