#!/usr/bin/env bash
# Builds the Debian packages, source and binary, into build/deb, from the files that git knows, or all there are; then asks lintian.
set -euo pipefail
cd "$(dirname "$0")/.."
top=$PWD
out=$top/build/deb
name=$(dpkg-parsechangelog -S Source)
version=$(dpkg-parsechangelog -S Version)
rm -rf "$out"
mkdir -p "$out/$name-$version"
# Where git has no say, in an unpacked archive or somebody else's clone, all that is not built belongs to it.
files() {
    git ls-files -z --cached --others --exclude-standard 2> /dev/null ||
        find . \( -path ./build -o -path ./.git \) -prune -o ! -type d -print0
}
files | while IFS= read -r -d '' f; do [ ! -e "$f" ] || printf '%s\0' "$f"; done |
    tar --null -T - -cf - | tar -xf - -C "$out/$name-$version"
cd "$out/$name-$version"
# The compiler's jobs are bound by the machine; nothing is signed.
DEB_BUILD_OPTIONS="parallel=$(nproc) nocheck ${DEB_BUILD_OPTIONS:-}" dpkg-buildpackage -us -uc > "$out/build.log" 2>&1 ||
    { tail -30 "$out/build.log" >&2; echo "the whole log: $out/build.log" >&2; exit 1; }
cd "$out"
rm -rf "${out:?}/$name-$version"
if command -v lintian > /dev/null; then
    lintian --fail-on error ./*.changes | tee lintian.log
else
    echo "no lintian here: tools/deps.sh deb"
fi
ls "$out"/*.deb "$out"/*.dsc
