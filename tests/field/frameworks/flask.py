"""Flask under uWSGI: uwsgi_cache without a named location, gzip by nginx, a stream without a length."""
from site_walk import Framework
from steps import Step, get, head, post, purge

MEMBER = "Cookie: session=alice"
TOKEN = "Authorization: Bearer alice"
PLAIN = "Accept-Encoding: identity"

FRAMEWORK = Framework(
    name="flask", server="uwsgi:flask_site",
    files={"static/app.css": b"body { color: black }\n" * 100, "static/favicon.ico": b"icon" * 300, "files/free.zip": b"PK free" * 300,
           "files/paid.zip": b"PK paid" * 300},
    steps=[
        get("front page", "/"), get("front page again", "/"), get("article", "/articles/1"), get("article again", "/articles/1"), get("another article", "/articles/2"),
        get("article without gzip", "/articles/1", PLAIN), get("article without gzip again", "/articles/1", PLAIN), get("article with brotli", "/articles/1", "Accept-Encoding: br"),
        get("list, second page", "/articles?page=2"), get("list, second page again", "/articles?page=2"), get("list, third page", "/articles?page=3"),
        get("page in German", "/lang/page", "Accept-Language: de"), get("page in German again", "/lang/page", "Accept-Language: de"),
        get("page in English", "/lang/page", "Accept-Language: en"), get("page in English again", "/lang/page", "Accept-Language: en"),
        head("head of an article", "/articles/1"), head("head of a cold article", "/articles/11"), get("that article", "/articles/11"),
        get("article that the browser has", "/articles/1", 'If-None-Match: "1-1"', may=(304,)), get("article of which the browser has another", "/articles/1", 'If-None-Match: "0-0"'),
        get("part of an article", "/articles/1", "Range: bytes=0-9", may=(206,)), get("export", "/stream"), get("export again", "/stream"),
        get("export without gzip", "/stream", PLAIN), get("part of the export", "/stream", "Range: bytes=-7", may=(206,)),
        get("moved", "/moved"), get("moved again", "/moved"), get("not found", "/nothing"), get("not found again", "/nothing"), get("page that opens a session", "/flash"),
        get("page that opens a session again", "/flash"), get("style sheet", "/static/app.css"), get("icon", "/favicon.ico"),
        get("login form", "/login", fresh=True), get("account as a stranger", "/account", fresh=True), get("account as member", "/account", MEMBER, fresh=True),
        get("account as a stranger after the member", "/account", fresh=True), get("member's front page", "/", MEMBER, fresh=True),
        get("member's cold article", "/articles/21", MEMBER, fresh=True), get("stranger after the member", "/articles/21"), get("API", "/api/items?n=1"),
        get("API again", "/api/items?n=1"), get("API with a token", "/api/items?n=1", TOKEN, fresh=True), get("API without a token again", "/api/items?n=1"),
        get("free download", "/download/free.zip"), get("free download again", "/download/free.zip"), get("part of the free download", "/download/free.zip", "Range: bytes=0-3", may=(206,)),
        get("paid download as a stranger", "/download/paid.zip", fresh=True), get("paid download as member", "/download/paid.zip", MEMBER),
        get("paid download as a stranger after the member", "/download/paid.zip", fresh=True), get("the download's inner URL", "/files/paid.zip"),
        post("change", "/articles/1", MEMBER), get("article after the change", "/articles/1"), get("another article after the change", "/articles/2"),
        Step("delete", "/articles/2", "DELETE", (MEMBER,)), get("article after it was deleted", "/articles/2"), get("front page after that", "/"),
        purge("purge of the list", "/articles?page=2"), get("list after its purge", "/articles?page=2"), get("third page is still there", "/articles?page=3"),
        purge("purge of all below", "/articles/*"), get("article after the purge", "/articles/11"),
    ])
