"""The Python client against a real nginx: what it purges is gone, what it pushes is served, what is refused is said."""
import importlib.util
import json
import pathlib
import re
import shutil
import subprocess
import sys

import pytest
from harness.nginx import TOP
from harness.origin import Reply

spec = importlib.util.spec_from_file_location("slab_cache", TOP / "clients/python/slab_cache.py")
slab_cache = importlib.util.module_from_spec(spec)
sys.modules["slab_cache"] = slab_cache
spec.loader.exec_module(slab_cache)
Cache = slab_cache.Cache
SECRET = b"a secret of more than sixteen bytes"


def tagged(request):
    return Reply(f"page {request.target}", headers=["Cache-Control: max-age=600", f"Surrogate-Key: all {request.target.strip('/')}"])


@pytest.fixture
def site(cached, origin):
    """site.nginx, site.cache, and site.is_cached(path)."""
    class Site:
        nginx = cached()
        base = f"http://localhost:{nginx.port}"
        api = f"http://127.0.0.1:{nginx.port}/_cache/"
        cache = Cache(api, zone="one")

        def get(self, path, *headers):
            return self.nginx.get(path, *headers, host=f"localhost:{self.nginx.port}")

        def is_cached(self, path):
            return self.get(path).cache == "HIT"

        def warm(self, *paths):
            for path in paths:
                self.get(path)
                assert self.is_cached(path)

    origin.handle("*", tagged)
    return Site()


# ---- purging ------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("what", [
    lambda base: ([base + "/a/x"], {}),
    lambda base: ([], {"tags": ["a/x"]}),
    lambda base: ([], {"tags_all": ["all", "a/x"]}),
    lambda base: ([], {"tags_all": ["all"], "without": ["b"]}),
    lambda base: ([], {"prefixes": [base + "/a/"]}),
    lambda base: ([], {"globs": [base + "/*/x"]}),
], ids=["url", "tag", "tags", "tags without", "prefix", "glob"])
def test_purge_takes_what_it_names_and_leaves_the_rest(site, what):
    site.warm("/a/x", "/b")
    urls, lists = what(site.base)
    assert site.cache.purge(*urls, **lists).accepted == 1
    assert not site.is_cached("/a/x") and site.is_cached("/b")


@pytest.mark.parametrize("what", ["hosts", "all"])
def test_purge_of_a_host_or_of_all_takes_every_page(site, what):
    site.warm("/a", "/b")
    site.cache.purge(**({"all": True} if what == "all" else {"hosts": [f"localhost:{site.nginx.port}"]}))
    assert not site.is_cached("/a") and not site.is_cached("/b")


def test_soft_purge_leaves_the_page_for_those_who_come_while_it_is_fetched(site):
    site.warm("/a")
    site.cache.purge(tags=["a"], soft=True)
    assert site.get("/a").cache in ("UPDATING", "EXPIRED", "STALE")     # MISS is what a hard one shows


def test_arguments_of_a_url_are_part_of_it(site):
    site.warm("/q?x=1&y=2", "/q?x=1")
    assert site.cache.explain(site.base + "/q?x=1&y=2")["entries"]
    site.cache.delete(site.base + "/q?x=1&y=2")
    assert not site.is_cached("/q?x=1&y=2") and site.is_cached("/q?x=1")


def test_delete_takes_a_url_with_a_star_literally(site):
    site.warm("/a/*", "/a/b")
    site.cache.delete(site.base + "/a/*")
    assert not site.is_cached("/a/*") and site.is_cached("/a/b")


def test_more_than_one_request_can_take_is_purged_all_the_same(site):
    site.warm("/first", "/last")
    urls = [site.base + "/first"] + [f"{site.base}/{i:080d}" for i in range(20_000)] + [site.base + "/last"]
    assert site.cache.purge(*urls).accepted == 20_002
    assert not site.is_cached("/first") and not site.is_cached("/last")


def test_more_patterns_than_one_request_can_take(site):
    site.warm("/p39/x")
    site.cache.purge(globs=[f"{site.base}/p{i}/*x" for i in range(40)])
    assert not site.is_cached("/p39/x")


