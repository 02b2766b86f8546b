"""The client's Django part: a real site under gunicorn behind a real nginx. Views name tags, changes purge on commit."""
import os
import pathlib
import re
import shutil
import subprocess

import pytest
from harness.client import Connection
from harness.nginx import TOP, Nginx
from harness.wait import wait_until

APPS = pathlib.Path(__file__).parent / "apps"
pytestmark = pytest.mark.skipif(
    not shutil.which("gunicorn")
    or subprocess.run(["/usr/bin/python3", "-c", "import django"], capture_output=True, check=False).returncode != 0,
    reason="no gunicorn or no Django: tools/deps.sh test")


class Site:
    def __init__(self, nginx, directory, environment):
        self.nginx, self.directory, self.environment = nginx, directory, environment

    def get(self, path):
        return self.nginx.get(path)

    def tags(self, path):
        """Of the site's own answer: nginx keeps them to itself."""
        with Connection(str(self.directory / "app.sock")) as c:
            return c.request(path).header("Surrogate-Key").split()

    def warm(self, *paths):
        for p in paths:
            assert self.get(p).status == 200
            assert self.get(p).cache == "HIT", p

    def status(self, path):
        return self.get(path).cache

    def purges(self):
        return self.nginx.get("/_cache/metrics").text.split('slab_cache_purges_total{zone="one"} ')[1].split()[0]

    def answers(self):
        try:
            return bool(self.tags("/article/1"))
        except OSError:
            return False

    def run(self, script, **environment):
        p = subprocess.run(["/usr/bin/python3", "-c", script], env={**self.environment, **environment}, stdin=subprocess.DEVNULL,
                           capture_output=True, text=True, check=False)
        assert p.returncode == 0, p.stderr
        return p.stdout


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    nginx, directory = Nginx(), tmp_path_factory.mktemp("site")
    socket = directory / "app.sock"
    environment = {**os.environ, "SITE_DIR": str(directory), "PYTHONPATH": str(APPS), "PYTHONDONTWRITEBYTECODE": "1",
                   "CACHE_API": f"http://127.0.0.1:{nginx.port}/_cache/"}
    process = None
    try:
        nginx.start(f"""
            location / {{ slab_cache one; proxy_pass http://unix:{socket}; }}
            location /_cache/ {{ slab_cache_api write=on; allow 127.0.0.1; deny all; }}""")
        subprocess.run(["/usr/bin/python3", "-c", "import tagged_site; tagged_site.make_tables()"], env=environment, check=True)
        with open(directory / "gunicorn.log", "wb") as log:
            process = subprocess.Popen([shutil.which("gunicorn"), "-w", "1", "-b", f"unix:{socket}", "--worker-tmp-dir", str(directory),
                                        "tagged_site:application"], env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        site = Site(nginx, directory, environment)
        wait_until(lambda: process.poll() is not None or site.answers(), "gunicorn answers")
        assert process.poll() is None, (directory / "gunicorn.log").read_text()
        yield site
    finally:
        if process is not None:
            process.terminate()
            process.wait(20)
        nginx.stop()
        complaints = nginx.complaints()
        nginx.clean_up(keep=bool(complaints))
        assert not complaints, complaints


@pytest.fixture
def site(running):
    running.get("/reset")
    running.nginx.request("/_cache/v1/zones/one/purge", "POST", headers=["Content-Type: application/json"], body=b'{"all":true}')
    return running


def test_decorated_views_carry_their_tags(site):
    assert site.tags("/article/1?lang=de") == ["site", "article-1", "lang-de"]
    assert site.tags("/async/3") == ["site", "async-3", "from-within"]


def test_tags_added_within_a_view_are_written_by_the_middleware_and_are_of_that_request_alone(site):
    assert site.tags("/list") == ["article-1", "article-2"]
    assert site.tags("/article/2") == ["site", "article-2", "lang-en"]


def test_a_committed_change_purges_what_carries_the_tag_by_one_purge(site):
    site.warm("/article/1", "/article/2", "/list")
    before = int(site.purges())
    site.get("/change/1?how=commit")
    assert int(site.purges()) == before + 1
    assert site.status("/article/2") == "HIT"
    assert (site.get("/article/1").text, site.get("/list").text) == ("new", "new old")


def test_a_change_that_is_rolled_back_purges_nothing(site):
    site.warm("/article/1")
    site.get("/change/1?how=rollback")
    assert site.status("/article/1") == "HIT"
    site.get("/change/1?how=commit")                # what was rolled back stands in nobody's way
    assert site.get("/article/1").text == "new"


def test_a_savepoint_that_is_rolled_back_takes_its_purges_along_and_no_others(site):
    site.warm("/article/1", "/article/2")
    site.get("/change/1?how=savepoint")
    assert site.status("/article/2") == "HIT" and site.get("/article/1").text == "new"


def test_without_a_transaction_the_purge_is_sent_at_once(site):
    site.warm("/article/1")
    site.get("/change-outright/1")
    assert site.get("/article/1").text == "new"


def test_a_cache_that_is_away_fails_no_request_and_is_told_in_the_log(site):
    script = """
import tagged_site
from django.test import Client
print(Client().get("/change/1?how=commit").status_code, tagged_site.Article.objects.get(pk=1).text)
"""
    assert site.run(script, CACHE_API="http://127.0.0.1:1/_cache/") == "200 new\n"
    said = (site.directory / "log").read_text()
    assert "the cache was not told what changed" in said and "http://127.0.0.1:1/_cache/: [Errno 111]" in said


def test_under_asgi_tags_stay_with_their_request(site):
    out = site.run("""
import asyncio, tagged_site
from django.test import AsyncClient
async def main():
    answers = await asyncio.gather(*(AsyncClient().get(p) for p in ["/async/1", "/list", "/async/2", "/article/1"] * 5))
    print("\\n".join(sorted({a["Surrogate-Key"] for a in answers})))
asyncio.run(main())
""")
    assert out.splitlines() == ["article-1 article-2", "site article-1 lang-en", "site async-1 from-within", "site async-2 from-within"]


def test_what_the_readme_shows_runs(site):
    blocks = re.findall(r"```python\n(# (?:settings|views).py\n.*?)```", (TOP / "clients/python/README.md").read_text(), re.S)
    script = f"""
from django.conf import settings
names = {{}}
exec({blocks[0]!r}, names)
import django, os, sys, types
settings.configure(MIDDLEWARE=names["MIDDLEWARE"], ROOT_URLCONF="urls", ALLOWED_HOSTS=["*"], SECRET_KEY="x",
                   SLAB_CACHE={{**names["SLAB_CACHE"], "nodes": [os.environ["CACHE_API"]], "zone": "one"}},
                   DATABASES={{"default": {{"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}}})
django.setup()
views = {{"__name__": "views"}}
exec({blocks[1]!r}, views)
from django.urls import path
sys.modules["urls"] = urls = types.ModuleType("urls")
urls.urlpatterns = [path("a/<int:pk>", views["article"]), path("s/<int:pk>", views["save"])]
from django.test import Client
print(Client().get("/a/1")["Surrogate-Key"], Client().get("/s/1").content.decode())
"""
    before = int(site.purges())
    out = site.run(script, PYTHONPATH=str(TOP / "clients/python"))
    assert out == "news article-1 author-7 saved\n" and int(site.purges()) == before + 1
