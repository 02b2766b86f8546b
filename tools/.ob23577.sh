#!/usr/bin/env bash
# Builds another nginx, Angie or freenginx from its sources, with the module beside it, in the given directory, and runs the integration
# tests against it: other-nginx.sh DIR, with options for pytest in $ARGS. NGINX_SOURCE is an unpacked tree: nginx 1.22 to 1.31, Angie 1.12 and 1.13,
# freenginx. Debian's pool has those of its releases: http://deb.debian.org/debian/pool/main/n/nginx/nginx_VERSION.orig.tar.…
# other-nginx.sh --build DIR builds both and starts them, without tests; without warnings, or it fails.
set -euo pipefail
cd "$(dirname "$0")/.."
top=$PWD
tests=1
[ "${1:-}" != --build ] || { tests=; shift; }
dir=$1
src=${NGINX_SOURCE:-}
[ -f "$src/src/core/nginx.h" ] || { echo "set NGINX_SOURCE to an unpacked tree of nginx's, Angie's or freenginx' sources" >&2; exit 1; }
rm -rf "$dir/nginx"
mkdir -p "$dir"
cp -r "$src" "$dir/nginx"
[ -x "$dir/nginx/configure" ] || cp "$dir/nginx/auto/configure" "$dir/nginx/configure"   # as in a checkout
(
    cd "$dir/nginx"
    v3=
    [ ! -d src/http/v3 ] || v3=--with-http_v3_module
    ./configure --with-compat --with-debug --with-threads --with-pcre-jit --with-http_ssl_module --with-http_v2_module $v3 \
        --with-http_realip_module --with-http_auth_request_module --with-http_gunzip_module --with-http_gzip_static_module \
        --with-http_sub_module --with-http_slice_module --with-http_addition_module --with-http_stub_status_module \
        --with-http_dav_module --with-http_secure_link_module --with-http_flv_module --with-http_mp4_module \
        --with-http_random_index_module --with-stream --add-dynamic-module="$top" \
        --with-cc-opt="-DSLAB_DEBUG -g -O2 -Wall -Wextra -Wno-unused-parameter -Werror" > configure.log 2>&1 || { tail -20 configure.log >&2; exit 1; }
    make -j"$(nproc)" > make.log 2>&1 || { grep -E 'error:|warning:' make.log >&2; exit 1; }
)
SLAB_NGINX=
for name in nginx angie freenginx; do
    [ ! -x "$dir/nginx/objs/$name" ] || SLAB_NGINX=$(realpath "$dir/nginx/objs/$name")
done
[ -n "$SLAB_NGINX" ] || { echo "no server was built in $dir/nginx/objs" >&2; exit 1; }
SLAB_MODULE=$(realpath "$dir/nginx/objs/ngx_http_slab_cache_module.so")
export SLAB_NGINX SLAB_MODULE
"$SLAB_NGINX" -v
if [ -z "$tests" ]; then
    exit 0
fi
export ARGS="${ARGS:-}"
exec timeout "${SLAB_OTHER_TIMEOUT:-3600}" tools/pytest.sh tests/integration
