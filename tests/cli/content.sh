# The message's own words: -H NAME:PAT and -B PAT, and the same in expressions. What the body says is check_mime's.
# shellcheck disable=SC2034  # HEADERS is for message
. "$SRC/tests/cli/common.bash"

HEADERS=('X-Mailer: Bulk 1' 'X-Mailer: second' 'X-Campaign: =?utf-8?Q?caf=C3=A9?=
 sale')
message q 1xUaaa-000001-AA a@example.com r@example.net one
HEADERS=('X-Mailer: Mutt' 'Content-Type: multipart/mixed; boundary=b')
BODY='--b
Content-Type: text/plain; charset=iso-8859-1
Content-Transfer-Encoding: base64

RGVhciB3aW5uZXIsCmNhZuk=
--b
Content-Type: application/pdf; name="invoice.pdf"
Content-Transfer-Encoding: base64

JVBERg==
--b--' message q 1xUaaa-000002-AA a@example.com r@example.net two
HEADERS=()
BODY='Dear winner, in one line' message q 1xUaaa-000003-AA a@example.com r@example.net three
BODY='Nothing of the kind' message q 1xUaaa-000004-AA a@example.com r@example.net four

list() { run mqgrep --spool q --format '{subject}' "$@"; }
# Any field of that name; of one name or, of different ones and; names in any case.
list -H 'x-mailer:*bulk*'
list -H 'X-Mailer:second'
list -H 'X-Mailer:Mutt' -H 'X-MAILER:second'
list -H 'X-Mailer:second' -H 'X-Campaign:/caf. sale/'
list -H 'X-Mailer:Mutt' -H 'X-Campaign:*'
list -H 'X-Mailer: Mutt'
list -H 'Subject:=three'
# Not there is no, also turned round.
list -v -H 'X-Mailer:*'
list -e 'header.x-mailer = second and header.X-Campaign'
list -e 'not header.X-Mailer'
list -e 'all header.x-mailer = *'

# A part's whole text, or a file's name; ^ and $ are those of a line.
list -B '*winner*'
list -B '/^café$/'
list -B '*.pdf'
list -B 'Nothing of the kind'
list -B 'winner'
list -B '*winner*' -B '*kind*' -S 'f*'
list -v -B '*winner*'
list -e 'body ~ /winner,$/ or body = *pdf'

# Wrong arguments select nothing.
for wrong in '' X-Mailer X-Mailer: ':x' 'X Mailer:x' 'X-Mailer:/[/' 'Ä:x'; do
    run mqgrep --spool q -H "$wrong"
done
run mqgrep --spool q -B ''
run mqgrep --spool q -B '/(/'
run mqpurge --spool q -B '^x' --why w --yes
run mqgrep --spool q -e 'header. = x'
run mqgrep --spool q -j --fields body
run mqstat --spool q -k header

# What could not be read is not selected, turned round or not: no data file, an unknown charset, half a header.
rm q/input/1xUaaa-000004-AA-D
HEADERS=('Content-Type: text/plain; charset=x-klingon')
message q 1xUaaa-000005-AA a@example.com r@example.net five
list -v -B '*winner*'
list -B 'A body.'
head -c 200 q/input/1xUaaa-000001-AA-H >half && cat half >q/input/1xUaaa-000001-AA-H
run mqgrep --spool q -i -v -H 'X-None:*'

# A pattern that runs away stops at its limit.
HEADERS=()
BODY=$(printf 'a%.0s' {1..5000}) message q 1xUaaa-000006-AA a@example.com r@example.net six
list -B '/(a|aa)+[bc]/' 1xUaaa-000006-AA
list -e 'not body ~ /(a|aa)+[bc]/' 1xUaaa-000006-AA

# A few texts that run into it do not hide the others; many would take hours.
many() { # many ID N: so many such parts, and a last one that fits
    local part
    part=$(printf '\n\n%s\n--b' "$(printf 'a%.0s' {1..5000})")
    HEADERS=('Content-Type: multipart/mixed; boundary=b')
    BODY=$(printf -- '--b'; for ((i = 0; i < $2; i++)); do printf '%s' "$part"; done; printf '\n\nwinner\n--b--') \
        message q "$1" a@example.com r@example.net many
}
many 1xUaaa-000007-AA 3
many 1xUaaa-000008-AA 20
list -B '/(a|aa)+[bc]|winner/' 1xUaaa-000007-AA
list -B '/(a|aa)+[bc]|winner/' 1xUaaa-000008-AA
list -B '*winner*' 1xUaaa-000008-AA
rm q/input/1xUaaa-00000[78]-AA-?
HEADERS=()

# The body is read only where nothing else decides: one that cannot be read is no trouble then.
run mqgrep --spool q -c -B '*winner*' -S 'nobody'
run mqgrep --spool q -c -B '*winner*' -s +100M
