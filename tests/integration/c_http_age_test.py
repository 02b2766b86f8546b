"""HTTP: Age in and out, Date, Expires, the syntax of dates."""
import threading
import time
from email.utils import parsedate_to_datetime

import pytest
from harness.nginx import VERSION
from harness.origin import Reply
from harness.rules import all_of, hits, http_date
from harness.wait import wait_until

FRESH = "Cache-Control: max-age=600"


# ---- Age in --------------------------------------------------------------------------------------------------------
def test_age_received_uses_up_the_lifetime(cached, origin):
    cases = {f"age {a} of 600": (FRESH, f"Age: {a}") for a in (0, 1, 590, 600, 601, 7200)}
    assert hits(cached(), origin, cases) == {"age 0 of 600", "age 1 of 600", "age 590 of 600"}


def test_age_that_is_no_bare_integer_is_ignored(cached, origin):
    cases = {a: (FRESH, f"Age: {a}") for a in ("abc", "-7200", "7200.0", "7200 s", "7,200x", "'7200'", '"7200"', "+7200", "")}
    assert hits(cached(), origin, cases) == all_of(cases)


def test_first_member_of_the_first_age_line_counts(cached, origin):
    cases = {"7200, 0": (FRESH, "Age: 7200, 0"), "two lines, the first old": (FRESH, "Age: 7200", "Age: 0"),
             "0, 7200": (FRESH, "Age: 0, 7200"), "two lines, the first young": (FRESH, "Age: 0", "Age: 7200")}
    assert hits(cached(), origin, cases) == {"0, 7200", "two lines, the first young"}


@pytest.mark.parametrize("age", ["2147483647", "2147483648", "4294967296", "18446744073709551617", "9" * 40])
def test_age_saturates_and_never_wraps(cached, origin, age):
    origin.reply("/a", "body", headers=(FRESH, f"Age: {age}", 'ETag: "1"'))
    n = cached()
    n.get("/a")
    assert n.get("/a").cache != "HIT"


def test_time_the_origin_took_counts(cached, origin):
    gate = threading.Event()
    origin.reply("/a", "body", headers=(FRESH, "Age: 598"), before=gate)
    n = cached()
    with n.connect() as c:
        c.send("/a")
        origin.wait_for_hits("/a", 1)
        threading.Event().wait(2.1)         # what is measured is a time
        gate.set()
        c.read_body(c.read_header())
    assert n.get("/a").cache != "HIT"


def test_old_date_makes_a_response_old(cached, origin):
    cases = {"an hour": (FRESH, f"Date: {http_date(-3600)}"), "a minute": (FRESH, f"Date: {http_date(-60)}"),
             "in the future": (FRESH, f"Date: {http_date(3600)}")}
    assert hits(cached(), origin, cases) == {"a minute", "in the future"}


# ---- Age out -------------------------------------------------------------------------------------------------------
def ages(n, path="/a", *headers):
    return n.get(path, *headers).all("Age")


@pytest.mark.parametrize("lines, least", [([], 0), (["Age: 100"], 100), (["Age: 100", "Age: 200"], 100), (["Age: abc"], 0),
                                         (["Age: 2000000000"], 2000000000), (["Date: -50"], 50),
                                         (["Age: 10", "Date: -50"], 50)])
def test_hit_carries_one_age_received_plus_resident(cached, origin, lines, least):
    lines = [x.replace("-50", http_date(-50)) for x in lines]       # of now, not of when the tests were collected
    origin.reply("/a", "body", headers=["Cache-Control: max-age=2147483648", *lines])
    n = cached()
    n.get("/a")
    found = ages(n)
    assert len(found) == 1 and least <= int(found[0]) <= least + 5


@pytest.mark.parametrize("lines, want", [([], []), (["Age: 100"], ["100"]), ([f"Date: {http_date(-50)}"], [])])
def test_miss_passes_the_age_of_the_origin_and_adds_none(cached, origin, lines, want):
    origin.reply("/a", "body", headers=[FRESH, *lines])
    assert ages(cached()) == want


