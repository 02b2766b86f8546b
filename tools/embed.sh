#!/usr/bin/env bash
# Makes src/ngx/api/admin_page.inc of src/ngx/api/admin.html: the page as a C++ string, and the Content-Security-Policy that allows
# its one script and one style sheet by their hashes. `embed.sh check` only tells whether the file is up to date.
set -euo pipefail
cd "$(dirname "$0")/.."
page=src/ngx/api/admin.html
out=src/ngx/api/admin_page.inc

# What is between <$1> and </$1>, as browsers hash it.
hash() {
    local text
    text=$(sed -n "/^<$1>\$/,/^<\/$1>\$/p" "$page" | sed '1d;$d')
    printf '\n%s\n' "$text" | openssl dgst -sha256 -binary | base64
}

make_inc() {
    echo "// Made of admin.html by tools/embed.sh. Do not edit."
    echo "constexpr char kPagePolicy[] ="
    echo "    \"default-src 'none'; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \""
    echo "    \"script-src 'sha256-$(hash script)'; style-src 'sha256-$(hash style)'\";"
    echo "constexpr char kPage[] ="
    sed -e 's/\\/\\\\/g' -e 's/"/\\"/g' -e 's/^/    "/' -e 's/$/\\n"/' "$page"
    echo "    ;"
}

if [ "${1:-}" = check ]; then
    make_inc | cmp -s - "$out" || { echo "$out is not what admin.html makes: run tools/embed.sh"; exit 1; }
else
    make_inc > "$out.new" && mv "$out.new" "$out"
    echo "made $out"
fi