@pytest.mark.parametrize("call", [
    lambda c: c.purge(tags="news"),
    lambda c: c.purge(tags=["two words"]),
    lambda c: c.purge(tags=["a,b"]),
    lambda c: c.purge(),
    lambda c: c.purge(""),
    lambda c: c.purge(without=["a"]),
    lambda c: Cache(zone="one"),
    lambda c: Cache("127.0.0.1:8080", zone="one"),
    lambda c: Cache("http://h/", zone="one", secret="short"),
    lambda c: c.push("http://h/", b"", fence=slab_cache.Purged({"another": 1}, 1)),
])
def test_mistakes_in_its_use_are_told_before_anything_is_sent(site, origin, call):
    site.warm("/a")
    with pytest.raises((TypeError, ValueError)):
        call(site.cache)
    assert site.is_cached("/a")


# ---- pushing ------------------------------------------------------------------------------------------------------

def test_push_stores_body_type_status_fields_and_tags(site, origin):
    url = site.base + "/made"
    site.cache.push(url, "<p>\u00e9", ttl=60, status=404, tags=["t1", "t2"], headers={"ETag": '"1"', "X-Own": "yes"})
    got = site.get("/made")
    assert (got.status, got.text, got.cache) == (404, "<p>\u00e9", "HIT") and not origin.requests("/made")
    assert (got.header("Content-Type"), got.header("ETag"), got.header("X-Own")) == ("text/html; charset=utf-8", '"1"', "yes")
    site.cache.purge(tags=["t2"])
    assert not site.is_cached("/made")


def test_pushes_of_two_variants_reach_who_asks_for_each(site):
    for lang in ("de", "en"):
        site.cache.push(site.base + "/v", lang, ttl=60, headers={"Vary": "Accept-Language"}, request_headers={"Accept-Language": lang})
    assert [site.get("/v", f"Accept-Language: {x}").text for x in ("de", "en")] == ["de", "en"]


def test_fence_holds_while_nothing_was_purged_and_refuses_afterwards(site):
    url = site.base + "/a"
    fence = site.cache.purge(url)
    site.cache.push(url, "one", ttl=60, fence=fence)
    assert site.get("/a").text == "one"
    site.cache.purge(url)
    with pytest.raises(slab_cache.PurgedSince) as e:
        site.cache.push(url, "two", ttl=60, fence=fence)
    assert (e.value.status, e.value.reason) == (412, "PURGED_INFLIGHT") and "purge of this URL" in str(e.value)
    assert site.get("/a").text == "page /a"


def test_publish_starts_over_when_the_data_changed_meanwhile(site):
    url, versions = site.base + "/a", iter("12")

    def make():
        version = next(versions)
        if version == "1":
            site.cache.purge(url)
        return version
    site.cache.publish(url, make, ttl=60)
    assert site.get("/a").text == "2" and site.is_cached("/a")


def test_publish_gives_up_in_the_end(site):
    with pytest.raises(slab_cache.PurgedSince):
        site.cache.publish(site.base + "/a", lambda: str(site.cache.purge(site.base + "/a")), tries=2, ttl=60)


# ---- asking -------------------------------------------------------------------------------------------------------

def test_explain_top_and_stats(site):
    site.warm("/a")
    assert site.cache.explain(site.base + "/a", tag="all")["tag"] == {"tag": "all", "present": True}
    assert site.cache.stats()["counters"]["hits"] >= 1
    assert any(row["route"].endswith("/a") for row in site.cache.top("lost"))


def test_entries_are_all_pages_of_what_is_chosen(site):
    paths = [f"/d/{i}" for i in range(130)] + ["/other"]
    site.warm(*paths)
    below = [e["key"].rpartition("|")[2] for e in site.cache.entries(prefix=site.base + "/d/", tag="all")]
    assert sorted(below) == sorted(paths[:-1])
    assert len(list(site.cache.entries())) == 131 and list(site.cache.entries(tag="none")) == []


# ---- nodes --------------------------------------------------------------------------------------------------------

LOCATIONS = "location / {{ slab_cache one; proxy_pass http://{origin}; }} location /_cache/ {{ slab_cache_api write=on {api}; {rules} }}"


@pytest.fixture
def start(make_nginx, origin):
    origin.handle("*", tagged)

    def run(api="", rules="allow 127.0.0.1; deny all;", server=""):
        return make_nginx().start(LOCATIONS.format(origin=origin.address, api=api, rules=rules), server=server)
    return run


def test_unix_socket(start, tmp_path):
    path = tmp_path / "s"
    n = start(server=f"listen unix:{path};", rules="allow unix:; deny all;")
    n.get("/a")
    cache = Cache(f"unix:{path}:/_cache/", zone="one")
    assert Cache(f"http://unix:{path}", zone="one").stats()["entries"] == 1
    cache.purge("http://localhost/a")
    assert n.get("/a").cache == "MISS"


