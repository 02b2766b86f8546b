#!/usr/bin/env bash
# Runs each libFuzzer target for so many seconds. New inputs and findings go to build/fuzz/NAME, never into the tree.
set -euo pipefail
cd "$(dirname "$0")/.."
source tools/results.sh
seconds=${1:-30}
shopt -s nullglob

for b in build/tests/fuzz/fuzz/*_fuzz; do
    n=$(basename "$b" _fuzz)
    mkdir -p "build/fuzz/$n"
    run "fuzz $n for $seconds s" "$b" -max_total_time="$seconds" -timeout=10 -print_final_stats=1 \
        -artifact_prefix="build/fuzz/$n-" "build/fuzz/$n" $(ls -d "tests/fuzz/corpus/$n" 2> /dev/null)
    grep -hE 'number_of_executed_units|cov:' "build/logs/fuzz_${n}_for_${seconds}_s.log" | tail -2 || true
done
summary
