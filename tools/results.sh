# Sourced. Runs test programs, counts what they report, sums up: run LABEL COMMAND…, skip LABEL WHY, summary.
# With RESULTS=file in the environment the counts are appended there for a later sum (.ci/run).

results_file=${RESULTS:-$(mktemp)}
log_dir=$PWD/build/logs
mkdir -p "$log_dir"

# count WORD FILE: the number before WORD in the last line that has one: "7 passed, 1 failed".
count() { grep -oE "[0-9]+ $1" "$2" | tail -1 | grep -oE '^[0-9]+' || echo 0; }

# GoogleTest's own words differ from everybody else's.
gcount() { grep -E "^\[ +$1 +\] [0-9]+ tests?" "$2" | tail -1 | grep -oE '[0-9]+' | head -1 || echo 0; }

record() { printf '%s %s %s %s\n' "$1" "$2" "$3" "$4" >> "$results_file"; }

# Runs a program; its exit code rules where it reports no numbers of its own.
run() {
    local label=$1 log code=0 p=0 f=0 s=0
    shift
    log="$log_dir/$(tr -c 'A-Za-z0-9_\n-' _ <<< "$label").log"
    printf '== %s\n' "$label"
    ("$@") < /dev/null > "$log" 2>&1 || code=$?
    if grep -qE '^\[=+\] .* tests? from .* ran' "$log"; then
        p=$(gcount PASSED "$log") f=$(gcount FAILED "$log") s=$(gcount SKIPPED "$log")
    elif tail -3 "$log" | grep -qE '[0-9]+ (passed|failed|skipped|error)'; then
        tail -3 "$log" > "$log.tail"
        p=$(count passed "$log.tail") f=$(count failed "$log.tail") s=$(count skipped "$log.tail")
        f=$((f + $(count 'errors?' "$log.tail")))
        rm -f "$log.tail"
    elif [ $code = 0 ]; then
        p=1
    fi
    if [ $code != 0 ] && [ "$f" = 0 ]; then f=1; fi
    record "$p" "$f" "$s" "$label"
    if [ "$f" != 0 ]; then
        cat "$log"
        printf '   FAILED (exit %s): %s\n' "$code" "$label"
    elif [ "$s" != 0 ]; then
        grep -iE 'skip' "$log" | head -10 || true
    fi
    printf '   %s passed, %s failed, %s skipped\n' "$p" "$f" "$s"
}

# The command must fail: broken twins prove that the test next to them can.
run_expecting_failure() {
    local label=$1
    shift
    run "$label" bash -c 'if "$@"; then echo "was expected to fail, did not"; exit 1; fi' -- "$@"
}

skip() {
    printf '== %s\n   SKIPPED: %s\n' "$1" "$2"
    record 0 0 1 "$1"
}

# Prints the sum; fails when anything did.
summary() {
    awk '{ p += $1; f += $2; s += $3 }
         $2 { label = $0; sub(/^[^ ]+ [^ ]+ [^ ]+ /, "", label); bad = bad "\n    " label }
         END { if (f) print "failed in:" bad
               printf "%d passed, %d failed", p, f
               if (s) printf ", %d skipped", s
               print ""; exit f != 0 }' "$results_file"
}