def test_tls(start, certificate, origin):
    import ssl
    cert, key = certificate
    n = start()
    port = n.another_port()
    n.reload(location=LOCATIONS.format(origin=origin.address, api="", rules="allow 127.0.0.1; deny all;"),
             server=f"listen 127.0.0.1:{port} ssl; ssl_certificate {cert}; ssl_certificate_key {key};")
    trusting = ssl.create_default_context()
    trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
    assert Cache(f"https://127.0.0.1:{port}/_cache/", zone="one", tls=trusting).stats()["name"] == "one"
    with pytest.raises(slab_cache.Unreachable, match="(?i)certificate"):
        Cache(f"https://127.0.0.1:{port}/_cache/", zone="one").stats()


def addresses(*nginxes):
    return [f"http://127.0.0.1:{n.port}/_cache/" for n in nginxes]


def test_purges_and_fenced_pushes_go_to_all_nodes(start):
    a, b = start(), start()
    ask = [lambda n=n: n.get("/x", host="example.org") for n in (a, b)]
    for n in ask:
        n()
    cache = Cache(*addresses(a, b), zone="one")
    Cache(*addresses(a), zone="one").purge("http://example.org/other")        # their counters differ from now on
    fence = cache.purge("http://example.org/x")
    assert [n().cache for n in ask] == ["MISS", "MISS"]
    fence = cache.purge("http://example.org/x")
    cache.push("http://example.org/x", "made", ttl=60, fence=fence)
    assert [n().text for n in ask] == ["made", "made"]


def test_a_dead_node_is_named_and_the_others_are_purged(start):
    a, b, dead = start(), start(), start()
    for n in (a, b):
        n.get("/x", host="example.org")
    dead.stop()
    with pytest.raises(slab_cache.NodesFailed) as e:
        Cache(*addresses(dead, a, b), zone="one").purge("http://example.org/x")
    assert set(e.value.errors) == set(addresses(dead)) and set(e.value.answers) == set(addresses(a, b))
    assert isinstance(e.value.errors[addresses(dead)[0]], slab_cache.Unreachable)
    assert [n.get("/x", host="example.org").cache for n in (a, b)] == ["MISS", "MISS"]


# ---- what is refused ----------------------------------------------------------------------------------------------

@pytest.mark.parametrize("kind, zone, call, request_", [
    (slab_cache.NotFound, "nosuch", lambda c: c.purge(all=True), ("nosuch/purge", "POST", b'{"all": true}')),
    (slab_cache.Refused, "one", lambda c: c.purge("non sense"), ("one/purge", "POST", b'{"urls": ["non sense"]}')),
    (slab_cache.Refused, "one", lambda c: c.top("nonsense"), ("one/top?by=nonsense&n=20", "GET", None)),
    (slab_cache.Refused, "one", lambda c: c.push("http://h/a", "x"), ("one/entry?url=http%3A%2F%2Fh%2Fa&status=200", "PUT", b"x")),
])
def test_errors_carry_the_words_of_the_server(site, kind, zone, call, request_):
    path, method, body = request_
    answer = site.nginx.request(f"/_cache/v1/zones/{path}", method, headers=["Content-Type: application/json"], body=body)
    problem = json.loads(answer.body)
    with pytest.raises(kind) as e:
        call(Cache(site.api, zone=zone))
    assert (e.value.status, e.value.title, e.value.detail) == (answer.status, problem["title"], problem["detail"]) and problem["detail"]
    assert e.value.reason == problem.get("reason", "") and str(e.value) == f"{site.api}: {answer.status} {problem['title']}: {problem['detail']}"


def test_a_node_that_is_away_is_unreachable(site):
    site.nginx.stop()
    with pytest.raises(slab_cache.Unreachable, match="refused"):
        site.cache.stats()


def test_a_location_that_may_not_write_says_so(nginx):
    nginx.start("location /_cache/ { slab_cache_api; allow 127.0.0.1; deny all; }")
    with pytest.raises(slab_cache.Forbidden, match="403 read only: .*write=on"):
        Cache(*addresses(nginx), zone="one").purge(all=True)


def test_a_body_above_nginx_s_own_bound_is_refused_in_words(site):
    with pytest.raises(slab_cache.Refused, match="413 Request Entity Too Large"):
        site.cache.push(site.base + "/big", b"x" * 3_000_000, ttl=60)


