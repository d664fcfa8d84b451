# Cases from elsewhere. Whoever made one may have written anything into it: where its messages go, their modes, whose they are. And one that was copied or renamed
# is no second chance, whatever it is called.
. "$SRC/tests/cli/common.bash"
. "$SRC/tests/cli/acting.bash"

bare() { grep -v -e 'counts age' -e '^! *$'; }
# taken MTA: four messages in a sealed case; its name is $case.
taken() {
    rm -rf q v evil evil.tar.gz target
    flooded "$1" q
    quiet mqquarantine take --spool q --vault v $FLOOD -m 4 --why test --yes >/dev/null
    case=$(the_case v)
}
# forged MTA DIR: as if a stranger had made it: a tree, and an archive, whose messages are from DIR.
forged() {
    cp -rp "v/$case" evil
    sed -i -E 's|"spool":"[^"]*"|"spool":"'"$2"'"|' evil/spools.ndjson
    (cd evil && sha256sum bagit.txt bag-info.txt spools.ndjson records.ndjson manifest-sha256.txt >tagmanifest-sha256.txt)
    tar czf evil.tar.gz evil
}
there() { find "$1" -type f | wc -l; }
plan() { grep -e 'goes back' -e '  queue' .out | plain | sed -E 's/ +/ /g'; }

for mta in $MTAS; do
    echo "--- $mta: to a directory that is no queue"
    taken "$mta"
    mkdir target
    echo 'root has this' >target/crontab
    forged "$mta" "$PWD/target"
    for from in ./evil.tar.gz ./evil; do
        quiet mqquarantine restore "$from" --vault v --yes | bare
        quiet mqquarantine restore "$from" --vault v --again --expect 4 -n | bare
        plan
        quiet mqquarantine restore "$from" --vault v --again --expect 4 | bare
        quiet mqpurge --undo "$from" --vault v --again --expect 4 | bare
    done
    echo "there: $(there target)"
    "$MQQUARANTINE" show ./evil.tar.gz 2>/dev/null >.out; plan

    echo "--- $mta: modes"
    find evil/data -type f -exec chmod 7777 {} +
    forge=$PWD/q
    sed -i -E 's|"spool":"[^"]*"|"spool":"'"$forge"'"|' evil/spools.ndjson
    before=$(find q -type f | wc -l)
    quiet mqquarantine restore ./evil --vault v --again --expect 4 | bare
    find q -type f -printf '%m\n' | sort -u | paste -sd ' '
    echo "came: $([ "$(find q -type f | wc -l)" -gt "$before" ] && echo yes)"
    echo "still in the case: $(there evil/data | sed 's/^[1-9].*/all/')"

    echo "--- $mta: an emptied queue, of our own case, is known"
    taken "$mta"
    find q -type f -delete
    quiet mqquarantine restore "$case" --vault v --yes | bare
    plan

    echo "--- $mta: a second archive"
    rm -rf q v bk
    flooded "$mta" q
    quiet mqpurge --spool q --vault v $FLOOD -m 4 --why test --yes >/dev/null
    case=$(the_case v)
    mkdir bk
    cp -p "v/$case.tar.zst" bk/
    cp -p "v/$case.tar.zst" bk/other.tar.zst
    quiet mqpurge --undo "$case" --vault v --yes | bare
    "$MQQUARANTINE" take --spool q --vault w $FLOOD --why delivered --yes >/dev/null 2>&1
    all=$(count q)
    quiet mqquarantine restore "$PWD/bk/$case.tar.zst" --yes --vault v | bare
    quiet mqquarantine restore "$PWD/bk/other.tar.zst" --yes --vault v | bare
    # In a vault, too: under another name, or in one that did not make it.
    cp -p bk/other.tar.zst v/20200101T000000Z-0000.tar.zst
    quiet mqquarantine restore 20200101T000000Z-0000 --vault v --yes | bare
    cp -p bk/other.tar.zst "w/$case.tar.zst"
    quiet mqquarantine restore "$case" --vault w --yes | bare
    echo "more: $(($(count q) - all))"
    quiet mqquarantine restore ./bk/other.tar.zst --again --yes --vault v | bare
    quiet mqquarantine restore ./bk/other.tar.zst --again --expect 4 --vault v | bare
    echo "more: $(($(count q) - all))"
    rm -rf w bk
done

echo '--- of a directory that others can change, nothing is put back'
taken exim
forged exim "$PWD/q"
chmod 777 evil
quiet mqquarantine restore ./evil --again --expect 4 --vault v | bare
chmod 700 evil
chmod 775 evil/data
quiet mqquarantine restore ./evil --again --expect 4 --vault v | bare
"$MQQUARANTINE" show ./evil 2>/dev/null | grep -c custody
run mqquarantine verify ./evil
chmod 755 evil/data
if [ "$(id -u)" = 0 ]; then
    chown 65534 evil
    "$MQQUARANTINE" restore ./evil --again --expect 4 --vault v >/dev/null 2>&1; echo "= $?"
    mv evil v/20200101T000000Z-0000
    "$MQQUARANTINE" restore 20200101T000000Z-0000 --again --expect 4 --vault v >/dev/null 2>&1; echo "= $?"
else
    printf '= 2\n= 2\n'
fi
