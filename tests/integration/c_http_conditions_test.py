"""HTTP: conditions of clients, validation at the origin, what a 304 updates, HEAD."""
import threading

import pytest
from harness.origin import Reply, request_header
from harness.rules import http_date
from harness.wait import wait_until

FRESH = "Cache-Control: max-age=600"
MODIFIED = http_date(-86400)
BEFORE, AFTER = http_date(-86401), http_date(-86399)
TAG = 'ETag: "v1"'
CONDITIONS = ("If-None-Match", "If-Modified-Since", "If-Match", "If-Unmodified-Since", "If-Range", "Range")


def statuses(cached, origin, stored, requests, method="GET"):
    """{request lines: status} from a warm key; the origin must have seen one request."""
    origin.reply("/a", "body", headers=[FRESH, *stored])
    n = cached()
    n.get("/a")
    seen = {lines: n.request("/a", method, headers=[lines] if isinstance(lines, str) else list(lines)).status for lines in requests}
    assert origin.hits("/a") == 1
    return seen



# ---- If-None-Match -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_if_none_match_takes_tags_lists_lines_and_star(cached, origin, method):
    want = {'If-None-Match: "v1"': 304, 'If-None-Match: W/"v1"': 304, "If-None-Match: *": 304, 'If-None-Match: "a", "v1", "b"': 304,
            'If-None-Match: "a" , W/"v1"': 304, 'If-None-Match: "a,b", "v1"': 304, 'If-None-Match: "v2"': 200, 'If-None-Match: "v1': 200,
            "If-None-Match: v1": 200, 'If-None-Match: "V1"': 200, "If-None-Match:": 200, 'If-None-Match: ,, "v1",': 304}
    assert statuses(cached, origin, [TAG], want, method) == want


def test_weak_stored_tag_matches_weakly(cached, origin):
    want = {'If-None-Match: W/"v1"': 304, 'If-None-Match: "v1"': 304, 'If-None-Match: w/"v1"': 200, 'If-Match: W/"v1"': 412, 'If-Match: "v1"': 412}
    assert statuses(cached, origin, ['ETag: W/"v1"'], want) == want


def test_if_none_match_makes_if_modified_since_count_for_nothing(cached, origin):
    want = {('If-None-Match: "v1"', f"If-Modified-Since: {BEFORE}"): 304, ('If-None-Match: "v2"', f"If-Modified-Since: {AFTER}"): 200,
            ('If-None-Match: "v1"', "If-Modified-Since: nonsense"): 304}
    assert statuses(cached, origin, [TAG, f"Last-Modified: {MODIFIED}"], want) == want


def test_if_none_match_without_a_stored_tag(cached, origin):
    want = {'If-None-Match: "v1"': 200, "If-None-Match: *": 304, ('If-None-Match: "v1"', f"If-Modified-Since: {AFTER}"): 200}
    assert statuses(cached, origin, [f"Last-Modified: {MODIFIED}"], want) == want


# ---- If-Modified-Since ---------------------------------------------------------------------------------------------
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_if_modified_since_at_or_after_last_modified_is_a_304(cached, origin, method):
    want = {f"If-Modified-Since: {MODIFIED}": 304, f"If-Modified-Since: {AFTER}": 304, f"If-Modified-Since: {BEFORE}": 200,
            f"If-Modified-Since: {http_date(-86399, 'rfc850')}": 304, f"If-Modified-Since: {http_date(-86399, 'asctime')}": 304,
            "If-Modified-Since: nonsense": 200, f"If-Modified-Since: {http_date(-10, zone='EST')}": 200, f"If-Modified-Since: {http_date(600)}": 304}
    assert statuses(cached, origin, [f"Last-Modified: {MODIFIED}"], want, method) == want


def test_date_stands_in_for_last_modified(cached, origin):
    want = {f"If-Modified-Since: {http_date(-50)}": 304, f"If-Modified-Since: {http_date(-200)}": 200}
    assert statuses(cached, origin, [f"Date: {http_date(-100)}"], want) == want


# ---- If-Match, If-Unmodified-Since ---------------------------------------------------------------------------------
def test_if_match_and_if_unmodified_since(cached, origin):
    want = {'If-Match: "v1"': 200, "If-Match: *": 200, 'If-Match: "a", "v1"': 200, 'If-Match: W/"v1"': 412, 'If-Match: "v2"': 412,
            f"If-Unmodified-Since: {MODIFIED}": 200, f"If-Unmodified-Since: {BEFORE}": 412,
            "If-Unmodified-Since: nonsense": 200, ('If-Match: "v1"', f"If-Unmodified-Since: {BEFORE}"): 200,
            ('If-Match: "v1"', 'If-None-Match: "v1"'): 304, ('If-Match: "v2"', 'If-None-Match: "v1"'): 412}
    assert statuses(cached, origin, [TAG, f"Last-Modified: {MODIFIED}"], want) == want


