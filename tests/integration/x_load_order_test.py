"""load_module in any order: nginx sorts the modules that say where they belong, and of one that does not the start speaks."""
import pathlib
import subprocess

import pytest
from harness.modules import load, need
from harness.nginx import MODULE, NGINX
from harness.origin import Reply

OURS = "load_module modules/ngx_http_slab_cache_module.so;"
WARNING = "filters responses before slab_cache stores them: its load_module must stand before that of ngx_http_slab_cache_module.so"
KNOWN = ("http_brotli_filter", "http_echo", "http_fancyindex", "http_image_filter", "http_lua", "http_perl", "http_subs_filter", "http_xslt_filter")

# Puts its header filter before all that are there, and says nothing of its place: as an addon of the type HTTP_INIT_FILTER does.
SOURCE = r"""
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
static ngx_http_output_header_filter_pt next;
static ngx_int_t filter(ngx_http_request_t *r) { return next(r); }
static ngx_int_t init(ngx_conf_t *cf) { next = ngx_http_top_header_filter; ngx_http_top_header_filter = filter; return NGX_OK; }
static ngx_http_module_t ctx = { NULL, init, NULL, NULL, NULL, NULL, NULL, NULL };
ngx_module_t ngx_http_early_module = { NGX_MODULE_V1, &ctx, NULL, NGX_HTTP_MODULE, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NGX_MODULE_V1_PADDING };
ngx_module_t *ngx_modules[] = { &ngx_http_early_module, NULL };
char *ngx_module_names[] = { "ngx_http_early_module", NULL };
char *ngx_module_order[] = { NULL };
"""


@pytest.fixture(scope="module")
def early_module(tmp_path_factory):
    """A module of another's making, built beside ours."""
    objs = MODULE.resolve().parent / "objs"
    sources = pathlib.Path("/usr/share/nginx/src/src")
    if NGINX != "/usr/sbin/nginx" or not (objs / "ngx_auto_config.h").exists() or not sources.is_dir():
        pytest.skip("the headers that this nginx was built with are not here")
    d = tmp_path_factory.mktemp("early")
    (d / "early.c").write_text(SOURCE)
    include = [f"-I{sources / p}" for p in ("core", "event", "event/modules", "os/unix", "http", "http/modules", "http/v2")]
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", d / "early.so", d / "early.c", *include, f"-I{objs}"], check=True, capture_output=True)
    return d / "early.so"


def configuration(nginx, modules):
    return nginx.config("location / { slab_cache one; return 200; }").replace(OURS, modules, 1)


def test_a_filter_before_ours_is_told(nginx, early_module):
    code, said = nginx.test_config(configuration(nginx, f"{OURS} load_module {early_module};"))
    assert code == 0 and f'"{early_module}" {WARNING}' in said
    code, said = nginx.test_config(configuration(nginx, f"load_module {early_module}; {OURS}"))
    assert code == 0 and WARNING not in said


def test_modules_that_say_where_they_belong_may_stand_anywhere(nginx):
    code, said = nginx.test_config(configuration(nginx, OURS + load(*KNOWN)))
    assert code == 0 and WARNING not in said, said


@pytest.mark.parametrize("ours_first", [True, False])
def test_a_filter_works_on_hits_in_either_order(nginx, origin, ours_first):
    need("http_subs_filter")
    other = load("http_subs_filter")
    origin.reply("/", "one two", headers=["Cache-Control: max-age=600", "Content-Type: text/html"])
    config = nginx.config(f"location / {{ slab_cache one; subs_filter one $http_x_word; proxy_pass http://{origin.address}; }}")
    nginx.start(text=config.replace(OURS, OURS + other if ours_first else other + OURS, 1))
    assert [nginx.get("/", ("X-Word", w)).text for w in ("red", "green", "blue")] == ["red two", "green two", "blue two"]
    assert origin.hits("/") == 1
