"""The page for people, in a headless browser: it shows what happens, purges what is clicked, and executes nothing foreign."""
import re
import threading

import pytest
from harness.nginx import TOP
from harness.origin import Reply
from harness.page import Page, browser, needs_browser  # noqa: F401 - a fixture
from harness.wait import wait_until


@pytest.fixture
def site(nginx, origin):
    origin.handle("*", lambda r: Reply(b"x" * 3000, headers=["Cache-Control: max-age=600", "Surrogate-Key: red"]))
    nginx.start(zone="slab_cache_zone zone=one:16m;", workers=2, location=f"""
        location / {{ slab_cache one; slab_cache_purge PURGE from 127.0.0.1; proxy_pass http://{origin.address}; }}
        location /_cache/ {{ slab_cache_api write=on; }}""")
    return nginx


@pytest.fixture
def page(site, browser):
    browser.set_window_size(1280, 900)
    p = Page(browser, site)
    yield p
    p.close()


def get(n, path):
    return n.request(path, host=f"127.0.0.1:{n.port}")


@pytest.fixture
def load(site, origin):
    """Requests until the test ends: most are hits, some are uncacheable and slow."""
    def slow(reason):
        return lambda _: Reply("x", headers=reason, before=0.02)

    origin.handle("/account", slow(["Cache-Control: private"]))
    origin.handle("/search", slow(["Cache-Control: max-age=60", "Set-Cookie: a=b"]))
    origin.handle("/report", slow(["Cache-Control: max-age=600"]))
    stop = threading.Event()

    def run():
        i = 0
        while not stop.is_set():
            i += 1
            get(site, "/report" if i % 3 == 0 else f"/article/{i % 40}" if i % 23 else ("/account" if i % 2 else "/search?q=x"))
            stop.wait(0.004)

    threads = [threading.Thread(target=run) for _ in range(2)]
    for t in threads:
        t.start()
    yield
    stop.set()
    for t in threads:
        t.join()


# ---- as sent ------------------------------------------------------------------------------------------------------
def test_page_needs_nothing_but_itself_and_the_api(site):
    answer = site.get("/_cache/")
    assert answer.status == 200 and answer.header("Content-Type") == "text/html; charset=utf-8"
    assert answer.header("Cache-Control") == "no-store" and answer.header("X-Frame-Options") == "DENY"
    policy = answer.header("Content-Security-Policy")
    assert "default-src 'none'" in policy and "unsafe" not in policy and "frame-ancestors 'none'" in policy
    urls = set(re.findall(r"""(?:src|href|url\()\s*=?\s*["']?([^"'\s>)]+)""", answer.text))
    assert urls <= {"data:,"} and not re.findall(r"https?://(?!www\.w3\.org/2000/svg)", answer.text)


def test_page_is_the_one_in_the_source(site):
    assert site.get("/_cache/").body == (TOP / "src/ngx/api/admin.html").read_bytes()


# ---- in a browser ---------------------------------------------------------------------------------------------------
@needs_browser
def test_shows_what_happens_now(page, load):
    wait_until(lambda: page.text("k-ratio").endswith("%") and float(page.text("k-ratio")[:-1]) > 50, "a hit ratio")
    wait_until(lambda: float(page.text("k-rate").split()[0]) > 5, "traffic")
    wait_until(lambda: "/account" in page.text("top") or "/search" in page.text("top"), "the dearest routes", 30)
    assert "PRIVATE: Cache-Control: private" in page.text("reasons") and "HIT_FOR_MISS: found uncacheable a moment ago" in page.text("reasons")
    assert page.plot().startswith("M")
    assert "objects" in page.text("l-memory")
    for by, word in (("saved", "/report"), ("hits", "/report"), ("bytes", "/article/")):
        page.find(f"[data-by={by}]").click()
        wait_until(lambda: word in page.text("top"), f"top by {by}")
    assert page.errors() == []


