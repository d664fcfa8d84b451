# xarf.json of a pack: one report about each client address, fit for a schema of our own words for what XARF 4.2.0 asks of spam over SMTP, and
# for the rules that no schema says; whom no report can be about is said, and so is what is missing to make one.
. "$SRC/tests/cli/common.bash"
. "$SRC/tests/cli/acting.bash"
cat >xarf.py <<'PY'
import base64
import datetime
import glob
import hashlib
import json
import sys
import uuid

import jsonschema

MAILBOX = {"type": "string", "pattern": r"^[!-~]{1,64}@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*$", "maxLength": 254}
WHO = {"type": "object", "required": ["org", "contact", "domain"], "additionalProperties": False,
       "properties": {"org": {"type": "string", "minLength": 1, "maxLength": 200}, "contact": MAILBOX,
                      "domain": {"type": "string", "pattern": r"^[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*$"}}}
SCHEMA = {
    "type": "object",
    "required": ["xarf_version", "report_id", "timestamp", "reporter", "sender", "source_identifier", "category", "type", "protocol", "smtp_from",
                 "source_port"],
    "properties": {
        "xarf_version": {"const": "4.2.0"},
        "report_id": {"pattern": "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"},
        "timestamp": {"pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$"},
        "reporter": WHO, "sender": WHO,
        "source_identifier": {"type": "string", "minLength": 1},
        "source_port": {"type": "integer", "minimum": 1, "maximum": 65535},
        "category": {"const": "messaging"}, "type": {"const": "spam"}, "protocol": {"const": "smtp"},
        "smtp_from": MAILBOX, "smtp_to": MAILBOX,
        "subject": {"type": "string", "maxLength": 500}, "message_id": {"type": "string", "maxLength": 200},
        "recipient_count": {"type": "integer", "minimum": 1},
        "description": {"type": "string", "maxLength": 1000},
        "evidence": {"type": "array", "maxItems": 50, "items": {
            "type": "object", "required": ["content_type", "payload"], "additionalProperties": False,
            "properties": {"content_type": {"enum": ["message/rfc822", "text/rfc822-headers"]}, "description": {"type": "string", "maxLength": 500},
                           "payload": {"type": "string"}, "hash": {"pattern": "^sha256:[0-9a-f]{64}$"},
                           "size": {"type": "integer", "minimum": 0, "maximum": 5242880}}}},
    },
    # The specification lets anybody add more; we do not.
    "additionalProperties": False,
}
validator = jsonschema.Draft202012Validator(SCHEMA)
ids = set()
for path in sorted(glob.glob(sys.argv[1] + "/xarf*.json"), key=lambda p: (len(p), p)):
    text = open(path, "rb").read()
    report = json.loads(text.decode("utf-8"))
    for error in validator.iter_errors(report):
        print("does not fit:", error.json_path, error.message[:200])
    if uuid.UUID(report["report_id"]).version != 4 or report["report_id"] in ids:
        print("no random id")
    ids.add(report["report_id"])
    if report["reporter"] != report["sender"] or report["reporter"]["contact"].split("@")[1] != report["reporter"]["domain"]:
        print("another sender, or domain")
    when = datetime.datetime.strptime(report["timestamp"], "%Y-%m-%dT%H:%M:%SZ")
    sizes = []
    for item in report.get("evidence", []):
        payload = base64.b64decode(item["payload"], validate=True)
        sizes.append(item["content_type"] + " " + ("small" if len(payload) <= 1 << 20 else "large"))
        if item["hash"] != "sha256:" + hashlib.sha256(payload).hexdigest() or item["size"] != len(payload):
            print("a hash or a size of other bytes")
        if item["content_type"] == "message/rfc822":
            whole = [p for p in glob.glob(sys.argv[1] + "/eml/*/*.eml") if open(p, "rb").read() == payload]
            if not whole:
                print("evidence that is no message of the pack")
    print(path.split("/")[-1], report["source_identifier"], report["source_port"], when.strftime("%H:%M:%S"), report["smtp_from"], report.get("smtp_to"),
          ascii(report.get("subject"))[:60], ascii(report.get("message_id"))[:40], report.get("recipient_count"), sizes)
    print("  ", report["description"])
