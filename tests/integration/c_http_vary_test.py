"""HTTP: Vary, variants side by side, normalisation, slab_cache_vary."""
import threading

import pytest
from harness.nginx import PATIENT
from harness.origin import Reply, request_header
from harness.rules import second_answers
from harness.wait import wait_until

FRESH = "Cache-Control: max-age=600"


def echo(*names, vary=None, lines=()):
    """Answers with the request's values of these fields, and varies on them."""
    return lambda r: Reply("|".join(request_header(r, n) or "-" for n in names), headers=[FRESH, f"Vary: {vary or ', '.join(names)}", *lines])


def ask(n, *requests, path="/a"):
    """(status, body) of each request, a list of header lines."""
    return [((a := n.get(path, *lines)).cache, a.text) for lines in requests]


def same(cached, origin, field, first, second, directives="", vary=None):
    """Does a request with header lines `second` get what was stored for `first`?"""
    origin.handle("/a", lambda r: Reply("body", headers=[FRESH, f"Vary: {vary or field}"]))
    n = cached(directives)
    assert n.get("/a", *first).cache == "MISS"
    return n.get("/a", *second).cache == "HIT"


def test_variants_live_side_by_side(cached, origin):
    origin.handle("/a", echo("Foo"))
    n = cached()
    assert ask(n, ["Foo: 1"], ["Foo: 2"], ["Foo: 1"], ["Foo: 2"], ["Foo: 3"], [], ["Foo: 1"], [], ["Foo: 3"]) == [
        ("MISS", "1"), ("MISS", "2"), ("HIT", "1"), ("HIT", "2"), ("MISS", "3"), ("MISS", "-"), ("HIT", "1"), ("HIT", "-"), ("HIT", "3")]


def test_all_fields_of_all_lines_count(cached, origin):
    origin.handle("/a", echo("Foo", "Bar", "Baz", vary="Foo", lines=["Vary: bar", "VARY: Baz"]))
    n = cached()
    one = ["Foo: 1", "Bar: 1", "Baz: 1"]
    assert ask(n, one, one, ["Foo: 1", "Bar: 1", "Baz: 2"], ["Foo: 1", "Bar: 2", "Baz: 1"], ["Foo: 2", "Bar: 1", "Baz: 1"], ["Foo: 1", "Bar: 1"], one) == [
        ("MISS", "1|1|1"), ("HIT", "1|1|1"), ("MISS", "1|1|2"), ("MISS", "1|2|1"), ("MISS", "2|1|1"), ("MISS", "1|1|-"), ("HIT", "1|1|1")]


def test_other_fields_do_not_count(cached, origin):
    assert same(cached, origin, "Foo", ["Foo: 1", "Other: 1"], ["Foo: 1", "Other: 2"])


def test_name_of_the_field_is_read_in_any_case(cached, origin):
    origin.handle("/a", echo("Foo", vary="fOo"))
    assert ask(cached(), ["FOO: 1"], ["foo: 1"], ["Foo: 2"]) == [("MISS", "1"), ("HIT", "1"), ("MISS", "2")]


@pytest.mark.parametrize("lines", [["Vary: *"], ["Vary: Foo, *"], ["Vary: *, Foo"], ["Vary: Foo", "Vary: *"], ["Vary: *", "Vary: Foo"], ["Vary: , *"]])
def test_star_is_never_reused(cached, origin, lines):
    origin.reply("/a", "body", headers=[FRESH, *lines])
    n = cached()
    assert {n.get("/a", "Foo: 1").cache for _ in range(3)} == {"MISS"}
    assert origin.hits("/a") == 3


