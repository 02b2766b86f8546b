"""tools/migrate: what it leaves alone, what it lists, what it refuses, and that its reader loses no byte."""
import os
import pathlib
import random
import re
import subprocess
import sys

import pytest
from harness.nginx import MODULE, NGINX, TOP
from harness.origin import Reply

sys.path.insert(0, str(TOP / "tools/migrate"))
import reader    # noqa: E402
from check import leaks                 # noqa: E402
from model import Configuration         # noqa: E402
from plan import Features, Options      # noqa: E402
from rewrite import Rewrite             # noqa: E402

DATA = pathlib.Path(__file__).parent / "data/migrate"
ODD = b"# \xff\xfe latin-1, \xc3\xa9 utf-8\r\nserver_tokens off;\t\n\n  # no line end"


def put(directory, **files):
    for name, text in files.items():
        path = directory / f"{name}.conf"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return directory / "nginx.conf"


def run(*args):
    p = subprocess.run([sys.executable, TOP / "tools/migrate", *map(str, args)], capture_output=True, text=True, stdin=subprocess.DEVNULL,
                       check=False)
    return p.returncode, p.stdout, p.stderr


def rewritten(tmp_path, http, features=Features(), modern=False):
    """The rewrite of a configuration given by what stands in its http block; its main file's new text, its notes."""
    path = put(tmp_path, nginx=f"events {{}}\nhttp {{\nproxy_cache_path {tmp_path}/none keys_zone=z:1m;\n{http}\n}}\n")
    r = Rewrite(Configuration(str(path)), Options(modern=modern, features=features))
    return r, r.texts()[str(path)], [(n.severity, n.text) for n in r.notes.list]


def location(body):
    return f"server {{ location / {{ proxy_pass http://127.0.0.1:1; proxy_cache z; {body} }} }}"


def temp_paths(directory):
    """Directories of nginx's that an ordinary user may write to."""
    return "".join(f"{x}_temp_path {directory}/{x};" for x in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))


# ---- byte for byte ------------------------------------------------------------------------------------------------

def texts_of(seed):
    """Configurations: some with odd blanks and comments in them, some cut and damaged."""
    rng = random.Random(seed)
    sources = [p.read_bytes().decode("latin-1") for p in sorted(DATA.glob("*.conf"))]
    parts = ["a b;", "x {", "}", "\\", '"', "'", "${", "$", "#", "\n", "\r\n", "\0", "\xff", "rewrite_by_lua_block {", "--[[", "]]", "[==[", "{", ";", " "]
    for n in range(400):
        text = rng.choice(sources)
        if n % 4 == 0:
            pieces = [text[a:b] for _, a, b in reader.pieces(text)]
            for _ in range(5):
                pieces.insert(rng.randrange(len(pieces)), rng.choice(["\n#\xff { ' \n", "\t\r\n", " ", "\n# }\n"]))
            yield "".join(pieces)
            continue
        a, b = sorted(rng.randrange(len(text) + 1) for _ in range(2))
        text = text[a:b]
        for _ in range(rng.randrange(6)):
            at = rng.randrange(len(text) + 1)
            text = text[:at] + rng.choice(parts) + text[at + rng.randrange(3):]
        yield text


@pytest.mark.parametrize("seed", range(5))
def test_reader_never_loses_a_byte(seed):
    read = 0
    for text in texts_of(seed):
        pieces = list(reader.pieces(text))
        assert "".join(text[a:b] for _, a, b in pieces) == text, f"seed {seed}: {text!r}"
        assert all(a < b or kind in ("lua", "bad") for kind, a, b in pieces)
        try:
            tree = reader.parse("x", text).tree
        except reader.ConfigError as e:
            assert str(e).startswith("x:")
            continue
        read += 1
        for d in walk(tree):
            assert all(text.startswith(w.raw, w.start) for w in d.words) and d.start < d.end <= len(text)
            assert text[d.end - 1] == ("}" if d.block is not None else ";")
    assert read > 20        # else nothing but damage was tried


