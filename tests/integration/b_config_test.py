"""Errors of configuration: nginx's voice, the directive's name, file and line."""
import re

import pytest

# directive with its arguments, and a part of what nginx must say
WRONG = [
    ("slab_cache;", "invalid number of arguments"),
    ("slab_cache one two;", "invalid number of arguments"),
    ("slab_cache nosuchzone;", "nosuchzone"),
    ("slab_cache one; slab_cache one;", "is duplicate"),
    ("slab_cache_key;", "invalid number of arguments"),
    ("slab_cache_key_args;", "invalid number of arguments"),
    ("slab_cache_key_args wrong;", "invalid"),
    ("slab_cache_key_args drop=;", "invalid"),
    ("slab_cache_methods DELETE;", "invalid value \"DELETE\""),
    ("slab_cache_methods;", "invalid number of arguments"),
    ("slab_cache_valid;", "invalid number of arguments"),
    ("slab_cache_valid 200 soon;", "invalid"),
    ("slab_cache_valid 99 1m;", "invalid"),
    ("slab_cache_ttl min=x;", "invalid"),
    ("slab_cache_ttl jitter=101;", "invalid"),
    ("slab_cache_ttl colour=red;", "invalid"),
    ("slab_cache_ttl min=2h max=1h;", ""),
    ("slab_cache_bypass;", "invalid number of arguments"),
    ("slab_no_cache;", "invalid number of arguments"),
    ("slab_cache_ignore_headers X-Nothing;", "invalid value \"X-Nothing\""),
    ("slab_cache_set_cookie maybe;", "invalid value \"maybe\""),
    ("slab_cache_min_uses 0;", ""),
    ("slab_cache_min_uses many;", "invalid number"),
    ("slab_cache_vary max=0;", "invalid"),
    ("slab_cache_vary colour=red;", "invalid"),
    ("slab_cache_lock maybe;", "it must be \"on\" or \"off\""),
    ("slab_cache_lock_timeout soon;", "invalid value"),
    ("slab_cache_lock_age soon;", "invalid value"),
    ("slab_cache_use_stale sometimes;", "invalid value \"sometimes\""),
    ("slab_cache_stale while=x;", "invalid"),
    ("slab_cache_background_update maybe;", "it must be \"on\" or \"off\""),
    ("slab_cache_revalidate maybe;", "it must be \"on\" or \"off\""),
    ("slab_cache_refresh beta=x;", "invalid"),
    ("slab_cache_purge PURGE;", ""),
    ("slab_cache_purge PURGE from;", ""),
    ("slab_cache_purge PURGE from nowhere;", "invalid"),
    ("slab_cache_purge GET from 127.0.0.1;", "method \"GET\" is safe and must not purge"),
    ("slab_cache_api write=maybe;", "invalid"),
    ("slab_cache_api colour=red;", "invalid"),
    ("slab_cache_status_header maybe;", "invalid value \"maybe\""),
    ("slab_cache_invalidate sometimes;", "invalid"),
]

ZONES = [
    ("slab_cache_zone;", "invalid number of arguments"),
    ("slab_cache_zone 16m;", "invalid"),
    ("slab_cache_zone zone=one;", "invalid"),
    ("slab_cache_zone zone=one:big;", "invalid"),
    ("slab_cache_zone zone=:16m;", "invalid"),
    ("slab_cache_zone zone=one:16m max_object=big;", "invalid"),
    ("slab_cache_zone zone=one:16m eviction=random;", "invalid"),
    ("slab_cache_zone zone=one:16m colour=red;", "invalid"),
    ("slab_cache_zone zone=one:16m huge_pages=some;", "invalid parameter"),
    ("slab_cache_zone zone=one:16m; slab_cache_zone zone=one:16m;", "is already defined"),
]


def _line_of(text, needle):
    return next(i for i, line in enumerate(text.splitlines(), 1) if needle in line)


def _assert_complaint(nginx, code, said, directive, wanted):
    assert code != 0, said
    assert "[emerg]" in said
    name = directive.partition(" ")[0].rstrip(";")
    assert name in said or (wanted and wanted in said), said
    assert wanted in said
    where = re.search(r" in (\S+nginx\.conf):(\d+)", said)
    assert where, said
    assert int(where.group(2)) == _line_of(nginx.text, directive), said


@pytest.mark.parametrize("directive, wanted", WRONG, ids=[w[0] for w in WRONG])
def test_wrong_argument_is_refused_with_file_and_line(nginx, directive, wanted):
    code, said = nginx.test_config(location=f"location / {{\n{directive}\nreturn 200; }}")
    _assert_complaint(nginx, code, said, directive, wanted)


@pytest.mark.parametrize("directive, wanted", ZONES, ids=[w[0] for w in ZONES])
def test_wrong_zone_is_refused_with_file_and_line(nginx, directive, wanted):
    code, said = nginx.test_config(zone=directive)
    _assert_complaint(nginx, code, said, directive, wanted)


def test_zone_too_small_is_refused_with_the_size_needed(nginx):
    code, said = nginx.test_config(zone="slab_cache_zone zone=one:8k;")
    assert code != 0
    assert re.search(r'slab_cache.*zone.*"one".*too small.*\d+[km]?', said), said


def test_unknown_variable_in_the_key_is_refused(nginx):
    code, said = nginx.test_config(location="location / { slab_cache one; slab_cache_key $nosuchvariable; return 200; }")
    assert code != 0 and 'unknown "nosuchvariable" variable' in said


@pytest.mark.parametrize("context", ["server", "http"])
def test_api_belongs_into_a_location(nginx, context):
    code, said = nginx.test_config(**{context: "slab_cache_api;"})
    assert code != 0 and '"slab_cache_api" directive is not allowed here' in said


def test_zone_belongs_into_http(nginx):
    code, said = nginx.test_config(server="slab_cache_zone zone=two:16m;")
    assert code != 0 and '"slab_cache_zone" directive is not allowed here' in said


def test_storing_cookies_is_warned_about(nginx):
    code, said = nginx.test_config(location="location / { slab_cache one; slab_cache_set_cookie store; return 200; }")
    assert code == 0 and "[warn]" in said and "slab_cache_set_cookie" in said


def test_all_directives_together_are_accepted(nginx):
    code, said = nginx.test_config(
        zone="slab_cache_zone zone=one:16m max_object=1m objects=10000 inactive=10m eviction=balanced purge_records=4096;",
        location="""location / {
            slab_cache one;
            slab_cache_key $scheme $host $slab_cache_uri;
            slab_cache_key_args sort drop=utm_*;
            slab_cache_methods GET HEAD;
            slab_cache_valid 200 1m; slab_cache_valid any 1s;
            slab_cache_ttl min=1s max=1h jitter=5 heuristic=10;
            slab_cache_bypass $arg_b $cookie_b; slab_no_cache $arg_n;
            slab_cache_ignore_headers X-Accel-Expires Expires Cache-Control Set-Cookie Vary;
            slab_cache_set_cookie strip;
            slab_cache_min_uses 1;
            slab_cache_purge PURGE soft from 127.0.0.1 10.0.0.0/8 ::1;
            slab_cache_status_header detail;
            return 200; }
            location /_cache/ { slab_cache_api write=on; allow 127.0.0.1; deny all; }""")
    assert code == 0, said
