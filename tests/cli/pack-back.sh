# A pack of a case of which messages went back says so, in the pages and on the terminal: its counts are those of what is in it.
. "$SRC/tests/cli/common.bash"
. "$SRC/tests/cli/acting.bash"
# packs OPTION...: what the terminal is told, and what the pack's first pages say.
packs() {
    rm -rf out p.tar.gz
    quiet mqquarantine pack --vault v "$case" --output p.tar.gz --why test "$@" | grep -e 'back' -e '^='
    mkdir out
    tar -xzf p.tar.gz -C out --strip-components 1
    grep -E '^(Put back|Messages):' out/summary.txt
    grep -o 'Put back.*' out/report.html | sed 's/<[^>]*>/ /g; s/  */ /g'
    wc -l <out/records.ndjson
}
for mta in $MTAS; do
    rm -rf v
    flooded "$mta" q-"$mta"
    echo "--- $mta: an open case"
    quiet mqquarantine take --spool q-"$mta" --vault v $FLOOD -m 5 --why test --yes >/dev/null
    case=$(the_case v)
    packs
    quiet mqquarantine restore --vault v "$case" -m 1 --yes >/dev/null
    packs
    quiet mqquarantine restore --vault v "$case" -m 2 --yes >/dev/null
    packs
    packs --redact
    rm -rf v
    echo "--- $mta: a packed case"
    quiet mqpurge --spool q-"$mta" --vault v $FLOOD -m 5 --why test --yes >/dev/null
    case=$(the_case v)
    quiet mqpurge --undo "$case" --vault v -m 2 --yes >/dev/null
    packs
done
