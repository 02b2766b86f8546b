"""Configurations as trees, [text, children or None], so that they can be written down, stripped of the module, and shrunk."""
import os
import re

TEMPLATE = """\
{load}
{user}
daemon off;
pid {prefix}/nginx.pid;
error_log {prefix}/error.log notice;
worker_processes {workers};
events {{ worker_connections 1024; }}
http {{
    access_log off;
    log_not_found off;
    default_type text/plain;
    types {{ text/html html shtml; text/css css; }}
    server_names_hash_bucket_size 128;
    client_body_temp_path {prefix}/tmp/body;
    proxy_temp_path {prefix}/tmp/proxy;
    fastcgi_temp_path {prefix}/tmp/fastcgi;
    uwsgi_temp_path {prefix}/tmp/uwsgi;
    scgi_temp_path {prefix}/tmp/scgi;
    log_subrequest off;
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    set_real_ip_from 127.0.0.1;
    real_ip_header X-Real-IP;
    proxy_connect_timeout 3s;
    fastcgi_param REQUEST_METHOD $request_method;
    fastcgi_param REQUEST_URI $request_uri;
    fastcgi_param PATH $request_uri;
    fastcgi_param HTTP_X_TARGET "$request_uri>$fastcgi_script_name?$query_string";
    uwsgi_param REQUEST_METHOD $request_method;
    uwsgi_param REQUEST_URI $request_uri;
    uwsgi_param PATH $request_uri;
    uwsgi_param HTTP_X_TARGET "$request_uri>$uri?$query_string";
    {zone}
{http}
}}
"""
HEADERS = [["add_header X-Cache $slab_cache_status always", None], ["add_header X-Reason $slab_cache_reason always", None]]
OURS = ("slab_cache", "slab_no_cache")


def node(text, *children, block=False):
    return [text, list(children) if children or block else None]


def is_ours(n):
    return n[0].startswith(OURS)


def cached_everywhere(tree):
    """Whether whatever answers a client is a location with slab_cache on."""
    text = http_text(tree, True).replace("slab_cache off;\n            slab_cache_api", "")
    if re.search(r"slab_cache (off|\$)", text):
        return False
    servers = [n[1] or [] for n in tree if n[0] == "server" and not any("api.test" in c[0] for c in n[1] or [])]
    return ["slab_cache one", None] in tree or all(["slab_cache one", None] in s for s in servers)


def lines(tree, depth, keep):
    for text, children in tree:
        if not keep([text, children]):
            continue
        pad = "    " * depth
        if children is None:
            yield f"{pad}{text};"
        else:
            yield f"{pad}{text} {{"
            yield from lines(children, depth + 1, keep)
            yield pad + "}"


def http_text(tree, cached):
    """What stands in http, with the module or without it: there its variables are a dash."""
    text = "\n".join(lines(tree, 1, lambda n: cached or not is_ours(n)))
    return text if cached else text.replace("$slab_cache_status", "-").replace("$slab_cache_reason", "-")


def render(scenario, cached, nginx, names):
    zone = f"slab_cache_zone zone=one:{scenario.get('zone', '8m')};" if cached else ""
    text = TEMPLATE.format(load="load_module modules/ngx_http_slab_cache_module.so;" if cached else "", prefix=nginx.prefix,
                           user="user root;" if os.getuid() == 0 else "", workers=scenario.get("workers", 1), zone=zone,
                           http=http_text(scenario["http"], cached))
    for name, value in names.items():
        text = text.replace(name, value)
    return text


def walk(tree, path=()):
    """Paths of all nodes, outer ones first."""
    for i, (_, children) in enumerate(tree):
        yield path + (i,)
        if children:
            yield from walk(children, path + (i,))


def without(tree, path):
    i, rest = path[0], path[1:]
    if not rest:
        return tree[:i] + tree[i + 1:]
    return tree[:i] + [[tree[i][0], without(tree[i][1], rest)]] + tree[i + 1:]


def unwrapped(tree, path):
    """The children of the node in its place."""
    i, rest = path[0], path[1:]
    if not rest:
        return tree[:i] + tree[i][1] + tree[i + 1:]
    return tree[:i] + [[tree[i][0], unwrapped(tree[i][1], rest)]] + tree[i + 1:]


def at(tree, path):
    n = tree[path[0]]
    return n if len(path) == 1 else at(n[1], path[1:])
