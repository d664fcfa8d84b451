# mqtools.conf: each key does what the option does, the option goes before it, and no line that is wrong is passed over.
# shellcheck disable=SC2034  # HEADERS is for message
. "$SRC/tests/cli/common.bash"
. "$SRC/tests/cli/acting.bash"
message q 1xUaaa-000001-AA a@example.com r@example.net one
message other 1xUaaa-000002-AA a@example.com r@example.net two
conf() { printf '%s\n' "$@" >c; }
refused() { conf "$@"; run mqgrep --config c -i; }

echo '--- spool'
conf '# the queue' '' "  spool  =  $PWD/q " "spool=$PWD/other"
run mqgrep --config c -i
run mqgrep --config c -i --spool other
run mqgrep --config c -i --mta exim
run mqgrep --config c -i --mta postfix
run mqstat --config c -k sender
echo '--- trust'
HEADERS=('Received: from h (h [10.0.0.5]) by mx id 1xUaaa-000003-AA; Sat, 21 Nov 2026 20:30:00 +0000'
    'Received: from h (h [203.0.113.9]) by relay id R1; Sat, 21 Nov 2026 20:30:00 +0000')
message q 1xUaaa-000003-AA a@example.com r@example.net three '-host_address 10.0.0.5.4000'
conf "spool = $PWD/q" 'trust = 192.0.2.0/24' 'trust = 10.0.0.0/24, 2001:db8::/48'
run mqgrep --config c --format '{queue_id} {origin_address}' --origin 203.0.113.9
run mqgrep --config c --format '{queue_id} {origin_address}' --origin 203.0.113.9 --trust 192.0.2.1
run mqgrep --config c --format '{queue_id} {origin_address}' --origin 10.0.0.5 --trust 192.0.2.1
echo '--- vault, undo_days'
conf "spool = $PWD/q" "vault = $PWD/v" 'undo_days = 3'
quiet mqpurge --config c 1xUaaa-000003-AA --why test --yes
"$MQQUARANTINE" list --config c | awk '{ print $2 }'
quiet mqquarantine expire --config c
echo '--- what is wrong ends it'
refused 'vault'
refused 'vault = '
refused 'vault = here'
refused 'spool = q'
refused "vault = $PWD/v" "vault = $PWD/w"
refused 'undo_days = 0'
refused 'undo_days = 7d'
refused 'valt = /x'
refused 'Trust = 192.0.2.1'
refused 'trust = 192.0.2.300'
refused "spool = $PWD/q" 'reporter = a@example.com' 'reporter = b@example.com'
conf "spool = $PWD/q"
chmod 666 c
run mqgrep --config c -i
run mqpurge --config c --all --why x --yes
run mqgrep --config absent -i
run mqgrep --config . -i
run mqgrep --config /dev/null -i
printf 'spool = /x\0y\n' >c
chmod 600 c
run mqgrep --config c -i
head -c 70000 /dev/zero | tr '\0' '#' >c
run mqgrep --config c -i
run mqgrep --config '' -i
ls v/jobs | wc -l
