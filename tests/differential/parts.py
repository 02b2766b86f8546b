"""Parts of configurations, as people write them. Each takes the generator, adds locations to it, and names targets worth asking for."""
from conf import HEADERS, node

PARTS = []


def part(function):
    PARTS.append(function)
    return function


def proxy(g, backend=None, uri=""):
    return node(f"proxy_pass http://<{backend or g.backend()}>{uri}")


@part
def prefix(g):
    name = g.name()
    g.location(f"/{name}/", proxy(g, uri=g.pick("", "", "/pre/", "/pre/$is_args")) if g.chance(.8) else proxy(g))
    g.aim(f"/{name}/%p", f"/{name}/%p?x=1")


@part
def root_proxy(g):
    g.location("/", proxy(g))
    g.aim("/%p", "/%p?a=b", "/deep/%p")


@part
def front_named(g):
    app = g.named(proxy(g))
    prefix_ = g.pick("/", f"/{g.name()}/")
    g.location(prefix_, node(f"try_files $uri {g.pick('', '$uri/ ')}@{app}"), content=g.chance(.5))
    g.aim(prefix_ + "%p", prefix_ + "%p?q=1", "/a.txt")


@part
def front_php(g):
    g.location("/", node(f"try_files $uri {g.pick('', '$uri/ ')}/index.php{g.pick('?$args', '$is_args$args', '')}"), content=g.chance(.5))
    php(g)
    g.aim("/%p", "/%p?q=1", "/news/%p", "/index.php?%p")


def php(g):
    more = [node("fastcgi_split_path_info ^(.+?[.]php)(/.*)$")] if g.chance(.4) else []
    pattern = g.pick(r"~ \.php$", r"~ \.php$", r"~ ^(.+\.php)(/|$)", r"~ [^/]\.php(/|$)")
    g.location(pattern, *more, g.pick(node("fastcgi_pass <f0>"), node("fastcgi_pass <f0>"), proxy(g)))


@part
def regex_zoo(g):
    """Several regular expressions are tried; what the last one leaves in the request's captures is nginx's secret."""
    name = g.name()
    g.location(rf"~ ^/purge(/.*)", node("return 204"), content=False)
    g.location(rf"~ ^/{name}/(?<who>p[0-9]+)/(.*)$", node("return 200 \"$who\\n\""), content=False)
    g.location(rf"~ ^/{name}/.*[.]php$", g.pick(node("fastcgi_pass <f0>"), proxy(g)))
    g.location(rf"~* /{name}/(p[0-9]+)[.]html$", proxy(g, uri="/html/$1$is_args$args"))
    g.aim(f"/{name}/%p.php", f"/{name}/%p.html", f"/{name}/%p.html?x", f"/{name}/%p.php?y=2")


@part
def rewrite_break(g):
    name, pattern = g.name(), g.pick("^/{0}/(.*)$ /$1 break", "^/{0}/(.*)$ /v1/$1 break", "^ /fixed/p1 break", "^/{0}/(.*)$ /$1? break")
    g.location(f"/{name}/", node("rewrite " + pattern.format(name)), proxy(g))
    g.aim(f"/{name}/%p", f"/{name}/%p?k=1", "/%p")


@part
def rewrite_last(g):
    name, to = g.name(), g.name()
    g.location(f"/{to}/", proxy(g))
    g.location(f"/{name}/", node(f"rewrite ^/{name}/(.*)$ /{to}/$1{g.pick('', '?q=1')} last"), content=g.chance(.3))
    g.aim(f"/{name}/%p", f"/{to}/%p", f"/{name}/%p?z=1")


@part
def rewrite_server(g):
    name, to = g.name(), g.name()
    g.location(f"/{to}/", proxy(g))
    g.server.append(node(f"rewrite ^/{name}/(.*)$ {g.pick(f'/{to}/$1', f'/{to}/p1')}{g.pick('', ' last', ' break')}"))
    g.aim(f"/{name}/%p", f"/{to}/%p")


