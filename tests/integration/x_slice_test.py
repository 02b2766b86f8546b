"""nginx's slice module over slab_cache gives what it gives over proxy_cache, byte for byte, and asks the origin no more often.

Each test has two locations with the same directives, one under each cache, before one scripted origin."""
import itertools
import zlib

import pytest
from harness.files import File, numbered
from harness.origin import Reply, request_header

SIZE = 10_000
BODY = numbered(SIZE)
ETAG = File(BODY).etag
SHOWN = ("Content-Range", "Content-Length", "Content-Type", "ETag", "Last-Modified", "Accept-Ranges", "Transfer-Encoding",
         "Content-Encoding")
KEY = "$uri$is_args$args$slice_range"
COMMON = "slice 1k; proxy_set_header Range $slice_range;"

RANGES = ["bytes=0-0", "bytes=0-1023", "bytes=1023-1024", "bytes=1024-2047", "bytes=100-5000", "bytes=5000-", "bytes=9999-",
          "bytes=9999-20000", "bytes=0-", "bytes=-1", "bytes=-1024", "bytes=-20000", "bytes=10000-", "bytes=10000-10001", "bytes=20000-",
          "bytes=5-2", "bytes=", "bytes=a-b", "bytes=1-1,3-3", "bytes=0-0,", "bytes= 7-9", "items=0-5", "BYTES=3-4", "bytes=3-4,9000-9001",
          "bytes=9223372036854775807-", "bytes=9223372036854775806-9223372036854775807", "bytes=99999999999999999999-"]
CONDITIONS = [f"If-None-Match: {ETAG}", 'If-None-Match: "other"', "If-None-Match: *", f"If-Match: {ETAG}", 'If-Match: "other"',
              "If-Modified-Since: Mon, 23 Nov 2026 08:49:37 GMT", "If-Modified-Since: Mon, 23 Nov 2020 08:49:37 GMT",
              "If-Unmodified-Since: Mon, 23 Nov 2020 08:49:37 GMT", "If-Unmodified-Since: Mon, 23 Nov 2026 08:49:37 GMT"]
IF_RANGES = [f"If-Range: {ETAG}", 'If-Range: "other"', "If-Range: Mon, 23 Nov 2026 08:49:37 GMT", "If-Range: Mon, 23 Nov 2020 08:49:37 GMT"]


def shown(answer):
    if isinstance(answer, str):
        return answer
    fields = {name: answer.all(name) for name in SHOWN if answer.all(name)}
    if answer.status == 304:                # nginx's own has no more of them, an origin's may
        fields.pop("Accept-Ranges", None)
    body = answer.body
    if "Content-Encoding" in fields:        # where the pieces end is another matter
        body = zlib.decompress(body, 31)
    return answer.status, fields, body


class Twins:
    def __init__(self, nginx, origin):
        self.nginx, self.origin = nginx, origin

    def start(self, directives=COMMON, key=KEY, valid="200 206 1h", to="", **kw):
        """One location of each kind; `key` is ours, None for the default one. nginx's needs $slice_range in it."""
        proxy_key = f"proxy_cache_key {key if key and 'slice_range' in key else KEY};"
        slab_key = f"slab_cache_key {key};" if key else ""
        address = f"proxy_pass http://{self.origin.address}{to};"
        self.nginx.start(http=f"proxy_cache_path {self.nginx.prefix}/twin keys_zone=twin:1m;" + kw.pop("http", ""), location=f"""
            location /nginx/ {{ proxy_cache twin; proxy_cache_valid {valid}; {proxy_key} {directives} {address} }}
            location /slab/ {{ slab_cache one; slab_cache_valid {valid}; {slab_key} slab_cache_purge PURGE from 127.0.0.1; {directives} {address} }}
            """ + kw.pop("location", ""), **kw)
        return self

    def put(self, name, file):
        for side in ("nginx", "slab"):
            self.origin.handle(f"/{side}/{name}", file)

    def ask(self, side, name, *headers, method="GET"):
        """An Answer, or how the connection ended without one, or within it."""
        with self.nginx.connect() as c:
            c.send(f"/{side}/{name}", method, headers=headers)
            try:
                answer = c.read_header()
            except EOFError:
                return "closed"
            try:
                return c.read_body(answer, method)
            except EOFError as e:
                return f"{answer.status}, {e}"

    def same(self, name, *headers, method="GET"):
        """The answer of ours, when nginx's is the same. The query tells objects apart."""
        before = [self.asked(side, name) for side in ("nginx", "slab")]
        theirs, ours = (self.ask(side, name, *headers, method=method) for side in ("nginx", "slab"))
        assert shown(ours) == shown(theirs), (name, headers, method)
        nginx_asked, slab_asked = (self.asked(side, name) - was for side, was in zip(("nginx", "slab"), before, strict=True))
        assert slab_asked <= nginx_asked, (name, headers, method)
        return ours

    def asked(self, side, name):
        return self.origin.hits(f"/{side}/{name.partition('?')[0]}")


