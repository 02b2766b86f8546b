"""The main job: MISS, HIT with Age, PURGE, MISS; what is stored comes back as it was."""
import pytest
from harness.origin import Reply, request_header
from harness.wait import wait_until

FRESH = ("Cache-Control: max-age=60",)


def test_miss_hit_purge_miss(cached, origin):
    origin.reply("/a", "body", headers=FRESH)
    n = cached()
    assert n.get("/a").cache == "MISS"
    hit = n.get("/a")
    assert (hit.cache, hit.status, hit.body) == ("HIT", 200, b"body")
    assert n.purge("/a").status == 200
    assert n.get("/a").cache == "MISS"
    assert n.get("/a").cache == "HIT"
    assert origin.hits("/a") == 2


def test_hit_carries_exactly_one_age_and_miss_none_of_its_own(cached, origin):
    origin.reply("/a", "body", headers=FRESH)
    n = cached()
    n.get("/a")
    ages = n.get("/a").all("Age")
    assert len(ages) == 1 and 0 <= int(ages[0]) <= 5


def test_age_of_the_origin_is_counted_in(cached, origin):
    origin.reply("/a", "body", headers=("Cache-Control: max-age=600", "Age: 100"))
    n = cached()
    n.get("/a")
    assert 100 <= int(n.get("/a").header("Age")) <= 105


def test_age_grows_while_stored(cached, origin):
    origin.reply("/a", "body", headers=FRESH)
    n = cached()
    n.get("/a")
    first = int(n.get("/a").header("Age"))
    wait_until(lambda: int(n.get("/a").header("Age")) > first, "Age grows")


def test_stale_object_is_fetched_again(cached, origin):
    origin.sequence("/a", *[_numbered(i) for i in (1, 2)])
    n = cached()
    assert n.get("/a").body == b"number 1"
    again = wait_until(lambda: (r := n.get("/a")).cache != "HIT" and r, "the object becomes stale")
    assert (again.cache, again.body) == ("EXPIRED", b"number 2")


def _numbered(i):
    return Reply(f"number {i}", headers=("Cache-Control: max-age=1",))


def test_date_of_a_hit_is_the_origins(cached, origin):
    date = "Mon, 23 Nov 2026 08:49:37 GMT"
    origin.reply("/a", "body", headers=(f"Date: {date}", "X-Accel-Expires: 600"))
    n = cached()
    n.get("/a")
    assert n.get("/a").all("Date") == [date]


def test_unknown_and_repeated_fields_come_back_in_order(cached, origin):
    lines = ["X-One: 1", "Link: <a>; rel=x", "X-Two: b", "Link: <c>; rel=y", "X-One: 3"]
    origin.reply("/a", "body", headers=[*FRESH, *lines])
    n = cached()
    n.get("/a")
    hit = n.get("/a")
    assert hit.cache == "HIT"
    assert [x for x in hit.lines if x.startswith(("X-One", "Link", "X-Two"))] == lines


def test_hop_by_hop_fields_are_not_replayed(cached, origin):
    origin.reply("/a", "body", headers=[*FRESH, "Connection: X-Private, close", "X-Private: 1", "Keep-Alive: timeout=5",
                                        "Proxy-Authenticate: Basic", "Upgrade: foo", "X-Public: 1"])
    n = cached()
    n.get("/a")
    hit = n.get("/a")
    assert hit.cache == "HIT" and hit.header("X-Public") == "1"
    for name in ("X-Private", "Keep-Alive", "Proxy-Authenticate", "Upgrade"):
        assert hit.all(name) == [], name


@pytest.mark.parametrize("size", [0, 1, 100, 4095, 4096, 8192, 65535, 65536, 65537, 300_000, 700_000])
@pytest.mark.parametrize("framing", ["length", "chunked", "close"])
def test_bodies_of_any_size_and_framing_come_back_exactly(cached, origin, size, framing):
    body = bytes((i * 7 + i // 251) % 256 for i in range(size))
    origin.reply("/a", body, headers=FRESH, framing=framing)
    n = cached("proxy_http_version 1.1; proxy_set_header Connection close;")
    assert n.get("/a").body == body
    hit = n.get("/a")
    assert hit.cache == "HIT"
    assert hit.body == body
    assert hit.header("Content-Length") == str(size)


def test_hits_share_one_keep_alive_connection(cached, origin):
    origin.reply("/a", "body", headers=FRESH)
    n = cached()
    with n.connect() as c:
        answers = [c.request("/a") for _ in range(5)]
    assert [a.cache for a in answers] == ["MISS"] + ["HIT"] * 4
    assert {a.body for a in answers} == {b"body"}


def test_key_is_scheme_host_path_and_arguments(cached, origin):
    origin.handle("*", lambda r: _echo(r))
    n = cached("proxy_set_header Host $host;")
    assert n.get("/a?x=1").cache == "MISS"
    assert n.get("/a?x=2").cache == "MISS"
    assert n.get("/b?x=1").cache == "MISS"
    assert n.get("/a?x=1", host="other.example").cache == "MISS"
    assert n.get("/a?x=1").cache == "HIT"
    assert n.get("/a?x=1", host="other.example").cache == "HIT"


def _echo(request):
    return Reply(f"{request_header(request, 'Host')} {request.target}", headers=FRESH)


def test_hit_is_shared_by_all_workers(cached, origin):
    origin.reply("/a", "body", headers=FRESH)
    n = cached(workers=4)
    n.get("/a")
    pids = set()
    wait_until(lambda: pids.add((r := n.get("/a")).header("X-Pid")) or (r.cache == "HIT" and len(pids) >= 2),
               "two workers have served it")
    assert origin.hits("/a") == 1


def test_location_without_slab_cache_is_left_alone(nginx, origin):
    origin.reply("/a", "body", headers=FRESH)
    nginx.start(location=f"location / {{ proxy_pass http://{origin.address}; }}")
    answer = [nginx.get("/a") for _ in range(2)][1]
    assert answer.cache is None and origin.hits("/a") == 2


def test_slab_cache_off_switches_off_what_was_inherited(nginx, origin):
    origin.reply("/a", "body", headers=FRESH)
    nginx.start(server="slab_cache one;",
                location=f"location / {{ slab_cache off; proxy_pass http://{origin.address}; }}")
    nginx.get("/a")
    nginx.get("/a")
    assert origin.hits("/a") == 2


def test_conditions_and_ranges_are_answered_from_the_store(cached, origin):
    origin.reply("/a", "0123456789", headers=[*FRESH, 'ETag: "v1"'])
    n = cached()
    n.get("/a")
    assert n.get("/a", 'If-None-Match: "v1"').status == 304
    part = n.get("/a", "Range: bytes=2-4")
    assert (part.status, part.body, part.header("Content-Range")) == (206, b"234", "bytes 2-4/10")
    assert origin.hits("/a") == 1


def test_second_request_right_after_the_first_is_a_hit(cached, origin):
    origin.handle("*", _echo)
    n = cached(workers=2)
    for i in range(50):
        assert n.get(f"/k{i}").cache == "MISS"
        assert n.get(f"/k{i}").cache == "HIT"
