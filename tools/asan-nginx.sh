#!/usr/bin/env bash
# Builds the module with AddressSanitizer and UBSan in the given directory and runs the integration tests, torture
# included, against the distribution's nginx with the sanitizers' runtimes preloaded: asan-nginx.sh DIR, with options for pytest in $ARGS
set -euo pipefail
cd "$(dirname "$0")/.."
dir=$1
SLAB_CACHE_CFLAGS="-DSLAB_DEBUG -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer -g -O1" \
    tools/build-module.sh "$dir"
# The harness hands these to nginx as LD_PRELOAD; nginx itself is not instrumented.
SLAB_PRELOAD="$(gcc -print-file-name=libasan.so) $(gcc -print-file-name=libubsan.so)"
SLAB_MODULE=$(realpath "$dir")/ngx_http_slab_cache_module.so
export SLAB_PRELOAD SLAB_MODULE
# What a killed worker never freed is no leak of ours; an address that cannot be accessed is.
# One test loads the module from two paths, on purpose: its symbols are there twice.
export ASAN_OPTIONS=detect_leaks=0:exitcode=99:detect_odr_violation=0 UBSAN_OPTIONS=print_stacktrace=1
exec timeout 2400 tools/pytest.sh tests/integration
