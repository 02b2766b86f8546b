"""nginx -t after a migration: directives of nginx's own caches that are left beside slab_cache, and say nothing to it."""
import itertools
import re

import pytest
from harness.wait import wait_until

FAMILIES = ("proxy", "fastcgi", "uwsgi", "scgi")
PASS = {"proxy": "proxy_pass http://127.0.0.1:1;", **{f: f"{f}_pass 127.0.0.1:1;" for f in FAMILIES[1:]}}
OURS = {"cache_bypass": "slab_cache_bypass", "no_cache": "slab_no_cache"}


def warnings(n, **kw):
    code, said = n.test_config(**kw)
    assert code == 0, said
    return [line for line in said.splitlines() if "[warn]" in line]


def line_of(n, text):
    """file:line of what stands once in the configuration."""
    lines = [i for i, line in enumerate(n.text.splitlines(), 1) if text in line]
    assert len(lines) == 1, (text, lines)
    return f"{n.prefix}/nginx.conf:{lines[0]}"


@pytest.mark.parametrize("family, what", itertools.product(FAMILIES, OURS))
def test_leftover_in_a_location_is_told_with_both_places_and_the_remedy(nginx, family, what):
    told = warnings(nginx, location=f"""location / {{
        slab_cache one;
        {family}_{what} $cookie_session;
        {PASS[family]}
    }}""")
    assert len(told) == 1, told
    assert f'"{family}_{what}" in {line_of(nginx, f"{family}_{what} ")} ' in told[0]
    assert f'"slab_cache" in {line_of(nginx, "slab_cache one")}:' in told[0]
    assert f'"{OURS[what]}"' in told[0]


def test_field_that_only_nginx_can_ignore_is_told(nginx):
    told = warnings(nginx, location="location / { slab_cache one; slab_cache_ignore_headers Expires x-accel-redirect Vary; proxy_pass http://127.0.0.1:1; }")
    assert len(told) == 1 and ('"x-accel-redirect" in "slab_cache_ignore_headers" has no effect: the redirect is nginx\'s, use for example '
                               '"proxy_ignore_headers x-accel-redirect"') in told[0], told


@pytest.mark.parametrize("family, level", itertools.product(FAMILIES, ("http", "server")))
def test_leftover_is_told_at_whatever_level_it_stands(nginx, family, level):
    told = warnings(nginx, **{level: f"{family}_no_cache $cookie_session;"},
                    location=f"location / {{ slab_cache one; {PASS[family]} }}")
    assert len(told) == 1 and f'"{family}_no_cache" in {line_of(nginx, "_no_cache")}' in told[0], told


@pytest.mark.parametrize("conf", [
    dict(http="slab_cache one; proxy_no_cache $cookie_a;", location="location / { proxy_pass http://127.0.0.1:1; }"),
    dict(server="slab_cache one; proxy_no_cache $cookie_a;", location="location / { proxy_pass http://127.0.0.1:1; }"),
    dict(server="slab_cache one;", location="location / { proxy_no_cache $cookie_a; proxy_pass http://127.0.0.1:1; }"),
    dict(location="location / { slab_cache one; proxy_no_cache $cookie_a; location /x { proxy_pass http://127.0.0.1:1; } }"),
    dict(location="location / { slab_cache one; location /x { proxy_no_cache $cookie_a; proxy_pass http://127.0.0.1:1; } }"),
    dict(location="location / { proxy_no_cache $cookie_a; proxy_pass http://127.0.0.1:1; if ($arg_a) { slab_cache one; } }"),
    dict(location="location @x { slab_cache $cookie_z; proxy_no_cache $cookie_a; proxy_pass http://127.0.0.1:1; }"),
    dict(location="location ~ x { slab_cache one; proxy_cache two; proxy_no_cache $cookie_a; proxy_pass http://127.0.0.1:1; }",
         zone="slab_cache_zone zone=one:16m; proxy_cache_path {prefix}/tmp/cache keys_zone=two:1m;"),
], ids=range(8))
def test_leftover_is_told_wherever_the_cache_is_in_force(nginx, conf):
    conf = {k: v.replace("{prefix}", str(nginx.prefix)) for k, v in conf.items()}
    told = warnings(nginx, **conf)
    assert len(told) == 1 and '"proxy_no_cache" in ' in told[0], told


