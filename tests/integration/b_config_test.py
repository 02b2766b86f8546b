"""Errors of configuration: nginx's voice, the directive's name, file and line."""
import re

import pytest
from harness.nginx import TOP

# Each directive: arguments that are right, how many it takes at most, whether a second one in the same place is refused.
MANY = 99
DIRECTIVES = {
    "slab_cache_zone": ("zone=two:16m", MANY, False),      # by the zone's name: see ZONES
    "slab_cache_fleet": ("main redis://127.0.0.1:1 stream=slab node=a", MANY, False),   # by its name
    "slab_cache_tier": ("off", MANY, True),                # servers: by its name, see ZONES
    "slab_cache": ("one", 1, True),
    "slab_cache_key": ("$uri", MANY, True),
    "slab_cache_key_args": ("sort", MANY, True),
    "slab_cache_methods": ("GET", MANY, False),            # lists that go on, as nginx's own
    "slab_cache_authorization": ("refuse", 1, True),
    "slab_cache_valid": ("1m", MANY, False),
    "slab_cache_ttl": ("min=1s", MANY, True),
    "slab_cache_bypass": ("$arg_a", MANY, False),
    "slab_no_cache": ("$arg_a", MANY, False),
    "slab_cache_ignore_headers": ("Expires", MANY, False),
    "slab_cache_set_cookie": ("strip", 1, True),
    "slab_cache_min_uses": ("2", 1, True),
    "slab_cache_vary": ("off", MANY, True),
    "slab_cache_use_stale": ("error", MANY, False),
    "slab_cache_stale": ("while=1s", MANY, True),
    "slab_cache_refresh": ("off", 1, True),
    "slab_cache_tags": ("off", MANY, True),
    "slab_cache_invalidate": ("unsafe", MANY, False),
    "slab_cache_purge": ("off", MANY, True),
    "slab_cache_api": ("write=on", 2, True),
    "slab_cache_status_header": ("on", 1, True),
}
# Those that are a switch or a time, by their rows.
PLAIN = [(kind, f"slab_cache_{field}") for kind, field in re.findall(r"^SLAB_(SWITCH|TIME)\((\w+), \d", (TOP / "src/ngx/conf/plain.def").read_text(), re.M)]
DIRECTIVES |= {name: ("on" if kind == "SWITCH" else "1s", 1, True) for kind, name in PLAIN}
WITHOUT_ARGUMENTS = {"slab_cache_api"}


def of(name, kind, *arguments):
    """Rows: a directive, each of these arguments, what nginx says of it; {} stands for the (last) argument."""
    return [(f"{name} {a};", kind.replace("{}", a.split()[-1]).replace("NAME", f'"{name}"')) for a in arguments]


PARAMETER = 'invalid parameter "{}"'


def value(right):
    return 'invalid value "{}" in NAME directive, it must be ' + right


FLAG = value('"on" or "off"')
TIME = value('a time such as "500ms", "5s" or "1m"')
USES = value("a number from 1 to 15")
LIFETIME = 'it must be a time such as "30s", "10m" or "1d"'
STATUS = 'it must be "any" or a number from 100 to 599'
ARGUMENTS = PARAMETER + ', it must be "all", "none", "sort", "drop=glob,glob" or "only=glob,glob"'
TTL = PARAMETER + (', it must be "min=time", "max=time", "jitter=percent" or "heuristic=percent", '
                   'with a time such as "10m" and 100 percent at most')
VARY = PARAMETER + ', it must be "max=n" with a number from 1 to 255, "ignore=header,header" or "Cookie=name,name", or "off" alone'
STALE = PARAMETER + ', it must be "while=time" or "if_error=time", with a time such as "10m"'
BETA = PARAMETER + ', it must be "off" or "beta=number" with a number above 0, such as "1" or "0.5"'
FIELDS = PARAMETER + ', it must be "field=name,name"'
ALONE = PARAMETER + ', "off" stands alone'
ADDRESS = 'invalid address "{}", it must be an address, a network such as "10.0.0.0/8", or "unix:"'
METHOD = 'invalid method "{}", it must be of capital letters, such as "PURGE"'
API = PARAMETER + ', it must be "write=on", "write=off" or "secret=file"'
HEADERS = value('"X-Accel-Redirect", "X-Accel-Expires", "X-Accel-Limit-Rate", "X-Accel-Buffering", "X-Accel-Charset", "Expires", '
                '"Cache-Control", "CDN-Cache-Control", "Set-Cookie" or "Vary"')
