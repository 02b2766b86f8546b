"""HTTP: the syntax of Cache-Control, precedence, no-cache, no-store, CDN-Cache-Control, status, heuristic, Authorization."""
import pytest
from harness.origin import Reply, request_header
from harness.rules import all_of, hits, http_date, second_answers
from harness.wait import wait_until

FRESH = "Cache-Control: max-age=600"
TAG = 'ETag: "1"'


def cc(*values):
    return [f"Cache-Control: {v}" for v in values]


# ---- syntax --------------------------------------------------------------------------------------------------------
def test_directives_are_read_in_any_case_over_several_lines(cached, origin):
    cases = {"MAX-AGE": cc("MAX-AGE=600"), "Max-Age": cc("mAx-aGe=600"), "second line": cc("foo", "max-age=600"),
             "S-MaxAge": cc("S-MaxAge=600"), "name of the field": ["cAcHe-CoNtRoL: max-age=600"],
             "blanks": cc(" ,, foo ,\tmax-age=600 , "), "extensions": cc('a, b=1, c="x y", max-age=600, d=e'), "empty line": cc("", "max-age=600")}
    refused = {"NO-STORE": cc("max-age=600, NO-STORE"), "Private": cc("max-age=600", "Private"), "third": cc("max-age=600", "foo", "no-store")}
    assert hits(cached(), origin, {**cases, **refused}) == all_of(cases)


def test_commas_in_quoted_strings_do_not_separate(cached, origin):
    cases = {"inside only": cc('foo="x, max-age=600"'), "inside, then 0": cc('foo="max-age=600, bar", max-age=0'),
             "escaped quote": cc(r'foo="a\", max-age=600, b"'), "alone in quotes": cc('"max-age=600"')}
    good = {"0 inside": cc('foo="max-age=0, x", max-age=600'), "no-store inside": cc('foo="x, no-store", max-age=600'),
            "escape inside": cc(r'foo="\", no-store, \"", max-age=600'), "over lines": cc('foo="a, b"', "max-age=600")}
    assert hits(cached(), origin, {**cases, **good}) == all_of(good)


def test_single_quotes_are_no_quotes(cached, origin):
    cases = {"number": cc("max-age='600'"), "list": cc("foo='x, max-age=600, y'"), "no-store within": cc("a='b, no-store, c', max-age=600")}
    assert hits(cached(), origin, cases) == {"list"}


def test_lifetimes_of_any_number_of_digits_are_read(cached, origin):
    good = {d: cc(f"max-age={d}") for d in ("600", "0600", "00000000000000000000000000600", "2147483647", "2147483648", "4294967295",
                                           "4294967296", "9223372036854775807", "18446744073709551616", "9" * 99)}
    bad = {d: cc(f"max-age={d}") for d in ("0", "0000", "-600", "600.0", "6e2", "600s", "abc", "", " 600", "0x600", "+600")}
    assert hits(cached(), origin, {**good, **bad}) == all_of(good)


def test_of_repeated_lifetimes_the_first_counts(cached, origin):
    good = {"one line": cc("max-age=600, max-age=0"), "two lines": cc("max-age=600", "max-age=0"), "s-maxage": cc("s-maxage=600, s-maxage=0")}
    bad = {"one line 0": cc("max-age=0, max-age=600"), "two lines 0": cc("max-age=0", "max-age=600"), "nonsense first": cc("max-age=x, max-age=600")}
    assert hits(cached(), origin, {**good, **bad}) == all_of(good)


def test_nonsense_lifetime_is_stale_and_not_a_case_for_valid(cached, origin):
    cases = {v: cc(v) for v in ("max-age=abc", "max-age=-1", "max-age=1.5", "max-age", "s-maxage=abc, max-age=600")}
    assert hits(cached("slab_cache_valid any 1h;"), origin, cases) == set()


def test_quoted_lifetime_is_read(cached, origin):
    assert hits(cached(), origin, {"quoted": cc('max-age="600"')}) == {"quoted"}


def test_unbalanced_quote_stores_nothing(cached, origin):
    assert hits(cached(), origin, {"open": cc('max-age=600, foo="bar')}) == set()


# ---- precedence ----------------------------------------------------------------------------------------------------
LIFETIMES = ["CDN-Cache-Control: max-age={}", "X-Accel-Expires: {}", "Cache-Control: s-maxage={}", "Cache-Control: max-age={}", "Expires: {}"]


def lifetime(line, seconds):
    return line.format(http_date(seconds) if line.startswith("Expires") else seconds)


