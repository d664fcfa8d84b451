# pack --redact: of every queue there is to test, no address, no part of one, no account, no name of a host or a file's folder is anywhere in
# the unpacked archive; times, sizes, client addresses and the hashes of the originals are. Nothing can be put back from it.
. "$SRC/tests/cli/common.bash"
. "$SRC/tests/cli/acting.bash"
cat >names.py <<'PY'
"""Every name that the records hold, whole and in parts, looked for in every byte of the pack."""
import glob
import ipaddress
import json
import os
import re
import sys

records, pack, plain = sys.argv[1:4]
words, ids = set(), set()


def is_ip(text):
    try:
        ipaddress.ip_address(text.strip("[]").removeprefix("IPv6:"))
        return True
    except ValueError:
        return False


def name(text):
    """An address, an account, a host: the whole, the local part, the domain and each of its labels but the last."""
    text = text.strip().lower()
    if not text or is_ip(text):
        return
    words.add(text)
    for part in re.split(r"[@\s<>\"/(),;:=]+", text):
        if part and not is_ip(part):
            words.add(part)
            words.update(part.split(".")[:-1])


for line in open(records, encoding="utf-8"):
    r = json.loads(line)
    for key in ("sender", "auth_user", "local_user", "helo_name", "client_name", "from", "to", "message_id", "subject", "origin_user", "origin_script",
                "reason", "bounce_reason", "hold_reason", "host", "spool"):
        if isinstance(r.get(key), str):
            name(r[key])
    for key in ("recipients", "recipients_done"):
        for recipient in r.get(key, []):
            for value in recipient.values():
                name(value)
    for hop in r.get("received", []):
        for key in ("by", "from", "helo", "id"):
            name(hop.get(key, ""))

    # What stays: ids of messages, by which logs are searched.
    ids.add(r["queue_id"].lower())

# What any pack says, whatever was packed, and the states, classes, flags and header fields of our lists: of the words above, those are no names here.
known = set(("bounce done failed full greylist held here hours incoming local minutes orphan partly policy refused reply report sender smtp submitted "
             "timeout unverified warned weeks").split())
for path in glob.glob(plain + "/**/*", recursive=True):
    if os.path.isfile(path):
        known.update(re.findall("[a-z0-9]+", open(path, encoding="latin-1").read().lower()))
words = {w for w in words - ids - known if len(w) > 3 and not re.fullmatch(r"[0-9a-f.:-]+", w)}
print("names:", "many" if len(words) > 20 else sorted(words))
for path in glob.glob(pack + "/**/*", recursive=True):
    if not os.path.isfile(path):
        continue
    for text in (os.path.relpath(path, pack).lower(), open(path, "rb").read().decode("latin-1").lower()):
        found = {w for w in words if w in text and re.search(r"(?<![a-z0-9])" + re.escape(w) + r"(?![a-z0-9])", text)}
        if found:
            print(os.path.relpath(path, pack), "tells", sorted(found)[:5])
    if b"@" in open(path, "rb").read().replace(b"@media", b"").replace(b"@page", b""):
        print(os.path.relpath(path, pack), "holds an @")
PY
# redacted NAME ARGUMENT...: a redacted pack, unpacked; its findings.
redacted() {
    quiet mqquarantine pack "${@:2}" --redact --output "$1.tar.gz" | grep -v 'is written; send it by another way' || true
    tar xzf "$1.tar.gz"
    "$MQQUARANTINE" verify "./$1.tar.gz" >.out 2>.err || cat .out .err
}
message none/q 1xUs00-0007Aa-1x '' '' ''
redacted plain --spool none/q --mta exim --all

