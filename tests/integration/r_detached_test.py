"""A request that has been answered is not answered again when the fill that it started goes on."""
import threading

from harness.origin import Reply


def test_failed_condition_with_an_error_page_gets_that_page_alone(nginx, origin):
    more, late = threading.Event(), threading.Event()
    origin.handle("/a", lambda r: Reply(["first", more, "second"], headers=["Cache-Control: max-age=600"]))
    origin.handle("/other", lambda r: Reply("other", before=late))
    nginx.start(f"""
        location /a {{ slab_cache one; proxy_pass http://{origin.address}; error_page 412 = @other; }}
        location @other {{ rewrite ^ /other break; proxy_pass http://{origin.address}; }}""")
    with nginx.connect() as c:
        c.send("/a", headers=['If-Match: "none"'])
        origin.wait_for_hits("/other", 1)
        more.set()
        assert nginx.get("/a").body == b"firstsecond"   # the fill has gone on, and has ended
        late.set()
        assert c.read_body(c.read_header()).body == b"other"
    assert origin.hits("/other") == 1


def test_error_page_of_a_filter_is_all_there_is(cached, origin):
    origin.reply("/a", b"x" * 10_000, headers=["Cache-Control: no-store", 'ETag: "1"'])
    # Copied for the charset, buf by buf, the page does not go out in one piece.
    n = cached("limit_rate 10k; charset windows-1251; source_charset koi8-r; charset_types *;",
               http="charset_map koi8-r windows-1251 { 80 88; }")
    with n.connect() as c:
        c.send("/a", headers=['If-Match: "2"'])
        answer = c.read_header()
        assert c.read_body(answer).text.endswith("</html>\r\n")
        assert answer.status == 412
        assert not c.more()
