# Without the right to read: one sentence, status 2, and what can be read is still listed.
. "$SRC/tests/cli/common.bash"
# The test's own folder may lie where a plain user cannot go.
dir=$(mktemp -d)
trap 'chmod -R u+rwX "$dir"; rm -rf "$dir"' EXIT
chmod 755 "$dir"
cd "$dir" || exit 2
spool exim e good-local good-bounce
message e 1aaaaa-000001-aa alice@example.com bob@example.net hello
spool postfix p good-a good-b
find p -exec touch -d @1795300000 {} +
chmod 755 e p e/input e/msglog
find e p -type f -exec chmod 644 {} +
find p -type d -exec chmod 755 {} +

# Root reads everything, so the commands run as somebody who may not.
asuser() {
    if [ "$(id -u)" = 0 ]; then
        setpriv --reuid 65534 --regid 65534 --clear-groups "$@"
    else
        "$@"
    fi
}
as() {
    local rc=0
    printf '$ (plain user) %s' "$1"
    printf ' %q' "${@:2}"
    echo
    asuser "$(program "$1")" "${@:2}" >.out 2>.err || rc=$?
    plain <.out
    plain <.err | sed -E 's/^/! /'
    echo "= $rc"
}
: >.out; : >.err
asuser test -x "$MQGREP" || { echo "a plain user cannot run $MQGREP" >&2; exit 77; }

as mqgrep --spool e -i
chmod 000 e/input/1xUroU-0003xZ-2Y-H
as mqgrep --spool e -i
as mqgrep --spool e -f alice@example.com -i
as mqgrep --spool e -v -f alice@example.com -i
as mqgrep --spool e -c
as mqgrep --spool e --fields id,state,sender
as mqgrep --spool e --damaged -i
as mqstat --spool e -k sender --csv
chmod 000 p/hold
as mqgrep --spool p -i
chmod 000 p/deferred p/active p/incoming p/maildrop 2>/dev/null
as mqgrep --spool p -i
chmod 000 e/input
as mqgrep --spool e -i
as mqstat --spool e --now 1795300000
chmod 000 p
as mqgrep --spool p -i
as mqgrep --spool p --spool e -c