def walk(tree):
    for d in tree:
        yield d
        yield from walk(d.block or [])


@pytest.mark.parametrize("text, words", [
    ('a "b c" \'d\\\'e\';', ["a", "b c", "d'e"]), ("a b#c;", ["a", "b#c"]), ("a ${x}y$z;", ["a", "${x}y$z"]), ("a b\\;c;", ["a", "b\\;c"]),
    ('a "^x{2}$";', ["a", "^x{2}$"]), ('a"b;', ['a"b']), ("a #c;\n b;", ["a", "b"]), ('a "b"c;', None), ("a 'b;", None),
])
def test_words_are_nginx_s(tmp_path, text, words):
    """As nginx itself reads them: it takes what we take, or what it says is about the directive, not about its form."""
    try:
        got = [w.value for w in reader.parse("x", text).tree[0].words]
    except (reader.ConfigError, IndexError):
        got = None
    assert got == words
    conf = put(tmp_path, nginx=text)
    said = subprocess.run([NGINX, "-t", "-c", conf, "-e", "stderr"], capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False).stderr
    assert ("unknown directive" in said) == (words is not None), said


def test_lua_is_one_piece(tmp_path):
    text = 'http { access_by_lua_block { local a = "}" --}\n --[[ } ]] b = [=[}]=] if x then t = {1, {2}} end } server {} }'
    tree = reader.parse("x", text).tree
    assert [d.name for d in tree[0].block] == ["access_by_lua_block", "server"] and tree[0].block[0].lua


@pytest.mark.parametrize("path", sorted((TOP / "conf-examples").glob("*.conf")), ids=lambda p: p.name)
def test_configurations_with_nothing_to_do_stay_as_they_are(path):
    config = Configuration(str(path))
    assert Rewrite(config, Options()).texts() == {p: f.text for p, f in config.files.items()}


def test_files_beside_those_that_change_are_copied_byte_for_byte(tmp_path):
    (tmp_path / "in").mkdir()
    path = put(tmp_path / "in", odd=ODD, nginx=f"""events {{}}
http {{ include odd.conf; proxy_cache_path {tmp_path}/c keys_zone=z:1m; {location("")} }}""")
    assert run("--out", tmp_path / "new", "--nginx", "", path)[0] == 0
    assert (tmp_path / "new/odd.conf").read_bytes() == ODD
    assert "slab_cache z;" in (tmp_path / "new/nginx.conf").read_text() and (tmp_path / "new/migrate.md").exists()


def test_where_nothing_moves_nothing_is_written(tmp_path):
    text = (DATA / "lancache.conf").read_text().replace("@PREFIX@", str(tmp_path)).replace("@PORT@", "80").replace("@ORIGIN@", "127.0.0.1:1")
    path = put(tmp_path, nginx=f"events {{}} http {{ {text} }}")
    code, out, err = run("--in-place", "--nginx", "", path)     # of a module that cannot be asked nothing is supposed
    assert code == 2 and "nothing written" in err and "it caches slices" in out
    assert [p.name for p in tmp_path.iterdir()] == ["nginx.conf"] and path.read_text().endswith(f"{text} }}")


def test_in_place_keeps_the_old_files(tmp_path):
    path = put(tmp_path, odd=ODD, nginx=f"""pid {tmp_path}/pid; events {{}}
http {{ include odd.conf; access_log off; {temp_paths(tmp_path)} proxy_cache_path {tmp_path}/c keys_zone=z:1m; {location('')} }}""")
    old = path.read_bytes()
    assert run("--in-place", "--module", MODULE, "--nginx", NGINX, path)[0] == 0
    assert (tmp_path / "nginx.conf.before-slab-cache").read_bytes() == old and b"slab_cache z;" in path.read_bytes()
    assert sorted(p.name for p in tmp_path.glob("*.before-slab-cache")) == ["nginx.conf.before-slab-cache"]


