# take and restore: nothing of a message changes on the way, for each server, on one file system and across two; the dry run
# says what the run does, line for line, and writes nothing.
. "$SRC/tests/cli/common.bash"
. "$SRC/tests/cli/acting.bash"
elsewhere

round() { # round MTA QUEUE VAULT
    local mta=$1 q=$2 v=$3 n case
    flooded "$mta" "$q"
    tree "$q" >before
    n=$(count "$q" $FLOOD)
    quiet mqquarantine take --spool "$q" --vault "$v" $FLOOD --why test -n --each
    mv .out dry
    tree "$q" | diff before - >/dev/null || echo 'the dry run changed the queue'
    [ ! -e "$v" ] || [ -z "$(ls -A "$v")" ] || echo 'the dry run made something in the vault'
    quiet mqquarantine take --spool "$q" --vault "$v" $FLOOD --why test --expect "$n" --each
    diff dry .out >/dev/null && echo 'the dry run is the run'
    [ "$(grep -cE ': (done|skipped)' .out)" = "$n" ] && echo 'each message has its line'
    echo "left: $(count "$q" $FLOOD), others: $(($(count "$q") + n))"
    case=$(the_case "$v")
    (cd "$v/$case" && sha256sum -c --quiet manifest-sha256.txt && sha256sum -c --quiet tagmanifest-sha256.txt && echo 'sha256sum agrees')
    quiet mqquarantine verify --vault "$v" "$case"
    quiet mqquarantine restore --vault "$v" "$case" --yes
}

for mta in $MTAS; do
    echo "--- $mta, one file system"
    round "$mta" "q-$mta" "v-$mta"
    tree "q-$mta" | diff before - >/dev/null && echo 'the queue is as it was'
    echo "--- $mta, across file systems"
    round "$mta" "far-$mta" "$ELSEWHERE/v-$mta"
    # Short Postfix ids hold the inode: copies have new ones.
    [ "$mta" = postfix ] || { tree "far-$mta" | diff before - >/dev/null && echo 'the queue is as it was'; }
    "$MQGREP" --spool "far-$mta" -j --fields sender,subject,message_size,arrival_time,recipients 2>/dev/null | sort >after.json
    "$MQGREP" --spool "q-$mta" -j --fields sender,subject,message_size,arrival_time,recipients 2>/dev/null | sort | cmp - after.json && echo 'the same messages'
    echo '--- each message goes back once'
    quiet mqquarantine restore --vault "v-$mta" "$(the_case "v-$mta")" --yes
    echo "$(count "q-$mta") messages"
done
