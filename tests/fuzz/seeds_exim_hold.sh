#!/usr/bin/env bash
# Seeds of fuzz_exim_hold: each -H of tests/spool/exim, and variables in places where they mean different things.
#
#   seeds_exim_hold.sh DIR        (MKSPOOL and SRC in the environment: scripts/fuzz-seeds)
set -euo pipefail
out=$1
tmp=$(mktemp -d)
trap 'chmod -R u+rwX "$tmp"; rm -rf "$tmp"' EXIT

for text in "$SRC"/tests/spool/exim/*.txt; do
    "$MKSPOOL" text "$text" "$tmp/spool"
    chmod -R u+rwX "$tmp/spool"
    find "$tmp/spool" -type f -name '*-H' -size -60k -exec cp -f -t "$out" {} +
    rm -rf "$tmp/spool"
done
n=0
for variables in '-frozen 5\n-local\n-frozen 6\n' '-manual_thaw\n-aclm x 9\n-frozen 1\n\n-tls_ver x\n-manual_thaw\n' '-frozen7\n-aclc y 0\n\n' \
    '--(mysql)frozen 5\n-N\n' '-acl 3 13\n-manual_thaw\n\n-sender_set_untrusted\n'; do
    n=$((n + 1))
    printf "1xUroU-0003xZ-2Y-H\nalice 1 1\n<a@b>\n1795293358 0\n${variables}XX\n1\nc@d\n\n009  Subject:\n" >"$out/variables-$n"
done
