#!/usr/bin/env bash
# The torture of several machines must find fault with modules that break one promise each: fleet-twins.sh BUILD_DIR
# 7: the position moves before the purges are done. 8: nobody looks whether the position is still in the stream.
set -euo pipefail
cd "$(dirname "$0")/.."
out=$1
for twin in 7 8; do
    SLAB_CACHE_CFLAGS=-DSLAB_BROKEN_TWIN=$twin tools/build-module.sh "$out$twin"
    status=0
    SLAB_MODULE=$PWD/$out$twin/ngx_http_slab_cache_module.so timeout 400 /usr/bin/python3 tests/torture/fleet_torture.py 60 1 |
        tee "$out$twin/torture.txt" || status=$?
    [ "$status" = 1 ] && grep -q "VIOLATION node .* was forbidden" "$out$twin/torture.txt" ||
        { echo "the torture did not find twin $twin broken (exit $status)" >&2; exit 1; }
done
echo "all found broken, as they must be"
