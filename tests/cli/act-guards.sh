# What acting refuses, and that nothing is changed by then: usage, guards, answers. One folder is the witness.
. "$SRC/tests/cli/common.bash"
message q 1aaaaa-000001-aa alice@example.com bob@example.net hello '-host_address 203.0.113.7.25'
message q 1aaaaa-000002-aa carol@example.com 'bob@example.net dan@example.org' hello '-host_address 203.0.113.77.25'
message q 1aaaaa-000003-aa '' bob@example.net 'Undelivered mail'
spool postfix p good-a
find q p -exec touch -d @1795300000 {} +

witness() { find q p -printf '%p %s %T@ %C@ %m %n\n' | sort; }
witness >.before

# No selection; what is no selection; --all is one of its own.
run mqpurge --spool q --why x --yes
run mqquarantine --spool q --why x --yes
run mqquarantine hold --spool q --yes
run mqquarantine release --spool q --yes
run mqquarantine take --spool q --mta exim -m 3 --why x --yes
run mqquarantine take --spool q --all -f alice@example.com --why x --yes
run mqquarantine take --spool q --all 1aaaaa-000001-aa --why x --yes
: >none
run mqpurge --spool q --ids-from none --why x --yes
run mqpurge --spool q --from none --why x --yes

# Empty arguments, mistyped options.
run mqpurge --spool q -f '' --why x --yes
run mqpurge --spool q --why '' -f alice@example.com --yes
run mqpurge --spool q '' --why x --yes
run mqpurge --spool q --sendr alice@example.com --why x --yes
run mqquarantine --spool q --allow --why x --yes
run mqpurge --spool q -y --why x -f alice@example.com

# --why.
run mqpurge --spool q -f alice@example.com --yes
run mqquarantine take --spool q -f alice@example.com --yes
run mqquarantine --spool q -f alice@example.com --yes

# Verbs.
run mqquarantine tkae --spool q -f alice@example.com --why x --yes
run mqquarantine 1aaaaa-000001-aa --spool q --why x --yes
run mqquarantine list --why x
run mqquarantine list 20261122T000000Z-abcd
run mqquarantine expire --yes
run mqquarantine verify
run mqquarantine verify --vault v -f alice@example.com 20261122T000000Z-abcd
run mqquarantine hold --output x --spool q --all --yes
run mqquarantine restore --vault v
run mqquarantine restore --vault v 20261122T000000Z-abcd
run mqquarantine pack --spool q --all
run mqquarantine pack --spool q --all 20261122T000000Z-abcd --output x.tar.gz
run mqquarantine drop --vault v 20261122T000000Z-abcd
run mqquarantine release --for 30m --spool q --all --yes
run mqquarantine take --for 1x --spool q --all --yes --why x
run mqquarantine take --for 1m -m 3 --spool q --all --yes --why x
run mqpurge --undo
run mqpurge --undo 20261122
run mqpurge --undo 20261122T000000Z-abcd --no-undo
run mqpurge --again --spool q --all --why x --yes

# How many.
run mqpurge --spool q -f alice@example.com --why x --expect 2
run mqpurge --spool q -f nobody@example.com --why x --expect 2
run mqpurge --spool q --all --why x --max 2 --yes
run mqpurge --spool q --all --why x --max 2 -m 1 --yes
run mqpurge --spool q --all --why x --expect 0
run mqpurge --spool q --all --why x --rate 0 --yes
run mqpurge --spool q --all --why x --rate 10/m --yes
run mqpurge --spool q --all --why x --rate 10 --yes
run mqquarantine relase --all --yes
run mqquarantine tak --all --yes

# Nobody to ask.
run mqpurge --spool q -f alice@example.com --why x
run mqquarantine hold --spool q -f alice@example.com

# The answers of somebody at a terminal.
typed 1 mqpurge --spool q -r bob@example.net --why x
typed y mqpurge --spool q -r bob@example.net --why x
typed yes mqpurge --spool q -f alice@example.com --why x
typed '' mqquarantine --spool q -f alice@example.com --why x
typed no mqquarantine hold --spool q -f alice@example.com
typed 1 mqquarantine hold --spool q -f alice@example.com

# Ids: decorated ones are found, cut ones are not; short Postfix ids alone are no selection.
run mqpurge --spool q --why x '1aaaaa-000001-aa*' 1aaaaa-000002-aa-H --expect 7
run mqpurge --spool q --why x 1aaaaa-000001-a 1aaaaa-000001 --yes
run mqpurge --spool q --why x 'rm -rf' --yes
id=$("$MQGREP" --spool p -i)
"$MQPURGE" --spool p --why x --yes "$id" 2>&1 | sed "s/$id/ID/"
"$MQPURGE" --spool p --why x --yes -n "$id" 2>&1 | sed "s/$id/ID/"
"$MQPURGE" --spool p --why x --yes --expect 7 --trust-ids "$id" 2>&1 | sed "s/$id/ID/"
run mqpurge --spool q --why x --yes --from none 1aaaaa-000001-aa

# The reading commands know nothing of acting.
for option in --yes --why=x -n --all --expect=1 --vault=v --active; do
    run mqgrep --spool q "$option"
    run mqstat --spool q "$option"
done

witness | diff .before - && echo 'nothing was changed'