def test_miss_of_a_slow_origin_carries_no_age(cached, origin):
    gate = threading.Event()
    origin.reply("/a", "body", headers=[FRESH], before=gate)
    n = cached()
    with n.connect() as c:
        c.send("/a")
        origin.wait_for_hits("/a", 1)
        threading.Event().wait(1.2)         # what is measured is a time
        gate.set()
        assert c.read_header().all("Age") == []
    assert int(n.get("/a").header("Age")) >= 1      # counted from the request on


@pytest.mark.parametrize("request_lines, status", [(['If-None-Match: "1"'], 304), (["Range: bytes=0-1"], 206)])
def test_other_answers_from_the_store_carry_age_too(cached, origin, request_lines, status):
    origin.reply("/a", "body", headers=[FRESH, "Age: 100", 'ETag: "1"'])
    n = cached()
    n.get("/a")
    answer = n.get("/a", *request_lines)
    assert answer.status == status
    assert len(answer.all("Age")) == 1 and int(answer.header("Age")) >= 100


def test_unstorable_response_keeps_its_own_age(cached, origin):
    origin.reply("/a", "body", headers=["Cache-Control: no-store", "Age: 42"])
    n = cached()
    assert [ages(n) for _ in range(2)] == [["42"], ["42"]]


def test_age_starts_anew_after_a_validation(cached, origin):
    origin.sequence("/a", Reply("body", headers=("Cache-Control: max-age=100", "Age: 100", 'ETag: "1"')),
                    Reply(status=304, headers=(FRESH, 'ETag: "1"')))
    n = cached()
    n.get("/a")
    assert n.get("/a").cache == "REVALIDATED"
    hit = n.get("/a")
    assert hit.cache == "HIT" and int(hit.header("Age")) < 50


def test_age_of_the_304_counts(cached, origin):
    origin.sequence("/a", Reply("body", headers=("Cache-Control: max-age=100", "Age: 100", 'ETag: "1"')),
                    Reply(status=304, headers=(FRESH, 'ETag: "1"', "Age: 200")))
    n = cached()
    n.get("/a"), n.get("/a")
    hit = n.get("/a")
    assert hit.cache == "HIT" and 200 <= int(hit.header("Age")) < 250


# ---- Date ----------------------------------------------------------------------------------------------------------
def test_hit_carries_the_date_of_the_origin_as_it_was(cached, origin):
    dates = [http_date(-50), http_date(-50, "rfc850"), http_date(3600), "nonsense"]
    n = cached()
    for i, date in enumerate(dates):
        origin.reply(f"/{i}", "body", headers=(FRESH, f"Date: {date}"))
        n.get(f"/{i}")
    assert [n.get(f"/{i}").all("Date") for i in range(len(dates))] == [[d] for d in dates]


def test_date_of_receipt_is_kept_where_the_origin_sent_none(cached, origin):
    origin.reply("/a", "body", headers=[FRESH])
    n = cached()
    n.get("/a")
    first = n.get("/a")
    assert len(first.all("Date")) == 1
    assert abs(parsedate_to_datetime(first.header("Date")).timestamp() - time.time()) < 10
    wait_until(lambda: int(n.get("/a").header("Age")) >= 2, "it grows older")
    assert n.get("/a").all("Date") == first.all("Date")


@pytest.mark.parametrize("directives", ["", "proxy_pass_header Date;"])
def test_every_answer_has_a_date_where_the_origin_sent_none(cached, origin, directives):
    tag = 'ETag: "1"'
    stale = ["Cache-Control: max-age=100", "Age: 100"]
    origin.sequence("/a", Reply("body", headers=[*stale, tag]), Reply(status=304, headers=[*stale, tag]), Reply("other", headers=stale))
    n = cached(directives)
    for status in ("MISS", "REVALIDATED", "EXPIRED"):
        answer = n.get("/a")
        assert answer.cache == status
        assert abs(parsedate_to_datetime(answer.header("Date")).timestamp() - time.time()) < 10


