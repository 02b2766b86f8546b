#!/usr/bin/env bash
# Debian's pytest over the given files, whatever python is first in PATH: pytest.sh FILE…, with its options in $ARGS.
# What follows -k there, up to the next option, is one expression: ARGS="-k a or b -x".
set -euo pipefail
args=()
open=
read -ra words <<< "${ARGS:-}"
for word in ${words[@]+"${words[@]}"}; do
    word=${word//[\'\"]/}
    case "$word" in
        -k) args+=(-k ""); open=1 ;;
        -*) args+=("$word"); open= ;;
        *) if [ -n "$open" ]; then args[-1]+="${args[-1]:+ }$word"; else args+=("$word"); fi ;;
    esac
done
exec /usr/bin/python3 -m pytest -q -p no:cacheprovider -rs ${args[@]+"${args[@]}"} "$@"
