"""Whatever filters are on: nobody hangs, and who asks gets what the same nginx gives without the cache.

A path says what it is: /filter/control/shape/order. Each filter is a location, in an nginx with the cache and in one without. The
origin answers by control (stored or not) and shape (how its writes come); the order is what clients ask, one after the other."""
import concurrent.futures
import gzip
import pathlib
import re
import signal
import struct
import subprocess
import zlib

import pytest
from harness import modules
from harness.client import Connection
from harness.origin import Reply

SMALL = b"<p>some text " + b"some more text, " * 200 + b"and the last text</p>\n"
LARGE = b"".join(b"<p>%06d text</p>\n" % i for i in range(6000))
XML = b"<?xml version='1.0'?><d>" + b"".join(b"<i>%d</i>" % i for i in range(500)) + b"</d>"
XSLT = """<?xml version="1.0"?><xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform"><xsl:output method="html"/>
<xsl:template match="/"><b><xsl:for-each select="d/i"><xsl:value-of select="."/>,</xsl:for-each></b></xsl:template></xsl:stylesheet>"""


def png(side=64):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    rows = b"".join(b"\0" + bytes((x * y * 7 + c) & 255 for x in range(side) for c in range(3)) for y in range(side))
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0))
            + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


PNG = png()
SSI = b'<p>uri <!--# echo var="ssi" --></p>' + SMALL
INCLUDE = (b'head <!--# include virtual="/part/max-age=60/one/a" --> and <!--# include virtual="/part/no-store/two/b" -->' + SMALL
           + b'<!--# include virtual="/part/max-age=60/slow/c" --> tail')
CYRILLIC = "текст ".encode("koi8-r") * 900
GZIP = "gzip on; gzip_types *; gzip_min_length 0;"
LUA_UPPER = "header_filter_by_lua_block { ngx.header.content_length = nil } body_filter_by_lua_block { ngx.arg[1] = string.upper(ngx.arg[1]) }"
LUA_WHOLE = """header_filter_by_lua_block { ngx.header.content_length = nil }
    body_filter_by_lua_block {
        ngx.ctx.all = (ngx.ctx.all or "") .. ngx.arg[1]
        ngx.arg[1] = ngx.arg[2] and string.reverse(ngx.ctx.all) or nil }"""