CASES = value('"error", "timeout", "invalid_header", "updating", "http_500", "http_502", "http_503", "http_504", "http_403", '
              '"http_404", "http_429", "force" or "off"')
ZONE = PARAMETER + (', it must begin with "zone=", "max_object=", "objects=", "purge_records=", "fills=", "huge_pages=", "inactive=", '
                    '"fleet=", "file=" or "eviction="')
ZONE_VALUES = {"max_object": 'a size such as "512k" or "16m"', "objects": 'a number such as "100000" or "100k"',
               "purge_records": "a number from 1 on", "fills": "a number from 1 to 1048576",
               "inactive": 'a time such as "30s", "10m" or "1d"', "file": 'a path on tmpfs, such as "/dev/shm/pages"',
               "fleet": 'the name of a "slab_cache_fleet"'}
WRONG = [
    *of("slab_cache", 'slab_cache zone "{}" is unknown, it must be "one"', "nosuchzone", "One"),
    *of("slab_cache_key_args", ARGUMENTS, "wrong", "drop=", "only=", "drop=a,,b", "drop=,a", "only=a,", "sort drop", "SORT"),
    *of("slab_cache_key_args", 'parameter "{}" stands alone', "sort all", "drop=a none"),
    *of("slab_cache_key_args", 'parameter "all" stands alone', "all sort"),
    *of("slab_cache_methods", value('"GET", "HEAD", "QUERY" or "POST"'), "DELETE", "GET PUT", "*"),
    *of("slab_cache_authorization", value('"refuse" or "keyed"'), "allow", "on"),
    *of("slab_cache_valid", 'invalid time value "{}", ' + LIFETIME, "soon", "200 soon", "200 -1s", "any", "200 1x", "99999999999999999999s"),
    *of("slab_cache_valid", f'invalid status "99", {STATUS}', "99 1m"),
    *of("slab_cache_valid", f'invalid status "600", {STATUS}', "600 1m"),
    *of("slab_cache_valid", f'invalid status "2xx", {STATUS}', "200 2xx 1m"),
    *of("slab_cache_ttl", TTL, "min=x", "min=", "max=0", "max=x", "max=-1", "jitter=101", "jitter=101%", "jitter=%", "jitter=",
        "jitter=-1", "jitter=5%%", "heuristic=101", "heuristic=x", "colour=red", "min", "off", "min=1s 5"),
    *of("slab_cache_ttl", 'NAME directive has "min" above "max"', "min=2h max=1h"),
    *of("slab_cache_ignore_headers", HEADERS, "X-Nothing", "Expires Date"),
    *of("slab_cache_set_cookie", value('"refuse", "strip" or "store"'), "maybe", "off", "STORE"),
    *of("slab_cache_min_uses", USES, "0", "16", "many", "-1", "1.5", "99999999999999999999"),
    *of("slab_cache_vary", VARY, "max=0", "max=256", "max=x", "max=", "ignore=", "ignore=a,,b", "Cookie=", "cookie=a", "on"),
    *of("slab_cache_vary", VARY.replace("{}", "off"), "off max=2", "max=2 off"),
    *of("slab_cache_use_stale", CASES, "sometimes", "error http_501"),
    *of("slab_cache_stale", STALE, "while=x", "while=", "if_error=", "if_error=-1s", "colour=red", "off", "while=1s 5"),
    *of("slab_cache_refresh", BETA, "beta=x", "beta=", "beta=0", "beta=-1", "beta=1.2345", "on", "1"),
    *of("slab_cache_tags", ALONE, "off $uri"),
    *of("slab_cache_tags", FIELDS, "field=", "field=a,", "field=a,,b"),
    *of("slab_cache_invalidate", value('"off", "unsafe", "location" or "groups"'), "sometimes", "unsafe all"),
    *of("slab_cache_purge", 'NAME directive must say "from" which addresses, such as "PURGE from 127.0.0.1"', "PURGE", "PURGE from", "PURGE soft", "PURGE soft from",
        "PURGE 127.0.0.1", "PURGE hard from 127.0.0.1", "PURGE from_127.0.0.1"),
    *of("slab_cache_purge", ADDRESS, "PURGE from nowhere", "PURGE from 10.0.0.0/33", "PURGE from 127.0.0.1 all",
        "PURGE from 127.0.0.1:80", "PURGE from ::1/129", "PURGE from 127.0.0.1,::1", "PURGE from unix"),
    *of("slab_cache_purge", METHOD.replace("{}", "purge"), "purge from 127.0.0.1"),
    *of("slab_cache_purge", METHOD.replace("{}", "P0"), "P0 from 127.0.0.1"),
    *of("slab_cache_purge", METHOD.replace("{}", ""), '"" from 127.0.0.1'),
    *[row for m in ("GET", "HEAD", "OPTIONS", "TRACE")
      for row in of("slab_cache_purge", f'method "{m}" is safe and must not purge, name another such as "PURGE"', f"{m} from 127.0.0.1")],
    *of("slab_cache_purge", ALONE, "off soft"),
    *of("slab_cache_api", API, "write", "colour=red", "write=on read=on"),
    *of("slab_cache_api", 'invalid write value "maybe", it must be "on" or "off"', "write=maybe"),
    *of("slab_cache_api", 'slab_cache_api secret "" is no file name', "secret="),
    *of("slab_cache_api", 'slab_cache_api secret "/nonexistent/secret" cannot be opened (2: No such file or directory)', "secret=/nonexistent/secret"),
    *of("slab_cache_status_header", value('"off", "on" or "detail"'), "maybe"),
    *[row for kind, name in PLAIN if kind == "SWITCH" for row in of(name, FLAG, "maybe", "1", "1h", "yes", "ON1")],
    *[row for kind, name in PLAIN if kind == "TIME" for row in of(name, TIME, "soon", "-1", "5x", "99999999999999999999")],
]