# ---- signing ------------------------------------------------------------------------------------------------------

@pytest.fixture
def signed(start, tmp_path):
    path = tmp_path / "secret"
    path.write_bytes(SECRET + b"\n")
    return start(api=f"secret={path}", rules=""), path


def test_signed_requests_of_every_kind_are_taken(signed):
    n, path = signed
    cache = Cache(*addresses(n), zone="one", secret_file=path)
    n.get("/a", host="example.org")
    fence = cache.purge("http://example.org/a", tags=["x"])
    cache.push("http://example.org/a", "made", ttl=60, status=203, tags=["t", "u"], fence=fence, headers=[
        ("Vary", "Accept-Language"), ("X-Own", "yes"), ("Link", "</a>; rel=preload"), ("Link", "</b>; rel=preload")],
        request_headers={"Accept-Language": "de"})
    assert n.get("/a", "Accept-Language: de", host="example.org").text == "made"
    cache.delete("http://example.org/a?x=\u00e9 &y=1")
    assert cache.explain("http://example.org/a?b=1", tag="t") and cache.stats() and cache.top("hits", n=3) is not None


def test_another_secret_is_refused(signed):
    n, _ = signed
    for call in (lambda c: c.stats(), lambda c: c.purge(all=True), lambda c: c.push("http://example.org/a", "x", ttl=60)):
        with pytest.raises(slab_cache.Unauthorized, match="401 unauthorized: "):
            call(Cache(*addresses(n), zone="one", secret=SECRET + b"2"))


def test_what_says_what_to_do_is_under_the_signature():
    sign = slab_cache.authorization
    plain = sign(SECRET, "PUT", "/x", b"b", [("Content-Type", "a")])
    assert plain != sign(SECRET, "PUT", "/x", b"b", [("Content-Type", "b")])
    assert plain == sign(SECRET, "PUT", "/x", b"b", [("Content-Type", "a"), ("User-Agent", "c")])


def test_it_is_one_file_that_needs_nothing_but_python(tmp_path):
    copy = tmp_path / "slab_cache.py"
    copy.write_bytes(pathlib.Path(slab_cache.__file__).read_bytes())
    p = subprocess.run([sys.executable, "-S", "-I", "-c", f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import slab_cache; "
                        "slab_cache.cache_tags('a')(lambda: 0); print(slab_cache.__version__)"],
                       capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    assert p.returncode == 0 and p.stdout.strip() == slab_cache.__version__, p.stderr


def test_what_its_readme_shows_runs(cached, origin):
    origin.handle("*", tagged)
    n = cached(zone="slab_cache_zone zone=pages:16m; slab_cache_zone zone=one:16m;")
    n.reload(location=f"""location / {{ slab_cache pages; proxy_pass http://{origin.address}; }}
                          location /_cache/ {{ slab_cache_api write=on; allow 127.0.0.1; deny all; }}""",
             zone="slab_cache_zone zone=pages:16m; slab_cache_zone zone=one:16m;")
    blocks = re.findall(r"```python\n(.*?)```", (TOP / "clients/python/README.md").read_text(), re.S)
    assert len(blocks) == 6          # the third and the fourth: w_fleet_clients_test.py, w_tier_client_test.py
    names = {}
    for block in blocks[:2]:
        exec(block.replace("127.0.0.1:8080", f"127.0.0.1:{n.port}"), names)      # noqa: S102 - our own file
    got = n.get("/report", host=f"127.0.0.1:{n.port}")
    assert (got.text, got.cache) == ("<p>made after the purge", "HIT")


def has_python(modules):
    return subprocess.run(["/usr/bin/python3", "-c", f"import {modules}"], capture_output=True, check=False).returncode == 0


@pytest.mark.skipif(not has_python("setuptools, wheel, pip"), reason="no python3-pip, python3-setuptools, python3-wheel")
def test_it_is_a_package_too(tmp_path):
    copy = tmp_path / "source"
    shutil.copytree(TOP / "clients/python", copy)
    p = subprocess.run(["/usr/bin/python3", "-m", "pip", "wheel", "-q", "--no-index", "--no-deps", "--no-build-isolation",
                        "-w", tmp_path, copy],
                       capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    assert p.returncode == 0, p.stderr
    assert [w.name for w in tmp_path.glob("*.whl")] == [f"slab_cache-{slab_cache.__version__}-py3-none-any.whl"]
