#!/usr/bin/env bash
# Rules of the house that no compiler checks. Each rule is one test: lint.sh [MODULE.so]
set -euo pipefail
cd "$(dirname "$0")/.."
source tools/results.sh
module=${1:-build/ngx_http_slab_cache_module.so}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

# Fails when the command before it printed anything.
nothing() { local text; text=$(cat); [ -z "$text" ] || { echo "$text"; return 1; }; }

# Layer $1 may include the project headers of the layers $2, and no other.
layer() {
    { grep -rnE '#include "(\.\./)*[a-z_]+/' "src/$1" || true; } |
        { grep -vE "#include \"($(tr ' ' '|' <<< "$1 $2"))/" || true; } | nothing
}
# The rooms of src/ngx, in the order in which each may include what stands before it.
rooms=(glue conf zone fleet tier request fill answer purge steps api module)
# Of two neighbours neither knows the other, whichever is first in the list.
strangers=" purge:answer api:steps "
# Includes against the order that are still there, as "room/file -> room/file". Empty it stays.
exceptions=()
against_the_order() {
    local room before=""
    for room in "${rooms[@]}"; do
        { grep -roE '^#include "ngx/[^"]+"' "src/ngx/$room" || true; } | sed -E 's,^src/ngx/,,; s,:#include "ngx/, -> ,; s,"$,,' |
            while read -r from _ to; do
                local other=${to%%/*}
                [ "$other" = "$room" ] && continue
                [[ " $before " == *" $other "* && "$strangers" != *" $room:$other "* ]] || echo "$from -> $to"
            done
        before+=" $room"
    done | sort
}
room_order() {
    { find src/ngx -mindepth 1 -maxdepth 1 ! -type d
      find src/ngx -mindepth 1 -maxdepth 1 -type d -printf '%f\n' | grep -vxF "$(printf '%s\n' "${rooms[@]}")" | sed 's/$/: no such room/' || true
      comm -3 <(against_the_order) <(printf '%s\n' "${exceptions[@]}" | sed '/^$/d' | sort) |
          sed -E 's/^\t(.*)/exception that is not needed: \1/; t; s/^/against the order: /'
    } | nothing
}
# Headers of shm include each other in one direction only.
shm_circle() {
    { grep -oE '^#include "shm/[^"]+"' src/shm/*.h || true; } |
        sed -E 's,^src/shm/([^:]+):#include "shm/(.*)"$,\1 \2,' | tsort 2>&1 > /dev/null | nothing
}
# What the parts behind Store know of a process is theirs.
context_inside() {
    { grep -rnE '"shm/(store_)?context\.h"|shm::(Context|PriorZone)\b' src/base src/http src/cache src/ngx || true; } | nothing
}
# What a request or a fill is at changes in one place each, where the table of legal moves is asked.
setters() {
    { grep -rnE '(->|\.)(step|phase) *=[^=]' src/ngx || true; } |
        { grep -vE '^src/ngx/(request/ctx\.h:[0-9]+: +ctx->step = to;|fill/fetch\.h:[0-9]+: +fill->phase = to;)$' || true; } | nothing
}
# nginx's upstream calls ours in one file, which keeps what it would have called.
hooks() {
    { grep -rnE '(\bu|upstream)->(process_header|reinit_request|(read|write)_event_handler|create_request|abort_request|finalize_request|rewrite_redirect|rewrite_cookie|input_filter(_init|_ctx)?|create_key) *=[^=]' src/ngx || true; } |
        { grep -v '^src/ngx/fill/upstream_hooks\.cpp:' || true; } | nothing
}
foreign_headers() {
    { grep -rnE '#include *[<"](ngx_|nginx)' src/base src/shm src/http src/cache || true
      grep -rnE '#include *[<"](openssl/|jansson)' src/base src/shm src/http || true
      grep -rnE '#include *[<"](gtest|gmock|benchmark)' src || true
      grep -rnE '#include *<(string|vector|map|set|unordered_map|functional|iostream|memory|deque|list|sstream)>' src || true
    } | nothing
}
# [slab-publish] must be argued on both sides: where it is stored and where it is loaded.
order_tags() {
    local tag stores='store_|exchange_|cas_|add_|or_seq|and_seq|publish' loads='load_|exchange_|cas_|read'
    grep -rhoE '// \[[a-z][a-z0-9-]+\]' src | grep -oE '\[[a-z0-9-]+\]' | sort -u | while read -r tag; do
        # The comment may stand on the operation's own line or up to four lines above it.
        grep -rFh -A4 "// $tag" src > "$tmp/tag"
        grep -qE "$stores" "$tmp/tag" || echo "$tag: no storing line carries it"
        grep -qE "$loads" "$tmp/tag" || echo "$tag: no loading line carries it"
    done | nothing
}
documents() { tools/lint/documents.py 2>&1 | nothing; }
links() { tools/lint/links.py 2>&1 | nothing; }
prose() { tools/lint/prose.py 2>&1 | nothing; }
uncalled() { tools/lint/uncalled.py 2>&1 | nothing; }
runtime_symbols() {
    [ -f "$module" ] || { echo "$module is not built"; return 1; }
    { nm -D --undefined-only "$module" | grep -P ' (_ZSt|_ZNSt|_ZNKSt|__gxx|_Zn[wa]|_Zd[la]|__cxa_(?!finalize))' || true; } | nothing
}
headers_compile_alone() {
    local h objs=build/nginx incs=""
    for h in core event event/modules os/unix http http/modules http/v2; do incs+=" -I $objs/src/$h"; done
    for h in $(find src -name '*.h' | sort); do
        g++ -std=c++17 -Wall -Wextra -Wno-unused-parameter -Wpointer-arith -Werror -fno-exceptions -fno-rtti \
            -fsyntax-only -x c++ -I src $incs -I build/objs -include "$h" /dev/null 2> "$tmp/err" ||
            { echo "$h does not compile alone:"; head -5 "$tmp/err"; }
    done | nothing
}
marks() {
    { grep -rnEi '\b(TODO|FIXME|XXX|not implemented|stub)\b' src || true; } | nothing
}
formatted() {
    git ls-files 'src/*.h' 'src/*.cpp' 'tests/*.h' 'tests/*.cpp' |
        xargs -r clang-format-14 --dry-run 2>&1 | sed -n 's/: warning: .*/: `make format` changes it/p' | nothing
}
file_sizes() {
    find src tests tools clients -name '*.h' -o -name '*.cpp' -o -name '*.py' -o -name '*.sh' |
        xargs wc -l | awk '$2 != "total" && $1 > 500 { print $2 ": " $1 " lines" }' | nothing
}
pragma_once() { { grep -rL --include='*.h' '^#pragma once' src || true; } | nothing; }
readme_names_everything() {
    local d
    { grep -rhoE '"(slab_cache[a-z_]*|slab_no_cache)"' src/ngx || true; } | tr -d '"' | sort -u |
        while read -r d; do grep -q "$d" README.md || echo "in src/ngx, not in README.md: $d"; done | nothing
}
# src/base/version.h has the version; what cannot include it says the same.
versions() {
    local v
    v=$(sed -n 's/.*kVersion\[\] = "\(.*\)";/\1/p' src/base/version.h)
    { [ -n "$v" ] || echo "src/base/version.h: no version"
      grep -qE "^## ${v//./\\.}(,| |\$)" <(grep -m1 '^## ' CHANGELOG.md) || echo "CHANGELOG.md: its first heading is not $v"
      grep -qF "($v)" <(head -1 debian/changelog) || echo "debian/changelog: its first entry is not $v"
      grep -qF "\"version\": \"$v\"" docs/openapi.json || echo "docs/openapi.json: info.version is not $v"
      grep -qF "__version__ = \"$v\"" clients/python/slab_cache.py || echo "clients/python/slab_cache.py: __version__ is not $v"
      grep -LF "\"slab_cache $v\"" debian/man/* | sed "s/\$/: is not of $v/"
    } | nothing
}
defaults() { tools/lint/defaults.py 2>&1 | nothing; }
metrics() { tools/lint/metrics.py 2>&1 | nothing; }
routes() { tools/lint/routes.py 2>&1 | nothing; }
tests_assert() {
    { grep -rlE '^TEST(_F|_P)?\(' tests || true; } | while read -r f; do
        awk -v f="$f" '/^TEST(_F|_P)?\(/ { if (n && !a) print f ": " n; n = $0; a = 0 }
             /EXPECT_|ASSERT_|SUCCEED|FAIL\(/ { a = 1 }
             END { if (n && !a) print f ": " n }' "$f"
    done | nothing
}
scripts_parse() {
    local s
    for s in tools/*.sh .ci/run; do bash -n "$s" 2>&1; done | nothing
}

run "lint: base includes no other layer" layer base ""
run "lint: shm includes only base" layer shm "base"
run "lint: http includes only base" layer http "base"
run "lint: cache includes only base, shm, http" layer cache "base shm http"
run "lint: rooms of ngx include in one direction" room_order
run "lint: headers of shm go in no circle" shm_circle
run "lint: shm::Context is named in shm alone" context_inside
run "lint: steps and phases change in their setters alone" setters
run "lint: upstream handlers are set in one file" hooks
run "lint: nginx, OpenSSL, test and heavy std headers keep out" foreign_headers
run "lint: memory order tags have two sides" order_tags
run "lint: no uncalled function below ngx" uncalled
run "lint: no symbol of the C++ runtime" runtime_symbols
run "lint: each header compiles alone" headers_compile_alone
run "lint: headers say pragma once" pragma_once
run "lint: no left-over marks" marks
run "lint: what documents and comments name is in the repository" documents
run "lint: links lead somewhere, in two clicks from README" links
run "lint: prose in short sentences, paragraphs and lines" prose
run "lint: make format changes nothing" formatted
run "lint: no file above 500 lines" file_sizes
run "lint: README names what src/ngx names" readme_names_everything
run "lint: one version everywhere" versions
run "lint: README's defaults are those of the directives" defaults
run "lint: metrics named elsewhere are those of metric.def" metrics
run "lint: calls of the API are those of the routes" routes
run "lint: each TEST has an assertion" tests_assert
run "lint: shell scripts parse" scripts_parse
run "lint: admin_page.inc is what admin.html makes" tools/embed.sh check
summary
