"""Each directive does what its row in README.md says."""
import re

import pytest
from harness.origin import Reply, request_header
from harness.wait import wait_until

FRESH = ("Cache-Control: max-age=60",)


def twice(n, path, *headers, **kw):
    """The statuses of two requests in a row."""
    return [n.get(path, *headers, **kw).cache for _ in range(2)]


# ---- slab_cache, slab_cache_key, slab_cache_key_args --------------------------------------------------------------
def test_zone_may_come_from_a_variable(nginx, origin):
    origin.reply("/a", "body", headers=FRESH)
    nginx.start(http='map $arg_z $z { default one; off off; }',
                location=f"location / {{ slab_cache $z; slab_cache_key $uri; proxy_pass http://{origin.address}; }}")
    assert twice(nginx, "/a") == ["MISS", "HIT"]
    nginx.get("/a?z=off")
    nginx.get("/a?z=off")
    assert origin.hits("/a") == 3


def test_key_replaces_the_default_key(cached, origin):
    origin.reply("/a", "body", headers=FRESH)
    n = cached("slab_cache_key $uri $http_x_device;")
    assert twice(n, "/a?x=1") == ["MISS", "HIT"]
    assert n.get("/a?x=2").cache == "HIT"
    assert twice(n, "/a", "X-Device: mobile") == ["MISS", "HIT"]


def test_fields_of_a_key_do_not_run_into_each_other(cached, origin):
    origin.handle("*", lambda r: Reply("body", headers=FRESH))
    n = cached("slab_cache_key $arg_a $arg_b;")
    assert n.get("/?a=xy&b=z").cache == "MISS"
    assert n.get("/?a=x&b=yz").cache == "MISS"


@pytest.mark.parametrize("value, first, second, same", [
    ("all", "/a?x=1&y=2", "/a?y=2&x=1", False),
    ("none", "/a?x=1", "/a?x=2", True),
    ("sort", "/a?x=1&y=2", "/a?y=2&x=1", True),
    ("sort", "/a?x=1&y=2", "/a?y=2&x=3", False),
    ("drop=utm_*,fbclid", "/a?x=1&utm_source=m&fbclid=7", "/a?x=1", True),
    ("drop=utm_*", "/a?x=1&utmost=1", "/a?x=1", False),
    ("only=id,p*", "/a?id=1&page=2&junk=9", "/a?id=1&page=2", True),
    ("only=id", "/a?id=1", "/a?id=2", False),
])
def test_key_args(cached, origin, value, first, second, same):
    origin.reply("/a", "body", headers=FRESH)
    n = cached(f"slab_cache_key_args {value};")
    assert n.get(first).cache == "MISS"
    assert n.get(second).cache == ("HIT" if same else "MISS")


def test_dropped_arguments_do_not_reach_the_origin(cached, origin):
    origin.reply("/a", "body", headers=FRESH)
    n = cached("slab_cache_key_args drop=utm_*;")
    n.get("/a?utm_source=evil&x=1")
    assert [r.target for r in origin.requests("/a")] == ["/a?x=1"]


# ---- slab_cache_methods --------------------------------------------------------------------------------------------
def test_post_passes_by(cached, origin):
    origin.reply("/a", "body", headers=FRESH)
    n = cached()
    assert n.request("/a", "POST", body=b"x").why == "METHOD"
    assert n.request("/a", "POST", body=b"x").body == b"body"
    assert origin.hits("/a") == 2
    assert origin.requests("/a")[0].body == b"x"


def test_head_can_be_left_out_of_the_methods(cached, origin):
    origin.reply("/a", "body", headers=FRESH)
    n = cached("slab_cache_methods GET;")
    n.get("/a")
    assert n.request("/a", "HEAD").cache != "HIT"


@pytest.mark.parametrize("methods", ["POST", "QUERY"])
def test_get_and_head_are_cached_where_neither_is_named(cached, origin, methods):
    origin.reply("/a", "body", headers=FRESH)
    n = cached(f"slab_cache_methods {methods}; slab_cache_key $uri;")
    assert twice(n, "/a") == ["MISS", "HIT"]
    assert n.request("/a", "HEAD").cache == "HIT"


# ---- slab_cache_valid, slab_cache_ttl ------------------------------------------------------------------------------
def test_nothing_is_stored_without_freshness(cached, origin):
    origin.reply("/a", "body")
    n = cached()
    assert twice(n, "/a") == ["MISS", "MISS"]
    assert n.get("/a").why == "NO_FRESHNESS"


