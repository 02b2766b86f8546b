"""What stands before the application: our example, nothing, nginx's cache, Varnish."""
import os
import shutil
import subprocess

from harness.example import adapted
from harness.nginx import Nginx
from harness.wait import wait_until

HEAD = """pid logs/nginx.pid;
error_log logs/error.log;
worker_processes 2;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    {http}
    server {{
        listen 127.0.0.1:8080;
        {locations}
    }}
}}
"""
PATH = "{family}_cache_path cache keys_zone=pages:10m max_size=64m; "
USUAL = """{family}_cache pages; {family}_cache_valid 200 301 10m; {family}_cache_valid 404 1m; {family}_cache_lock on;
    {family}_cache_bypass {skip}; {family}_no_cache {skip}; """
KEY = "{family}_cache_key $scheme$http_host$request_uri; "
# By hand what slab_cache_vary, slab_cache_key_args and the language map do; nothing purges.
TUNED_HTTP = """
    map $http_accept_language $asked_language {{
        default en; "~*(?:^|,) *(?<first_language>de|en)\\b" $first_language; }}
    map $http_cookie $language {{
        default $asked_language; "~django_language=(?<known_language>de|en)" $known_language; }}
    map $args $kept_args {{ default $args; "~^(?:utm_|fbclid|gclid)[^&]*(?:&(?:utm_|fbclid|gclid)[^&]*)*$" ""; }}"""
TUNED = """proxy_ignore_headers Vary; proxy_set_header Accept-Language $language;
    proxy_cache_key $scheme$http_host$uri?$kept_args$language$cookie_sessionid$cookie_messages; """
VCL = """vcl 4.1;
backend default {{ .path = "{socket}"; }}
"""
TUNED_VCL = (
    VCL
    + """
sub vcl_recv {{
    set req.url = regsuball(req.url, "(utm_[a-z]+|fbclid|gclid)=[^&]*&?", "");
    set req.url = regsub(req.url, "[?&]$", "");
    if (req.http.Cookie !~ "(^|; ?)({session}|messages|csrftoken|django_language)=") {{ unset req.http.Cookie; }}
    if (req.http.Accept-Language ~ "(?i)^(?!.*\\ben\\b.*\\bde\\b).*\\bde\\b") {{ set req.http.Accept-Language = "de"; }}
    else {{ set req.http.Accept-Language = "en"; }}
}}
"""
)


class NginxFront:
    """`text` as a file of conf-examples has it, for the port 8080."""

    def __init__(self, site, text):
        self.nginx = Nginx()
        self.address, self.host = self.nginx.address, f"127.0.0.1:{self.nginx.port}"
        self.directory = self.nginx.prefix
        self.has_api = "slab_cache_api" in text or "slab_cache_purge" in text
        self.text = adapted(text, self.nginx)

    def start(self):
        self.nginx.start(text=self.text)

    def stop(self):
        """What it had to complain of."""
        self.nginx.stop()
        complaints = self.nginx.complaints()
        self.nginx.clean_up(keep=bool(complaints))
        return complaints


class VarnishFront(NginxFront):
    """Its parts lie in the directory of an nginx that never starts."""

    def __init__(self, site, vcl):
        super().__init__(site, "")
        self.vcl = vcl.format(socket=self.directory / f"{site.name}.sock", session=site.session)
        self.process = None

    def start(self):
        (self.directory / "site.vcl").write_text(self.vcl)
        for sock in self.nginx._reserved:
            sock.close()
        user = ["-j", "none"] if os.getuid() == 0 else []
        with open(self.directory / "varnish.log", "wb") as log:
            self.process = subprocess.Popen(
                [
                    shutil.which("varnishd") or "/usr/sbin/varnishd",
                    "-F",
                    *user,
                    "-n",
                    str(self.directory / "varnish"),
                    "-a",
                    self.host,
                    "-f",
                    str(self.directory / "site.vcl"),
                    "-s",
                    "malloc,64m",
                    "-p",
                    "default_ttl=600",
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        wait_until(lambda: self.process.poll() is not None or self.nginx._listens(), "varnishd listens", 60)
        assert self.process.poll() is None, (self.directory / "varnish.log").read_text()

    def stop(self):
        self.process.terminate()
        self.process.wait(20)
        return super().stop()


def has_varnish():
    return bool(shutil.which("varnishd")) or os.path.exists("/usr/sbin/varnishd")


def _nginx(http="", cache=""):
    def make(site):
        words = {"family": site.family, "skip": site.skip}
        return NginxFront(
            site, HEAD.format(http=site.http + http.format(**words), locations=site.locations(cache.format(**words)))
        )

    return make


def _usual(site):
    """As public configurations have it: who is known by a cookie passes by."""
    return _nginx(PATH, USUAL if site.family == "proxy" else USUAL + KEY)(site)


def _only_valid(site):
    """README's one line, and lifetimes."""
    text = HEAD.format(
        http=site.http + "slab_cache_zone zone=pages:64m;",
        locations=site.locations("slab_cache pages; slab_cache_valid 200 301 10m;"),
    )
    return NginxFront(site, "load_module modules/ngx_http_slab_cache_module.so;\n" + text)


OURS, NOTHING, USUALLY = "slab_cache, this example", "no cache", "nginx's cache, as usual"
FRONTS = {OURS: lambda site: NginxFront(site, site.example), NOTHING: _nginx(), USUALLY: _usual}
# With Django alone: what else there is.
MORE_FRONTS = {
    "slab_cache, slab_cache_valid alone": _only_valid,
    "proxy_cache, tuned by hand": _nginx(PATH + TUNED_HTTP, USUAL + TUNED),
    "Varnish, built-in VCL": lambda site: VarnishFront(site, VCL),
    "Varnish, tuned by hand": lambda site: VarnishFront(site, TUNED_VCL),
}
