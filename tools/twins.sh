# Sourced by scripts that build a module broken on purpose: a test that finds nothing there proves nothing elsewhere.

# twin DIR SWITCH PATTERN TEST…: builds the module with -DSWITCH in DIR and runs the test against it. It must exit with 1,
# as a test that works and found something does, and print a line that matches PATTERN.
twin() {
    local dir=$1 switch=$2 pattern=$3 status=0
    shift 3
    SLAB_CACHE_CFLAGS=-D$switch tools/build-module.sh "$dir"
    SLAB_MODULE=$PWD/$dir/ngx_http_slab_cache_module.so timeout 400 /usr/bin/python3 "$@" | tee "$dir/said.txt" || status=$?
    [ "$status" = 1 ] && grep -qE "$pattern" "$dir/said.txt" ||
        { echo "$1 did not find twin $switch broken (exit $status)" >&2; exit 1; }
    echo "twin $switch: found broken, as it must be"
}
