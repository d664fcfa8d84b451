# Records of all queues of tests/spool, the lines of the unit test, and a few by hand.
set -euo pipefail
out=$1
tmp=$(mktemp -d)
trap 'chmod -R u+rwX "$tmp"; rm -rf "$tmp"' EXIT
mqgrep=${MQGREP:-$SRC/build/sbin/mqgrep}
for text in "$SRC"/tests/spool/*/*.txt; do
    mta=$(basename "$(dirname "$text")")
    "$MKSPOOL" text "$text" "$tmp/spool"
    "$mqgrep" --mta "$mta" --spool "$tmp/spool" -j 2>/dev/null >"$tmp/records" || true
    split -l 3 "$tmp/records" "$out/$mta-$(basename "$text" .txt)-"
    chmod -R u+rwX "$tmp/spool"
    rm -rf "$tmp/spool"
done
cat >"$out/partial" <<'END'
{"schema":"mqtools.record/1","partial":true,"queue_id":"a","subject":"\u001b]0;x\ufffd \ud83c\udf81","subject_b64":"G10wO3j/IPCfjoE=","later":{"a":[1,{"b":null}]}}

{"schema":"mqtools.record/1","partial":true,"recipients":[{"address":"a@b","address_b64":"YUBi"}],"unread":["recipients","sender"]}
END
cat >"$out/wrong" <<'END'
{"schema":"mqtools.record/1","sender":5}
{"schema":"mqtools.record/1","sender":"a","sender":"b"}
{"schema":"mqtools.record/1","arrival_time":1e99,"files":["a"],"files_b64":["YQ=="]}
[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[
relay1: {"schema":"mqtools.record/1"}
END
# There ' stands for ", and @ for the begin of a record; a backslash is doubled as C has it.
sed -nE 's/^    \{ "(.*)", (NULL|".*") \},$/\1/p' "$SRC/tests/unit/check_ndjson.c" | tr "'" '"' |
    sed -e 's/\\\\/\\/g' -e 's|^@|{"schema":"mqtools.record/1",|' | split -l 1 - "$out/row-"