def test_valid_gives_freshness_to_the_statuses_it_names(cached, origin):
    for status in (200, 404, 410):
        origin.reply(f"/{status}", "body", status=status)
    n = cached("slab_cache_valid 404 1m;")
    assert twice(n, "/404") == ["MISS", "HIT"]
    assert n.get("/404").status == 404
    assert twice(n, "/200") == ["MISS", "MISS"]
    assert twice(n, "/410") == ["MISS", "MISS"]


@pytest.mark.parametrize("status, stored", [(200, True), (301, True), (302, True), (404, False)])
def test_valid_with_a_bare_time_covers_200_301_302(cached, origin, status, stored):
    origin.reply("/a", "body", status=status, headers=("Location: http://localhost/b",) if 300 <= status < 400 else ())
    n = cached("slab_cache_valid 1m;")
    assert twice(n, "/a") == ["MISS", "HIT" if stored else "MISS"]


def test_valid_any_covers_every_status(cached, origin):
    origin.reply("/a", "gone", status=410)
    n = cached("slab_cache_valid any 1m;")
    assert twice(n, "/a") == ["MISS", "HIT"]


def test_ttl_min_lifts_a_short_lifetime(cached, origin):
    origin.reply("/a", "body", headers=("Cache-Control: max-age=1",))
    n = cached("slab_cache_ttl min=60s; add_header X-Ttl $slab_cache_ttl;")
    n.get("/a")
    assert 50 <= int(n.get("/a").header("X-Ttl")) <= 60


def test_ttl_max_cuts_a_long_lifetime(cached, origin):
    origin.reply("/a", "body", headers=("Cache-Control: max-age=31536000",))
    n = cached("slab_cache_ttl max=1s;")
    n.get("/a")
    wait_until(lambda: n.get("/a").cache == "EXPIRED", "the object becomes stale")


def test_ttl_jitter_stays_within_its_share(cached, origin):
    origin.handle("*", lambda r: Reply("body", headers=("Cache-Control: max-age=1000",)))
    n = cached("slab_cache_ttl jitter=20; add_header X-Ttl $slab_cache_ttl; add_header X-Cache $slab_cache_status;")
    for i in range(20):
        n.get(f"/{i}")
    left = [int(n.get(f"/{i}").header("X-Ttl")) for i in range(20)]
    assert all(790 <= t <= 1200 for t in left), left
    assert len(set(left)) > 3, left


# ---- bypass, no_cache, ignore_headers, set_cookie ------------------------------------------------------------------
@pytest.mark.parametrize("argument, skips", [("?n=1", True), ("?n=0", False), ("", False)])
def test_bypass_asks_the_origin_when_a_string_is_neither_empty_nor_zero(cached, origin, argument, skips):
    origin.reply("/a", "body", headers=FRESH)
    n = cached("slab_cache_key $uri; slab_cache_bypass $arg_n;")
    n.get("/a")
    assert n.get("/a" + argument).cache == ("BYPASS" if skips else "HIT")


def test_bypass_refreshes_what_is_stored(cached, origin):
    origin.sequence("/a", Reply("old", headers=FRESH), Reply("new", headers=FRESH))
    n = cached("slab_cache_key $uri; slab_cache_bypass $arg_n;")
    n.get("/a")
    assert n.get("/a?n=1").body == b"new"
    assert n.get("/a").body == b"new"


def test_no_cache_serves_but_does_not_store(cached, origin):
    origin.reply("/a", "body", headers=FRESH)
    n = cached("slab_cache_key $uri; slab_no_cache $arg_n;")
    assert twice(n, "/a?n=1") == ["MISS", "MISS"]
    assert twice(n, "/a") == ["MISS", "HIT"]


def test_no_cache_may_look_at_the_response(cached, origin):
    origin.reply("/a", "body", headers=[*FRESH, "X-Draft: 1"])
    n = cached("slab_no_cache $upstream_http_x_draft;")
    assert twice(n, "/a") == ["MISS", "MISS"]


def test_ignored_header_does_not_decide(cached, origin):
    origin.reply("/a", "body", headers=("Cache-Control: no-store",))
    n = cached("slab_cache_ignore_headers Cache-Control; slab_cache_valid 1m;")
    assert twice(n, "/a") == ["MISS", "HIT"]


