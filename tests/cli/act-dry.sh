# A dry run looks at the vault as the run would: what the run refuses it refuses, and it makes nothing.
. "$SRC/tests/cli/common.bash"
. "$SRC/tests/cli/acting.bash"
flooded exim q 12
ids=$("$MQGREP" --spool q -i | head -n 2)

# both VAULT: the dry run, what it made, and the run.
both() {
    echo "--- $1"
    two "$@" | sed -e 's/; to look:.*//' -e 's/user [0-9]*/user UID/'
}
two() {
    find . -path ./q -prune -o -path ./out -prune -o -name '.[oe]*' -prune -o -print | sort >out/before
    quiet mqquarantine take --spool q --why x --expect 2 $ids --vault "$1" -n
    find . -path ./q -prune -o -path ./out -prune -o -name '.[oe]*' -prune -o -print | sort | diff out/before -
    quiet mqquarantine take --spool q --why x --expect 2 $ids --vault "$1"
}
mkdir out
mkdir -m 1777 open
mkdir -m 770 group
touch file
ln -s nowhere/at/all dangling
mkdir -m 700 stranger; mkdir stranger/mail
both open
both open/vault
"$MQQUARANTINE" restore --yes --vault open/vault "$(the_case open/vault)" >/dev/null 2>&1
both group
both missing/vault
both file
both file/vault
both dangling
both q/input
both q/input/vault
chmod 777 group
both group/vault
mkdir -m 700 new
both new
"$MQQUARANTINE" restore --yes --vault new "$(the_case new)" >/dev/null 2>&1
both stranger