@part
def redirects(g):
    name = g.name()
    g.location(f"/{name}/", g.pick(node("return 301 $scheme://$host/moved$request_uri"), node("return 302 /x?u=$cookie_u"),
                                   node(f"rewrite ^/{name}/(.*)$ /n/$1 redirect"), node("return 200 \"$uri $cookie_u\\n\""),
                                   node("return 404"), node("return 444") if g.chance(.1) else node("return 410")))
    g.aim(f"/{name}/%p")


@part
def auth_request(g):
    name = g.name()
    more = [node(f"error_page 401 {g.pick('= ', '', '=200 ')}@{g.named(proxy(g))}")] if g.chance(.6) else []
    g.auth()
    g.location(f"/{name}/", node("auth_request /auth"), *more, proxy(g))
    g.aim(f"/{name}/%p", f"/{name}/%p")


@part
def auth_behind(g):
    """The door is in the location that the request is sent on to."""
    name = g.name()
    g.auth()
    door = g.pick([node("auth_request /auth")], [node("allow 10.0.0.1"), node("deny all")], g.basic())
    if g.chance(.5):
        app = g.named(*door, proxy(g))
        g.location(f"/{name}/", g.pick(node(f"try_files $uri @{app}"), node(f"error_page 404 = @{app}")), content=g.chance(.7))
    else:
        g.location(f"= /{name}.php", *door, proxy(g))
        g.location(f"/{name}/", node(f"try_files $uri /{name}.php?$args"), content=g.chance(.7))
    g.aim(f"/{name}/%p")


@part
def deny(g):
    name = g.name()
    door = g.pick([node("allow 10.0.0.1"), node("deny all")], [node("deny 6.6.6.6")], g.basic(),
                  [node(f"satisfy {g.pick('any', 'all')}"), node("allow 10.0.0.1"), node("deny all"), *g.basic()])
    more = [node(f"error_page {g.pick('403', '401 403')} {g.pick('= ', '', '=200 ')}{g.target()}")] if g.chance(.5) else []
    g.location(f"/{name}/", *door, *more, proxy(g))
    if g.chance(.5):
        g.location(f"/open{name}/", node(f"rewrite ^/open{name}/(.*)$ /{name}/$1 break"), proxy(g))
        g.aim(f"/open{name}/%p")
    g.aim(f"/{name}/%p", f"/{name}/%p")


@part
def intercept(g):
    name = g.name()
    on = [node("proxy_intercept_errors on")] if g.chance(.8) else []
    more = [node("recursive_error_pages on")] if g.chance(.2) else []
    g.location(f"/{name}/", *on, *more, node(f"error_page {g.pick('404', '404 500 503', '500 502 503 504', '403 404')} "
                                             f"{g.pick('= ', '', '=200 ', '=503 ')}{g.target()}"), proxy(g))
    g.aim(f"/{name}/%p", f"/{name}/%p")


@part
def fallback(g):
    name = g.name()
    app = g.named(*([node(f"rewrite ^ /{name}p2 break")] if g.chance(.3) else []), proxy(g))
    kind = g.pick([node("root /nonexistent"), node(f"error_page 404 = @{app}")],
                  [node(f"error_page 502 504 = @{app}"), node("proxy_pass http://<dead>")],
                  [node("root <root>"), node(f"error_page 403 404 = @{app}")])
    g.location(f"/{name}/", *kind)
    g.aim(f"/{name}/%p", f"/{name}/%p")