@pytest.mark.parametrize("first, second, equal", [
    (["Foo: 1, 2"], ["Foo: 1,2"], True), (["Foo: 1 , 2"], ["Foo: 1,\t2"], True), (["Foo: 1", "Foo: 2"], ["Foo: 1, 2"], True),
    (["Foo:   1  "], ["Foo: 1"], True), (["Foo: 1, 2"], ["Foo: 2, 1"], False), (["Foo: 1 2"], ["Foo: 12"], False), (["Foo: a"], ["Foo: A"], False),
    ([], ["Foo:"], False), (["Foo:"], [], False), (["Foo:"], ["Foo:"], True), ([], [], True), (['Foo: "a , b"'], ['Foo: "a,b"'], False),
    (["Foo: 1"], ["Foo: 1", "Foo: 1"], False)])
def test_values_compare_after_combining_lines_and_dropping_blanks_around_commas(cached, origin, first, second, equal):
    assert same(cached, origin, "Foo", first, second) == equal


@pytest.mark.parametrize("first, second, equal", [("de, en;q=0.5", "DE,EN;q=0.5", True), ("de", "en", False), ("de, en", "en, de", False)])
def test_accept_language_compares_in_any_case(cached, origin, first, second, equal):
    assert same(cached, origin, "Accept-Language", [f"Accept-Language: {first}"], [f"Accept-Language: {second}"]) == equal


@pytest.mark.parametrize("first, second, equal", [
    ("gzip", "GZIP;q=0.5", True), ("gzip, br", "br,gzip", True), ("gzip, deflate", "gzip", True), ("gzip", "gzip, br", False), ("gzip;q=0", "identity", True),
    ("gzip;q=0", "gzip", False), ("gzip, *", "gzip, br, zstd", True), ("gzip", "", False)])
def test_accept_encoding_is_normalised_to_what_can_be_stored(cached, origin, first, second, equal):
    assert same(cached, origin, "Accept-Encoding", [f"Accept-Encoding: {first}"], [f"Accept-Encoding: {second}"]) == equal


def test_encoded_variants_reach_only_those_who_accept_them(cached, origin):
    def answer(r):
        packed = "gzip" in (request_header(r, "Accept-Encoding") or "")
        return Reply("packed" if packed else "plain", headers=[FRESH, "Vary: Accept-Encoding", *(["Content-Encoding: gzip"] if packed else [])])
    origin.handle("/a", answer)
    n = cached()
    assert ask(n, ["Accept-Encoding: gzip"], [], ["Accept-Encoding: gzip, foo"], ["Accept-Encoding: identity"], [], ["Accept-Encoding: gzip"]) == [
        ("MISS", "packed"), ("MISS", "plain"), ("HIT", "packed"), ("MISS", "plain"), ("HIT", "plain"), ("HIT", "packed")]


def test_unknown_encoding_is_no_variant(cached, origin):
    cases = {e: [FRESH, "Vary: Accept-Encoding", f"Content-Encoding: {e}"] for e in ("gzip", "br", "zstd", "deflate", "compress", "gzip, br")}
    seen = second_answers(cached(), origin, cases)
    assert {e for e, s in seen.items() if s == "HIT"} == {"gzip", "br", "zstd"}


def test_fill_sends_the_clients_own_values(cached, origin):
    origin.handle("/a", echo("Foo", "Accept-Encoding", "Accept-Language", "Cookie"))
    n = cached()
    lines = ["Foo: a, b", "Accept-Encoding: br;q=0.5, deflate", "Accept-Language: De", "Cookie: x=1"]
    # ... but for Accept-Encoding, of which it says what the key says
    assert ask(n, lines) == [("MISS", "a, b|br|De|x=1")]


def test_responses_may_differ_in_what_they_vary_on(cached, origin):
    def answer(r):
        foo, bar = (request_header(r, n) for n in ("Foo", "Bar"))
        return Reply(f"{foo}|{bar}", headers=[FRESH, "Vary: Foo, Bar" if foo == "1" else "Vary: Foo"])
    origin.handle("/a", answer)
    n = cached()
    one, two = ["Foo: 1", "Bar: 1"], ["Foo: 2", "Bar: 1"]
    ask(n, one, two)
    assert ask(n, one, two, ["Foo: 2", "Bar: 9"]) == [("HIT", "1|1"), ("HIT", "2|1"), ("HIT", "2|1")]
    assert ask(n, ["Foo: 1", "Bar: 2"]) == [("MISS", "1|2")]


