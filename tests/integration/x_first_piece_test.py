"""image_filter tests the first buf of a body alone, and wants 16 bytes there: none that is empty or shorter, wherever a body comes from."""
import contextlib
import threading

import pytest
from harness import modules
from harness.nginx import PATIENT
from harness.origin import Reply
from x_filters_test import PNG

SIZE = '"width": 64, "height": 64, "type": "png"'
TYPE = "Content-Type: image/png"
FRESH, PRIVATE = "Cache-Control: max-age=600", "Cache-Control: no-store"
EARNED = 16     # whole answers in a row, after which a location's next cold key is filled directly


@pytest.fixture
def images(cached):
    modules.need("http_image_filter")

    def start(directives="", **kw):
        return cached("proxy_http_version 1.1; image_filter size;" + directives, main=modules.load("http_image_filter"), level="debug", **kw)
    return start


def is_image(answer):
    return answer.status == 200 and SIZE in answer.text


@pytest.mark.parametrize("control", [FRESH, PRIVATE])
@pytest.mark.parametrize("framing", ["length", "close", "chunked"])
def test_beginning_that_comes_alone_is_not_the_first_piece(images, origin, control, framing):
    n = images(PATIENT)
    for length in (1, 3, 15, 16):
        more = threading.Event()
        origin.reply(f"/{length}", [PNG[:length], more, PNG[length:]], headers=[TYPE, control], framing=framing)
        with contextlib.ExitStack() as open_ones:
            clients = [open_ones.enter_context(n.connect()) for _ in range(3 if control == FRESH else 1)]
            for c in clients:
                c.send(f"/{length}")
            origin.wait_for_hits(f"/{length}", 1)
            n.get("/none")                  # time for the beginning to be read alone
            more.set()
            assert [is_image(c.read_body(c.read_header())) for c in clients] == [True] * len(clients)
        if control == FRESH:                # what is not stored goes nginx's way from now on, which fails with such chunks
            assert is_image(n.get(f"/{length}"))


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_body_that_begins_at_the_end_of_a_run_has_a_whole_first_piece(images, origin, framing):
    n = images("proxy_buffer_size 16k; proxy_buffers 8 16k; keepalive_requests 2000;")
    with n.connect() as c:
        for fill in range(0, 8192, 15):     # so that a few bytes of the body lie beside the head, for some
            origin.reply(f"/{fill:04}", PNG, headers=[TYPE, FRESH, "X-Fill: " + "x" * fill], framing=framing)
            assert [is_image(c.request(f"/{fill:04}")) for _ in range(2)] == [True, True], fill


@pytest.mark.parametrize("control", [FRESH, PRIVATE])
@pytest.mark.parametrize("framing", ["length", "close", "chunked"])
@pytest.mark.parametrize("first", [0, 16, 3000, 20_000])
def test_direct_fill_that_is_not_whole_sends_no_flush_before_the_body(images, origin, control, framing, first):
    big = PNG + bytes(60_000)               # image_filter looks at the first bytes
    n = images()
    for i in range(EARNED):
        origin.reply(f"/earn{i}", PNG, headers=[TYPE, FRESH])
        assert is_image(n.get(f"/earn{i}"))
    more = threading.Event()
    origin.reply("/a", [big[:first], more, big[first:]] if first else [more, big], headers=[TYPE, control], framing=framing)
    with n.connect() as c:
        c.send("/a")
        origin.wait_for_hits("/a", 1)
        n.get("/none")
        more.set()
        assert is_image(c.read_body(c.read_header()))
    assert n.error_log().count("direct fill, trusted:1") >= 1
    assert is_image(n.get("/a"))
