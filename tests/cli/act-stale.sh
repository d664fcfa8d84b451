# A log that Postfix left of a message which was taken meanwhile does not keep it from coming back.
. "$SRC/tests/cli/common.bash"
. "$SRC/tests/cli/acting.bash"
flooded postfix p
logged=$(cd p && find deferred -type f -printf '%f\n' | sort | while read -r id; do [ -z "$(find defer -name "$id")" ] || echo "$id"; done | head -n 1)
tree p >before
log=$(cd p && find defer -name "$logged")
quiet mqquarantine take --spool p --vault v --trust-ids "$logged" --why test --yes | grep ' of '
case=$(the_case v)
stale() {
    mkdir -p "p/${log%/*}"
    echo '<late@example.com>: deferred' >"p/$log"
    chown --reference=p/deferred "p/$log"
}
stale
masked() { sed -n '/^restore .*: /p' .out | sed "s/$logged/ID/g; s|defer/.|defer/X|"; }
quiet mqquarantine restore --vault v "$case" -n | grep ' of '
masked >dry
grep -c late "p/$log"
quiet mqquarantine restore --vault v "$case" --yes | grep ' of '
masked | tee run
cmp dry run && echo 'the dry run is the run'
tree p | diff before - && echo 'as it was'
