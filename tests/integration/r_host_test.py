"""What a request's Host header says beyond the server's name may be in the answer: nobody else gets that answer."""
import pytest
from harness.nginx import VERSION
from harness.origin import Reply, request_header


@pytest.mark.parametrize("request_line, host", [
    ("GET http://localhost/a HTTP/1.1", "evil.example"), ("GET http://localhost/a HTTP/1.1", "evil.example:81"),
    ("GET /a HTTP/1.1", "localhost."), ("GET /a HTTP/1.1", "localhost:80"), ("GET /a HTTP/1.1", "localhost:81"),
    ("GET /a HTTP/1.0", None), ("GET http://localhost/a HTTP/1.0", None)])
def test_answer_to_an_odd_host_is_not_for_the_others(cached, origin, request_line, host):
    origin.handle("/a", lambda r: Reply(f"links to {request_header(r, 'Host')}", headers=["Cache-Control: max-age=600"]))
    n = cached("proxy_set_header Host $http_host;")
    if host is None and VERSION >= (1, 31, 4):      # an empty Host is none to it: the origin's address goes instead
        host_sent = origin.address
    else:
        host_sent = host
    odd = "\r\n".join([request_line] + ([f"Host: {host}"] if host else []) + ["", ""]).encode()
    for cache in ("MISS", "HIT"):
        with n.connect() as c:
            c.send_raw(odd)
            answer = c.read_body(c.read_header())
            assert (answer.cache, answer.text) == (cache, f"links to {host_sent}")
    assert n.get("/a").text == "links to localhost"
    n.purge("/a")
    with n.connect() as c:
        c.send_raw(odd)
        assert c.read_header().cache == "MISS"


def test_letter_case_of_host_makes_no_difference(cached, origin):
    origin.reply("/a", "body", headers=["Cache-Control: max-age=600"])
    n = cached()
    assert [n.request("/a", host=h).cache for h in ("localhost", "LocalHost")] == ["MISS", "HIT"]


@pytest.mark.skipif(VERSION < (1, 29, 3), reason="$request_port is of nginx 1.29.3")
@pytest.mark.parametrize("request_line, host, said", [
    ("GET /a HTTP/1.1", "localhost:81", "localhost:81"), ("GET http://localhost:81/a HTTP/1.1", "localhost", "localhost:81"),
    ("GET http://localhost:81/a HTTP/1.1", "localhost:82", "localhost:81"), ("GET http://localhost/a HTTP/1.1", "localhost:82", "localhost"),
    ("GET http://localhost:81/a HTTP/1.0", None, "localhost:81")])
def test_port_that_a_client_names_reaches_the_origin_and_is_nobody_elses(cached, origin, request_line, host, said):
    origin.handle("/a", lambda r: Reply(f"links to {request_header(r, 'Host')}", headers=["Cache-Control: max-age=600"]))
    n = cached("proxy_set_header Host $host$is_request_port$request_port;")
    odd = "\r\n".join([request_line] + ([f"Host: {host}"] if host else []) + ["", ""]).encode()
    for _ in range(2):
        with n.connect() as c:
            c.send_raw(odd)
            assert c.read_body(c.read_header()).text == f"links to {said}"
        for name in ("localhost", "localhost:82", "localhost:83"):
            assert n.request("/a", host=name).text == f"links to {name}"