# name: (directives, module, body, content type, Accept-Encoding)
TEXT = {
    "none": ("", None, "gzip"),
    "gzip": (GZIP, None, "gzip"),
    "gzip_default": ("gzip on;", None, "gzip"),
    "gzip_buffers": (GZIP + "gzip_buffers 4 4k; gzip_comp_level 9;", None, "gzip"),
    "gzip_window": (GZIP + "gzip_hash 8k; gzip_window 16k;", None, "gzip"),
    "gzip_postponed": (GZIP + "postpone_gzipping 4k;", None, "gzip"),
    "gzip_unbuffered": (GZIP + "proxy_buffering off;", None, "gzip"),
    "gzip_refused": (GZIP, None, "identity"),
    "postpone_output": ("postpone_output 0;", None, "gzip"),
    "small_output": ("output_buffers 1 1k; sendfile_max_chunk 1k; proxy_buffers 4 4k; proxy_busy_buffers_size 4k; proxy_buffer_size 4k;",
                     None, "gzip"),
    "brotli": ("brotli on; brotli_types *; brotli_min_length 0;", "http_brotli_filter", "br"),
    "brotli_and_gzip": ("brotli on; brotli_types *; brotli_min_length 0;" + GZIP, "http_brotli_filter", "gzip, br"),
    "sub": ("sub_filter_types *; sub_filter text TEXT; sub_filter_once off;", None, "gzip"),
    "sub_gzip": ("sub_filter_types *; sub_filter text TEXT; sub_filter_once off;" + GZIP, None, "gzip"),
    "subs": ("subs_filter_types *; subs_filter text TEXT;", "http_subs_filter", "gzip"),
    "subs_gzip": ("subs_filter_types *; subs_filter t(.)xt T$1XT r;" + GZIP, "http_subs_filter", "gzip"),
    "addition": ("addition_types *; add_before_body /part/max-age=60/two/x; add_after_body /part/no-store/slow/y;", None, "gzip"),
    "addition_gzip": ("addition_types *; add_after_body /part/max-age=60/two/z;" + GZIP, None, "gzip"),
    "lua": (LUA_UPPER, "http_lua", "gzip"),
    "lua_gzip": (LUA_UPPER + GZIP, "http_lua", "gzip"),
    "lua_whole": (LUA_WHOLE, "http_lua", "gzip"),
    "limit_rate": ("limit_rate 400k; limit_rate_after 1k;", None, "gzip"),
    "limit_rate_gzip": ("limit_rate 100k;" + GZIP, None, "gzip"),
    "ssi_plain": ("ssi on; ssi_types *;", None, "gzip"),
    "unbuffered": ("proxy_buffering off;", None, "gzip"),
    "ranges": ("max_ranges 0;", None, "gzip"),
}
FILTERS = {name: (conf, module, SMALL, "text/html", coding) for name, (conf, module, coding) in TEXT.items()}
FILTERS |= {
    "gunzip": ("gunzip on; proxy_set_header Accept-Encoding gzip;", None, gzip.compress(SMALL, mtime=0), "text/html", "identity"),
    "gunzip_sub": ("gunzip on; gunzip_buffers 4 4k; sub_filter_types *; sub_filter text TEXT;", None, gzip.compress(LARGE, mtime=0),
                   "text/html", "identity"),
    "ssi": ("ssi on; ssi_types *;", None, SSI, "text/html", "gzip"),
    "ssi_gzip": ("ssi on; ssi_types *;" + GZIP, None, SSI, "text/html", "gzip"),
    "ssi_include": ("ssi on; ssi_types *;", None, INCLUDE, "text/html", "gzip"),
    "ssi_include_gzip": ("ssi on; ssi_types *; sub_filter text TEXT; " + GZIP, None, INCLUDE, "text/html", "gzip"),
    "xslt": ("xslt_types *; xslt_stylesheet {prefix}/one.xslt;", "http_xslt_filter", XML, "text/xml", "gzip"),
    "xslt_gzip": ("xslt_types *; xslt_stylesheet {prefix}/one.xslt;" + GZIP, "http_xslt_filter", XML, "text/xml", "gzip"),
    "image": ("image_filter resize 20 20;", "http_image_filter", PNG, "image/png", "gzip"),
    "image_size": ("image_filter size;", "http_image_filter", PNG, "image/png", "gzip"),
    "image_test": ("image_filter test; image_filter_buffer 4M;", "http_image_filter", PNG, "image/png", "gzip"),
    "image_gzip": ("image_filter rotate 90; image_filter_interlace on;" + GZIP, "http_image_filter", PNG, "image/png", "gzip"),
    "charset": ("source_charset koi8-r; charset utf-8; charset_types *; override_charset on;", None, CYRILLIC, "text/html", "gzip"),
    "charset_gzip": ("source_charset koi8-r; charset utf-8; charset_types *;" + GZIP, None, CYRILLIC, "text/html", "gzip"),
}
MODULES = sorted({module for _, module, *_ in FILTERS.values() if module})
FILTERS = {name: f for name, f in FILTERS.items() if f[1] is None or modules.has(f[1])}

CONTROLS = ("max-age=60", "no-store", "no-cache")     # stored; not stored; stored only with a validator, which it lacks
SHAPES = ("one", "two", "slow", "chunked", "cut", "cut_chunked", "large")
# G(ET), H(EAD), R(ange), P: two GETs at once. The first finds nothing stored.
ORDERS = ("GGHR", "HG", "RGR", "PG")


def body_of(name, shape):
    body = FILTERS[name][2]
    return LARGE + b"large text\n" if shape == "large" and body is SMALL else body


def answer(name, control, shape):
    body = SMALL[:300] if name == "part" else body_of(name, shape)
    kind = "text/html" if name == "part" else FILTERS[name][3]
    headers = [f"Content-Type: {kind}", f"Cache-Control: {control}"]
    headers += ["Content-Encoding: gzip"] if name.startswith("gunzip") else []
    half, third = len(body) // 2, len(body) // 3
    if shape == "one":
        return Reply(raw=Reply(body, headers=headers + ["Connection: close"]).header() + body)
    return {
        "two": Reply([0.02, body], headers=headers),
        "large": Reply([0.01, body], headers=headers),
        "slow": Reply([0.02, body[:third], 0.02, body[third:2 * third], 0.02, body[2 * third:]], headers=headers),
        "chunked": Reply([body[:half], 0.02, body[half:]], headers=headers, framing="chunked"),
        "cut": Reply([0.02, body], headers=headers, truncate=half),
        "cut_chunked": Reply([body], headers=headers, framing="chunked", truncate=half),
    }[shape]


