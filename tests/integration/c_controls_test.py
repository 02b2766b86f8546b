"""What an origin or the configuration says of how an answer is sent: on a hit as on a miss, for each client."""
import threading
import time

import pytest
from harness.origin import Reply

FRESH = "Cache-Control: max-age=600"
MODIFIED = "Mon, 01 Jan 2024 00:00:00 GMT"


def seconds(n, path):
    """A rate of 14,000 holds 30,000 bytes for a second at least: nginx gives two shares at once where a second begins meanwhile."""
    begun = time.monotonic()
    answer = n.get(path)
    assert len(answer.body) == 30_000
    return time.monotonic() - begun


@pytest.mark.parametrize("control", [FRESH, "Cache-Control: no-store"])
def test_rate_of_the_origin_holds_on_misses_and_hits(cached, origin, control):
    origin.reply("/a", "x" * 30_000, headers=[control, "X-Accel-Limit-Rate: 14000"])
    n = cached()
    assert min(seconds(n, "/a") for _ in range(3)) >= 1


@pytest.mark.parametrize("directives", ["proxy_ignore_headers X-Accel-Limit-Rate;", "slab_cache_ignore_headers X-Accel-Limit-Rate;"])
def test_rate_that_is_ignored_is_not_kept(cached, origin, directives):
    origin.reply("/a", "x" * 30_000, headers=[FRESH, "X-Accel-Limit-Rate: 2000"])
    n = cached(directives)
    assert max(seconds(n, "/a") for _ in range(2)) < 10


def test_rate_is_each_clients_own(cached, origin):
    origin.reply("/a", "x" * 30_000, headers=[FRESH, "X-Accel-Limit-Rate: 14000"])
    n = cached()
    n.get("/a")
    begun = time.monotonic()
    assert all(len(a.body) == 30_000 for a in n.ask_together("/a", 40, lambda: None))
    assert 1 <= time.monotonic() - begun < 30         # one rate for all: a minute


@pytest.mark.parametrize("control", [FRESH, "Cache-Control: no-store"])
def test_charset_of_the_origin_holds_on_misses_and_hits(cached, origin, control):
    origin.reply("/a", "\u00e4".encode("latin-1"), headers=[control, "Content-Type: text/html", "X-Accel-Charset: iso-8859-1"])
    n = cached(http="charset_map iso-8859-1 utf-8 { E4 C3A4; }")
    assert {n.get("/a").header("Content-Type") for _ in range(2)} == {"text/html; charset=iso-8859-1"}


def test_words_to_nginx_are_never_shown(cached, origin):
    origin.reply("/a", "x", headers=[FRESH, 'ETag: "1"', "X-Accel-Limit-Rate: 14000", "X-Accel-Charset: utf-8", "X-Accel-Buffering: no"])
    n = cached()
    for headers in [(), (), ('If-None-Match: "1"',)]:
        assert not [name for name, _ in n.get("/a", *headers).headers if "accel" in name.lower() or ":" in name or "rate" in name.lower()]


def test_rate_outlives_a_304_and_is_replaced_by_its_own(cached, origin):
    stale = ["Cache-Control: max-age=100", "Age: 100", 'ETag: "1"']
    origin.sequence("/a", Reply("x" * 30_000, headers=[*stale, "X-Accel-Limit-Rate: 1000000"]),
                    Reply("", status=304, headers=[*stale, "X-Accel-Limit-Rate: 14000"]),
                    Reply("", status=304, headers=[FRESH, 'ETag: "1"']))
    n = cached()
    assert seconds(n, "/a") < 1
    assert [n.get("/a").cache for _ in range(2)] == ["REVALIDATED", "REVALIDATED"]
    assert seconds(n, "/a") >= 1


@pytest.mark.parametrize("name", ["X-Accel-Buffering: no", "X-Accel-Buffering: yes"])
def test_what_comes_is_sent_on_as_it_comes(cached, origin, name):
    gate = threading.Event()
    origin.reply("/a", [b"first", gate, b"rest"], headers=[FRESH, name])
    with cached().connect() as c:
        c.send("/a")
        c.read_header()
        assert c.read(5) == b"first"
        gate.set()


def test_proxy_limit_rate_slows_the_fill(cached, origin):
    origin.reply("/a", "x" * 30_000, headers=[FRESH])
    n = cached("proxy_limit_rate 14000;")
    assert seconds(n, "/a") >= 1
    assert seconds(n, "/a") < 1


@pytest.mark.parametrize("value, asked, status", [
    ("off", MODIFIED, 200), ("off", "Tue, 02 Jan 2024 00:00:00 GMT", 200),
    ("before", MODIFIED, 304), ("before", "Tue, 02 Jan 2024 00:00:00 GMT", 304), ("before", "Sun, 31 Dec 2023 00:00:00 GMT", 200)])
def test_if_modified_since_is_obeyed(cached, origin, value, asked, status):
    origin.reply("/a", "x", headers=[FRESH, f"Last-Modified: {MODIFIED}", 'ETag: "1"'])
    n = cached(f"if_modified_since {value};")
    assert [n.get("/a", f"If-Modified-Since: {asked}").status for _ in range(2)] == [status] * 2
    assert n.get("/a", f"If-Modified-Since: {asked}", 'If-None-Match: "1"').status == (200 if value == "off" else 304)
    assert n.get("/a", 'If-None-Match: "1"').status == 304