def test_in_place_keeps_old_files_where_no_include_takes_them(tmp_path):
    """Debian includes all that is in sites-enabled: an old file beside the new one would define its zone again."""
    for d in ("enabled", "available"):
        (tmp_path / d).mkdir()
    for name in ("a", "b"):
        (tmp_path / "available" / name).write_text(
            f"proxy_cache_path {tmp_path}/c{name} keys_zone={name}:1m;\n{location('').replace('proxy_cache z;', f'proxy_cache {name};')}\n")
    (tmp_path / "enabled/a").symlink_to("../available/a")
    (tmp_path / "available/b").rename(tmp_path / "enabled/b")
    path = put(tmp_path, nginx=f"pid {tmp_path}/pid; events {{}}\nhttp {{ access_log off; {temp_paths(tmp_path)} include enabled/*; }}")
    code, _, err = run("--in-place", "--module", MODULE, "--nginx", NGINX, path)
    assert code == 0 and err == "", err
    assert "slab_cache a;" in (tmp_path / "available/a").read_text() and (tmp_path / "enabled/a").is_symlink()
    assert "proxy_cache a;" in (tmp_path / "available/a.before-slab-cache").read_text()
    assert "proxy_cache b;" in (tmp_path / "enabled/.b.before-slab-cache").read_text()


def test_a_dry_run_shows_the_changes_and_writes_nothing(tmp_path):
    path = put(tmp_path, nginx=f"events {{}}\nhttp {{\nproxy_cache_path {tmp_path}/c keys_zone=z:1m;\n{location('')}\n}}\n")
    old = path.read_bytes()
    code, out, _ = run("--nginx", "", path)
    assert code == 0 and f"\n-proxy_cache_path {tmp_path}/c keys_zone=z:1m;\n" in out and "\n+slab_cache_zone zone=z:256m;\n" in out
    assert path.read_bytes() == old and len(list(tmp_path.iterdir())) == 1


# ---- what stays, and what is said ---------------------------------------------------------------------------------

@pytest.mark.parametrize("body, why", [
    ("slice 1m;", "slices"), ("proxy_cache_key $uri$slice_range;", "slices"), ("proxy_cache_methods GET POST;", "POST"),
    ("proxy_cache_key $http_authorization$uri;", "$http_authorization"), ("proxy_cache_key $remote_user;", "$remote_user"),
    ("proxy_cache_key $request_body;", "$request_body"), ("if ($x) { proxy_pass http://127.0.0.1:2; }", "if block"),
])
def test_locations_that_stay_say_why(tmp_path, body, why):
    r, text, notes = rewritten(tmp_path, location(body))
    assert [c.stays for c in r.found] and why in r.found[0].stays and "slab_cache" not in text
    assert any(s == "loses" and why in t for s, t in notes)


@pytest.mark.parametrize("size, zone", [("1m", "inactive=1d"), ("5m", "max_object=5184k inactive=1d"), ("32m", "inactive=1d")])
def test_slices_move_where_the_module_stores_them(tmp_path, size, zone):
    body = f"slice {size}; proxy_cache_key $uri$slice_range; proxy_set_header Range $slice_range;"
    paths = f"proxy_cache_path {tmp_path}/c keys_zone=z:1m inactive=1d;"
    r, text, notes = rewritten(tmp_path, paths + location(body).replace(f"proxy_cache_path {tmp_path}/c keys_zone=z:1m;", ""), Features(slices=True))
    assert not any(c.stays for c in r.found) and f"zone=z:256m {zone};" in text and "slab_cache_key $uri$slice_range;" in text
    assert any(s == "loses" and "slices of 32 MB" in t for s, t in notes) == (size == "32m")


