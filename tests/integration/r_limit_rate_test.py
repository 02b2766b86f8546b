"""A client under limit_rate that catches up with the origin: the delay that nginx keeps must not be forgotten."""
import threading

import pytest
from harness.origin import Reply


@pytest.mark.parametrize("control", ["max-age=600", "no-store"])
@pytest.mark.parametrize("first", [0, 10_000])
def test_limited_client_goes_on_when_the_origin_does(cached, origin, control, first):
    gate = threading.Event()
    origin.handle("/a", lambda r: Reply([b"a" * first, gate, b"b" * 10_000], headers=[f"Cache-Control: {control}"]))
    n = cached("limit_rate 100k;")
    with n.connect(timeout=10) as c:
        c.send("/a")
        header = c.read_header()
        assert c.read(first) == b"a" * first
        gate.set()
        assert c.read(10_000) == b"b" * 10_000
    assert header.status == 200