# ---- the 304 -------------------------------------------------------------------------------------------------------
def test_304_carries_what_updates_a_cache_and_no_more(cached, origin):
    lines = [FRESH, TAG, f"Date: {http_date(-5)}", f"Expires: {http_date(600)}", "Vary: Foo", f"Last-Modified: {MODIFIED}", "Content-Location: /b",
             "Content-Language: en", "Content-Type: text/html", "X-Other: 1", "CDN-Cache-Control: max-age=600"]
    origin.reply("/a", "body", headers=lines)
    n = cached()
    hit = [n.get("/a") for _ in range(2)][1]
    answer = n.get("/a", 'If-None-Match: "v1"')
    assert answer.status == 304
    for name in ("ETag", "Date", "Vary", "Cache-Control", "Expires", "Content-Location", "CDN-Cache-Control"):
        assert answer.all(name) == hit.all(name) != [], name
    for name in ("Content-Length", "Content-Type", "Content-Language", "X-Other"):
        assert answer.all(name) == [], name


def test_connection_goes_on_after_a_304(cached, origin):
    origin.reply("/a", "body", headers=[FRESH, TAG])
    n = cached()
    with n.connect() as c:
        seen = [c.request("/a", headers=h).status for h in ([], ['If-None-Match: "v1"'], ['If-Match: "x"'], ["Range: bytes=9-"], [])]
        assert seen == [200, 304, 412, 416, 200]


def test_conditions_hold_for_a_stored_2xx_only(cached, origin):
    origin.reply("/a", "none", status=404, headers=[FRESH, TAG])
    n = cached()
    n.get("/a")
    assert [n.get("/a", line).status for line in ('If-None-Match: "v1"', 'If-Match: "v2"', "Range: bytes=0-1")] == [404] * 3


@pytest.mark.parametrize("line", ['If-None-Match: "v1"', f"If-Modified-Since: {AFTER}", "If-None-Match: *"])
def test_conditions_are_answered_while_the_object_is_still_growing(cached, origin, line):
    gate = threading.Event()
    origin.reply("/a", ["half", gate, "half"], headers=[FRESH, TAG, f"Last-Modified: {MODIFIED}"])
    n = cached(workers=2)
    with n.connect() as first:
        first.send("/a")
        header = first.read_header()
        assert n.get("/a", line).status == 304
        gate.set()
        assert first.read_body(header).body == b"halfhalf"


@pytest.mark.parametrize("framing", ["length", "chunked", "close"])
@pytest.mark.parametrize("line", ['If-Match: "other"', f"If-Unmodified-Since: {BEFORE}"])
def test_a_412_to_one_client_is_no_body_for_the_next(cached, origin, line, framing):
    """The answer is stored while it goes by. A 412 took its place, and was stored behind the fields of the 200."""
    origin.reply("/a", ["ha", "lf"], headers=[FRESH, TAG, f"Last-Modified: {MODIFIED}", "X-Keep: yes"], framing=framing)
    n = cached("slab_no_cache $rules_out;", http="map $sent_http_x_keep $rules_out { yes 0; default 1; }")
    assert n.get("/a", line).status == 412
    for _ in range(2):
        answer = n.get("/a")
        assert (answer.status, answer.body) == (200, b"half")


# ---- validation at the origin --------------------------------------------------------------------------------------
def stale(*lines):
    return Reply("old", headers=["Cache-Control: max-age=100", "Age: 100", *lines])


@pytest.mark.parametrize("stored, sent", [
    ([TAG], {"If-None-Match": '"v1"', "If-Modified-Since": None}),
    (['ETag: W/"v1"'], {"If-None-Match": 'W/"v1"'}),
    ([f"Last-Modified: {MODIFIED}"], {"If-None-Match": None, "If-Modified-Since": MODIFIED}),
    ([TAG, f"Last-Modified: {MODIFIED}"], {"If-None-Match": '"v1"', "If-Modified-Since": MODIFIED}),
    ([f"Last-Modified: {http_date(-86400, 'rfc850')}"], {"If-Modified-Since": http_date(-86400, "rfc850")}),
    (['ETag: "with , comma"'], {"If-None-Match": '"with , comma"'}), (["ETag: bare"], {"If-None-Match": "bare"})])
