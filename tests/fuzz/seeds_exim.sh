#!/usr/bin/env bash
# Seeds of fuzz_exim: each message of tests/spool/exim as -H, -J and message log in one file.
#
#   seeds_exim.sh DIR        (MKSPOOL and SRC in the environment: scripts/fuzz-seeds)
set -euo pipefail
out=$1
tmp=$(mktemp -d)
trap 'chmod -R u+rwX "$tmp"; rm -rf "$tmp"' EXIT

# As fuzz_exim.c divides them.
divider=$'\x01\n'

for text in "$SRC"/tests/spool/exim/*.txt; do
    name=$(basename "$text" .txt)
    "$MKSPOOL" text "$text" "$tmp/spool"
    chmod -R u+rwX "$tmp/spool"
    while IFS= read -r header; do
        id=$(basename "$header" -H)
        journal=${header%-H}-J
        log=$(find "$tmp/spool" -path '*msglog*' -type f -name "$id" | head -n 1)
        {
            cat "$header"
            printf '%s' "$divider"
            if [ -f "$journal" ]; then cat "$journal"; fi
            printf '%s' "$divider"
            if [ -n "$log" ]; then cat "$log"; fi
        } >"$out/$name-$id"
    done < <(find "$tmp/spool" -type f -name '*-H' -size -60k)
    rm -rf "$tmp/spool"
done