@pytest.fixture
def twins(nginx, origin):
    return Twins(nginx, origin)


def is_cached(twins, name, *headers):
    before = twins.asked("slab", name)
    answer = twins.ask("slab", name, *headers)
    return answer.cache == "HIT" and twins.asked("slab", name) == before


def test_ranges_of_a_cold_file_and_of_a_warm_one(twins):
    twins.start()
    twins.put("f", File(BODY))
    for i, asked in enumerate(RANGES):
        for _ in range(2):
            twins.same(f"f?{i}", f"Range: {asked}")
    whole = twins.same("f")
    assert (whole.status, whole.body) == (200, BODY)
    for asked in RANGES:
        twins.same("f", f"Range: {asked}")
    assert is_cached(twins, "f") and is_cached(twins, "f", "Range: bytes=4000-7000")


def test_conditions_alone_and_with_ranges(twins):
    twins.start()
    twins.put("f", File(BODY))
    for i, line in enumerate(CONDITIONS):
        for _ in range(2):
            twins.same(f"f?{i}", line)
    for i, (line, asked) in enumerate(itertools.product(CONDITIONS + IF_RANGES, ("bytes=3000-3999", "bytes=-500"))):
        for _ in range(2):
            twins.same(f"f?r{i}", line, f"Range: {asked}")


def test_head_asks_for_the_first_slice_and_tells_the_whole_length(twins):
    twins.start()
    twins.put("f", File(BODY))
    for asked in ([], ["Range: bytes=5000-5999"], [f"If-None-Match: {ETAG}"]):
        for _ in range(2):
            twins.same("f", *asked, method="HEAD")
    assert twins.asked("slab", "f") == 2
    assert twins.same("f").body == BODY
    assert twins.same("f", method="HEAD").header("Content-Length") == str(SIZE)


def test_head_as_such_where_nothing_is_converted(twins):
    twins.start(COMMON + "proxy_cache_convert_head off; slab_cache_convert_head off;", key="$request_method$uri$slice_range")
    twins.put("f", File(BODY))
    for _ in range(2):
        twins.same("f", method="HEAD")
        twins.same("f")


@pytest.mark.parametrize("key", [None, "$uri", "$uri$slice_range", "$scheme $host $request_uri"])
def test_whatever_the_key_says_no_part_is_given_for_another(twins, key):
    twins.start(key=key)
    twins.put("f", File(BODY))
    for asked in ("bytes=2048-3071", "bytes=0-99", "bytes=9000-"):
        twins.same("f", f"Range: {asked}")
    for _ in range(2):
        assert twins.same("f").body == BODY
    assert is_cached(twins, "f")


def test_one_key_for_all_files_is_taken_as_it_stands_but_for_ranges(twins):
    twins.start(key="all")
    twins.put("f", File(BODY))
    twins.put("g", File(BODY[::-1]))
    assert twins.ask("slab", "f").body == BODY
    assert twins.ask("slab", "g").body == BODY and twins.asked("slab", "g") == 0


@pytest.mark.parametrize("size", [0, 1, 1023, 1024, 1025, 2048])
def test_files_of_about_a_slice(twins, size):
    twins.start()
    twins.put("f", File(numbered(size)))
    for _ in range(2):
        twins.same("f")
        twins.same("f", "Range: bytes=0-")
        twins.same("f", "Range: bytes=1000-1100")