def by_path(request):
    _, name, control, shape = request.target.split("/")[:4]
    return answer(name, control, shape)


def configuration(n, origin):
    locations = "".join(f"location /{name}/ {{ slab_cache one; {f[0].replace('{prefix}', str(n.prefix))} proxy_pass http://{origin.address}; }}\n"
                        for name, f in FILTERS.items())
    http = "".join((modules.LUA_PATH if modules.has("http_lua") else "", "include /etc/nginx/koi-utf;",
                    "image_filter_buffer 4M;" if modules.has("http_image_filter") else ""))
    return {"main": modules.load(*MODULES), "http": http, "server": "set $ssi value; proxy_http_version 1.1;",
            "location": f"location /part/ {{ slab_cache one; proxy_pass http://{origin.address}; }}\n" + locations}


def without_cache(text):
    """The same configuration for nginx alone."""
    drop = ("slab_cache_zone zone=one:16m;", "load_module modules/ngx_http_slab_cache_module.so;",
            "add_header X-Cache $slab_cache_status always;", "add_header X-Reason $slab_cache_reason always;",
            "slab_cache one;", "slab_cache off;")
    for words in drop:
        text = text.replace(words, "")
    assert "slab_cache" not in text, text
    return text


# ---- asking -----------------------------------------------------------------------------------------------------

CUT = "cut"
TIMEOUT = 20
# Where an answer that is cut ends: other filters hold what they have until nginx gives up its client, without a cache, too.
CUT_FILTERS = ("none", "gzip", "gzip_buffers", "gzip_unbuffered", "small_output", "brotli", "sub", "lua", "limit_rate", "unbuffered", "xslt")


def decode(body, coding):
    if coding == "gzip":
        return gzip.decompress(body)
    return modules.brotli_decode(body) if coding == "br" else body


def ask(address, path, what, coding, timeout=TIMEOUT):
    """(status, coding, decoded body, or that it was cut, or what else went wrong)"""
    method = "HEAD" if what == "H" else "GET"
    headers = [f"Accept-Encoding: {coding}", "Connection: close"] + (["Range: bytes=7-1300"] if what == "R" else [])
    try:
        with Connection(address, timeout=timeout) as c:
            c.send(path, method, headers=headers)
            answer = c.read_header()
            try:
                c.read_body(answer, method)
            except EOFError:
                return answer.status, CUT, CUT
            if answer.header("Transfer-Encoding") is None and answer.header("Content-Length") is None and what != "H":
                return answer.status, CUT, "neither length nor chunks"
            coded = answer.header("Content-Encoding")
            return answer.status, coded, decode(answer.body, coded) if method == "GET" else b""
    except (OSError, EOFError, ValueError, zlib.error) as e:
        return "HANG" if isinstance(e, TimeoutError) else "BROKEN", None, repr(e)


def judge(what, got, plain, is_cut):
    """None, or what is wrong with it."""
    status, _, body = got
    if is_cut and (status == "BROKEN" or body == CUT or isinstance(status, int) and status >= 400):
        return None                 # the client can see that it is not whole
    if not isinstance(status, int):
        return f"{status}: {body}"
    if what == "R" and status == 206:
        return None if body == plain[2][7:1301] else "another part than was asked for"
    if what == "H" and plain[0] != 200:
        return None                 # image_filter and xslt want a body
    if status != plain[0]:
        return f"status {status}, without the cache {plain[0]}"
    if what == "H":
        return None
    if is_cut:
        return "whole, which it cannot be"
    if body != plain[2]:
        return f"{len(body)} bytes {body[:60]!r}, without the cache {len(plain[2])} {plain[2][:60]!r}"
    return None if got[1] == plain[1] else f"coding {got[1]}, without the cache {plain[1]}"


