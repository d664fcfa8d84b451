# threads: 1 2 8
# mqstat over a flooded queue: the screen, every key, and the forms for programs.
. "$SRC/tests/cli/common.bash"
"$MKSPOOL" flood postfix p -n 400 --seed 3 --now 1795300000
now=--now=1795300000
run mqstat "$now" --spool p
for key in client client/24 client/64 network user sender sender.domain recipient.domain subject size state queue age hour \
    reason.class mta spool protocol; do
    run mqstat "$now" --spool p -k $key -t 4
done
run mqstat "$now" --spool p -k recipient -t 3
run mqstat "$now" --spool p -k user,client -t 3
run mqstat "$now" --spool p -k age,state
run mqstat "$now" --spool p -k state,recipient.domain,reason.class -t 3 -j
run mqstat "$now" --spool p -k sender,size -t 3 --csv | sed 's/\r$/<CR>/'
run mqstat "$now" --spool p -k age -j
run mqstat "$now" --spool p -j
run mqstat "$now" --spool p --csv | sed 's/\r$/<CR>/'
run mqstat "$now" --spool p -t 1 -u user7@shop.example
run mqstat "$now" --spool p -t 1 -q deferred | tail -n 3
terminal 80 mqstat "$now" --spool p -t 1

# The command that is printed selects exactly the messages that were counted.
"$MQSTAT" "$now" --spool p -q deferred,incoming -j | head -n 1 |
    sed -E 's/.*"suspect":\{"key":"([a-z]+)".*"count":([0-9]+),.*"command":"mqgrep ([^"]*)".*/\1 \2 \3/' >.suspect
read -r key count command <.suspect
echo "$key $count $command"
eval "\"\$MQGREP\" -c $command"