def test_variants_are_filled_at_the_same_time_each_once(cached, origin):
    gate = threading.Event()
    origin.reply("/warm", "x", headers=[FRESH])
    origin.handle("/a", lambda r: Reply(request_header(r, "Foo"), headers=[FRESH, "Vary: Foo"], before=gate))
    n = cached(PATIENT, workers=2)
    clients = [(str(i % 3), n.connect()) for i in range(12)]
    for value, c in clients:
        c.send("/a", headers=[f"Foo: {value}"])
    n.wait_for_waiters(11)
    gate.set()
    assert [c.read_body(c.read_header()).text == value for value, c in clients] == [True] * 12
    for _, c in clients:
        c.close()
    assert origin.hits("/a") == 3


def test_conditions_and_ranges_are_answered_from_the_right_variant(cached, origin):
    origin.handle("/a", lambda r: Reply(f"body of {request_header(r, 'Foo')}", headers=[FRESH, "Vary: Foo", f'ETag: "{request_header(r, "Foo")}"']))
    n = cached()
    ask(n, ["Foo: 1"], ["Foo: 2"])
    assert n.get("/a", "Foo: 1", 'If-None-Match: "1"').status == 304
    assert n.get("/a", "Foo: 2", 'If-None-Match: "1"').status == 200
    assert n.get("/a", "Foo: 2", "Range: bytes=-1").body == b"2"
    assert n.request("/a", "HEAD", headers=["Foo: 2"]).header("ETag") == '"2"'
    assert origin.hits("/a") == 2


def test_304_with_another_vary_is_obeyed(cached, origin):
    replies = [Reply("body", headers=["Cache-Control: max-age=100", "Age: 100", 'ETag: "1"']),
               Reply(status=304, headers=[FRESH, 'ETag: "1"', "Vary: Foo"])]
    origin.handle("/a", lambda r: replies.pop(0) if replies else Reply("other", headers=[FRESH, "Vary: Foo"]))
    n = cached()
    n.get("/a", "Foo: 1")
    assert n.get("/a", "Foo: 1").text == "body"
    assert n.get("/a", "Foo: 2").text == "other"


def test_stale_variant_is_validated_by_itself(cached, origin):
    def answer(r):
        foo = request_header(r, "Foo")
        if request_header(r, "If-None-Match") == f'"{foo}"':
            return Reply(status=304, headers=[FRESH, f'ETag: "{foo}"', "Vary: Foo"])
        return Reply(foo, headers=["Cache-Control: max-age=100", "Age: 100", "Vary: Foo", f'ETag: "{foo}"'])
    origin.handle("/a", answer)
    n = cached()
    assert ask(n, ["Foo: 1"], ["Foo: 2"], ["Foo: 1"], ["Foo: 2"], ["Foo: 1"], ["Foo: 2"]) == [
        ("MISS", "1"), ("MISS", "2"), ("REVALIDATED", "1"), ("REVALIDATED", "2"), ("HIT", "1"), ("HIT", "2")]


def test_variant_that_was_validated_outlives_the_first_lifetime(cached, origin):
    def answer(r):
        if request_header(r, "If-None-Match"):
            return Reply(status=304, headers=["Cache-Control: max-age=7200", 'ETag: "1"', "Vary: Foo"])
        return Reply("body", headers=["Cache-Control: max-age=1, must-revalidate", "Vary: Foo", 'ETag: "1"'])
    origin.handle("/a", answer)
    n = cached("slab_cache_stale if_error=0s; add_header X-Ttl $slab_cache_ttl; add_header X-Cache $slab_cache_status;")
    n.get("/a", "Foo: 1")
    wait_until(lambda: n.get("/a", "Foo: 1").cache == "REVALIDATED", "stale")
    found = n.get("/a", "Foo: 1")
    assert found.cache == "HIT" and int(found.header("X-Ttl")) > 7000