@pytest.mark.parametrize("mode, statuses, cookie", [
    ("refuse", ["MISS", "MISS"], "a=1"), ("strip", ["MISS", "HIT"], None), ("store", ["MISS", "HIT"], "a=1")])
def test_set_cookie(cached, origin, mode, statuses, cookie):
    origin.reply("/a", "body", headers=[*FRESH, "Set-Cookie: a=1"])
    n = cached(f"slab_cache_set_cookie {mode};")
    first, second = n.get("/a"), n.get("/a")
    assert [first.cache, second.cache] == statuses
    assert [first.header("Set-Cookie"), second.header("Set-Cookie")] == ["a=1", cookie]    # the first one is its own


def test_ignored_set_cookie_is_stripped_not_replayed(cached, origin):
    origin.reply("/a", "body", headers=[*FRESH, "Set-Cookie: a=1"])
    n = cached("slab_cache_ignore_headers Set-Cookie;")
    assert twice(n, "/a") == ["MISS", "HIT"]
    assert n.get("/a").all("Set-Cookie") == []


def test_min_uses_stores_from_that_request_on(cached, origin):
    origin.reply("/a", "body", headers=FRESH)
    n = cached("slab_cache_min_uses 3;")
    first = n.get("/a")
    assert (first.cache, first.why) == ("MISS", "MIN_USES")
    assert twice(n, "/a") == ["MISS", "MISS"]
    assert n.get("/a").cache == "HIT"


# ---- variables and Cache-Status ------------------------------------------------------------------------------------
def test_variables(cached, origin):
    origin.reply("/a", "body", headers=("Cache-Control: max-age=100", "Age: 10"))
    n = cached("""add_header X-Cache $slab_cache_status; add_header X-Age $slab_cache_age; add_header X-Ttl $slab_cache_ttl;
                  add_header X-Hits $slab_cache_hits; add_header X-Key $slab_cache_key; add_header X-Uri $slab_cache_uri;""")
    n.get("/a?b=c")
    hit = n.get("/a?b=c")
    assert hit.cache == "HIT"
    assert 10 <= int(hit.header("X-Age")) <= 15
    assert 85 <= int(hit.header("X-Ttl")) <= 90
    assert int(hit.header("X-Hits")) >= 0
    assert "/a?b=c" in hit.header("X-Key") and "localhost" in hit.header("X-Key")
    assert hit.header("X-Uri") == "/a?b=c"


def test_status_header_is_off_unless_asked_for(cached, origin):
    origin.reply("/a", "body", headers=FRESH)
    n = cached()
    assert [n.get("/a").all("Cache-Status") for _ in range(2)] == [[], []]


def test_status_header_tells_hit_from_forwarded(cached, origin):
    origin.reply("/a", "body", headers=FRESH)
    n = cached("slab_cache_status_header on;")
    miss, hit = (n.get("/a").header("Cache-Status") for _ in range(2))
    assert "fwd=" in miss and "; hit" not in miss
    assert "; hit" in hit


def test_status_header_in_detail_tells_how_long_a_hit_is_fresh(cached, origin):
    origin.reply("/a", "body", headers=("Cache-Control: max-age=100",))
    n = cached("slab_cache_status_header detail;")
    n.get("/a")
    assert re.search(r"; hit.*; ttl=(9\d|100)", n.get("/a").header("Cache-Status"))


# ---- what must be safe without a word ------------------------------------------------------------------------------
def test_authorization_neither_finds_nor_stores(cached, origin):
    origin.handle("/a", lambda r: Reply(request_header(r, "Authorization") or "nobody", headers=FRESH))
    n = cached()
    assert n.get("/a", "Authorization: Basic eA==").body == b"Basic eA=="
    assert n.get("/a").body == b"nobody"
    assert n.get("/a", "Authorization: Basic eQ==").body == b"Basic eQ=="
    assert n.get("/a").cache == "HIT"


def test_access_rules_come_before_hits(nginx, origin):
    origin.reply("/a", "secret", headers=FRESH)
    nginx.start(location=f"""location / {{ slab_cache one; slab_cache_key $uri; proxy_pass http://{origin.address};
                                          if ($arg_deny) {{ return 403; }} }}
                             location /closed/ {{ slab_cache one; slab_cache_key /a; deny all;
                                                  proxy_pass http://{origin.address}; }}""")
    assert twice(nginx, "/a") == ["MISS", "HIT"]
    assert nginx.get("/closed/a").status == 403
