"""Slices are objects: filled once, refreshed, purged and evicted one by one, held no longer than their bytes are on the way."""
import collections
import contextlib
import itertools
import re
import subprocess
import threading

import pytest
from harness.fastcgi import FastCgi
from harness.files import File, numbered
from harness.origin import Reply, request_header
from harness.wait import wait_until

BODY = numbered(10_000)
FOREVER = "Cache-Control: max-age=86400"


@pytest.fixture
def sliced(nginx, origin):
    """sliced("more directives"): `location /` in slices of 1k, cached, purged by PURGE and by the API."""

    def start(directives="", size="1k", location="", certificate=None, **kw):
        if certificate:
            nginx.tls_port = nginx.another_port()
            kw["server"] = f"listen 127.0.0.1:{nginx.tls_port} ssl http2; ssl_certificate {certificate[0]}; ssl_certificate_key {certificate[1]};"
        return nginx.start(f"""
        location / {{
            slab_cache one;
            slab_cache_purge PURGE from 127.0.0.1;
            slice {size};
            proxy_set_header Range $slice_range;
            {directives}
            proxy_pass http://{origin.address};
        }}
        location /_cache/ {{ slab_cache_api write=on; allow 127.0.0.1; deny all; }}
        {location}""", **kw)

    return start


def ranges(origin, path):
    return collections.Counter(request_header(r, "Range") for r in origin.requests(path) if r.method == "GET")


def metric(n, name):
    """`name` with its labels, or without any."""
    lines = [line.rpartition(" ") for line in n.get("/_cache/metrics").text.splitlines()]
    return next(int(value) for metric, _, value in lines if name in (metric, metric.partition("{")[0]))


# ---- filling --------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("workers", [1, 2])
def test_crowd_on_a_cold_file_asks_for_each_slice_once(sliced, origin, workers):
    n = sliced(workers=workers)
    go, file = threading.Event(), File(BODY, headers=[FOREVER])
    origin.handle("/f", lambda r: Reply(file(r).parts[0], status=206, before=go, headers=file(r).headers))
    answers = n.ask_together("/f", 12, lambda: (origin.wait_for_hits("/f", 1), go.set()))
    assert [a.body == BODY for a in answers] == [True] * 12
    assert set(ranges(origin, "/f").values()) == {1}


def test_slice_streams_while_it_is_filled(sliced, origin):
    n = sliced(size="8k")
    rest = threading.Event()
    file = File(numbered(20_000), headers=[FOREVER])

    def slowly(request):
        whole = file(request)
        first = whole.headers[-1].split()[2].split("-")[0]
        parts = whole.parts[0]
        return Reply([parts[:3000], rest, parts[3000:]] if first == "8192" else parts, status=206, headers=[*whole.headers,
                     f"Content-Length: {len(parts)}"], framing="none")

    origin.handle("/f", slowly)
    with n.connect() as c:
        c.send("/f")
        answer = c.read_header()
        assert c.read(8192 + 3000) == file.body[:8192 + 3000]
        rest.set()
        assert c.read(20_000 - 11_192) == file.body[11_192:]
        assert answer.status == 200
    assert n.get("/f").cache == "HIT" and origin.hits("/f") == 3


def test_client_that_hangs_up_ends_the_asking(sliced, origin):
    n = sliced()
    go, file = threading.Event(), File(BODY, headers=[FOREVER])

    def second_waits(request):
        answer = file(request)
        return Reply(answer.parts[0], status=206, headers=answer.headers,
                     before=go if request_header(request, "Range") == "bytes=2048-3071" else None)

    origin.handle("/f", second_waits)
    c = n.connect()
    c.send("/f")
    origin.wait_for_hits("/f", 3)
    c.abort()
    wait_until(lambda: metric(n, "slab_cache_pins") == 0, "what the client was sent is let go")
    go.set()
    assert n.get("/f", "Range: bytes=2048-3000").body == BODY[2048:3001]
    assert set(ranges(origin, "/f")) == {"bytes=0-1023", "bytes=1024-2047", "bytes=2048-3071"}