BOTH = "proxy_cache_bypass $cookie_a; proxy_no_cache $cookie_a;"
CACHE = "slab_cache_zone zone=one:16m; proxy_cache_path {prefix}/tmp/cache keys_zone=two:1m;"


@pytest.mark.parametrize("conf", [
    # off, or not there
    dict(location=f"location / {{ {BOTH} proxy_pass http://127.0.0.1:1; }}"),
    dict(server="slab_cache one;", location=f"location / {{ slab_cache off; {BOTH} proxy_pass http://127.0.0.1:1; }}"),
    dict(location=f"location /a {{ slab_cache one; proxy_pass http://127.0.0.1:1; }} location /b {{ {BOTH} proxy_pass http://127.0.0.1:1; }}"),
    # the counterparts are there
    dict(location=f"location / {{ slab_cache one; {BOTH} slab_cache_bypass $cookie_a; slab_no_cache $cookie_a; proxy_pass http://127.0.0.1:1; }}"),
    dict(server="slab_cache_bypass $cookie_a; slab_no_cache $cookie_a;",
         location=f"location / {{ slab_cache one; {BOTH} proxy_pass http://127.0.0.1:1; }}"),
    # of another upstream module whose cache is in use elsewhere
    dict(http=f"{BOTH}", location="""location / { proxy_cache two; proxy_pass http://127.0.0.1:1; }
                                     location /x { slab_cache one; uwsgi_pass 127.0.0.1:1; }""", zone=CACHE),
    # a server that all its locations take back
    dict(server=f"slab_cache one; {BOTH}",
         location="location / { slab_cache_bypass $cookie_a; slab_no_cache $cookie_a; proxy_pass http://127.0.0.1:1; }"),
], ids=range(7))
def test_nothing_is_told_without_need(nginx, conf):
    conf = {k: v.replace("{prefix}", str(nginx.prefix)) for k, v in conf.items()}
    assert warnings(nginx, **conf) == []


def test_each_of_the_two_wants_its_own_counterpart(nginx):
    told = warnings(nginx, location=f"""location / {{ slab_cache one; {BOTH} slab_cache_bypass $cookie_a; proxy_pass http://127.0.0.1:1; }}""")
    assert len(told) == 1 and '"proxy_no_cache"' in told[0], told


def test_leftover_that_many_locations_inherit_is_told_once(nginx):
    many = " ".join(f"location /{i} {{ slab_cache one; proxy_pass http://127.0.0.1:1; }}" for i in range(20))
    assert len(warnings(nginx, server=BOTH, location=many)) == 2


def test_leftover_in_an_included_file_is_told_with_that_file(nginx):
    (nginx.prefix / "proxy.inc").write_text("\n\nproxy_no_cache $cookie_a;\n")
    told = warnings(nginx, location=f"location / {{ slab_cache one; include {nginx.prefix}/proxy.inc; proxy_pass http://127.0.0.1:1; }}")
    assert len(told) == 1 and f'"proxy_no_cache" in {nginx.prefix}/proxy.inc:3 ' in told[0], told


@pytest.mark.parametrize("family, level", itertools.product(FAMILIES, ("http", "server", "location")))
def test_key_that_tells_more_apart_than_the_url_is_told(nginx, family, level):
    key = f'{family}_cache_key "$scheme$host$request_uri$cookie_session";'
    conf = {level: key} if level != "location" else {}
    told = warnings(nginx, **conf | {"location": f"location / {{ slab_cache one; {key if level == 'location' else ''} {PASS[family]} }}"})
    assert len(told) == 1 and f'"{family}_cache_key" in {line_of(nginx, "_cache_key")}' in told[0] and '"slab_cache_key" with the same values' in told[0], told