class Run:
    def __init__(self, cached, plain):
        self.cached, self.plain, self.wrong, self.asked = cached, plain, [], 0

    def one(self, name, shape):
        coding, references = FILTERS[name][4], {}
        for what in "GH":
            whole = "two" if shape.startswith("cut") else shape
            references[what] = ask(self.plain.address, f"/{name}/max-age=60/{whole}/ref", what, coding)
        is_cut = shape.startswith("cut")
        if references["G"][0] != 200:
            self.wrong.append(f"{name} {shape}: without the cache {references['G']}")
            return
        for control in CONTROLS:
            for order in ORDERS:
                path = f"/{name}/{control}/{shape}/{order}"
                for i, what in enumerate(order):
                    for got in self.ask(path, what, coding):
                        wrong = judge(what, got, references["G" if what in "GPR" else "H"], is_cut)
                        self.asked += 1
                        if wrong:
                            self.wrong.append(f"{path} request {i} ({what}): {wrong}")

    def ask(self, path, what, coding):
        if what != "P":
            return [ask(self.cached.address, path, what, coding)]
        with concurrent.futures.ThreadPoolExecutor(2) as two:
            return list(two.map(lambda _: ask(self.cached.address, path, "G", coding), range(2)))


def quit_in_time(n):
    """Nothing that a request left behind keeps a worker."""
    n.process.send_signal(signal.SIGQUIT)
    n.process.wait(15)


@pytest.mark.parametrize("module", MODULES)
def test_filter_is_tested(module):
    modules.need(module)


def test_every_filter_gives_what_nginx_gives(make_nginx, origin):
    origin.handle("*", by_path)
    cached, plain = make_nginx(), make_nginx()
    for n in (cached, plain):
        (n.prefix / "one.xslt").write_text(XSLT)
        text = n.config(**configuration(n, origin))
        n.start(text=text if n is cached else without_cache(text))
    run = Run(cached, plain)
    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        jobs = [pool.submit(run.one, name, shape) for shape in SHAPES for name in FILTERS
                if not shape.startswith("cut") or name in CUT_FILTERS]
        for job in jobs:
            job.result()
    assert not run.wrong, f"{len(run.wrong)} of {run.asked}:\n" + "\n".join(sorted(run.wrong))
    quit_in_time(cached)


def test_every_filter_gives_it_by_http2_and_tls(make_nginx, origin, certificate):
    origin.handle("*", by_path)
    cached, plain = make_nginx(), make_nginx()
    cert, key = certificate
    ports = {}
    for n in (cached, plain):
        (n.prefix / "one.xslt").write_text(XSLT)
        ports[n] = n.another_port()
        conf = configuration(n, origin)
        conf["server"] += f"listen 127.0.0.1:{ports[n]} ssl http2; ssl_certificate {cert}; ssl_certificate_key {key};"
        text = n.config(**conf)
        n.start(text=text if n is cached else without_cache(text))

    def fetch(n, name, how, paths):
        """By one curl, one after the other on one connection; its exit code, and (status, body) of each."""
        names = [str(n.prefix / f"{name}{how}{i}") for i in range(len(paths))]
        outputs = [arg for path, out in zip(paths, names) for arg in ("-o", out, f"https://localhost:{ports[n]}{path}")]
        p = subprocess.run(["curl", "-sS", "-k", "-i", how, "--max-time", str(TIMEOUT), "--resolve", f"localhost:{ports[n]}:127.0.0.1",
                            "-H", f"Accept-Encoding: {FILTERS[name][4]}", *outputs],
                           stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        answers = []
        for out in names:
            head, _, body = pathlib.Path(out).read_bytes().partition(b"\r\n\r\n")
            coding = re.search(rb"^content-encoding: (\S+)", head, re.M | re.I)
            answers.append((head.split(b" ")[1], decode(body, coding and coding[1].decode())))
        return p.returncode, answers

    def compare(name, how):
        paths = [f"/{name}/{control}/{shape}/{how}{again}" for control in CONTROLS[:2]
                 for shape in ("two", "slow", "large") for again in ("", "", "x")]
        try:
            got, want = fetch(cached, name, how, paths), fetch(plain, name, how, paths)
        except (OSError, ValueError, IndexError, zlib.error) as e:
            return f"{name} {how}: {e!r}"
        wrong = [path for path, a, b in zip(paths, got[1], want[1]) if a != b]
        return f"{name} {how}: curl says {got[0]}, {want[0]} without the cache; {wrong}" if wrong or got[0] != want[0] else None

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        jobs = [pool.submit(compare, name, how) for name in FILTERS for how in ("--http1.1", "--http2")]
        wrong = [w for job in jobs if (w := job.result())]
    assert not wrong, "\n".join(wrong)
    quit_in_time(cached)
