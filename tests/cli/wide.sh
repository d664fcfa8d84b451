# Tables with characters of two columns, of none and of one, on terminals of all widths: a line is never wider than the terminal, and each column
# begins at the same place in all lines. How wide a character is, another program says.
. "$SRC/tests/cli/common.bash"
message q 1aaaaa-000001-aa alice@example.com bob@example.net '請求書の件について重要なお知らせ'
message q 1aaaaa-000002-aa '日本@例え.example' bob@example.net $'caf\u00e9 na\u00efve'
message q 1aaaaa-000003-aa bob@example.com bob@example.net $'cafe\u0301 nai\u0308ve Z\u0351\u036b\u0343'
message q 1aaaaa-000004-aa carol@example.com bob@example.net $'\U1F381 gift \U1F9E7\U1F680 \u2708'
message q 1aaaaa-000005-aa dave@example.com bob@example.net 'a plain subject, not a short one'
message q 1aaaaa-000006-aa '' bob@example.net $'\ud55c\uad6d\uc5b4 \u1112\u1161\u11ab \u0e01\u0e34 \uff21\uff22'
message q 1aaaaa-000007-aa eve@example.com bob@example.net $'\U1F468\u200d\U1F469 \U1F1E9\U1F1EA \u202ex'
message q 1aaaaa-000008-aa eve@example.com bob@example.net $'\u8acb'

cat >look.py <<'END'
import sys
import unicodedata


def columns(text):
    total = 0
    for c in text:
        if unicodedata.category(c) in ("Mn", "Me") or 0x1160 <= ord(c) <= 0x11ff:
            continue
        total += 2 if unicodedata.east_asian_width(c) in "WF" else 1
    return total


most, marks = int(sys.argv[1]), sys.argv[2:]
starts = [set() for _ in marks]
lines = open("lines", encoding="utf-8").read().splitlines()
for line in lines:
    if columns(line) > most:
        print("%d columns on a terminal of %d: %s" % (columns(line), most, line))
    for mark, found in zip(marks, starts):
        if mark in line:
            found.add(columns(line[:line.index(mark)]))
for mark, found in zip(marks, starts):
    if len(found) > 1:
        print("%r begins in columns %s" % (mark, sorted(found)))
print("no lines") if not lines else None
END
# check COLUMNS WORDS COMMAND...: the words, separated by commas, stand in lines one below the other.
check() {
    local columns=$1 words=$2
    shift 2
    terminal "$columns" "$@" | tail -n +2 >lines
    # shellcheck disable=SC2086
    LC_ALL=C.UTF-8 /usr/bin/python3 look.py "$columns" ${words//,/ }
}
now=--now=1795300000
for columns in 20 25 {30..60..3} 79 80 132; do
    check "$columns" 1aaaaa- mqgrep "$now" --spool q --fields subject,id,sender --header
    check "$columns" 1aaaaa- mqgrep "$now" --spool q --fields sender,subject,id
    check "$columns" 1aaaaa- mqgrep "$now" --spool q
    check "$columns" 20:30:00 mqstat "$now" --spool q -k subject,sender
    check "$columns" 20:30:00,deferred mqstat "$now" --spool q -k subject,state
done
check 10000 1aaaaa-,@ mqgrep "$now" --spool q --fields subject,id,state
for columns in 37 60; do
    terminal "$columns" mqgrep "$now" --spool q --fields subject,id,sender --header
    terminal "$columns" mqstat "$now" --spool q -k subject,state
    terminal "$columns" mqstat "$now" --spool q --matrix state
done
# Elsewhere nothing is cut, and a cell stays one word.
run mqgrep "$now" --spool q --fields subject,id
