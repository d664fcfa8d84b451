# Killed half way, for each server: the next command refuses and says what to type, recover puts everything in one place. Two who act at once
# are not taken for crashed.
. "$SRC/tests/cli/common.bash"
. "$SRC/tests/cli/acting.bash"
mkfifo out

# begin QUEUE VAULT VERB...: start a slow job, and wait until it acts; its process is $job.
begin() {
    local line q=$1 v=$2
    shift 2
    "$MQQUARANTINE" "$@" --spool "$q" --vault "$v" --yes --rate 5/s --each >out 2>err &
    job=$!
    while read -r line; do
        case $line in *': done') break ;; esac
    done <out
}
# everything QUEUE VAULT: messages in the queue and in cases that did not go back.
everything() {
    local case in=0
    for case in $("$MQQUARANTINE" list --vault "$2" 2>/dev/null | awk 'NR > 1 { print $1 }'); do
        in=$((in + $("$MQQUARANTINE" show --vault "$2" -j "$case" 2>/dev/null | grep -c '"mqtools.record/1"')))
    done
    echo "$(($(count "$1") + in)) messages"
}

for mta in $MTAS; do
    echo "--- $mta: killed"
    rm -rf q v
    flooded "$mta" q
    begin q v take $FLOOD -x --active --why test
    kill -9 $job; wait $job 2>/dev/null
    run mqpurge --spool q --vault v -r @bigmail.example --why test --yes | sed -n '/^!/p; /^=/p'
    find v -printf '%p %s %T@ %C@\n' | sort >v.before
    run mqpurge --spool q --vault v -r @bigmail.example --why test -n | sed -n '/^!/p; /^=/p'
    find v -printf '%p %s %T@ %C@\n' | sort | diff v.before -
    run mqquarantine list --vault v | awk '{ print $1, $2, $3 }'
    # A stranger's link in the place of a directory keeps no job open.
    [ $mta != postfix ] || ln -sT /etc q/hold/F
    run mqquarantine recover --vault v | sed -E 's/[0-9]+ (message|file)/N \1/g'
    [ $mta != postfix ] || rm q/hold/F
    run mqquarantine recover --vault v
    everything q v
    quiet mqquarantine take --spool q --vault v $FLOOD -x --active --why test --yes 2>&1 | grep -v -e ' messages ' -e ' case '
    echo "left: $(count q $FLOOD -x)"

    echo "--- $mta: two at once"
    rm -rf q v
    flooded "$mta" q
    begin q v take $FLOOD -x --active --why test
    quiet mqquarantine hold --spool q --vault v -m 3 -r @letters.example -x --yes 2>&1 | grep -v -e ' stayed ' -e ' left the queue while '
    run mqquarantine recover --vault v
    kill $job; wait $job; echo "= $?"
    everything q v
done

echo '--- deleting for good, killed between the control file and the body'
for mta in exim sendmail; do
    rm -rf q v
    flooded "$mta" q 12
    quiet mqpurge --spool q --vault v -r @bigmail.example --why test --yes --no-undo
    read -r whole torn other <<<"$("$MQGREP" --spool q -i 2>/dev/null | head -n 3 | tr '\n' ' ')"
    body() { find q -name "df$1" -o -name "$1-D"; }
    # The file of a job that was killed: what it was about to delete, and no end.
    file=$(find v/jobs -name '*.ndjson')
    sed -i '2,$d' "$file"
    for id in "$whole" "$torn"; do
        stat -c "{\"event\":\"going\",\"spool\":\"$PWD/q\",\"messages\":[\"$id %D:%i\"]}" "$(body "$id")" >>"$file"
    done
    touch "${file%.ndjson}.open"
    find q \( -name "$torn-H" -o -name "qf$torn" -o -name "$other-H" -o -name "qf$other" \) -delete
    run mqquarantine recover --vault v
    for id in "$whole" "$torn" "$other"; do body "$id" | wc -l; done
done

echo '--- killed while the vault was being made'
message e 1aaaaa-000001-aa alice@example.com bob@example.net hello
mkdir -m 700 w w/jobs
run mqquarantine hold --spool e --vault w --all -n | tail -n 1
find w -mindepth 1
run mqquarantine recover --vault w
rmdir w/ledger
run mqquarantine list --vault w
rmdir w/jobs w/ledger
run mqquarantine hold --spool e --vault w --all --yes | tail -n 2
mkdir -m 700 x
touch x/letter
run mqquarantine recover --vault x
