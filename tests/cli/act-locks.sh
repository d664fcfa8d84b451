# Who has a case's lock is the only one that changes it: nothing goes back out of a case that is being filled or deleted, none is deleted
# while its messages go back.
. "$SRC/tests/cli/common.bash"
. "$SRC/tests/cli/acting.bash"
flooded exim q 20
quiet mqquarantine take --spool q --vault v $FLOOD --why x --yes
case=$(the_case v)
before=$(count q)
held=$("$MQQUARANTINE" show --vault v -j "$case" | grep -c '"mqtools.record/1"')
locked() { flock "$1" "${@:2}" >.locked 2>&1; echo "= $?"; grep -v '^ ' .locked | plain; }

locked "v/$case/journal.ndjson" "$MQQUARANTINE" restore "$case" --vault v --yes
locked "v/$case/journal.ndjson" "$MQQUARANTINE" drop "$case" --vault v --why x --expect "$held" | tail -n 1
[ "$(count q)" = "$before" ] && [ -d "v/$case" ] && echo "nothing was changed"
quiet mqquarantine restore "$case" --vault v --yes

# A packed one.
quiet mqpurge --spool q --vault w $FLOOD --why x --yes
case=$(the_case w)
locked "w/$case.tar.zst" "$MQPURGE" --undo "$case" --vault w --yes
[ "$(count q)" = "$before" ] && echo "nothing was changed"
quiet mqpurge --undo "$case" --vault w --yes