ZONES = [
    *of("slab_cache_fleet", 'invalid server "{}", it must be "redis://host[:port][,…][/database]" or "rediss://…"', "main http://10.0.0.1", "main redis:/x"),
    *of("slab_cache_tier", 'invalid server "{}", it must be "redis://host[:port][,…][/database]", "rediss://…" or "memcached://host[:port][,…]"',
        "store http://10.0.0.1", "store redis:/x", "store timeout=1s", "store 10.0.0.1:6379"),
    *of("slab_cache_tier", PARAMETER + ', it must be "prefix=text", "timeout=time", "max_object=size", "lease=time", "write=on", "write=off", "fleet=name", '
        '"user=name", "password_file=file", "tls=on", "tls_name=name", "tls_ca=file", "tls_cert=file", "tls_key=file" or "tls_verify=off"',
        "store redis://127.0.0.1 colour=red", "store redis://127.0.0.1 20ms", "store redis://127.0.0.1 redis://127.0.0.2"),
    *of("slab_cache_tier", 'invalid "{}", there are no databases here', "store memcached://127.0.0.1/1"),
    *of("slab_cache_tier", 'invalid database in "{}", it must be a number, as in redis://127.0.0.1:6379/0', "store redis://127.0.0.1/x"),
    *of("slab_cache_tier", 'credentials in "{}", they are named by user= and password_file=', "store redis://me:secret@127.0.0.1"),
    *of("slab_cache_tier", 'invalid timeout value "0", it must be a time from 1ms to 5s', "store redis://127.0.0.1 timeout=0"),
    *of("slab_cache_tier", 'invalid timeout value "6s", it must be a time from 1ms to 5s', "store redis://127.0.0.1 timeout=6s"),
    *of("slab_cache_tier", 'invalid lease value "100ms", it must be a time from 1s to 1h', "store redis://127.0.0.1 lease=100ms"),
    *of("slab_cache_tier", 'invalid max_object value "big", it must be a size from 1k to 64m', "store redis://127.0.0.1 max_object=big"),
    *of("slab_cache_tier", 'invalid write value "maybe", it must be "on" or "off"', "store redis://127.0.0.1 write=maybe"),
    *of("slab_cache_tier", f'invalid prefix "{"p" * 65}", it must be at most 64 printable characters without blanks',
        f"store redis://127.0.0.1 prefix={'p' * 65}"),
    *of("slab_cache_tier", 'invalid fleet in "{}", it names a slab_cache_fleet', "store redis://127.0.0.1 fleet="),
    *of("slab_cache_tier", 'invalid name "off", it means that there is no tier', "off redis://127.0.0.1"),
    *of("slab_cache_tier", 'NAME directive has "user=" without "password_file="', "store redis://127.0.0.1 user=me"),
    *of("slab_cache_tier", 'NAME directive has tls_ parameters without "tls=on"', "store redis://127.0.0.1 tls_name=x"),
    *of("slab_cache_zone", ZONE, "16m", "zone", "zone=one:16m colour=red", "zone=one:16m 16m"),
    *[row for name, value in [*[("max_object", v) for v in ("big", "0", "", "-1")], *[("objects", v) for v in ("0", "x", "-5")],
                              *[("purge_records", v) for v in ("0", "x", "4294967296")], *[("fills", v) for v in ("0", "x", "1048577")],
                              *[("inactive", v) for v in ("0", "x", "", "1x")], ("file", ""), ("fleet", "")]
      for row in of("slab_cache_zone", f'invalid {name} value "{value}", it must be {ZONE_VALUES[name]}', f"zone=one:16m {name}={value}")],
    *of("slab_cache_zone", 'invalid zone size "{}", write "zone=name:size", such as "zone=pages:256m"', "zone=one", "zone=:16m", "zone="),
    *of("slab_cache_zone", 'invalid zone size "{}", it must be a whole number with "k", "m" or "g", such as "256m" or "1536m"',
        "zone=one:", "zone=one:big", "zone=one:-1m", "zone=one:16m:2", "zone=one:99999999999999999999"),
    *of("slab_cache_zone", 'NAME directive must have "zone" parameter', "max_object=1m"),
    *of("slab_cache_zone", 'slab_cache zone "one" cannot have the file "/nonexistent/z": its directory cannot be looked at',
        "zone=one:16m file=/nonexistent/z"),
    *of("slab_cache_zone", 'slab_cache zone "one" cannot have the file "/dev/shm/": it is not the path of a file',
        "zone=one:16m file=/dev/shm/"),
    *of("slab_cache_zone", 'slab_cache zone "one" cannot have the file "/dev/shm/z": the zone\'s size is not a multiple of its pages',
        "zone=one:17408001 file=/dev/shm/z"),
    *of("slab_cache_zone", f'slab_cache zone "one" cannot have the file "{TOP}/zone": it is neither on tmpfs nor on hugetlbfs: '
        "a disk would be written to with every object", f"zone=one:16m file={TOP}/zone"),
]

