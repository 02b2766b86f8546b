#!/usr/bin/env bash
# The history checker must find fault with modules that break one promise each: history-twins.sh BUILD_DIR
# 4: a soft purge is forgotten by what was fetched meanwhile. 5: a push is as old as a fetch. 6: a fence of any zone counts.
set -euo pipefail
cd "$(dirname "$0")/.."
out=$1
rules=([4]="older than its last soft purge" [5]="older than what was pushed" [6]="no push passes a purge")
for twin in 4 5 6; do
    SLAB_CACHE_CFLAGS=-DSLAB_BROKEN_TWIN=$twin tools/build-module.sh "$out$twin"
    status=0
    SLAB_MODULE=$PWD/$out$twin/ngx_http_slab_cache_module.so timeout 300 /usr/bin/python3 tests/history/history.py 60 1 |
        tee "$out$twin/history.txt" || status=$?
    [ "$status" = 1 ] && grep -q "^BROKEN .*${rules[$twin]}" "$out$twin/history.txt" ||
        { echo "the history checker did not find twin $twin broken (exit $status)" >&2; exit 1; }
done
echo "all found broken, as they must be"