@part
def accel(g):
    """The application sends the client's request on to where the files are."""
    name = g.name()
    kind = g.pick("proxied", "proxied", "alias", "named")
    if kind == "proxied":
        g.location(f"/st{name}/", node("internal"), proxy(g))
        to = f"/st{name}/p{g.page()}"
    elif kind == "alias":
        g.location(f"/st{name}/", node("internal"), node("alias <root>/d/"))
        to = f"/st{name}/{g.pick('a.txt', 'index.html', 'none')}"
    else:
        to = "@" + g.named(proxy(g), *([node("rewrite ^ /object/p1 break")] if g.chance(.5) else []))
    page = g.special(accel=to, users=g.pick(None, "alice", "alice"))
    g.location(f"/{name}/", proxy(g, g.pick(None, None, "b0")))
    g.aim(f"/{name}/p{page}", f"/{name}/p{page}")


@part
def ifs(g):
    name = g.name()
    blocks = [g.pick(node("if ($http_x_tenant = b)", proxy(g)), node("if ($cookie_session)", node("slab_cache off")),
                     node("if ($request_method = POST)", node("return 405")), node("if ($arg_x)", node("rewrite ^ /ifx/p1 break")),
                     node("if (-f $request_filename)", node("break")), node("if ($http_x_real_ip = 6.6.6.6)", node("return 403")),
                     node("if ($cookie_u)", node("set $user $cookie_u")), node("if ($cookie_session)", proxy(g)),
                     node(f"if ($uri ~ p([0-9]))", proxy(g)), node("if ($http_x_tenant = b)", node("slab_cache one"), proxy(g)))
              for _ in range(g.pick(1, 1, 2))]
    g.location(f"/{name}/", *blocks, proxy(g))
    g.aim(f"/{name}/%p", f"/{name}/%p?x=1")


@part
def mapped(g):
    name, var = g.name(), "$" + g.name()
    source = g.pick("$http_x_tenant", "$cookie_u", "$arg_x", "$host", "$http_x_tenant")
    one, two = g.backend(), g.backend()
    values = g.pick(("b", "b"), ("~^b", "~^a"), ("b.test", "b.test"))
    value = {"$cookie_u": "bob", "$arg_x": "1", "$host": "b.test"}.get(source, values[0])
    if g.chance(.6):
        g.http.append(node(f"map {source} {var}", node(f"default <{one}>"), node(f"{value} <{two}>")))
        g.location(f"/{name}/", node(f"proxy_pass http://{var}{g.pick('', '', '$request_uri', '$uri')}"))
    else:
        g.location(f"/{name}/", node(f"set {var} <{one}>"), node(f"if ({source} = {value.lstrip('~^')})", node(f"set {var} <{two}>")),
                   node(f"proxy_pass http://{var}"))
    g.aim(f"/{name}/%p", f"/{name}/%p?x=1", f"/{name}/%p")


@part
def mapped_path(g):
    name, var = g.name(), "$" + g.name()
    g.http.append(node(f"map {g.pick('$http_x_tenant', '$cookie_u', '$http_accept_language')} {var}", node("default one"),
                       node("~^b two"), node("~^de de")))
    g.location(f"~ ^/{name}/(.*)$", g.pick(node(f"proxy_pass http://<b1>/{var}/$1"), node(f"proxy_pass http://<b1>/$1?who={var}")))
    g.aim(f"/{name}/%p", f"/{name}/%p")


@part
def static(g):
    name = g.name()
    more = [g.pick(node("autoindex on"), node("index index.html"), node("index none.html index.html"), node("gzip_static on"),
                   node("ssi on"), node("expires 1h"), node("index p1.html"), node("etag off"), node("error_page 405 =200 $uri"))]
    if g.chance(.3) and more[0][0] == "gzip_static on":
        more.append(node("gzip_vary on"))
    where = g.pick([node("alias <root>/d/")], [node("rewrite ^/[^/]*/(.*)$ /d/$1 break"), node("root <root>")], [node("root <root>")])
    g.location(f"/{name}/", *where, *more, valid=.8)
    g.aim(f"/{name}/", f"/{name}/a.txt", f"/{name}/a.css", f"/{name}/none", f"/{name}/sub", f"/{name}/s.shtml")


