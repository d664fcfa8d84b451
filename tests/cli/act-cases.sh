# What becomes of cases: listed, shown, verified, packed, dropped, expired. A case that was tampered with is told apart.
. "$SRC/tests/cli/common.bash"
. "$SRC/tests/cli/acting.bash"
elsewhere
flooded exim q
run mqquarantine list --vault v
mkdir v; chmod 700 v
run mqquarantine list --vault v
where() { sed "s|$ELSEWHERE|ELSEWHERE|g"; }
cp -a q "$ELSEWHERE"
run mqquarantine list --spool "$ELSEWHERE/q" | where
mkdir -p "$ELSEWHERE/mqtools/jobs"; chmod -R 700 "$ELSEWHERE/mqtools"
run mqquarantine list --spool "$ELSEWHERE/q" | where
run mqquarantine list -j --vault "$ELSEWHERE/mqtools" | where
quiet mqquarantine take --spool q --vault v -u user7 -m 4 --why $'flood \e[31m ticket 7' --yes
quiet mqpurge --spool q --vault v -r @letters.example -m 3 --why cleanup --yes
case=$("$MQQUARANTINE" list --vault v | awk '$2 == "moved" { print $1 }')
undo=$("$MQQUARANTINE" list --vault v | awk '$2 == "purged" { print $1 }')
bare() { sed -E -e 's/"created":[0-9]+/"created":T/' -e 's/^(created +).*/\1T/' -e "s|$PWD|.|g" -e 's/[0-9]{8}T[0-9]{6}Z-[0-9a-f]{4}/JOB/g' -e 's/"host":"[^"]*"/"host":"H"/' -e 's/^(host +).*/\1H/'; }
# Two of the same second are in no order.
"$MQQUARANTINE" list --vault v | bare | sort -k 2,2
"$MQQUARANTINE" list --vault v -j | bare | sort -t : -k 5,5
"$MQQUARANTINE" show --vault v "$case" | bare
"$MQQUARANTINE" show --vault v "$undo" | bare | grep -E '^(custody|condition|messages|restored|holds)'
"$MQQUARANTINE" show --vault v -j "$case" | cut -c 1-40 | bare
run mqquarantine verify --vault v "$case" "$undo"
run mqquarantine verify "v/$case"
run mqquarantine seal --vault v "$case"

echo '--- restored in part'
quiet mqquarantine restore --vault v "$case" -n
grep '^  goes back' .out | plain
id=$("$MQQUARANTINE" show --vault v -j "$case" | sed -nE 's/.*"queue_id":"([^"]*)".*/\1/p' | head -n 1)
quiet mqquarantine restore --vault v "$case" "$id" --yes
"$MQQUARANTINE" list --vault v | awk '$2 == "moved" { print $4, $5 }'
run mqquarantine verify --vault v "$case"
quiet mqquarantine restore --vault v "$case" --again --yes
quiet mqquarantine restore --vault v "$case" -f nobody@example.com --yes

echo '--- tampered with'
cp -a v tampered
file=$(find "tampered/$case/data" -name '*-D' | sort | head -n 1)
echo x >>"$file"
run mqquarantine verify --vault tampered "$case" | sed 's/1x[^ :]*-D/ID-D/'
rm -rf tampered; cp -a v tampered
rm "$(find "tampered/$case/data" -name '*-H' | sort | head -n 1)"
run mqquarantine verify --vault tampered "$case" | sed 's/1x[^ :]*-H/ID-H/'
rm -rf tampered; cp -a v tampered
touch "tampered/$case/data/more"
run mqquarantine verify --vault tampered "$case"
rm -rf tampered; cp -a v tampered
sed -i '1s/T/U/' "tampered/$case/journal.ndjson"
run mqquarantine verify --vault tampered "$case"
rm -rf tampered; cp -a v tampered
printf x | dd of="tampered/$undo.tar.zst" bs=1 seek=100 conv=notrunc 2>/dev/null
run mqquarantine verify --vault tampered "$undo" | grep '^='

echo '--- packed'
for end in tar.gz tgz tar.zst; do
    quiet mqquarantine pack --vault v "$case" --output "case.$end"
    run mqquarantine verify "./case.$end"
done
tar tzf case.tar.gz | sed -E -e 's/^[^/]*/CASE/' -e 's/1x[^./]*/ID/' | sort -u | grep -vE '/data/|/eml/ID'
tar tzf case.tar.gz | grep -cE '/eml/.*\.eml$'
quiet mqquarantine pack --vault v "$case" --output case.tar.gz
quiet mqquarantine pack --vault v "$case" --output case.zip
quiet mqquarantine restore ./case.tar.gz --yes
for mta in $MTAS; do
    flooded "$mta" "live-$mta"
    tree "live-$mta" >before
    quiet mqquarantine pack --spool "live-$mta" -u user7 -m 3 --output "$mta.tar.gz"
    tree "live-$mta" | diff before - >/dev/null && echo 'the queue was only read'
    run mqquarantine verify "./$mta.tar.gz"
done

echo '--- dropped, expired'
quiet mqquarantine drop --vault v "$case"
quiet mqquarantine drop --vault v "$case" --why finished
quiet mqquarantine drop --vault v "$case" --why finished --yes
quiet mqquarantine drop --vault v "$case" --why finished --expect 7
quiet mqquarantine drop --vault v "$case" --why finished --expect 3 -n
quiet mqquarantine drop --vault v "$case" --why finished --expect 3
run mqquarantine expire --vault v
run mqquarantine expire --vault v --days 1 -n
"$MQQUARANTINE" list --vault v | awk '{ print $2 }'
quiet mqquarantine drop --vault v 20200101T000000Z-0000 --why finished --yes
quiet mqquarantine show --vault v 20200101T000000Z-0000
run mqquarantine recover --vault v

echo '--- a case that was never sealed, and from which everything went back'
flooded exim empty 3
quiet mqquarantine take --spool empty --vault v2 --all --why test --yes
case=$(the_case v2)
touch "v2/$case/INCOMPLETE"
quiet mqquarantine restore --vault v2 "$case" --yes
run mqquarantine seal --vault v2 "$case"
run mqquarantine verify --vault v2 "$case"
run mqquarantine recover --vault v2
quiet mqquarantine restore --vault v2 "$case" -f nobody@nowhere.example --yes
