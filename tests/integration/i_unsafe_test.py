"""An unsafe method invalidates its own URL, whichever location answers it, in whatever zone it lies."""
import pytest
from harness.origin import Reply

FRESH = ["Cache-Control: max-age=600"]


@pytest.fixture
def counted(origin):
    origin.handle("*", lambda r: Reply(r.method, headers=FRESH))
    return origin


def after(n, *lines):
    """What becomes of /a after a POST to it with these fields."""
    assert [n.get("/a").cache for _ in range(2)] == ["MISS", "HIT"]
    assert n.request("/a", "POST", headers=lines, body=b"x").status == 200
    return n.get("/a").cache


def test_of_a_client_for_whom_the_cache_is_off(nginx, counted):
    n = nginx.start(http="map $cookie_session $zone { default one; ~. off; }",
                    location=f"location / {{ slab_cache $zone; proxy_pass http://{counted.address}; }}")
    assert after(n, "Cookie: session=1") == "MISS"


def test_answered_by_a_location_without_a_zone(nginx, counted):
    n = nginx.start(location=f"""
        location / {{ error_page 418 = @write; if ($request_method = POST) {{ return 418; }} slab_cache one; proxy_pass http://{counted.address}; }}
        location @write {{ slab_cache off; proxy_pass http://{counted.address}; }}""")
    assert after(n) == "MISS"


def test_answered_by_a_location_with_another_zone(nginx, counted):
    n = nginx.start(zone="slab_cache_zone zone=one:16m; slab_cache_zone zone=two:16m;", location=f"""
        location / {{ error_page 418 = @write; if ($request_method = POST) {{ return 418; }} slab_cache one; proxy_pass http://{counted.address}; }}
        location @write {{ slab_cache two; proxy_pass http://{counted.address}; }}""")
    assert after(n) == "MISS"


def test_to_a_front_controller_flushes_its_own_url_alone(nginx, counted):
    n = nginx.start(location=f"""
        location / {{ try_files /none /index.php?$args; }}
        location = /index.php {{ slab_cache one; proxy_pass http://{counted.address}; }}""")
    assert [n.get(p).cache for p in ("/a", "/b")] == ["MISS", "MISS"]
    for path in ("/a", "/index.php"):
        n.request(path, "POST", body=b"x")
    assert [n.get(p).cache for p in ("/a", "/b")] == ["MISS", "HIT"]
