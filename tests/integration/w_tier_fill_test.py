"""The second tier: a miss asks Redis or memcached before the origin, and what the origin said goes there."""
import gzip
import threading
import time

import pytest
from harness.fleet import together
from harness.tier import HOST, Reply, Tiered, message
from harness.wait import wait_until


def answer_on(connection):
    response = connection.read_header()
    return connection.read_body(response)


@pytest.fixture(params=["redis", "memcached"])
def tiered(request):
    t = Tiered(request.param)
    yield t
    t.stop(keep=getattr(request.node, "failed_call", True))


# ---- hits -----------------------------------------------------------------------------------------------------------

def test_page_that_a_job_wrote_is_served_without_asking_the_origin(tiered):
    tiered.put("/report/7", message("a job's", "Content-Type: text/x-report"))
    a = tiered.node("a")
    answer = a.get("/report/7")
    assert (answer.status, answer.text, answer.cache, answer.header("X-Tier")) == (200, "a job's", "HIT", "HIT")
    assert answer.header("Content-Type") == "text/x-report"
    again = a.get("/report/7")
    assert again.cache == "HIT" and again.header("X-Tier") is None          # from the zone
    assert tiered.origin.hits() == 0
    assert a.counters()["hits"] == 1


def test_what_one_machine_stored_the_other_does_not_ask_for(tiered):
    a, b = tiered.pair()
    assert (a.get("/x").cache, a.get("/x").cache) == ("MISS", "HIT")
    tiered.written("/x")
    answer = b.get("/x")
    assert (answer.text, answer.cache, answer.header("X-Tier")) == ("0", "HIT", "HIT")
    assert answer.header("X-Origin") == "1"
    assert tiered.origin.hits() == 1


def test_answers_that_come_whole_are_written_too(tiered):
    """Out of the client's own request, once the location's answers are known to be like that."""
    a, b = tiered.pair(workers=1)
    paths = [f"/{i}" for i in range(40)]
    for n in (a, b):
        for p in paths:
            assert n.get(p).text == "0"
        for p in paths:
            tiered.written(p)
    assert tiered.origin.hits() == 40
    assert b.counters()["hits"] == 40


def test_body_of_any_size_up_to_the_bound(tiered):
    sizes = [0, 1, 4096, 65536, 200_000, 500_000]
    for n in sizes:
        tiered.origin.reply(f"/{n}", b"x" * n, headers=["Cache-Control: max-age=300"])
    a, b = tiered.pair()
    for _ in range(2):
        for n in sizes:
            assert a.get(f"/{n}").body == b"x" * n
            tiered.written(f"/{n}")
            assert b.get(f"/{n}").body == b"x" * n
    assert tiered.origin.hits() == len(sizes)


def test_age_is_that_of_the_answer_not_of_the_value(tiered):
    tiered.origin.reply("/x", "x", headers=["Cache-Control: max-age=300", "Age: 100"])
    tiered.put("/y", message("y", f"Date: {time.strftime('%a, %d %b %Y %H:%M:%S GMT', time.gmtime(time.time() - 200))}"))
    a, b = tiered.pair()
    a.get("/x")
    tiered.written("/x")
    assert 100 <= int(b.get("/x").header("Age")) <= 110
    assert 200 <= int(b.get("/y").header("Age")) <= 210


def test_lifetime_that_nginx_hides_goes_along(tiered):
    tiered.origin.reply("/x", "x", headers=["X-Accel-Expires: 300"])
    a, b = tiered.pair()
    a.get("/x")
    tiered.written("/x")
    answer = b.get("/x")
    assert answer.cache == "HIT" and answer.header("X-Accel-Expires") is None
    assert tiered.origin.hits() == 1


def test_head_and_range_are_answered_from_a_whole_value(tiered):
    tiered.put("/x", message("0123456789"))
    a = tiered.node("a")
    part = a.get("/x", "Range: bytes=2-4")
    assert (part.status, part.text) == (206, "234")
    tiered.put("/y", message("0123456789"))
    head = a.request("/y", "HEAD")
    assert (head.status, head.header("Content-Length"), head.body) == (200, "10", b"")
    assert tiered.origin.hits() == 0


def test_explicit_key(tiered):
    rules = "slab_cache_key report $arg_id;"
    a, b = tiered.node("a", rules=rules), tiered.node("b", rules=rules)
    tiered.put(None, message("7"), key="slab:key:report|7")
    assert (a.get("/any?id=7").text, a.get("/any?id=7").cache) == ("7", "HIT")
    assert a.get("/any?id=8").text == "0"
    wait_until(lambda: tiered.value(key="slab:key:report|8"), "it was written")
    assert b.get("/other?id=8").cache == "HIT"
    assert tiered.origin.hits() == 1


