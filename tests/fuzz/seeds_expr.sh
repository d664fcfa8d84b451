#!/usr/bin/env bash
# Seeds for fuzz_expr: the expressions of its unit test, each with a NUL and some bytes of a message behind it.
set -euo pipefail
cd "$1"

i=0
sed -nE 's/^    \{ "(.*)", (true|false) \},$/\1/p; s/^    \{ "(.*)", "[^"]*", [0-9]+ \},$/\1/p' "$SRC/tests/unit/check_expr.c" |
    while IFS= read -r text; do
        i=$((i + 1))
        printf '%b\0\043alice@example.com\050203.0.113.77 and more bytes' "${text//\\\"/\"}" >"seed$i"
    done