SECRETS = [("short", b"fifteen bytes..\n", "must hold 16 to 4095 bytes"), ("long", b"x" * 4096, "must hold 16 to 4095 bytes"),
           ("empty", b"", "must hold 16 to 4095 bytes")]


def _assert_complaint(nginx, result, line_of, wanted):
    """Exactly what nginx says: the text, the file, and the line on which `line_of` stands last."""
    code, said = result
    line = max(i for i, text in enumerate(nginx.text.splitlines(), 1) if line_of in text)
    assert "[emerg]" in said and f": {wanted} in {nginx.prefix}/nginx.conf:{line}\n" in said, said
    assert code != 0


def _in_location(*lines):
    return {"location": "location / {\n" + "\n".join(lines) + "\n}"}


@pytest.mark.parametrize("directive, wanted", WRONG, ids=[w[0] for w in WRONG])
def test_wrong_argument_is_refused_with_file_and_line(nginx, directive, wanted):
    _assert_complaint(nginx, nginx.test_config(**_in_location(directive)), directive, wanted)


@pytest.mark.parametrize("directive, wanted", ZONES, ids=[w[0] for w in ZONES])
def test_wrong_zone_is_refused_with_file_and_line(nginx, directive, wanted):
    _assert_complaint(nginx, nginx.test_config(zone=directive), directive, wanted)


