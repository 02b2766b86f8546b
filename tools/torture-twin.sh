#!/usr/bin/env bash
# The torture must find fault with a module that repairs nothing: torture-twin.sh BUILD_DIR [SECONDS]
# A torture that finds nothing here proves nothing elsewhere.
set -euo pipefail
cd "$(dirname "$0")/.."
out=$1
seconds=${2:-10}
SLAB_CACHE_CFLAGS=-DSLAB_BROKEN_TWIN=3 tools/build-module.sh "$out"
# Violations mean exit 1 and a summary that counts them; anything else is a torture that does not work.
status=0
SLAB_MODULE=$PWD/$out/ngx_http_slab_cache_module.so timeout 300 /usr/bin/python3 tests/torture/torture.py "$seconds" |
    tee "$out/torture.txt" || status=$?
[ "$status" = 1 ] && grep -qE '^torture: .* violations [1-9]' "$out/torture.txt" ||
    { echo "the torture did not find the twin broken (exit $status)" >&2; exit 1; }
echo "found broken, as it must be"
