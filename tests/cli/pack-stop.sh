# pack ends when it is told to: no archive, nothing beside it, and that is said. A log that is a device has no end, and is none. Nor is an archive put where a
# mail server looks for mail.
. "$SRC/tests/cli/common.bash"
. "$SRC/tests/cli/acting.bash"
message q 1xUs00-0007Aa-1x alice@example.org bob@example.net hello
mkfifo log
trap '' PIPE
mkdir out
# stopped ARGUMENT...: the signal comes while the log is read: its writer can open it only then.
stopped() {
    local pid rc=0
    timeout -k 5 20 "$MQQUARANTINE" pack "$@" --log log --output out/ev.tar.gz >.out 2>.err &
    pid=$!
    exec 9>log
    kill -TERM "$pid"
    # The log does not end before its reader does.
    while printf 'Nov 21 20:30:00 mx exim[1]: no line of ours\n' >&9; do :; done 2>/dev/null
    exec 9>&-
    wait "$pid" || rc=$?
    sed 's/^/! /' .err
    echo "= $rc"
    ls -A out
}
echo '--- a queue'
stopped --spool q --mta exim --all
echo '--- a case'
quiet mqquarantine pack --spool q --mta exim --all --output case.tar.gz | grep -v -e 'send it by' -e xarf || true
stopped ./case.tar.gz
echo '--- devices'
ln -s /dev/zero endless
for device in /dev/zero endless /dev/null; do
    run mqquarantine pack --spool q --mta exim --all --log "$device" --output out/ev.tar.gz
done
ls -A out
echo '--- into a queue'
ln -s ../q/msglog out/link
for place in q/input out/link; do
    quiet mqquarantine pack --spool q --mta exim --all --output "$place/ev.tar.gz"
done
find q out -name '*ev*'