@pytest.mark.parametrize("name", sorted(set(DIRECTIVES) - WITHOUT_ARGUMENTS))
def test_directive_without_arguments_is_refused(nginx, name):
    config = {"zone": f"{name};"} if name in ("slab_cache_zone", "slab_cache_fleet") else _in_location(f"{name};")
    _assert_complaint(nginx, nginx.test_config(**config), f"{name};", f'invalid number of arguments in "{name}" directive')


@pytest.mark.parametrize("name", [n for n, (_, most, _) in DIRECTIVES.items() if most != MANY])
def test_argument_too_many_is_refused(nginx, name):
    arguments, most, _ = DIRECTIVES[name]
    line = f"{name} {arguments}{' more' * most};"
    _assert_complaint(nginx, nginx.test_config(**_in_location(line)), line, f'invalid number of arguments in "{name}" directive')


@pytest.mark.parametrize("name", [n for n, (_, _, is_single) in DIRECTIVES.items() if is_single])
def test_directive_given_twice_is_refused(nginx, name):
    line = f"{name} {DIRECTIVES[name][0]};"
    _assert_complaint(nginx, nginx.test_config(**_in_location(line, line)), line, f'"{name}" directive is duplicate')


def _documented():
    """README's table: directive to where it may stand."""
    rows = re.findall(r"^\| `(slab_\w+)` \|.*\| ([a-z, ]+) \|$", (TOP / "README.md").read_text(), re.M)
    return {name: set(where.replace("h, s, l", "http, server, location").split(", ")) for name, where in rows}


def test_every_directive_of_the_readme_is_in_these_tables():
    assert set(_documented()) == set(DIRECTIVES)
    takes_any_text = {"slab_cache_key", "slab_cache_bypass", "slab_no_cache"}
    assert {row[0].split()[0] for row in WRONG + ZONES} == set(DIRECTIVES) - takes_any_text


def _standing(place, lines):
    text = "\n".join(lines)
    return {"location": {"location": f"location / {{\n{text}\n}}"},
            "if": {"location": f"location / {{ if ($arg_a) {{\n{text}\n}} }}"}}.get(place, {place: f"\n{text}\n"})


PLACES = ["main", "http", "server", "location", "if"]
MISPLACED = [(name, place) for name in DIRECTIVES for place in PLACES if place not in _documented()[name]]


@pytest.mark.parametrize("name, place", MISPLACED, ids=["-in-".join(m) for m in MISPLACED])
def test_directive_where_the_readme_does_not_have_it_is_refused(nginx, name, place):
    line = f"{name} {DIRECTIVES[name][0]};"
    _assert_complaint(nginx, nginx.test_config(**_standing(place, [line])), line, f'"{name}" directive is not allowed here')


@pytest.mark.parametrize("place", PLACES[1:])
def test_directives_stand_where_the_readme_has_them(nginx, place):
    lines = [f"{name} {DIRECTIVES[name][0]};" for name in DIRECTIVES if place in _documented()[name]]
    code, said = nginx.test_config(**_standing(place, lines))
    assert lines and code == 0, said


# ---- one of a kind ---------------------------------------------------------------------------------------------

@pytest.mark.parametrize("name", ["slab_cache", "slab_cache_key", "slab_cache_bypass", "slab_no_cache", "slab_cache_tags"])
def test_unknown_variable_is_refused(nginx, name):
    code, said = nginx.test_config(**_in_location(f"{name} $nosuch;"))
    assert code != 0 and '[emerg]' in said and 'unknown "nosuch" variable' in said, said     # nginx names no line here


def test_zone_defined_twice_is_refused(nginx):
    zone = "slab_cache_zone zone=one:16m;"
    _assert_complaint(nginx, nginx.test_config(zone=f"{zone}\n{zone}"), zone, 'slab_cache zone "one" is already defined')


