"""HLS: play lists that change, segments that do not, secure_link before the cache, slices of a film."""
import base64
import hashlib

from harness.origin import Reply
from scripted import file, page, path_of
from site_walk import Framework
from steps import Step, crowd, get, head, post, purge

LIST, MASTER, SEGMENT = "/live/1/index.m3u8", "/live/master.m3u8", "/live/1/seg-100.ts"
FILM, PAID = "/download/film.mp4", "/paid/film-1.mp4"


def signed(path, expires="4102444800"):
    digest = base64.urlsafe_b64encode(hashlib.md5(f"{expires}{path} secret".encode()).digest()).decode().rstrip("=")
    return f"{path}?md5={digest}&expires={expires}"


def big(name, size):
    return (name.encode() * (size // len(name) + 1))[:size]


def packager(site, request):
    path = path_of(request)
    if request.method == "POST":
        site.version += 1
        return Reply(b"", status=204)
    if path.endswith((".m3u8", ".mpd")):
        if "missing" in path:
            return Reply("no such stream\n", status=404)
        kind = "application/vnd.apple.mpegurl" if path.endswith("m3u8") else "application/dash+xml"
        reply = page(site, request, ("Cache-Control", "max-age=6"), kind=kind)
        reply.parts = [f"#EXTM3U {path}\n[[version {site.version}]]\n".encode() + b"#EXTINF:6,\nseg.ts\n" * 100]
        return reply
    if path.endswith((".ts", ".m4s")):
        if "missing" in path:
            return Reply("expired\n", status=404)
        return file(request, big(path, 90_000), ("Cache-Control", "max-age=3600"), ("Vary", "Origin"), kind="video/mp2t")
    if path in (FILM, PAID):
        return file(request, big(path, 700_000), kind="video/mp4")
    return Reply("nothing\n", status=404)


FRAMEWORK = Framework(
    name="hls", origins={"packager": packager},
    files={"player/index.html": b"<video></video>\n" * 100, "player/app.js": b"play();\n" * 200},
    steps=[
        get("master list", MASTER),
        get("master list again", MASTER),
        get("play list", LIST),
        get("play list again", LIST),
        get("play list of another quality", LIST.replace("/1/", "/2/")),
        get("play list with a session", LIST + "?session=1"),
        get("play list with another session", LIST + "?session=2"),
        get("play list without gzip", LIST, "Accept-Encoding: identity"),
        head("head of a play list", LIST),
        get("description of DASH", "/live/manifest.mpd"),
        get("description of DASH again", "/live/manifest.mpd"),
        Step("may another site ask", LIST, "OPTIONS", ("Origin: https://player.example",)),
        get("missing stream", "/live/missing.m3u8"),
        get("missing stream again", "/live/missing.m3u8"),
        get("segment", SEGMENT),
        get("segment again", SEGMENT),
        get("next segment", SEGMENT.replace("100", "101")),
        get("segment for another site", SEGMENT, "Origin: https://player.example"),
        get("part of a segment", SEGMENT, "Range: bytes=0-187"),
        get("end of a segment", SEGMENT, "Range: bytes=-188"),
        get("part of a cold segment", SEGMENT.replace("100", "102"), "Range: bytes=0-187"),
        get("that segment whole", SEGMENT.replace("100", "102")),
        head("head of a segment", SEGMENT),
        head("head of a cold segment", SEGMENT.replace("100", "103")),
        get("that segment", SEGMENT.replace("100", "103")),
        get("several parts", SEGMENT, "Range: bytes=0-9,50-59", may=(206,)),
        get("missing segment", "/live/1/missing.ts"),
        get("missing segment again", "/live/1/missing.ts"),
        get("segment with a token", SEGMENT + "?token=x"),
        get("paid film without a signature", PAID),
        get("paid film", signed(PAID)),
        get("paid film again", signed(PAID)),
        get("paid film without a signature after that", PAID),
        get("paid film, late", signed(PAID, "1000000000")),
        get("paid film, another's signature", signed("/paid/film-2.mp4").replace("film-2", "film-1")),
        get("part of the paid film", signed(PAID), "Range: bytes=100-109"),
        get("film in slices", FILM),
        get("film in slices again", FILM),
        get("part of the film", FILM, "Range: bytes=300000-300009"),
        get("film from the middle", FILM, "Range: bytes=500000-"),
        get("player", "/player/"),
        get("player's script", "/player/app.js"),
        get("nothing", "/live/"),
        post("segment is announced", LIST),
        get("play list after that", LIST),
        get("play list of another quality after that", LIST.replace("/1/", "/2/")),
        purge("purge of a play list", LIST),
        get("play list after its purge", LIST),
        purge("purge of a segment", SEGMENT),
        get("segment after its purge", SEGMENT),
        purge("purge of a film", FILM),
        get("film after its purge", FILM, "Range: bytes=0-9"),
        crowd("many at once", SEGMENT.replace("100", "777"), "Cookie: s=%s"),
    ])