def test_first_uses_are_counted_for_each_slice(sliced, origin):
    n = sliced("slab_cache_min_uses 2;")
    origin.handle("/f", File(BODY, headers=[FOREVER]))
    assert [n.get("/f").body == BODY for _ in range(3)] == [True] * 3
    assert set(ranges(origin, "/f").values()) == {2}


def test_answers_of_a_variant_are_put_together_of_that_variant(sliced, origin):
    n = sliced()
    files = {"de": File(BODY, headers=[FOREVER, "Vary: Accept-Language"]), "en": File(BODY[::-1], headers=[FOREVER, "Vary: Accept-Language"])}
    origin.handle("/f", lambda r: files[request_header(r, "Accept-Language")](r))
    for _ in range(2):
        for language, file in files.items():
            assert n.get("/f", f"Accept-Language: {language}").body == file.body
            assert n.get("/f", f"Accept-Language: {language}", "Range: bytes=4000-6000").body == file.body[4000:6001]
    assert origin.hits("/f") == 20


# ---- freshness ------------------------------------------------------------------------------------------------------

def is_stale(n, *headers):
    return n.get("/f", "Range: bytes=0-9", *headers).cache in ("STALE", "UPDATING")


def test_stale_slices_are_refreshed_behind_the_client_each_by_its_own_range(sliced, origin):
    n = sliced()
    file = File(BODY, headers=["Cache-Control: max-age=1, stale-while-revalidate=600"])
    origin.handle("/f", file)
    n.get("/f")
    wait_until(lambda: is_stale(n), "it is stale")
    seen = origin.hits("/f")
    wait_until(lambda: n.get("/f").body == BODY and len(ranges(origin, "/f")) == 10 and
               all(times >= 2 for times in ranges(origin, "/f").values()), "each was asked about again")
    again = origin.requests("/f")[seen:]
    assert all(request_header(r, "If-None-Match") == file.etag and request_header(r, "Range") for r in again)
    assert n.get("/f").body == BODY


def test_expired_slices_are_asked_about_with_their_range(sliced, origin):
    n = sliced("slab_cache_use_stale off; slab_cache_background_update off;")
    origin.handle("/f", File(BODY, headers=["Cache-Control: max-age=1"]))
    n.get("/f")
    wait_until(lambda: n.get("/f").cache == "REVALIDATED", "it has expired")
    assert n.get("/f", "Range: bytes=3000-6000").body == BODY[3000:6001]
    conditional = [r for r in origin.requests("/f") if request_header(r, "If-None-Match")]
    assert len({request_header(r, "Range") for r in conditional}) > 1


def test_slices_outlive_an_origin_that_fails(sliced, origin):
    n = sliced()
    file = File(BODY, headers=["Cache-Control: max-age=1"])
    origin.handle("/f", file)
    n.get("/f")
    origin.handle("/f", lambda r: Reply(status=503))
    wait_until(lambda: n.get("/f").cache == "STALE", "it is stale")
    assert n.get("/f").body == BODY
    assert n.get("/f", "Range: bytes=3000-6000").body == BODY[3000:6001]


def first_of(request):
    return int(request_header(request, "Range")[6:].split("-")[0])


def lifetimes(file, short):
    """The file, in which the slices that short(first byte) names live for a second, all others for long."""
    def serve(request):
        file.headers = ["Cache-Control: max-age=1" if short(first_of(request)) else FOREVER]
        return file(request)
    return serve


STRICT = "slab_cache_use_stale off; slab_cache_background_update off;"