@pytest.mark.parametrize("body, severity, words", [
    ("proxy_cache_key $uri;", "differs", "no host in it"),
    ("proxy_ignore_headers Set-Cookie;", "differs", "Set-Cookie is not replayed"),
    ("proxy_cache_min_uses 20;", "differs", "15th request"),
    ("auth_basic x;", "loses", "auth_basic: all its requests"), ("", "differs", "requests with Authorization pass by"),
    ("proxy_cache_max_range_offset 1m;", "nothing", "whole response"),
    ("proxy_cache_purge PURGE from all;", "loses", "anybody could purge"),
    ("proxy_cache_purge PURGE purge_all from 10.0.0.0/8;", "differs", "PURGE /*"),
    ("proxy_cache_purge $purge_method;", "loses", "who may purge"),
    ("add_header A $upstream_cache_age$upstream_cache_etag;", "differs", "$upstream_cache_etag is empty"),
    ("header_filter_by_lua_block { ngx.header.x = ngx.var.upstream_cache_status }", "differs", "slab_cache_status"),
    ("proxy_cache_use_stale error;", "differs", "must-revalidate"),
])
def test_what_it_could_not_do_is_listed_with_severity(tmp_path, body, severity, words):
    _, _, notes = rewritten(tmp_path, location(body))
    assert any(s == severity and words in t for s, t in notes), notes


@pytest.mark.parametrize("old, new", [
    ("proxy_cache_min_uses 0;", None), ("proxy_cache_min_uses 3;", "slab_cache_min_uses 3;"),
    ("proxy_no_cache $a $b;", "slab_no_cache $a $b;"), ("proxy_cache_bypass '$a';", "slab_cache_bypass '$a';"),
    ("proxy_ignore_headers Vary X-Accel-Buffering;", "slab_cache_ignore_headers Vary; proxy_ignore_headers X-Accel-Buffering;"),
    ("proxy_ignore_headers X-Accel-Charset;", "proxy_ignore_headers X-Accel-Charset;"),
    ("proxy_cache_use_stale off;", "slab_cache_use_stale off;"),
    ("proxy_cache_purge PURGE from 127.0.0.1 10.0.0.0/8;", "slab_cache_purge PURGE from 127.0.0.1 10.0.0.0/8;"),
    ("add_header X ${upstream_cache_status}s;", "add_header X ${slab_cache_status}s;"),
    ("proxy_cache_key $scheme$proxy_host$request_uri;", "slab_cache_key ${scheme}127.0.0.1:1${request_uri};"),
])
def test_single_directives(tmp_path, old, new):
    _, text, _ = rewritten(tmp_path, location(old))
    assert (new or " proxy_cache z; ").replace(" proxy_cache z; ", " slab_cache z; ") in text
    assert old == new or old not in text


@pytest.mark.parametrize("body, moves", [
    ("proxy_cache_key $uri$http_authorization;", True), ("proxy_cache_key $uri${http_authorization};", True),
    ("proxy_cache_key $uri$remote_user; auth_basic x;", True), ("proxy_cache_key $uri$remote_user;", False),
    ("proxy_cache_key $uri$remote_user; auth_basic off;", False), ("proxy_cache_key $uri$remote_user; auth_basic x; satisfy any;", False),
    ("proxy_cache_key $http_authorization$request_body;", True)])
def test_key_with_credentials_moves_where_the_module_knows_the_word(tmp_path, body, moves):
    r, text, notes = rewritten(tmp_path, location(body), Features(keyed=True))
    assert ("slab_cache_authorization keyed;" in text) == moves == (not r.found[0].stays)
    assert not any("auth_basic" in t for _, t in notes)


@pytest.mark.parametrize("body, moves", [("", False), ("proxy_cache_key $uri$request_body;", True)])
def test_post_moves_with_a_key_where_the_module_knows_it(tmp_path, body, moves):
    r, text, _ = rewritten(tmp_path, location("proxy_cache_methods GET POST;" + body), Features(keyed=True))
    assert ("slab_cache_methods GET POST;" in text) == moves == (not r.found[0].stays)


