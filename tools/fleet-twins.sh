#!/usr/bin/env bash
# The tortures of several machines must find fault with modules that break one promise each: fleet-twins.sh BUILD_DIR
# 7: the position moves before the purges are done. 8: nobody looks whether the position is still in the stream.
# SLAB_TWIN_TIER: a page of the store is taken whatever was purged since it was made.
set -euo pipefail
cd "$(dirname "$0")/.."
source tools/twins.sh
for n in 7 8; do
    twin "$1$n" SLAB_BROKEN_TWIN=$n "VIOLATION node .* was forbidden" tests/torture/fleet_torture.py 60 1
done
twin "$1-tier" SLAB_TWIN_TIER "VIOLATION node .* was forbidden" tests/torture/tier_torture.py 60 1
