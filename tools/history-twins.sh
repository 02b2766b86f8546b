#!/usr/bin/env bash
# The history checker must find fault with modules that break one promise each: history-twins.sh BUILD_DIR
# 4: a soft purge is forgotten by what was fetched meanwhile. 5: a push is as old as a fetch. 6: a fence of any zone counts.
set -euo pipefail
cd "$(dirname "$0")/.."
source tools/twins.sh
rules=([4]="older than its last soft purge" [5]="older than what was pushed" [6]="no push passes a purge")
for n in 4 5 6; do
    twin "$1$n" SLAB_BROKEN_TWIN=$n "^BROKEN .*${rules[$n]}" tests/history/history.py 60 1
done