@part
def index_php(g):
    """index sends on to the location of PHP, with its own door."""
    g.auth()
    g.location("/d/", node("root <root>"), node("index index.php"), valid=.5)
    door = [node("auth_request /auth")] if g.chance(.4) else []
    g.location(r"~ [.]php$", *door, g.pick(node("fastcgi_pass <f0>"), proxy(g)))
    g.aim("/d/", "/d/?%p", "/d/index.php")


@part
def ssi(g):
    name = g.name()
    inner = f"/in{name}/p{g.page()}"
    page = g.special(ssi=f'<!--#include virtual="{inner}" --> <!--#echo var="HTTP_X_TENANT" default="-" -->\n', type="text/html")
    g.location(f"/in{name}/", proxy(g))
    g.location(f"/{name}/", node("ssi on"), *g.some(.3, node("ssi_types *")), proxy(g))
    g.aim(f"/{name}/p{page}", inner)


@part
def addition(g):
    name, inner = g.name(), g.name()
    g.location(f"/{inner}/", proxy(g))
    g.location(f"/{name}/", node(f"{g.pick('add_after_body', 'add_before_body')} /{inner}/p1"), node("addition_types *"), proxy(g))
    g.aim(f"/{name}/%p", f"/{inner}/p1")


@part
def filters(g):
    name = g.name()
    more = [g.pick(node("sub_filter text TEXT"), node("sub_filter text $cookie_u"), node("gunzip on"), node("gzip on"), node("expires 1h"),
                   node("proxy_hide_header ETag"), node("add_header X-Who \"$cookie_u $uri\" always"), node("chunked_transfer_encoding off"), node("charset utf-8"),
                   node("if_modified_since off"), node("proxy_limit_rate 2m"), node("limit_rate 2m"), node("proxy_method GET"),
                   node("proxy_ignore_headers X-Accel-Redirect"), node("proxy_pass_header X-Accel-Expires"))]
    if more[0][0].startswith("sub_filter"):
        more += [node("sub_filter_types *"), node("sub_filter_once off"), node("proxy_set_header Accept-Encoding \"\"")]
    if more[0][0] == "gzip on":
        more += [node("gzip_types *"), *g.some(.5, node("gzip_min_length 0")), *g.some(.3, node("gzip_vary on"))]
    if more[0][0].startswith("add_header"):
        more += HEADERS
    g.location(f"/{name}/", *more, proxy(g))
    g.aim(f"/{name}/%p", f"/{name}/%p")


@part
def slices(g):
    name = g.name()
    page = g.special(range=True, etag=g.chance(.8), cc="max-age=60", size=g.pick(0, 200, 3000))
    key = [node(f"slab_cache_key {name}$scheme$host$request_uri$slice_range")] if g.chance(.5) else []
    g.location(f"/{name}/", node(f"slice {g.pick(64, 100, 1024)}"), node("proxy_set_header Range $slice_range"), *key, proxy(g), key=False)
    g.aim(f"/{name}/p{page}", f"/{name}/p{page}")


@part
def nested(g):
    name = g.name()
    inner = [node(f"location {how}", *g.cache(), *g.some(.3, node("deny 6.6.6.6")), proxy(g))
             for how in (f"~ ^/{name}/x", f"/{name}/y/", f"= /{name}/p1", rf"~ ^/{name}/(p2)$")[:g.pick(1, 2, 3, 4)]]
    g.location(f"/{name}/", *inner, proxy(g))
    g.aim(f"/{name}/%p", f"/{name}/x%p", f"/{name}/y/%p", f"/{name}/p1")


