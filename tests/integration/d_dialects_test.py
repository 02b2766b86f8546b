"""Purges as applications write them for Varnish and Cloudflare: understood, or refused; never "200, nothing done"."""
import json

import pytest
from harness.origin import Reply

HEADERS = ("Cache-Control: max-age=600", "X-Tags: news cat_1", "Cache-Tag: news")
PATHS = ("/page", "/news/1", "/news/2", "/other")


@pytest.fixture
def site(nginx, origin):
    """site(): four pages are stored; their tags come from X-Tags, as for an application with a field of its own."""

    def start(tags="slab_cache_tags $upstream_http_x_tags;", purge="slab_cache_purge PURGE from 127.0.0.1; slab_cache_purge BAN from 127.0.0.1;"):
        origin.handle("*", lambda r: Reply("x", headers=HEADERS[:1] if r.target == "/other" else HEADERS))
        nginx.start(location=f"""
        location / {{ slab_cache one; {purge} {tags} proxy_pass http://{origin.address}; }}
        location /_cache/ {{ slab_cache_api write=on; allow 127.0.0.1; deny all; }}""")
        for path in PATHS:
            nginx.get(path)
        assert stored(nginx) == list(PATHS)
        return nginx

    return start


def stored(n):
    return [p for p in PATHS if json.loads(n.get(f"/_cache/v1/zones/one/entry?url={p}").body)["stored"]]


MAGENTO = "((^|,){}(,|$))"
NONE = []
UNDERSTOOD = [
    ("PURGE", "/", ["X-Magento-Tags-Pattern: .*"], NONE),
    ("PURGE", "/", [f"X-Magento-Tags-Pattern: {MAGENTO.format('news')}"], ["/other"]),
    ("PURGE", "/", [f"X-Magento-Tags-Pattern: {MAGENTO.format('x')}|{MAGENTO.format('cat_1')}"], ["/other"]),
    ("PURGE", "/", [f"X-Magento-Tags-Pattern: {MAGENTO.format('cat_11')}"], list(PATHS)),
    ("BAN", "/", ["X-Cache-Tags: (^|,)(news)(,|$)", "X-Host: .*", "X-Url: .*", "X-Content-Type: .*"], ["/other"]),
    ("BAN", "/", ["X-Cache-Tags: (x|news)(,.+)?$"], ["/other"]),
    ("BAN", "/", ["X-Cache-Tags: news,x"], ["/other"]),
    ("BAN", "/", ["X-Host: .*", "X-Url: .*", "X-Content-Type: .*"], NONE),
    ("BAN", "/page", [], ["/news/1", "/news/2", "/other"]),
    ("BAN", "/", ["Purge-Cache-Tags: news x"], ["/other"]),
    ("PURGE", "/", ["Cache-Tags: x news"], ["/other"]),
    ("PURGE", "/.*", ["X-Purge-Method: regex"], NONE),
    ("PURGE", "/news/.*", ["X-Purge-Method: regex"], ["/page", "/other"]),
    ("PURGE", "/news.*", ["X-Purge-Method: Regex"], ["/page", "/other"]),
    ("PURGE", "/news/1", ["X-Purge-Method: exact"], ["/page", "/news/2", "/other"]),
    ("PURGE", "/news/1", ["X-Purge-Method: default"], ["/page", "/news/2", "/other"]),
    ("PURGE", "/.*", [], NONE),
    ("PURGE", "/news/.*", [], ["/page", "/other"]),
]


@pytest.mark.parametrize("method, path, headers, left", UNDERSTOOD)
def test_purge_of_another_ecosystem_is_understood(site, method, path, headers, left):
    n = site()
    assert n.request(path, method, headers=headers).status == 200
    assert stored(n) == left


REFUSED = [
    ("PURGE", "/", ["X-Magento-Tags-Pattern: news.*"]), ("PURGE", "/", ["X-Magento-Tags-Pattern:"]),
    ("PURGE", "/", ["X-Magento-Tags-Pattern: ((^|,)news(,|$))|(x)"]), ("BAN", "/", ["X-Cache-Tags: ^news"]),
    ("PURGE", "/(a|b)", ["X-Purge-Method: regex"]), ("PURGE", "/a?b.*", ["X-Purge-Method: regex"]), ("PURGE", "/a", ["X-Purge-Method: fuzzy"]),
    ("BAN", "/", ["X-Url: ^/news", "X-Host: .*"]), ("BAN", "/", ["X-Host: ^(example.com)$"]), ("BAN", "/", ["X-Content-Type: text/css"]),
    ("PURGE", "/", ["X-Purge-Regex: /news"]), ("PURGE", "/", ["Ykey-Purge: news"]), ("BAN", "/", ["X-Ban-Url: /news"]),
    ("PURGE", "/", ["X-Invalidate-Tags: news"]), ("PURGE", "/", ["X-VC-Purge-Host: example.com"]),
]


