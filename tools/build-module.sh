#!/usr/bin/env bash
# Builds ngx_http_slab_cache_module.so in the given directory against nginx-dev's tree ($NGX_SRC).
# CC picks the compiler, SLAB_CACHE_CFLAGS adds flags for our sources. Reconfigures only when it must.
set -euo pipefail
cd "$(dirname "$0")/.."
top=$PWD
out=$(mkdir -p "$1" && cd "$1" && pwd)
src=${NGX_SRC:-/usr/share/nginx/src}
name=ngx_http_slab_cache_module

if [ ! -f "$src/conf_flags" ]; then
    echo "nginx's build tree is not at $src. It is in Debian's package nginx-dev. Run"
    echo "    tools/deps.sh build        (or: apt-get install nginx-dev g++ libssl-dev libjansson-dev libhiredis-dev libxxhash-dev)"
    exit 1
fi >&2
case "$top" in
    *[[:space:]]*)
        echo "This directory's path has a blank in it, which nginx's configure cannot take: \"$top\". Please move it." >&2
        exit 1 ;;
esac
command -v g++ > /dev/null || { echo "no g++ here. Run: tools/deps.sh build" >&2; exit 1; }

# What the generated makefile depends on beside the contents of the sources.
want=$(cd "$top" && echo "${CC:-cc} ${SLAB_CACHE_CFLAGS:-} $src $(cksum < "$src/conf_flags")" &&
    cksum config config.make && find src -name '*.cpp' -o -name '*.h' -o -name '*.def' -o -name '*.inc' | sort)
if [ ! -f "$out/objs/Makefile" ] || [ "$want" != "$(cat "$out/configured" 2> /dev/null)" ]; then
    rm -f "$out/configured"
    [ -d "$out/nginx" ] || { cp -rL "$src" "$out/nginx.new" && mv "$out/nginx.new" "$out/nginx"; }
    cd "$out/nginx"
    # conf_flags sets an array: it needs bash.
    source ./conf_flags
    echo "  configure ($out/configure.log)"
    ./configure "${NGX_CONF_FLAGS[@]}" ${CC:+--with-cc="$CC"} --builddir="$out/objs" \
        --add-dynamic-module="$top" > "$out/configure.log" 2>&1 ||
        { tail -20 "$out/configure.log" >&2; exit 1; }
    echo "$want" > "$out/configured"
fi

jobs=
case "${MAKEFLAGS:-}" in *jobserver*) ;; *) jobs=-j$(nproc) ;; esac
cd "$out/nginx"
# The first call leaves the file alone when nothing changed, so the copy below keeps its time stamp too.
make $jobs --no-print-directory -f "$out/objs/Makefile" modules > "$out/make.log" 2>&1 ||
    { grep -vE '^(cc|gcc|clang) |^[[:space:]]+(-o )?/[^ ]*$' "$out/make.log" >&2; exit 1; }
# By rename: a running nginx that mapped the old file keeps it whole.
cmp -s "$out/objs/$name.so" "$out/$name.so" ||
    { cp "$out/objs/$name.so" "$out/$name.so.new" && mv "$out/$name.so.new" "$out/$name.so"; }
echo "built ${out#"$top"/}/$name.so"
