#!/usr/bin/env bash
# Installs what a target needs and this machine lacks: tools/deps.sh build|run|test|clang|bench|bench-peers|static|browser|deb|peers
# Says what and why first. Does nothing, and calls no apt, when nothing is missing.
set -euo pipefail

reason() {
    case "$1" in
        nginx) echo "the server that loads the module" ;;
        nginx-dev) echo "nginx's headers and configure, to build the module" ;;
        g++ | make) echo "to compile" ;;
        libssl-dev) echo "digests of cache keys" ;;
        libjansson-dev) echo "JSON of the admin API" ;;
        libhiredis-dev) echo "reads Redis' replies (linked in statically)" ;;
        python3-redis) echo "the Redis client that Python applications have, for the Python client" ;;
        memcached) echo "a real memcached to test with; its service is not started" ;;
        python3-pymemcache) echo "the memcached client that Python applications have, for the Python client" ;;
        redis-tools) echo "a real Redis to test with: the program alone, without its service" ;;
        libxxhash-dev) echo "keyed hashing (header only)" ;;
        libpcre2-dev | zlib1g-dev) echo "wanted by nginx's configure" ;;
        libgtest-dev) echo "unit tests" ;;
        libbenchmark-dev) echo "micro benchmarks" ;;
        python3-pytest) echo "integration tests" ;;
        gunicorn | python3-flask) echo "a real WSGI application to test behind proxy_pass" ;;
        php-fpm) echo "real PHP behind fastcgi_pass, for the field test" ;;
        python3-django) echo "a real Django, for the field test and the Python client" ;;
        uwsgi-core | uwsgi-plugin-python3) echo "a real application to test behind uwsgi_pass" ;;
        curl) echo "HTTP/2 requests in tests" ;;
        openssl) echo "certificates for tests" ;;
        chromium | chromium-driver | python3-selenium) echo "a browser to test the admin page in" ;;
        prometheus) echo "promtool, to check the metrics" ;;
        libfaketime) echo "sets the clock under a running nginx" ;;
        python3-h2) echo "an HTTP/2 client for tests/history" ;;
        gdb) echo "stops a worker in the middle of a purge" ;;
        procps) echo "process tools for tests" ;;
        libnginx-mod-http-srcache-filter | libnginx-mod-http-memc) echo "another cache in nginx, to compare with" ;;
        libnginx-mod-*) echo "another module to test beside ours" ;;
        spin) echo "checks the protocol models" ;;
        clang-format-14) echo "the formatter: other versions set the same code otherwise" ;;
        clang | libclang-rt-dev) echo "second compiler, fuzzers" ;;
        varnish | haproxy | trafficserver) echo "another cache, to compare with" ;;
        python3-celery) echo "a task queue, for examples whose jobs make pages" ;;
        wrk) echo "load generator" ;;
        iproute2) echo "network namespaces: machines that lose packets" ;;
        strace) echo "counts system calls" ;;
        dpkg-dev) echo "fetches nginx's sources, builds packages" ;;
        build-essential | debhelper | dh-python | fakeroot) echo "to build Debian packages" ;;
        lintian) echo "checks Debian packages" ;;
        debootstrap) echo "a fresh Debian to install the packages in" ;;
    esac
}

packages() {
    local build="nginx-dev g++ make libssl-dev libjansson-dev libhiredis-dev libxxhash-dev libpcre2-dev zlib1g-dev"
    case "$1" in
        build) echo "$build" ;;
        run) echo "$build nginx curl" ;;
        test) echo "$build nginx curl openssl procps libgtest-dev python3-pytest" \
                   "gunicorn python3-flask python3-django uwsgi-core uwsgi-plugin-python3 php-fpm spin gdb libfaketime python3-h2" \
                   "redis-tools python3-redis memcached python3-pymemcache python3-celery iproute2 clang-format-14" \
                   "libnginx-mod-http-lua libnginx-mod-http-echo libnginx-mod-http-image-filter" \
                   "libnginx-mod-http-xslt-filter libnginx-mod-http-subs-filter libnginx-mod-http-brotli-filter" \
                   "libnginx-mod-http-fancyindex libnginx-mod-http-perl libnginx-mod-nchan" ;;
        clang) echo "$build clang libclang-rt-dev" ;;
        bench) echo "$build nginx wrk strace libbenchmark-dev" ;;
        static) echo "$build dpkg-dev" ;;
        deb) echo "$build build-essential dpkg-dev debhelper dh-python fakeroot lintian debootstrap" ;;
        peers) echo "varnish" ;;
        bench-peers) echo "$build nginx wrk varnish haproxy trafficserver memcached libnginx-mod-http-srcache-filter" \
                          "libnginx-mod-http-memc" ;;
        browser) echo "chromium chromium-driver python3-selenium prometheus" ;;
        *) echo "tools/deps.sh: unknown group \"$1\"" >&2; return 1 ;;
    esac
}

list=$(packages "$1")
if ! command -v dpkg-query > /dev/null; then
    echo "No dpkg here: please see to it that these are there: $list" >&2
    exit 0
fi
missing=()
for p in $list; do
    status=$(dpkg-query -W -f '${db:Status-Status}' "$p" 2> /dev/null || true)
    [ "$status" = installed ] || missing+=("$p")
done
[ ${#missing[@]} -gt 0 ] || exit 0

echo "Installing with apt-get what this needs and the machine lacks:"
for p in "${missing[@]}"; do printf '    %-22s %s\n' "$p" "$(reason "$p")"; done
sudo=
if [ "$(id -u)" != 0 ]; then
    command -v sudo > /dev/null ||
        { echo "Not root and no sudo. As root: apt-get install ${missing[*]}" >&2; exit 1; }
    sudo=sudo
fi
# Packages start their services: nginx would listen on port 80, for the whole network, before anybody has configured it.
# Debian's way to say no is this file. One that is there already is somebody else's word, and stays.
policy=${POLICY_RC_D:-/usr/sbin/policy-rc.d}
start_nothing() {
    [ ! -e "$policy" ] || return 0
    echo "Meanwhile no package starts a service ($policy, removed afterwards)."
    trap '$sudo rm -f "$policy"' EXIT
    trap 'exit 130' INT TERM
    printf '#!/bin/sh\n# for as long as slab_cache/tools/deps.sh installs\nexit 101\n' | $sudo tee "$policy" > /dev/null
    $sudo chmod 755 "$policy"
}
install() {
    $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends \
        "${missing[@]}" < /dev/null
}
# Nor at the next boot: what is installed here to test with is switched off. nginx itself stays as Debian has it.
units=${SYSTEMD_UNITS:-/etc/systemd/system}
enabled() { find "$units" -path '*.wants/*.service' -printf '%f\n' 2> /dev/null | sort -u; }
before=$(enabled)
switch_off() {
    local new
    new=$(comm -13 <(echo "$before") <(enabled) | { grep -vxF nginx.service || true; })
    [ -z "$new" ] || ! command -v systemctl > /dev/null || $sudo systemctl disable --quiet $new
}
start_nothing
# Package lists may be missing or old: refresh them once, and only then.
if ! compgen -G '/var/lib/apt/lists/*_Packages*' > /dev/null; then
    $sudo apt-get update -q < /dev/null
    install
else
    install || { $sudo apt-get update -q < /dev/null && install; } || exit 1
fi
switch_off
