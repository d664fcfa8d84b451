# A limit of file sizes (ulimit -f) is met like a full disk: it is told, nobody is ended half way, and every message is in one place.
. "$SRC/tests/cli/common.bash"
. "$SRC/tests/cli/acting.bash"
elsewhere
limited() {
    local rc=0
    (ulimit -f 8; exec "$(program "$1")" "${@:2}" >.out 2>.err) || rc=$?
    { plain <.err | sed -e "s|$ELSEWHERE|ELSEWHERE|g" -e 's/^/! /'; echo "= $rc"; } | sed -E 's/[0-9]{8}T[0-9]{6}Z-[0-9a-f]{4}/JOB/g'
}

for mta in $MTAS; do
    echo "--- $mta"
    flooded "$mta" "$mta" 200
    n=$(count "$mta")
    limited mqpurge --spool "$mta" --vault v -s +0 --why x --yes -x --active | sed 's/! mqpurge: [0-9,]* of.*/! counted/'
    case=$(the_case v)
    in_case=$("$MQQUARANTINE" show --vault v -j "$case" | sed 1d | wc -l)
    echo "in the queue and in the case together, of $n: $(($(count "$mta") + in_case))"
    quiet mqquarantine restore --vault v "$case" --yes | grep 'put back' | sed 's/[0-9,]* of [0-9,]*/all/'
    echo "missing: $((n - $(count "$mta")))"
    rm -rf v
    # Copies that are larger than that.
    "$MKSPOOL" flood "$mta" large -n 20 --now "$NOW" --body 20000
    n=$(count large)
    limited mqquarantine take --spool large --vault "$ELSEWHERE/v" -s +0 --why x --yes -x --active | sed -E 's/message [^ ]+;/message ID;/'
    echo "missing: $((n - $(count large)))"
    rm -rf large "$ELSEWHERE/v"
done
echo '--- output'
rc=0
(ulimit -f 1; exec "$MQGREP" --spool exim -j >big 2>err) || rc=$?
grep -v 'ages count' err
echo "= $rc"
