# The message itself: envelope and header for people, raw bytes, RFC 5322.
. "$SRC/tests/cli/common.bash"
spool exim e good-local good-partly-done
spool postfix p good-a
spool sendmail s good-esmtp
now=--now=1795300000
run mqgrep "$now" --spool e --show 1xUroU-0003xZ-2Y
run mqgrep "$now" --spool p --show
run mqgrep --spool s --eml
run mqgrep --spool e --raw 1xUroU-0003xZ-2Y
"$MQGREP" --spool p --raw -m1 | head -c 622 | cmp - p/deferred/0/0D431A0B0C1 && echo same
"$MQGREP" --spool p --eml | od -c | tail -n 5

# Several messages cannot be one.
run mqgrep --spool e --eml
run mqgrep --spool e --raw
run mqgrep --spool e --raw -m 1 | head -n 1
run mqgrep --spool e --eml -m 2 | grep -c Subject
run mqgrep --spool e --eml nosuch-000000-aa
terminal 80 mqgrep --spool p --raw
terminal 80 mqgrep --spool s --eml