def test_origin_that_ignores_ranges_is_cached_whole(twins):
    twins.start()
    twins.put("f", File(BODY, ranged=False))
    for _ in range(2):
        assert twins.ask("slab", "f").body == BODY
        part = twins.ask("slab", "f", "Range: bytes=1000-1099")     # nginx gives the whole to who asks for a part
        assert (part.status, part.body) == (206, BODY[1000:1100])
    assert twins.asked("slab", "f") == 1


@pytest.mark.parametrize("status", [301, 403, 404, 500, 503])
def test_statuses_of_the_first_slice_are_answers_as_ever(twins, status):
    twins.start(valid="any 1h")
    twins.put("f", lambda r: Reply(b"no\n", status=status, headers=["Location: /x"] if status == 301 else []))
    for _ in range(2):
        assert twins.same("f").status == status
        twins.same("f", "Range: bytes=2000-2999")


@pytest.mark.parametrize("status", [200, 404, 416, 500, None])
def test_other_status_than_206_behind_the_first_slice_ends_the_answer(twins, status):
    twins.start(COMMON.replace("1k", "2k"))    # as much as nginx sends without being told to
    file = File(BODY)

    def broken(request):
        first = request_header(request, "Range") == "bytes=0-2047"
        return file(request) if first else Reply(b"no\n", status=status) if status else Reply(raw=b"")

    twins.put("f", broken)
    for _ in range(2):
        assert twins.same("f") == f"200, closed after 2048 of {SIZE} bytes"
    assert f"unexpected status code {status or 502} in slice response" in twins.nginx.error_log()


def wrong(request, field, body=b"x" * 1024):
    fields = ["Cache-Control: max-age=600", 'ETag: "1"']
    return Reply(body, status=206, headers=fields + ([field] if field else []))


@pytest.mark.parametrize("field", ["", "Content-Range: bytes", "Content-Range: bytes 0-1023/*", "Content-Range: bytes 0-1022/10000",
                                   "Content-Range: bytes 1-1024/10000", "Content-Range: bytes 1024-2047/10000",
                                   "Content-Range: bytes 0-1023/500"])
def test_part_that_is_another_than_was_asked_for_is_no_answer_and_never_stored(twins, field):
    twins.start()
    twins.put("f", lambda r: wrong(r, field))
    for _ in range(2):
        assert twins.same("f") == "closed"
    second = twins.same("f", "Range: bytes=1024-2047")
    assert isinstance(second, str) != ("1024-2047" in field)


def test_part_whose_body_is_shorter_than_it_says_is_not_stored(twins):
    twins.start()
    short = {"on": True}
    file = File(BODY)

    def cut(request):
        if request_header(request, "Range") == "bytes=1024-2047" and short["on"]:
            return Reply(BODY[1024:2047], status=206, framing="chunked", headers=[*file.lines(), "Content-Range: bytes 1024-2047/10000"])
        return file(request)

    twins.put("f", cut)
    assert isinstance(twins.ask("slab", "f"), str)
    short["on"] = False
    assert twins.ask("slab", "f").body == BODY


def test_parts_of_unknown_length_are_stored(twins):
    twins.start()
    twins.put("f", File(BODY, framing="chunked"))
    for _ in range(2):
        assert twins.same("f").body == BODY
        twins.same("f", "Range: bytes=3000-6000")
    assert is_cached(twins, "f")


def test_file_that_changed_between_slices_ends_as_nginx_ends_it(twins):
    twins.start(COMMON.replace("1k", "2k"))
    old, new = File(BODY), File(BODY[::-1])

    def changing(request):
        return (old if request_header(request, "Range") == "bytes=0-2047" else new)(request)

    twins.put("f", changing)
    assert twins.same("f") == f"200, closed after 2048 of {SIZE} bytes"
    assert twins.nginx.error_log().count("etag mismatch in slice response") == 2


def test_what_names_no_lifetime_is_passed_and_stored_nowhere(twins):
    twins.start(valid="404 1s")
    twins.put("f", File(BODY, headers=()))
    for asked in ([], ["Range: bytes=1000-3000"], ["Range: bytes=-10"], [f"If-None-Match: {ETAG}"]):
        for _ in range(3):
            twins.same("f", *asked)
    assert twins.ask("slab", "f").cache == "MISS"


def test_lifetime_of_206_is_named_as_with_proxy_cache(twins):
    twins.start(valid="200 1h")
    twins.put("f", File(BODY, headers=()))
    for _ in range(2):
        twins.same("f")
    assert twins.ask("slab", "f").why == "NO_FRESHNESS"


