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
    quiet mqquarantine release --spool "$mta" --vault v $FLOOD --yes -m 1 --each
    sed -n '/^release .*: /s/ [^ ]*: /: /p' .out
    quiet mqquarantine hold --spool "$mta" --vault v $FLOOD -m 20 --yes >dry
    grep -c '^hold .*: skipped' .out
    quiet mqquarantine hold --spool "$mta" --vault v $FLOOD -m 20 --yes
    "$MQQUARANTINE" hold --spool "$mta" --vault v $FLOOD -m 21 -n -j 2>/dev/null | grep -c '"text":".* already","already":true}$'
    rm -rf v
done

echo '--- of a job, what has its id by now but is another message stays'
message q 1aaaaa-000001-aa alice@example.com bob@example.net hello
message q 1aaaaa-000002-aa carol@example.com bob@example.net hello
quiet mqquarantine hold --spool q --vault v --all --yes
job=$(basename "$(find v/jobs -name '*.ndjson')" .ndjson)
rm q/input/1aaaaa-000002-aa-[DH]
TIME=1795293999 message q 1aaaaa-000002-aa mallory@example.com bob@example.net hello '-frozen 1795293999'
quiet mqquarantine release --spool q --vault v "$job" -n --each
sed -n '/^release .*: /p' .out
quiet mqquarantine release --spool q --vault v "$job" --yes --each
sed -n '/^release .*: /p' .out
"$MQGREP" --spool q --now 1795300000 2>/dev/null

echo '--- a job whose file is damaged, or not ours, releases nothing'
quiet mqquarantine hold --spool q --vault w -f alice@example.com --yes
job=$(basename "$(find w/jobs -name '*.ndjson')" .ndjson)
cp "w/jobs/$job.ndjson" whole
for line in 'not json' '{}' '{"event":"message","event":"message"}' '{"event":"message","result":"done","spool":"/x","id":"a\u0000b"}'; do
    { cat whole; echo "$line"; } >"w/jobs/$job.ndjson"
    quiet mqquarantine release --spool q --vault w "$job" --yes
done
rm "w/jobs/$job.ndjson"
ln -s "$PWD/whole" "w/jobs/$job.ndjson"
quiet mqquarantine release --spool q --vault w "$job" --yes
quiet mqquarantine release --spool q --vault w 20200101T000000Z-0000 --yes
"$MQGREP" --spool q --now 1795300000 2>/dev/null
