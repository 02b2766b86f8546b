"""GET …/v1/zones/{zone}/purges: the last purges: what, when, from whom, how."""
import hashlib
import hmac
import json
import time

import pytest
from harness.origin import Reply
from harness.wait import wait_until

SECRET = b"a-secret-of-forty-characters-and-no-less"
API = "/_cache/v1/zones/one/"


@pytest.fixture
def site(nginx, origin):
    origin.handle("*", lambda r: Reply("x", headers=["Cache-Control: max-age=600"]))
    (nginx.prefix / "secret").write_bytes(SECRET)

    def start(zone="slab_cache_zone zone=one:16m;", **kw):
        return nginx.start(zone=zone, workers=2, location=f"""
            location / {{ slab_cache one; slab_cache_purge PURGE from 127.0.0.1 unix:; proxy_pass http://{origin.address}; }}
            location /_cache/ {{ slab_cache_api write=on; }}
            location /signed/ {{ slab_cache_api write=on secret={nginx.prefix}/secret; }}""", **kw)

    return start


def rows(n):
    answer = n.get(API + "purges")
    assert answer.status == 200, answer
    return json.loads(answer.body)["purges"]


def purge(n, body, path=API + "purge", headers=()):
    answer = n.request(path, "POST", headers=["Content-Type: application/json", *headers], body=json.dumps(body).encode())
    assert answer.status == 200, answer
    return json.loads(answer.body)["seq"]


def sign(path, body):
    expiry = int(time.time()) + 60
    text = f"POST\n{path}\n{expiry}\n{hashlib.sha256(body).hexdigest()}"
    return f"Authorization: SlabCache {expiry}:{hmac.new(SECRET, text.encode(), 'sha256').hexdigest()}"


def test_there_are_none_at_first(site):
    n = site()
    assert rows(n) == []


@pytest.mark.parametrize("body, first, accepted", [
    ({"urls": ["http://localhost/a?b=c"]}, {"host": "localhost", "path": "/a?b=c"}, 1),
    ({"prefixes": ["http://localhost/news/"]}, {"host": "localhost", "prefix": "/news/"}, 1),
    ({"globs": ["http://localhost/*/x"]}, {"host": "localhost", "pattern": "/*/x"}, 1),
    ({"hosts": ["localhost"]}, {"host": "localhost"}, 1),
    ({"tags": ["red", "green", "blue"]}, {"tag": "red"}, 3),
    ({"tags_all": ["a", "b"], "not": ["c"]}, {"tags_all": ["a", "b"], "not": ["c"]}, 1),
    ({"all": True}, {"all": True}, 1)], ids=lambda x: next(iter(x)) if isinstance(x, dict) else "")
def test_says_what_when_from_whom_and_how(site, body, first, accepted):
    n = site()
    before = int(time.time())
    seqs = [purge(n, body), purge(n, {**body, "mode": "soft"})]
    soft, hard = rows(n)
    assert [hard["seq"], soft["seq"]] == seqs and (hard["mode"], soft["mode"]) == ("hard", "soft")
    for row in (soft, hard):
        assert row["first"] == first and row["accepted"] == accepted
        assert row["from"] == "127.0.0.1" and row["via"] == "api"
        assert before <= row["at_sec"] <= int(time.time()) and set(row) == {"at_sec", "seq", "via", "mode", "accepted", "first", "from"}


def test_purge_method_delete_and_other_apis_are_among_them(site):
    n = site()
    n.purge("/a")
    assert n.request(API + "entry?url=/b", "DELETE").status == 200
    assert n.request("/_cache/service/one/purge/red", "POST", body=b"").status == 200
    found = [(r["via"], r["first"]) for r in rows(n)]
    assert found == [("api", {"tag": "red"}), ("api", {"host": "localhost", "path": "/b"}), ("method", {"host": "localhost", "path": "/a"})]


def test_signed_is_said(site):
    n = site()
    path, body = "/signed/v1/zones/one/purge", json.dumps({"all": True}).encode()
    assert n.request(path, "POST", headers=["Content-Type: application/json", sign(path, body)], body=body).status == 200
    said = n.get(API + "purges").text
    assert rows(n)[0]["signed"] is True and "SlabCache" not in said


def test_visitors_do_not_push_the_operator_s_purges_out(site):
    n = site()
    seq = purge(n, {"tags": ["red"]})
    for i in range(40):
        assert n.request(f"/form/{i}", "POST", body=b"x").status == 200
    assert [r["seq"] for r in rows(n)] == [seq]


def test_what_was_refused_is_none(site):
    n = site()
    assert n.request(API + "purge", "POST", headers=["Content-Type: application/json"], body=b'{"urls":["ftp://x"]}').status == 400
    assert n.request("/a", "PURGE", headers=["Purge-Cache-Tags: a"]).status == 400
    assert rows(n) == []


def test_the_last_twenty_are_there_newest_first(site):
    n = site()
    seqs = [purge(n, {"tags": [f"t{i}"]}) for i in range(45)]
    assert [r["seq"] for r in rows(n)] == seqs[:-21:-1]


def test_long_names_are_cut_and_hold_no_nonsense(site):
    n = site()
    purge(n, {"urls": ["http://localhost/" + "%C3%A4" * 2000]})
    row = rows(n)[0]
    assert row["cut"] is True and row["first"]["path"].startswith("/ää") and len(row["first"]["path"].encode()) < 512


def test_reload_and_resize_keep_them(site):
    n = site()
    seq = purge(n, {"tags": ["red"]})
    n.reload()
    assert [r["seq"] for r in rows(n)] == [seq]
    n.write(n.text.replace("zone=one:16m", "zone=one:32m"))
    n.reload()
    assert [r["first"] for r in rows(n)] == [{"tag": "red"}]


def test_credentials_and_cookies_of_who_purges_are_not_among_them(site):
    n = site()
    purge(n, {"tags": ["red"]}, headers=["Cookie: sessionid=verysecret", "Authorization: Bearer verysecret"])
    n.purge("/a", "Cookie: sessionid=verysecret", "Authorization: Bearer verysecret")
    assert len(rows(n)) == 2 and "verysecret" not in n.get(API + "purges").text


def test_other_machines_purges_are_among_them(fleet):
    a, b = fleet.pair()
    a.fill("/x")
    purge(b, {"tags": ["red"]})
    wait_until(lambda: rows(a), "it is heard of")
    row = rows(a)[0]
    assert row["via"] == "fleet" and row["first"] == {"tag": "red"} and "from" not in row
    assert rows(b)[0]["via"] == "api"