# ---- Expires -------------------------------------------------------------------------------------------------------
def test_lifetime_is_expires_minus_date(cached, origin):
    cases = {"expires after date": (f"Date: {http_date()}", f"Expires: {http_date(600)}"),
             "both in the future": (f"Date: {http_date(3600)}", f"Expires: {http_date(3700)}"),
             "before a future date": (f"Date: {http_date(3600)}", f"Expires: {http_date(1800)}"),
             "equal to date": (f"Date: {http_date(3600)}", f"Expires: {http_date(3600)}"),
             "long, but old": (f"Date: {http_date(-3600)}", f"Expires: {http_date(-1800)}"),
             "age uses it up": (f"Date: {http_date()}", f"Expires: {http_date(600)}", "Age: 700"),
             "no date": (f"Expires: {http_date(600)}",),
             "no valid date": ("Date: today", f"Expires: {http_date(600)}"),
             "no date, passed": (f"Expires: {http_date(-10)}",)}
    assert hits(cached(), origin, cases) == {"expires after date", "both in the future", "no date", "no valid date"}


def test_several_or_invalid_expires_are_stale(cached, origin):
    good = http_date(600)
    cases = {"several": (f"Expires: {good}", f"Expires: {good}"), "0": ("Expires: 0",), "-1": ("Expires: -1",), "empty": ("Expires: ",),
             "a number": ("Expires: 600",), "list": (f"Expires: {good}, {good}",)}
    # From 1.23 on nginx drops a second Expires before anybody can see it.
    unseen = {"several"} if VERSION >= (1, 23) else set()
    assert hits(cached("slab_cache_valid any 1h;"), origin, cases) == unseen


# ---- the syntax of dates -------------------------------------------------------------------------------------------
def expires(cases):
    return {name: (f"Date: {http_date()}", f"Expires: {value}") for name, value in cases.items()}


def test_three_formats_are_read_in_any_case(cached, origin):
    forms = {f: http_date(600, f) for f in ("imf", "rfc850", "asctime")}
    cases = expires({**forms, **{f"{k} lower": v.lower() for k, v in forms.items()}, **{f"{k} upper": v.upper() for k, v in forms.items()}})
    assert hits(cached(), origin, cases) == all_of(cases)


def test_any_zone_but_gmt_is_invalid(cached, origin):
    cases = expires({z: http_date(86400, zone=z) for z in ("UTC", "AEST", "EST", "+0000", "+0500", "GMT+1", "Z", "")})
    assert hits(cached(), origin, cases) == set()


def test_digits_commas_and_spaces_of_dates_are_strict(cached, origin):
    good = http_date(600)
    day, rest = good.split(", ")
    d, month, year, clock, _ = rest.split(" ")
    cases = expires({"no comma": good.replace(",", ""), "two spaces": good.replace(", ", ",  "), "no space": good.replace(", ", ","),
                     "one-digit hour": f"{day}, {d} {month} {year} 8:49:37 GMT", "two-digit year": f"{day}, {d} {month} {year[2:]} {clock} GMT",
                     "dots": good.replace(":", "."), "dashes": f"{day}, {d}-{month}-{year} {clock} GMT", "text behind": good + " x",
                     "no zone": good[:-4], "no seconds": f"{day}, {d} {month} {year} {clock[:5]} GMT", "33rd": f"{day}, 33 {month} {year} {clock} GMT"})
    assert hits(cached(), origin, cases) == set()


def test_two_digit_years_lie_within_fifty_years(cached, origin):
    far = http_date(49 * 31556952, "rfc850")
    past = http_date(51 * 31556952, "rfc850")
    cases = expires({"49 years ahead": far, "51 years ahead is 49 back": past})
    assert hits(cached(), origin, cases) == {"49 years ahead"}
