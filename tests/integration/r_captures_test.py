"""Patterns that a fill matches may have more groups than the location's."""


def test_fill_matches_patterns_with_more_groups_than_its_location(nginx, origin):
    origin.reply("/a", "body", headers=["Cache-Control: max-age=600"])
    groups = "(.)" * 9
    nginx.start(http=f"map $http_letters $swapped {{ ~^{groups}$ $9$8$7$6$5$4$3$2$1; }}", location=f"""
        location ~ ^/(a)$ {{
            slab_cache one;
            proxy_set_header One $1;
            proxy_set_header Letters $swapped;
            proxy_pass http://{origin.address};
        }}""")
    assert nginx.get("/a", "Letters: abcdefghi").body == b"body"
    assert {"One: a", "Letters: ihgfedcba"} <= set(origin.requests("/a")[0].lines)
