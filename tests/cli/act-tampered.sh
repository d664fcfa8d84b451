# A case that was changed since it was sealed: no pack is made of it that would look true, and of its messages only those go back that are as they were.
. "$SRC/tests/cli/common.bash"
. "$SRC/tests/cli/acting.bash"

# Ids differ from run to run, paths with them; the case and the file's kind stay. A file's letter: H, D (Exim), q, d (Sendmail), Q (Postfix).
bare() {
    sed -E -e 's|data/0-exim/[^ :]*-([HDJ])|data/…-\1|g' -e 's|data/0-sendmail/([^ :]*/)?([a-z])f[A-Za-z0-9]+|data/…\2f|g' \
        -e 's|data/0-postfix/(([a-z]+)/)[^ :]*|data/…\2|g' -e 's/^restore [^ :]+:/restore ID:/' -e 's/^! mqquarantine: (Postfix|Exim|Sendmail) counts.*//' \
        -e '/xarf.json/d' -e '/^! *$/d' -e '/^$/d'
}
# taken MTA: four messages in a sealed case; its name is $case.
taken() {
    rm -rf q v tampered p.tar.gz
    flooded "$1" q
    quiet mqquarantine take --spool q --vault v $FLOOD -m 4 --why test --yes >/dev/null
    case=$(the_case v)
}
# file PATTERN: the first file of the case that fits.
file() { find "v/$case/data" -type f -path "$1" | LC_ALL=C sort | head -n 1; }
# packs: what is said, and whether anything is there afterwards.
packs() {
    quiet mqquarantine pack --vault v "$case" --output p.tar.gz "$@" | bare
    find . -maxdepth 1 \( -name 'p.tar*' -o -name '.p.*' \) -printf '%f\n' | sort
    rm -f p.tar.gz
}
restores() {
    quiet mqquarantine restore --vault v "$case" --yes "$@" | grep -v -e counts | bare
    grep -e skipped -e failed .out | bare | sort
}
# scratch FILE: one byte of it is another, its length is what it was.
scratch() { printf '\001' | dd of="$1" bs=1 seek=40 conv=notrunc 2>/dev/null; }
key() { case $1 in exim) echo '*/input/*-H' ;; postfix) echo '*/deferred/*' ;; sendmail) echo '*/qf*' ;; esac; }

for mta in $MTAS; do
    echo "--- $mta: as it was sealed"
    taken "$mta"
    packs
    echo "--- $mta: changed"
    echo x >>"$(file "$(key "$mta")")"
    packs
    packs --redact
    restores -n
    restores
    "$MQQUARANTINE" verify --vault v "$case" 2>/dev/null | bare
    tail -n 1 "v/$case/journal.ndjson" | grep -o -e '"event":"[a-z]*"' -e '"result":"[a-z]*"' -e '"messages":[0-9]*' -e '"not_as_sealed":[0-9]*' | paste -sd ' '
    grep -h '"result":"skipped"' v/jobs/*.ndjson | grep -o '"text":"[^"]*"' | bare

    echo "--- $mta: a message is missing"
    taken "$mta"
    name=$(basename "$(file "$(key "$mta")")"); name=${name#qf}; name=${name%-H}
    find "v/$case/data" -name "*$name*" -delete
    packs | sed 's/data[^ ]* missing.*/data… missing/'
    restores
    echo "left: $("$MQQUARANTINE" show --vault v -j "$case" | grep -c mqtools.record)"
    # Once more: those that went back are not missing.
    restores
done

echo '--- a body is missing, another file is there'
taken exim
rm "$(file '*/input/*-D')"
other=$(find "v/$case/data" -name '*-H' | LC_ALL=C sort | tail -n 1)
cp -p "$other" "${other%-H}-J"
packs
restores

echo '--- only some are wanted: nothing is said of the others'
taken exim
id=$(basename "$(find "v/$case/data" -name '*-H' | LC_ALL=C sort | tail -n 1)" -H)
name=$(basename "$(file '*-H')" -H)
find "v/$case/data" -name "$name*" -delete
quiet mqquarantine restore --vault v "$case" "$id" --yes | grep 'put back'

echo '--- manifest gone'
taken exim
rm "v/$case/manifest-sha256.txt"
packs
restores

echo '--- records changed'
taken exim
sed -i '1s/bigmail/smallmail/; 1s/{/{ /' "v/$case/records.ndjson"
packs

echo '--- packed, then changed within'
taken exim
quiet mqquarantine pack --vault v "$case" --output p.tar.gz | bare
tar xzf p.tar.gz
scratch "$(find p/data -name '*-D' | LC_ALL=C sort | head -n 1)"
tar czf p.tar.gz p
rm -r p
cp p.tar.gz changed.tar.gz
rm p.tar.gz
quiet mqquarantine pack ./changed.tar.gz --output p.tar.gz | bare
find . -maxdepth 1 -name 'p.tar*' -printf '%f\n' | sort
quiet mqquarantine restore ./changed.tar.gz --again --expect 4 | bare

echo '--- an undo case, changed within'
rm -rf q v
flooded exim q
quiet mqpurge --spool q --vault v $FLOOD -m 4 --why test --yes >/dev/null
undo=$(the_case v)
(
    cd v || exit 2
    zstd -qdc "$undo.tar.zst" | tar xf -
    scratch "$(find "$undo/data" -name '*-D' | LC_ALL=C sort | head -n 1)"
    tar cf - "$undo" | zstd -qfo "$undo.tar.zst"
    rm -r "$undo"
)
quiet mqpurge --undo "$undo" --vault v --yes | grep -v counts | sed -E 's|data/0-exim/[^ :]*-D|data/…-D|; /^$/d'
echo "back: $(count q $FLOOD -x)"

echo '--- its manifest is gone: nothing goes back until somebody vouches for it; the packed copy of an undo case goes back once'
rm -rf q v
flooded exim q
quiet mqquarantine take --spool q --vault v $FLOOD -m 4 --why test --yes >/dev/null
case=$(the_case v)
rm "v/$case/manifest-sha256.txt"
quiet mqquarantine restore --vault v "$case" --yes | grep -v counts
touch "v/$case/INCOMPLETE"
quiet mqquarantine seal --vault v "$case"
quiet mqquarantine restore --vault v "$case" --yes | grep -v counts
quiet mqpurge --spool q --vault v $FLOOD -m 4 --why test --yes >/dev/null
undo=$("$MQQUARANTINE" list --vault v | awk '$2 == "purged" { print $1 }')
mkdir aside; cp "v/$undo.tar.zst" aside
quiet mqpurge --undo "$undo" --vault v --yes | grep -v counts
rm q/input/*
quiet mqquarantine restore "./aside/$undo.tar.zst" --vault v --yes | grep -v counts

echo '--- not sealed, killed: verify and seal name the same first step'
rm -rf q v
flooded exim q
mkfifo out
"$MQQUARANTINE" take --spool q --vault v $FLOOD --why test --yes --rate 5/s --each >out 2>err &
job=$!
while read -r line; do
    case $line in *': done') break ;; esac
done <out
kill -9 $job; wait $job 2>/dev/null
case=$(the_case v)
run mqquarantine verify --vault v "$case"
run mqquarantine seal --vault v "$case"
