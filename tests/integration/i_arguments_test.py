"""slab_cache_key_args: what the key does not know of, or in another order, the origin is not told either, by whatever road."""
import threading

import pytest
from harness.gateways import FASTCGI_PARAMS, UWSGI_PARAMS, FastCgiOrigin, UwsgiOrigin
from harness.nginx import PATIENT
from harness.origin import Origin, Reply, request_header
from harness.wait import wait_until

FRESH = ["Cache-Control: max-age=600"]
STALE = ["Cache-Control: max-age=100, stale-while-revalidate=600", "Age: 100", 'ETag: "1"']
DROP, SORT = "slab_cache_key_args drop=utm_*;", "slab_cache_key_args sort;"
ARGS = {DROP: ("b=2&utm_source=evil&a=1", "b=2&a=1"), SORT: ("b=2&a=1", "a=1&b=2")}     # as asked, as the origin shall see it
TELL = "X-Mine $args; @ X-Where $request_uri; @ X-Line '$request';"       # what the origin is told beside the target
GATEWAY = "HTTP_X_MINE $query_string; @ HTTP_X_WHERE $request_uri;"
WAYS = {
    "plain": (Origin, "proxy_pass http://@O@;"),
    "request_uri": (Origin, "proxy_pass http://@O@$request_uri;"),
    "uri and args": (Origin, "proxy_pass http://@O@$uri$is_args$args;"),
    "query_string": (Origin, "proxy_pass http://@O@/a?$query_string;"),
    "slab_cache_uri": (Origin, "proxy_pass http://@O@$slab_cache_uri;"),
    "rewrite": (Origin, "rewrite ^/(.*)$ /in/$1 break; proxy_pass http://@O@;"),
    "headers": (Origin, f"proxy_set_header {TELL.replace('@', 'proxy_set_header')} proxy_pass http://@O@;"),
    "uwsgi": (UwsgiOrigin, f"{UWSGI_PARAMS} uwsgi_param {GATEWAY.replace('@', 'uwsgi_param')} uwsgi_pass @O@;"),
    "fastcgi": (FastCgiOrigin, f"{FASTCGI_PARAMS} fastcgi_param {GATEWAY.replace('@', 'fastcgi_param')} fastcgi_pass @O@;"),
}


@pytest.fixture(params=WAYS)
def way(request, make_nginx):
    kind, passes = WAYS[request.param]
    origin = kind()
    yield lambda directive: make_nginx().start(f"location / {{ slab_cache one; {directive} {passes.replace('@O@', origin.address)} }}"), origin
    origin.stop()
    assert not origin.errors, origin.errors


@pytest.mark.parametrize("directive", [DROP, SORT], ids=["drop", "sort"])
def test_origin_sees_what_the_key_says_on_every_road(way, directive):
    start, origin = way
    asked, args = ARGS[directive]
    origin.handle("*", lambda r: Reply("body", headers=FRESH))
    n = start(directive)
    assert n.get(f"/a?{asked}").status == 200
    assert n.get(f"/a?{args}").cache == "HIT"
    request, = origin.requests()
    told = [request.target, *(v for name in ("X-Mine", "X-Where", "X-Line") if (v := request_header(request, name)))]
    assert any(args in v for v in told) and not any(asked in v or "utm" in v for v in told), told


@pytest.mark.parametrize("variable", ["$args", "$request_uri", "$arg_utm_source", "x$query_string"])
@pytest.mark.parametrize("how", ["set", "map"])
def test_what_a_variable_kept_of_them_is_stored_for_nobody(cached, origin, variable, how):
    origin.handle("/a", lambda r: Reply(request_header(r, "X-Mine") or "nothing", headers=FRESH))
    n = cached(DROP + {"set": f"set $mine {variable};", "map": "if ($mine = nonsense) { return 403; }"}[how] + "proxy_set_header X-Mine $mine;",
               http=f'map "" $mine {{ default "{variable}"; }}' if how == "map" else "")
    dirty = [n.get("/a?b=2&utm_source=evil") for _ in range(2)]
    assert [(a.cache, a.why, "evil" in a.text) for a in dirty] == [("MISS", "CARRIED_ARGS", True)] * 2
    clean = [n.get("/a?b=2") for _ in range(2)]
    assert [a.cache for a in clean] == ["MISS", "HIT"] and "evil" not in clean[1].text
    assert "evil" not in n.get("/a?b=2&utm_source=evil").text           # that is a hit


