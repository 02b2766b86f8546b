"""Waiting for conditions, never for time."""
import threading
import time

DEADLINE = 20.0


def wait_until(condition, what, deadline=DEADLINE):
    """Returns the first true value of condition(); fails after the deadline, saying what was waited for."""
    tick = threading.Event()
    end = time.monotonic() + deadline
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"not within {deadline:g} s: {what}")
        tick.wait(0.005)