@needs_browser
@pytest.mark.parametrize("kind, what", [("urls", "{base}/article/1"), ("prefixes", "{base}/article"), ("tags", "red"), ("hosts", "127.0.0.1")])
def test_click_on_purge_makes_the_object_go(page, kind, what):
    n = page.n
    get(n, "/article/1")
    assert get(n, "/article/1").cache == "HIT"
    page.choose("kind", kind)
    page.type("what", what.format(base=page.base))
    page.find("#purge-go").click()
    wait_until(lambda: "purged" in page.text("purge-says"), "the answer")
    assert get(n, "/article/1").cache == "MISS"
    assert page.errors() == []


@needs_browser
def test_everything_is_purged_only_at_the_second_click(page):
    n = page.n
    get(n, "/a")
    page.choose("kind", "all")
    page.find("#purge-go").click()
    wait_until(lambda: "Really" in page.text("purge-go"), "the question")
    assert get(n, "/a").cache == "HIT"
    page.choose("kind", "tags")             # thinks better of it
    assert page.text("purge-go") == "Purge"
    page.choose("kind", "all")
    page.find("#purge-go").click()
    wait_until(lambda: "Really" in page.text("purge-go"), "the question once more")
    assert get(n, "/a").cache == "HIT"
    page.find("#purge-go").click()
    wait_until(lambda: "purged everything" in page.text("purge-says"), "the answer")
    assert get(n, "/a").cache == "MISS"


@needs_browser
def test_last_purges_are_shown_with_what_when_whence_and_how(page):
    n = page.n
    wait_until(lambda: page.text("purges") == "none yet", "an empty table")
    n.request("/a<b>&c=d", "PURGE", host=f"127.0.0.1:{n.port}")
    page.choose("kind", "tags")
    page.type("what", "red")
    page.find("#soft").click()
    page.find("#purge-go").click()
    wait_until(lambda: page.text("purges").startswith("tag red API, softly 127.0.0.1"), "the purge by hand, at once")
    assert re.search(r"\d+(\.\d)? s ago|less than a second ago", page.text("purges"))
    assert "127.0.0.1/a<b>&c=d request 127.0.0.1" in page.text("purges") and page.errors() == []


@needs_browser
def test_softly_purged_is_stale_not_gone(page):
    n = page.n
    get(n, "/a")
    page.type("what", f"{page.base}/a")
    page.find("#soft").click()
    page.find("#purge-go").click()
    wait_until(lambda: "purged" in page.text("purge-says"), "the answer")
    page.type("url", f"{page.base}/a")
    page.find("#explain button").click()
    wait_until(lambda: page.text("explain-says").startswith("Stored"), "still stored")
    assert get(n, "/a").cache != "HIT" and page.errors() == []


@needs_browser
def test_explains_a_url(page):
    n = page.n
    get(n, "/article/7")
    page.type("url", f"{page.base}/article/7")
    page.find("#explain button").click()
    wait_until(lambda: page.text("explain-says").startswith("Stored, "), "stored")
    page.type("url", f"{page.base}/never")
    page.find("#explain button").click()
    wait_until(lambda: "Not stored, and no request for it" in page.text("explain-says"), "not stored")


@needs_browser
def test_explains_in_words_and_in_full_on_demand(page):
    get(page.n, "/article/7")
    page.type("url", f"{page.base}/article/7")
    page.find("#explain button").click()
    wait_until(lambda: "requests get it from the cache." in page.text("explain-says"), "a sentence")
    assert "selectors" not in page.text("explain-says")
    page.find("#explain-says summary").click()
    wait_until(lambda: '"selectors"' in page.text("explain-says"), "all of it")


