#!/usr/bin/env bash
# Starts conf-examples/demo.conf in the foreground, on $PORT: run-demo.sh MODULE.so. Writes only to a directory of its own.
# run-demo.sh check: whether the port will do, before anything is installed or built.
set -euo pipefail
cd "$(dirname "$0")/.."
port=${PORT-8080}
say() { echo "$@" >&2; exit 1; }

taken() { (exec 3<> "/dev/tcp/127.0.0.1/$port") 2> /dev/null; }
case "$port" in
    '') say "PORT is empty: make run PORT=8081, or make run alone for port 8080." ;;
    *[!0-9]* | ??????*) say "PORT is a number from 1 to 65535, not \"$port\"." ;;
esac
port=$((10#$port))
[ $port -ge 1 ] && [ $port -le 65535 ] || say "PORT is a number from 1 to 65535, not \"$port\"."
another="Another one: make run PORT=$((port < 65535 ? port + 1 : 8081))"
! taken || say "Port $port is taken: something on this machine listens there. $another"
[ "$1" != check ] || exit 0

module=$(realpath "$1")
nginx=${SLAB_NGINX:-$(command -v nginx || echo /usr/sbin/nginx)}
# Short, because the path of a unix socket may have 107 bytes.
run=$(mktemp -d /tmp/slab_cache_demo.XXXXXX)
pid=
end() {
    # Ctrl-C has come to nginx too, which may be gone.
    [ -z "$pid" ] || { kill -TERM $pid 2> /dev/null || true; wait $pid || true; }
    rm -rf "$run"
}
trap end EXIT
trap 'exit 0' INT TERM
# Started by root, the workers run as somebody else, who must reach the socket.
chmod 755 "$run"
mkdir -p "$run/modules" "$run/logs" "$run/tmp"
ln -s "$module" "$run/modules/"
sed -e "s#127.0.0.1:8080#127.0.0.1:$port#" -e "s#/tmp/slab_cache_demo#$run#g" \
    conf-examples/demo.conf > "$run/nginx.conf"

# The error log goes to the terminal; -e keeps nginx from trying the one it was built with.
"$nginx" -t -q -p "$run/" -e stderr -c "$run/nginx.conf"
"$nginx" -p "$run/" -e stderr -c "$run/nginx.conf" -g 'daemon off;' &
pid=$!
until taken; do
    kill -0 $pid 2> /dev/null || { pid=; say "nginx did not start on port $port; what it says is above. $another"; }
    sleep 0.05
done
at=http://127.0.0.1:$port
cat <<TXT

The admin page: $at/_cache/        hit ratio, memory, dearest routes, why something was not cached
nginx with slab_cache runs on $at (Ctrl-C ends it). In another terminal:

    curl -i $at/slow                    # MISS: the origin takes two seconds
    curl -i $at/slow                    # HIT at once, with Age
    curl -X PURGE $at/slow              # gone, in all workers
    curl -i $at/slow                    # MISS again
    curl -s $at/_cache/v1/zones         # the API: sizes, counters

Also there: $at/changing (another body on every fetch), /image.svg, /data.json

TXT
wait $pid
