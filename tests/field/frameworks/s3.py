"""A gateway to S3: variables in proxy_pass, errors mapped by error_page, private objects by X-Accel-Redirect into a cached location."""
from harness.origin import Reply, request_header
from scripted import cookies, file, path_of, redirect
from site_walk import Framework
from steps import crowd, get, head, post, purge

MEMBER = "Cookie: session=alice"
DAY = "Mon, 23 Nov 2026 08:49:37 GMT"
PICTURE, PRIVATE = "/photos/a.jpg", "/private/salary.pdf"


def s3(site, request):
    path, bucket = path_of(request), (request_header(request, "Host") or "").partition(".")[0]
    amazon = [("Server", "AmazonS3"), ("x-amz-id-2", "abc"), ("x-amz-request-id", "R1")]
    if path.startswith("/denied") or path == "/missing.jpg" or path == "/private-key.pem":
        status = 404 if "missing" in path else 403
        return Reply("<Error><Code>no</Code></Error>", status=status, reason="No",
                     headers=[*amazon, ("Content-Type", "application/xml")])
    if path == "/slow-down":
        return Reply("<Error><Code>SlowDown</Code></Error>", status=503, headers=[*amazon, ("Content-Type", "application/xml")])
    kind = "text/html" if path.endswith(".html") else "image/jpeg" if path.endswith(".jpg") else "application/octet-stream"
    return file(request, f"{bucket} {path} ".encode() * 500, *amazon, ("x-amz-version-id", "v1"), kind=kind, modified=DAY,
                tag=f'"{len(path)}-{bucket}"')


def app(site, request):
    path, user = path_of(request), cookies(request).get("session")
    if user is None:
        return redirect("/login", ("Cache-Control", "no-store"))
    return Reply(b"",
                 headers=[("X-Accel-Redirect", f"/_s3/staff-bucket{path.removeprefix('/private')}"),
                          ("Cache-Control", "no-store"),
                               ("Content-Disposition", f"attachment; filename={path.rpartition('/')[2]}"),
                               ("Content-Type", "application/pdf")])


FRAMEWORK = Framework(
    name="s3", origins={"s3": s3, "app": app}, files={"errors/502.html": b"<h1>bucket is away</h1>\n"},
    steps=[
        get("picture", PICTURE),
        get("picture again", PICTURE),
        get("another picture", "/photos/b.jpg"),
        get("picture with an argument", PICTURE + "?size=big"),
        get("picture with another argument", PICTURE + "?size=small"),
        get("picture for who takes no gzip", PICTURE, "Accept-Encoding: identity"),
        get("front page", "/"),
        get("front page again", "/"),
        get("folder's page", "/docs/"),
        get("folder's page again", "/docs/"),
        get("folder's page by its name", "/docs/index.html"),
        get("name with a space", "/photos/my%20cat.jpg"),
        get("name with a plus", "/photos/my+cat.jpg"),
        get("name with an escape", "/photos/a%2Fb.jpg"),
        head("head of a picture", PICTURE),
        head("head of a cold picture", "/photos/c.jpg"),
        get("that picture", "/photos/c.jpg"),
        get("part of a picture", PICTURE, "Range: bytes=10-19", may=(206,)),
        get("end of a picture", PICTURE, "Range: bytes=-10", may=(206,)),
        get("part beyond the end", PICTURE, "Range: bytes=999999-", may=(416,)),
        get("part of a cold picture", "/photos/d.jpg", "Range: bytes=0-9", may=(206,)),
        get("picture that the browser has", PICTURE, 'If-None-Match: "13-media-bucket"', may=(304,)),
        get("picture by its date", PICTURE, f"If-Modified-Since: {DAY}", may=(304,)),
        get("picture of which the browser has another", PICTURE, 'If-None-Match: "x"'),
        get("missing picture", "/missing.jpg"),
        get("missing picture again", "/missing.jpg"),
        get("denied picture", "/denied.jpg"),
        get("denied picture again", "/denied.jpg"),
        get("key", "/private-key.pem"),
        get("slow down", "/slow-down"),
        get("slow down again", "/slow-down"),
        post("upload", PICTURE),
        get("picture after the upload", PICTURE),
        get("picture with credentials", PICTURE, "Authorization: Bearer x"),
        get("picture with cookies", PICTURE, "Cookie: a=b"),
        get("private object as a stranger", PRIVATE, fresh=True),
        get("private object as member", PRIVATE, MEMBER),
        get("private object as member again", PRIVATE, MEMBER),
        get("private object as a stranger after the member", PRIVATE, fresh=True),
        get("part of the private object", PRIVATE, MEMBER, "Range: bytes=0-3", may=(206,)),
        get("the private object's inner URL", "/_s3/staff-bucket/salary.pdf"),
        get("public object of the same name", "/salary.pdf"),
        get("another private object", "/private/b.pdf", MEMBER),
        purge("purge of a picture", PICTURE),
        get("picture after its purge", PICTURE),
        get("another picture after the purge", "/photos/b.jpg"),
        purge("purge of a folder's page", "/docs/"),
        get("folder's page after its purge", "/docs/"),
        get("error page by its inner URL", "/_errors/502.html"),
        crowd("many at once", "/private/crowd.pdf", "Cookie: session=%s"),
    ])
