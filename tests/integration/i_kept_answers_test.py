"""A status and a redirect are answers: kept, served stale, asked about again and replaced as bodies are. The page and the place
are each client's own."""
import pytest
from harness import modules
from harness.origin import Reply, request_header
from harness.wait import wait_until
from x_filters_test import without_cache

FRESH = ["Cache-Control: max-age=600"]
OLD = "Age: 100"
TAG = 'ETag: "1"'
STALE = ["Cache-Control: max-age=100, stale-if-error=600", OLD, TAG]     # without a window of its own it would not be kept
UPDATED = ["Cache-Control: max-age=100, stale-while-revalidate=600", OLD]
GONE = Reply("gone", status=503)


def to(place, lines, **kw):
    return Reply("", headers=[*lines, f"X-Accel-Redirect: {place}"], **kw)


def missing(lines, **kw):
    return Reply("not there", status=404, headers=lines, **kw)


KINDS = {"redirect": (lambda lines: to("/place/one", lines), (200, "place one")), "status": (missing, (404, "sorry"))}


@pytest.fixture
def kept(nginx, origin):
    origin.handle("/place/one", lambda r: Reply("place one", headers=["Cache-Control: no-store"]))
    origin.handle("/place/two", lambda r: Reply("place two", headers=["Cache-Control: no-store"]))
    (nginx.prefix / "html/page.html").write_text("sorry")

    def start(directives=""):
        return nginx.start(f"""
            location / {{ slab_cache one; slab_cache_purge PURGE from 127.0.0.1; {directives}
                          proxy_intercept_errors on; error_page 404 /page.html; proxy_pass http://{origin.address}; }}
            location /place/ {{ internal; proxy_pass http://{origin.address}; }}
            location = /page.html {{ internal; root html; }}""")
    return start


def seen(n, path="/a"):
    answer = n.get(path)
    return answer.status, answer.text


@pytest.mark.parametrize("kind", KINDS)
def test_kept_answer_is_asked_for_once(kept, origin, kind):
    reply, want = KINDS[kind]
    origin.sequence("/a", reply(FRESH), GONE)
    n = kept()
    assert [seen(n) for _ in range(3)] == [want] * 3
    assert origin.hits("/a") == 1


@pytest.mark.parametrize("failure", [GONE, Reply(raw=b"")], ids=["503", "closed"])
@pytest.mark.parametrize("kind", KINDS)
def test_stale_one_is_served_when_the_origin_fails(kept, origin, kind, failure):
    reply, want = KINDS[kind]
    origin.sequence("/a", reply(STALE), failure)
    n = kept()
    assert [seen(n) for _ in range(3)] == [want] * 3
    assert origin.hits("/a") >= 2


@pytest.mark.parametrize("kind", KINDS)
def test_stale_one_is_not_served_where_it_must_not_be(kept, origin, kind):
    reply, want = KINDS[kind]
    origin.sequence("/a", reply(["Cache-Control: max-age=100, must-revalidate", OLD]), GONE)
    n = kept()
    assert [seen(n) for _ in range(2)] == [want, (503, "gone")]


@pytest.mark.parametrize("kind", KINDS)
def test_stale_one_is_served_while_it_is_updated_behind(kept, origin, kind):
    reply, want = KINDS[kind]
    origin.sequence("/a", reply(UPDATED), to("/place/two", FRESH))
    n = kept()
    assert [seen(n) for _ in range(2)] == [want] * 2
    wait_until(lambda: seen(n) == (200, "place two"), "the update")
    assert origin.hits("/a") == 2


@pytest.mark.parametrize("after", ["body", "redirect", "status"])
@pytest.mark.parametrize("before", ["body", "redirect", "status"])
def test_each_kind_replaces_each_other_when_it_is_stale(kept, origin, before, after):
    kinds = {**KINDS, "body": (lambda lines: Reply("body", headers=lines), (200, "body"))}
    origin.sequence("/a", kinds[before][0](STALE), kinds[after][0](FRESH), GONE)
    n = kept("slab_cache_use_stale off; slab_cache_background_update off;")
    assert [seen(n) for _ in range(4)] == [kinds[before][1]] + [kinds[after][1]] * 3
    assert origin.hits("/a") == 2


def test_status_is_not_asked_about_by_its_validators(kept, origin):
    """A 304 would stand for a 200: what is kept is none."""
    origin.sequence("/a", missing([*STALE, "Last-Modified: Mon, 01 Jan 2024 00:00:00 GMT"]), missing(FRESH))
    n = kept("slab_cache_use_stale off; slab_cache_background_update off;")
    assert [seen(n) for _ in range(3)] == [(404, "sorry")] * 3
    assert [[request_header(r, h) for h in ("If-None-Match", "If-Modified-Since")] for r in origin.requests("/a")] == [[None, None]] * 2