def test_what_the_module_knows_is_used(tmp_path):
    body = location("proxy_cache_use_stale error; proxy_cache_convert_head off;")
    _, text, _ = rewritten(tmp_path, body, Features(force=True, convert_head=True))
    assert "slab_cache_use_stale error force;" in text and "slab_cache_convert_head off;" in text
    assert "convert_head" not in rewritten(tmp_path, body)[1]


def test_nginx_s_defaults_are_written_out_unless_ours_are_wanted(tmp_path):
    _, text, _ = rewritten(tmp_path, location(""))
    for line in ("slab_cache_use_stale off;", "slab_cache_background_update off;", "slab_cache_lock off;", "slab_cache_revalidate off;",
                 "slab_cache_invalidate off;", 'slab_cache_key "http://127.0.0.1:1" $request_uri $uri $is_args$args;'):
        assert line in text
    _, text, notes = rewritten(tmp_path, location(""), modern=True)
    assert "off;" not in text and "slab_cache_key" not in text and sum(t.startswith("new: ") for _, t in notes) == 5


@pytest.mark.parametrize("options, zone", [("max_size=40m", 40), ("", 256), ("max_size=10g", 1024), ("max_size=1m", 16)])
def test_the_zone_s_size_comes_from_max_size(tmp_path, options, zone):
    path = put(tmp_path, nginx=f"events {{}}\nhttp {{ proxy_cache_path {tmp_path}/c keys_zone=z:1m {options};\n{location('')} }}")
    text = Rewrite(Configuration(str(path)), Options()).texts()[str(path)]
    assert f"slab_cache_zone zone=z:{zone}m;" in text


def test_the_zone_s_size_comes_from_the_files_where_there_are_some(tmp_path):
    (tmp_path / "none").mkdir()
    (tmp_path / "none/f").write_bytes(b"x" * (40 << 20))
    _, text, notes = rewritten(tmp_path, location(""))
    assert "zone=z:50m" in text and any("1 files, 40 MB" in t for _, t in notes)


def test_an_include_that_two_kinds_of_location_use_is_not_edited(tmp_path):
    put(tmp_path, cache="proxy_cache z;\nproxy_cache_valid 1m;\n")
    r, text, _ = rewritten(tmp_path, """server { location / { proxy_pass http://127.0.0.1:1; include cache.conf; }
        location /big { slice 1m; proxy_pass http://127.0.0.1:1; include cache.conf; } }""")
    assert all(c.stays for c in r.found) and "slab_" not in "".join(r.texts().values())


def test_what_inherits_from_the_server_moves_and_what_must_stay_keeps_it(tmp_path):
    r, text, _ = rewritten(tmp_path, """server { proxy_cache z; proxy_cache_valid 1m;
        location / { proxy_pass http://127.0.0.1:1; }
        location /big { slice 1m; proxy_pass http://127.0.0.1:1; }
        location /files { root /; } }""")
    assert "proxy_cache z; proxy_cache_valid 1m; slab_cache_valid 1m;" in text
    assert "location / { proxy_cache off; slab_cache z_slab;" in text and "location /big { slice 1m;" in text
    assert "slab_cache_zone zone=z_slab:" in text and "proxy_cache_path" in text and "location /files { root /; }" in text


@pytest.mark.parametrize("text, words", [
    ("events {", 'has no "}"'), ("events }", 'unexpected "}"'), ("http { a 'b; }", "without an end"), ("a b", 'is not ended by ";"'),
    ("http { access_by_lua_block {", "Lua block without an end"), ("include nosuch.conf;", "nosuch.conf: No such file"), ("include nginx.conf;", "includes itself"),
    ("server_name {{ name }};", "A template?"),
])
def test_what_is_no_configuration_is_refused_with_its_place(tmp_path, text, words):
    path = put(tmp_path, nginx=text + "\n")
    code, out, err = run(path)
    assert code == 2 and words in err and err.endswith("; nothing written\n") and str(tmp_path) in err and err.count("\n") == 1