@part
def upstream(g):
    name, up = g.name(), "up" + g.name()
    first = g.pick("server <dead>", "server <busy>", "server <dead>")
    g.http.append(node(f"upstream {up}", node(first + " max_fails=0"), node(f"server <{g.backend()}> max_fails=0 {g.pick('', 'backup')}".strip()),
                       *g.some(.5, node("keepalive 4"))))
    g.location(f"/{name}/", node("proxy_next_upstream error timeout http_503 non_idempotent"), node(f"proxy_pass http://{up}"), *g.keepalive())
    g.aim(f"/{name}/%p", f"/{name}/%p")


@part
def itself(g):
    """nginx in front of itself: the inner server sees the same Host and URI."""
    name = g.name()
    g.http.append(node("server", node("listen 127.0.0.1:<port2>"), node("server_name _"),
                       node("proxy_pass_header X-Accel-Expires"), node("location /", *g.cache(), proxy(g))))
    g.location(f"/{name}/", g.pick(node("proxy_set_header Host $host"), node("proxy_http_version 1.1")), node("proxy_pass http://127.0.0.1:<port2>"))
    g.aim(f"/{name}/%p")


@part
def limit_except(g):
    name = g.name()
    g.location(f"/{name}/", node(f"limit_except {g.pick('GET', 'GET POST')}", *g.pick([node("deny all")], g.basic())), proxy(g))
    g.aim(f"/{name}/%p")


@part
def uwsgi(g):
    name = g.name()
    g.location(f"/{name}/", node("uwsgi_pass <u0>"))
    g.aim(f"/{name}/%p", f"/{name}/%p?x=1")


@part
def suffix(g):
    var = "$" + g.name()
    g.http.append(node(f"map $http_accept_language {var}", node("default .en"), node("~de .de")))
    g.location("/lang/", node("root <root>"), node(f"try_files $uri{var} $uri =404"), valid=.8)
    g.aim("/lang/x", "/lang/y")


@part
def secure_link(g):
    name = g.name()
    g.location(f"/{name}/", node("secure_link $arg_md5"), node("secure_link_md5 k$uri"), node("if ($secure_link = \"\")", node("return 403")),
               *g.some(.5, node(f"error_page 403 = {g.target()}")), proxy(g))
    g.aim(f"/{name}/p1", f"/{name}/p1?md5=%m/{name}/p1", f"/{name}/p1?md5=no")


@part
def rewritten_fields(g):
    """What nginx makes out of the origin's fields depends on the client's request."""
    name = g.name()
    g.location(f"/{name}/", g.pick(node("proxy_redirect /moved/ $scheme://$http_host/$cookie_u/"), node("proxy_redirect / /$http_x_tenant/"),
                                   node("proxy_cookie_path / /$cookie_u/")), proxy(g))
    g.aim(f"/{name}/%p", f"/{name}/%p")


@part
def zone_by_variable(g):
    name, var = g.name(), "$" + g.name()
    g.http.append(node(f"map $cookie_session {var}", node("default one"), node("~. off")))
    g.location(f"/{name}/", node(f"slab_cache {var}"), proxy(g), content=False)
    g.aim(f"/{name}/%p", f"/{name}/%p")


@part
def sessions(g):
    """Who has a session gets pages of his own, without a Vary: that the configuration keeps them apart is all there is."""
    name = g.name()
    ours = g.pick([node("slab_cache off")], [node("slab_cache_bypass $cookie_session"), node("slab_no_cache $cookie_session")],
                  [node("slab_cache_key $scheme$proxy_host$host$request_uri|$cookie_session|")],
                  [node("slab_cache $zone_" + name)])
    if ours[0][0].startswith("slab_cache $"):
        g.http.append(node(f"map $cookie_session $zone_{name}", node("default one"), node("~. off")))
    elif g.mode == "location":
        ours = [n for n in [node("slab_cache one")] if ours[0][0] != "slab_cache off"] + ours
    answer = [*ours, node("proxy_set_header X-Sess $cookie_session"), proxy(g)]
    if g.chance(.5):
        named = g.name()
        g.server.append(node(f"location @{named}", *answer))
        g.location(f"/{name}/", node(f"try_files $uri @{named}"), key=False, content=g.mode != "location")
    else:
        g.location(f"/{name}/", *answer, content=False)
    page = g.special(cc="max-age=60", vary="", gzip=False, set_cookie=False, session_cc=g.pick("", "private, no-store"))
    g.aim(f"/{name}/p{page}", f"/{name}/p{page}", f"/{name}/p{page}")