def test_origin_is_asked_with_the_stored_validators(cached, origin, stored, sent):
    origin.sequence("/a", stale(*stored), Reply(status=304, headers=[FRESH, *stored]))
    n = cached()
    n.get("/a")
    answer = n.get("/a", 'If-None-Match: "the client\'s"', "Range: bytes=0-0", f"If-Modified-Since: {http_date(-5)}", 'If-Match: "x"')
    second = origin.requests("/a")[1]
    assert {k: request_header(second, k) for k in sent} == sent
    assert [request_header(second, k) for k in CONDITIONS if k not in sent and k not in ("If-None-Match", "If-Modified-Since")] == \
        [None] * len([k for k in CONDITIONS if k not in sent and k not in ("If-None-Match", "If-Modified-Since")])
    assert answer.status == 412 or answer.status == 206      # by its own conditions
    assert n.get("/a").cache == "HIT"


def test_object_without_a_validator_is_fetched_whole(cached, origin):
    origin.sequence("/a", Reply("old", headers=["Cache-Control: max-age=1"]), Reply("new", headers=[FRESH]))
    n = cached()
    n.get("/a")
    wait_until(lambda: n.get("/a").body == b"new", "it expires")
    assert [request_header(origin.requests("/a")[1], k) for k in CONDITIONS] == [None] * len(CONDITIONS)


def test_full_answer_to_a_validation_replaces_the_object(cached, origin):
    origin.sequence("/a", stale(TAG, "X-Old: 1"), Reply("new", headers=[FRESH, 'ETag: "v2"']))
    n = cached()
    n.get("/a")
    answers = [n.get("/a") for _ in range(2)]
    assert [(a.cache, a.body, a.header("ETag"), a.header("X-Old")) for a in answers] == [("EXPIRED", b"new", '"v2"', None), ("HIT", b"new", '"v2"', None)]


def test_client_that_has_it_gets_its_304_from_a_validation(cached, origin):
    origin.sequence("/a", stale(TAG), Reply(status=304, headers=[FRESH, TAG]))
    n = cached()
    n.get("/a")
    answer = n.get("/a", 'If-None-Match: "v1"')
    assert (answer.status, answer.cache) == (304, "REVALIDATED")


def test_client_that_has_the_new_one_gets_a_304_from_a_full_answer(cached, origin):
    origin.sequence("/a", stale(TAG), Reply("new", headers=[FRESH, 'ETag: "v2"']))
    n = cached()
    n.get("/a")
    assert n.get("/a", 'If-None-Match: "v2"').status == 304
    assert n.get("/a").body == b"new"


def test_revalidate_off_asks_for_the_whole(cached, origin):
    origin.sequence("/a", stale(TAG), Reply("new", headers=[FRESH]))
    n = cached("slab_cache_revalidate off;")
    n.get("/a"), n.get("/a")
    assert request_header(origin.requests("/a")[1], "If-None-Match") is None


def test_304_that_nobody_asked_for_passes(cached, origin):
    origin.reply("/a", status=304, headers=[FRESH, TAG])
    n = cached()
    assert [n.get("/a").status for _ in range(2)] == [304, 304]
    assert origin.hits("/a") == 2


# ---- what a 304 updates --------------------------------------------------------------------------------------------
def updated(cached, origin, stored, update, *names, directives=""):
    """The lines of these names after a 304 with `update`: in its own answer, and from then on."""
    origin.sequence("/a", stale(TAG, *stored), Reply(status=304, headers=[FRESH, TAG, *update], framing="none"))
    n = cached(directives)
    n.get("/a")
    now, later = n.get("/a"), n.get("/a")
    assert [(a.status, a.cache, a.body) for a in (now, later)] == [(200, "REVALIDATED", b"old"), (200, "HIT", b"old")]
    assert [now.all(x) for x in names] == [later.all(x) for x in names]
    return [later.all(x) for x in names]


def test_lines_of_the_304_replace_all_lines_of_their_name(cached, origin):
    assert updated(cached, origin, ["X-A: 1", "X-B: 1", "X-A: 2", "X-C: 1"], ["X-A: 3", "x-c: 2", "X-C: 3", "X-New: 1"], "X-A", "X-B", "X-C", "X-New") == \
        [["3"], ["1"], ["2", "3"], ["1"]]