echo '--- every queue of the tests'
n=0
for text in "$SRC"/tests/spool/*/*.txt; do
    mta=$(basename "$(dirname "$text")")
    "$MKSPOOL" text "$text" "secret$((++n))"
    "$MQGREP" --mta "$mta" --spool "secret$n" -j >.records 2>/dev/null || continue
    "$MQQUARANTINE" pack --mta "$mta" --spool "secret$n" --all --redact --output "q$n.tar.gz" >.out 2>.err || { cat .err; continue; }
    cat .records >>records
    mkdir -p packs
    tar xzf "q$n.tar.gz" -C packs
done
python3 names.py records packs plain
echo '--- floods, and of a case with its reasons'
for mta in $MTAS; do
    flooded "$mta" "flood-$mta" 200
    "$MQGREP" --spool "flood-$mta" --mta "$mta" -j >records
    redacted "live-$mta" --spool "flood-$mta" --mta "$mta" --all
    python3 names.py records "live-$mta" plain
    quiet mqquarantine take --spool "flood-$mta" --mta "$mta" --vault "v-$mta" -f user7@shop.example -q deferred --why "ask grace@office.example" --yes | grep -v '! '
    redacted "case-$mta" --vault "v-$mta" "$(the_case "v-$mta")" --why 'number 7' --reporter 'Desk <abuse@reporting.invalid>'
    echo '{"queue_id":"","to":"grace@office.example"}' >>records
    python3 names.py records "case-$mta" plain | grep -v '@' || true
    (cd "case-$mta" && sha256sum --quiet --strict -c manifest-sha256.txt tagmanifest-sha256.txt)
    tar tzf "case-$mta.tar.gz" | sort | tr '\n' ' '
    echo
done
echo '--- what is there'
grep -cE '^\{"schema":"mqtools.redacted/1","mta":"postfix","queue_id":"[^"]+","state":"[a-z]+","arrival_time":[0-9]+,' case-postfix/records.ndjson
head -n 1 case-postfix/records.ndjson | sed -E -e 's/"queue_id":"[^"]*"/"queue_id":ID/' -e 's/[0-9]{10}/TIME/g' -e 's/("(arrival_usec|client_port|attempts)":)[0-9]+/\1N/g'
head -n 1 case-postfix/data/originals.ndjson | sed -E -e 's/"queue_id":"[^"]*"/"queue_id":ID/' -e 's/[0-9a-f]{64}/HASH/g' -e 's/[0-9]{10}/TIME/g'
# The hashes are those of what was kept.
for mta in $MTAS; do
    find "v-$mta" -path '*/data/*' -type f ! -path '*/jobs/*' -exec sha256sum {} + | cut -c 1-64 | sort >kept
    grep -oE '"files":\[[^]]*' "case-$mta/data/originals.ndjson" | grep -oE '[0-9a-f]{64}' | sort >told
    cmp kept told && echo 'every file has its hash'
done
cat case-postfix/summary.txt | sed -E -e 's/^(Prepared|Clock|Case|Arrived): .*/\1: …/'
sed -E -e 's/[0-9]{4}-[0-9]{2}-[0-9]{2}(T[0-9:]*Z)?/TIME/' -e 's/[0-9a-f]{64}/HASH/' -e 's/(Oxum: )[0-9]+/\1N/' case-postfix/bag-info.txt | plain
wc -l <case-postfix/journal.ndjson
grep -o '"source_journal_lines":[0-9]*' case-postfix/journal.ndjson

echo '--- no way back'
run mqquarantine restore ./case-postfix.tar.gz --yes
run mqquarantine restore ./case-postfix.tar.gz --yes --again
run mqquarantine pack ./case-postfix.tar.gz --output again.tar.gz
run mqquarantine verify ./case-postfix.tar.gz
"$MQQUARANTINE" show ./case-postfix.tar.gz 2>&1 | grep -E '^(custody|condition|redacted|messages)'
"$MQQUARANTINE" show -j ./case-postfix.tar.gz | grep -o '"redacted":true'
# mqpurge looks for a job of a vault; this is none, under whatever name.
name=20261122T031415Z-abcd
cp case-postfix.tar.gz "v-postfix/$name.tar.gz"
run mqpurge --undo $name --vault v-postfix --spool flood-postfix
run mqquarantine take --redact --spool flood-postfix --all --why x --yes
run mqquarantine pack --redact --log /dev/null --spool flood-postfix --all --output no.tar.gz
