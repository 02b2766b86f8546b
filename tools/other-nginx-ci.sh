#!/usr/bin/env bash
# For .ci/run: the module beside another nginx than the installed one, built without warnings, started and asked (other-nginx.sh --build).
# Sources: NGINX_SOURCE, else the next Debian's release out of Debian's pool. Where neither is at hand it says so, and is skipped.
set -uo pipefail
cd "$(dirname "$0")/.."
source tools/results.sh

pool=http://deb.debian.org/debian/pool/main/n/nginx
release=1.26.3     # of Debian 13: it stays in the pool, and is none that nobody has tried

# Prints the directory of an unpacked tree.
sources() {
    if [ -f "${NGINX_SOURCE:-}/src/core/nginx.h" ]; then
        echo "$NGINX_SOURCE"
        return
    fi
    local to=build/sources
    mkdir -p "$to"
    if [ ! -f "$to/nginx-$release/src/core/nginx.h" ]; then
        timeout 120 /usr/lib/apt/apt-helper download-file "$pool/nginx_$release.orig.tar.gz" "$to/nginx.tar.gz" > "$to/download.log" 2>&1 \
            && tar -xzf "$to/nginx.tar.gz" -C "$to" || return 1
    fi
    echo "$to/nginx-$release"
}

if dir=$(sources) && [ -f "$dir/src/core/nginx.h" ]; then
    run "another nginx: $(sed -n 's/.*NGINX_VERSION *"\(.*\)"/\1/p' "$dir/src/core/nginx.h" | head -1)" \
        env NGINX_SOURCE="$dir" timeout 1200 tools/other-nginx.sh --build build/other-ci
else
    skip "another nginx" "no sources are at hand: neither NGINX_SOURCE nor $pool/nginx_$release.orig.tar.gz"
fi
summary
