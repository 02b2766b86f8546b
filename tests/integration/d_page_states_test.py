"""The page when something is the matter: what it tells, and pictures of it in build/screenshots, to be looked at."""
import json
import threading

import pytest
from harness.boot_clock import BootClock
from harness.fleet import Fleet
from harness.origin import Reply
from harness.page import Page, browser, needs_browser  # noqa: F401 - a fixture
from harness.wait import wait_until

pytestmark = needs_browser
API = "location /_cache/ { slab_cache_api write=on; }"


class Loader:
    """Threads that ask until the end: job(i) for i = 0, 1, 2, …"""

    def __init__(self, job, pause=0.004, threads=2):
        self.stop = threading.Event()
        self.threads = [threading.Thread(target=self._run, args=(job, pause)) for _ in range(threads)]
        for t in self.threads:
            t.start()

    def _run(self, job, pause):
        i = 0
        while not self.stop.is_set():
            i += 1
            try:
                job(i)
            except OSError:
                pass
            self.stop.wait(pause)

    def end(self):
        self.stop.set()
        for t in self.threads:
            t.join()


@pytest.fixture
def look(browser):      # noqa: F811
    """look(nginx, job): the page while job goes on."""
    opened, loaders = [], []

    def at(n, job=None, **kw):
        if job:
            loaders.append(Loader(job, **kw))
        browser.set_window_size(1280, 900)
        opened.append(Page(browser, n))
        return opened[-1]

    yield at
    for x in loaders:
        x.end()
    for x in opened:
        x.close()


def ask(n, path, method="GET", *headers):
    return n.request(path, method, headers=headers, host=f"127.0.0.1:{n.port}")


def verdict(page, words, deadline=60):
    wait_until(lambda: words in page.text("verdict"), words, deadline)
    wait_until(lambda: len(page.plot()) > 60 or not page.plot(), "a few seconds of plots", deadline)


def test_busy_with_two_zones(nginx, origin, look):
    slow = {"/account": "Cache-Control: private", "/search": "Set-Cookie: a=b", "/report": "Cache-Control: max-age=600"}
    origin.handle("*", lambda r: Reply(b"x" * 3000, headers=["Cache-Control: max-age=600", "Surrogate-Key: red"]))
    for path, header in slow.items():
        origin.handle(path, lambda r, header=header: Reply("x", headers=[header], before=0.02))
    nginx.start(zone="slab_cache_zone zone=one:16m; slab_cache_zone zone=pictures:8m;", workers=2, location=f"""
        location / {{ slab_cache one; proxy_pass http://{origin.address}; }}
        location /picture/ {{ slab_cache pictures; proxy_pass http://{origin.address}; }} {API}""")
    page = look(nginx, lambda i: ask(nginx, "/report" if i % 3 == 0 else f"/picture/{i % 9}" if i % 5 == 0 else
                                     f"/article/{i % 40}" if i % 23 else ("/account" if i % 2 else "/search?q=x")))
    verdict(page, "All is well")
    wait_until(lambda: "/account" in page.text("top") and "/search" in page.text("top"), "routes", 60)
    assert page.find("#all").is_displayed() and "pictures" in page.text("zones")
    codes = dict(line.split(" ", 1) for line in page.text("codes").splitlines())
    assert list(codes) == ["2xx", "3xx", "4xx", "5xx"] and int(codes["2xx"].split()[1]) > 0 and codes["5xx"] == "0 0"
    sent = dict(line.rsplit(" ", 2)[::2] for line in page.text("sent").splitlines())
    assert list(sent) == ["2xx", "206, a part", "3xx", "304, not modified", "4xx", "5xx"]
    for what in ({"tags": ["red", "blue"], "mode": "soft"}, {"prefixes": [f"{page.base}/picture/"]}):
        assert nginx.request("/_cache/v1/zones/one/purge", "POST", headers=["Content-Type: application/json"], body=json.dumps(what).encode(),
                             host=f"127.0.0.1:{nginx.port}").status == 200
    wait_until(lambda: "tag red, and 1 more API, softly" in page.text("purges"), "the purges", 30)
    page.type("url", f"{page.base}/article/7")
    page.find("#explain button").click()
    page.type("term", f"{page.base}/article/")
    page.find("#search-go").click()
    wait_until(lambda: "tored" in page.text("explain-says") and "objects" in page.text("search-says"), "answers")
    page.pictures("busy")
    # By a click on its name the other zone is shown.
    page.driver.execute_script("document.querySelectorAll('#zones button')[1].click()")
    wait_until(lambda: page.text("state").startswith("8.0 MB"), "the other zone")
    assert page.errors() == []


@pytest.fixture
def clock(monkeypatch):
    yield from BootClock.fixture(monkeypatch)


