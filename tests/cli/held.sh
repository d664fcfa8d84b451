# -z and -x: a state is the first that fits, so of a damaged message it is not known whether it is held; neither option, nor its opposite,
# selects it.
. "$SRC/tests/cli/common.bash"
message q 1aaaaa-000001-aa a@example.com b@example.net plain
message q 1aaaaa-000002-aa a@example.com b@example.net frozen '-frozen 1795293100'
message q 1aaaaa-000003-aa a@example.com b@example.net 'frozen, header cut' '-frozen 1795293100'
message q 1aaaaa-000004-aa a@example.com b@example.net 'frozen, no body' '-frozen 1795293100'
truncate -s -5 q/input/1aaaaa-000003-aa-H
rm q/input/1aaaaa-000004-aa-D
run mqgrep --spool q --fields id,state
for how in -z -x '-v -z' '-v -x'; do
    # shellcheck disable=SC2086
    run mqgrep --spool q -i $how
done
run mqgrep --spool q -i -e held
run mqgrep --spool q -i -e 'not held'
run mqgrep --spool q -i -e 'state != held'
run mqpurge --spool q --vault v -x --why w -n --yes
run mqgrep --spool q -x -z --explain
"$MQGREP" --spool q -j >records 2>/dev/null
run mqgrep --from records -i -x