@pytest.mark.parametrize("validators", [{}, {"etag": None}, {"etag": None, "modified": None}], ids=["ETag", "Last-Modified", "length"])
def test_old_slices_of_a_file_that_changed_are_fetched_anew_for_who_began_with_the_new_one(sliced, origin, validators):
    n = sliced(STRICT + "slab_cache_valid 206 1h;")
    old = File(BODY, **validators)
    new = File(BODY[::-1] + b"more", **{**validators, **({"modified": "Tue, 24 Nov 2026 08:49:37 GMT"} if "modified" not in validators else {})})
    origin.handle("/f", lifetimes(old, lambda first: first == 0))
    assert n.get("/f").body == old.body
    origin.handle("/f", lifetimes(new, lambda first: first == 0))
    wait_until(lambda: n.get("/f", "Range: bytes=0-9").body == new.body[:10], "the first slice has expired")
    assert n.get("/f").body == new.body
    assert n.get("/f", "Range: bytes=5000-").body == new.body[5000:]


@pytest.mark.parametrize("etag, said", [(True, "etag mismatch in slice response"), (None, "a slice is of another version of the file")])
def test_who_began_with_the_old_one_is_cut_off_and_the_next_gets_the_new_one(sliced, origin, etag, said):
    n = sliced(STRICT)
    old, new = File(BODY, etag=etag), File(BODY[::-1], etag=etag, modified="Tue, 24 Nov 2026 08:49:37 GMT")
    origin.handle("/f", lifetimes(old, lambda first: first > 0))
    assert n.get("/f").body == old.body
    origin.handle("/f", lifetimes(new, lambda first: first > 0))
    wait_until(lambda: n.get("/f", "Range: bytes=1024-1029").body == new.body[1024:1030], "the second slice has expired")
    with n.connect() as c:
        c.send("/f")
        with pytest.raises(EOFError):
            c.read_body(c.read_header())
    assert said in n.error_log()
    assert n.get("/f").body == new.body
    assert metric(n, 'slab_cache_refusals_total{zone="one",reason="SLICE_CHANGED"}') > 0


def test_slices_that_nobody_can_tell_apart_are_stored_only_where_slab_cache_valid_names_206(sliced, origin):
    n = sliced("slab_cache_valid 206 1h;", location=f"""
        location /u/ {{ slab_cache one; slice 1k; proxy_set_header Range $slice_range; proxy_pass http://{origin.address}; }}""")
    for path in ("/f", "/u/f"):
        origin.handle(path, File(BODY, headers=[FOREVER], etag=None, modified=None))
        assert [n.get(path).body == BODY for _ in range(2)] == [True, True]
    assert (origin.hits("/f"), origin.hits("/u/f")) == (10, 20)
    assert n.get("/u/f").why == "PARTIAL"


def test_answer_that_began_with_what_is_not_stored_is_made_of_one_version(sliced, origin):
    n = sliced(STRICT)
    files = [File(body, etag=None, modified=date) for body, date in ((BODY, "Mon, 23 Nov 2026 08:49:37 GMT"), (BODY[::-1], "Tue, 24 Nov 2026 08:49:37 GMT"))]
    for file in files:
        def serve(request, file=file):
            file.headers = ["Cache-Control: no-store" if first_of(request) == 0 else FOREVER]
            return file(request)
        origin.handle("/f", serve)
        assert n.get("/f").body == file.body


@pytest.mark.parametrize("kept", [True, False], ids=["stored", "relayed"])
@pytest.mark.parametrize("etags", [(None, None), (None, True)], ids=["no ETag", "an ETag that is new"])
def test_newer_slice_never_goes_on_with_an_older_answer(sliced, origin, kept, etags):
    n = sliced(STRICT)
    old, new = File(BODY, etag=etags[0]), File(BODY[::-1], etag=etags[1], modified="Tue, 24 Nov 2026 08:49:37 GMT")
    origin.handle("/f", lifetimes(old, lambda first: first > 0))
    assert n.get("/f").body == old.body

    def changed(request):
        new.headers = [FOREVER if kept or first_of(request) == 0 else "Cache-Control: no-store"]
        return new(request)

    origin.handle("/f", changed)
    wait_until(lambda: n.get("/f", "Range: bytes=1024-1029").body == new.body[1024:1030], "the second slice has expired")
    with n.connect() as c:
        c.send("/f")
        with pytest.raises(EOFError):
            c.read_body(c.read_header())
    assert "a slice is of another version of the file" in n.error_log()
    assert n.get("/f").body == new.body