@pytest.mark.parametrize("method, path, headers", REFUSED)
def test_purge_that_is_not_understood_is_refused_and_purges_nothing(site, method, path, headers):
    n = site()
    answer = n.request(path, method, headers=headers)
    assert answer.status == 400 and answer.header("Content-Type") == "application/problem+json", answer
    assert len(json.loads(answer.body)["detail"]) > 20
    assert stored(n) == list(PATHS)


@pytest.mark.parametrize("field", ["X-Cache-Tags: news", "Cache-Tags: news", "Purge-Cache-Tags: news",
                                   f"X-Magento-Tags-Pattern: {MAGENTO.format('news')}"])
def test_tags_of_a_field_that_responses_are_not_read_from_are_refused_with_the_remedy(site, field):
    n = site(tags="")
    answer = n.purge("/", field)
    assert answer.status == 400 and "slab_cache_tags" in json.loads(answer.body)["detail"]
    assert stored(n) == list(PATHS)
    assert n.purge("/", "X-Magento-Tags-Pattern: .*").status == 200 and stored(n) == []


def test_two_methods_each_have_their_own_addresses_and_softness(site, origin):
    n = site(purge="slab_cache_purge PURGE from 10.0.0.1; slab_cache_purge BAN soft from 127.0.0.1;")
    assert n.purge("/page").status == 403
    assert n.request("/page", "BAN").status == 200
    assert n.get("/page").cache == "STALE"
    assert origin.requests("/page")[-1].method == "GET"


def test_purge_stands_for_purgekeys_beside_another_method(site):
    n = site()
    assert n.request("/", "PURGEKEYS", headers=("xkey-purge: news",)).status == 200
    assert stored(n) == ["/other"]
    assert n.request("/", "PURGEKEYS").status == 400


@pytest.mark.parametrize("text, said", [
    ("slab_cache_purge PURGE from 127.0.0.1; slab_cache_purge PURGE from 10.0.0.1;", "is duplicate"),
    ("slab_cache_purge off; slab_cache_purge PURGE from 10.0.0.1;", "is duplicate"),
    ("slab_cache_purge BAN from 127.0.0.1; slab_cache_purge off;", "is duplicate"),
    ("slab_cache_purge PURGE from 127.0.0.1; slab_cache_purge BAN;", "must say"),
])
def test_methods_are_named_once(nginx, text, said):
    code, text = nginx.test_config(location=f"location / {{ slab_cache one; {text} }}")
    assert code == 1 and said in text


# ---- Cloudflare -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("what, left", [
    ({"files": ["http://localhost/page"]}, ["/news/1", "/news/2", "/other"]), ({"tags": ["news"]}, ["/other"]),
    ({"hosts": ["localhost"]}, NONE), ({"prefixes": ["localhost/news"]}, ["/page", "/other"]), ({"purge_everything": True}, NONE),
])
def test_invalidate_cache_of_cloudflare_makes_stale_and_keeps(site, what, left):
    n = site()
    answer = n.request("/_cache/client/v4/zones/any/invalidate_cache", "POST", body=json.dumps(what).encode(),
                       headers=("Content-Type: application/json",))
    assert answer.status == 200 and json.loads(answer.body)["success"] is True
    for path in PATHS:
        assert n.get(path).cache == ("HIT" if path in left else "STALE"), path


def test_invalidate_cache_refuses_what_it_does_not_know(site):
    n = site()
    answer = n.request("/_cache/client/v4/zones/any/invalidate_cache", "POST", body=b'{"regex":"x"}',
                       headers=("Content-Type: application/json",))
    assert answer.status == 400 and "regex" in answer.text and stored(n) == list(PATHS)
    assert n.get("/_cache/client/v4/zones/any/invalidate_cache").status == 405


def test_tags_of_a_field_that_the_directive_names(site):
    n = site(tags="slab_cache_tags field=X-Tags;")
    assert stored(n) == list(PATHS)
    assert [n.get(p).header("X-Tags") for p in PATHS] == [None] * 4      # between the application and us
    assert n.request("/", "PURGE", headers=[f"X-Magento-Tags-Pattern: {MAGENTO.format('cat_1')}"]).status == 200
    assert stored(n) == ["/other"]


def test_fields_and_strings_name_tags_together(site):
    n = site(tags='slab_cache_tags field=X-None,x-tags "all $uri";')
    assert n.request("/", "PURGE", headers=["Surrogate-Key: cat_1"]).status == 200
    assert stored(n) == ["/other"]
    assert n.request("/", "PURGE", headers=["Surrogate-Key: /other"]).status == 200
    assert stored(n) == []


def test_the_usual_fields_are_no_tags_where_others_are_named(site):
    n = site(tags="slab_cache_tags field=X-Other;")
    assert n.get("/page").header("Cache-Tag") == "news"
    assert n.request("/", "PURGE", headers=["Surrogate-Key: news"]).status == 200
    assert stored(n) == list(PATHS)
