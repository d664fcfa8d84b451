# The JSON Schema of the records: every record of every queue of tests/spool fits it, it knows every field that is written, in the same order,
# and what is wrong does not fit.
. "$SRC/tests/cli/common.bash"
n=0
for text in "$SRC"/tests/spool/*/*.txt; do
    mta=$(basename "$(dirname "$text")")
    "$MKSPOOL" text "$text" "q$((++n))"
    "$MQGREP" --mta "$mta" --spool "q$n" --host mx.example.com -j >>records 2>/dev/null
    "$MQGREP" --mta "$mta" --spool "q$n" -j --fields id,data_size,received >>records 2>/dev/null
done
# With lines of the mail log, one of them no UTF-8.
spool sendmail s good-deferred good-esmtp
printf '%s\n' '2026-03-09T14:26:40.1+00:00 mx sm-mta[4711]: AUTH=server, relay=six.example [IPv6:2001:db8::10], authid=owner, mech=PLAIN, bits=0' \
    '2026-03-09T14:26:40.2+00:00 mx sm-mta[4711]: 629EQeQe004711: from=<owner@example.org>, size=99, nrcpts=1, proto=ESMTPA, daemon=MTA, relay=six.example [IPv6:2001:db8::10]' \
    $'2026-03-09T14:26:41.2+00:00 mx sm-mta[4712]: 629EQeQe004711: to=<\xff@example.net>, delay=00:00:01, mailer=esmtp, dsn=4.0.0, stat=Deferred: \xff' >log
"$MQGREP" --spool s --log log -j >with-log 2>/dev/null
grep -oE '"log_fields":\{[^}]*\}|"text_b64"' with-log
cat with-log >>records
sed -nE 's/^\.Li //p' "$SRC/man/mqtools-record.5" | tr ' ' '\n' >keys
cat >check.py <<'END'
import json
import sys

import jsonschema

schema = json.load(open(sys.argv[1]))
jsonschema.Draft202012Validator.check_schema(schema)
validator = jsonschema.Draft202012Validator(schema)
known = list(schema["properties"])
if known != open("keys").read().split():
    print("the schema's keys are not those of mqtools-record(5), or in another order")
members = {"recipients": "recipient", "recipients_done": "recipient", "received": "hop", "log": "log_line"}
count = 0
for line in open("records"):
    record = json.loads(line)
    for error in validator.iter_errors(record):
        print("does not fit:", error.message)
    names = [key for key in record if not key.endswith("_b64")]
    if names != [key for key in known if key in record]:
        print("keys that the schema does not know, or in another order:", names)
    for name, kind in members.items():
        allowed = schema["$defs"][kind]["properties"]
        for element in record.get(name, []):
            for key in element:
                if key not in allowed and not key.endswith("_b64"):
                    print("a member that the schema does not know:", name, key)
    count += 1
print("records that fit:", "many" if count > 50 else count)
for wrong in ({}, {"schema": "mqtools.record/2"}, {"sender": 5}, {"sender": None}, {"state": "asleep"}, {"recipients": ["a"]},
              {"received": [{"time": "x"}]}, {"files": "a"}, {"subject_b64": "a"}, {"log": ["a"]}, {"log": [{"line": "1"}]}, {"log_fields": {"attempts": "x"}}, {"arrival_time": 2 ** 60}, {"partial": False}):
    if validator.is_valid({"schema": "mqtools.record/1", **wrong} if wrong else wrong):
        print("fits:", wrong)
END
# Debian's own interpreter: the validator is its package.
/usr/bin/python3 check.py "$SRC/share/record.schema.json"