@pytest.mark.parametrize("second", ["", "proxy_cache z; proxy_cache_use_stale error;"])
def test_a_location_that_two_servers_include_moves_only_if_both_need_the_same(tmp_path, second):
    put(tmp_path, common="location / { proxy_pass http://127.0.0.1:1; }\n")
    r, text, _ = rewritten(tmp_path, f"""server {{ proxy_cache z; include common.conf; }}
        server {{ server_name b; {second} include common.conf; }}""")
    assert all(c.stays for c in r.found) and "slab_" not in "".join(r.texts().values())
    r, text, _ = rewritten(tmp_path, "proxy_cache z; server { include common.conf; } server { server_name b; include common.conf; }")
    assert not any(c.stays for c in r.found) and "proxy_cache" not in text
    assert "location / { slab_cache z;" in r.texts()[str(tmp_path / "common.conf")]


def test_a_zone_chosen_by_a_variable_moves_only_with_all_others(tmp_path):
    r, text, _ = rewritten(tmp_path, """map $uri $where { default z; } server { location / { proxy_pass http://127.0.0.1:1; proxy_cache $where; }
        location /big { slice 1m; proxy_pass http://127.0.0.1:1; proxy_cache z; } }""")
    assert len(r.found) == 2 and all(c.stays for c in r.found) and "slab_" not in text


def test_stale_is_bounded_by_the_zone_s_inactive_as_before(tmp_path):
    assert "slab_cache_stale if_error=30d;" in rewritten(tmp_path, location("proxy_cache_use_stale error;"))[1]


# ---- the check ----------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("body, found", [
    ("slab_cache z; proxy_cache_bypass $cookie_s;", 1), ("slab_cache z; proxy_no_cache $cookie_s $arg_x;", 1),
    ("slab_cache z; proxy_cache_bypass $a; slab_cache_bypass $b;", 1), ("slab_cache z; proxy_cache_bypass $a; slab_cache_bypass $a;", 0),
    ("slab_cache off; proxy_cache_bypass $a;", 0), ("proxy_cache z; proxy_cache_bypass $a;", 0), ("slab_cache z; fastcgi_cache_bypass $a;", 0),
])
def test_check_finds_bypass_rules_that_say_nothing(tmp_path, body, found):
    path = put(tmp_path, nginx=f"http {{ server {{ location / {{ proxy_pass http://x; {body} }} }} }}")
    code, out, _ = run("--check", path)
    assert (code, out.count("\n")) == (min(found, 1), found)
    assert not found or ("means nothing to slab_cache: write slab_" in out and f"{path}:1: " in out)


def test_check_looks_at_what_is_inherited(tmp_path):
    path = put(tmp_path, nginx="http { proxy_no_cache $a; slab_cache z; server { location / { location /x { proxy_pass http://x; } } } }")
    assert len(leaks(Configuration(str(path)))) == 1


# ---- Varnish ------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("line, words", [
    ("set req.url = std.querysort(req.url);", "slab_cache_key_args sort;"),
    ('set req.url = regsuball(req.url, "(utm_source|gclid)=[^&]+", "");', "slab_cache_key_args drop="),
    ('set req.http.Host = regsub(req.http.Host, ":[0-9]+", "");', "$host has no port"),
    ("unset req.http.Cookie;", 'proxy_set_header Cookie "";'), ("hash_data(req.http.X-Device);", "slab_cache_key"),
    ("set beresp.ttl = 1h;", "slab_cache_valid"), ("set beresp.grace = 6h;", "slab_cache_stale"), ("return (pass);", "slab_cache_bypass"),
    ("if (std.healthy(req.backend_hint)) {", "slab_cache_stale while=10s"), ("return (purge);", "slab_cache_purge PURGE from"),
    ('ban("obj.http.X-Cache-Tags ~ " + req.http.X-Tags);', "slab_cache_tags"), ('ban("req.url ~ " + req.url);', "PURGE /path/*"),
    ('ban("obj.http.Content-Type ~ image");', "no counterpart"), ("set beresp.do_esi = true;", "no counterpart"),
    ("set req.http.n = xkey.softpurge(req.http.xkey-purge);", "xkey-softpurge are understood"), ("return(pipe);", "WebSockets"),
    ("unset beresp.http.Set-Cookie;", "slab_cache_set_cookie strip;"), ("set req.hash_always_miss = true;", "slab_cache_bypass"),
])
def test_vcl_is_listed_by_idiom(tmp_path, line, words):
    path = tmp_path / "default.vcl"
    path.write_text(f"vcl 4.1;\n# {line}\n/* {line}\n{line} */\nsub vcl_recv {{\n    {line}\n}}\n")
    code, out, _ = run("--vcl", path)
    mine = [x for x in out.splitlines() if x.startswith("- ")]
    assert code == 0 and len(mine) >= 1 and all(x.startswith(f"- {path}:6: ") for x in mine) and any(words in x for x in mine), out


