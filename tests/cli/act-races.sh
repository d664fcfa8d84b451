# What happens to messages between the plan and the act, and at it: gone, another message under the same id, rewritten so that it does not
# fit any more, being delivered. Each is left alone and named; the others are done.
. "$SRC/tests/cli/common.bash"
. "$SRC/tests/cli/acting.bash"
HOLDLOCK=${MKSPOOL%/*}/holdlock
select="-f user7@shop.example -u user7@shop.example -x -q deferred,incoming"

# what the server locks of a message
locked_file() {
    case $1 in
        exim) echo "${2%-H}-D" ;;
        *) echo "$2" ;;
    esac
}
# the file by whose inode a message is known
body_file() {
    case $1 in
        exim) echo "${2%-H}-D" ;;
        postfix) echo "$2" ;;
        sendmail) echo "$2" | sed 's|qf/qf|df/df|' ;;
    esac
}
ids() { sed -E "s/${ids[0]}/FIRST/; s/${ids[1]}/SECOND/; s/${ids[2]}/THIRD/"; }

for mta in $MTAS; do
    for verb in "take --why test" hold; do
        rm -rf q v
        flooded "$mta" q
        # shellcheck disable=SC2086  # options
        mapfile -t ids < <("$MQGREP" --spool q $select -m 3 -i 2>/dev/null)
        mapfile -t keys < <("$MQGREP" --spool q --format '{files}' "${ids[@]}" 2>/dev/null | sed 's/[ ,].*//')
        body=$(body_file "$mta" "q/${keys[1]}")
        change="rm 'q/${keys[0]}'; cp -p '$body' kept && mv kept '$body'; sed -i 's/user7@shop/user9@shop/' 'q/${keys[2]}'"
        echo "--- $mta: $verb"
        # shellcheck disable=SC2086
        meanwhile "$change" yes mqquarantine $verb --spool q --vault v $select | sed -nE 's/^.*yes.no. //; s/^.*\x1b\[K//; /^(take|hold) .*: (skipped|failed)/p; /messages (taken|held)/p; /^=/p' | ids
        # shellcheck disable=SC2086
        "$HOLDLOCK" "$(locked_file "$mta" "q/${keys[2]}")" "$MQQUARANTINE" $verb --spool q --vault v --trust-ids --yes "${ids[2]}" 2>&1 | sed -n '/: skipped/p' | ids
    done
done