def test_long_url_lies_under_its_digest(tiered):
    path = "/" + 300 * "a"
    a, b = tiered.pair()
    a.get(path)
    wait_until(lambda: a.counters()["writes"] == 1, "it was written")
    assert b.get(path).cache == "HIT"
    assert tiered.origin.hits() == 1


def test_two_locations_of_one_url_do_not_share(tiered):
    """By an `if` one URL has two origins here; the store has one value of it."""
    location = """
    location / {{ slab_cache one; slab_cache_tier store; {rules}
                  if ($http_x_b) {{ set $which /b; }} proxy_pass http://{origin}$which$request_uri; }}
    location /_cache/ {{ slab_cache_api write=on; }}"""
    rules = "set $which /a;"
    tiered.origin.reply("/a/x", "a", headers=["Cache-Control: max-age=300"])
    tiered.origin.reply("/b/x", "b", headers=["Cache-Control: max-age=300"])
    a, b = tiered.node("a", location=location, rules=rules), tiered.node("b", location=location, rules=rules)
    assert (a.get("/x").text, a.get("/x", "X-B: 1").text) == ("a", "b")
    tiered.written("/x")
    assert (b.get("/x").text, b.get("/x", "X-B: 1").text) == ("a", "b")
    assert b.get("/x", "X-B: 1").text == "b" and b.get("/x").text == "a"


# ---- one machine asks -----------------------------------------------------------------------------------------------

def test_two_machines_ask_the_origin_once_for_a_cold_key(tiered):
    a, b = tiered.pair(workers=2)
    paths = [f"/{i}" for i in range(100)]
    tiered.origin.handle("*", lambda request: Reply("x", headers=["Cache-Control: max-age=300"], before=0.05))

    def ask(node, order):
        for p in order:
            assert node.get(p).text == "x"
    together(*(lambda n=n, i=i: ask(n, paths[i::4]) for n in (a, b) for i in range(4)))
    assert tiered.origin.hits() == 100
    for n in (a, b):
        assert n.counters()["leases_won"] + n.counters()["leases_lost"] + n.counters()["hits"] >= 100


def test_who_waits_is_answered_as_soon_as_the_value_is_there(tiered):
    a, b = tiered.pair()
    go_on = threading.Event()
    tiered.origin.reply("/x", "x", headers=["Cache-Control: max-age=300"], before=go_on)
    with a.connect() as ca, b.connect() as cb:
        ca.send("/x", host=HOST)
        tiered.origin.wait_for_hits("/x", 1)
        cb.send("/x", host=HOST)
        wait_until(lambda: b.counters()["leases_lost"] == 1, "b waits")
        go_on.set()
        assert answer_on(ca).text == "x"
        answer = answer_on(cb)
    assert (answer.text, answer.cache, answer.header("X-Tier")) == ("x", "HIT", "WAIT")
    assert tiered.origin.hits() == 1
    assert b.counters()["leases_waited"] == 1


@pytest.mark.parametrize("reply", [
    dict(body="x", headers=["Cache-Control: private"]), dict(body="x", headers=["Cache-Control: no-store"]),
    dict(status=500), dict(body="x" * 100, truncate=10), dict(body="x", headers=["Cache-Control: max-age=300", "Set-Cookie: a=b"]),
    dict(status=302, headers=["Location: /y", "X-Accel-Redirect: /z"])])
def test_answer_that_is_not_stored_gives_the_lease_back(tiered, reply):
    a, b = tiered.pair()
    for n in (a, b):
        n.expect_log("prematurely closed")
    go_on = threading.Event()
    tiered.origin.sequence("/x", Reply(before=go_on, **reply), Reply(**reply))
    with a.connect() as ca, b.connect() as cb:
        ca.send("/x", host=HOST)
        tiered.origin.wait_for_hits("/x", 1)
        cb.send("/x", host=HOST)
        wait_until(lambda: b.counters()["leases_lost"] == 1, "b waits")
        since = time.monotonic()
        go_on.set()
        tiered.origin.wait_for_hits("/x", 2)
        assert time.monotonic() - since < 2         # lease= is 5 s
    assert tiered.value("/x") is None


