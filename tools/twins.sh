# Sourced by scripts that build a module broken on purpose: a test that finds nothing there proves nothing elsewhere.

# twin DIR N PATTERN TEST…: builds the module with SLAB_BROKEN_TWIN=N in DIR and runs the test against it. It must exit with 1,
# as a test that works and found something does, and print a line that matches PATTERN.
twin() {
    local dir=$1 n=$2 pattern=$3 status=0
    shift 3
    SLAB_CACHE_CFLAGS=-DSLAB_BROKEN_TWIN=$n tools/build-module.sh "$dir"
    SLAB_MODULE=$PWD/$dir/ngx_http_slab_cache_module.so timeout 400 /usr/bin/python3 "$@" | tee "$dir/said.txt" || status=$?
    [ "$status" = 1 ] && grep -qE "$pattern" "$dir/said.txt" ||
        { echo "$1 did not find twin $n broken (exit $status)" >&2; exit 1; }
    echo "twin $n: found broken, as it must be"
}
