"""One nginx of three: plain, with its own cache, with ours. The floods are the same, and so is all else."""
from harness.nginx import Nginx

SIDES = ("plain", "proxy_cache", "slab_cache")
CACHE = {"plain": "", "proxy_cache": "proxy_cache own; proxy_cache_lock on; proxy_cache_methods GET HEAD;", "slab_cache": "slab_cache one;"}


def start(side, origin, size, workers=1, connections=2048, largest=None):
    n = Nginx()
    n.second = n.another_port()
    zone = {"plain": "", "proxy_cache": f"proxy_cache_path {n.prefix}/tmp/own keys_zone=own:8m max_size={size};",
            "slab_cache": f"slab_cache_zone zone=one:{size}{f' max_object={largest}' if largest else ''};"}[side]
    text = n.config(workers=workers, zone=zone, server=f"listen 127.0.0.1:{n.second} http2;",
                    main="worker_rlimit_nofile 16384;", http="limit_conn_zone $binary_remote_addr zone=clients:1m;",
                    location=f"""
        proxy_http_version 1.1;
        proxy_set_header Connection "";
        {CACHE[side]}
        location / {{ proxy_pass http://up; }}
        location /slow/limited/ {{ limit_conn clients 2; proxy_pass http://up; }}""")
    text = text.replace("limit_conn_zone", f"upstream up {{ server {origin.address} max_fails=0; keepalive 64; }} limit_conn_zone")
    text = text.replace("worker_connections 2048", f"worker_connections {connections}")
    if side != "slab_cache":
        text = "\n".join(line for line in text.splitlines() if "load_module" not in line).replace("$slab_cache_status", "$upstream_cache_status")
        text = text.replace("add_header X-Reason $slab_cache_reason always;", "")
    return n.start(text=text)
