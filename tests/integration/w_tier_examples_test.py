"""What applications hold in their hands: tier.conf, the Celery task that makes pages, the lines of docs/tier.md."""
import json
import re
import subprocess
import sys

import pytest
from harness import celery
from harness import example as examples
from harness.nginx import TOP
from harness.origin import Reply
from harness.redis import Redis
from harness.wait import wait_until

redis = pytest.importorskip("redis", reason="no redis-py here (tools/deps.sh test)")
MANY = 1000


@pytest.fixture(scope="module")
def store():
    r = Redis()
    yield r
    r.stop()


@pytest.fixture(scope="module")
def worker(store, tmp_path_factory):
    """The worker of celery_pages.py."""
    if not celery.is_here():
        pytest.skip(celery.WHY_NOT)
    with celery.worker(examples.EXAMPLES, "celery_pages", tmp_path_factory.mktemp("celery") / "log", REDIS=f"redis://127.0.0.1:{store.port}") as w:
        w.wait_for("ready.")
        yield w


def pages(store):
    with redis.Redis(port=store.port, db=1) as r:
        return {k.decode(): r.get(k) for k in r.scan_iter("slab:*")}


def ask_for(store, site, *numbers):
    p = subprocess.run([sys.executable, examples.EXAMPLES / "celery_pages.py", site, *map(str, numbers)], capture_output=True, text=True,
                       stdin=subprocess.DEVNULL, check=False, env={"PATH": "/usr/bin:/bin", "REDIS": f"redis://127.0.0.1:{store.port}"})
    assert p.returncode == 0, p.stderr


@pytest.fixture
def site(store, nginx, origin):
    """tier.conf; a loaded machine is given more time."""
    text = examples.read("tier.conf", nginx).replace("127.0.0.1:6379", f"127.0.0.1:{store.port}").replace("prefix=slab:", "timeout=5s")
    nginx.start(text=text.replace("127.0.0.1:8000", origin.address).replace("listen 8080", f"listen 127.0.0.1:{nginx.port}"))
    origin.handle("*", lambda request: Reply("the application's", headers=["Cache-Control: max-age=60"]))
    wait_until(lambda: json.loads(nginx.get("/_cache/v1/fleet").body)["fleets"][0]["zones"][0]["position"] != "0-0", "it is past its first gap")
    return nginx


def test_pages_that_nginx_has_never_seen_are_hits(store, worker, site, origin):
    """All of them, and the application is asked for none."""
    ask_for(store, "http://localhost", *range(MANY))
    wait_until(lambda: len(pages(store)) >= MANY, "all are made", 120)
    for key, value in pages(store).items():
        assert re.search(rb"\r\nSlab-Position: [0-9]+-[0-9]+\r\n", value), key
    answers = [site.get(f"/report/{i}") for i in range(MANY)]
    assert [(a.status, a.header("X-Cache")) for a in answers] == MANY * [(200, "HIT")], site.get("/_cache/v1/tier").text
    assert all(f"<title>Report {i}</title>" in a.text for i, a in enumerate(answers))
    assert origin.hits() == 0


def test_changed_page_is_made_anew_and_the_old_one_is_not_shown(store, worker, site, origin):
    def report():
        return pages(store).get("slab:http://localhost/report/x", b"").partition(b"\r\n\r\n")[2].decode()

    ask_for(store, "http://localhost", "x")
    wait_until(report, "it is made")
    first = report()
    assert site.get("/report/x").text == first and origin.hits() == 0
    ask_for(store, "http://localhost", "x")
    wait_until(lambda: report() != first, "it is made anew")
    wait_until(lambda: site.get("/report/x").text != first, "the purge is read")
    assert site.get("/report/x").text in (report(), "the application's")


def test_page_is_as_of_the_purge_that_came_before_it(store, worker):
    ask_for(store, "http://site", "new")
    wait_until(lambda: "slab:http://site/report/new" in pages(store), "it is made")
    position = re.search(rb"Slab-Position: (\S+)", pages(store)["slab:http://site/report/new"])[1].decode()
    (purge,) = [number for number, fields in store.entries() if fields.get("tag") == "report-new"]
    assert tuple(map(int, position.split("-"))) >= tuple(map(int, purge.split("-")))


def test_lines_of_the_document_store_what_they_say(store):
    """Both ways, one after the other."""
    first, second = re.findall(r"```python\n(.*?)```", (TOP / "docs/tier.md").read_text(), re.S)
    sys.path.insert(0, str(TOP / "clients/python"))
    import slab_cache_fleet, slab_cache_tier                    # noqa: E401,PLC0415
    client = redis.Redis(port=store.port)
    client.delete("slab:https://example.org/report/7")
    exec(first, {"r": client, "page": "<p>7"})                  # noqa: S102 - our own file
    value = client.get("slab:https://example.org/report/7")
    assert value == b"HTTP/1.1 200 OK\nCache-Control: max-age=300\n\n<p>7" and client.ttl("slab:https://example.org/report/7") > 290
    names = {"redis": redis, "render_report": lambda n: f"<p>{n}", "Tier": slab_cache_tier.Tier, "Fleet": slab_cache_fleet.Fleet}
    exec(second.replace("redis.Redis()", f"redis.Redis(port={store.port})"), names)     # noqa: S102
    assert client.get("slab:https://example.org/report/7").endswith(b"\r\n\r\n<p>7")
