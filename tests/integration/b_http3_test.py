"""HTTP/3: what is stored is given over QUIC as over TCP, and a fill that a QUIC client asked for is like any other."""
import subprocess
import threading

import pytest
from harness.nginx import NGINX, PATIENT
from harness.origin import Reply, request_header
from harness.wait import wait_until

FRESH = ("Cache-Control: max-age=60",)
QUIC, TCP = "--http3-only", "--http2"
BODY = bytes(i % 251 for i in range(500_000))


def _says(word, *command):
    p = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    return word in p.stdout + p.stderr


@pytest.fixture
def h3(nginx, origin, certificate):
    """h3("more directives", workers=2): `location /` cached, asked by h3.ask(), over QUIC where nothing else is said."""
    if not _says("http_v3_module", NGINX, "-V"):
        pytest.skip("this nginx has no HTTP/3")
    if not _says("HTTP3", "curl", "--version"):
        pytest.skip("this curl has no HTTP/3: NOT TESTED")
    cert, key = certificate
    port = nginx.another_port()

    def start(directives="", workers=1, server="", **kw):
        cached = f"slab_cache one; {PATIENT} slab_cache_purge PURGE from 127.0.0.1; {directives} proxy_pass http://{origin.address};"
        nginx.start(f"location / {{ {cached} }} location /_cache/ {{ slab_cache_api write=on; allow 127.0.0.1; deny all; }}", workers=workers,
                    server=f"""listen 127.0.0.1:{port} ssl; listen 127.0.0.1:{port} quic{' reuseport' if workers > 1 else ''};
                             ssl_certificate {cert}; ssl_certificate_key {key}; {server}""", **kw)
        return nginx

    def ask(path, *args, over=QUIC):
        """Status, fields by their names in lower case, body."""
        head, _, body = nginx.curl(over, "-i", *args, path=path, scheme="https", port=port).partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        return int(first.split()[1]), {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}, body

    start.ask, start.nginx, start.port = ask, nginx, port
    return start


@pytest.mark.parametrize("workers", [1, 2])
def test_large_page_is_filled_and_hit(h3, origin, workers):
    origin.reply("/a", BODY, headers=FRESH)
    h3(workers=workers)
    for i in range(6):
        status, fields, body = h3.ask("/a")
        assert (status, fields["x-cache"], body == BODY) == (200, "HIT" if i else "MISS", True)
    assert h3.ask("/a", over=TCP)[1]["x-cache"] == "HIT"
    assert origin.hits("/a") == 1


def test_page_stored_over_tcp_is_a_hit(h3, origin):
    origin.reply("/a", BODY, headers=FRESH)
    h3("gzip on; gzip_types *;")
    h3.ask("/a", over=TCP)
    assert h3.ask("/a")[2] == BODY
    assert h3.ask("/a", "-H", "Accept-Encoding: gzip")[1]["content-encoding"] == "gzip"
    assert origin.hits("/a") == 1


@pytest.mark.parametrize("first, then", [(QUIC, TCP), (TCP, QUIC)])
@pytest.mark.parametrize("host", ["$http_host", "$host", "$proxy_host"])
def test_origin_is_told_one_host_whoever_asks(h3, origin, host, first, then):
    origin.handle("/a", lambda request: Reply(request_header(request, "Host"), headers=FRESH))
    h3(f"proxy_set_header Host {host};", http='map $http_host $seen { "" none; default some; }', server='if ($seen = nobody) { return 403; }')
    told = {"$http_host": f"localhost:{h3.port}", "$host": "localhost", "$proxy_host": origin.address}[host].encode()
    assert [h3.ask("/a", over=over)[2] for over in (first, then)] == [told] * 2
    assert origin.hits("/a") == 1


def test_head_ranges_and_conditions_are_answered_from_the_stored_page(h3, origin):
    origin.reply("/a", BODY, headers=(*FRESH, 'ETag: "v1"'))
    h3()
    status, fields, body = h3.ask("/a", "-I")
    assert (status, fields["content-length"], body) == (200, str(len(BODY)), b"")
    status, fields, body = h3.ask("/a", "-r", "400000-400009")
    assert (status, fields["x-cache"], body) == (206, "HIT", BODY[400_000:400_010])
    status, fields, body = h3.ask("/a", "-H", 'If-None-Match: "v1"')
    assert (status, fields["x-cache"], body) == (304, "HIT", b"")
    assert origin.hits("/a") == 1


def test_clients_of_both_kinds_wait_for_one_fill(h3, origin):
    gate = threading.Event()
    origin.reply("/a", [BODY[:1000], gate, BODY[1000:]], headers=FRESH)
    n = h3(workers=2)
    answers = []
    clients = [threading.Thread(target=lambda over=over: answers.append(h3.ask("/a", over=over)[2])) for over in (QUIC, TCP) * 3]
    clients[0].start()
    origin.wait_for_hits("/a", 1)
    for c in clients[1:]:
        c.start()
    n.wait_for_waiters(5)
    gate.set()
    for c in clients:
        c.join()
    assert [a == BODY for a in answers] == [True] * 6
    assert origin.hits("/a") == 1


def test_fill_outlives_the_quic_client_that_asked_for_it(h3, origin):
    gate = threading.Event()
    origin.reply("/a", [BODY[:1000], gate, BODY[1000:]], headers=FRESH)
    n = h3()
    client = subprocess.Popen(["curl", "-sS", "-k", "--max-time", "20", QUIC, f"https://localhost:{h3.port}/a"],
                              stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    origin.wait_for_hits("/a", 1)
    answers = []
    waiter = threading.Thread(target=lambda: answers.append(h3.ask("/a", over=TCP)[2]))
    waiter.start()
    n.wait_for_waiters(1)
    client.kill()
    client.wait()
    gate.set()
    waiter.join()
    assert answers == [BODY]
    assert h3.ask("/a")[2] == BODY
    assert origin.hits("/a") == 1


def test_stale_page_is_given_and_refreshed_behind_the_client(h3, origin):
    stale = ("Cache-Control: max-age=0, stale-while-revalidate=60",)
    origin.handle("/a", lambda request: Reply(f"{origin.hits('/a')} over {request.target}", headers=stale))
    h3("proxy_set_header X-Protocol $server_protocol;")
    assert h3.ask("/a")[2] == b"1 over /a"
    assert h3.ask("/a")[1]["x-cache"] == "STALE"
    origin.wait_for_hits("/a", 2)
    wait_until(lambda: h3.ask("/a")[2] != b"1 over /a", "the refreshed page is given")


def test_purge_over_http3(h3, origin):
    origin.reply("/a", "body", headers=FRESH)
    h3()
    h3.ask("/a")
    assert h3.ask("/a", "-X", "PURGE")[0] == 200
    assert h3.ask("/a")[1]["x-cache"] == "MISS"


def test_requests_to_the_api_over_http3_are_no_strangers(h3, origin):
    origin.reply("/a", "body", headers=FRESH)
    h3()
    h3.ask("/a")
    ours = f"Origin: https://localhost:{h3.port}"
    purge = ("-X", "POST", "-H", "Content-Type: application/json", "-d", '{"urls": ["/a"]}')
    assert h3.ask("/_cache/v1/zones/one/purge", *purge, "-H", "Origin: https://other.example")[0] == 403
    assert h3.ask("/_cache/v1/zones/one/purge", *purge, "-H", ours)[0] == 200
    assert h3.ask("/a")[1]["x-cache"] == "MISS"