def test_an_hour_that_the_zone_has_kept_is_shown_at_load(clock, nginx, origin, look):
    """As if nobody had looked for 50 minutes, in which the origin was dead for some."""
    origin.handle("*", lambda r: Reply(b"x" * 3000, status=500 if r.target.startswith("/broken") else 200, headers=["Cache-Control: max-age=86400"]))
    nginx.start(zone="slab_cache_zone zone=one:2m;", workers=1, location=f"""
        location / {{ slab_cache one; slab_cache_use_stale off; proxy_pass http://{origin.address}; }} {API}""")

    def rows():
        return json.loads(nginx.get("/_cache/v1/zones/one/history").body)["rows"]

    wait_until(rows, "the first row")
    for i in range(10):
        with nginx.connect() as c:
            for k in range(400 + 100 * (i % 3)):
                c.request(f"/article/{k % (100 if i < 5 else 600)}", host="127.0.0.1")
            for k in range(200 if i in (3, 4) else 0):
                c.request(f"/broken/{k}", host="127.0.0.1")
        before = rows()
        clock.forward(300)
        wait_until(lambda: len(rows()) > len(before), "a row of this minute")
    page = look(nginx, lambda i: ask(nginx, f"/article/{i % 40}"), pause=0.5, threads=1)
    page.find("#long").click()
    wait_until(lambda: "50 min ago" in page.text("c-ratio") and "50 min ago" in page.text("c-evicted"), "the hour")
    wait_until(lambda: page.driver.find_elements("css selector", "#c-rate .failures"), "that the origin was dead")
    assert len(page.plot().split("L")) >= 20
    assert "from the cache" in page.text("l-bytes") and "MB" in page.text("c-bytes") or "KB" in page.text("c-bytes")
    # What is said of now is of now: not of the 5 minutes of the last step.
    wait_until(lambda: page.text("now-span") == "of the last minute" or page.text("now-span").endswith(" s"), "its time")
    assert page.text("k-failed") == "0"
    page.pictures("hour")
    # Another browser sees the same, and one that looks at a zone that took this one's place.
    nginx.write(nginx.text.replace("zone=one:2m", "zone=one:4m"))
    nginx.reload()
    page.driver.refresh()
    wait_until(lambda: "50 min ago" in page.text("c-ratio") or page.find("#long").get_attribute("aria-pressed") == "false", "the page again")
    page.find("#long").click()
    wait_until(lambda: "5" in page.text("c-ratio") and " min ago" in page.text("c-ratio") and len(page.plot().split("L")) >= 20, "the hour again")
    assert page.errors() == []


def test_an_origin_that_is_dead_is_red(nginx, origin, look):
    origin.handle("*", lambda r: Reply(b"x" * 3000, headers=["Cache-Control: max-age=1, stale-if-error=600"]))
    nginx.expect_log(r"connect\(\) failed")
    nginx.start(workers=2, location=f"location / {{ slab_cache one; proxy_pass http://{origin.address}; }} {API}")
    page = look(nginx, lambda i: ask(nginx, f"/article/{i % 40}" if i % 20 else f"/article/{i}"))
    verdict(page, "All is well")
    origin.stop()
    verdict(page, "The origin fails")
    wait_until(lambda: "got what is stale" in page.text("verdict") and page.text("k-stale").endswith("stale"), "stale answers are told", 60)
    assert page.driver.find_elements("css selector", "#verdict .bad") and page.find("#k-failed").get_attribute("class") == "bad"
    wait_until(lambda: page.driver.find_elements("css selector", "#c-rate .failures"), "the red line")
    wait_until(lambda: "ORIGIN_ERROR" in page.text("reasons"), "the reason")
    page.pictures("origin-dead")
    assert page.errors() == []


def test_a_zone_that_is_too_small_is_told(nginx, origin, look):
    origin.handle("*", lambda r: Reply(b"x" * 60_000, headers=["Cache-Control: max-age=600"]))
    nginx.start(zone="slab_cache_zone zone=one:2m;", location=f"location / {{ slab_cache one; proxy_pass http://{origin.address}; }} {API}")
    page = look(nginx, lambda i: ask(nginx, f"/article/{i * 7919 % 500}"))
    verdict(page, "The zone is too small")
    assert page.text("k-age").startswith("the newest was") and float(page.text("k-evicted")) > 0
    page.pictures("zone-too-small")
    assert page.errors() == []


def test_a_storm_of_purges_is_told(nginx, origin, look):
    origin.handle("*", lambda r: Reply(b"x" * 3000, headers=["Cache-Control: max-age=600", "Surrogate-Key: red"]))
    nginx.start(zone="slab_cache_zone zone=one:16m purge_records=128;", location=f"""
        location / {{ slab_cache one; slab_cache_purge PURGE from 127.0.0.1; proxy_pass http://{origin.address}; }} {API}""")

    def job(i):
        ask(nginx, f"/article/{i % 40}")
        tags = " ".join(f"tag-{threading.get_ident()}-{i}-{k}" for k in range(100))
        assert ask(nginx, "/", "PURGE", f"Surrogate-Key: {tags}").status == 200

    page = look(nginx, job)
    verdict(page, "Purges come faster than the zone remembers them")
    assert float(page.text("k-purged")) > 0
    page.pictures("purge-storm")
    assert page.errors() == []


def test_an_empty_zone_says_so(nginx, origin, look):
    nginx.start(location=f"location / {{ slab_cache one; proxy_pass http://{origin.address}; }} {API}")
    page = look(nginx)
    verdict(page, "No request has come here yet")
    page.pictures("empty")
    assert page.errors() == []


def test_a_fleet_is_shown_with_who_is_silent(look):
    fleet = Fleet()
    try:
        a, b = fleet.pair()
        a.fill("/x")
        page = look(a, lambda i: ask(a, f"/article/{i % 40}"), pause=0.02)
        wait_until(lambda: page.find("#fleet").is_displayed() and "Connected to" in page.text("fleet-says"), "the fleet", 30)
        assert page.text("nodes").startswith("b ") and "as node a" in page.text("fleet-name")
        verdict(page, "All is well")
        page.pictures("fleet")
        fleet.redis.stop()
        wait_until(lambda: "Not connected" in page.text("fleet-says"), "the server is gone", 60)
        verdict(page, "does not hear of purges on other machines")
        assert page.find("#fleet-says").get_attribute("class") == "bad" and page.errors() == []
        page.pictures("fleet-without-server")
        page.close()
        b.expect_log("slab_cache")
        a.expect_log("slab_cache")
    finally:
        fleet.stop()
