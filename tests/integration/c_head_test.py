"""slab_cache_convert_head: how the origin is asked for a HEAD, and what becomes of its answer."""
import pytest
from harness.origin import Reply, request_header

FRESH = "Cache-Control: max-age=600"
APART = "slab_cache_convert_head off; slab_cache_key $request_method$uri$is_args$args;"


def of_method(r):
    """An object, told by its tag which method made it; seven bytes for a GET."""
    lines = [FRESH, f'ETag: "{r.method}"', "Content-Length: 7"]
    return Reply("" if r.method == "HEAD" else "of get.", headers=lines, framing="none")


def methods(origin, path="/a"):
    return [r.method for r in origin.requests(path)]


def test_head_is_asked_as_get_and_answers_both(cached, origin):
    origin.handle("/a", of_method)
    n = cached()
    assert [n.request("/a", m).cache for m in ("HEAD", "HEAD", "GET")] == ["MISS", "HIT", "HIT"]
    assert methods(origin) == ["GET"]


def test_head_is_asked_as_head_where_it_is_not_converted(cached, origin):
    """An origin may check a signature over the method (S3, presigned URLs)."""
    origin.handle("/a", of_method)
    n = cached("slab_cache_convert_head off;")
    answers = [n.request("/a", "HEAD") for _ in range(2)]
    assert [(a.why, a.header("Content-Length"), a.header("ETag")) for a in answers] == [("METHOD", "7", '"HEAD"')] * 2
    assert methods(origin) == ["HEAD", "HEAD"]
    assert [n.request("/a", m).cache for m in ("GET", "GET", "HEAD")] == ["MISS", "HIT", "HIT"]


def test_head_is_stored_for_heads_where_the_key_has_the_method(cached, origin):
    origin.handle("/a", of_method)
    n = cached(APART)
    answers = [n.request("/a", m) for m in ("HEAD", "HEAD", "GET", "GET", "HEAD")]
    assert [a.cache for a in answers] == ["MISS", "HIT", "MISS", "HIT", "HIT"]
    assert {a.header("Content-Length") for a in answers} == {"7"}
    assert [a.header("ETag") for a in answers] == ['"HEAD"', '"HEAD"', '"GET"', '"GET"', '"HEAD"']
    assert [a.text for a in answers] == ["", "", "of get.", "of get.", ""]
    assert methods(origin) == ["HEAD", "GET"]


def test_connection_goes_on_behind_a_stored_head(cached, origin):
    origin.handle("/a", of_method)
    with cached(APART).connect() as c:
        assert [c.request("/a", m).text for m in ("HEAD", "HEAD", "GET", "HEAD")] == ["", "", "of get.", ""]


def test_a_get_is_never_answered_by_a_head_whatever_the_fields_of_the_key_run_into(cached, origin):
    origin.handle("*", of_method)
    n = cached("slab_cache_convert_head off; slab_cache_key $uri$request_method$args;")
    assert n.request("/aGET?x", "HEAD").cache == "MISS"                   # /aGETHEADx, both of them
    assert [(a.cache, a.text) for a in (n.get("/a?HEADx"), n.get("/a?HEADx"))] == [("MISS", "of get."), ("HIT", "of get.")]


def test_stored_head_is_purged_with_its_url(cached, origin):
    origin.handle("/a", of_method)
    n = cached(APART)
    n.request("/a", "HEAD")
    n.purge("/a")
    assert n.request("/a", "HEAD").cache == "MISS"


def test_stored_head_is_confirmed_by_a_304(cached, origin):
    stale = ["Cache-Control: max-age=100", "Age: 100", 'ETag: "1"', "Content-Length: 7"]
    origin.sequence("/a", Reply("", headers=stale, framing="none"), Reply("", status=304, headers=[FRESH, 'ETag: "1"']))
    n = cached(APART)
    answers = [n.request("/a", "HEAD") for _ in range(3)]
    assert [a.cache for a in answers] == ["MISS", "REVALIDATED", "HIT"]
    assert {a.header("Content-Length") for a in answers} == {"7"}
    assert (methods(origin), request_header(origin.requests("/a")[1], "If-None-Match")) == (["HEAD", "HEAD"], '"1"')


@pytest.mark.parametrize("directives, asked", [
    ("", ["HEAD", "HEAD"]), ("slab_cache_authorization keyed; slab_cache_key $uri$http_authorization;", ["GET"])])
def test_head_with_credentials_is_asked_as_head_where_its_answer_is_its_senders_alone(cached, origin, directives, asked):
    origin.handle("/a", of_method)
    n = cached(directives)
    assert {n.request("/a", "HEAD", headers=["Authorization: SIG HEAD"]).header("Content-Length") for _ in range(2)} == {"7"}
    assert methods(origin) == asked


def test_head_with_credentials_says_nothing_about_what_all_get(cached, origin):
    origin.handle("/a", of_method)
    n = cached()
    n.get("/a")
    n.request("/a", "HEAD", headers=["Authorization: SIG HEAD"])
    assert n.get("/a").cache == "HIT"
