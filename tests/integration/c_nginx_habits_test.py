"""What those who know proxy_cache expect: its words, its precedence, its ways with error pages."""
import gzip
import threading

import pytest
from harness.nginx import VERSION
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


@pytest.mark.parametrize("offer", ["h2c", "TLS/1.2", "TLS/1.0, HTTP/1.1", "nonsense", "websockets"])
def test_an_upgrade_that_nobody_takes_is_no_reason_to_pass_by(cached, origin, offer):
    """curl --http2 and Java's HttpClient offer h2c, Apache's HttpClient 5.4 TLS/1.2, with ordinary requests (RFC 9110 7.8)."""
    origin.reply("/a", "body", headers=FRESH)
    n = cached("proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade;")
    headers = ("Connection: Upgrade", f"Upgrade: {offer}")
    assert [n.get("/a", *headers).cache for _ in range(2)] == ["MISS", "HIT"]
    assert [request_header(r, "Upgrade") for r in origin.requests("/a")] == [None]


@pytest.mark.parametrize("offer", [["Upgrade: websocket"], ["Upgrade: h2c, WebSocket"], ["Upgrade: h2c", "Upgrade: websocket"]])
def test_a_websocket_passes_by_however_it_is_asked_for(cached, origin, offer):
    origin.reply("/a", "body", headers=FRESH)
    n = cached()
    n.get("/a")
    assert n.get("/a", "Connection: Upgrade", *offer).why == "UPGRADE"


@pytest.mark.parametrize("method, body, word", [("GET", b"x", "fwd=bypass"), ("POST", b"x", "fwd=method"), ("GET", None, "fwd=uri-miss")])
def test_cache_status_tells_a_miss_from_what_is_never_looked_for(cached, origin, method, body, word):
    origin.reply("/a", "body", headers=FRESH)
    assert word in cached("slab_cache_status_header on;").request("/a", method, body=body).header("Cache-Status")


@pytest.mark.parametrize("zone", ["", "off", "unknown"])
def test_status_is_empty_where_a_variable_names_no_zone(nginx, origin, zone):
    origin.reply("/a", "body", headers=FRESH)
    nginx.start(location=f"location / {{ slab_cache $arg_zone; slab_cache_key $uri; proxy_pass http://{origin.address}; }}")
    assert [nginx.get(f"/a?zone={zone}").cache for _ in range(2)] == [None, None]
    assert nginx.get("/a?zone=one").cache == "MISS"


# ---- $upstream_http_… ----------------------------------------------------------------------------------------------
@pytest.mark.parametrize("control, statuses", [("max-age=600", ["MISS", "HIT"]), ("no-store", ["MISS", "MISS"])])
def test_upstream_http_variables_show_the_header_that_was_received(nginx, origin, control, statuses):
    origin.reply("/a", "body", headers=[f"Cache-Control: {control}", "X-Some-Thing: one", "X-Some-Thing: two"])
    nginx.start(http="map $upstream_http_cache_control $seen { default $upstream_http_cache_control; }", location=f"""location / {{
        slab_cache one; proxy_pass http://{origin.address};
        add_header X-Cache $slab_cache_status; add_header X-Seen "$seen|$upstream_http_x_some_thing|$upstream_http_x_other|"; }}""")
    answers = [nginx.get("/a") for _ in range(2)]
    assert [a.cache for a in answers] == statuses
    lines = "one, two" if VERSION >= (1, 23) else "one"
    assert [a.header("X-Seen") for a in answers] == [f"{control}|{lines}||"] * 2


def test_upstream_http_variables_are_unchanged_where_nothing_is_cached(nginx, origin):
    origin.reply("/a", "body", headers=["X-Some-Thing: one"])
    nginx.start(location=f"""location / {{ proxy_pass http://{origin.address}; proxy_hide_header X-Some-Thing;
                                          add_header X-Seen "$upstream_http_x_some_thing|$upstream_http_x_other|"; }}""")
    assert nginx.get("/a").header("X-Seen") == "one||"


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


# ---- error pages ---------------------------------------------------------------------------------------------------
PAGE = """proxy_intercept_errors on; error_page 403 404 500 502 {how} /page;
          location = /page { internal; slab_cache off; root html; try_files /page.html =500; }"""