def test_origin_whose_slices_all_differ_is_answered_as_without_a_cache(sliced, origin):
    n = sliced(STRICT)
    times = itertools.count()

    def restless(request):
        return File(BODY, headers=[FOREVER], etag=None, modified=f"Mon, 23 Nov 2026 08:49:{next(times) % 60:02d} GMT")(request)

    origin.handle("/f", restless)
    assert n.get("/f").body == BODY


# ---- purging --------------------------------------------------------------------------------------------------------

def purge_by_api(n, body):
    assert n.request("/_cache/v1/zones/one/purge", "POST", body=body).status == 200


@pytest.mark.parametrize("purge", [
    lambda n: n.purge("/d/f"), lambda n: n.purge("/d/*"), lambda n: n.purge("/x", "Surrogate-Key: films"), lambda n: n.request("/d/f", "POST"),
    lambda n: purge_by_api(n, b'{"urls":["http://localhost/d/f"]}'), lambda n: purge_by_api(n, b'{"prefixes":["http://localhost/d/"]}'),
    lambda n: purge_by_api(n, b'{"tags":["films"]}'), lambda n: purge_by_api(n, b'{"hosts":["localhost"]}'), lambda n: purge_by_api(n, b'{"all":true}'),
    lambda n: purge_by_api(n, b'{"urls":["http://localhost/*/f"]}'), lambda n: n.request("/_cache/v1/zones/one/entry?url=/d/f", "DELETE"),
], ids=["PURGE", "PURGE prefix", "PURGE tag", "unsafe", "urls", "prefixes", "tags", "hosts", "all", "glob", "DELETE"])
@pytest.mark.parametrize("directives", ["", "slab_cache_key $uri$slice_range;", "rewrite ^/d/(.*) /e/$1 break;"])
def test_purge_takes_every_slice(sliced, origin, purge, directives):
    n = sliced(directives)
    file = File(BODY, headers=[FOREVER, "Surrogate-Key: films"])
    path = "/e/f" if "rewrite" in directives else "/d/f"
    origin.handle(path, lambda r: Reply() if r.method == "POST" else file(r))
    n.get("/d/f")
    assert n.get("/d/f", "Range: bytes=5000-5001").cache == "HIT"
    old, file = file, File(BODY[::-1], headers=file.headers)
    purge(n)
    assert n.get("/d/f").body == file.body
    assert set(ranges(origin, path).values()) == {2}
    assert old.etag != file.etag


def test_purge_takes_the_slice_that_is_being_filled(sliced, origin):
    n = sliced()
    rest, file = threading.Event(), File(BODY, headers=[FOREVER])

    def slowly(request):
        answer = file(request)
        return Reply([answer.parts[0][:500], rest, answer.parts[0][500:]], status=206, headers=answer.headers)

    origin.handle("/f", slowly)
    with n.connect() as c:
        c.send("/f", headers=["Range: bytes=0-1023"])
        answer = c.read_header()
        assert n.purge("/f").status == 200
        rest.set()
        assert c.read_body(answer).body == BODY[:1024]
    assert n.get("/f", "Range: bytes=0-1023").cache == "MISS"


# ---- space ----------------------------------------------------------------------------------------------------------

def stored_file(n, origin, megabytes):
    file = File(numbered(megabytes << 20), headers=[FOREVER])
    origin.handle("/f", file)
    assert n.get("/f").body == file.body
    return file


@contextlib.contextmanager
def reading_slowly(n):
    """A client that has the header of /f, and a small buffer for the rest."""
    with n.connect(receive_buffer=16384) as c:
        c.send("/f")
        assert c.read_header().status == 200
        yield c


