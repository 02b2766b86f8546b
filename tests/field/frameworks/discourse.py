"""Discourse: nested regular expressions, cached avatars, uploads and backups by X-Accel-Redirect, a long poll that is not cached."""
from harness.origin import Reply
from scripted import cookies, not_found, page, path_of, redirect
from site_walk import Framework
from steps import crowd, get, head, post, purge

MEMBER = "Cookie: _t=alice; _forum_session=f1"
PLAIN = "Accept-Encoding: identity"
AVATAR = "/user_avatar/www.example.com/alice/48/1_2.png"
DOWNLOAD = "/uploads/short-url/abc.pdf"
BACKUP = "/admin/backups/2026.tar.gz"


def app(site, request):
    path, user = path_of(request), cookies(request).get("_t")
    plain = [("X-Discourse-Route", "x/y"), ("X-Frame-Options", "SAMEORIGIN")]
    private = [*plain, ("Cache-Control", "no-cache, no-store"), ("Set-Cookie", "_forum_session=f2; path=/; HttpOnly")]
    if request.method == "POST":
        site.version += 1
        return page(site, request, *private, kind="application/json")
    if path.startswith(("/user_avatar", "/letter_avatar", "/stylesheets", "/svg-sprite")):
        if "missing" in path:
            return not_found(site, request, *plain, ("Cache-Control", "no-cache, no-store"))
        if "moved" in path:
            return redirect("/user_avatar/x.png", ("Cache-Control", "max-age=3600"))
        return page(site, request, ("Cache-Control", "public, max-age=31556952, immutable"),
                    ("Set-Cookie", f"_forum_session={user}; path=/"),
                    ("X-Discourse-Username", user or "-"), kind="image/png")
    if path == DOWNLOAD:
        return Reply(b"", headers=[*plain, ("X-Accel-Redirect", "/downloads/files/abc.pdf"), ("Content-Type", "application/pdf"),
                                   ("Content-Disposition", 'attachment; filename="abc.pdf"'),
                                   ("Cache-Control", "max-age=3600, public")])
    if path == BACKUP:
        if user is None:
            return not_found(site, request, *private)
        return Reply(b"",
                     headers=[*plain, ("X-Accel-Redirect", "/downloads/files/2026.tar.gz"), ("Content-Type", "application/gzip"),
                                   ("Cache-Control", "no-cache, no-store")])
    if path.startswith("/message-bus/"):
        return page(site, request, *private, kind="application/json", framing="chunked")
    if path.startswith(("/t/secret", "/admin", "/my")) and user is None:
        return not_found(site, request, *private)
    if path.startswith(("/t/", "/latest", "/categories")) or path == "/":
        return page(site, request, *private[:2], ("Cache-Control", "no-cache, no-store" if user else "public, max-age=60"),
                    user=user or "nobody")
    return not_found(site, request, *private)


FRAMEWORK = Framework(
    name="discourse", origins={"app": app},
    files={"assets/app.js": b"var Discourse = {};\n" * 100, "uploads/default/a.png": bytes(range(256)) * 20,
           "files/abc.pdf": b"%PDF\n" * 300,
           "files/2026.tar.gz": b"\x1f\x8b everything" * 300, "fonts/a.woff2": b"wOF2" * 400, "robots.txt": b"User-agent: *\n"},
    steps=[
        get("front page", "/"),
        get("front page again", "/"),
        get("topic", "/t/hello/1"),
        get("topic again", "/t/hello/1"),
        get("another topic", "/t/world/2"),
        get("topic as JSON", "/t/hello/1", "Accept: application/json"),
        get("topic as JSON again", "/t/hello/1", "Accept: application/json"),
        get("topic without gzip", "/t/hello/1", PLAIN),
        get("latest, second page", "/latest?page=2"),
        get("latest, second page again", "/latest?page=2"),
        get("latest, third page", "/latest?page=3"),
        head("head of a topic", "/t/hello/1"),
        head("head of a cold topic", "/t/cold/7"),
        get("avatar", AVATAR),
        get("avatar again", AVATAR),
        get("avatar for a member", AVATAR, MEMBER),
        get("another avatar", AVATAR.replace("alice", "bob")),
        get("part of an avatar", AVATAR, "Range: bytes=0-9", may=(206,)),
        get("missing avatar", "/user_avatar/missing.png"),
        get("missing avatar again", "/user_avatar/missing.png"),
        get("moved avatar", "/letter_avatar/moved.png"),
        get("moved avatar again", "/letter_avatar/moved.png"),
        get("style sheet", "/stylesheets/desktop_1.css?__ws=x"),
        get("style sheet again", "/stylesheets/desktop_1.css?__ws=x"),
        get("script", "/assets/app.js", PLAIN),
        get("font", "/fonts/a.woff2"),
        get("missing script", "/assets/none.js"),
        get("robots.txt", "/robots.txt"),
        get("upload", "/uploads/default/a.png"),
        get("part of an upload", "/uploads/default/a.png", "Range: bytes=5-"),
        get("missing upload", "/uploads/default/b.png"),
        get("download", DOWNLOAD),
        get("download again", DOWNLOAD),
        get("part of the download", DOWNLOAD, "Range: bytes=0-3", may=(206,)),
        get("the download's inner URL", "/downloads/files/abc.pdf"),
        get("backup as a stranger", BACKUP, fresh=True),
        get("backup as admin", BACKUP, MEMBER),
        get("backup as a stranger after the admin", BACKUP, fresh=True),
        get("part of the backup", BACKUP, MEMBER, "Range: bytes=1-5", may=(206,)),
        get("poll", "/message-bus/1/poll", fresh=True),
        get("poll again", "/message-bus/1/poll", fresh=True),
        get("secret topic as a stranger", "/t/secret/5", fresh=True),
        get("secret topic as member", "/t/secret/5", MEMBER, fresh=True),
        get("secret topic as a stranger after the member", "/t/secret/5", fresh=True),
        get("member's topic", "/t/hello/1", MEMBER, fresh=True),
        get("topic after the member's", "/t/hello/1"),
        post("reply", "/posts", MEMBER),
        post("reply to its own URL", "/t/hello/1", MEMBER),
        get("topic after the reply", "/t/hello/1"),
        get("another topic after the reply", "/t/world/2"),
        purge("purge of an avatar", AVATAR),
        get("that avatar", AVATAR),
        purge("purge of a topic", "/t/world/2"),
        get("that topic", "/t/world/2"),
        get("robot that is not welcome", "/t/world/2", "User-Agent: Sogou"),
        crowd("many at once", "/t/crowd/77", "Cookie: _t=%s"),
    ])
