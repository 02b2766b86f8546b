"""HTTP: ranges from any complete 200, also while it is growing; If-Range; 206 from the origin is never stored."""
import re
import threading

import pytest
from harness.files import File, numbered
from harness.origin import Reply, request_header
from harness.rules import http_date

FRESH = "Cache-Control: max-age=600"
BODY = bytes(range(48, 58)) * 10        # "0123456789" ten times


@pytest.fixture
def warm(cached, origin):
    def start(*lines, body=BODY, directives="", **kw):
        origin.reply("/a", body, headers=[FRESH, *lines], **kw)
        n = cached(directives)
        n.get("/a")
        return n
    return start


def part(answer):
    return answer.status, answer.header("Content-Range"), answer.body


def test_single_ranges(warm, origin):
    n = warm()
    want = {"bytes=0-0": (0, 0), "bytes=0-9": (0, 9), "bytes=95-": (95, 99), "bytes=-3": (97, 99), "bytes=-1000": (0, 99), "bytes=10-1000": (10, 99),
            "bytes=0-99": (0, 99), "BYTES=5-6": (5, 6), "bytes=99-99": (99, 99)}
    assert {r: part(n.get("/a", f"Range: {r}")) for r in want} == \
        {r: (206, f"bytes {a}-{b}/100", BODY[a:b + 1]) for r, (a, b) in want.items()}
    assert origin.hits("/a") == 1


def test_unsatisfiable_ranges_are_a_416(warm):
    n = warm()
    assert {r: part(n.get("/a", f"Range: {r}"))[:2] for r in ("bytes=100-", "bytes=100-200", "bytes=-0", "bytes=200-,300-")} == \
        {r: (416, "bytes */100") for r in ("bytes=100-", "bytes=100-200", "bytes=-0", "bytes=200-,300-")}


@pytest.mark.parametrize("value", ["bytes=9-5", "bytes=a-b", "bytes=", "bytes=1", "items=0-1", "bytes 0-1", "bytes=0-1x", "bytes=--1", "0-1"])
def test_range_that_is_none_is_ignored(warm, value):
    answer = warm().get("/a", f"Range: {value}")
    assert (answer.status, answer.body) == (200, BODY)


def parts_of(answer):
    boundary = re.fullmatch(r"multipart/byteranges; ?boundary=(\S+)", answer.header("Content-Type")).group(1)
    pieces = answer.body.split(b"--" + boundary.encode())
    assert pieces[-1] == b"--\r\n"
    heads = [p.partition(b"\r\n\r\n") for p in pieces[1:-1]]
    return [(re.search(rb"Content-Range: bytes (\S+)", h).group(1).decode(), body[:-2]) for h, _, body in heads]


