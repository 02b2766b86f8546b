"""Nginx Proxy Manager's layout: variables in proxy_pass, an assets location that comes before an access list, several hosts."""
from scripted import cookies, file, not_found, page, path_of, redirect
from site_walk import Framework
from steps import crowd, get, head, post, purge

CLOUD, PHOTOS, ALBUM = "cloud.example.com", "photos.example.com", "album.example.com"
MEMBER = "Cookie: nc_session_id=alice"
PLAIN = "Accept-Encoding: identity"
DAY = "Mon, 23 Nov 2026 08:49:37 GMT"


def backend(name):
    def function(site, request):
        path, user = path_of(request), cookies(request).get("nc_session_id")
        if request.method in ("POST", "PUT"):
            site.version += 1
            return page(site, request, user=user or "nobody", text=name)
        if "missing" in path:
            return not_found(site, request)
        if "broken" in path:
            return page(site, request, status=503)
        if path.endswith((".css", ".js", ".png")):
            text = f"{name} {request.target} ".encode() * 100
            return file(request, text, ("Cache-Control", "no-cache"), ("Set-Cookie", "visit=1"),
                        kind="text/css" if path.endswith("css") else "image/png", modified=DAY,
                        tag=f'"{name}-{len(text)}"')
        if path == "/files":
            return page(site, request, user=user, text=name) if user else redirect("/login")
        return page(site, request, ("Cache-Control", "no-store"), ("Set-Cookie", "nc_session_id=new; path=/"),
                    user=user or "nobody", text=name)
    return function


FRAMEWORK = Framework(
    name="npm", origins={name: backend(name) for name in ("cloud", "photos", "api")}, host=CLOUD,
    files={"htpasswd": b"alice:{PLAIN}secret\n"},
    steps=[
        get("front page", "/", fresh=True),
        get("front page again", "/", fresh=True),
        get("style sheet", "/core/a.css"),
        get("style sheet again", "/core/a.css"),
        get("style sheet with its version", "/core/a.css?v=1"),
        get("style sheet with another version", "/core/a.css?v=2"),
        get("style sheet with its version again", "/core/a.css?v=1"),
        get("style sheet without gzip", "/core/a.css", PLAIN),
        get("style sheet of the photos", "/core/a.css", host=PHOTOS),
        get("style sheet of the photos again", "/core/a.css", host=PHOTOS),
        get("style sheet of the cloud after that", "/core/a.css"),
        get("style sheet under the album's name", "/core/a.css", host=ALBUM),
        get("script", "/core/a.js"),
        get("picture", "/core/a.png"),
        get("name with capitals", "/core/A.PNG"),
        get("name with a space", "/core/my%20a.png"),
        get("name with an escape", "/core/a%2Fb.png"),
        get("doubled slash", "/core//a.png"),
        head("head of a picture", "/core/a.png"),
        head("head of a cold picture", "/core/c.png"),
        get("that picture", "/core/c.png"),
        get("part of a picture", "/core/a.png", "Range: bytes=0-9", may=(206,)),
        get("picture that the browser has", "/core/a.png", 'If-None-Match: "cloud-1600"', may=(304,)),
        get("picture by its date", "/core/a.png", f"If-Modified-Since: {DAY}", may=(200,)),
        get("missing picture", "/core/missing.png"),
        get("missing picture again", "/core/missing.png"),
        get("broken picture", "/core/broken.png"),
        get("broken picture again", "/core/broken.png"),
        get("without the cache", "/core/a.css?nocache=1", fresh=True),
        get("without the cache, again", "/core/a.css?nocache=1"),
        get("without the cache by a cookie", "/core/a.css", "Cookie: nocache=1"),
        get("style sheet for a member", "/core/a.css", MEMBER),
        get("exploit", "/core/a.css?x=union+select(1)"),
        get("another exploit", "/?a=http://evil"),
        get("page that is missing", "/missing"),
        get("files as a stranger", "/files", fresh=True),
        get("files as member", "/files", MEMBER, fresh=True),
        get("files as a stranger again", "/files", fresh=True),
        get("upgrade", "/socket", "Upgrade: websocket", "Connection: Upgrade", fresh=True),
        post("upload", "/files", MEMBER),
        post("upload of a picture", "/core/a.png", MEMBER),
        get("picture after its upload", "/core/a.png"),
        get("style sheet after that", "/core/a.css"),
        get("private page of the photos", "/private/x", host=PHOTOS),
        get("private page with credentials", "/private/x", "Authorization: Basic YWxpY2U6c2VjcmV0", host=PHOTOS, fresh=True),
        get("private page after that", "/private/x", host=PHOTOS),
        get("API", "/api/x", host=PHOTOS, fresh=True),
        get("API's picture", "/api/x.png", host=PHOTOS),
        purge("purge of a style sheet", "/core/a.css"),
        get("style sheet after its purge", "/core/a.css"),
        get("style sheet of the photos after it", "/core/a.css", host=PHOTOS),
        purge("purge of a version", "/core/a.css?v=1"),
        get("that version", "/core/a.css?v=1"),
        get("the other version", "/core/a.css?v=2"),
        crowd("many at once", "/files", "Cookie: nc_session_id=%s"),
    ])