def test_file_larger_than_the_zone_goes_through_it(sliced, origin):
    n = sliced(size="64k", zone="slab_cache_zone zone=one:8m;")
    file = stored_file(n, origin, 24)
    end = len(file.body)
    assert n.get("/f", f"Range: bytes={end - 300_000}-").body == file.body[-300_000:]
    asked = origin.hits("/f")
    answer = n.get("/f", f"Range: bytes={end - 300_000}-")
    assert answer.cache == "HIT" and origin.hits("/f") == asked
    for at in range(0, end, 5_000_001):
        assert n.get("/f", f"Range: bytes={at}-{at + 99_999}").body == file.body[at:at + 100_000]


def test_client_that_reads_slowly_holds_one_slice_at_a_time(sliced, origin):
    n = sliced(size="64k", zone="slab_cache_zone zone=one:32m;")
    file = stored_file(n, origin, 8)
    with reading_slowly(n) as c:
        for at in range(0, len(file.body), 256 << 10):
            assert c.read(256 << 10) == file.body[at:at + (256 << 10)]
            assert metric(n, "slab_cache_pins") <= 3
    assert origin.hits("/f") == 128


def test_client_that_takes_nothing_is_given_up_after_send_timeout(sliced, origin):
    n = sliced("send_timeout 1s;", size="64k", zone="slab_cache_zone zone=one:64m;")
    file = stored_file(n, origin, 24)
    with reading_slowly(n) as c:
        assert metric(n, "slab_cache_pins") > 0
        wait_until(lambda: metric(n, "slab_cache_pins") == 0, "the client is given up")
        with pytest.raises((EOFError, ConnectionError)):
            c.read(len(file.body))


def test_origin_that_thinks_for_longer_is_waited_for(sliced, origin):
    n = sliced("send_timeout 1s;")
    file = File(BODY, headers=[FOREVER])

    def third_takes_its_time(request):
        answer = file(request)
        return Reply(answer.parts[0], status=206, headers=answer.headers,
                     before=2.5 if request_header(request, "Range") == "bytes=2048-3071" else None)

    origin.handle("/f", third_takes_its_time)
    assert n.get("/f").body == BODY
    assert n.get("/f").cache == "HIT"


@pytest.mark.parametrize("protocol", ["--http1.1", "--http2"])
def test_so_does_a_slow_client_by_tls(sliced, origin, certificate, protocol):
    n = sliced(size="64k", certificate=certificate, zone="slab_cache_zone zone=one:64m;")
    file = File(numbered(24 << 20), headers=[FOREVER])
    origin.handle("/f", file)
    assert n.curl(protocol, path="/f", scheme="https", port=n.tls_port) == file.body
    with subprocess.Popen(["curl", "-sSk", protocol, "--limit-rate", "20M", f"https://localhost:{n.tls_port}/f"], stdout=subprocess.PIPE) as client:
        body, pins = b"", 0
        while piece := client.stdout.read(512 << 10):
            body += piece
            pins = max(pins, metric(n, "slab_cache_pins"))
    assert pins <= 3
    assert body == file.body and origin.hits("/f") == 384


def test_zone_takes_no_harm_of_many_slow_clients(sliced, origin):
    n = sliced(size="64k", zone="slab_cache_zone zone=one:8m;")
    files = [File(numbered(3 << 20)[i:], headers=[FOREVER]) for i in range(6)]
    clients = []
    for i, file in enumerate(files):
        origin.handle(f"/f{i}", file)
        clients.append(n.connect(receive_buffer=16384))
        clients[-1].send(f"/f{i}")
    for c, file in zip(clients, files, strict=True):
        assert c.read_body(c.read_header()).body == file.body
        c.close()
    wait_until(lambda: metric(n, "slab_cache_pins") == 0, "all is let go")


# ---- ways to a sliced location --------------------------------------------------------------------------------------

def test_sliced_location_behind_x_accel_redirect(sliced, origin):
    n = sliced(location=f"""
        location /app/ {{ proxy_pass http://{origin.address}; }}""")
    origin.handle("/app/film", lambda r: Reply(headers=["X-Accel-Redirect: /films/f", "Cache-Control: no-store"]))
    origin.handle("/films/f", File(BODY, headers=[FOREVER]))
    for _ in range(2):
        assert n.get("/app/film").body == BODY
        assert n.get("/app/film", "Range: bytes=4000-6000").body == BODY[4000:6001]
    assert origin.hits("/films/f") == 10


