"""No value of Cookie, Authorization or of a field that responses vary on leaves the zone: API, page, metrics, variables,
Cache-Status and log lines show "#" and 8 hex digits instead."""
import json
import re
from urllib.parse import quote

import pytest
from harness.origin import Reply

SECRET = "verysecretvalue"
HASH = re.compile(r"#[0-9a-f]{8}(?![0-9a-f])")
FRESH = ("Cache-Control: public, max-age=600",)


@pytest.fixture
def site(nginx, origin):
    """site("directives", vary=…): a cached location that shows all it knows about itself, and the API."""

    def start(directives="", headers=FRESH, **kw):
        origin.handle("*", lambda r: Reply("x", headers=headers))
        return nginx.start(http="log_format keys '$slab_cache_key';", location=f"""
        location / {{
            access_log {nginx.prefix}/keys.log keys;
            slab_cache one;
            slab_cache_status_header detail;
            add_header X-Key $slab_cache_key always;
            add_header X-Cache $slab_cache_status always;
            {directives}
            proxy_pass http://{origin.address};
        }}
        location /_cache/ {{ slab_cache_api write=on; allow 127.0.0.1; deny all; }}
        """, **kw)

    return start


def all_answers(n, path="/p"):
    """Everything that the API says about the object, by the URL of the call."""
    url = quote("http://localhost" + path, safe="")
    calls = ["/_cache/", "/_cache/metrics", "/_cache/v1/zones", "/_cache/v1/zones/one", f"/_cache/v1/zones/one/entry?url={url}"]
    calls += [f"/_cache/v1/zones/one/top?by={by}" for by in ("lost", "saved", "hits", "bytes")]
    answers = {call: n.get(call) for call in calls}
    assert all(a.status == 200 for a in answers.values()), answers
    return {call: f"{a.lines} {a.text}" for call, a in answers.items()}


def keys(n, path="/p"):
    said = json.loads(n.get(f"/_cache/v1/zones/one/entry?url={quote('http://localhost' + path, safe='')}").body)
    return [e["key"] for e in said["entries"] if "status" in e]


def shown_by(n, answers, secret=SECRET):
    """Who shows it: API calls, the header of answers, the access log's $slab_cache_key, our own lines of the error log."""
    said = {**all_answers(n), "answers": " ".join(str([h for h in a.lines if not h.startswith("Set-Cookie")]) for a in answers),
            "access log": (n.prefix / "keys.log").read_text(),
            "error log": "\n".join(line for line in n.error_log().splitlines() if "slab_cache" in line)}
    return [who for who, text in said.items() if secret in text]


def ask(n, *headers):
    answers = [n.get("/p", *headers) for _ in range(3)]
    assert answers[-1].cache == "HIT", answers
    return answers


@pytest.mark.parametrize("header", [f"Cookie: sessionid={SECRET}", f"Authorization: Bearer {SECRET}", f"X-A: {SECRET}", f"{SECRET}", f"{SECRET} {SECRET}: x",
                                    f"X-A: {SECRET}\x01"])
@pytest.mark.parametrize("stored", [True, False])
def test_fields_that_are_asked_about_are_shown_nowhere(site, header, stored):
    n = site("slab_cache_vary Cookie=sessionid;", headers=(*FRESH, "Vary: Cookie, X-A"), level="debug")
    n.get("/p", *([header] if stored and ": " in header and "\x01" not in header and header[0] in "CAX" else []))
    answer = n.get(f"/_cache/v1/zones/one/entry?url={quote('http://localhost/p', safe='')}&header={quote(header)}")
    assert answer.status in (200, 400) and SECRET not in f"{answer.lines} {answer.text}"
    # The lines of nginx itself name the request: the location's log is the operator's to switch off.
    said = [line for line in n.error_log().splitlines() if "slab_cache" in line and "request:" not in line and "http " not in line]
    assert SECRET not in "".join(said)


VARIES = [
    ("Cookie", "", f"Cookie: sessionid={SECRET}"),
    ("Cookie", "slab_cache_vary Cookie=sessionid;", f"Cookie: a=b; sessionid={SECRET}"),
    ("Authorization", "", f"Authorization: Bearer {SECRET}"),
    ("X-Api-Key", "", f"X-Api-Key: {SECRET}"),
    ("X-A, Accept-Encoding, Cookie", "", f"Cookie: {SECRET}={SECRET}"),
]


@pytest.mark.parametrize("vary, directives, header", VARIES)
def test_value_of_a_field_that_a_response_varies_on_is_shown_nowhere(site, vary, directives, header):
    n = site(directives, headers=(*FRESH, f"Vary: {vary}"), level="debug")
    answers = ask(n, header)
    assert shown_by(n, answers) == []
    assert [bool(HASH.search(k)) for k in keys(n)] == [True]


