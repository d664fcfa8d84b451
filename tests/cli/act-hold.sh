# hold and release, for each server: what is held is seen as held and released again by selection and by job; nothing else of the queue
# changes; the dry run is the run.
. "$SRC/tests/cli/common.bash"
. "$SRC/tests/cli/acting.bash"

for mta in $MTAS; do
    echo "--- $mta"
    flooded "$mta" "$mta"
    tree "$mta" >before
    n=$(count "$mta" -x $FLOOD)
    quiet mqquarantine hold --spool "$mta" --vault v $FLOOD -x -n --each
    mv .out dry
    tree "$mta" | diff before - >/dev/null || echo 'the dry run changed the queue'
    quiet mqquarantine hold --spool "$mta" --vault v $FLOOD -x --expect "$n" --each
    diff dry .out >/dev/null && echo 'the dry run is the run'
    echo "not held: $(count "$mta" -x $FLOOD); all of them: $(($(count "$mta" -z $FLOOD) - n))"
    job=$(basename "$(find v/jobs -name '*.ndjson' | sort | tail -n 1)" .ndjson)
    quiet mqquarantine release --spool "$mta" --vault v "$job" -m 2 --yes
    echo "not held: $(count "$mta" -x $FLOOD)"
    quiet mqquarantine release --spool "$mta" --vault v $FLOOD -z --yes
    echo "not held: $(($(count "$mta" -x $FLOOD) - n))"
    # Bytes and places are those of before; the times of what was written anew are not. Exim remembers that somebody thawed it.
    find "$mta" -name '*-H' -exec sed -i '/^-manual_thaw$/d' {} +
    tree "$mta" | awk '{ print $NF }' | sort >after
    awk '{ print $NF }' before | sort | diff - after | grep -c '^[<>]'
    echo '--- held already, and not held'
    quiet mqquarantine release --spool "$mta" --vault v $FLOOD --yes -m 1
    cat .out | sed -n '/^release .*: /s/ [^ ]*: /: /p'
    rm -rf v
done
