#!/usr/bin/env bash
# The torture of several machines must find fault with modules that break one promise each: fleet-twins.sh BUILD_DIR
# 7: the position moves before the purges are done. 8: nobody looks whether the position is still in the stream.
set -euo pipefail
cd "$(dirname "$0")/.."
source tools/twins.sh
for n in 7 8; do
    twin "$1$n" $n "VIOLATION node .* was forbidden" tests/torture/fleet_torture.py 60 1
done
