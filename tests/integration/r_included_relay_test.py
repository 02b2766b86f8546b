"""A part of an SSI page that is not stored: the client's socket is waited for as that of a whole page."""
from harness.wait import wait_until


def test_client_that_stops_reading_within_an_included_part_is_timed_out(nginx, origin):
    origin.reply("/part", b"x" * 8_000_000, headers=["Cache-Control: no-store"])
    nginx.start(f"""
        send_timeout 100ms;
        location = /page {{ ssi on; ssi_types *; return 200 '<!--# include virtual="/part" -->'; }}
        location /part {{ slab_cache one; proxy_pass http://{origin.address}; }}""", level="info")
    with nginx.connect(receive_buffer=4096) as c:
        c.send("/page")
        c.read_header()
        wait_until(lambda: "client timed out" in nginx.error_log(), "nginx gives it up", 5)
