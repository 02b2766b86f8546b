"""A fill's connection has no socket: what nginx does with clients' sockets must neither touch it nor end it."""
import os
import threading

import pytest
from harness.origin import Reply
from harness.wait import wait_until


def test_worker_shutdown_timeout_ends_fills_that_wait_for_the_origin(nginx, origin):
    origin.reply("/a", "x", before=threading.Event())
    config = nginx.config(f"location /a {{ slab_cache one; proxy_pass http://{origin.address}; }}")
    nginx.start(text=config.replace("worker_shutdown_timeout 20s", "worker_shutdown_timeout 100ms"))
    old, = nginx.workers()
    with nginx.connect() as c:
        c.send("/a")
        origin.wait_for_hits("/a", 1)
        nginx.reload()
        wait_until(lambda: not os.path.exists(f"/proc/{old}"), "the old worker ends")


def test_closing_without_an_answer_resets_no_socket(nginx, origin):
    origin.reply("/a", "x", status=500)
    nginx.start(f"""
        reset_timedout_connection on;
        location /a {{ slab_cache one; proxy_pass http://{origin.address}; proxy_intercept_errors on; error_page 500 = @drop; }}
        location @drop {{ return 444; }}""")
    with nginx.connect() as c:
        c.send("/a")
        with pytest.raises((EOFError, ConnectionError)):
            c.read_header()