KEYS = [
    ("$scheme$host$uri$cookie_sessionid", f"Cookie: sessionid={SECRET}", r"httplocalhost/p#HASH"),
    ("$uri $http_cookie", f"Cookie: sessionid={SECRET}", r"/p\|#HASH"),
    ("u=$http_authorization,p=$uri", f"Authorization: Bearer {SECRET}", r"u=#HASH,p=/p"),
    ("${http_x_token}${uri}", f"X-Token: {SECRET}", r"#HASH/p"),
    ("$uri$mapped", f"Cookie: sessionid={SECRET}", r"/p#HASH"),
    ("$uri$set_by_hand", f"Cookie: sessionid={SECRET}", r"/p#HASH"),
    ("$uri $remote_user", f"Authorization: Basic {'dmVyeXNlY3JldHZhbHVlOnB3'}", r"/p\|#HASH"),
]


@pytest.mark.parametrize("key, header, text", KEYS)
def test_what_a_configured_key_takes_from_the_client_is_shown_nowhere(site, nginx, key, header, text):
    mapped = "map $cookie_sessionid $mapped { default $cookie_sessionid; }"
    n = site(f"slab_cache_key {key};", level="debug", server="set $set_by_hand $cookie_sessionid;",
             zone=f"slab_cache_zone zone=one:16m; {mapped}")
    answers = ask(n, header)
    assert shown_by(n, answers) == []
    pattern = re.compile(text.replace("HASH", "[0-9a-f]{8}"))
    assert [bool(pattern.fullmatch(k)) for k in keys(n)] == [True], keys(n)
    # One text for one object, whoever shows it.
    assert answers[0].header("X-Key") == keys(n)[0]
    assert keys(n)[0] in (n.prefix / "keys.log").read_text().split("\n")


def test_other_values_are_other_objects_and_other_hashes(site):
    n = site("slab_cache_key $uri$cookie_a;")
    shown = {n.get("/p", f"Cookie: a={v}").header("X-Key") for v in ("one", "two", "one")}
    assert len(shown) == 2
    assert n.get("/p", "Cookie: a=one").cache == "HIT" and n.get("/p", "Cookie: a=three").cache == "MISS"


def test_no_value_shows_as_nothing(site):
    n = site("slab_cache_key $uri|$cookie_a;")
    assert n.get("/p").header("X-Key") == "/p|"


@pytest.mark.parametrize("key, text", [("$scheme://$host$request_uri", "http://localhost/p?a=b"), ("$uri$is_args$args", "/p?a=b"),
                                       ("$request_method $arg_a", "GET|b"), ("literal", "literal")])
def test_what_the_url_says_is_shown(site, key, text):
    assert site(f"slab_cache_key {key};").get("/p?a=b").header("X-Key") == text


def test_set_by_one_digit_and_braces_are_read_as_nginx_reads_them(nginx, origin):
    origin.handle("*", lambda r: Reply("x", headers=FRESH))
    nginx.start(location=f"""
        location ~ ^/(x+)/(.*)$ {{
            slab_cache one; slab_cache_key "$1${{uri}}2"; add_header X-Key $slab_cache_key;
            proxy_pass http://{origin.address};
        }}""")
    assert re.fullmatch(r"#[0-9a-f]{8}/xx/y2", nginx.get("/xx/y").header("X-Key"))
    for key in ("$", "a$-b", "${uri", "${}", "$0", "${0}"):
        code, said = nginx.test_config(location=f"location / {{ slab_cache one; slab_cache_key '{key}'; }}")
        assert code == 1 and re.search(r"invalid variable name|closing bracket|unknown \"0\" variable", said), (key, said)


def test_cookie_that_is_stored_with_a_response_is_not_shown(site):
    n = site("slab_cache_set_cookie store;", headers=(*FRESH, f"Set-Cookie: sid={SECRET}; Path=/"))
    answers = ask(n)
    assert answers[-1].header("Set-Cookie") == f"sid={SECRET}; Path=/"      # replayed, as configured
    assert shown_by(n, answers) == []
    said = n.get("/_cache/v1/zones/one/entry?url=/p").text
    assert re.search(r"sid=#[0-9a-f]{8}; Path=/", said)


def test_what_a_push_says_of_a_request_is_not_shown(site):
    n = site()
    answer = n.request("/_cache/v1/zones/one/entry?url=http%3A%2F%2Flocalhost%2Fp&ttl=60", "PUT", body=b"x",
                       headers=("Vary: Cookie", f"X-Request-Cookie: sid={SECRET}"))
    assert answer.status == 201 and SECRET not in answer.text
    assert n.get("/p", f"Cookie: sid={SECRET}").cache == "HIT"
    assert shown_by(n, [answer]) == []
    assert re.fullmatch(r"http\|localhost\|/p\|cookie=#[0-9a-f]{8}", keys(n)[0])


def test_encodings_that_a_variant_is_for_are_shown(site):
    n = site(headers=(*FRESH, "Vary: Accept-Encoding"))
    n.get("/p", "Accept-Encoding: gzip, br")
    assert keys(n) == ["http|localhost|/p|accept-encoding=gzip+br"]