@pytest.mark.parametrize("high", range(len(LIFETIMES)))
def test_earlier_source_of_freshness_wins_whatever_the_order(cached, origin, high):
    cases = {}
    for low in range(high + 1, len(LIFETIMES)):
        for seconds in (0, 600):
            lines = [lifetime(LIFETIMES[high], seconds), lifetime(LIFETIMES[low], 600 - seconds)]
            cases[high, low, seconds, "first"] = lines
            cases[high, low, seconds, "last"] = lines[::-1]
    assert hits(cached("slab_cache_valid any 0s;"), origin, cases) == {c for c in cases if c[2] == 600}


def test_everything_that_is_explicit_comes_before_valid(cached, origin):
    cases = {line: [lifetime(line, 0)] for line in LIFETIMES}
    assert hits(cached("slab_cache_valid any 1h;"), origin, cases) == set()


def test_valid_comes_before_the_heuristic(cached, origin):
    n = cached("slab_cache_valid any 1s; slab_cache_ttl heuristic=10%; add_header X-Ttl $slab_cache_ttl;")
    origin.reply("/a", "body", headers=[f"Last-Modified: {http_date(-86400)}"])
    n.get("/a")
    assert int(n.get("/a").header("X-Ttl") or 0) <= 1


# ---- no-cache ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("value", ["no-cache", "no-cache, max-age=600", "max-age=600, no-cache", "s-maxage=600, No-Cache"])
def test_no_cache_with_a_validator_is_validated_at_every_use(cached, origin, value):
    origin.handle("/a", lambda r: Reply(status=304, headers=[*cc(value), TAG]) if request_header(r, "If-None-Match") else
                  Reply("body", headers=[*cc(value), TAG]))
    n = cached()
    answers = [n.get("/a") for _ in range(4)]
    assert [a.cache for a in answers] == ["MISS"] + ["REVALIDATED"] * 3
    assert [a.body for a in answers] == [b"body"] * 4
    assert origin.hits("/a") == 4


def test_no_cache_without_a_validator_is_not_stored(cached, origin):
    cases = {v: cc(v) for v in ("no-cache", "no-cache, max-age=600", "max-age=600, no-cache", "no-cache, s-maxage=600")}
    assert set(second_answers(cached(), origin, cases).values()) == {"MISS"}


def test_no_cache_is_never_served_stale(cached, origin):
    origin.sequence("/a", Reply("good", headers=[*cc("no-cache, max-age=600, stale-if-error=600, stale-while-revalidate=600"), TAG]),
                    Reply("bad", status=503))
    n = cached()
    n.get("/a")
    answer = n.get("/a")
    assert (answer.status, answer.body) == (503, b"bad")


@pytest.mark.parametrize("lines", [cc('max-age=600, no-cache="X-One, x-two"'), cc('no-cache="X-One"', "max-age=600", 'no-cache="X-Two"'),
                                   cc("max-age=600, no-cache=X-One, no-cache=x-two"), cc('no-cache="x-one,X-TWO"', "max-age=600"),
                                   [*cc("no-cache=X-One", "no-cache=X-Two"), f"Expires: {http_date(600)}"]])
def test_fields_that_no_cache_names_are_not_replayed(cached, origin, lines):
    origin.reply("/a", "body", headers=[*lines, "X-One: 1", "X-Two: 2", "X-Three: 3"])
    n = cached()
    first, hit = n.get("/a"), n.get("/a")
    assert hit.cache == "HIT"
    assert [hit.header(x) for x in ("X-One", "X-Two", "X-Three")] == [None, None, "3"]
    assert [first.header(x) for x in ("X-One", "X-Two", "X-Three")] == ["1", "2", "3"]


# ---- no-store, private, must-understand ----------------------------------------------------------------------------
def test_no_store_and_private_win_over_any_lifetime(cached, origin):
    cases = {f"{word} with {with_}": [f"Cache-Control: {word}", with_] for word in ("no-store", "private", 'private="x"')
             for with_ in (FRESH, "Cache-Control: s-maxage=600, public", f"Expires: {http_date(600)}", "X-Accel-Expires: 600", TAG)}
    assert hits(cached("slab_cache_valid any 1h;"), origin, cases) == set()


def test_must_understand_lifts_no_store_for_known_statuses(cached, origin):
    lines = cc("must-understand, no-store, max-age=600")
    cases = {s: Reply("body", status=s, headers=lines) for s in (200, 404, 410, 299, 499, 599)}
    assert hits(cached(), origin, cases) == {200, 404, 410}


def test_must_understand_alone_forbids_unknown_statuses(cached, origin):
    lines = cc("must-understand, max-age=600")
    cases = {s: Reply("body", status=s, headers=lines) for s in (200, 299, 599)}
    assert hits(cached(), origin, cases) == {200}


# ---- heuristic, status ---------------------------------------------------------------------------------------------
OLD = f"Last-Modified: {http_date(-86400 * 10)}"