def test_fields_of_the_body_are_never_replaced(cached, origin):
    stored = ["Content-Type: text/html", "Content-Encoding: gzip", "Content-Language: en"]
    update = ["Content-Type: text/plain", "Content-Encoding: br", "Content-Range: bytes 0-1/2", "Content-Length: 999", "Content-Language: de"]
    assert updated(cached, origin, stored, update, "Content-Type", "Content-Encoding", "Content-Range", "Content-Length", "Content-Language") == \
        [["text/html"], ["gzip"], [], ["3"], ["de"]]


def test_what_may_not_be_stored_is_not_taken_from_a_304(cached, origin):
    update = ["Connection: X-Listed", "X-Listed: 1", "Keep-Alive: timeout=5", "Proxy-Authenticate: Basic", "Upgrade: h2c", "Age: 5"]
    assert updated(cached, origin, ["X-Listed: stored"], update, "X-Listed", "Keep-Alive", "Proxy-Authenticate", "Upgrade") == [["stored"], [], [], []]


@pytest.mark.parametrize("mode", ["refuse", "strip"])
def test_set_cookie_of_a_304_is_for_who_asked_and_not_stored(cached, origin, mode):
    origin.sequence("/a", stale(TAG), Reply(status=304, headers=[FRESH, TAG, "Set-Cookie: a=1", "Set-Cookie: b=2"]))
    n = cached(f"slab_cache_set_cookie {mode};")
    n.get("/a")
    answers = n.get("/a"), n.get("/a")
    assert [(a.cache, a.all("Set-Cookie")) for a in answers] == [("REVALIDATED", ["a=1", "b=2"]), ("HIT", [])]


def test_304_of_another_version_updates_nothing(cached, origin):
    """RFC 9111 4.3.4: what is stored has no such tag. Its body under the other's name would be wrong for long."""
    origin.sequence("/a", stale(TAG, "X-A: 1"), Reply(status=304, headers=[FRESH, 'ETag: "v2"', "X-A: 2"]), Reply("new", headers=[FRESH, 'ETag: "v2"']))
    n = cached()
    n.get("/a")
    answers = [n.get("/a") for _ in range(3)]
    assert [(a.body, a.header("ETag"), a.header("X-A"), a.cache) for a in answers] == \
        [(b"old", '"v1"', "1", "REVALIDATED"), (b"new", '"v2"', None, "MISS"), (b"new", '"v2"', None, "HIT")]


def test_304_may_name_the_same_version_weakly(cached, origin):
    origin.sequence("/a", stale(TAG), Reply(status=304, headers=[FRESH, 'ETag: W/"v1"']))
    n = cached()
    n.get("/a")
    assert [n.get("/a").cache for _ in range(2)] == ["REVALIDATED", "HIT"]


@pytest.mark.parametrize("lines, status", [(["Cache-Control: max-age=600"], "HIT"), ([f"Expires: {http_date(600)}", "Cache-Control: public"], "HIT"),
                                           ([], "REVALIDATED"), (["Cache-Control: max-age=0"], "REVALIDATED"), (["Cache-Control: no-cache"], "REVALIDATED"),
                                           (["Cache-Control: max-age=600", "Age: 600"], "REVALIDATED"), (["X-Accel-Expires: 600"], "HIT"),
                                           (["CDN-Cache-Control: max-age=600"], "HIT"), (["Cache-Control: no-store"], "MISS"),
                                           (["Cache-Control: private"], "MISS"), (["Vary: *"], "MISS")])
def test_freshness_is_computed_anew(cached, origin, lines, status):
    first = Reply("old", headers=["Cache-Control: max-age=0", TAG])
    origin.handle("/a", lambda r: Reply(status=304, headers=[TAG, *lines]) if request_header(r, "If-None-Match") else first)
    n = cached()
    n.get("/a")
    answers = [n.get("/a") for _ in range(2)]
    assert [a.body for a in answers] == [b"old"] * 2
    assert [a.cache for a in answers] == ["REVALIDATED", status]


def test_304_without_any_freshness_keeps_the_object_for_the_next_validation(cached, origin):
    first = Reply("old", headers=["X-Accel-Expires: @1", TAG])
    origin.handle("/a", lambda r: Reply(status=304, headers=[TAG]) if request_header(r, "If-None-Match") else first)
    n = cached()
    assert [n.get("/a").cache for _ in range(4)] == ["MISS"] + ["REVALIDATED"] * 3