@pytest.mark.parametrize("size", [100, 300_000])
def test_several_ranges_are_multipart(warm, size):
    body = (BODY * (size // 100 + 1))[:size]
    n = warm("Content-Type: text/html", body=body)
    answer = n.get("/a", "Range: bytes=0-1,10-12,-2")
    assert answer.status == 206 and int(answer.header("Content-Length")) == len(answer.body)
    assert parts_of(answer) == [(f"0-1/{size}", body[:2]), (f"10-12/{size}", body[10:13]), (f"{size - 2}-{size - 1}/{size}", body[-2:])]
    assert answer.body.count(b"Content-Type: text/html") == 3


def test_unsatisfiable_ranges_among_others_are_left_out(warm):
    assert part(warm().get("/a", "Range: bytes=0-1,200-300")) == (206, "bytes 0-1/100", BODY[:2])


@pytest.mark.parametrize("lines", [[], ["Accept-Ranges: none"], ["Accept-Ranges: bytes"]])
def test_accept_ranges_of_the_origin_makes_no_difference(warm, lines):
    n = warm(*lines)
    assert n.get("/a", "Range: bytes=0-1").status == 206
    assert n.get("/a").all("Accept-Ranges") == ["bytes"]


@pytest.mark.parametrize("framing", ["length", "chunked", "close"])
def test_framing_of_the_origin_makes_no_difference(warm, framing):
    n = warm(framing=framing, directives="proxy_http_version 1.1;")
    assert part(n.get("/a", "Range: bytes=-3")) == (206, "bytes 97-99/100", BODY[-3:])


@pytest.mark.parametrize("status", [203, 404, 300])
def test_only_a_200_is_cut(warm, status):
    answer = warm(status=status).get("/a", "Range: bytes=0-1")
    assert (answer.status, answer.body) == (status, BODY)


def test_range_counts_for_get_only(warm):
    head = warm().request("/a", "HEAD", headers=["Range: bytes=0-1"])
    assert (head.status, head.header("Content-Length")) == (200, "100")


def test_parts_keep_the_fields_of_the_whole(warm):
    n = warm('ETag: "v1"', f"Last-Modified: {http_date(-86400)}", "X-A: 1", "Content-Type: text/html")
    n.get("/a")
    whole, cut = n.get("/a"), n.get("/a", "Range: bytes=0-1")
    for name in ("ETag", "Last-Modified", "X-A", "Content-Type", "Date", "Cache-Control"):
        assert cut.all(name) == whole.all(name) != [], name


# ---- If-Range ------------------------------------------------------------------------------------------------------
def test_if_range_wants_a_strong_match_or_the_very_date(warm):
    before, modified, after = (http_date(s) for s in (-86500, -86400, -86300))
    n = warm('ETag: "v1"', f"Last-Modified: {modified}")
    want = {'"v1"': 206, 'W/"v1"': 200, '"v2"': 200, modified: 206, before: 200, after: 200, "nonsense": 200, "v1": 200}
    assert {v: n.get("/a", "Range: bytes=0-1", f"If-Range: {v}").status for v in want} == want


def test_if_range_never_matches_a_weak_tag(warm):
    n = warm('ETag: W/"v1"')
    assert [n.get("/a", "Range: bytes=0-1", f"If-Range: {v}").status for v in ('W/"v1"', '"v1"')] == [200, 200]


def test_if_range_without_a_stored_validator_gives_the_whole(warm):
    n = warm()
    assert [n.get("/a", "Range: bytes=0-1", f"If-Range: {v}").status for v in ('"v1"', http_date(-5))] == [200, 200]


def test_if_range_by_date_needs_a_date_that_is_strong(warm):
    now = http_date()
    assert warm(f"Last-Modified: {now}", f"Date: {now}").get("/a", "Range: bytes=0-1", f"If-Range: {now}").status == 200


def test_if_range_without_range_means_nothing(warm):
    assert warm('ETag: "v1"').get("/a", 'If-Range: "v2"').status == 200


def test_conditions_come_before_the_range(warm):
    n = warm('ETag: "v1"')
    assert n.get("/a", "Range: bytes=0-1", 'If-None-Match: "v1"').status == 304
    assert n.get("/a", "Range: bytes=0-1", 'If-Match: "v2"').status == 412


# ---- while it grows ------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("workers", [1, 2])
def test_range_of_what_has_arrived_is_sent_at_once(cached, origin, workers):
    gate = threading.Event()
    origin.reply("/a", [b"a" * 50_000, gate, b"b" * 50_000], headers=[FRESH])
    n = cached(workers=workers)
    with n.connect() as first, n.connect(timeout=5) as second:
        first.send("/a")
        header = first.read_header()
        second.send("/a", headers=["Range: bytes=10-19"])
        cut = second.read_header()
        assert (cut.status, cut.header("Content-Range"), second.read(10)) == (206, "bytes 10-19/100000", b"a" * 10)
        gate.set()
        assert first.read_body(header).body == b"a" * 50_000 + b"b" * 50_000
        assert second.request("/a", headers=["Range: bytes=-2"]).body == b"bb"
    assert origin.hits("/a") == 1


def test_range_that_has_been_sent_does_not_hold_its_connection(cached, origin):
    gate = threading.Event()
    origin.reply("/a", [b"a" * 50_000, gate, b"b" * 50_000], headers=[FRESH])
    origin.reply("/b", "other", headers=[FRESH])
    n = cached()
    with n.connect(timeout=5) as c:
        assert c.request("/a", headers=["Range: bytes=0-9"]).body == b"a" * 10
        assert c.request("/b").body == b"other"
        gate.set()
    assert n.get("/a").body == b"a" * 50_000 + b"b" * 50_000
    assert origin.hits("/a") == 1


def test_range_of_what_is_still_to_come_is_sent_when_it_comes(cached, origin):
    gate = threading.Event()
    origin.reply("/a", [b"a" * 50_000, gate, b"b" * 50_000], headers=[FRESH])
    n = cached(workers=2)
    with n.connect() as c:
        c.send("/a", headers=["Range: bytes=-5"])
        header = c.read_header()
        gate.set()
        assert (header.status, c.read_body(header).body) == (206, b"bbbbb")


# ---- 206 of the origin ---------------------------------------------------------------------------------------------
def test_206_of_the_origin_is_passed_and_not_stored(cached, origin):
    origin.reply("/a", "01", status=206, headers=[FRESH, "Content-Range: bytes 0-1/10"])
    n = cached("slab_cache_valid any 1h;")
    assert [part(n.get("/a")) for _ in range(2)] == [(206, "bytes 0-1/10", b"01")] * 2
    assert origin.hits("/a") == 2


def test_ranges_of_what_is_not_stored_follow_the_same_rules(cached, origin):
    modified = http_date(-86400)
    want = {(): 206, ('If-Range: "v1"',): 200, ('If-Range: W/"v1"',): 200, (f"If-Range: {modified}",): 206, (f"If-Range: {http_date(-50)}",): 200}
    n = cached()
    seen = {}
    for i, lines in enumerate(want):        # a path each: what is known to be unstorable passes with its Range
        origin.reply(f"/{i}", BODY, headers=["Cache-Control: no-store", 'ETag: W/"v1"', f"Last-Modified: {modified}"])
        seen[lines] = n.get(f"/{i}", "Range: bytes=0-1", *lines).status
    assert seen == want
    origin.reply("/x", BODY, headers=["Cache-Control: no-store"])
    origin.reply("/y", BODY, headers=["Cache-Control: no-store"])
    assert n.get("/x", "Range: bytes=9-5").status == 200
    assert n.request("/y", "HEAD", headers=["Range: bytes=0-1"]).status == 200


@pytest.mark.parametrize("field", ["Cache-Control: max-age=60", "Cache-Control: no-store"])
def test_range_far_into_what_is_not_stored_is_asked_for_by_itself(nginx, origin, field):
    file, rest = File(numbered(3 << 20), headers=[field]), threading.Event()

    def whole_stalls(request):
        answer = file(request)
        if answer.status == 200:
            return Reply([answer.parts[0][:100_000], rest, answer.parts[0][100_000:]], headers=answer.headers)
        return answer

    origin.handle("/f", whole_stalls)
    nginx.start(f"location / {{ slab_cache one; proxy_pass http://{origin.address}; }}", zone="slab_cache_zone zone=one:16m;")
    far = nginx.get("/f", "Range: bytes=2000000-2000099")
    assert (far.status, far.body, far.why) == (206, file.body[2_000_000:2_000_100], "TOO_BIG" if "max-age" in field else "NO_STORE")
    assert [request_header(r, "Range") for r in origin.requests("/f")] == [None, "bytes=2000000-2000099"]
    assert nginx.get("/f", "Range: bytes=9-17").body == file.body[9:18]      # found uncacheable a moment ago
    rest.set()