# ---- fields that nginx makes -----------------------------------------------------------------------------------------
DEVICE = "map $http_user_agent $device { ~phone mobile; ~bot ''; default desktop; }"


@pytest.mark.parametrize("where", ["location", "server", "if", "limit_except"])
def test_field_that_nginx_makes_is_what_the_origin_saw(nginx, origin, where):
    origin.handle("*", echo("Device"))
    line, go = "proxy_set_header Device $device;", f"proxy_pass http://{origin.address};"
    inside = {"location": line + go, "server": go, "if": line + "if ($uri) { " + go + " }" + go, "limit_except": line + go + "limit_except POST { allow all; }"}[where]
    nginx.start(http=DEVICE, server=line if where == "server" else "", location="location / { slab_cache one; " + inside + " }")
    assert ask(nginx, ["User-Agent: phone 1"], ["User-Agent: pc"], ["User-Agent: phone 2"], ["User-Agent: pc", "Device: mobile"], ["Device: odd"],
               ["User-Agent: bot"], ["User-Agent: bot", "Device: mobile"]) == [
        ("MISS", "mobile"), ("MISS", "desktop"), ("HIT", "mobile"), ("HIT", "desktop"), ("HIT", "desktop"), ("MISS", "-"), ("HIT", "-")]


def test_field_that_an_outer_level_makes_and_nginx_does_not_send_is_the_clients(nginx, origin):
    origin.handle("*", echo("Device"))
    nginx.start(http=DEVICE + "proxy_set_header Device $device;",
                location=f"location / {{ slab_cache one; proxy_set_header Other 1; proxy_pass http://{origin.address}; }}")
    assert ask(nginx, ["Device: a"], ["Device: b"], ["Device: a", "User-Agent: phone"]) == [("MISS", "a"), ("MISS", "b"), ("HIT", "a")]


# ---- slab_cache_vary -----------------------------------------------------------------------------------------------
def test_max_replaces_the_oldest_variant(cached, origin):
    origin.handle("/a", echo("Foo"))
    n = cached("slab_cache_vary max=2;")
    assert [s for s, _ in ask(n, ["Foo: 1"], ["Foo: 2"], ["Foo: 3"], ["Foo: 3"], ["Foo: 2"], ["Foo: 1"])] == ["MISS", "MISS", "MISS", "HIT", "HIT", "MISS"]


def test_ignored_fields_do_not_count(cached, origin):
    assert same(cached, origin, "Foo, Bar", ["Foo: 1", "Bar: 1"], ["Foo: 2", "Bar: 1"], "slab_cache_vary ignore=foo,User-Agent;")


def test_ignoring_one_field_leaves_the_others(cached, origin):
    assert not same(cached, origin, "Foo, Bar", ["Foo: 1", "Bar: 1"], ["Foo: 1", "Bar: 2"], "slab_cache_vary ignore=Foo;")


@pytest.mark.parametrize("first, second, equal", [("a=1; b=1", "b=2; a=1", True), ("a=1", "a=2", False), ("b=1", "b=2", True), ("a=", "b=1", False),
                                                  ("x=1; c=3; a=1", "a=1; c=3", True), ("a=1", "aa=1; a=1", True)])
def test_cookie_is_reduced_to_the_named_ones(cached, origin, first, second, equal):
    assert same(cached, origin, "Cookie", [f"Cookie: {first}"], [f"Cookie: {second}"], "slab_cache_vary Cookie=a,c;") == equal


@pytest.mark.parametrize("vary, equal", [("Foo", True), ("*", False), ("Foo, *", False)])
def test_off_keeps_one_variant_for_all_but_star(cached, origin, vary, equal):
    assert same(cached, origin, "Foo", ["Foo: 1"], ["Foo: 2"], "slab_cache_vary off;", vary) == equal