def test_date_after_a_304_is_that_of_the_304(cached, origin):
    dates = [http_date(-100), http_date(-3)]
    origin.sequence("/a", Reply("old", headers=["Cache-Control: max-age=100", TAG, f"Date: {dates[0]}"]),
                    Reply(status=304, headers=[FRESH, TAG, f"Date: {dates[1]}"]))
    n = cached()
    assert n.get("/a").header("Date") == dates[0]
    assert [n.get("/a").all("Date") for _ in range(2)] == [[dates[1]]] * 2


def test_fields_of_a_304_that_no_cache_names_are_for_who_asked(cached, origin):
    origin.sequence("/a", stale(TAG, "X-A: 1", "X-B: 1"), Reply(status=304, headers=[FRESH, TAG, "X-A: 2", "X-B: 2", 'Cache-Control: no-cache="X-A"']))
    n = cached()
    n.get("/a")
    answers = n.get("/a"), n.get("/a")
    assert [(a.cache, a.all("X-A"), a.all("X-B")) for a in answers] == [("REVALIDATED", ["2"], ["2"]), ("HIT", [], ["2"])]


def test_large_body_survives_a_304(cached, origin):
    body = bytes(i % 251 for i in range(500_000))
    origin.sequence("/a", Reply(body, headers=["Cache-Control: max-age=100", "Age: 100", TAG]), Reply(status=304, headers=[FRESH, TAG]))
    n = cached()
    n.get("/a")
    assert [(a.cache, a.body == body) for a in (n.get("/a") for _ in range(2))] == [("REVALIDATED", True), ("HIT", True)]


# ---- HEAD ----------------------------------------------------------------------------------------------------------
def test_head_of_a_hit_has_the_fields_of_the_get(cached, origin):
    origin.reply("/a", "body", headers=[FRESH, TAG, "X-A: 1", "X-A: 2"])
    n = cached()
    n.get("/a")
    get, head = n.get("/a"), n.request("/a", "HEAD")
    drop = {"X-Pid", "Age"}
    assert [x for x in head.headers if x[0] not in drop] == [x for x in get.headers if x[0] not in drop]


def test_head_of_a_stale_object_is_validated_by_a_get(cached, origin):
    origin.sequence("/a", stale(TAG), Reply(status=304, headers=[FRESH, TAG]))
    n = cached()
    n.get("/a")
    head = n.request("/a", "HEAD")
    assert (head.status, head.cache, head.header("Content-Length")) == (200, "REVALIDATED", "3")
    assert [r.method for r in origin.requests("/a")] == ["GET", "GET"]


def test_head_without_a_length_known_ends_at_once(cached, origin):
    gate = threading.Event()
    origin.reply("/a", ["half", gate, "half"], headers=[FRESH], framing="chunked")
    n = cached("proxy_http_version 1.1;")
    with n.connect(timeout=5) as c:
        assert c.request("/a", "HEAD").status == 200     # while the fill still runs
        gate.set()
    assert wait_until(lambda: (r := n.get("/a")).cache == "HIT" and r, "the fill ends").body == b"halfhalf"
    assert origin.hits("/a") == 1


@pytest.mark.parametrize("lines", [['ETag: "v2"'], [f"Last-Modified: {AFTER}"], ["Content-Length: 5"]])
def test_head_that_shows_another_version_makes_the_get_stale(cached, origin, lines):
    get = Reply("body", headers=[FRESH, TAG, f"Last-Modified: {MODIFIED}"])
    head = Reply(headers=lines if lines[0].startswith("Content-Length") else [*lines, "Content-Length: 4"], framing="none")
    origin.handle("/a", lambda r: head if r.method == "HEAD" else get)
    n = cached("slab_cache_methods GET; proxy_cache_convert_head off;")
    n.get("/a")
    n.request("/a", "HEAD")
    n.get("/a")
    wait_until(lambda: sum(r.method == "GET" for r in origin.requests("/a")) == 2, "the get is asked again")


def test_head_that_agrees_leaves_the_get_fresh(cached, origin):
    lines = [FRESH, TAG, f"Last-Modified: {MODIFIED}"]
    origin.handle("/a", lambda r: Reply(headers=[*lines, "Content-Length: 4"], framing="none") if r.method == "HEAD" else Reply("body", headers=lines))
    n = cached("slab_cache_methods GET;")
    n.get("/a")
    n.request("/a", "HEAD")
    assert n.get("/a").cache == "HIT"
