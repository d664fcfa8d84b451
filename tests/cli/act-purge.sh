# mqpurge, for each server: with the undo case, undone, and without it.
. "$SRC/tests/cli/common.bash"
. "$SRC/tests/cli/acting.bash"

for mta in $MTAS; do
    echo "--- $mta"
    flooded "$mta" "$mta"
    tree "$mta" >before
    n=$(count "$mta" $FLOOD) all=$(count "$mta")
    quiet mqpurge --spool "$mta" --vault v $FLOOD --why test -n --each
    mv .out dry
    tree "$mta" | diff before - >/dev/null || echo 'the dry run changed the queue'
    quiet mqpurge --spool "$mta" --vault v $FLOOD --why test --expect "$n" --each
    diff dry .out >/dev/null && echo 'the dry run is the run'
    echo "left: $(count "$mta" $FLOOD), others: $(($(count "$mta") + n - all))"
    case=$(the_case v)
    quiet mqquarantine verify --vault v "$case"
    quiet mqpurge --undo "$case" --vault v --yes
    echo "missing: $((all - $(count "$mta")))"
    [ "$mta" = postfix ] || { tree "$mta" | diff before - >/dev/null && echo 'the queue is as it was'; }
    quiet mqpurge --undo "$case" --vault v --yes
    echo '--- without undo'
    quiet mqpurge --spool "$mta" --vault v $FLOOD --why test --expect "$n" --no-undo
    echo "left: $(count "$mta" $FLOOD), others: $(($(count "$mta") + n - all))"
    find "$mta" -type f -newer before | sed 's/^/new file: /'
    rm -rf v
done
