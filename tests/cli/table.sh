# The table on terminals of different widths, in a pipe, and its colours.
. "$SRC/tests/cli/common.bash"
"$MKSPOOL" flood sendmail q -n 60 --seed 5 --now 1795300000
now=--now=1795300000
for columns in 50 80 120 200; do
    terminal $columns mqgrep "$now" --spool q -m 6
done
terminal 100 mqgrep "$now" --spool q -m 3 --fields id,arrival_time,state,subject,reason
TERM_IS=xterm terminal 80 mqgrep "$now" --spool q -q held,active,deferred -m 4 --sort state
run mqgrep "$now" --spool q -m 6 --fields id,arrival_time,state,subject,reason
run mqgrep "$now" --spool q -m 3 --fields recipient,id

# Columns stay words for awk, however many there are.
"$MQGREP" "$now" --spool q --fields id,subject,sender,client,state | awk 'NF != 5'
"$MQGREP" "$now" --spool q | awk 'NF < 7 || NF > 8'
"$MQGREP" "$now" --spool q --header | head -n 1

# More rows than are looked at to lay out the columns.
"$MKSPOOL" flood exim many -n 400 --seed 6 --now 1795300000
"$MQGREP" "$now" --spool many | wc -l
terminal 80 mqgrep "$now" --spool many | tail -n +2 | wc -L