def test_zone_of_a_name_that_another_module_has_is_refused(nginx):
    zone = "slab_cache_zone zone=one:16m;"
    _assert_complaint(nginx, nginx.test_config(zone=f"limit_req_zone $uri zone=one:16m rate=1r/s;\n{zone}"), zone,
                      'the shared memory zone "one" is already declared for a different use')


def test_zones_that_share_a_file_are_refused(nginx):
    first, second = [f"slab_cache_zone zone={name}:16m file=/dev/shm/sc_config_test;" for name in ("one", "two")]
    _assert_complaint(nginx, nginx.test_config(zone=f"{first}\n{second}"), second,
                      'another slab_cache zone has the file "/dev/shm/sc_config_test"')


@pytest.mark.parametrize("parameters", ["", " objects=64", " purge_records=128"])
def test_zone_too_small_is_refused_with_the_size_needed(nginx, parameters):
    zone = f"slab_cache_zone zone=one:8k{parameters};"
    _, said = nginx.test_config(zone=zone)
    found = re.search(r'(slab_cache zone "one" is too small: 8k, need (\d+)k) in', said)
    assert found, said
    _assert_complaint(nginx, (1, said), zone, found.group(1))
    need = int(found.group(2))
    if need < 1 << 20:      # what it asks for is enough, and not much less is
        assert nginx.test_config(zone=zone.replace("8k", f"{need}k", 1))[0] == 0
        assert "too small" in nginx.test_config(zone=zone.replace("8k", f"{need - 64}k", 1))[1]


@pytest.mark.parametrize("name, text, wanted", SECRETS, ids=[s[0] for s in SECRETS])
def test_secret_of_a_wrong_size_is_refused(nginx, name, text, wanted):
    path = nginx.prefix / name
    path.write_bytes(text)
    line = f"slab_cache_api secret={path};"
    _assert_complaint(nginx, nginx.test_config(**_in_location(line)), line, f'slab_cache_api secret "{path}" {wanted}')


def test_secret_that_is_a_directory_is_refused(nginx):
    line = f"slab_cache_api secret={nginx.prefix};"
    _assert_complaint(nginx, nginx.test_config(**_in_location(line)), line,
                      f'slab_cache_api secret "{nginx.prefix}" must hold 16 to 4095 bytes')


def test_two_secrets_are_refused(nginx):
    path = nginx.prefix / "secret"
    path.write_bytes(b"0123456789abcdef")
    line = f"slab_cache_api secret={path} secret={path};"
    _assert_complaint(nginx, nginx.test_config(**_in_location(line)), line, '"slab_cache_api" directive has two secrets')


def test_api_needs_a_location_of_its_own_that_is_a_prefix(nginx):
    _assert_complaint(nginx, nginx.test_config(**_in_location("proxy_pass http://127.0.0.1:1;", "slab_cache_api;")), "slab_cache_api;",
                      '"slab_cache_api" directive conflicts with another content handler of this location')
    _assert_complaint(nginx, nginx.test_config(location="location ~ ^/api {\nslab_cache_api;\n}"), "slab_cache_api;",
                      '"slab_cache_api" directive needs a location with a prefix, not a regular expression')


@pytest.mark.parametrize("line, wanted", [
    ("slab_cache_set_cookie store;", '"slab_cache_set_cookie store" replays one client\'s cookies to all'),
    ("slab_cache_purge PURGE from 10.1.2.3/8;", "low address bits of 10.1.2.3/8 are meaningless"),
    ("slab_cache_methods GET HEAD GET;", 'duplicate value "GET"'),
])
def test_what_is_probably_a_mistake_is_warned_about(nginx, line, wanted):
    code, said = nginx.test_config(**_in_location(line))
    assert code == 0 and "[warn]" in said and f": {wanted} in {nginx.prefix}/nginx.conf:" in said, said


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
            slab_cache_status_header detail; slab_cache_early_hints on; slab_cache_tags field=X-A,X-B "c $uri";
            return 200; }
            location /_cache/ { slab_cache_api write=on; allow 127.0.0.1; deny all; }""")
    assert code == 0, said