# ---- page caches in memcached and Redis -----------------------------------------------------------------------------

PAGE_CACHES = """events {}
http {
    log_format x "$srcache_fetch_status ${srcache_store_status}x";
    server {
        set $skip_cache 0;
        location ~ \\.php$ {
            set $key "nginx-cache:$scheme$request_method$host$request_uri";
            srcache_fetch_skip $skip_cache;
            srcache_store_skip $skip_cache;
            srcache_response_cache_control off;
            set_escape_uri $escaped_key $key;
            srcache_fetch GET /redis-fetch $key;
            srcache_store PUT /redis-store key=$escaped_key;
            srcache_store_private on;
            fastcgi_pass unix:/run/php.sock;
        }
        location /redis-fetch { internal; set $redis_key $args; redis_pass 127.0.0.1:6379; }
        location /redis-store { internal; set_unescape_uri $key $arg_key; redis2_query expire $key 14400; redis2_pass 127.0.0.1:6379; }
        location / { set $memcached_key "$uri$cookie_lang"; memcached_pass 127.0.0.1:11211; error_page 404 502 = @app; }
        location @app { proxy_pass http://127.0.0.1:8000; }
        location /raw { memcached_pass 127.0.0.1:11211; }
        location /memc { internal; set $memc_key $query_string; set $memc_exptime 300; memc_pass 127.0.0.1:11211; }
        location /pages/ { set $k $uri; set_md5 $d $k; srcache_fetch GET /memc $d; srcache_store PUT /memc $d; srcache_store_statuses 200 404;
                           srcache_methods GET HEAD; proxy_pass http://127.0.0.1:8000; }
        location /plain/ { srcache_fetch GET /memc?$uri; proxy_pass http://127.0.0.1:8000; }
    }
}
"""


def test_page_caches_in_memcached_and_redis_are_listed_with_severity_and_left_alone(tmp_path):
    path = put(tmp_path, nginx=PAGE_CACHES)
    code, out, err = run("--in-place", path)
    assert code == 2 and "nothing here moves" in err and path.read_text() == PAGE_CACHES
    by_line = {}
    for part in out.split("\n## ")[1:]:
        rows = by_line.setdefault(part.partition(":")[0].partition("\n")[0].lower(), {})
        for line, text in re.findall(r"- \S+?:(\d+): (.*)", part):
            rows.setdefault(int(line), []).append(text)
    leaks, loses, told = by_line["leaks"], by_line["loses"], by_line["for your information"]
    assert "write slab_cache_bypass $skip_cache;" in leaks[8][0] and "write slab_no_cache $skip_cache;" in leaks[9][0]
    assert "Cache-Control: private" in leaks[14][0] and "tells visitors apart" in leaks[19][0] and sorted(leaks) == [8, 9, 14, 19]
    assert ("slab_cache_valid 200 301 302 14400; slab_cache_key \"nginx-cache:$scheme$request_method$host$request_uri\"; "
            "slab_cache_ignore_headers Cache-Control Expires;") in loses[6][0]
    assert "slab_cache_valid 200 404 300; slab_cache_key $uri; slab_cache_methods GET HEAD;" in loses[23][0]
    assert "slab_cache_valid 200 301 302 300; slab_cache_key $uri;" in loses[25][0]
    assert "PUT …/v1/zones/ZONE/entry?url=URL" in loses[19][0] and sorted(loses) == [6, 19, 23, 25]
    assert sorted(told) == [17, 18, 21, 22] and "nothing tells that these are pages" in told[21][0]
    assert "$slab_cache_status" in by_line["differs"][3][0]


