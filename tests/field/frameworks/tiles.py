"""Map tiles: named captures in key and upstream, three hosts with one cache, an empty tile for what is not there."""
from harness.origin import Reply
from scripted import file, path_of
from site_walk import Framework
from steps import crowd, get, head, purge, purge_by_api

TILE, VECTOR, SEA = "/tiles/osm/5/10/12.png", "/tiles/v-osm/5/10/12.pbf", "/tiles/osm/9/1/1.png"


def renderer(name, kind):
    def answer(site, request):
        path = path_of(request)
        if path.startswith("/render/osm/9/"):
            return Reply("outside of the world\n", status=404)
        if path.startswith("/render/osm/8/"):
            return Reply(b"", status=204)
        if path.startswith("/render/broken/"):
            return Reply("renderer is busy\n", status=503, reason="Service Unavailable")
        if path == "/dirty":
            return Reply(f"{name} will render it again\n", headers=[("Content-Type", "text/plain")])
        data = f"{name} {path} ".encode() * 300
        return file(request, data, ("Cache-Control", "max-age=0, no-cache"), ("Set-Cookie", "_osm_session=1"), kind=kind,
                    tag=f'"{path}"')
    return answer


FRAMEWORK = Framework(
    name="tiles", origins={"raster": renderer("raster", "image/png"), "vector": renderer("vector", "application/x-protobuf")},
    files={"empty.png": b"\x89PNG empty" * 10, "styles/bright.json": b'{"version":8}' * 100,
           "index.html": b"<h1>map</h1>\n" * 100}, host="a.tile.example.com",
    steps=[
        get("tile", TILE),
        get("tile again", TILE),
        get("tile from another host", TILE, host="b.tile.example.com"),
        get("tile with an argument", TILE + "?v=2"),
        get("neighbour", TILE.replace("/12.", "/13.")),
        get("tile of another column", TILE.replace("/10/", "/11/")),
        get("tile for fine screens", TILE.replace(".png", "@2x.png")),
        get("tile for fine screens again", TILE.replace(".png", "@2x.png")),
        get("tile of another layer", TILE.replace("osm", "topo")),
        get("vector tile", VECTOR),
        get("vector tile again", VECTOR),
        get("vector tile without gzip", VECTOR, "Accept-Encoding: identity"),
        head("head of a tile", TILE),
        head("head of a cold tile", TILE.replace("/5/", "/6/")),
        get("that tile", TILE.replace("/5/", "/6/")),
        get("tile that the browser has", TILE, 'If-None-Match: "/render/osm/5/10/12.png"', may=(304,)),
        get("part of a tile", TILE, "Range: bytes=0-3", may=(206,)),
        get("tile in the sea", SEA),
        get("tile in the sea again", SEA),
        get("another tile in the sea", SEA.replace("/1.png", "/2.png")),
        head("head of a tile in the sea", SEA),
        get("empty tile", SEA.replace("/9/", "/8/")),
        get("empty tile again", SEA.replace("/9/", "/8/")),
        get("broken layer", TILE.replace("osm", "broken")),
        get("broken layer again", TILE.replace("osm", "broken")),
        get("tile on a stranger's page", TILE, "Referer: https://stealer.example/"),
        get("cold tile on a stranger's page", TILE.replace("/10/", "/15/"), "Referer: https://stealer.example/"),
        get("that tile on our page", TILE.replace("/10/", "/15/")),
        get("no tile", "/tiles/osm/5/10/x.png"),
        get("style", "/styles/bright"),
        get("style's file", "/styles/bright.json"),
        get("missing style", "/styles/dark"),
        get("map", "/"),
        get("map at a place", "/#map=5/1/1"),
        get("tile is rendered again", "/dirty"),
        get("tile with cookies", TILE, "Cookie: _osm_session=7"),
        get("tile for an application", TILE, "Origin: https://app.example"),
        get("the renderer's own URL", "/render/osm/5/10/12.png"),
        purge("purge of a tile", TILE),
        get("tile after its purge", TILE),
        get("neighbour after the purge", TILE.replace("/12.", "/13.")),
        purge_by_api("purge of a layer", "tiles", b'{"prefixes":["http://a.tile.example.com/tiles/v-osm/"]}'),
        get("vector tile after the purge", VECTOR),
        get("raster tile after the purge", TILE),
        purge("purge of a tile in the sea", SEA),
        get("tile in the sea after its purge", SEA),
        crowd("many at once", TILE.replace("/5/", "/7/"), "Cookie: _osm_session=%s"),
    ])
