# Nothing from a message reaches a terminal as it is, and no line is wider than the terminal.
. "$SRC/tests/cli/common.bash"
evil=$(printf 'a\033]0;owned\007\033[31m\x9b31m\tb\x7f \xff\xc3 \xc2\x9b \xe2\x80\xae txt \xf0\x9f\x8e\x81 \xe2\x80\x8bend')
message q 1aaaaa-000001-aa 'evil@example.com' 'bob@example.net' "$evil" "-helo_name $(printf 'x\033[2Jy')"
message q 1aaaaa-000002-aa "$(printf '"a\033[1m b"@example.com')" "$(printf 'r\033[5m@example.net')" '=?utf-8?q?=1B]0;x=07=E2=80=AEevil?='
message q 1aaaaa-000003-aa '漢字漢字漢字漢字漢字漢字漢字漢字@example.com' 'long.long.long.long.long.long.long.long@example.net' '=SUM(A1),"quoted"'
now=--now=1795300000

for columns in 80 60 40 30; do
    terminal $columns mqgrep "$now" --spool q
done
terminal 80 mqgrep "$now" --spool q -l -m 1 | grep -E '^(subject|helo_name)'
terminal 80 mqgrep "$now" --spool q --show -m 1 | grep Subject
terminal 80 mqgrep --spool q -j --fields id,subject,helo
terminal 80 mqgrep --spool q --csv --fields id,subject
terminal 80 mqgrep --spool q --format '{subject}'
terminal 80 mqgrep --spool q -b
terminal 80 mqgrep --spool q --fields id,subject
terminal 80 mqstat "$now" --spool q -k subject
terminal 80 mqstat "$now" --spool q -k subject -j
terminal 80 mqstat "$now" --spool q -k subject,helo_name --csv

# To a file or a program: people's forms are escaped there, too; CSV and JSON carry the data.
run mqgrep "$now" --spool q
run mqgrep --spool q --fields id,subject
run mqgrep --spool q -j --fields id,subject
"$MQGREP" --spool q --csv --fields id,subject | od -c | head -n 4
run mqgrep --spool q --csv --fields id,subject 1aaaaa-000003-aa | tr -d '\r'

# A file name is hostile, too.
mkdir "$(printf 'dir\033[31m')"
run mqgrep --spool "$(printf 'dir\033[31m')"

# Colour is for terminals, and NO_COLOR and --color say otherwise.
TERM_IS=xterm terminal 80 mqgrep "$now" --spool q -m 1
NO_COLOR=1 TERM_IS=xterm terminal 80 mqgrep "$now" --spool q -m 1
TERM_IS=xterm terminal 80 mqgrep "$now" --spool q -m 1 --color=never
"$MQGREP" "$now" --spool q -m 1 --color=always --fields state,id --header | sed 's/\x1b/<ESC>/g'
