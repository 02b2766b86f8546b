"""A package mirror: slices with $slice_range in the key, indexes with validators, links rewritten on the way out."""
from harness.origin import Reply
from scripted import file, page, path_of, redirect
from site_walk import Framework
from steps import crowd, get, head, purge

DEB, OTHER = "/debian/pool/main/b/bash/bash_5.2_amd64.deb", "/debian/pool/main/z/zsh/zsh_5.9_amd64.deb"
WHEEL = "/pypi/packages/aa/bb/demo-1.0-py3-none-any.whl"
JSON = "Accept: application/vnd.pypi.simple.v1+json"
DAY = "Mon, 23 Nov 2026 08:49:37 GMT"


def big(name, size):
    line = f"{name} ".encode()
    return (line * (size // len(line) + 1))[:size]


FILES = {"bash": big("bash", 2_500_000), "zsh": big("zsh", 300_000), "demo": big("demo", 400_000)}


def deb(site, request):
    path = path_of(request)
    if "/pool/" in path:
        for name, data in FILES.items():
            if f"/{name}_" in path:
                return file(request, data, ("Cache-Control", "max-age=2592000"), kind="application/vnd.debian.binary-package",
                            modified=DAY)
        return Reply("no such package\n", status=404, headers=[("Content-Type", "text/plain")])
    if path.endswith("/InRelease"):
        return page(site, request, ("Cache-Control", "max-age=120"), ("Last-Modified", DAY), kind="text/plain", etag="r")
    if path.endswith("/Packages.xz"):
        return file(request, big("Packages", 50_000), ("Cache-Control", "max-age=120"), kind="application/x-xz", modified=DAY)
    return Reply("nothing\n", status=404)


def pypi(site, request):
    path = path_of(request)
    if path.startswith("/packages/"):
        return file(request, FILES["demo"], ("Cache-Control", "max-age=365000000, immutable, public"),
                    kind="application/octet-stream", modified=DAY)
    if path == "/simple/Demo/":
        return redirect("https://pypi.org/simple/demo/", ("Cache-Control", "max-age=600"), status=301)
    if path == "/simple/demo/":
        kind = "application/vnd.pypi.simple.v1+json" if any("simple.v1+json" in x for x in request.lines) else "text/html"
        return page(site, request, ("Cache-Control", "max-age=600, public"), ("Vary", "Accept, Accept-Encoding"),
                    ("X-PyPI-Last-Serial", "7"), kind=kind,
                    text="<a href='https://files.pythonhosted.org/packages/aa/bb/demo-1.0-py3-none-any.whl'>", etag="s")
    return Reply("nothing\n", status=404, headers=[("Content-Type", "text/plain")])


FRAMEWORK = Framework(
    name="mirror", origins={"deb": deb, "pypi": pypi}, files={"keys/archive.gpg": b"key" * 300},
    steps=[
        get("package in three slices", DEB),
        get("package in three slices again", DEB),
        get("part within a slice", DEB, "Range: bytes=100-199"),
        get("part across two slices", DEB, "Range: bytes=1048570-1048585"),
        get("the package's end", DEB, "Range: bytes=-10"),
        head("head of a package", DEB),
        get("part beyond the end", DEB, "Range: bytes=9000000-", may=(416,)),
        get("part of a cold package", OTHER, "Range: bytes=0-99"),
        get("part of a cold package again", OTHER, "Range: bytes=0-99"),
        get("all of it", OTHER),
        get("all of it again", OTHER),
        get("package that is there", OTHER, f"If-Modified-Since: {DAY}", may=(304,)),
        get("package behind doubled slashes", OTHER.replace("/main/", "//main/")),
        get("missing package", "/debian/pool/main/n/none_1.deb"),
        get("missing package again", "/debian/pool/main/n/none_1.deb"),
        get("release file", "/debian/dists/stable/InRelease"),
        get("release file again", "/debian/dists/stable/InRelease"),
        get("release file of another archive", "/debian-security/dists/stable/InRelease"),
        get("release file that is there", "/debian/dists/stable/InRelease", f"If-Modified-Since: {DAY}", may=(304,)),
        get("list of packages", "/debian/dists/stable/main/binary-amd64/Packages.xz"),
        get("list of packages again", "/debian/dists/stable/main/binary-amd64/Packages.xz"),
        get("rest of the list", "/debian/dists/stable/main/binary-amd64/Packages.xz", "Range: bytes=40000-"),
        get("missing list", "/debian/dists/none/Release"),
        get("index of a project", "/pypi/simple/demo/"),
        get("index of a project again", "/pypi/simple/demo/"),
        get("index as JSON", "/pypi/simple/demo/", JSON),
        get("index as JSON again", "/pypi/simple/demo/", JSON),
        get("index under another address", "/pypi/simple/demo/", host="mirror.lan:8080"),
        get("index for who takes no gzip", "/pypi/simple/demo/", "Accept-Encoding: identity"),
        get("index by another name", "/pypi/simple/Demo/"),
        get("index by another name again", "/pypi/simple/Demo/"),
        get("missing project", "/pypi/simple/none/"),
        get("wheel", WHEEL),
        get("wheel again", WHEEL),
        get("part of the wheel", WHEEL, "Range: bytes=5-9"),
        head("head of a cold wheel", WHEEL.replace("1.0", "2.0")),
        get("that wheel", WHEEL.replace("1.0", "2.0")),
        get("part of a cold wheel", WHEEL.replace("1.0", "3.0"), "Range: bytes=5-9"),
        get("that wheel whole", WHEEL.replace("1.0", "3.0")),
        get("wheel if it is the same", WHEEL, "Range: bytes=5-9", 'If-Range: "nothing"'),
        get("health", "/health"),
        get("key", "/keys/archive.gpg"),
        get("listing", "/keys/", expect=200),
        purge("purge of a release file", "/debian/dists/stable/InRelease"),
        get("release file after its purge", "/debian/dists/stable/InRelease"),
        purge("purge of a package", DEB),
        get("part of it after its purge", DEB, "Range: bytes=100-199"),
        purge("purge of an index", "/pypi/simple/demo/"),
        get("index after its purge", "/pypi/simple/demo/"),
        crowd("many at once", WHEEL.replace("1.0", "7.7"), "Cookie: s=%s"),
    ])
