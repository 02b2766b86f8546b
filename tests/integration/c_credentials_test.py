"""slab_cache_authorization: answers to requests with credentials, stored where the key tells these apart."""
import threading

import pytest
from harness.nginx import PATIENT
from harness.origin import Reply, request_header

FRESH = ("Cache-Control: max-age=600",)
ALICE, BOB = "Authorization: Basic YWxpY2U6YQ==", "Authorization: Basic Ym9iOmI="    # alice:a, bob:b
NEEDS = ('"slab_cache_authorization keyed" in location "/" needs a "slab_cache_key" with $http_authorization in it, '
         'or $remote_user where "auth_basic" checks it')
NAME_ALONE = ('"slab_cache_authorization keyed" in location "/": $remote_user in "slab_cache_key" is the name that a client gives '
              'where "auth_basic" does not check each; write $http_authorization')


@pytest.fixture
def users(nginx):
    (nginx.prefix / "users").write_text("alice:{PLAIN}a\nbob:{PLAIN}b\n")
    return f"auth_basic x; auth_basic_user_file {nginx.prefix}/users;"


@pytest.fixture
def personal(origin):
    origin.handle("*", lambda r: Reply(request_header(r, "Authorization") or "nobody", headers=FRESH))


BY_FIELD = "slab_cache_authorization keyed; slab_cache_key $uri $http_authorization;"
BY_NAME = "slab_cache_authorization keyed; slab_cache_key $uri$remote_user;"


def test_each_has_an_answer_of_ones_own(cached, personal):
    n = cached(BY_FIELD)
    seen = [(a.cache, a.text) for a in (n.get("/a", *who) for who in ([ALICE], [BOB], [], [ALICE], [BOB], []))]
    names = [ALICE[15:], BOB[15:], "nobody"]
    assert seen == [*(("MISS", x) for x in names), *(("HIT", x) for x in names)]


def test_a_name_that_auth_basic_checks_will_do(cached, personal, users):
    n = cached(BY_NAME + users)
    assert [n.get("/a", who).cache for who in (ALICE, BOB, ALICE, BOB)] == ["MISS", "MISS", "HIT", "HIT"]
    assert n.get("/a", "Authorization: Basic YWxpY2U6eA==").status == 401       # alice:x


def test_requests_with_the_same_credentials_wait_for_one_fill(cached, origin):
    gate = threading.Event()
    origin.reply("/a", "body", headers=FRESH, before=gate)
    n = cached(BY_FIELD + PATIENT)
    clients = [n.connect() for _ in range(3)]
    for c in clients:
        c.send("/a", headers=[ALICE])
    n.wait_for_waiters(2)
    gate.set()
    assert [c.read_body(c.read_header()).status for c in clients] == [200] * 3
    assert origin.hits("/a") == 1


def test_it_is_refused_without_the_word(cached, personal):
    n = cached("slab_cache_key $uri$http_authorization;")
    assert [n.get("/a", ALICE).why for _ in range(2)] == ["AUTHORIZATION"] * 2


@pytest.mark.parametrize("directives, said", [
    ("", NEEDS),
    ("slab_cache_key $uri;", NEEDS),
    ("slab_cache_key $uri$http_authorization_;", NEEDS),
    ("slab_cache_key $uri$who;", NEEDS),                       # a map of it: two may have the same
    ("slab_cache_key $uri$remote_user;", NAME_ALONE),
    ("slab_cache_key $uri$remote_user; auth_basic off;", NAME_ALONE),
    ("slab_cache_key $uri$remote_user; auth_basic $who;", NAME_ALONE),
    ("slab_cache_key $uri$remote_user; auth_basic x; satisfy any;", NAME_ALONE),
    ("slab_cache_key $uri$remote_user; auth_basic x;", None),
    ("slab_cache_key $uri${http_authorization};", None),
    ("slab_cache off;", None),
])
def test_a_key_that_does_not_tell_them_apart_is_refused(nginx, directives, said):
    zone = "" if "slab_cache off" in directives else "slab_cache one;"
    code, out = nginx.test_config(http="map $http_authorization $who { default x; }",
                                  location=f"location / {{ {zone} slab_cache_authorization keyed; {directives} }}")
    assert (code == 0) == (said is None), out
    assert said is None or f": {said} in {nginx.prefix}/nginx.conf:" in out, out


def test_what_a_server_says_for_its_locations_needs_no_key_of_its_own(nginx, personal, origin):
    nginx.start(server="slab_cache one; slab_cache_authorization keyed;",
                location=f"location / {{ slab_cache_key $uri$http_authorization; proxy_pass http://{origin.address}; }}")
    assert [nginx.get("/a", ALICE).cache for _ in range(2)] == ["MISS", "HIT"]


# ---- auth_request --------------------------------------------------------------------------------------------------
def auth_gate(origin, more=""):
    return f"""
        location / {{ slab_cache off; auth_request /auth; proxy_pass http://{origin.address}; }}
        location = /auth {{ internal; slab_cache one; slab_cache_key $http_authorization; slab_cache_authorization keyed;
                            slab_cache_valid 200 401 1m; proxy_pass http://{origin.address};
                            proxy_pass_request_body off; proxy_set_header Content-Length ""; {more} }}"""


def judge(r):
    return Reply("", status=200 if request_header(r, "Authorization") == ALICE[15:] else 401)


@pytest.mark.parametrize("method, body", [("GET", None), ("POST", b"x"), ("POST", b"x" * 100_000), ("DELETE", None)])
def test_word_of_an_authentication_service_is_kept(nginx, origin, method, body):
    origin.handle("/auth", judge)
    origin.handle("/a", lambda r: Reply(f"{r.method} {len(r.body)}"))
    nginx.start(location=auth_gate(origin))
    answers = [nginx.request("/a", method, headers=[ALICE], body=body) for _ in range(3)]
    assert [a.text for a in answers] == [f"{method} {len(body or b'')}"] * 3
    assert origin.hits("/auth") == 1
    assert [nginx.request("/a", method, headers=[BOB], body=body).status for _ in range(2)] == [401, 401]
    assert origin.hits("/auth") == 2


def test_service_is_asked_for_each_without_the_word(nginx, origin):
    origin.handle("/auth", judge)
    origin.reply("/a", "body")
    nginx.start(location=auth_gate(origin).replace("keyed", "refuse"))
    assert [nginx.get("/a", ALICE).status for _ in range(2)] == [200, 200]
    assert origin.hits("/auth") == 2
