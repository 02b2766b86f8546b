"""Mastodon: a named location with the cache behind try_files, tokens, ActivityPub by Accept, answers that only validators allow to keep."""
from harness.origin import Reply, request_header
from scripted import cookies, not_found, page, path_of, redirect
from site_walk import Framework
from steps import crowd, get, head, post, purge

MEMBER = "Cookie: _mastodon_session=alice; _session_id=1"
TOKEN = "Authorization: Bearer alice"
PLAIN = "Accept-Encoding: identity"
ACTIVITY = "Accept: application/activity+json"


def app(site, request):
    path, user = path_of(request), cookies(request).get("_mastodon_session")
    token = request_header(request, "Authorization")
    security = [("Server", "Mastodon"), ("X-Frame-Options", "DENY"), ("Referrer-Policy", "same-origin")]
    private = [*security, ("Cache-Control", "private, no-store")]
    if request.method in ("POST", "DELETE"):
        site.version += 1
        return page(site, request, *private, user=token or user, kind="application/json")
    if path == "/gone":
        return page(site, request, *security, status=410)
    if path == "/about/more":
        return redirect("/about", ("Cache-Control", "max-age=180, public"))
    if path.startswith("/api/"):
        if path == "/api/v1/timelines/home":
            if token is None:
                return Reply(b'{"error":"This method requires an authenticated user"}', status=401, reason="Unauthorized",
                             headers=private)
            return page(site, request, *private, user=token, kind="application/json")
        return page(site, request, *security, ("Cache-Control", "private, no-store" if token else "public, max-age=60"),
                    ("Vary", "Authorization, Origin"), user=token or "nobody", kind="application/json", etag="i")
    if path in ("/", "/about") or path.startswith("/@") or path.startswith("/explore"):
        if "missing" in path:
            return not_found(site, request, *private)
        if user:
            return page(site, request, *private, user=user)
        if "activity" in (request_header(request, "Accept") or ""):
            return page(site, request, *security, ("Cache-Control", "max-age=180, public"),
                        ("Vary", "Accept, Accept-Language, Cookie"), kind="application/activity+json")
        return page(site, request, *security,
                    ("Cache-Control", "max-age=60, public, stale-while-revalidate=30, stale-if-error=86400"),
                    ("Vary", "Accept, Accept-Language, Cookie"), ("Link", "</packs/a.css>; rel=preload"))
    if path.startswith(("/settings", "/admin")):
        return page(site, request, *private, user=user) if user else redirect("/auth/sign_in", *private)
    if path == "/auth/sign_in":
        return page(site, request, ("Cache-Control", "max-age=0, private, must-revalidate"),
                    ("Set-Cookie", "_mastodon_session=new; path=/; HttpOnly"), etag="signin")
    return not_found(site, request, *private)


def streaming(site, request):
    return Reply("OK", headers=[("Content-Type", "text/plain"), ("Cache-Control", "no-store")])


FRAMEWORK = Framework(
    name="mastodon", origins={"app": app, "streaming": streaming},
    files={"public/packs/a.css": b"body { color: black }\n" * 100, "public/system/a.png": bytes(range(256)) * 20,
           "public/sw.js": b"self;\n" * 300,
           "public/500.html": b"<h1>something went wrong</h1>\n", "public/robots.txt": b"User-agent: *\n"},
    steps=[
        get("front page", "/"),
        get("front page again", "/"),
        get("profile", "/@bob"),
        get("profile again", "/@bob"),
        get("another profile", "/@carol"),
        get("profile for another server", "/@bob", ACTIVITY),
        get("profile for another server again", "/@bob", ACTIVITY),
        get("profile for people after that", "/@bob"),
        get("profile in German", "/@bob", "Accept-Language: de"),
        get("profile in German again", "/@bob", "Accept-Language: de"),
        get("profile without gzip", "/@bob", PLAIN),
        get("profile, next page", "/@bob?max_id=7"),
        get("profile, next page again", "/@bob?max_id=7"),
        head("head of a profile", "/@bob"),
        head("head of a cold profile", "/@dave"),
        get("redirect", "/about/more"),
        get("redirect again", "/about/more"),
        get("not found", "/@missing"),
        get("not found again", "/@missing"),
        get("no such page", "/nothing"),
        get("gone", "/gone"),
        get("gone again", "/gone"),
        get("style sheet", "/packs/a.css", PLAIN),
        get("worker script", "/sw.js"),
        get("missing script", "/packs/none.js"),
        get("upload", "/system/a.png"),
        get("part of an upload", "/system/a.png", "Range: bytes=0-9"),
        get("robots.txt", "/robots.txt"),
        get("public API", "/api/v1/instance"),
        get("public API again", "/api/v1/instance"),
        get("public API with a token", "/api/v1/instance", TOKEN, fresh=True),
        get("public API without a token again", "/api/v1/instance"),
        get("home timeline as a stranger", "/api/v1/timelines/home", fresh=True),
        get("home timeline", "/api/v1/timelines/home", TOKEN, fresh=True),
        get("home timeline of another", "/api/v1/timelines/home", "Authorization: Bearer eve", fresh=True),
        get("home timeline as a stranger again", "/api/v1/timelines/home", fresh=True),
        get("sign in", "/auth/sign_in", fresh=True),
        get("sign in again", "/auth/sign_in", fresh=True),
        get("settings as a stranger", "/settings/profile", fresh=True),
        get("settings as member", "/settings/profile", MEMBER, fresh=True),
        get("settings as a stranger after the member", "/settings/profile", fresh=True),
        get("member's profile page", "/@bob", MEMBER, fresh=True),
        get("profile after the member's", "/@bob"),
        get("streaming is healthy", "/api/v1/streaming/health"),
        post("post", "/api/v1/statuses", TOKEN),
        get("profile after the post", "/@bob"),
        post("post to its own URL", "/@bob", TOKEN),
        get("profile after that", "/@bob"),
        get("another profile after that", "/@carol"),
        purge("purge of a profile", "/@carol"),
        get("that profile", "/@carol"),
        get("the first profile is still there", "/@bob", ACTIVITY),
        crowd("many at once", "/@crowd", "Cookie: _mastodon_session=%s"),
    ])
