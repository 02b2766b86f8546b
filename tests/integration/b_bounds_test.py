"""How much may stand before a body: tags, header fields, one field, Vary, directories. Below and at each bound it is stored, whole; above it
the answer passes with a word that says why, and never with less than it has."""
import json
import pathlib
import shutil
import tempfile

import pytest
from harness.origin import Reply, request_header

FRESH = "Cache-Control: max-age=600"
WIDE = "proxy_buffer_size 512k; proxy_buffers 4 512k; proxy_busy_buffers_size 512k;"
BIG_REQUESTS = "large_client_header_buffers 8 128k; client_header_buffer_size 128k;"
MOST_SELECTORS = 3072
NAMES_OF_X = 3        # whose it is, the URL /x, its host


def tags_of(n):
    return [f"t{i}" for i in range(n)]


def tagged(n, field="Surrogate-Key"):
    return f"{field}: {' '.join(tags_of(n))}"


def purge_tag(n, tag):
    assert n.purge("/", ("Surrogate-Key", tag)).status == 200


def explained(n, path, tag=None):
    r = n.get(f"/_cache/v1/zones/one/entry?url={path}" + (f"&tag={tag}" if tag else ""))
    assert r.status == 200, r
    return json.loads(r.body)


# ---- tags ------------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("count", [100, 124, 125, 126, 252, 253, 254, 2000, MOST_SELECTORS - NAMES_OF_X])
def test_each_of_as_many_tags_as_there_may_be_purges(cached, origin, count):
    origin.reply("/x", "page", headers=[FRESH, tagged(count)])
    n = cached(WIDE)
    for i in sorted({0, 1, 63, 64, 65, count // 2, count - 2, count - 1}):
        n.get("/x")
        assert n.get("/x").cache == "HIT"
        purge_tag(n, f"t{i}")
        assert n.get("/x").cache == "MISS", f"tag {i} of {count}"
    assert explained(n, "/x")["entries"][0]["selectors"] == count + NAMES_OF_X


def test_two_thousand_tags_are_each_carried(cached, origin):
    origin.reply("/x", "page", headers=[FRESH, tagged(2000)])
    n = cached(WIDE, http="keepalive_requests 10000;")
    n.get("/x")
    with n.connect() as c:
        for tag in tags_of(2000):
            r = c.request(f"/_cache/v1/zones/one/entry?url=/x&tag={tag}")
            assert json.loads(r.body)["tag"] == {"tag": tag, "present": True}


@pytest.mark.parametrize("count", [MOST_SELECTORS - NAMES_OF_X + 1, 10_000])
def test_with_one_tag_too_many_it_is_not_stored_and_says_so(cached, origin, count):
    origin.reply("/x", "page", headers=[FRESH, tagged(count)])
    n = cached(WIDE)
    for _ in range(2):
        answer = n.get("/x")
        assert (answer.status, answer.text, answer.cache, answer.why) == (200, "page", "MISS", "TOO_MANY_TAGS")
    assert origin.hits("/x") == 2


def test_a_tag_named_again_and_again_counts_once(cached, origin):
    many = " ".join(tags_of(2000) * 5)
    origin.reply("/x", "page", headers=[FRESH, f"Surrogate-Key: {many}", f"xkey: {many}"])
    n = cached(WIDE)
    n.get("/x")
    assert n.get("/x").cache == "HIT"
    assert explained(n, "/x")["entries"][0]["selectors"] == 2000 + NAMES_OF_X


@pytest.mark.parametrize("count, stored", [(1000, True), (1534, True), (1535, False)])
def test_a_group_is_a_tag_and_a_group_of_its_host(cached, origin, count, stored):
    groups = ", ".join(f'"g{i}"' for i in range(count))
    origin.reply("/x", "page", headers=[FRESH, f"Cache-Groups: {groups}"])
    n = cached(WIDE)
    n.get("/x")
    answer = n.get("/x")
    assert (answer.cache, answer.why or None) == (("HIT", None) if stored else ("MISS", "TOO_MANY_TAGS"))
    if stored:
        purge_tag(n, f"g{count - 1}")
        assert n.get("/x").cache == "MISS"


def test_more_groups_than_one_purge_names_are_all_invalidated(cached, origin):
    groups = [f"g{i}" for i in range(200)]
    origin.handle("*", lambda r: Reply("page", headers=[FRESH, 'Cache-Groups: "{}"'.format(r.target.strip("/"))]))
    origin.reply("/change", "done", headers=["Cache-Group-Invalidation: " + ", ".join(f'"{g}"' for g in groups)])
    n = cached()
    for g in groups[::20] + groups[-1:]:
        n.get("/" + g)
        assert n.get("/" + g).cache == "HIT"
    assert n.request("/change", "POST", body=b"x").status == 200
    assert {g: n.get("/" + g).cache for g in groups[::20] + groups[-1:]} == {g: "MISS" for g in groups[::20] + groups[-1:]}


def test_a_304_with_more_tags_than_fit_leaves_nothing_that_lacks_them(cached, origin):
    old = Reply("page", headers=["Cache-Control: no-cache", 'ETag: "1"', tagged(2000)])
    new = " ".join(f"n{i}" for i in range(2000))
    confirmed = Reply(status=304, headers=["Cache-Control: no-cache", 'ETag: "1"', f"Surrogate-Key: {new}"])
    origin.sequence("/x", old, confirmed, old)
    n = cached(WIDE)
    n.get("/x")
    assert n.get("/x").text == "page"           # confirmed: right for who asked
    assert not explained(n, "/x")["stored"]     # 4,000 tags are too many, and 2,000 too few


def test_a_304_adds_its_tags_to_those_there_are(cached, origin):
    old = Reply("page", headers=["Cache-Control: no-cache", 'ETag: "1"', tagged(1500)])
    new = " ".join(f"n{i}" for i in range(1500))
    confirmed = Reply(status=304, headers=["Cache-Control: max-age=600", 'ETag: "1"', f"Surrogate-Key: {new}"])
    origin.sequence("/x", old, confirmed, Reply("page 2", headers=[FRESH]))
    n = cached(WIDE)
    n.get("/x")
    n.get("/x")
    assert n.get("/x").cache == "HIT"
    assert explained(n, "/x")["entries"][0]["selectors"] == 3000 + NAMES_OF_X
    purge_tag(n, "n1499")
    assert n.get("/x").text == "page 2"


@pytest.mark.parametrize("count, status", [(2000, 201), (MOST_SELECTORS - NAMES_OF_X, 201), (MOST_SELECTORS - NAMES_OF_X + 1, 422)])
def test_a_push_with_as_many_tags_is_stored_and_with_more_refused(cached, origin, count, status):
    n = cached(server=BIG_REQUESTS)
    r = n.request("/_cache/v1/zones/one/entry?url=/x", "PUT", headers=[FRESH, tagged(count), "Content-Type: text/plain"], body=b"pushed")
    assert r.status == status, r.text
    if status == 422:
        assert json.loads(r.body)["reason"] == "TOO_MANY_TAGS"
        return
    assert n.get("/x").text == "pushed"
    purge_tag(n, f"t{count - 1}")
    assert n.get("/x").status == 404


# ---- header fields ---------------------------------------------------------------------------------------------------

def fields_of(size, each=1000):
    """Lines of `size` bytes in all, their ends included."""
    lines = []
    while size > 0:
        line = f"X-Field-{len(lines):04}: "
        lines.append(line + chr(97 + len(lines) % 26) * max(0, min(each, size) - len(line) - 2))
        size -= len(lines[-1]) + 2
    return lines


def own(answer):
    return [line for line in answer.lines if line.startswith("X-Field-")]


@pytest.mark.parametrize("size, each", [(20_000, 1000), (60_000, 1000), (65_300, 1000), (65_300, 65_300), (65_300, 24)])
def test_header_fields_up_to_64k_are_stored_and_come_back_as_they_were(cached, origin, size, each):
    lines = fields_of(size, each)
    origin.reply("/x", "page" * 5000, headers=[FRESH, 'ETag: "1"', *lines])
    n = cached(WIDE)
    miss = n.get("/x")
    hit = n.get("/x")
    assert (miss.cache, hit.cache) == ("MISS", "HIT")
    assert own(miss) == own(hit) == lines
    assert hit.body == miss.body == b"page" * 5000
    assert own(n.request("/x", "HEAD")) == lines
    part = n.get("/x", ("Range", "bytes=3-12"))
    assert (part.status, part.body, own(part)) == (206, (b"page" * 5000)[3:13], lines)
    assert n.get("/x", ("If-None-Match", '"1"')).status == 304
    shown = explained(n, "/x")["entries"][0]["headers"]
    assert sum(name.startswith("X-Field-") for name, _ in shown) == len(lines)


@pytest.mark.parametrize("size, each", [(65_700, 1000), (65_700, 65_700), (200_000, 1000)])
def test_header_fields_above_64k_pass_with_a_reason(cached, origin, size, each):
    lines = fields_of(size, each)
    origin.reply("/x", "page", headers=[FRESH, *lines])
    n = cached(WIDE)
    for _ in range(2):
        answer = n.get("/x")
        assert (answer.status, answer.text, answer.why, own(answer)) == (200, "page", "HEADERS_TOO_BIG", lines)


@pytest.mark.parametrize("length, why", [(255, None), (256, "HEADERS_TOO_BIG")])
def test_name_of_a_field(cached, origin, length, why):
    origin.reply("/x", "page", headers=[FRESH, "x" * length + ": 1"])
    n = cached(WIDE)
    n.get("/x")
    answer = n.get("/x")
    assert (answer.header("x" * length), answer.why or None) == ("1", why)


def test_tags_are_no_part_of_the_64k(cached, origin):
    lines = fields_of(60_000)
    tags = " ".join(f"{'t' * 60}{i}" for i in range(2000))
    origin.reply("/x", "page", headers=[FRESH, f"Surrogate-Key: {tags}", *lines])
    n = cached(WIDE)
    n.get("/x")
    hit = n.get("/x")
    assert (hit.cache, own(hit)) == ("HIT", lines)
    purge_tag(n, "t" * 60 + "1999")
    assert n.get("/x").cache == "MISS"


@pytest.fixture
def zone_file():
    if not pathlib.Path("/dev/shm").is_dir():
        pytest.skip("there is no /dev/shm")
    d = tempfile.mkdtemp(prefix="sc_", dir="/dev/shm")
    yield d + "/zone"
    shutil.rmtree(d, ignore_errors=True)


def both(body="page", **fields):
    """2,000 tags and 64k of header fields on one object."""
    lines = fields_of(65_000)
    headers = [f"{k.replace('_', '-')}: {v}" for k, v in {"Cache-Control": "max-age=600", **fields}.items()]
    return Reply(body, headers=[*headers, tagged(2000), *lines]), lines


def test_two_thousand_tags_and_64k_of_fields_for_those_who_wait(cached, origin):
    reply, lines = both()
    origin.handle("/x", lambda r: Reply(reply.parts, headers=reply.headers, before=0.2))
    n = cached(WIDE, workers=2)
    connections = [n.connect() for _ in range(8)]
    for c in connections:
        c.send("/x")
    answers = [c.read_body(c.read_header()) for c in connections]
    assert [own(a) for a in answers] == [lines] * 8
    assert origin.hits("/x") == 1


def test_two_thousand_tags_and_64k_of_fields_in_variants_and_after_a_304(cached, origin):
    reply, lines = both(Cache_Control="no-cache", ETag='"1"', Vary="X-Colour")
    confirmed, _ = both(body=b"", Cache_Control="max-age=600", ETag='"1"', Vary="X-Colour")
    confirmed.status = 304

    def answer(r):
        if request_header(r, "If-None-Match"):
            return confirmed
        return Reply(request_header(r, "X-Colour") or "none", headers=reply.headers)

    origin.handle("/x", answer)
    n = cached(WIDE)
    for colour in ("red", "green"):
        n.get("/x", ("X-Colour", colour))
    for colour in ("red", "green"):
        assert n.get("/x", ("X-Colour", colour)).cache == "REVALIDATED"
    for colour in ("red", "green"):
        hit = n.get("/x", ("X-Colour", colour))
        assert (hit.cache, hit.text, own(hit)) == ("HIT", colour, lines)
    purge_tag(n, "t1999")
    assert n.get("/x", ("X-Colour", "red")).cache == "MISS"


def test_two_thousand_tags_and_64k_of_fields_survive_resize_and_restart(cached, origin, zone_file):
    reply, lines = both()
    origin.sequence("/x", reply)
    n = cached(WIDE, zone=f"slab_cache_zone zone=one:16m file={zone_file};")
    n.get("/x")
    n.write(n.text.replace("zone=one:16m", "zone=one:24m"))
    n.reload()
    assert (n.get("/x").cache, own(n.get("/x"))) == ("HIT", lines)
    n.stop()
    n.start(text=n.text)
    assert (n.get("/x").cache, own(n.get("/x"))) == ("HIT", lines)
    assert origin.hits("/x") == 1
    purge_tag(n, "t1234")
    assert n.get("/x").cache == "MISS"


def test_64k_of_fields_are_copied_where_pins_are_short(cached, origin):
    reply, lines = both()
    origin.handle("*", lambda r: Reply(r.target * 5000, headers=reply.headers if r.target == "/x" else [FRESH]))
    n = cached(WIDE + "limit_rate $http_x_rate;", zone="slab_cache_zone zone=one:64m;")
    n.get("/x")
    readers = []
    for i in range(530):        # more than half of a worker's places
        n.get(f"/p/{i}")
        readers.append(n.connect())
        readers[-1].send(f"/p/{i}", headers=["X-Rate: 1000"])
        readers[-1].read_header()
    hit = n.get("/x")
    assert (hit.cache, own(hit), hit.text) == ("HIT", lines, "/x" * 5000)
    for c in readers:
        c.abort()


@pytest.mark.parametrize("size, status", [(60_000, 201), (66_000, 422)])
def test_a_push_with_64k_of_fields(cached, origin, size, status):
    n = cached(server=BIG_REQUESTS)
    lines = fields_of(size)
    r = n.request("/_cache/v1/zones/one/entry?url=/x", "PUT",
                  headers=[FRESH, "Content-Type: text/plain", *[f"X-Response-{line}" for line in lines]], body=b"pushed")
    assert r.status == status, r.text
    if status == 422:
        assert json.loads(r.body)["reason"] == "HEADERS_TOO_BIG"
    else:
        assert own(n.get("/x")) == lines


# ---- what it varies on, and its path ---------------------------------------------------------------------------------

@pytest.mark.parametrize("names, length, why", [(32, 10, None), (33, 10, "KEY_TOO_LONG"), (500, 10, "KEY_TOO_LONG"),
                                                (10, 100, None), (10, 110, "KEY_TOO_LONG"), (1, 250, None)])
def test_fields_that_vary_names(cached, origin, names, length, why):
    fields = [f"{i:x>{length}}" for i in range(names)]
    origin.reply("/x", "page", headers=[FRESH, "Vary: " + ", ".join(fields)])
    n = cached(WIDE)
    n.get("/x")
    answer = n.get("/x")
    assert (answer.cache, answer.why or None) == ("HIT" if why is None else "MISS", why)
    assert n.get("/x", (fields[-1], "other")).cache == "MISS"


@pytest.mark.parametrize("depth, why", [(120, None), (126, None), (127, "TOO_MANY_TAGS"), (1000, "TOO_MANY_TAGS")])
def test_directories_of_a_path(cached, origin, depth, why):
    path = "/" + "d/" * depth + "x"
    origin.handle("*", lambda r: Reply("page", headers=[FRESH]))
    n = cached()
    n.get(path)
    answer = n.get(path)
    assert (answer.status, answer.cache, answer.why or None) == (200, "HIT" if why is None else "MISS", why)
    if why is None:
        assert n.purge("/" + "d/" * depth + "*").status == 200
        assert n.get(path).cache == "MISS"


def test_a_deep_path_has_room_for_as_many_tags(cached, origin):
    path = "/" + "d/" * 126 + "x"
    origin.handle("*", lambda r: Reply("page", headers=[FRESH, tagged(2000)]))
    n = cached(WIDE)
    n.get(path)
    assert n.get(path).cache == "HIT"
    purge_tag(n, "t1999")
    assert n.get(path).cache == "MISS"