def test_longer_than_the_lease_nobody_waits(tiered):
    a, b = tiered.node("a", options="lease=1s"), tiered.node("b", options="lease=1s")
    go_on = threading.Event()
    tiered.origin.reply("/x", "x", headers=["Cache-Control: max-age=300"], before=go_on)
    with a.connect() as ca, b.connect() as cb:
        ca.send("/x", host=HOST)
        tiered.origin.wait_for_hits("/x", 1)
        cb.send("/x", host=HOST)
        tiered.origin.wait_for_hits("/x", 2)
        go_on.set()
        assert (answer_on(ca).text, answer_on(cb).text) == ("x", "x")


def test_worker_that_dies_with_the_lease_is_waited_for_no_longer_than_that(tiered):
    a, b = tiered.node("a", options="lease=1s", workers=1), tiered.node("b", options="lease=1s")
    a.expect_log("exited on signal 9")
    go_on = threading.Event()
    tiered.origin.sequence("/x", Reply(before=go_on), Reply("x", headers=["Cache-Control: max-age=300"]))
    with a.connect() as ca, b.connect() as cb:
        ca.send("/x", host=HOST)
        tiered.origin.wait_for_hits("/x", 1)
        cb.send("/x", host=HOST)
        wait_until(lambda: b.counters()["leases_lost"] == 1, "b waits")
        a.kill_worker()
        assert answer_on(cb).text == "x"
    go_on.set()


def test_client_that_leaves_while_the_tier_is_asked_leaves_nothing(tiered):
    proxy = tiered.proxy(tiered.stores[0])
    a = tiered.node("a", f"{tiered.kind}://{proxy.address}", workers=1)
    a.get("/warm")
    wait_until(lambda: a.counters()["writes"] == 1, "it is connected")
    proxy.stall()
    with a.connect() as c:
        c.send("/x", host=HOST)
        proxy.wait_until_held()
    proxy.heal()
    assert a.get("/x").text == "0"
    tiered.written("/x")


# ---- variants -------------------------------------------------------------------------------------------------------

def test_variants_lie_under_keys_of_their_own(tiered):
    def answer(request):
        language = next((x.split(": ")[1] for x in request.lines if x.lower().startswith("accept-language:")), "none")
        return Reply(language, headers=["Cache-Control: max-age=300", "Vary: Accept-Language"])
    tiered.origin.handle("/x", answer)
    a, b = tiered.pair()
    for language in ("de", "en", "de"):
        assert a.get("/x", f"Accept-Language: {language}").text == language
    wait_until(lambda: a.counters()["writes"] >= 4, "two variants and their marker are written")
    for language in ("en", "de"):
        answer = b.get("/x", f"Accept-Language: {language}")
        assert (answer.text, answer.cache) == (language, "HIT")
    assert b.get("/x", "Accept-Language: fr").text == "fr"
    assert tiered.origin.hits() == 3


def test_coded_body_is_for_those_who_take_it(tiered):
    packed = gzip.compress(b"x" * 100)

    def answer(request):
        takes = any("gzip" in x for x in request.lines if x.lower().startswith("accept-encoding:"))
        return Reply(packed if takes else "x" * 100,
                     headers=["Cache-Control: max-age=300", "Vary: Accept-Encoding", *(["Content-Encoding: gzip"] if takes else [])])
    tiered.origin.handle("/x", answer)
    a, b = tiered.pair()
    a.get("/x", "Accept-Encoding: gzip")
    a.get("/x")
    wait_until(lambda: a.counters()["writes"] >= 4, "both are written")
    assert b.get("/x", "Accept-Encoding: br, gzip").header("Content-Encoding") == "gzip"
    plain = b.get("/x")
    assert plain.header("Content-Encoding") is None and plain.text == "x" * 100
    assert tiered.origin.hits() <= 3


def test_value_that_varies_without_a_marker_is_not_used(tiered):
    tiered.put("/x", message("somebody's", "Vary: Accept-Language"))
    a = tiered.node("a")
    assert a.get("/x", "Accept-Language: de").text == "0"
    assert a.misses().get("FOREIGN")