@pytest.mark.parametrize("conf", [
    dict(location='location / { slab_cache one; proxy_cache_key $scheme$request_method$host:$server_port$request_uri$slice_range; proxy_pass http://127.0.0.1:1; }'),
    dict(location='location / { slab_cache one; slab_cache_key $uri; proxy_cache_key $uri$cookie_a; proxy_pass http://127.0.0.1:1; }'),
    dict(server="proxy_cache_key $uri$cookie_a;", location="location / { slab_cache one; proxy_cache_key $uri; proxy_pass http://127.0.0.1:1; }"),
    dict(location="location / { proxy_cache_key $uri$cookie_a; proxy_pass http://127.0.0.1:1; } location /x { slab_cache one; proxy_pass http://127.0.0.1:1; }"),
], ids=range(4))
def test_key_that_says_what_the_default_does_is_not_told(nginx, conf):
    assert warnings(nginx, **conf) == []


# ---- $upstream_cache_status ---------------------------------------------------------------------------------------
PLAIN = "location / { slab_cache one; proxy_pass http://127.0.0.1:1; }"


@pytest.mark.parametrize("conf", [
    dict(server="add_header X-Old $upstream_cache_status;", location=PLAIN),
    dict(http="log_format old '$upstream_cache_status';", location=PLAIN),
    dict(http="map $upstream_cache_status $old { default x; }", location=PLAIN),
    dict(location='location / { slab_cache one; add_header X-Old "a${upstream_cache_status}"; proxy_pass http://127.0.0.1:1; }'),
    dict(location='location / { slab_cache one; if ($upstream_cache_status) { return 204; } proxy_pass http://127.0.0.1:1; }'),
], ids=range(5))
def test_status_of_nginxs_own_caches_is_told_where_none_is_on(nginx, conf):
    told = warnings(nginx, **conf)
    assert len(told) == 1 and "$slab_cache_status has the same words" in told[0], told
    assert line_of(nginx, "upstream_cache_status") in told[0]


@pytest.mark.parametrize("conf", [
    dict(server="add_header X-Old $upstream_cache_status;", location="location / { proxy_pass http://127.0.0.1:1; }"),
    dict(server="add_header X-Old $upstream_cache_status;", location=PLAIN + " location /x { proxy_cache two; proxy_pass http://127.0.0.1:1; }"),
    dict(location=PLAIN.replace("one;", "one; proxy_cache two; add_header X-Old $upstream_cache_status;")),
], ids=range(3))
def test_status_of_nginxs_own_caches_is_not_told_where_one_is_on_or_ours_is_not(nginx, conf):
    zone = CACHE.replace("{prefix}", str(nginx.prefix))
    assert warnings(nginx, zone=zone, **conf) == []


# ---- the tables of other modules are put back ---------------------------------------------------------------------
def test_reload_after_a_configuration_with_an_error_and_one_without_the_module(cached, origin):
    origin.reply("/a", "x", headers=["Cache-Control: max-age=60"])
    n = cached("proxy_no_cache $cookie_a;")
    told = n.error_log().count('"proxy_no_cache" in ')
    assert told == 1
    n.expect_log("unknown directive")
    good = n.text
    n.write(good.replace("slab_cache_purge", "no_such_directive"))
    n.process.send_signal(1)
    wait_until(lambda: "unknown directive" in n.error_log(), "the error")
    n.reload(location=f"location / {{ slab_cache one; proxy_no_cache $cookie_a; proxy_pass http://{origin.address}; }}")
    wait_until(lambda: n.error_log().count('"proxy_no_cache" in ') == 2, "it is told once more")
    assert n.get("/a").status == 200
    # Our code is unloaded now: a table that still pointed into it would be the end of the master at the next reload.
    for _ in range(2):
        old = set(n.workers())
        n.write(re.sub(r"load_module[^;]*;|slab_cache[^;]*;|add_header[^;]*;", "", n.config(
            location=f"location / {{ proxy_no_cache $cookie_a; proxy_pass http://{origin.address}; }}")))
        n.process.send_signal(1)
        wait_until(lambda: n.workers() and not set(n.workers()) & old, "new workers")
    assert n.get("/a").status == 200
