#!/usr/bin/env bash
# Runs what is built: run-tests.sh all|unit|integration|field|model|differential [SECONDS_OF_STRESS], or sanitizer asan|tsan.
# Options for pytest come in $ARGS (pytest.sh).
set -euo pipefail
cd "$(dirname "$0")/.."
source tools/results.sh
bins=build/tests/plain
stress_seconds=3

unit() {
    local b n
    if [ -x $bins/unit_tests ]; then
        run "unit tests" $bins/unit_tests --gtest_brief=1
    else
        skip "unit tests" "there are none yet"
    fi
    for b in "$bins"/replay/*; do
        n=$(basename "$b" _fuzz)
        [ -f "tests/fuzz/${n}_fuzz.cpp" ] || continue
        run "fuzz corpus $n" "$b" $(ls -d "tests/fuzz/corpus/$n" 2> /dev/null)
    done
    for b in "$bins"/crash/*; do
        [ -f "tests/crash/$(basename "$b").cpp" ] || continue
        run "crash $(basename "$b")" timeout 300 "$b"
    done
    stress
}

stress() {
    local b n twin
    for b in "$bins"/stress/*; do
        n=$(basename "$b")
        [ -f "tests/stress/$n.cpp" ] || continue
        run "stress $n" timeout 300 "$b" "$stress_seconds"
        for twin in "$bins"/twin*/"$n"; do
            [ -x "$twin" ] || continue
            run_expecting_failure "stress $n broken $(basename "$(dirname "$twin")")" \
                timeout 300 "$twin" "$stress_seconds"
        done
    done
}

model() {
    if [ -x tests/model/run.sh ]; then
        run "protocol models" timeout 1200 tests/model/run.sh
    fi
}

# The tests wait more than they work: three parts run side by side, each with every third file.
integration() {
    local part said
    if [ -n "${ARGS:-}" ]; then
        run "integration tests" timeout 2400 tools/pytest.sh tests/integration
        return
    fi
    said=$(mktemp -d)
    for part in 0 1 2; do
        run "integration tests, part $((part + 1)) of 3" timeout 2400 tools/pytest.sh \
            $(ls tests/integration/*_test.py | awk -v part=$part 'NR % 3 == part') > "$said/$part" 2>&1 &
    done
    wait
    cat "$said"/*
    rm -r "$said"
}

field() {
    run "field test" timeout 1800 tools/pytest.sh tests/field
}
# What `make field` is for beside passing.
differences() { sed -n '/where slab_cache differs/,/short test summary\|^[0-9]* \(passed\|failed\)/p' "$log_dir/field_test.log" | sed '$d'; }
differential() {
    # Fixed seeds, as many as a minute allows, after the corpus.
    run "differential test" timeout 600 /usr/bin/python3 tests/differential/differential.py 60 1
}

shopt -s nullglob
what=${1:-all}
stress_seconds=${2:-3}
case "$what" in
    all) unit; model; integration; field; differential ;;
    unit | model | integration | differential) "$what" ;;
    field) field; differences ;;
    sanitizer)
        export ASAN_OPTIONS=detect_leaks=1 UBSAN_OPTIONS=print_stacktrace=1 TSAN_OPTIONS=halt_on_error=1
        if [ -x "build/tests/$2/unit_tests" ]; then
            run "unit tests under $2" timeout 1200 "build/tests/$2/unit_tests" --gtest_brief=1
        else
            skip "unit tests under $2" "there are none yet"
        fi ;;
    *) echo "run-tests.sh: what is \"$what\"?" >&2; exit 2 ;;
esac
summary
