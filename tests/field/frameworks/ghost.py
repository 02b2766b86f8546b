"""Ghost: `max-age=0` pages that the operator caches all the same, members by a cookie with a hyphen, Set-Cookie hidden."""
from scripted import cookies, file, not_found, page, path_of, redirect
from site_walk import Framework
from steps import crowd, get, head, post, purge

MEMBER = "Cookie: ghost_members_ssr=alice; ghost_members_ssr.sig=x"
EDITOR = "Cookie: ghost_admin_api_session=root"
PLAIN = "Accept-Encoding: identity"
CSS = "/assets/built/screen.css?v=abc"


def app(site, request):
    path, mine = path_of(request), cookies(request)
    user = mine.get("ghost_members_ssr") or mine.get("ghost_admin_api_session")
    express = [("X-Powered-By", "Express")]
    public = [*express, ("Cache-Control", "public, max-age=0")]
    if request.method in ("POST", "PUT"):
        site.version += 1
        return page(site, request, *express, ("X-Cache-Invalidate", "/*"), ("Cache-Control", "no-cache, private"),
                    kind="application/json")
    if path.startswith(("/assets/", "/public/")):
        if "missing" in path:
            return not_found(site, request, *public)
        return file(request, b"body { color: black }\n" * 100, ("Cache-Control", "public, max-age=31536000"),
                    kind="text/css; charset=UTF-8")
    if path.startswith("/ghost/"):
        private = [*express, ("Cache-Control", "no-cache, private, no-store, must-revalidate")]
        return page(site, request, *private, user=user or "nobody", etag="g" + str(user))
    if path.startswith("/members/"):
        return page(site, request, *express, ("Cache-Control", "no-cache, private"),
                    ("Set-Cookie", "ghost_members_ssr=alice; path=/; HttpOnly"), user=user or "nobody")
    if path == "/hello":
        return redirect("/hello/", *express, ("Cache-Control", "public, max-age=31536000"), status=301)
    if path == "/rss/":
        return page(site, request, *public, kind="application/rss+xml")
    if path.startswith("/missing"):
        return not_found(site, request, *express, ("Cache-Control", "private, no-cache"))
    return page(site, request, *express, ("Cache-Control", "private, no-cache" if user else "public, max-age=0"),
                ("Set-Cookie", f"visit={user or 1}; path=/"),
                user=user or "nobody", etag="p" + (user or ""))


FRAMEWORK = Framework(
    name="ghost", origins={"app": app}, files={"content/images/a.jpg": bytes(range(256)) * 20},
    steps=[
        get("front page", "/"),
        get("front page again", "/"),
        get("post", "/hello/"),
        get("post again", "/hello/"),
        get("another post", "/world/"),
        get("post without gzip", "/hello/", PLAIN),
        get("post of a wget", "/hello/", "Accept-Encoding: identity"),
        get("front page, second", "/page/2/"),
        get("front page, second, again", "/page/2/"),
        get("post with an argument", "/hello/?ref=x"),
        get("post with an argument again", "/hello/?ref=x"),
        get("preview", "/hello/?preview=1", fresh=True),
        get("preview again", "/hello/?preview=1", fresh=True),
        head("head of a post", "/hello/"),
        head("head of a cold post", "/cold/"),
        get("that post", "/cold/"),
        get("post that the browser has", "/hello/", 'If-None-Match: W/"p-1"'),
        get("part of a post", "/hello/", "Range: bytes=0-9", may=(206,)),
        get("without its slash", "/hello"),
        get("without its slash again", "/hello"),
        get("feed", "/rss/"),
        get("feed again", "/rss/"),
        get("not found", "/missing/"),
        get("not found again", "/missing/"),
        get("style sheet", CSS),
        get("style sheet again", CSS),
        get("style sheet without gzip", CSS, PLAIN),
        get("style sheet of another version", CSS.replace("abc", "def")),
        get("part of the style sheet", CSS, "Range: bytes=0-3", may=(206,)),
        get("missing style sheet", "/assets/missing.css"),
        get("missing style sheet again", "/assets/missing.css"),
        get("picture", "/content/images/a.jpg"),
        get("missing picture", "/content/images/b.jpg"),
        get("editor as a stranger", "/ghost/", fresh=True),
        get("editor", "/ghost/", EDITOR, fresh=True),
        get("editor as a stranger again", "/ghost/", fresh=True),
        get("members' API", "/members/api/member/", MEMBER, fresh=True),
        get("members' API as a stranger", "/members/api/member/", fresh=True),
        get("member's post", "/hello/", MEMBER, fresh=True),
        get("member's cold post", "/for-members/", MEMBER, fresh=True),
        get("stranger after the member", "/for-members/"),
        post("post is edited", "/ghost/api/admin/posts/1/", EDITOR),
        get("post after it was edited", "/hello/"),
        get("editor's view after it was edited", "/hello/", EDITOR, fresh=True),
        post("comment to its own URL", "/world/", MEMBER),
        get("that other post after the comment", "/world/"),
        get("front page after the comment", "/"),
        purge("purge of a post", "/hello/"),
        get("post after its purge", "/hello/"),
        get("post with an argument after the purge", "/hello/?ref=x"),
        get("second page is still there", "/page/2/"),
        purge("purge of the site", "/*"),
        get("second page after the purge", "/page/2/"),
        get("feed after the purge", "/rss/"),
        crowd("many at once", "/crowd/", "Cookie: ghost_members_ssr=%s"),
    ])
