"""HTTP: stale-while-revalidate, stale-if-error, what forbids both, errors that must not replace what is stored."""
import re
import threading

import pytest
from harness.nginx import PATIENT
from harness.origin import Reply, request_header
from harness.rules import http_date
from harness.wait import wait_until

OLD = "Age: 100"        # with max-age=100: stale from the start, by no more than the test takes
TAG = 'ETag: "1"'


def stale(extra="", *lines):
    """A response that is stale at once, kept for its validator."""
    return Reply("good", headers=[f"Cache-Control: max-age=100{extra}", OLD, TAG, *lines])


BAD = {"500": Reply("bad", status=500), "502": Reply("bad", status=502), "503": Reply("bad", status=503), "504": Reply("bad", status=504),
       "closed": Reply(raw=b""), "half a header": Reply(raw=b"HTTP/1.1 200 OK\r\nX-A: b\r\n"), "garbage": Reply(raw=b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n")}


# ---- stale-while-revalidate ----------------------------------------------------------------------------------------
def test_within_its_window_stale_is_served_while_one_fill_updates(cached, origin):
    gate = threading.Event()
    origin.sequence("/a", stale(", stale-while-revalidate=600"), Reply("new", headers=["Cache-Control: max-age=600"], before=gate))
    n = cached(workers=2)
    n.get("/a")
    answers = [n.get("/a") for _ in range(6)]
    assert {a.body for a in answers} == {b"good"} and {a.cache for a in answers} <= {"STALE", "UPDATING"}
    assert all(int(a.header("Age")) >= 100 for a in answers)
    origin.wait_for_hits("/a", 2)
    gate.set()
    wait_until(lambda: (r := n.get("/a")).cache == "HIT" and r.body == b"new", "the refresh")
    assert origin.hits("/a") == 2


def test_a_lifetime_of_zero_is_given_to_nobody_while_another_asks(cached, origin):
    gate = threading.Event()
    zero = ["Cache-Control: max-age=0", TAG]
    origin.sequence("/a", Reply("old", headers=zero), Reply("new", headers=zero, before=gate), Reply("new", headers=zero))
    n = cached(PATIENT, workers=2)
    n.get("/a")
    clients = [n.connect() for _ in range(4)]
    for c in clients:
        c.send("/a")
    n.wait_for_waiters(3)
    gate.set()
    assert {c.read_body(c.read_header()).body for c in clients} == {b"new"}


def wait_for_second_fill(n, count):
    """So many requests have seen one fill end, and wait for the next."""
    def waiting():
        return len(set(re.findall(r"(\*\d+) slab_cache: wait -> wait, round 2", n.error_log()))) >= count
    wait_until(waiting, f"{count} requests wait for another fill")


@pytest.mark.parametrize("control", ["max-age=0", "no-cache", "max-age=0, must-revalidate", "no-cache, max-age=60"])
@pytest.mark.parametrize("confirmed", [False, True])
def test_those_who_waited_when_the_origin_was_asked_share_its_answer_of_no_lifetime(cached, origin, control, confirmed):
    first, second = threading.Event(), threading.Event()
    headers = [f"Cache-Control: {control}", TAG]
    answer = Reply(status=304, headers=headers, before=second) if confirmed else Reply("two", headers=headers, before=second)
    origin.sequence("/a", Reply("one", headers=headers, before=first), answer, Reply("three", headers=headers))
    n = cached(PATIENT, workers=2, level="debug")
    clients = [n.connect() for _ in range(10)]
    for c in clients:
        c.send("/a")
    n.wait_for_waiters(9)
    first.set()
    origin.wait_for_hits("/a", 2)
    wait_for_second_fill(n, 8)
    second.set()
    bodies = sorted(c.read_body(c.read_header()).text for c in clients)
    for c in clients:
        c.close()
    assert bodies == (["one"] * 10 if confirmed else ["one"] + ["two"] * 9)
    assert origin.hits("/a") == 2
    assert n.get("/a").cache in ("EXPIRED", "REVALIDATED")


@pytest.mark.parametrize("control", ["max-age=0", "private, max-age=0", "no-store", "no-cache"])
def test_what_cannot_be_asked_about_or_shared_each_asks_for(cached, origin, control):
    first = threading.Event()
    count = iter(range(100))
    tag = [TAG] if "private" in control or "no-store" in control else []

    def reply(_):
        i = next(count)
        return Reply(str(i), headers=[f"Cache-Control: {control}", *tag], before=first if i == 0 else None)
    origin.handle("/a", reply)
    n = cached(PATIENT, workers=2)
    answers = n.ask_together("/a", 8, lambda: (n.wait_for_waiters(7), first.set()))
    assert sorted(a.text for a in answers) == [str(i) for i in range(8)]


def test_those_who_waited_for_what_is_stale_on_arrival_share_it_within_its_window(cached, origin):
    first, update = threading.Event(), threading.Event()
    answer = stale(", stale-while-revalidate=600")
    origin.sequence("/a", Reply(answer.parts, headers=answer.headers, before=first), Reply("new", headers=["Cache-Control: max-age=600"], before=update))
    n = cached(PATIENT, workers=2)
    clients = [n.connect() for _ in range(12)]
    for c in clients:
        c.send("/a")
    n.wait_for_waiters(11)
    first.set()
    assert {c.read_body(c.read_header()).body for c in clients} == {b"good"}
    for c in clients:
        c.close()
    origin.wait_for_hits("/a", 2)
    update.set()
    wait_until(lambda: n.get("/a").body == b"new", "the update")
    assert origin.hits("/a") == 2


def test_after_the_window_nothing_is_served_unasked(cached, origin):
    origin.sequence("/a", Reply("old", headers=["Cache-Control: max-age=100, stale-while-revalidate=50", "Age: 151", TAG]),
                    Reply("new", headers=["Cache-Control: max-age=600"]))
    n = cached()
    n.get("/a")
    answer = n.get("/a")
    assert (answer.cache, answer.body) == ("EXPIRED", b"new")


@pytest.mark.parametrize("word", ["must-revalidate", "proxy-revalidate", "no-cache"])
def test_window_is_closed_by_what_demands_validation(cached, origin, word):
    origin.sequence("/a", stale(f", stale-while-revalidate=600, {word}"), Reply("new", headers=["Cache-Control: max-age=600"]))
    n = cached()
    n.get("/a")
    assert n.get("/a").body == b"new"


def test_window_of_the_operator_holds_where_the_response_names_none(cached, origin):
    origin.sequence("/a", stale(), Reply("new", headers=["Cache-Control: max-age=600"]))
    origin.sequence("/b", stale(", stale-while-revalidate=0"), Reply("new", headers=["Cache-Control: max-age=600"]))
    n = cached("slab_cache_stale while=10m;")
    for p in ("/a", "/b"):
        n.get(p)
    assert [n.get(p).body for p in ("/a", "/b")] == [b"good", b"new"]


def test_refresh_validates_with_304(cached, origin):
    origin.sequence("/a", stale(", stale-while-revalidate=600"), Reply(status=304, headers=["Cache-Control: max-age=600", TAG]))
    n = cached()
    n.get("/a")
    assert n.get("/a").cache == "STALE"
    wait_until(lambda: n.get("/a").cache == "HIT", "the refresh")
    assert request_header(origin.requests("/a")[1], "If-None-Match") == '"1"'


def test_failed_refresh_leaves_the_stale_object_in_its_window(cached, origin):
    origin.sequence("/a", stale(", stale-while-revalidate=600"), Reply("bad", status=500))
    n = cached("slab_cache_use_stale off;")
    n.get("/a")
    n.get("/a")
    origin.wait_for_hits("/a", 2)
    assert {n.get("/a").body for _ in range(10)} == {b"good"}


# ---- on errors -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", BAD)
def test_use_stale_by_default_covers_failures_of_the_origin(cached, origin, name):
    origin.sequence("/a", stale(), BAD[name])
    n = cached()
    n.get("/a")
    answer = n.get("/a")
    assert (answer.status, answer.body, answer.cache) == (200, b"good", "STALE")
    assert len(answer.all("Age")) == 1


@pytest.mark.parametrize("name", BAD)
def test_stale_if_error_covers_them_with_use_stale_off(cached, origin, name):
    origin.sequence("/a", stale(", stale-if-error=600"), BAD[name])
    origin.sequence("/b", stale(), BAD[name])
    n = cached("slab_cache_use_stale off;")
    for p in ("/a", "/b"):
        n.get(p)
    assert (n.get("/a").body, n.get("/b").body == b"good") == (b"good", False)


def test_stale_if_error_covers_every_5xx_and_no_4xx(cached, origin):
    seen = {}
    n = cached("slab_cache_use_stale off;")
    for status in (500, 501, 503, 505, 599, 400, 404, 429, 499):
        origin.sequence(f"/{status}", stale(", stale-if-error=600"), Reply("bad", status=status))
        n.get(f"/{status}")
        seen[status] = n.get(f"/{status}").body
    assert seen == {s: b"good" if s >= 500 else b"bad" for s in seen}


def test_timeout_of_the_origin_is_covered(cached, origin):
    origin.sequence("/a", stale(), Reply("late", before=threading.Event()))
    n = cached("proxy_read_timeout 300ms;")
    n.get("/a")
    assert n.get("/a").body == b"good"


def test_origin_that_is_gone_is_covered(cached, origin):
    origin.sequence("/a", stale())
    n = cached()
    n.get("/a")
    origin.stop()
    assert n.get("/a").body == b"good"


def test_window_after_an_error_ends(cached, origin):
    origin.sequence("/a", Reply("old", headers=["Cache-Control: max-age=100, stale-if-error=50", "Age: 151", TAG]), Reply("bad", status=503))
    n = cached()
    n.get("/a")
    answer = n.get("/a")
    assert (answer.status, answer.body) == (503, b"bad")


@pytest.mark.parametrize("word", ["must-revalidate", "proxy-revalidate", "s-maxage=100", "no-cache"])
@pytest.mark.parametrize("extra", ["", ", stale-if-error=600"])
def test_error_goes_through_where_stale_is_forbidden(cached, origin, word, extra):
    origin.sequence("/a", stale(f", {word}{extra}"), Reply("bad", status=503))
    n = cached()
    n.get("/a")
    answer = n.get("/a")
    assert (answer.status, answer.body) == (503, b"bad")


@pytest.mark.parametrize("word, body", [("must-revalidate", b"good"), ("proxy-revalidate", b"good"), ("s-maxage=100", b"good"), ("no-cache", b"bad")])
@pytest.mark.parametrize("words", ["http_503 force", "force"])
def test_what_the_operator_forces_is_served_stale_all_the_same(cached, origin, word, body, words):
    origin.sequence("/a", stale(f", {word}"), Reply("bad", status=503))
    n = cached(f"slab_cache_use_stale {words};")
    assert [n.get("/a").body for _ in range(2)] == [b"good", body]


def test_force_covers_no_more_than_what_is_listed(cached, origin):
    origin.sequence("/a", stale(", must-revalidate"), Reply("bad", status=503))
    n = cached("slab_cache_use_stale http_500 force;")
    assert [n.get("/a").body for _ in range(2)] == [b"good", b"bad"]


def test_unreachable_origin_goes_through_too_where_stale_is_forbidden(cached, origin):
    origin.sequence("/a", stale(", must-revalidate"), Reply(raw=b""))
    n = cached()
    n.get("/a")
    assert n.get("/a").status == 502


def test_forbidden_stale_becomes_servable_again_with_the_origin(cached, origin):
    origin.sequence("/a", stale(", must-revalidate"), Reply("bad", status=503), Reply(status=304, headers=["Cache-Control: max-age=600", TAG]))
    n = cached()
    assert [(a.status, a.body) for a in (n.get("/a") for _ in range(4))] == [(200, b"good"), (503, b"bad"), (200, b"good"), (200, b"good")]
    assert origin.hits("/a") == 3


def test_error_with_freshness_of_its_own_is_an_answer(cached, origin):
    origin.sequence("/a", stale(), Reply("gone", status=410, headers=["Cache-Control: max-age=600"]))
    n = cached()
    n.get("/a")
    assert [n.get("/a").status for _ in range(2)] == [410, 410]
    assert origin.hits("/a") == 2


def test_403_404_429_are_covered_where_the_operator_says_so(cached, origin):
    seen = {}
    n = cached("slab_cache_use_stale http_403 http_404 http_429;")
    for status in (403, 404, 429, 401, 500):
        origin.sequence(f"/{status}", stale(), Reply("bad", status=status))
        n.get(f"/{status}")
        seen[status] = n.get(f"/{status}").body
    assert seen == {403: b"good", 404: b"good", 429: b"good", 401: b"bad", 500: b"bad"}


def test_stale_is_never_older_than_its_window_after_many_failures(cached, origin):
    n = cached("slab_cache_stale if_error=13s;")
    origin.sequence("/a", Reply("old", headers=[f"Expires: {http_date(-10)}", f"Date: {http_date(-20)}", TAG]), Reply("bad", status=503))
    n.get("/a")
    assert n.get("/a").body == b"old"
    wait_until(lambda: n.get("/a").status == 503, "the window ends")


# ---- waiters -------------------------------------------------------------------------------------------------------
def test_those_who_wait_for_a_failing_validation_get_stale_too(cached, origin):
    gate = threading.Event()
    origin.sequence("/a", stale(), Reply("bad", status=503, before=gate))
    n = cached(f"slab_cache_use_stale http_503; {PATIENT}", workers=2)
    n.get("/a")
    clients = [n.connect() for _ in range(6)]
    for c in clients:
        c.send("/a")
    n.wait_for_waiters(5)
    gate.set()
    assert {c.read_body(c.read_header()).body for c in clients} == {b"good"}
    for c in clients:
        c.close()
    assert origin.hits("/a") == 2


def test_those_who_wait_for_a_validation_share_its_304(cached, origin):
    gate = threading.Event()
    origin.sequence("/a", stale(), Reply(status=304, headers=["Cache-Control: max-age=600", TAG], before=gate))
    n = cached(f"slab_cache_use_stale off; {PATIENT}", workers=4)
    n.get("/a")
    clients = [n.connect() for _ in range(12)]
    for c in clients:
        c.send("/a")
    n.wait_for_waiters(11)
    gate.set()
    assert {c.read_body(c.read_header()).body for c in clients} == {b"good"}
    for c in clients:
        c.close()
    assert origin.hits("/a") == 2