@needs_browser
def test_answers_to_clients_are_shown_by_code(page, origin):
    origin.reply("/gone", "x", status=404, headers=["Cache-Control: max-age=600"])
    origin.reply("/broken", "x", status=500)
    n = page.n
    for path, fields in (("/a", []), ("/a", []), ("/a", ["Range: bytes=0-3"]), ("/gone", []), ("/broken", [])):
        n.request(path, headers=fields, host=f"127.0.0.1:{n.port}")
    n.request("/form", "POST", body=b"x", host=f"127.0.0.1:{n.port}")
    wanted = {"2xx": "3", "206, a part": "1", "3xx": "0", "304, not modified": "0", "4xx": "1", "5xx": "1"}
    wait_until(lambda: {line.rsplit(" ", 2)[0]: line.rsplit(" ", 2)[2] for line in page.text("sent").splitlines()} == wanted, "the codes")
    wait_until(lambda: page.driver.find_elements("css selector", "#sent tr.bad"), "failures in red")
    assert len({e.text for e in page.driver.find_elements("css selector", "th.late")}) == 1
    assert re.fullmatch(r"last (\d+ s|minute)", page.find("th.late").text)
    # A POST that goes by is a request that passed, and nothing to be mended.
    assert dict(line.rsplit(" ", 2)[::2] for line in page.text("statuses").splitlines())["passed by"] == "1"
    assert "METHOD" not in page.text("reasons") and page.errors() == []


@needs_browser
def test_a_5xx_that_no_fetch_brought_is_told(page, origin):
    """Of a request that passed by, say."""
    n = page.n
    origin.reply("/form", "x", status=500)
    wait_until(lambda: "No request has come here yet" in page.text("verdict"), "the first looks")
    wait_until(lambda: page.text("k-rate") == "0", "two looks at the metrics")
    for _ in range(3):
        assert n.request("/form", "POST", body=b"x", host=f"127.0.0.1:{n.port}").status == 500
    wait_until(lambda: page.text("verdict") == "3 requests were answered with a 5xx.", "the verdict")
    assert page.driver.find_elements("css selector", "#verdict .bad") and page.errors() == []


@needs_browser
def test_boxes_of_numbers_are_filled_and_say_of_what_time_they_are(page, load):
    wait_until(lambda: page.text("k-hit") != "–" and page.text("k-miss") != "–", "two looks at the metrics", 30)
    assert re.fullmatch(r"of the last (\d+ s|minute)", page.text("now-span"))
    numbers = {name: page.text(f"k-{name}") for name in ("ratio", "rate", "failed", "hit", "miss", "evicted", "purged", "entries")}
    assert all(re.match(r"[\d.]+", n) for n in numbers.values()), numbers
    assert numbers["failed"] == numbers["evicted"] == "0" and re.fullmatch(r"of \d+ fetches", page.text("k-fills"))
    for name in ("hits", "misses"):
        assert re.fullmatch(r"95 %: [\d.]+ (µs|ms|s), 99 %: [\d.]+ (µs|ms|s)", page.text(f"k-{name}"))
    assert "/s from the cache" in page.text("k-bytes") and "of origin time saved" in page.text("k-saved")
    rows = dict(line.split(" ", 1) for line in page.text("statuses").splitlines())
    assert {"HIT", "MISS", "STALE", "BYPASS"} <= set(rows) and int(rows["MISS"].split()[1]) > 0
    assert "All is well" in page.text("verdict") and page.driver.find_elements("css selector", "#verdict .good")
    assert re.fullmatch(r"nginx runs for ([\d.]+ (s|min)|less than a second)", page.text("uptime"))
    assert not page.find("#all").is_displayed() and not page.find("#fleet").is_displayed()
    assert page.errors() == []


@needs_browser
def test_an_hour_is_kept_in_few_points(page, load):
    """As if the page had been open for 70 minutes: what it saw is moved back in time, as often as it looked."""
    wait_until(lambda: len(page.plot()) > 60, "a few seconds of plots", 30)
    page.driver.execute_script("""
        const list = histories.one, last = list.at(-1);
        list.length = 0;
        for (let s = 70 * 60; s > 0; s--) {
            list.push({t: last.t - s * 1000, reasons: {}, c: {...last.c, hits: 2 * (4200 - s), misses: 0}});
            thin(list);
        }
        list.push(last);
        thin(list);""")
    assert "s ago" in page.text("c-ratio")
    page.find("#long").click()
    wait_until(lambda: "60 min ago" in page.text("c-ratio") and "60 min ago" in page.text("c-rate"), "an hour")
    held = page.driver.execute_script("return [histories.one.length, histories.one.at(-1).t - histories.one[1].t]")
    assert 400 < held[0] < 700 and held[1] <= 3600_000 and page.find("#long").get_attribute("aria-pressed") == "true"
    page.find("#long").click()
    wait_until(lambda: "180 s ago" in page.text("c-ratio"), "three minutes again")
    assert page.errors() == []