def test_what_is_proposed_for_them_is_taken_by_nginx(nginx, tmp_path):
    _, out, _ = run(put(tmp_path, nginx=PAGE_CACHES))
    lines = re.findall(r"slab_cache in its place: (.*)", out)
    assert len(lines) == 3
    for line in lines:
        code, said = nginx.test_config(location="location / { proxy_pass http://127.0.0.1:1; " + line.replace("ZONE", "one") + " }")
        assert code == 0, said


# ---- purging ------------------------------------------------------------------------------------------------------

def test_a_purge_location_becomes_a_purge_of_this_server(make_nginx, origin, tmp_path):
    n = make_nginx()
    origin.handle("*", lambda request: Reply("page", headers=["Cache-Control: max-age=60"]))
    (n.prefix / "html/index.php").touch()
    (n.prefix / "old.conf").write_text(f"""user root; daemon off; pid {n.prefix}/nginx.pid; error_log {n.prefix}/error.log notice; events {{}}
http {{
    access_log off;
    {temp_paths(n.prefix / "tmp")}
    proxy_cache_path {n.prefix}/c keys_zone=z:1m;
    server {{
        listen 127.0.0.1:{n.port};
        root {n.prefix}/html;
        location / {{ index index.php; try_files $uri $uri/ /index.php?$args; }}
        location ~ \\.php$ {{ proxy_pass http://{origin.address}; proxy_cache z; proxy_cache_key $scheme$request_method$host$request_uri;
                     add_header X-Cache $upstream_cache_status; }}
        location ~ /purge(/.*) {{ proxy_cache_purge z "$scheme$request_method$host$1"; }}
    }}
}}
""")
    code, out, err = run("--out", n.prefix / "new", "--module", MODULE, "--nginx", NGINX, n.prefix / "old.conf")
    assert code == 0 and not err and "anybody could purge" in out
    n.start(text=(n.prefix / "new/old.conf").read_text())
    for path in ("/x", "/"):            # the second is a directory: index leads on from there, for GET alone
        assert [n.get(path).cache for _ in range(2)] == ["MISS", "HIT"]
        assert n.get("/purge" + path).status == 200 and n.get(path).cache == "MISS", path


def test_it_needs_nothing_but_python(tmp_path):
    p = subprocess.run([sys.executable, "-S", "-I", TOP / "tools/migrate", "--help"], capture_output=True, text=True, stdin=subprocess.DEVNULL,
                       env={"PATH": os.environ["PATH"]}, check=False)
    assert p.returncode == 0 and "--check" in p.stdout, p.stderr


@pytest.mark.skipif(not os.path.exists("/usr/sbin/nginx"), reason="nginx is elsewhere")
def test_nginx_is_found_where_an_ordinary_user_s_path_has_it_not(tmp_path):
    (tmp_path / "bin").mkdir()
    (tmp_path / "nginx.conf").write_text(f"events {{ }} http {{ proxy_cache_path {tmp_path}/c keys_zone=z:1m; {location('')} }}")
    p = subprocess.run([sys.executable, TOP / "tools/migrate", "--out", tmp_path / "new", tmp_path / "nginx.conf"], capture_output=True, text=True,
                       stdin=subprocess.DEVNULL, env={"PATH": str(tmp_path / "bin")}, check=False)
    assert p.returncode in (0, 1) and "nginx: No such file" not in p.stderr, p.stderr
