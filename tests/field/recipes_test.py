"""The applications of conf-examples behind their nginx.conf: 120 visitors walk through each.

`make visitors` does the same with what else could stand before them, and more seeds.
"""
import os
import pathlib

import pytest
from recipes.fronts import FRONTS, MORE_FRONTS, NOTHING, OURS, NginxFront, has_varnish
from recipes.sites import Django, Flask, WordPress
from recipes.visitors import Walk

SITES = {"django": Django, "flask": Flask, "wordpress": WordPress}
LEAST = {"django": 0.74, "flask": 0.70, "wordpress": 0.70}
ALL = bool(os.environ.get("SLAB_VISITORS"))
SEEDS = (1, 2, 3) if ALL else (1,)
EVERYTHING = {**FRONTS, **MORE_FRONTS}


def fronts_of(name):
    if not ALL:
        return [OURS]
    return [f for f in (EVERYTHING if name == "django" else FRONTS) if "Varnish" not in f or has_varnish()]


@pytest.fixture(scope="module", params=SITES)
def site(request):
    kind = SITES[request.param]
    if not pathlib.Path(kind.program or "php-fpm").exists():
        pytest.skip(f"no {kind.program}: tools/deps.sh test")
    s = kind()
    yield s
    s.clean_up()


def walk(site, front, seed, **kw):
    """What came of it; with what nginx had to complain of."""
    try:
        site.start(front)
        front.start()
        w = Walk(site, seed, **kw)
        w.run()
        return w.counted(site.asked())
    finally:
        site.stop()
        complaints = front.stop()
        assert not complaints, complaints


def test_visitors(site, record_ratio):
    """The example: enough hits, and each gets what is his, and the newest."""
    for seed in SEEDS:
        for name in fronts_of(site.name):
            r = walk(site, EVERYTHING[name](site), seed)
            record_ratio(site.name, seed, name, r.ratio, r.requests, foreign=r.foreign, csrf=r.csrf, old=r.old)
            if name in (OURS, NOTHING):  # without a cache: else the walk is no measure
                assert not (r.foreign or r.csrf or r.old or r.broken), (
                    name,
                    r.foreign[:5],
                    r.csrf[:5],
                    r.old[:5],
                    r.broken[:5],
                )
            if name == OURS:
                assert r.ratio >= LEAST[site.name], r.ratio


# What people write, and what it does. The text of the example that is replaced, and by what.
FAULTS = {
    "django": [
        ("ignore=Accept-Language max=32;", "ignore=Accept-Language; slab_cache_set_cookie strip;", "csrf"),
        ("slab_cache_vary Cookie=sessionid,messages ", "slab_cache_vary Cookie=messages ", "foreign"),
        ("$slab_cache_uri $language;", "$slab_cache_uri;", "foreign"),
    ],
    "flask": [("slab_cache_vary Cookie=session,language ", "slab_cache_vary Cookie=language ", "foreign")],
    "wordpress": [
        ("slab_no_cache $personal;", "slab_no_cache $cookie_wordpress_logged_in $cookie_comment_author;", "foreign"),
        ("slab_cache_bypass $personal;", "slab_cache_bypass $cookie_wordpress_logged_in;", "foreign"),
    ],
}


def test_the_walk_sees_what_is_wrong(site):
    for right, wrong, what in FAULTS[site.name]:
        assert right in site.example
        r = walk(site, NginxFront(site, site.example.replace(right, wrong)), 2, count=30, logins=0.5, comments=0.9)
        assert getattr(r, what), wrong