@needs_browser
@pytest.mark.parametrize("by, term, found", [("prefix", "{base}/article/", 25), ("prefix", "{base}/other/", 5), ("tag", "red", 30), ("tag", "blue", 0)])
def test_shows_what_is_stored(page, by, term, found):
    for i in range(30):
        get(page.n, f"/article/{i}" if i < 25 else f"/other/{i}")
    page.choose("by", by)
    page.type("term", term.format(base=page.base))
    page.find("#search-go").click()
    wait_until(lambda: page.text("search-says"), "an answer")
    while page.find("#more").is_displayed():
        before = page.text("search-says")
        page.find("#more").click()
        wait_until(lambda: page.text("search-says") != before or not page.find("#more").is_displayed(), "more of them")
    rows = page.text("found").splitlines()
    assert len(rows) == found and all("200" in row and "article" in row or by == "tag" or "other" in row for row in rows), rows
    assert ("nothing of that" in page.text("search-says")) == (found == 0)
    assert page.errors() == []


@needs_browser
def test_wrong_search_is_told_why(page):
    page.type("term", "ftp://x")
    page.find("#search-go").click()
    wait_until(lambda: "URL" in page.text("search-says"), "the problem")
    assert page.find("#search-says").get_attribute("class") == "bad"


@needs_browser
def test_errors_are_shown(page):
    page.choose("kind", "urls")
    page.type("what", "ftp://x")
    page.find("#purge-go").click()
    wait_until(lambda: "is no URL" in page.text("purge-says"), "the problem")


@needs_browser
def test_markup_in_a_request_is_shown_not_executed(page, origin):
    origin.handle("*", lambda r: Reply("x", headers=["Cache-Control: private"]))
    page.n.request("/<img/src=x/onerror=document.title='owned'>", host=f"127.0.0.1:{page.n.port}")
    page.driver.refresh()
    wait_until(lambda: "onerror" in page.text("top"), "the route")
    assert page.driver.title == "slab_cache"
    assert page.driver.find_elements("css selector", "img") == []


@needs_browser
def test_page_of_another_origin_cannot_purge(page, make_nginx):
    """A form and a fetch of a real other origin, in the browser of somebody whose address may write."""
    n = page.n
    get(n, "/a")
    evil = make_nginx()
    target = f"{page.base}/_cache/v1/zones/one/purge"
    (evil.prefix / "html/evil.html").write_text(f"""<!doctype html><title>waiting</title>
        <form method=post enctype=text/plain action="{target}" target=sink><input name='{{"all":true,"mode":"' value='hard"}}'></form>
        <iframe name=sink></iframe><script>
        document.forms[0].submit();
        Promise.allSettled([
            fetch("{target}", {{method: "POST", mode: "no-cors", body: '{{"all":true}}'}}),
            fetch("{target}", {{method: "POST", mode: "no-cors", body: new Blob(['{{"all":true}}'])}}),
            fetch("{target}", {{method: "POST", headers: {{"Content-Type": "application/json"}}, body: '{{"all":true}}'}}),
            fetch("{page.base}/_cache/v1/zones/one/entry?url=/a", {{method: "DELETE"}}),
            fetch("{page.base}/_cache/service/one/purge_all", {{method: "POST", mode: "no-cors"}}),
        ]).then(() => setTimeout(() => document.title = "done", 300));</script>""")
    evil.start(location=f"location / {{ default_type text/html; root {evil.prefix}/html; }}")
    page.driver.get(f"http://localhost:{evil.port}/evil.html")
    wait_until(lambda: page.driver.title == "done", "the attack is over")
    assert get(n, "/a").cache == "HIT"
