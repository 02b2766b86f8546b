#!/usr/bin/env bash
# Builds a whole nginx with the module linked in (--add-module) in the given directory, and starts it once.
# nginx's C sources come from $NGINX_SOURCE (an unpacked tree), or by apt-get source. Skips, loudly, without.
set -euo pipefail
cd "$(dirname "$0")/.."
top=$PWD
out=$(mkdir -p "$1" && cd "$1" && pwd)
source tools/results.sh

fetch() {
    local tar
    if [ -n "${NGINX_SOURCE:-}" ]; then
        cp -r "$NGINX_SOURCE" "$out/nginx"
        return
    fi
    cd "$out"
    compgen -G 'nginx_*.orig.tar.gz' > /dev/null || apt-get source --download-only nginx > fetch.log 2>&1 || true
    tar=$(compgen -G 'nginx_*.orig.tar.gz' | head -1)
    [ -n "$tar" ] || return 1
    mkdir -p nginx.new && tar -xzf "$tar" -C nginx.new --strip-components=1 && mv nginx.new nginx
}
build() {
    cd "$out/nginx"
    ./configure --prefix="$out/run" --with-http_ssl_module --with-http_v2_module --with-debug --with-threads \
        --add-module="$top" && make -j"$(nproc)"
}
start() {
    mkdir -p "$out/run/logs"
    printf 'events {}\nhttp { slab_cache_zone zone=one:16m; server { listen unix:%s/sock; slab_cache one; } }\n' \
        "$out/run" > "$out/run/nginx.conf"
    "$out/nginx/objs/nginx" -t -p "$out/run/" -e stderr -c "$out/run/nginx.conf"
}

if [ ! -d "$out/nginx" ] && ! (fetch); then
    skip "static build" "no sources: set NGINX_SOURCE=directory, or add a deb-src entry to apt's sources"
    summary
    exit
fi
run "static build: nginx with --add-module" build
run "static build: configuration with slab_cache is accepted" start
summary
