# Who may act: root, and the owner of the queue with a vault of their own. Anybody else is told who may.
. "$SRC/tests/cli/common.bash"
. "$SRC/tests/cli/acting.bash"
# The test's own folder may lie where a plain user cannot go.
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
chmod 755 "$dir"
cd "$dir" || exit 2
asuser() {
    if [ "$(id -u)" = 0 ]; then setpriv --reuid 65534 --regid 65534 --clear-groups "$@"; else "$@"; fi
}
as() {
    local rc=0
    asuser "$(program "$1")" "${@:2}" >.out 2>.err || rc=$?
    plain <.err | sed 's/^/! /'
    echo "= $rc"
}
: >.out; : >.err
asuser test -x "$MQQUARANTINE" || { echo "a plain user cannot run $MQQUARANTINE" >&2; exit 77; }

for mta in $MTAS; do
    echo "--- $mta: another's queue"
    flooded "$mta" "$mta"
    if [ "$(id -u)" = 0 ]; then
        find "$mta" -type d -exec chmod 755 {} +
        find "$mta" -type f -exec chmod 644 {} +
        as mqquarantine take --spool "$mta" --vault "$dir/v" $FLOOD --why test --yes | sed -E 's/[0-9]+ messages?/N messages/'
    else
        chmod 000 "$mta"
        as mqquarantine take --spool "$mta" --vault "$dir/v" $FLOOD --why test --yes | sed -E 's/[0-9]+ messages?/N messages/'
        chmod 700 "$mta"
    fi
    [ ! -e "$dir/v" ] || echo 'there is a vault now'
done

echo '--- the owner of a queue has a vault of their own: the end says whose it is, and so does the list of root'
mkdir own
[ "$(id -u)" != 0 ] || chown 65534:65534 own
asuser "$MKSPOOL" flood exim own/q -n 12 --now "$NOW"
theirs() { sed -E -e "s|$PWD|.|g" -e 's/of user [^ ,]+/of user NAME/; s/runuser -u [^ ]+/runuser -u NAME/; s/JOB.*/JOB .../' -e 's|own/q/mqtools|own/mqtools|g'; }
as mqquarantine take --spool own/q $FLOOD --why test --yes | theirs
asuser "$MQQUARANTINE" list --spool own/q 2>/dev/null | awk '{ print $2 }'
if [ "$(id -u)" = 0 ]; then
    "$MQQUARANTINE" list --spool own/q 2>&1 | grep 'vault of user'
else
    echo "mqquarantine: $PWD/own/mqtools is a vault of user NAME, who alone lists and restores its cases: runuser -u NAME -- mqquarantine list --vault $PWD/own/mqtools"
fi | theirs

echo '--- a case that was carried here from a host with other users goes back as the queue'"'"'s own'
for mta in exim postfix; do
    flooded "$mta" "at-$mta"
    [ "$(id -u)" != 0 ] || chown -R 65534:65534 "at-$mta"
    tree "at-$mta" >before
    quiet mqquarantine take --spool "at-$mta" --vault carried $FLOOD -q deferred,incoming,held --why test --yes | grep ' of '
    [ "$(id -u)" != 0 ] || chown -R 12345:12345 carried/2*/data/*
    quiet mqquarantine restore --vault carried "$(the_case carried)" --yes | grep ' of '
    tree "at-$mta" | diff before - >/dev/null && echo 'as it was'
    rm -rf carried
done
