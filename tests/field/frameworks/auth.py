"""An auth gateway: auth_request for every page, error_page 401 = @login, user and group in keys, satisfy any, the login page cached too."""
from harness.origin import Reply, request_header
from scripted import cookies, not_found, page, path_of, redirect
from site_walk import Framework
from steps import crowd, get, head, post, purge

ALICE, BOB, ROOT = "Cookie: portal=alice", "Cookie: portal=bob", "Cookie: portal=root"
GROUPS = {"alice": "users", "bob": "users", "root": "admins"}


def portal(site, request):
    path, user = path_of(request), cookies(request).get("portal")
    if path == "/verify":
        url = request_header(request, "X-Original-URL") or ""
        if user not in GROUPS:
            return Reply(b"", status=401, reason="Unauthorized")
        if "/staff/admin" in url and GROUPS[user] != "admins":
            return Reply(b"", status=403, reason="Forbidden")
        return Reply(b"",
                     headers=[("Remote-User", user), ("Remote-Groups", GROUPS[user]),
                              ("Set-Cookie", f"portal={user}; path=/; renewed")])
    if path == "/login":
        reply = page(site, request, text="please log in")
        reply.parts = [b"<h1>please log in</h1>\n" * 100]
        return reply
    if path == "/denied":
        return page(site, request, status=403, text="denied")
    if request.method == "POST":
        return redirect("/", ("Set-Cookie", "portal=alice; path=/"))
    return not_found(site, request)


def app(site, request):
    path = path_of(request)
    if request.method == "POST":
        site.version += 1
        return Reply("done\n", headers=[("Content-Type", "text/plain")])
    if path.endswith("/missing"):
        return not_found(site, request)
    if path.endswith("/own"):
        return page(site, request, ("Cache-Control", "private"), user=cookies(request).get("portal"))
    return page(site, request, user=request_header(request, "Remote-User") or "any",
                text=request_header(request, "Remote-Groups") or "")


FRAMEWORK = Framework(
    name="auth", origins={"portal": portal, "app": app}, host="app.example.com",
    steps=[
        get("front page as a stranger", "/"),
        get("front page as a stranger again", "/"),
        get("alice's front page", "/", ALICE),
        get("alice's front page again", "/", ALICE),
        get("front page as a stranger after alice", "/"),
        get("bob's front page", "/", BOB),
        get("front page with a bad cookie", "/", "Cookie: portal=eve"),
        get("another page as a stranger", "/wiki"),
        get("alice's other page", "/wiki", ALICE),
        get("another page as a stranger after alice", "/wiki"),
        get("alice's other page again", "/wiki", ALICE),
        get("with arguments as a stranger", "/wiki?page=2"),
        get("with arguments", "/wiki?page=2", ALICE),
        get("with arguments again", "/wiki?page=2", BOB),
        head("head as a stranger", "/wiki"),
        head("head", "/wiki", ALICE),
        get("without gzip", "/wiki", ALICE, "Accept-Encoding: identity"),
        get("part of a page as a stranger", "/wiki", "Range: bytes=0-9", may=(206,)),
        get("part of a page", "/wiki", ALICE, "Range: bytes=0-9", may=(206,)),
        get("with Authorization as a stranger", "/wiki", "Authorization: Basic eDp5"),
        get("alice's own page of the application", "/own", ALICE, fresh=True),
        get("bob's own page of the application", "/own", BOB, fresh=True),
        get("alice's part", "/me/inbox", ALICE),
        get("alice's part again", "/me/inbox", ALICE),
        get("bob's part", "/me/inbox", BOB),
        get("bob's part again", "/me/inbox", BOB),
        get("a stranger's part", "/me/inbox"),
        get("alice's part after the stranger", "/me/inbox", ALICE),
        get("staff as a stranger", "/staff/list"),
        get("staff", "/staff/list", ALICE),
        get("staff again", "/staff/list", BOB),
        get("staff as root", "/staff/list", ROOT),
        get("staff as a stranger after all", "/staff/list"),
        get("admins' page as root", "/staff/admin", ROOT),
        get("admins' page as root again", "/staff/admin", ROOT),
        get("admins' page as alice", "/staff/admin", ALICE),
        get("admins' page as a stranger", "/staff/admin"),
        get("office as a stranger", "/office/plan"),
        get("office", "/office/plan", ALICE),
        get("office as a stranger after alice", "/office/plan"),
        get("office again", "/office/plan", BOB),
        get("public page", "/public/x"),
        get("public page again", "/public/x"),
        get("missing page", "/missing", ALICE),
        get("missing page as a stranger", "/missing"),
        get("portal", "/_portal/login"),
        post("login", "/_portal/", body=b"user=alice"),
        get("the check's inner URL", "/_portal/verify"),
        post("write as a stranger", "/wiki"),
        get("page after a stranger's write", "/wiki", ALICE),
        post("write", "/wiki", ALICE),
        get("page after the write", "/wiki", ALICE),
        get("front page after the write", "/", ALICE),
        get("a stranger after the write", "/wiki"),
        purge("purge as a stranger", "/wiki?page=2", expect=None),
        get("page after a stranger's purge", "/wiki?page=2", ALICE),
        purge("purge", "/wiki?page=2", ALICE),
        get("page after its purge", "/wiki?page=2", ALICE),
        get("a stranger after the purge", "/wiki?page=2"),
        crowd("many at once", "/own", "Cookie: portal=%s"),
    ])