def test_heuristic_is_off_by_default(cached, origin):
    assert hits(cached(), origin, {"last-modified": [OLD], "public": [OLD, *cc("public")]}) == set()


def test_heuristic_holds_for_its_statuses_and_for_public(cached, origin):
    good = {s: Reply("body", status=s, headers=[OLD]) for s in (200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501)}
    public = {f"{s} public": Reply("body", status=s, headers=[OLD, *cc("public")]) for s in (201, 302, 403, 500, 599)}
    bad = {f"{s} bare": Reply("body", status=s, headers=[OLD]) for s in (201, 302, 307, 400, 403, 500, 503, 599)}
    none = {"no last-modified": Reply("body"), "last-modified in the future": Reply("body", headers=[f"Last-Modified: {http_date(600)}"]),
            "no date": Reply("body", headers=["Last-Modified: once"])}
    assert hits(cached("slab_cache_ttl heuristic=10%; slab_cache_use_stale off;"), origin, {**good, **public, **bad, **none}) == \
        all_of({**good, **public})


def test_heuristic_is_that_share(cached, origin):
    origin.reply("/a", "body", headers=[f"Date: {http_date()}", f"Last-Modified: {http_date(-10000)}"])
    n = cached("slab_cache_ttl heuristic=10%; add_header X-Ttl $slab_cache_ttl;")
    n.get("/a")
    assert 990 <= int(n.get("/a").header("X-Ttl")) <= 1001


@pytest.mark.parametrize("line", [FRESH, f"Expires: {http_date(600)}"])
def test_every_final_status_with_explicit_freshness_is_stored(cached, origin, line):
    cases = {s: Reply("body", status=s, headers=[line, "Location: http://localhost/x"] if 300 < s < 309 else [line])
             for s in (200, 201, 202, 203, 204, 205, 207, 226, 299, 300, 301, 302, 303, 307, 308, 399, 400, 401, 403, 404, 405, 410, 414, 418,
                       451, 499, 500, 501, 502, 503, 504, 505, 599)}
    assert hits(cached(), origin, cases) == all_of(cases)


def test_stored_status_comes_back_as_it_was(cached, origin):
    n = cached()
    seen = {}
    for s in (204, 299, 404, 499, 503, 599):
        origin.reply(f"/{s}", "body" if s != 204 else "", status=s, headers=[FRESH])
        first, second = n.get(f"/{s}"), n.get(f"/{s}")
        seen[s] = (first.status, second.status, second.cache, second.body)
    assert seen == {s: (s, s, "HIT", b"body" if s != 204 else b"") for s in seen}


def test_without_freshness_only_what_valid_covers_is_stored(cached, origin):
    cases = {s: Reply("body", status=s) for s in (200, 203, 299, 301, 404, 410, 500, 599)}
    assert hits(cached("slab_cache_valid 404 599 1h;"), origin, cases) == {404, 599}


def test_interim_status_is_never_stored(cached, origin):
    """What follows this 103 is no response, so that it is the last thing that can be read."""
    origin.reply("/a", raw=b"HTTP/1.1 103 Early Hints\r\nCache-Control: max-age=600\r\nContent-Length: 2\r\n\r\nxx"
                           b"HTTP/1.1 200 OK\r\nCache-Control: max-age=600\r\nContent-Length: 4\r\n\r\nbody")
    n = cached("slab_cache_valid any 1h;")
    for _ in range(3):
        with n.connect(timeout=5) as c:
            c.send("/a", headers=["Connection: close"])
            while c.more():
                pass
            assert b"X-Cache: HIT" not in c.buffer
    assert origin.hits("/a") == 3


# ---- Authorization -------------------------------------------------------------------------------------------------
def test_answer_to_authorization_is_stored_only_if_it_may_be_shared(cached, origin):
    n = cached()
    seen = {}
    for i, value in enumerate(("max-age=600", "max-age=600, public", "max-age=600, must-revalidate", "s-maxage=600",
                               "max-age=600, proxy-revalidate", "max-age=600, private, public")):
        origin.reply(f"/{i}", "body", headers=cc(value))
        n.get(f"/{i}", "Authorization: Basic eDp5")
        seen[value] = n.get(f"/{i}").cache, n.get(f"/{i}", "Authorization: Basic eDp6").cache
    assert {v for v, s in seen.items() if s == ("HIT", "HIT")} == {"max-age=600, public", "max-age=600, must-revalidate", "s-maxage=600"}


