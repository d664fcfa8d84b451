# Readers that leave and disks that are full.
. "$SRC/tests/cli/common.bash"
"$MKSPOOL" flood postfix q -n 3000 --seed 1 --now 1795300000
"$MQGREP" --spool q --now 1795300000 | head -n 1 | wc -l
echo "${PIPESTATUS[0]}" >/dev/null     # ended by SIGPIPE or done: both are fine, and silent
"$MQGREP" --spool q -j 2>.err | head -n 1 | wc -l
cat .err

# A shell that ignores SIGPIPE (daemons often do): status 2, no word.
(trap '' PIPE; "$MQGREP" --spool q -j 2>.err; echo $? >.rc) | head -n 1 | wc -l
cat .err .rc

# A full disk is not a short list.
for command in "$MQGREP -i" "$MQGREP -j" "$MQGREP -c" "$MQGREP --eml -m1" "$MQGREP --raw -m1" "$MQGREP --now 1795300000" "$MQSTAT --now 1795300000" "$MQSTAT -j --now 1795300000"; do
    rc=0
    $command --spool q >/dev/full 2>.err || rc=$?
    sed "s|^|$rc |" .err
done

# Closed standard output is trouble as well.
rc=0
"$MQGREP" --spool q -c >&- 2>.err || rc=$?
sed "s|^|$rc |" .err
