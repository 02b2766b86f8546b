"""GET …/v1/zones/{zone}/entries: what is stored, page by page, below a prefix and with a tag."""
import json
import urllib.parse

import pytest
from harness.origin import Reply

PAGES = [f"/news/{i}" for i in range(30)] + [f"/shop/a/{i}" for i in range(30)] + ["/", "/shop/b?x=1&y=2"]


@pytest.fixture
def filled(cached, origin):
    def answer(r):
        tags = "all" + (" odd" if r.target[-1] in "13579" else "")
        return Reply("page of " + r.target, headers=["Cache-Control: max-age=600", f"Surrogate-Key: {tags}"])
    origin.handle("*", answer)
    n = cached()
    for page in PAGES:
        n.get(page)
    return n


def ask(nginx, **query):
    return nginx.get("/_cache/v1/zones/one/entries?" + urllib.parse.urlencode(query, quote_via=urllib.parse.quote))


def listed(nginx, **query):
    """All pages of a listing, as the URIs in the keys."""
    found = []
    while True:
        r = ask(nginx, **query)
        assert r.status == 200, r.text
        page = json.loads(r.body)
        found += [e["key"].partition("localhost|")[2] for e in page["entries"]]
        if page["next"] is None:
            return sorted(found)
        query["after"] = page["next"]


def test_pages_together_have_everything_once(filled):
    for n in (1, 7, 100):
        assert listed(filled, n=n) == sorted(PAGES)


def test_prefix_and_tag_choose(filled):
    assert listed(filled, prefix="http://localhost/news/") == sorted(p for p in PAGES if p.startswith("/news/"))
    assert listed(filled, prefix="/shop/*") == sorted(p for p in PAGES if p.startswith("/shop/"))
    assert listed(filled, prefix="/shop/a/", tag="odd") == sorted(p for p in PAGES if p.startswith("/shop/a/") and p[-1] in "13579")
    assert listed(filled, tag="all", prefix="http://localhost/") == sorted(PAGES)
    assert listed(filled, tag="none") == []
    assert listed(filled, prefix="http://elsewhere/") == []


def test_an_entry_is_what_explain_shows(filled):
    shown = json.loads(filled.get("/_cache/v1/zones/one/entry?url=/news/7").body)["entries"][0]
    page = json.loads(ask(filled, prefix="/news/", n=100).body)
    found = [e for e in page["entries"] if e["key"] == shown["key"]]
    assert [{**e, "age_sec": 0, "ttl_sec": 0} for e in found] == [{**shown, "age_sec": 0, "ttl_sec": 0}]


def test_what_is_purged_is_shown_as_such(filled):
    filled.purge("/news/7")
    page = json.loads(ask(filled, prefix="/news/", n=100).body)["entries"]
    assert {e["key"].rpartition("/")[2]: e["validity"] for e in page}.get("7", "purged") == "purged"
    assert sum(e["validity"] == "valid" for e in page) == 29


@pytest.mark.parametrize("query", [{"prefix": "/news"}, {"prefix": "/news/?x=1"}, {"prefix": ""}, {"tag": ""}, {"tag": "a b"}, {"n": 0}, {"n": 101},
                                   {"n": "x"}, {"after": 0}, {"after": "x"}, {"by": "hits"}])
def test_what_makes_no_sense_is_a_400_that_says_why(filled, query):
    r = ask(filled, **query)
    assert r.status == 400 and json.loads(r.body)["detail"]


def test_after_the_end_there_is_nothing(filled):
    assert json.loads(ask(filled, after=10**12).body) == {"entries": [], "next": None}


def test_values_that_clients_are_known_by_are_not_shown(cached, origin):
    origin.reply("/", "page", headers=["Cache-Control: max-age=600", "Vary: Cookie"])
    n = cached()
    n.get("/", ("Cookie", "sid=secret123"))
    assert b"secret123" not in ask(n).body