@pytest.mark.parametrize("way", ["try_files /none @files;", "error_page 404 = @files;", "rewrite ^ /files/f last;", "error_page 404 = /files/f;"])
def test_sliced_location_behind(nginx, origin, way):
    common = f"slab_cache one; slice 1k; proxy_set_header Range $slice_range; proxy_pass http://{origin.address}"
    nginx.start(f"""
        location / {{ {way} }}
        location @files {{ rewrite ^ /files/f break; {common}; }}
        location /files/ {{ {common}; }}""")
    origin.handle("/files/f", File(BODY, headers=[FOREVER]))
    for _ in range(2):
        assert nginx.get("/film").body == BODY
        assert nginx.get("/film", "Range: bytes=4000-6000").body == BODY[4000:6001]
    assert origin.hits("/files/f") == 10


def test_page_that_includes_a_sliced_location_has_the_whole_of_it(sliced, origin):
    n = sliced(location=f"location /page {{ ssi on; ssi_types *; proxy_pass http://{origin.address}; }}")
    origin.reply("/page", '<!--# include virtual="/f" -->|<!--# include virtual="/f" -->')
    origin.handle("/f", File(BODY, headers=[FOREVER]))
    for _ in range(2):
        assert n.get("/page").body == BODY + b"|" + BODY
    assert origin.hits("/f") == 1
    assert n.get("/f", "Range: bytes=4000-6000").body == BODY[4000:6001]


def test_slices_over_a_gateway(nginx):
    def application(params):
        first, last = (int(x) for x in re.match(r"bytes=(\d+)-(\d+)", params["HTTP_RANGE"]).groups())
        part = BODY[first:last + 1]
        return (f"Status: 206\r\nCache-Control: max-age=600\r\nETag: \"1\"\r\n"
                f"Content-Range: bytes {first}-{first + len(part) - 1}/{len(BODY)}\r\n\r\n").encode() + part

    FastCgi(nginx.prefix / "app.sock", application)
    nginx.start(f"""location / {{ slab_cache one; slice 1k; include /etc/nginx/fastcgi_params; fastcgi_param HTTP_RANGE $slice_range;
                                  fastcgi_pass unix:{nginx.prefix}/app.sock; }}""")
    for _ in range(2):
        assert nginx.get("/f").body == BODY
        assert nginx.get("/f", "Range: bytes=4000-6000").body == BODY[4000:6001]
    assert nginx.get("/f").cache == "HIT"


def test_memory_tier_over_a_disk_tier(nginx, origin):
    nginx.start(http=f"proxy_cache_path {nginx.prefix}/disk keys_zone=disk:1m;", location=f"""
        location / {{
            slab_cache one; slab_cache_purge PURGE from 127.0.0.1; slice 1k; proxy_set_header Range $slice_range;
            proxy_cache disk; proxy_cache_key $uri$slice_range; proxy_pass http://{origin.address};
        }}""")
    origin.handle("/f", File(BODY, headers=[FOREVER]))
    for _ in range(2):
        assert nginx.get("/f").body == BODY
        assert nginx.get("/f", "Range: bytes=4000-6000").body == BODY[4000:6001]
        assert nginx.purge("/f").status == 200
    assert origin.hits("/f") == 10


@pytest.mark.parametrize("protocol", ["--http1.1", "--http2"])
def test_slices_by_tls(sliced, origin, certificate, protocol):
    n = sliced(size="16k", certificate=certificate)
    file = File(numbered(1 << 20), headers=[FOREVER])
    origin.handle("/f", file)
    for _ in range(2):
        assert n.curl(protocol, path="/f", scheme="https", port=n.tls_port) == file.body
        assert n.curl(protocol, "-r", "400000-600000", path="/f", scheme="https", port=n.tls_port) == file.body[400_000:600_001]
    assert origin.hits("/f") == 64
