"""What the origin sent before it broke off reaches the client, as it does without a cache."""
import pytest


def test_the_part_of_a_small_body_that_came_is_passed_on(cached, origin):
    n = cached()
    origin.reply("/a", b"x" * 600, truncate=500, headers=["Cache-Control: no-store"])
    with n.connect() as c:
        c.send("/a")
        assert c.read_header().status == 200
        assert c.read(500) == b"x" * 500
        with pytest.raises((EOFError, ConnectionError)):
            c.read(1)