@pytest.fixture
def paged(cached, nginx):
    """cached() with a page for the origin's errors, under its own status (how="") or another ("=410", say)."""

    def start(directives="", how="="):
        (nginx.prefix / "html/page.html").write_text("sorry")
        return cached(directives + PAGE.replace("{how}", how))

    return start


@pytest.mark.parametrize("how, status", [("", 404), ("=", 200), ("=410", 410)])
def test_page_for_an_error_lives_as_long_as_the_error(paged, origin, how, status):
    origin.sequence("/a", Reply("gone", status=404, headers=FRESH), Reply("back", headers=FRESH))
    n = paged(how=how)
    answers = [n.get("/a") for _ in range(2)]
    assert [(a.status, a.text, a.cache) for a in answers] == [(status, "sorry", "MISS"), (status, "sorry", "HIT")]


@pytest.mark.parametrize("valid, second", [("404 1m", "HIT"), ("any 1m", "HIT"), ("200 1m", "MISS"), ("403 1m", "MISS")])
def test_valid_looks_at_the_status_of_the_error_not_of_the_page(paged, origin, valid, second):
    origin.reply("/a", "gone", status=404)
    n = paged(f"slab_cache_valid {valid};", how="=403")
    assert [n.get("/a").cache for _ in range(2)] == ["MISS", second]


@pytest.mark.parametrize("line", ["Cache-Control: private", "Cache-Control: no-store", "Cache-Control: no-cache", "Set-Cookie: a=1",
                                  "X-Accel-Expires: 0", "Vary: *"])
def test_page_is_not_kept_where_the_error_may_not_be(paged, origin, line):
    origin.reply("/a", "not for you", status=403, headers=[line])
    n = paged("slab_cache_valid any 1m;")
    assert [(a.text, a.cache) for a in (n.get("/a"), n.get("/a"))] == [("sorry", "MISS")] * 2


def test_page_is_not_kept_where_the_error_broke_off_in_its_header(paged, origin):
    origin.reply("/a", raw=b"HTTP/1.1 404 Not Found\r\nCache-Control: max-age=600\r\nNo Name: x\r\n\r\n")
    n = paged()
    assert [(a.text, a.cache) for a in (n.get("/a"), n.get("/a"))] == [("sorry", "MISS")] * 2


def test_page_varies_and_is_purged_as_the_error_would_be(paged, origin):
    origin.reply("/a", "gone", status=404, headers=[*FRESH, "Vary: X-Device", "Surrogate-Key: thing"])
    n = paged()
    assert [n.get("/a", f"X-Device: {d}").cache for d in "ab"] == ["MISS", "MISS"]
    assert [n.get("/a", f"X-Device: {d}").cache for d in "ab"] == ["HIT", "HIT"]
    n.purge("/", "Surrogate-Key: thing")
    assert n.get("/a", "X-Device: a").cache == "MISS"


def test_page_is_never_confirmed_by_a_304_about_the_real_thing(paged, origin):
    origin.sequence("/a", Reply("gone", status=404), Reply("back", headers=FRESH))
    n = paged("slab_cache_valid any 1s;")
    assert n.get("/a").text == "sorry"
    wait_until(lambda: n.get("/a").text == "back", "the page ceases to be fresh")
    assert request_header(origin.requests("/a")[1], "If-Modified-Since") is None
    assert request_header(origin.requests("/a")[1], "If-None-Match") is None


# ---- precompressed files -------------------------------------------------------------------------------------------
@pytest.mark.parametrize("vary", ["on", "off"])
@pytest.mark.parametrize("order", [("", "gzip", ""), ("gzip", "", "gzip")])
def test_precompressed_file_is_for_who_takes_it(nginx, vary, order):
    (nginx.prefix / "html").mkdir(exist_ok=True)
    (nginx.prefix / "html/a.css").write_text("plain")
    (nginx.prefix / "html/a.css.gz").write_bytes(gzip.compress(b"plain"))
    n = nginx.start(location=f"location / {{ slab_cache one; slab_cache_valid 60s; root html; gzip_static on; gzip_vary {vary}; }}")
    for wanted in order:
        answer = n.get("/a.css", *([f"Accept-Encoding: {wanted}"] if wanted else []))
        assert (answer.header("Content-Encoding") or "") == wanted
        assert (answer.header("Vary") is not None) == (vary == "on")
