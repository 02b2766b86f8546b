#!/usr/bin/env bash
# The tortures of several machines must find fault with modules that break one promise each: fleet-twins.sh BUILD_DIR
# 7: the position moves before the purges are done. 8: nobody looks whether the position is still in the stream.
# tier: a page of the store is taken whatever was purged since it was made.
set -euo pipefail
cd "$(dirname "$0")/.."
out=$1

# twin NAME FLAG PROGRAM: a minute is enough for it.
twin() {
    local status=0
    SLAB_CACHE_CFLAGS=$2 tools/build-module.sh "$out$1"
    SLAB_MODULE=$PWD/$out$1/ngx_http_slab_cache_module.so timeout 400 /usr/bin/python3 "tests/torture/$3" 60 1 |
        tee "$out$1/torture.txt" || status=$?
    [ "$status" = 1 ] && grep -q "VIOLATION node .* was forbidden" "$out$1/torture.txt" ||
        { echo "the torture did not find twin $1 broken (exit $status)" >&2; exit 1; }
}
twin 7 -DSLAB_BROKEN_TWIN=7 fleet_torture.py
twin 8 -DSLAB_BROKEN_TWIN=8 fleet_torture.py
twin tier -DSLAB_TWIN_TIER tier_torture.py
echo "all found broken, as they must be"
