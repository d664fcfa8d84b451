# A packed case keeps what went back; who looks at it, or restores the rest, is told of the rest alone.
. "$SRC/tests/cli/common.bash"
. "$SRC/tests/cli/acting.bash"
held() { "$MQQUARANTINE" show --vault v "$case" | sed -nE 's/^(restored|holds) +([0-9]+).*/\1 \2/p'; }

for mta in $MTAS; do
    echo "--- $mta"
    flooded "$mta" "$mta"
    all=$(count "$mta")
    quiet mqpurge --spool "$mta" --vault v $FLOOD --why x --yes --active | sed 's/; to look.*//'
    case=$(the_case v)
    held
    quiet mqpurge --undo "$case" --vault v -m 5 --yes
    held
    "$MQQUARANTINE" show --vault v -j "$case" | sed 1d | wc -l
    id=$("$MQQUARANTINE" show --vault v -j "$case" | sed 1d | sed -nE 's/.*"queue_id":"([^"]*)".*/\1/p' | head -n 1)
    quiet mqpurge --undo "$case" --vault v -n
    grep -E '^restore [0-9]+ message|skipped' .out
    quiet mqquarantine restore --vault v "$case" --trust-ids "$id" --yes
    quiet mqquarantine restore --vault v "$case" --trust-ids "$id" --yes
    quiet mqpurge --undo "$case" --vault v --yes
    grep -E '^restore [0-9]+ message|skipped' .out
    quiet mqpurge --undo "$case" --vault v --yes
    quiet mqquarantine restore --vault v "$case" -n --yes -f nobody@example.com
    echo "missing: $((all - $(count "$mta")))"
    rm -rf v
done

echo '--- an open case'
quiet mqquarantine take --spool exim --vault v -m 4 $FLOOD --why x --yes | sed 's/; to look.*//'
case=$(the_case v)
quiet mqquarantine restore --vault v "$case" --yes
quiet mqquarantine restore --vault v "$case" --yes

echo '--- what stays in the case is in no active queue'
rm -rf postfix v
flooded postfix postfix
quiet mqquarantine take --spool postfix --vault v -q active --active --why x --yes | sed 's/; to look.*//'
case=$(the_case v)
"$MQQUARANTINE" show --vault v -j "$case" | sed 1d | sed -nE 's/.*"queue_id":"([^"]*)".*/\1/p' | while read -r id; do echo >"postfix/hold/$id"; done
quiet mqquarantine restore --vault v "$case" --yes