@part
def allow_list(g):
    """slab_no_cache by a field of the answer, which is there only when the answer is."""
    name, var = g.name(), "$" + g.name()
    g.http.append(node(f"map $sent_http_content_type {var}", node("default 1"), node("~^(text|application)/ 0")))
    g.location(f"/{name}/", node(f"slab_no_cache {var}"), proxy(g))
    g.aim(f"/{name}/%p", f"/{name}/%p")


@part
def big_files(g):
    name = g.name()
    g.location(f"/{name}/", node("alias <root>/d/"), g.pick(node("directio 1"), node("aio threads"), node("sendfile on"), node("output_buffers 1 512")), valid=.9)
    g.aim(f"/{name}/a.txt", f"/{name}/big.bin", f"/{name}/big.bin")


@part
def auth_names_user(g):
    """What the door found out goes to the origin."""
    name = g.name()
    g.auth()
    how = g.pick([node("proxy_set_header X-Sess $who"), node("slab_cache_key $scheme$proxy_host$host$request_uri|$who|"), proxy(g)],
                 [node(f"proxy_pass http://<b0>/for/$who/$uri")], [node("add_header X-Who $who always"), *HEADERS, proxy(g)])
    page = g.special(vary="", gzip=False)
    g.location(f"/{name}/", node("auth_request /auth"), node("auth_request_set $who $upstream_http_x_user"), *how, key=False)
    g.aim(f"/{name}/p{page}", f"/{name}/p{page}")


@part
def files_that_change(g):
    """Each side has these files for itself. Other names of theirs, by another host or another way of writing the path, may be older."""
    name = g.name()
    g.one_name.append(f"/{name}/")
    g.location(f"/{name}/", node("root <own>"), node("dav_methods PUT DELETE"), node("create_full_put_path on"), valid=.9)
    g.aim(f"/{name}/f1", f"/{name}/f2", f"/{name}/f1")


@part
def small_handlers(g):
    name = g.name()
    g.location(f"/{name}/", g.pick(node("empty_gif"), node("memcached_pass <dead>"), node("random_index on"), node("autoindex_format json"),
                                   node("proxy_pass http://<b0>/?$args")), *g.some(.3, node("set $memcached_key k")), valid=.7)
    g.aim(f"/{name}/%p", f"/{name}/")


@part
def loops(g):
    """Redirects that come back, and end in nginx's own 500 after ten."""
    name = g.name()
    g.location(f"/{name}/", g.pick(node(f"try_files $uri /{name}/again.php"), node(f"rewrite ^/{name}/(.*)$ /{name}/x$1 last"),
                                   node(f"error_page 404 = /{name}/none")), *g.some(.5, node("recursive_error_pages on")))
    g.aim(f"/{name}/%p")


@part
def chain(g):
    """One internal redirect after another, each with a say of its own."""
    name = g.name()
    last = g.named(*g.some(.4, node("deny 6.6.6.6")), proxy(g))
    g.location(f"/c{name}/", node("proxy_intercept_errors on"), node(f"error_page 404 500 503 = @{last}"), proxy(g))
    g.location(f"/{name}/", node("root <root>"), node(f"try_files $uri /c{name}$uri"), content=g.chance(.6))
    g.location(f"/e{name}/", node("auth_request /auth"), node(f"error_page 401 403 = /c{name}/p{g.page()}"), proxy(g))
    g.auth()
    g.aim(f"/{name}/%p", f"/c{name}/%p", f"/e{name}/%p")
