# pack: what a killed pack left beside its archive goes with the next one of that name; what somebody works in, or is not ours, stays.
. "$SRC/tests/cli/common.bash"
. "$SRC/tests/cli/acting.bash"
message q 1xUs00-0007Aa-1x alice@example.org bob@example.net hello
left() { # left MODE
    mkdir -p .ev.tar.gz.work/input
    echo mail >.ev.tar.gz.work/input/1xUs00-0007Aa-1x-D
    chmod "$1" .ev.tar.gz.work
}
packed() {
    run mqquarantine pack --spool q --mta exim --all --output ev.tar.gz --redact
    ls -A .ev.tar.gz.work ev.tar.gz 2>/dev/null
    rm -f ev.tar.gz
}
echo '--- nobody works in it'
left 700
packed
echo '--- somebody does'
left 700
exec 9<.ev.tar.gz.work
flock -n 9
packed
exec 9<&-
echo '--- it is no longer theirs'
packed
echo '--- another directory'
left 755
packed
rm -r .ev.tar.gz.work
echo '--- a link'
mkdir elsewhere
echo mail >elsewhere/kept
chmod 700 elsewhere
ln -s elsewhere .ev.tar.gz.work
packed
ls elsewhere
