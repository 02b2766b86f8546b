#!/bin/bash
# run.sh — checks the protocol models with spin: the models must hold, each broken twin must fail.
#
# Usage: tests/model/run.sh [filter]      filter: a substring of "model twin", e.g. "pin" or "NO_WAKE"
# Prints `N passed, N failed` (`, N skipped`); exits non-zero on any surprise. An exhausted memory or time
# bound is a failure: a search that was not finished proves nothing.
set -u
here=$(cd "$(dirname "$0")" && pwd)
filter=${1:-}
if ! command -v spin >/dev/null; then
    echo "tests/model: SKIPPED, no spin here (apt-get install spin): the protocols are NOT model-checked"
    echo "0 passed, 0 failed, 1 skipped"
    exit 0
fi
work=$(mktemp -d "${TMPDIR:-/tmp}/slab-model.XXXXXX")
trap 'rm -rf "$work"' EXIT
passed=0
failed=0

# check <holds|fails> <model> <label> <pan compile flags> <pan flags> <macros…>
check() {
    local expect=$1 model=$2 label=$3 cflags=$4 flags=$5
    shift 5
    case "$model $label" in *"$filter"*) ;; *) return ;; esac
    local dir="$work/$model.$((passed + failed))" verdict=error
    mkdir -p "$dir"
    # -o1: spin's dead variable pass takes `provided` processes' live variables for dead.
    if (cd "$dir" && spin -a -o1 "$@" "$here/$model.pml" >spin.log 2>&1 &&
        cc -O2 -w -DSAFETY -DCOLLAPSE -DMEMLIM=3000 $cflags -o pan pan.c >cc.log 2>&1); then
        (cd "$dir" && timeout 120 ./pan $flags -m1000000 -w22 >pan.log 2>&1)
        if grep -q 'assertion violated\|invalid end state (' "$dir/pan.log"; then
            verdict=fails
        elif grep -q 'errors: 0$' "$dir/pan.log" &&
             ! grep -q 'out of memory\|max search depth too small\|Search not completed' "$dir/pan.log"; then
            verdict=holds
        fi
    fi
    if [ "$verdict" = "$expect" ]; then
        passed=$((passed + 1))
        printf 'ok    %-6s %-26s %s\n' "$model" "$label" "$verdict"
    else
        failed=$((failed + 1))
        printf 'FAIL  %-6s %-26s expected: %s, got: %s   (%s)\n' "$model" "$label" "$expect" "$verdict" "$*"
        tail -n 5 "$dir"/*.log
    fi
    rm -rf "$dir"
}

# Killed processes stay blocked in pin and purge, so only assertions count there (-E). lease: deadlock is the claim.
pin() { check "$1" pin "$2" -DNOREDUCE -E "${@:3}"; }
purge() { check "$1" purge "$2" -DNOREDUCE -E "${@:3}"; }
fleet() { check "$1" fleet "$2" "" -E "${@:3}"; }
lease() { check "$1" lease "$2" "" "" "${@:3}"; }

reads="-DLOOKUPS_A=2 -DLOOKUPS_B=0 -DOPS_1=3 -DOPS_2=0"
repair="-DLOOKUPS_A=1 -DLOOKUPS_B=0 -DOPS_1=1 -DOPS_2=2"
reap="-DLOOKUPS_A=1 -DLOOKUPS_B=1 -DOPS_1=1 -DOPS_2=0"
race="-DLOOKUPS_A=0 -DLOOKUPS_B=1 -DOPS_1=1 -DOPS_2=0 -DTWO_REAPERS=1"
pin holds "reads"           $reads
pin holds "writer's death"  $repair
pin holds "reap"            $reap
pin holds "two reapers"     $race
pin holds "reaper's death"  $race -DKILL_REAPER=1
for twin in PLAIN_STORE NO_REVALIDATION PLAIN_UNPUBLISH HIWATER_LATE NO_KEY_CHECK EARLY_PUBLISH; do
    pin fails $twin $reads -D$twin
done
for twin in NO_REAP_CLAIM REAP_FREE_FIRST LATE_CLAIM; do
    pin fails $twin $race -D$twin
done
pin fails BLIND_REPAIR $repair -DBLIND_REPAIR

fill="-DSEL_1=SA -DSEL_2=SB -DLOOKUPS_1=2 -DLOOKUPS_2=0 -DFILL=1"
refresh="-DSEL_1=SA -DSEL_2=0 -DLOOKUPS_1=2 -DLOOKUPS_2=0 -DREFRESH=1"
purge holds "fill, two purges"   $fill
purge holds "fill, dying purger" $fill -DDIES=1
purge holds "two readers"        -DSEL_1=SA -DSEL_2=0 -DLOOKUPS_1=1 -DLOOKUPS_2=2 -DFILL=1
purge holds "refresh"            $refresh
purge holds "refresh and fill"   $refresh -DFILL=1
for twin in COUNTER_FIRST PLAIN_COUNTER BIRTH_LATE NO_RECHECK CHECKED_LATE FLOOR_LATE FLOOR_READ_FIRST; do
    purge fails $twin $fill -D$twin
done
for twin in REFRESH_BLIND REFRESH_CHECKED; do
    purge fails $twin $refresh -D$twin
done

calm="-DTIMER=0 -DDEATHS=0 -DSILENCES=0"
slow="-DTIMER=0 -DDEATHS=0 -DSILENCES=1"
lease holds "no death, no timer"    $calm
lease holds "silence, no timer"     $slow
lease holds "death and timer"       -DTIMER=1 -DDEATHS=1 -DSILENCES=0
lease holds "death, silence, timer" -DTIMER=1 -DDEATHS=1 -DSILENCES=1
lease fails "death, no timer"       -DTIMER=0 -DDEATHS=1 -DSILENCES=0
for twin in READ_FIRST BIT_PLAIN NO_WAKE COLLECT_FIRST RELEASE_PLAIN CLEAR_BITS NO_CLAIM NO_SECOND_FIND; do
    lease fails $twin $calm -D$twin
done
for twin in RELEASE_NO_GEN STALE_PROGRESS ATTACH_PLAIN GROWING_NO_GEN; do
    lease fails $twin $slow -D$twin
done

one="-DREADERS=1 -DDEATHS=1 -DFAILOVERS=1 -DPURGES=2 -DPLACES=5 -DROUNDS=3"
two="-DREADERS=2 -DDEATHS=0 -DFAILOVERS=0 -DPURGES=2 -DPLACES=4 -DROUNDS=2"
fleet holds "one reader, a death" $one
fleet holds "two readers"         $two
for twin in POSITION_FIRST NO_LOOK LOOK_FIRST NO_HASH DOUBT_LATE NO_READD; do
    fleet fails $twin $one -D$twin
done

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
