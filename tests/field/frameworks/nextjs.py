"""Next.js: s-maxage with stale-while-revalidate, the same URL as page and as component payload, images by Accept."""
from harness.origin import Reply, request_header
from scripted import cookies, file, not_found, page, path_of, redirect
from site_walk import Framework
from steps import crowd, get, head, post, purge

MEMBER = "Cookie: next-auth.session-token=alice"
PLAIN = "Accept-Encoding: identity"
RSC = "RSC: 1"
IMAGE = "/_next/image?url=%2Fa.jpg&w=640&q=75"
CHUNK = "/_next/static/chunks/main-abc.js"


def app(site, request):
    path, user = path_of(request), cookies(request).get("next-auth.session-token")
    powered = [("X-Powered-By", "Next.js")]
    private = [*powered, ("Cache-Control", "private, no-cache, no-store, max-age=0, must-revalidate")]
    vary = ("Vary", "RSC, Next-Router-State-Tree, Next-Router-Prefetch, Accept-Encoding")
    if request.method == "POST":
        site.version += 1
        return page(site, request, *private, vary, kind="text/x-component", user=user or "nobody")
    if path.startswith("/_next/static"):
        if "missing" in path:
            return not_found(site, request, *private)
        return file(request, b"self.webpack = [];\n" * 200, ("Cache-Control", "public, max-age=31536000, immutable"),
                    kind="application/javascript; charset=UTF-8",
                    modified="Mon, 23 Nov 2026 08:49:37 GMT")
    if path.startswith("/static"):
        return file(request, b"logo" * 500, ("Cache-Control", "public, max-age=0"), kind="image/svg+xml")
    if path == "/_next/image":
        kind = "image/webp" if "webp" in (request_header(request, "Accept") or "") else "image/jpeg"
        return page(site, request, ("Cache-Control", "public, max-age=60, must-revalidate"), ("Vary", "Accept"),
                    ("X-Nextjs-Cache", "HIT"), kind=kind, text=kind, etag="i" + kind[6:])
    if path.startswith("/api/"):
        return page(site, request, kind="application/json", user=user or "nobody")
    if path == "/dashboard":
        return page(site, request, *private, vary, user=user) if user else redirect("/login?next=%2Fdashboard", *private,
                                                                                    status=307)
    if path == "/login":
        return page(site, request, *private, ("Set-Cookie", "next-auth.csrf-token=x; Path=/; HttpOnly"))
    if path == "/old":
        return redirect("/blog/1", ("Cache-Control", "s-maxage=300"), status=308)
    if path in ("/", "/blog") or path.startswith("/blog/"):
        kind = "text/x-component" if request_header(request, "RSC") else "text/html; charset=utf-8"
        if path == "/blog/missing":
            return not_found(site, request, *private, vary)
        return page(site, request, *powered, ("Cache-Control", "s-maxage=300, stale-while-revalidate=31535700"), vary,
                    ("X-Nextjs-Cache", "HIT"), kind=kind, text=kind, etag="p" + kind[5:9])
    if path == "/socket":
        return Reply("no socket here", status=400, headers=private, reason="Bad Request")
    return not_found(site, request, *private, vary)


FRAMEWORK = Framework(
    name="nextjs", origins={"app": app},
    steps=[
        get("front page", "/"),
        get("front page again", "/"),
        get("post", "/blog/1"),
        get("post again", "/blog/1"),
        get("another post", "/blog/2"),
        get("post without gzip", "/blog/1", PLAIN),
        get("post without gzip again", "/blog/1", PLAIN),
        get("post with other codings", "/blog/1", "Accept-Encoding: gzip, deflate, br"),
        get("post's payload", "/blog/1", RSC),
        get("post's payload again", "/blog/1", RSC),
        get("post for people after that", "/blog/1"),
        get("payload with its argument", "/blog/1?_rsc=abc", RSC),
        get("payload with its argument again", "/blog/1?_rsc=abc", RSC),
        head("head of a post", "/blog/1"),
        head("head of a cold post", "/blog/11"),
        get("that post", "/blog/11"),
        get("post that the browser has", "/blog/2", 'If-None-Match: W/"phtml-1"'),
        get("part of a post", "/blog/2", "Range: bytes=0-9", may=(206,)),
        get("chunk", CHUNK),
        get("chunk again", CHUNK),
        get("chunk without gzip", CHUNK, PLAIN),
        get("part of the chunk", CHUNK, "Range: bytes=3-8", may=(206,)),
        get("chunk that the browser has", CHUNK, "If-Modified-Since: Mon, 23 Nov 2026 08:49:37 GMT"),
        head("head of the chunk", CHUNK),
        get("missing chunk", CHUNK.replace("main", "missing")),
        get("missing chunk again", CHUNK.replace("main", "missing")),
        get("picture", IMAGE, "Accept: image/webp,*/*"),
        get("picture again", IMAGE, "Accept: image/webp,*/*"),
        get("picture for an old browser", IMAGE, "Accept: image/png"),
        get("picture for an old browser again", IMAGE, "Accept: image/png"),
        get("another width", IMAGE.replace("640", "750"), "Accept: image/webp,*/*"),
        get("logo", "/static/logo.svg"),
        get("logo again", "/static/logo.svg"),
        get("moved", "/old"),
        get("moved again", "/old"),
        get("not found", "/blog/missing"),
        get("not found again", "/blog/missing"),
        get("API", "/api/hello", fresh=True),
        get("API again", "/api/hello", fresh=True),
        get("upgrade to a WebSocket", "/socket", "Upgrade: websocket", "Connection: Upgrade"),
        get("upgrade to HTTP/2", "/blog/2", "Upgrade: h2c", "Connection: Upgrade"),
        get("login form", "/login", fresh=True),
        get("dashboard as a stranger", "/dashboard", fresh=True),
        get("dashboard as member", "/dashboard", MEMBER, fresh=True),
        get("dashboard as a stranger after the member", "/dashboard", fresh=True),
        get("member's post", "/blog/1", MEMBER),
        post("server action", "/blog/1", MEMBER, "Next-Action: abc"),
        get("post after the action", "/blog/1"),
        get("another post after the action", "/blog/2"),
        get("on another host", "/blog/2", host="shop.example.com"),
        get("on another host again", "/blog/2", host="shop.example.com"),
        purge("purge of a post", "/blog/2"),
        get("post after its purge", "/blog/2"),
        get("other host after the purge", "/blog/2", host="shop.example.com"),
        purge("purge of a chunk", CHUNK),
        get("that chunk", CHUNK),
        crowd("many at once", "/dashboard", "Cookie: next-auth.session-token=%s"),
    ])