def test_redirect_is_confirmed_by_a_304(kept, origin):
    origin.sequence("/a", to("/place/one", STALE), Reply(status=304, headers=[*FRESH, TAG]), GONE)
    n = kept("slab_cache_use_stale off; slab_cache_background_update off;")
    assert [seen(n) for _ in range(4)] == [(200, "place one")] * 4
    assert [request_header(r, "If-None-Match") for r in origin.requests("/a")] == [None, '"1"']


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_purged_as_a_body_is(kept, origin, kind):
    reply, want = KINDS[kind]
    origin.sequence("/a", reply(FRESH), Reply("new", headers=FRESH))
    n = kept()
    assert seen(n) == want
    n.purge("/a")
    assert seen(n) == (200, "new")


@pytest.mark.parametrize("kind", KINDS)
def test_soft_purge_has_it_updated(kept, origin, kind):
    reply, want = KINDS[kind]
    origin.sequence("/a", reply(FRESH), to("/place/two", FRESH))
    n = kept()
    assert seen(n) == want
    n.purge("/a", "Fastly-Soft-Purge: 1")
    wait_until(lambda: seen(n) == (200, "place two"), "the update")
    assert origin.hits("/a") == 2


@pytest.mark.parametrize("kind", KINDS)
def test_its_variants_are_told_apart(kept, origin, kind):
    origin.handle("/a", lambda r: KINDS[kind][0]([*FRESH, "Vary: X-Kind"]) if request_header(r, "X-Kind") == "1" else Reply("body", headers=[*FRESH, "Vary: X-Kind"]))
    n = kept()
    asked = [n.get("/a", f"X-Kind: {i}") for i in (1, 2, 1, 2)]
    assert [(a.status, a.text) for a in asked] == [KINDS[kind][1], (200, "body")] * 2
    assert origin.hits("/a") == 2


# ---- what Lua changes before the content ---------------------------------------------------------------------------------
LUA = {
    "a field": 'ngx.req.set_header("X-Tenant", ngx.var.cookie_u or "nobody")',
    "a field in two lines": 'ngx.req.set_header("X-Tenant", {ngx.var.cookie_u or "nobody", "and more"})',
    "no field": 'ngx.req.clear_header("X-Tenant")',
    "cookies taken away": 'ngx.req.set_header("X-Tenant", ngx.var.cookie_u or "nobody"); ngx.req.clear_header("Cookie")',
    "the host": 'ngx.req.set_header("Host", (ngx.var.cookie_u or "nobody") .. ".example")',
    "arguments": 'ngx.req.set_uri_args({tenant = ngx.var.cookie_u or "nobody"})',
    "the path": 'ngx.req.set_uri("/of/" .. (ngx.var.cookie_u or "nobody"), false)',
    "a variable": 'ngx.var.tenant = ngx.var.cookie_u or "nobody"',
    "no coding": 'ngx.req.clear_header("Accept-Encoding")',
}


@pytest.mark.parametrize("phase", ["rewrite", "access"])
@pytest.mark.parametrize("what", LUA)
def test_what_lua_changes_before_is_what_the_origin_and_the_variants_see(make_nginx, origin, what, phase):
    modules.need("http_lua")
    names = ("X-Tenant", "Cookie", "Host", "Accept-Encoding", "X-Variable")
    origin.handle("*", lambda r: Reply(f"{r.target} " + " ".join(f"{n}={','.join(v)}" for n in names if (v := [
        x.partition(": ")[2] for x in r.lines if x.lower().startswith(n.lower() + ":")])),
        headers=[*FRESH, "Vary: X-Tenant, X-Variable, Cookie"]))
    location = f"""location / {{ slab_cache one; set $tenant ""; {phase}_by_lua_block {{ {LUA[what]} }}
        proxy_set_header Host $http_host; proxy_set_header X-Variable $tenant; proxy_pass http://{origin.address}; }}"""
    both = make_nginx(), make_nginx()
    text = [n.config(location=location, main=modules.load("http_lua"), http=modules.LUA_PATH) for n in both]
    both[0].start(text=text[0])
    both[1].start(text=without_cache(text[1]))
    hits = 0
    for _ in range(2):
        for who in ("alice", "bob", None):
            lines = [f"Cookie: u={who}"] * bool(who) + ["X-Tenant: forged"] * (what != "a variable")
            got, want = (n.get("/x", *lines) for n in both)
            assert got.text == want.text, (what, phase, who)
            hits += got.cache == "HIT"
    assert hits == 3
