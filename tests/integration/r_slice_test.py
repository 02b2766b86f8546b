"""nginx's slice module puts a response together from many: a fill must not take the first one for the whole."""
from harness.origin import Reply, request_header


def test_sliced_location_answers_with_the_whole(nginx, origin):
    body = bytes(range(256)) * 400

    def slice_of(request):
        first, last = (int(x) for x in request_header(request, "Range").removeprefix("bytes=").split("-"))
        part = body[first:last + 1]
        return Reply(part, status=206, headers=["Cache-Control: max-age=600", 'ETag: "1"',
                                                f"Content-Range: bytes {first}-{first + len(part) - 1}/{len(body)}"])

    origin.handle("/a", slice_of)
    origin.reply("/b", b"b", headers=["Cache-Control: max-age=600"])
    nginx.start(f"""
        location /a {{ slab_cache one; slice 20k; proxy_set_header Range $slice_range; proxy_pass http://{origin.address}; }}
        location /b {{ slab_cache one; proxy_set_header Range $slice_range; proxy_pass http://{origin.address}; }}""")
    answers = [nginx.get("/a") for _ in range(2)]
    assert [(a.status, a.why, a.body == body) for a in answers] == [(200, "PARTIAL", True)] * 2
    assert [nginx.get("/b").cache for _ in range(2)] == ["MISS", "HIT"]
