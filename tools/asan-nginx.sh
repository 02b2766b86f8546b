#!/usr/bin/env bash
# Builds the module with AddressSanitizer and UBSan in the given directory and runs the integration tests, torture
# included, against the distribution's nginx with the sanitizer's runtime preloaded: asan-nginx.sh DIR [pytest arguments]
set -euo pipefail
cd "$(dirname "$0")/.."
dir=$1
shift
SLAB_CACHE_CFLAGS="-fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer -g -O1" \
    tools/build-module.sh "$dir"
SLAB_PRELOAD=$(gcc -print-file-name=libasan.so)
# UBSan's runtime comes along with the module, libstdc++ with it.
export SLAB_PRELOAD
export SLAB_MODULE=$(realpath "$dir")/ngx_http_slab_cache_module.so
# nginx's cycle and the pools of a killed worker are not leaks of ours; exiting with a report is.
export ASAN_OPTIONS=detect_leaks=0:abort_on_error=0:exitcode=99:detect_odr_violation=0 UBSAN_OPTIONS=print_stacktrace=1
exec timeout 2400 /usr/bin/python3 -m pytest -q -p no:cacheprovider -rs "$@" tests/integration
