# threads: 1 8
# For monitoring: a line and an exit status, and numbers for Prometheus.
. "$SRC/tests/cli/common.bash"
now=--now=1795300000
"$MKSPOOL" flood exim p -n 200 --seed 6 --now 1795300000
run mqstat "$now" --spool p --check
run mqstat "$now" --spool p --check --warn 'count>199' --crit 'count>5000,oldest>4d'
run mqstat "$now" --spool p --check --warn 'count>199' --crit 'oldest>4h,share>50'
run mqstat "$now" --spool p --check --warn 'count<1' -f nobody@nowhere.example
run mqstat "$now" --spool p --check --crit 'count<1' -f nobody@nowhere.example
run mqstat "$now" --spool nowhere --check --crit 'count>1'
run mqstat "$now" --spool p --check --crit 'count>'
run mqstat "$now" --spool p --check -f ''
run mqstat "$now" --spool p --crit 'count>1'
run mqstat "$now" --spool p --check -k size
run mqstat "$now" --spool p --check --prom
run mqstat "$now" --spool p --prom
run mqstat "$now" --spool p --prom -u user7@shop.example

echo "--- a message that cannot be read: not known, unless it is critical anyway"
mkdir -p q/input/1aaaaa-000001-aa-H q/db q/msglog
message q 1aaaaa-000002-aa a@example.com b@example.net x
run mqstat "$now" --spool q --check -f a@example.com
rm -rf q/input/1aaaaa-000001-aa-H
run mqstat "$now" --spool q --check
