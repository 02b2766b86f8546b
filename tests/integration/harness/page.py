"""The page for people in a headless Chromium: `browser` is a fixture of the whole run, Page one look at it."""
import re
import shutil
import tempfile

import pytest

from .nginx import TOP
from .wait import wait_until

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

    def show(self, width, height, scheme):
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]})
        self.resize(width, height)

    def resize(self, width, height):
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride",
                                    {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500})

    def picture(self, name, width, height, scheme):
        """All of the page, as it is now, in build/screenshots; it must not scroll sideways."""
        self.show(width, height, scheme)
        size = self.driver.execute_script("return [document.documentElement.scrollWidth, document.documentElement.scrollHeight]")
        self.resize(width, size[1])
        drawn = "const s = document.getElementById('c-rate'); return s.getAttribute('viewBox').split(' ')[2] == s.clientWidth"
        wait_until(lambda: self.driver.execute_script(drawn), "the plots are drawn anew", 60)
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        self.driver.save_screenshot(str(SCREENSHOTS / f"{name}-{'phone' if width < 500 else 'desktop'}-{scheme}.png"))
        assert size[0] <= width, "the page scrolls sideways"

    def pictures(self, name):
        try:
            for width, height in ((390, 844), (1280, 900)):
                for scheme in ("light", "dark"):
                    self.picture(name, width, height, scheme)
        finally:
            self.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
            self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})

    def close(self):
        """It asks every second: left open, it would complain into the next test's log once its nginx has stopped."""
        self.driver.get("about:blank")
        self.driver.get_log("browser")
