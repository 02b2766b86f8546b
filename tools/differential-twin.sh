#!/usr/bin/env bash
# The differential test must find fault with a module built broken: differential-twin.sh BUILD_DIR FLAG [SECONDS]
# FLAG is a switch of src, as SLAB_TWIN_KEY. A test that finds nothing here proves nothing elsewhere.
set -euo pipefail
cd "$(dirname "$0")/.."
out=$1/$2
SLAB_CACHE_CFLAGS=-D$2 tools/build-module.sh "$out"
/usr/bin/python3 tests/differential/differential.py "${3:-60}" 1 --twin --shrink 0 --no-corpus --module "$out/ngx_http_slab_cache_module.so"
echo "found broken, as it must be"