PY
n=0
mail() { # mail SENDER RECIPIENTS SUBJECT ADDRESS.PORT [LINE]...
    n=$((n + 1))
    TIME=$((1795293000 + n * 60)) message q "$(printf '1xUs%02d-0007Aa-1x' $n)" "$1" "$2" "$3" ${4:+"-host_address $4"} '-received_protocol esmtp' "${@:5}"
}
who="Example \"Hosting\" Ltd <abuse@example.com>"
pack() { # pack NAME ARGUMENT...
    rm -rf "${1:?}" "$1.tar.gz"
    quiet mqquarantine pack --spool q --mta exim --trust 198.51.100.0/24 --output "$1.tar.gz" "${@:2}"
    tar xzf "$1.tar.gz" 2>/dev/null
}
mail bob@evil.example victim@example.org "$(printf 'Gr\xc3\xbc\xc3\x9fe \xff')" 192.0.2.66.4001
mail bob@evil.example 'victim@example.org other@example.org' 'again' 192.0.2.66.4002
mail carol@evil.example victim@example.org "$(printf '\xe2\x82\xac%.0s' $(seq 600))" 2001:db8::5.4003
# shellcheck disable=SC2034  # message() looks at it
BODY=$(head -c 1200000 /dev/zero | tr '\0' 'x')
mail dan@evil.example victim@example.org 'too large' 192.0.2.67.4004
unset BODY
mail '' victim@example.org 'a bounce' 192.0.2.68.4005
mail 'not an address' victim@example.org 'a sender that is none' 192.0.2.68.4006
mail "$(printf 'gr\xc3\xbc\xc3\x9fe@evil.example')" victim@example.org 'a sender beyond ASCII' 192.0.2.68.4007
mail eve@evil.example victim@example.org 'no port' 192.0.2.69
mail eve@evil.example victim@example.org 'from a private network' 10.0.0.7.4008
mail eve@evil.example victim@example.org 'through our own relay' 198.51.100.9.4009
mail eve@evil.example victim@example.org 'from here' ''

echo '--- everything'
pack all --all --reporter "$who"
python3 xarf.py all
grep xarf all/summary.txt
(cd all && sha256sum --quiet --strict -c tagmanifest-sha256.txt && grep -c 'xarf' tagmanifest-sha256.txt)
grep -o '"org":"[^}]*' all/xarf.json | head -n 1

echo '--- one'
pack one -p 192.0.2.66 --reporter abuse@example.com
python3 xarf.py one
grep -o '"org":"[^}]*' one/xarf.json | head -n 1
echo '--- what no report can be about'
pack none -f '<>' --reporter "$who"
ls none/xarf* 2>/dev/null
echo '--- nobody reports'
pack nobody -p 192.0.2.66
ls nobody/xarf* 2>/dev/null
for bad in '' nobody 'Example Ltd' 'Example <abuse@>' 'Example <@example.com>' 'a b@example.com' 'Example <abuse@-example.com>' 'X <abuse@example..com>' \
    "$(printf 'x%.0s' $(seq 201)) <abuse@example.com>"; do
    pack bad --all --reporter "$bad"
    [ ! -e bad.tar.gz ] || echo 'written all the same'
done
run mqquarantine list --reporter "$who"

echo '--- as mqtools.conf says'
echo 'reporter = Mail of Example <mail@example.net>' >mqtools.conf; chmod 600 mqtools.conf
pack conf --config ./mqtools.conf -p 192.0.2.66
grep -o '"org":"[^}]*' conf/xarf.json | head -n 1
pack conf --config ./mqtools.conf -p 192.0.2.66 --reporter "$who"
grep -o '"org":"[^}]*' conf/xarf.json | head -n 1
echo 'reporter = whoever' >mqtools.conf
pack conf --config ./mqtools.conf -p 192.0.2.66

echo '--- more addresses than are reported'
for i in $(seq 1 40); do
    TIME=$((1795293000 + i * 60)) message r "$(printf '1xUt%02d-0007Aa-1x' "$i")" bob@evil.example victim@example.org hello "-host_address 192.0.2.$i.4000" '-received_protocol esmtp'
done
for i in $(seq 41 60); do
    TIME=$((1795293000 + i * 60)) message r "$(printf '1xUt%02d-0007Aa-1x' "$i")" bob@evil.example victim@example.org hello "-host_address 203.0.113.$((i % 2)).4000" '-received_protocol esmtp'
done
quiet mqquarantine pack --spool r --mta exim --all --output r.tar.gz --reporter "$who"
tar xzf r.tar.gz
python3 xarf.py r
