"""The page for people, in a headless browser: it shows what happens, purges what is clicked, and executes nothing foreign."""
import re
import shutil
import tempfile
import threading

import pytest
from harness.nginx import TOP
from harness.origin import Reply
from harness.wait import wait_until

try:
    from selenium import webdriver
except ImportError:
    webdriver = None

FLAGS = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync", "--hide-scrollbars", "--force-device-scale-factor=1"]
SCREENSHOTS = TOP / "build/screenshots"
needs_browser = pytest.mark.skipif(not (webdriver and shutil.which("chromium") and shutil.which("chromedriver")),
                                   reason="no browser: tools/deps.sh browser")


@pytest.fixture(scope="module")
def browser():
    profile = tempfile.mkdtemp(prefix="sc_chromium_", dir="/tmp")
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium")
    for flag in [*FLAGS, f"--user-data-dir={profile}"]:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    try:
        from selenium.webdriver.chrome.service import Service
        driver = webdriver.Chrome(service=Service(shutil.which("chromedriver")), options=options)
    except TypeError:       # selenium 3
        driver = webdriver.Chrome(executable_path=shutil.which("chromedriver"), options=options)
    yield driver
    driver.quit()
    shutil.rmtree(profile, ignore_errors=True)


class Page:
    def __init__(self, driver, n):
        self.driver, self.n = driver, n
        self.base = f"http://127.0.0.1:{n.port}"
        driver.get(f"{self.base}/_cache/")
        wait_until(lambda: "workers" in self.text("state"), "the page has heard from the API")

    def find(self, selector):
        return self.driver.find_element("css selector", selector)

    def text(self, name):
        return self.find(f"#{name}").text

    def type(self, name, text):
        self.driver.execute_script("document.getElementById(arguments[0]).value = ''", name)
        self.find(f"#{name}").send_keys(text)

    def choose(self, name, value):
        self.find(f"#{name} option[value={value}]").click()

    def plot(self):
        """The path of the hit ratio. By one script: the page redraws it every second."""
        return self.driver.execute_script("const p = document.querySelector('#c-ratio .ratio'); return p ? p.getAttribute('d') : ''")

    def errors(self):
        return [e for e in self.driver.get_log("browser") if e["level"] == "SEVERE"]


@pytest.fixture
def site(nginx, origin):
    origin.handle("*", lambda r: Reply(b"x" * 3000, headers=["Cache-Control: max-age=600", "Surrogate-Key: red"]))
    nginx.start(zone="slab_cache_zone zone=one:16m;", workers=2, location=f"""
        location / {{ slab_cache one; proxy_pass http://{origin.address}; }}
        location /_cache/ {{ slab_cache_api write=on; }}""")
    return nginx


@pytest.fixture
def page(site, browser):
    browser.set_window_size(1280, 900)
    yield Page(browser, site)
    # It asks every second: left open, it would complain into the next test's log once its nginx has stopped.
    browser.get("about:blank")
    browser.get_log("browser")


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
    page.find("#purge-go").click()
    wait_until(lambda: "purged everything" in page.text("purge-says"), "the answer")
    assert get(n, "/a").cache == "MISS"


@needs_browser
def test_explains_a_url(page):
    n = page.n
    get(n, "/article/7")
    page.type("url", f"{page.base}/article/7")
    page.find("#explain button").click()
    wait_until(lambda: page.text("explain-says").startswith("stored, fresh for"), "stored")
    page.type("url", f"{page.base}/never")
    page.find("#explain button").click()
    wait_until(lambda: "not stored: NOT_STORED" in page.text("explain-says"), "not stored")


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


# ---- looked at ------------------------------------------------------------------------------------------------------
@needs_browser
@pytest.mark.parametrize("width, height, scheme", [(390, 844, "light"), (390, 844, "dark"), (1280, 900, "light"), (1280, 900, "dark")])
def test_fits_the_screen(page, load, width, height, scheme):
    page.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]})
    page.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride",
                                {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500})
    page.driver.refresh()
    wait_until(lambda: len(page.plot()) > 60, "a few seconds of plots")
    wait_until(lambda: "/account" in page.text("top") and "/search" in page.text("top"), "routes", 30)
    page.type("url", f"{page.base}/article/7")
    page.find("#explain button").click()
    wait_until(lambda: "stored" in page.text("explain-says"), "an explanation")
    size = page.driver.execute_script("return [document.documentElement.scrollWidth, document.documentElement.scrollHeight]")
    page.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride",
                                {"width": width, "height": size[1], "deviceScaleFactor": 1, "mobile": width < 500})
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    name = "phone" if width < 500 else "desktop"
    page.driver.save_screenshot(str(SCREENSHOTS / f"{name}-{scheme}.png"))
    page.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    page.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    assert size[0] <= width, "the page scrolls sideways"