# ---- by all kinds of requests ------------------------------------------------------------------------------------------
KINDS = {
    "miss": ([], "", FRESH),
    "head": (["HEAD"], "", FRESH),
    "range": (["Range: bytes=0-1"], "", FRESH),
    "bypass": (["X-Skip: 1"], "slab_cache_bypass $http_x_skip;", FRESH),
    "no lock": ([], "slab_cache_lock off;", FRESH),
    "refresh": ([], "", STALE),
    "validation": ([], "slab_cache_background_update off; slab_cache_use_stale off;", STALE),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("directive", [DROP, SORT], ids=["drop", "sort"])
def test_origin_sees_what_the_key_says_whatever_is_asked(cached, origin, directive, kind):
    lines, more, answer = KINDS[kind]
    asked, args = ARGS[directive]
    origin.handle("*", lambda r: Reply("body", headers=answer))
    n = cached(directive + more)
    method = "HEAD" if lines == ["HEAD"] else "GET"
    for _ in range(4):
        n.request(f"/a?{asked}", method, headers=[h for h in lines if h != "HEAD"])
    if kind == "refresh":
        wait_until(lambda: origin.hits("/a") >= 2, "the refresh")
    assert {r.target for r in origin.requests()} == {f"/a?{args}"}


PASSING = {
    "not stored": ([], "", ["Cache-Control: no-store"]),
    "min_uses": ([], "slab_cache_min_uses 3;", FRESH),
    "no_cache": ([], "slab_no_cache $http_x_no;", FRESH),
    "authorized": (["Authorization: Basic YTpi"], "", FRESH),
}


@pytest.mark.parametrize("kind", PASSING)
@pytest.mark.parametrize("directive", [DROP, SORT], ids=["drop", "sort"])
def test_what_goes_by_as_it_is_is_stored_for_nobody(cached, origin, directive, kind):
    lines, more, answer = PASSING[kind]
    asked, args = ARGS[directive]
    origin.handle("/a", lambda r: Reply(r.target, headers=answer))
    n = cached(directive + more)
    for _ in range(3):
        n.get(f"/a?{asked}", "X-No: 1", *lines)
    seen = [n.get(f"/a?{args}") for _ in range(2)] + [n.get(f"/a?{asked}")]
    assert {a.text for a in seen if a.cache == "HIT" or a is not seen[2]} == {f"/a?{args}"}


@pytest.mark.parametrize("directive", [DROP, SORT], ids=["drop", "sort"])
def test_those_who_write_it_differently_wait_for_one_fill(cached, origin, directive):
    gate = threading.Event()
    asked, args = ARGS[directive]
    origin.handle("/a", lambda r: Reply(r.target, headers=FRESH, before=gate))
    n = cached(directive + PATIENT, workers=2)
    clients = [n.connect() for _ in range(4)]
    for i, c in enumerate(clients):
        c.send(f"/a?{(asked, args)[i % 2]}")
    n.wait_for_waiters(3)
    gate.set()
    assert [c.read_body(c.read_header()).text for c in clients] == [f"/a?{args}"] * 4
    for c in clients:
        c.close()
    assert origin.hits("/a") == 1


@pytest.mark.parametrize("directive", [DROP, SORT], ids=["drop", "sort"])
def test_purge_reaches_it_however_it_is_written(cached, origin, directive):
    asked, args = ARGS[directive]
    origin.handle("/a", lambda r: Reply(r.target, headers=FRESH))
    n = cached(directive)
    for purge in (asked, args):
        n.get(f"/a?{asked}")
        assert n.get(f"/a?{args}").cache == "HIT"
        n.purge(f"/a?{purge}")
        assert n.get(f"/a?{args}").cache == "MISS"
