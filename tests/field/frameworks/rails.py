"""Rails: public/ before a named location, `max-age=0, private, must-revalidate` with an ETag on every page, send_file."""
from harness.origin import Reply
from scripted import cookies, file, not_found, page, path_of, redirect
from site_walk import Framework
from steps import crowd, get, head, post, purge

MEMBER = "Cookie: _app_session=alice"
PLAIN = "Accept-Encoding: identity"
CSS = b"body { color: black }\n" * 100


def app(site, request):
    path, user = path_of(request), cookies(request).get("_app_session")
    rails = [("X-Request-Id", "r1"), ("X-Runtime", "0.012"), ("X-Frame-Options", "SAMEORIGIN"), ("Vary", "Accept")]
    private = [*rails, ("Cache-Control", "max-age=0, private, must-revalidate")]
    session = ("Set-Cookie", f"_app_session={user or 'new'}; path=/; HttpOnly; SameSite=Lax")
    if request.method in ("POST", "PATCH", "DELETE"):
        site.version += 1
        return redirect(path, *rails, session, ("Cache-Control", "no-cache"), status=303)
    if path.startswith("/assets/"):
        if "missing" in path:
            return not_found(site, request)
        return file(request, CSS, ("Cache-Control", "public, max-age=31536000"), kind="text/css", tag='"c1"',
                    modified="Mon, 23 Nov 2026 08:49:37 GMT")
    if path.startswith("/reports/"):
        if user is None:
            return redirect("/login", *private)
        return Reply(b"",
                     headers=[*rails, ("X-Accel-Redirect", "/__send_file/report.csv"), ("Content-Type", "text/csv"),
                              ("Cache-Control", "private"),
                                   ("Content-Disposition", 'attachment; filename="report.csv"')])
    if path == "/brochure":
        return Reply(b"", headers=[*rails, ("X-Accel-Redirect", "/__send_file/brochure.pdf"), ("Content-Type", "application/pdf"),
                                   ("Cache-Control", "max-age=600, public")])
    if path.startswith("/articles") or path == "/":
        return page(site, request, *rails,
                    ("Cache-Control", "max-age=300, public" if user is None else "max-age=0, private, must-revalidate"),
                    user=user or "nobody", etag="a" + (user or ""))
    if path == "/ticker":
        return page(site, request, *rails, ("Cache-Control", "max-age=0, must-revalidate, public"), etag="t")
    if path in ("/login", "/account", "/admin"):
        if path == "/login":
            return page(site, request, *private, session, etag="login")
        return page(site, request, *private, session, user=user, etag="acc" + user) if user else redirect("/login", *rails,
                                                                                                          ("Cache-Control",
                                                                                                           "no-cache"))
    if path == "/old":
        return redirect("/articles/1", *rails, ("Cache-Control", "max-age=600, public"), status=301)
    if path == "/broken":
        return Reply("boom", status=500, headers=rails)
    return not_found(site, request, *rails)


FRAMEWORK = Framework(
    name="rails", origins={"app": app},
    files={"public/robots.txt": b"User-agent: *\n", "public/packs/there.css": CSS,
           "public/docs/index.html": b"<h1>docs</h1>\n" * 100,
           "storage/report.csv": b"a,b\n1,2\n" * 300, "storage/brochure.pdf": b"%PDF\n" * 300,
           "public/500.html": b"<h1>sorry</h1>\n"},
    steps=[
        get("front page", "/"),
        get("front page again", "/"),
        get("article", "/articles/1"),
        get("article again", "/articles/1"),
        get("article as JSON", "/articles/1", "Accept: application/json"),
        get("article as JSON again", "/articles/1", "Accept: application/json"),
        get("article without gzip", "/articles/1", PLAIN),
        get("another article", "/articles/2"),
        get("articles, second page", "/articles?page=2"),
        get("articles, second page again", "/articles?page=2"),
        get("articles with an empty query", "/articles?"),
        get("articles", "/articles"),
        head("head of an article", "/articles/1"),
        head("head of a cold article", "/articles/11"),
        get("that article", "/articles/11"),
        get("article that the browser has", "/articles/2", 'If-None-Match: W/"a-1"', may=(304,)),
        get("article of which the browser has another", "/articles/2", 'If-None-Match: W/"a-0"'),
        get("ticker", "/ticker", fresh=True),
        get("ticker again", "/ticker", fresh=True),
        get("moved", "/old"),
        get("moved again", "/old"),
        get("not found", "/nothing"),
        get("not found again", "/nothing"),
        get("broken", "/broken"),
        get("broken again", "/broken"),
        get("a page below public", "/docs"),
        get("robots.txt", "/robots.txt"),
        get("asset that is there", "/packs/there.css", PLAIN),
        get("asset of the application", "/assets/app-1.css"),
        get("asset of the application again", "/assets/app-1.css"),
        get("asset of the application without gzip", "/assets/app-1.css", PLAIN),
        get("part of that asset", "/assets/app-1.css", "Range: bytes=0-9", may=(206,)),
        get("asset by its date", "/assets/app-1.css", "If-Modified-Since: Mon, 23 Nov 2026 08:49:37 GMT", may=(304,)),
        get("missing asset", "/assets/missing.css"),
        get("missing asset again", "/assets/missing.css"),
        get("report as a stranger", "/reports/1", fresh=True),
        get("report as member", "/reports/1", MEMBER),
        get("report as a stranger after the member", "/reports/1", fresh=True),
        get("brochure", "/brochure"),
        get("brochure again", "/brochure"),
        get("part of the brochure", "/brochure", "Range: bytes=0-3", may=(206,)),
        get("the brochure's inner URL", "/__send_file/brochure.pdf"),
        get("login", "/login", fresh=True),
        get("login again", "/login", fresh=True),
        get("account as a stranger", "/account", fresh=True),
        get("account as member", "/account", MEMBER, fresh=True),
        get("account as a stranger after the member", "/account", fresh=True),
        get("admin", "/admin", MEMBER, fresh=True),
        get("member's article", "/articles/1", MEMBER, fresh=True),
        get("member's cold article", "/articles/21", MEMBER, fresh=True),
        get("stranger after the member", "/articles/21"),
        post("comment", "/articles/1", MEMBER),
        get("article after the comment", "/articles/1"),
        get("another article after the comment", "/articles/2"),
        post("form elsewhere", "/comments", MEMBER),
        get("another article after that", "/articles/2"),
        purge("purge of an article", "/articles/2"),
        get("article after its purge", "/articles/2"),
        get("front page is still there", "/"),
        get("on the other host", "/articles/2", host="example.com"),
        purge("purge of an asset", "/assets/app-1.css"),
        get("that asset", "/assets/app-1.css"),
        crowd("many at once", "/articles/77", "Cookie: _app_session=%s"),
    ])