@pytest.mark.parametrize("directives", ["gzip on; gzip_types *; gzip_min_length 0;", "sub_filter 0000 abcd; sub_filter_types *;",
                                        "limit_rate 200k;", "postpone_output 0;", "proxy_force_ranges on;", "chunked_transfer_encoding off;",
                                        "add_header X-Part $slice_range; log_subrequest on; access_log logs/a;", "output_buffers 1 512;",
                                        "proxy_buffering off;", "etag off;", "expires 1h;"])
def test_beside_other_modules(twins, directives):
    twins.start(COMMON + directives, server="gzip_proxied any;")
    twins.put("f", File(BODY))
    for _ in range(2):
        for headers in ([], ["Range: bytes=1500-5500"], ["Accept-Encoding: gzip"], ["Range: bytes=-100", "Accept-Encoding: gzip"], [f"If-None-Match: {ETAG}"]):
            twins.same("f", *headers)


def test_location_that_asks_by_no_range_caches_the_whole(twins):
    twins.start("slice 1k;", key=None)
    twins.put("f", File(BODY))
    for asked in ([], ["Range: bytes=5000-5999"], ["Range: bytes=0-9"]):
        assert twins.ask("slab", "f", *asked).status == (206 if asked else 200)
    assert twins.asked("slab", "f") == 1
    assert request_header(twins.origin.requests("/slab/f")[0], "Range") is None


def test_header_lists_are_inherited_as_nginx_inherits_them(nginx, origin):
    file = File(BODY)
    for path in ("/a", "/b", "/c"):
        origin.handle(path, file)
    nginx.start(server="slice 1k; proxy_set_header Range $slice_range; slab_cache one;", location=f"""
        location /a {{ proxy_pass http://{origin.address}; }}
        location /b {{ proxy_set_header X-Other 1; proxy_pass http://{origin.address}; }}
        location /c {{ slice 0; proxy_pass http://{origin.address}; }}""")
    for path, times in (("/a", 10), ("/b", 1), ("/c", 1)):
        assert [nginx.get(path).body == BODY for _ in range(2)] == [True, True]
        assert nginx.get(path, "Range: bytes=5000-5999").body == BODY[5000:6000]
        assert origin.hits(path) == times


def test_range_by_way_of_a_map_is_cached_whole(nginx, origin):
    origin.handle("/f", File(BODY))
    nginx.start(http='map $slice_range $part { volatile; default $slice_range; }', location=f"""
        location / {{ slab_cache one; slice 1k; proxy_set_header Range $part; proxy_pass http://{origin.address}; }}""")
    for asked in ([], ["Range: bytes=5000-5999"], []):
        answer = nginx.get("/f", *asked)
        assert answer.body == (BODY[5000:6000] if asked else BODY)
    assert origin.hits("/f") == 1


def test_range_by_way_of_a_map_where_the_cache_is_passed_by(nginx, origin):
    origin.handle("/f", File(BODY))
    nginx.start(http='map $slice_range $part { volatile; default $slice_range; }', location=f"""
        location / {{ slab_cache one; slice 1k; slab_cache_bypass $arg_fresh; proxy_set_header Range $part; proxy_pass http://{origin.address}; }}""")
    for query in ("", "?fresh=1"):
        for _ in range(2):
            assert nginx.get(f"/f{query}").body == BODY
            assert nginx.get(f"/f{query}", "Range: bytes=5000-5999").body == BODY[5000:6000]


@pytest.mark.parametrize("size, zone, warned", [("1m", "zone=one:16m", True), ("1m", "zone=one:64m max_object=2m", False),
                                                ("1m", "zone=one:64m max_object=1m", True), ("64k", "zone=one:16m", False)])
def test_slices_that_the_zone_will_not_take_are_told_at_start(nginx, size, zone, warned):
    code, said = nginx.test_config(zone=f"slab_cache_zone {zone};", location=f"""
        location /f {{ slab_cache one; slice {size}; proxy_set_header Range $slice_range; proxy_pass http://127.0.0.1:9; }}""")
    assert code == 0 and ('in location "/f": zone "one" takes objects of up to' in said) == warned, said
