#!/usr/bin/env bash
# Seeds for fuzz_expr: the expressions of its unit test, each with a NUL and some bytes of a message behind it: of one that has little of
# everything, of one with a field, a list and a number after the other, and of one with header fields.
set -euo pipefail
cd "$1"
tests=$SRC/tests/unit/check_expr.c

# Every field in turn: the byte that says how far on and how long, then its text (see fill()).
fields=
for _ in {1..60}; do fields+='\044a@b.\004'; done
i=0
{
    sed -nE 's/^    \{ "(.*)", (true|false) \},$/\1/p; s/^    \{ "(.*)", "[^"]*", [0-9]+ \},$/\1/p' "$tests"
    # Of the property tests: any question.
    sed -nE '/^static const char \*const questions\[\]/,/^\};/{/^ /p}' "$tests" | grep -oE '"[^"]+"' | sed 's/^"//; s/"$//'
    sed -nE 's/^    \{ LQ_SEL_.*, "(.*)" \},$/\1/p' "$tests"
} | while IFS= read -r text; do
    i=$((i + 1))
    printf '%b\0\043alice@example.com\050203.0.113.77 and more bytes' "${text//\\\"/\"}" >"seed$i"
    printf '%b\0'"$fields" "${text//\\\"/\"}" >"full$i"
    case $text in
        *header.*) printf '%b\0X-Mailer: a bulk\n\tmailer\nSubject: =?utf-8?q?h=C3=A9llo?=\nX-Mailer:\nno field' "${text//\\\"/\"}" >"header$i" ;;
    esac
done
