# What is on hold in Postfix and may be in its queue manager's memory is not released: whoever put it there, and whatever they used. A stand-in
# plays the queue manager: it has the name, and works in the queue. Nor is anything taken from active that has been delivered and is about to go.
. "$SRC/tests/cli/common.bash"
. "$SRC/tests/cli/acting.bash"
flooded postfix p
cp "$(command -v sleep)" qmgr
(cd p && exec ../qmgr 120) &
qmgr=$!
trap 'kill $qmgr 2>/dev/null' EXIT
until [ "$(cat /proc/$qmgr/comm)" = qmgr ]; do :; done

# waiting N: the N-th message that was put off with a reason.
waiting() { (cd p && find deferred -type f -printf '%f\n' | sort | while read -r id; do [ -z "$(find defer -name "$id")" ] || echo "$id"; done) | sed -n "$1p"; }
place() { (cd p && for dir in incoming deferred hold; do [ -z "$(find $dir -name "$1")" ] || echo $dir; done) }
release() {
    quiet mqquarantine release --spool p --vault v "$1" --trust-ids -n --each
    sed 's/[0-9A-F]\{6,\}/ID/; /^release [0-9]/d; /^  /d' .out
    quiet mqquarantine release --spool p --vault v "$1" --trust-ids --yes --each
    sed 's/[0-9A-F]\{6,\}/ID/; /^release [0-9]/d; /^  /d' .out
    echo "in $(place "$1")"
}
tried=$(waiting 1) active=$(waiting 2) new=$(waiting 3)

echo '--- put off before somebody held it'
mv "$(find p/deferred -name "$tried")" p/hold/
release "$tried"
echo '--- held while it was being delivered: loading it took the reasons away'
mv "$(find p/deferred -name "$active")" p/hold/
rm "$(find p/defer -name "$active")"
touch -d @1795290000 "p/hold/$active"
release "$active"
echo '--- held by cleanup, as soon as it was written'
touch "p/hold/$active"
release "$active"
mv "$(find p/deferred -name "$active")" p/hold/
echo '--- new, and held by us'
mv "$(find p/deferred -name "$new")" p/incoming/
rm "$(find p/defer -name "$new")"
touch -d @1795290000 "p/incoming/$new"
quiet mqquarantine hold --spool p --vault v "$new" --trust-ids --yes
release "$new"
kill "$qmgr"
wait "$qmgr" 2>/dev/null
echo '--- its master lives, but not where we see it'
touch -d @1795290000 "p/hold/$active"
mkdir -p p/pid
exec 9>p/pid/master.pid
release "$active"
exec 9>&-
echo '--- without a queue manager nobody remembers'
release "$active"
echo '--- in active, one recipient left, then none'
id=0D431A0B0C1 path=p/active/0D431A0B0C1
"$MKSPOOL" text "$SRC/tests/spool/postfix/good-a.txt" made >/dev/null
for now in R D; do
    mv made/deferred/0/$id "$path" 2>/dev/null || true
    sed -i "s/[RD]\(.lee@example.net\)/$now\1/" "$path"
    run mqquarantine take --spool p --vault v $id --trust-ids --active --why test -n --each
done
