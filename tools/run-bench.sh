#!/usr/bin/env bash
# All benchmarks, one after the other: a busy machine makes the figures worthless. Arguments go to hit_bench.py.
set -euo pipefail
cd "$(dirname "$0")/.."
shopt -s nullglob
if command -v wrk > /dev/null; then
    /usr/bin/python3 tests/bench/hit_bench.py "$@"
    echo
    # The short forms; these by themselves take more rounds.
    ROUNDS=${ROUNDS:-3} DURATION=${DURATION:-1} /usr/bin/python3 tests/bench/purge_bench.py
    ROUNDS=${ROUNDS:-3} /usr/bin/python3 tests/bench/slice_bench.py
else
    echo "SKIPPED: wrk is not here (tools/deps.sh bench installs it)"
fi
echo
/usr/bin/python3 tests/bench/wait_bench.py
echo
/usr/bin/python3 tests/bench/attach_bench.py   # 64 MB and 4 GB; needs 12 GB of /dev/shm for the latter
for b in build/tests/bench/bench/*_bench; do
    echo
    echo "== $(basename "$b")"
    "$b" < /dev/null
done
