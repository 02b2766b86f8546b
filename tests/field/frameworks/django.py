"""Django under gunicorn: its own gzip and conditions, Vary: Cookie, CSRF, files by X-Accel-Redirect."""
from site_walk import Framework
from steps import get, head, post, purge

MEMBER = "Cookie: sessionid=alice; csrftoken=t1"
FORM = "Content-Type: application/x-www-form-urlencoded"
PLAIN = "Accept-Encoding: identity"

FRAMEWORK = Framework(
    name="django", server="gunicorn:django_site",
    files={"static/app.css": b"body { color: black }\n" * 100, "media/a.jpg": bytes(range(256)) * 20, "private/contract.pdf": b"%PDF secret\n" * 200,
           "private/brochure.pdf": b"%PDF for all\n" * 200, "public/robots.txt": b"User-agent: *\n", "static/500.html": b"<h1>sorry</h1>\n"},
    steps=[
        get("front page", "/"), get("front page again", "/"), get("article", "/articles/1/"), get("article again", "/articles/1/"), get("another article", "/articles/2/"),
        get("article without gzip", "/articles/1/", PLAIN), get("article without gzip again", "/articles/1/", PLAIN),
        get("article of who refuses codings", "/articles/1/", "Accept-Encoding: gzip;q=0"), get("article of who names no coding", "/articles/1/", "Accept-Encoding: identity"),
        get("cold article of who refuses codings", "/articles/5/", "Accept-Encoding: gzip;q=0"), get("that article of who names no coding", "/articles/5/", "Accept-Encoding: identity"),
        get("list, second page", "/articles/?page=2"), get("list, second page again", "/articles/?page=2"), get("list, third page", "/articles/?page=3"),
        head("head of an article", "/articles/1/"), head("head of a cold article", "/articles/11/"), get("that cold article", "/articles/11/"),
        get("article that the browser has", "/articles/2/", "If-None-Match: *", may=(304,)), get("part of an article", "/articles/2/", "Range: bytes=0-9", may=(206,)),
        get("without its slash", "/articles/1"), get("without its slash again", "/articles/1"), get("moved", "/moved/"), get("moved again", "/moved/"),
        get("not found", "/nothing/"), get("not found again", "/nothing/"), get("broken", "/broken/"), get("ticker", "/ticker/", fresh=True), get("ticker again", "/ticker/", fresh=True),
        get("style sheet", "/static/app.css"), get("style sheet again", "/static/app.css"), get("picture", "/media/a.jpg", "Range: bytes=10-19"),
        get("picture that the browser has", "/media/a.jpg", "If-Modified-Since: Tue, 24 Nov 2026 08:49:37 GMT"), get("robots.txt", "/robots.txt"),
        get("API", "/api/articles?format=json"), get("API again", "/api/articles?format=json"), get("API, next page", "/api/articles?format=json&page=2"),
        get("visitor with a cookie of analytics", "/articles/1/", "Cookie: _ga=1"), get("another visitor with such", "/articles/1/", "Cookie: _ga=2"),
        get("document as a stranger", "/documents/contract.pdf", fresh=True), get("document as member", "/documents/contract.pdf", MEMBER),
        get("document as a stranger after the member", "/documents/contract.pdf", fresh=True), get("document's inner URL", "/protected/contract.pdf"),
        get("part of the document", "/documents/contract.pdf", MEMBER, "Range: bytes=0-3", may=(206,)),
        get("brochure", "/brochure"), get("brochure again", "/brochure"), get("brochure without gzip", "/brochure", PLAIN),
        get("admin as a stranger", "/admin/", fresh=True), get("login form", "/admin/login/", fresh=True), get("admin as member", "/admin/", MEMBER, fresh=True),
        get("admin as a stranger again", "/admin/", fresh=True), get("member's article", "/articles/1/", MEMBER, fresh=True),
        get("member's cold article", "/articles/21/", MEMBER, fresh=True), get("stranger after the member", "/articles/21/"),
        post("form without its token", "/articles/1/", FORM, body=b"text=x"), get("article after that", "/articles/1/"),
        post("comment", "/articles/1/", FORM, MEMBER, body=b"text=x&csrfmiddlewaretoken=t1"), get("article after the comment", "/articles/1/"),
        get("another article after the comment", "/articles/2/"),
        purge("purge of an article", "/articles/2/"), get("article after its purge", "/articles/2/"), get("list is still there", "/articles/?page=2"),
        get("with a port that is none", "/articles/2/", host="www.example.com:81", nginx_errs=True), get("and without it again", "/articles/2/"),
    ])