# ---- what is no use -------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("value, reason", [
    ("nonsense", "NONSENSE"), ("HTTP/1.1 200 OK\r\n", "NONSENSE"), (b"\x80\x04\x95pickle", "NONSENSE"),
    ("HTTP/1.1 200 OK\r\nCache-Control: max-age=9\r\nContent-Length: 5\r\n\r\nabc", "NONSENSE"),
    ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nCache-Control: max-age=9\r\n\r\n0\r\n\r\n", "NONSENSE"),
    (message("x", "Slab-Key: http://example.org/y"), "FOREIGN"), (message("x", "Slab-Identity: 0123456789abcdef"), "FOREIGN"),
    (message("x", age="max-age=9, private"), "REFUSED"), (message("x", "Set-Cookie: a=b"), "REFUSED"), (message("x", age=None), "REFUSED"),
    (message("x", "Date: Mon, 01 Jan 2024 00:00:00 GMT"), "STALE"), (message("x" * 600_000), "TOO_LARGE")],
    ids=lambda x: x if isinstance(x, str) and x.isupper() else "value")
def test_value_that_is_no_use_is_a_counted_miss(tiered, value, reason):
    tiered.put("/x", value)
    a = tiered.node("a")
    answer = a.get("/x")
    assert (answer.status, answer.text, answer.header("X-Tier")) == (200, "0", reason)
    assert a.misses() == {reason: 1}
    wait_until(lambda: b"X-Origin" in (tiered.value("/x") or b""), "the origin's answer takes its place")


def test_answer_that_is_too_large_takes_the_old_value_away(tiered):
    tiered.put("/x", message("old", "Date: Mon, 01 Jan 2024 00:00:00 GMT"))
    tiered.origin.reply("/x", b"x" * 600_000, headers=["Cache-Control: max-age=300"])
    a = tiered.node("a")
    assert len(a.get("/x").body) == 600_000
    wait_until(lambda: tiered.value("/x") is None, "the old value is gone")
    assert (a.counters()["too_large"], a.counters()["deletes"]) == (1, 1)


def test_write_off_reads_alone(tiered):
    tiered.put("/x", message("a job's"))
    a = tiered.node("a", options="write=off")
    assert (a.get("/x").text, a.get("/y").text) == ("a job's", "0")
    assert a.counters()["writes"] == 0 and a.counters()["leases_won"] == 0
    assert tiered.value("/y") is None


def test_location_without_it_asks_nobody(tiered):
    tiered.put("/off/x", message("a job's"))
    a = tiered.node("a", more="slab_cache_tier store;", rules="", location="""
        location / {{ slab_cache one; {rules} proxy_pass http://{origin}; }}
        location /off/ {{ slab_cache one; slab_cache_tier off; proxy_pass http://{origin}; }}
        location /_cache/ {{ slab_cache_api write=on; }}""")
    assert a.get("/off/x").text == "0" and a.counters()["hits"] == 0
    tiered.put("/x", message("a job's"))
    assert a.get("/x").text == "a job's"


# ---- refreshing -----------------------------------------------------------------------------------------------------

def test_refresh_writes_the_tier_anew(tiered):
    tiered.age = "max-age=1, stale-while-revalidate=60"
    a = tiered.node("a", workers=1)
    a.get("/x")
    tiered.written("/x")
    wait_until(lambda: a.get("/x").cache == "STALE", "it is stale")
    wait_until(lambda: a.counters()["writes"] == 2, "the 304 has refreshed the value")      # in the same second it is the same
    b = tiered.node("b")
    assert tiered.origin.hits() >= 2 and b.get("/x").text == "0"


def test_background_refresh_takes_what_is_fresher_there(tiered):
    tiered.origin.reply("/x", "origin's", headers=["Cache-Control: max-age=1, stale-while-revalidate=60"])
    a = tiered.node("a", workers=1)
    assert a.get("/x").text == "origin's"
    tiered.written("/x")
    tiered.put("/x", message("another's"))
    wait_until(lambda: a.get("/x").text == "another's", "the fresher value has taken its place")
    assert tiered.origin.hits() == 1


def test_expired_page_takes_what_is_fresher_there(tiered):
    tiered.origin.reply("/x", "origin's", headers=["Cache-Control: max-age=1"])
    a = tiered.node("a", workers=1)
    assert a.get("/x").text == "origin's"
    tiered.written("/x")
    tiered.put("/x", message("another's"))
    wait_until(lambda: a.get("/x").text == "another's", "it is expired")
    assert tiered.origin.hits() == 1


def test_page_that_is_asked_about_at_each_use_waits_for_no_other_machine(tiered):
    tiered.origin.handle("/x", lambda request: Reply("x", headers=["Cache-Control: no-cache", 'ETag: "1"']))
    a = tiered.node("a", workers=1)
    for _ in range(5):
        assert a.get("/x").text == "x"
    assert a.counters()["leases_won"] == 1 and tiered.value("/x") is None
