#!/usr/bin/env bash
# Starts conf-examples/demo.conf in the foreground: run-demo.sh MODULE.so PORT. Writes only to a directory of its own.
set -euo pipefail
cd "$(dirname "$0")/.."
module=$(realpath "$1")
port=$2
nginx=${SLAB_NGINX:-$(command -v nginx || echo /usr/sbin/nginx)}
# Short, because the path of a unix socket may have 107 bytes.
run=$(mktemp -d /tmp/slab_cache_demo.XXXXXX)
trap 'rm -rf "$run"' EXIT
# Started by root, the workers run as somebody else, who must reach the socket.
chmod 755 "$run"
mkdir -p "$run/modules" "$run/logs" "$run/tmp"
ln -s "$module" "$run/modules/"
sed -e "s#127.0.0.1:8080#127.0.0.1:$port#" -e "s#/tmp/slab_cache_demo#$run#g" \
    conf-examples/demo.conf > "$run/nginx.conf"

# The error log goes to the terminal; -e keeps nginx from trying the one it was built with.
"$nginx" -t -q -p "$run/" -e stderr -c "$run/nginx.conf"
at=http://127.0.0.1:$port
cat <<TXT

nginx with slab_cache runs on $at (Ctrl-C ends it). In another terminal:

    curl -i $at/slow                    # MISS: the origin takes two seconds
    curl -i $at/slow                    # HIT at once, with Age
    curl -X PURGE $at/slow              # gone, in all workers
    curl -i $at/slow                    # MISS again
    curl -s $at/_cache/v1/zones         # the API: sizes, counters

Also there: $at/changing (another body on every fetch), /image.svg, /data.json

TXT
"$nginx" -p "$run/" -e stderr -c "$run/nginx.conf" -g 'daemon off;' &
pid=$!
trap 'kill -TERM $pid 2> /dev/null; wait $pid; rm -rf "$run"' EXIT
trap 'exit 0' INT TERM
wait $pid
