# Interrupted, for each server: what is being worked on is finished, the status is 130, everything is in one place, and the same command goes on.
# And --for: what arrives later is acted on, too, until the time is over or somebody interrupts.
. "$SRC/tests/cli/common.bash"
. "$SRC/tests/cli/acting.bash"

lines() { sed -E 's/[0-9,]+ of [0-9,]+ messages/N of M messages/' | plain | sed 's/^/! /'; }
mkfifo out

for mta in $MTAS; do
    for signal in INT TERM; do
        echo "--- $mta: SIG$signal"
        rm -rf q v
        flooded "$mta" q
        # A shell starts what is in the background with SIGINT ignored; env gives it back.
        env --default-signal=INT "$MQQUARANTINE" take --spool q --vault v $FLOOD -x --active --why test --yes --rate 5/s --each >out 2>err &
        job=$!
        while read -r line; do
            case $line in *': done') kill -s $signal $job; break ;; esac
        done <out
        wait $job; echo "= $?"
        lines <err | grep -v ' case '
        [ -z "$(find v/jobs -name '*.open')" ] && echo 'no job is left unfinished'
        "$MQQUARANTINE" verify --vault v "$(the_case v)" 2>&1 | plain
        [ "$(count q $FLOOD -x)" -gt 0 ] && echo 'some are left'
        quiet mqquarantine take --spool q --vault v $FLOOD -x --active --why test --yes 2>&1 | grep -v ' messages '
        echo "left: $(count q $FLOOD -x)"
    done
done

echo '--- at the question'
meanwhile true $'\003' mqpurge --spool q --all --active --why test | tail -n 3

echo '--- --for'
rm -rf q v
message q 1aaaaa-000001-aa flood@example.com bob@example.net hello '-host_address 203.0.113.7.25'
message q 1aaaaa-000002-aa other@example.com bob@example.net hello
env --default-signal=INT "$MQQUARANTINE" take --spool q --vault v -f flood@example.com --why test --yes --for 5m --each >took 2>err &
job=$!
gone() { # gone ID: wait until it is, for a minute at most
    local n=600
    while [ -e "q/input/$1-H" ] && [ $((n--)) -gt 0 ]; do read -r -t 0.1 <> <(:) || true; done
    [ ! -e "q/input/$1-H" ] && echo "$1 is gone"
}
gone 1aaaaa-000001-aa
message elsewhere 1aaaaa-000003-aa flood@example.com bob@example.net later
mv elsewhere/input/1aaaaa-000003-aa-D q/input/; mv elsewhere/input/1aaaaa-000003-aa-H q/input/
gone 1aaaaa-000003-aa
kill -s INT $job; wait $job; echo "= $?"
plain <took | grep -E '^(take|#)'
lines <err
count q
