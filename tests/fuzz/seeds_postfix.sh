#!/usr/bin/env bash
# Seeds for fuzz_postfix: every queue file and log of the described Postfix queues, also cut short
# at several places, so that both ends of each record are near.
set -euo pipefail
out=$1
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

for text in "$SRC"/tests/spool/postfix/*.txt; do
    name=$(basename "$text" .txt)
    "$MKSPOOL" text "$text" "$tmp/$name"
    chmod -R u+rwX "$tmp/$name"
    find "$tmp/$name" -type f -size -64k | while read -r file; do
        cp "$file" "$out/$name-$(basename "$(dirname "$file")")-$(basename "$file")"
    done
done
for n in 97 115 260 410 600; do
    head -c "$n" "$tmp/good-a/deferred/0/0D431A0B0C1" >"$out/cut-$n"
done
