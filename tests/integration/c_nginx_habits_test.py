"""What those who know proxy_cache expect: its words, its precedence, its ways with error pages."""
import threading

import pytest
from harness.origin import Reply, request_header
from harness.wait import wait_until

FRESH = ["Cache-Control: max-age=600"]
STALE = ["Cache-Control: max-age=100", "Age: 100", 'ETag: "1"']


# ---- $slab_cache_status --------------------------------------------------------------------------------------------
@pytest.mark.parametrize("method, headers, body", [("POST", (), b"x"), ("DELETE", (), None), ("GET", (), b"x"),
                                                   ("GET", ("Connection: upgrade", "Upgrade: websocket"), None)])
def test_status_is_empty_for_what_is_never_looked_for(cached, origin, method, headers, body):
    origin.reply("/a", "body", headers=FRESH)
    n = cached()
    n.get("/a")
    assert n.request("/a", method, headers=headers, body=body).cache is None


@pytest.mark.parametrize("zone", ["", "off", "unknown"])
def test_status_is_empty_where_a_variable_names_no_zone(nginx, origin, zone):
    origin.reply("/a", "body", headers=FRESH)
    nginx.start(location=f"location / {{ slab_cache $arg_zone; slab_cache_key $uri; proxy_pass http://{origin.address}; }}")
    assert [nginx.get(f"/a?zone={zone}").cache for _ in range(2)] == [None, None]
    assert nginx.get("/a?zone=one").cache == "MISS"


# ---- X-Accel-Expires -----------------------------------------------------------------------------------------------
@pytest.mark.parametrize("headers, second", [
    (["X-Accel-Expires: 60", "Cache-Control: no-cache", "Expires: 0"], "HIT"),
    (["Expires: 0", "Cache-Control: no-cache", "X-Accel-Expires: 60"], "HIT"),
    (["X-Accel-Expires: 60", "Cache-Control: no-store"], "MISS"),       # nobody's word but the operator's lifts these
    (["X-Accel-Expires: 60", "Cache-Control: private"], "MISS"),
    (["X-Accel-Expires: 0", "Cache-Control: max-age=60"], "MISS"),
    (["X-Accel-Expires: @60"], "EXPIRED"),
    (["X-Accel-Expires: @60", "Cache-Control: stale-while-revalidate=4000000000"], "STALE"),
])
def test_x_accel_expires_is_the_word_for_nginx(cached, origin, headers, second):
    origin.reply("/a", "body", headers=headers)
    n = cached()
    assert [n.get("/a").cache for _ in range(2)] == ["MISS", second]


# ---- validation ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("status, asked", [(200, '"1"'), (201, None), (404, None), (301, None)])
def test_only_a_stored_200_is_validated_since_a_304_means_one(cached, origin, status, asked):
    first = Reply("old", status=status, headers=[*STALE, "Last-Modified: Mon, 02 Mar 2015 17:20:58 GMT"])
    origin.sequence("/a", first, Reply("new", headers=FRESH))
    n = cached()
    assert [n.get("/a").text for _ in range(2)] == ["old", "new"]
    assert request_header(origin.requests("/a")[1], "If-None-Match") == asked
    assert (request_header(origin.requests("/a")[1], "If-Modified-Since") is None) == (asked is None)


# ---- slab_cache_use_stale updating ---------------------------------------------------------------------------------
def test_updating_in_the_configuration_serves_stale_at_once_and_updates_behind(cached, origin):
    origin.sequence("/a", Reply("old", headers=STALE), Reply("new", headers=FRESH))
    n = cached("slab_cache_use_stale updating;")
    assert [n.get("/a").cache, n.get("/a").cache] == ["MISS", "STALE"]
    wait_until(lambda: n.get("/a").text == "new", "the update arrives")


@pytest.mark.parametrize("directives", ["", "slab_cache_use_stale error;", "slab_cache_use_stale updating; slab_cache_background_update off;"])
def test_otherwise_the_first_to_find_it_stale_waits(cached, origin, directives):
    origin.sequence("/a", Reply("old", headers=STALE), Reply("new", headers=FRESH))
    n = cached(directives)
    assert [n.get("/a").text, n.get("/a").text] == ["old", "new"]