def test_request_with_authorization_is_not_answered_with_what_may_not_be_shared(cached, origin):
    origin.handle("/a", lambda r: Reply(request_header(r, "Authorization") or "nobody", headers=[FRESH]))
    n = cached()
    assert [n.get("/a").body, n.get("/a", "Authorization: me").body, n.get("/a", "Authorization: you").body, n.get("/a").body] == \
        [b"nobody", b"me", b"you", b"nobody"]
    assert origin.hits("/a") == 3


# ---- requests' own directives --------------------------------------------------------------------------------------
def test_cache_control_and_pragma_of_requests_are_ignored(cached, origin):
    origin.reply("/a", "body", headers=[FRESH, "Age: 300"])
    n = cached()
    n.get("/a", "Cache-Control: no-store")
    asked = ["Cache-Control: no-cache", "Cache-Control: no-store", "Cache-Control: max-age=0", "Cache-Control: min-fresh=9999", "Pragma: no-cache",
             "Cache-Control: only-if-cached"]
    assert {a: n.get("/a", a).cache for a in asked} == {a: "HIT" for a in asked}
    assert n.get("/other", "Cache-Control: only-if-cached").status == 404       # the origin's answer
    assert origin.hits("/a") == 1


# ---- CDN-Cache-Control ---------------------------------------------------------------------------------------------
def cdn(*values):
    return [f"CDN-Cache-Control: {v}" for v in values]


def test_cdn_cache_control_alone_decides(cached, origin):
    good = {"over no-store": [*cdn("max-age=600"), *cc("no-store")], "over private": [*cc("private"), *cdn("max-age=600")],
            "over max-age=0": [*cdn("max-age=600"), *cc("max-age=0")], "over expires": [*cdn("max-age=600"), "Expires: 0"],
            "over s-maxage": [*cdn("max-age=600"), *cc("s-maxage=0")], "over no-cache": [*cdn("max-age=600"), *cc("no-cache")],
            "over x-accel": [*cdn("max-age=600"), "X-Accel-Expires: 0"], "two lines": cdn("foo", "max-age=600"),
            "parameters": cdn("max-age=600;a=b, foo;x=1"), "15 digits": cdn("max-age=999999999999999"), "unknown members": cdn('a=?0, b="x", c=(1 2), max-age=600'),
            "last of repeated": cdn("max-age=0, max-age=600"), "false flags": cdn("max-age=600, no-store=?0, private=?0")}
    bad = {"no-store": [*cdn("no-store"), FRESH], "private": [*cdn("max-age=600, private"), FRESH], "no-cache": [*cdn("no-cache, max-age=600"), FRESH],
           "max-age=0": [*cdn("max-age=0"), FRESH], "nothing of use": [*cdn("foo"), FRESH, f"Expires: {http_date(600)}"], "age counts": [*cdn("max-age=600"), "Age: 700"]}
    assert hits(cached(), origin, {**good, **bad}) == all_of(good)


def test_cdn_cache_control_that_does_not_parse_is_ignored(cached, origin):
    values = ("", "max-age=\"600\"", "max-age=600.0", "max-age=", "max-age", "max-age=abc", "max-age=600,", "MAX-AGE=600", "max-age=1234567890123456",
              "max-age=?1", "&&&", "max-age=600 x", "max-age='600'", "max-age=:NjAw:")
    stored = {f"{v!r}": [*cdn(v), FRESH] for v in values}
    refused = {f"{v!r} no-store": [*cdn(v), *cc("no-store")] for v in values}
    assert hits(cached(), origin, {**stored, **refused}) == all_of(stored)


def test_cdn_cache_control_is_passed_on(cached, origin):
    origin.reply("/a", "body", headers=[*cdn("max-age=600"), *cc("no-store")])
    n = cached()
    answers = [n.get("/a") for _ in range(2)]
    assert [a.cache for a in answers] == ["MISS", "HIT"]
    assert [(a.header("CDN-Cache-Control"), a.header("Cache-Control")) for a in answers] == [("max-age=600", "no-store")] * 2


def test_cdn_no_cache_is_validated_at_every_use(cached, origin):
    origin.sequence("/a", Reply("body", headers=[*cdn("no-cache"), FRESH, TAG]), Reply(status=304, headers=[*cdn("no-cache"), FRESH, TAG]))
    n = cached()
    assert [n.get("/a").cache for _ in range(3)] == ["MISS", "REVALIDATED", "REVALIDATED"]


def test_cdn_windows_and_ends_of_freshness(cached, origin):
    origin.sequence("/a", Reply("old", headers=[*cdn("max-age=1, stale-while-revalidate=60"), *cc("max-age=600")]),
                    Reply("new", headers=cdn("max-age=600")))
    n = cached()
    n.get("/a")
    assert wait_until(lambda: (r := n.get("/a")).cache != "HIT" and r, "stale").body == b"old"
    wait_until(lambda: n.get("/a").body == b"new", "the refresh")
