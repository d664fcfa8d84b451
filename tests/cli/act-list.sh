# --from: records as a list. Each is looked up; host, spool, id and identity must agree. Hostile lists select nothing.
. "$SRC/tests/cli/common.bash"
for n in 1 2 3 4; do message q "1aaaaa-00000$n-aa" "user$n@example.com" bob@example.net hello; done
message other 1aaaaa-000009-aa zed@example.com bob@example.net hello
dry() { run "$@" --why x -n; }

"$MQGREP" --spool q -j >list
dry mqpurge --spool q --from list
"$MQGREP" --spool q -j -f user2@example.com | "$MQPURGE" --spool q --from - -n --why x 2>&1 | plain

# Narrowed by another option: who does not fit it was not asked for.
dry mqpurge --spool q --from list -f user3@example.com

# The same message twice is one.
cat list list >twice
dry mqpurge --spool q --from twice --expect 4

# Another host, another spool, a spool that is not looked at, another message of that id, a message that left.
sed -n 1p list | sed 's/"mta"/"host":"mx.example.net","mta"/' >wrong
sed -n 2p list | sed 's|"spool":"|&/elsewhere|' >>wrong
sed -n 3p list | sed 's/"identity":"[0-9]*/&9/' >>wrong
sed -n 4p list | sed 's/1aaaaa-000004/1aaaaa-000005/' >>wrong
"$MQGREP" --spool other -j >>wrong
dry mqpurge --spool q --from wrong
sed -n 1p list >>wrong
dry mqpurge --spool q --from wrong -j
"$MQGREP" --spool q --host old.example.net -j -f user1@example.com >host
dry mqpurge --spool q --from host
dry mqpurge --spool q --host old.example.net --from host

# What is no list selects nothing.
bad() {
    printf '%b' "$1" >bad
    dry mqpurge --spool q --from bad
}
good=$(sed -n 1p list)
bad 'not json\n'
bad '[]\n'
bad 'null\n'
bad '{}\n'
bad '{"schema":"mqtools.record/2"}\n'
bad '{"schema":"mqtools.record/1","spool":"/x","identity":"1"}\n'
bad '{"schema":"mqtools.record/1","spool":"/x","queue_id":"1aaaaa-000001-aa"}\n'
bad '{"schema":"mqtools.record/1","queue_id":"1aaaaa-000001-aa","identity":"1"}\n'
bad '{"schema":"mqtools.record/1","spool":"/x","queue_id":"../../etc/passwd","identity":"1"}\n'
bad '{"schema":"mqtools.record/1","spool":"/x","queue_id":["a"],"identity":"1"}\n'
bad '{"schema":"mqtools.record/1","spool":"/x","queue_id":"a b","identity":"1"}\n'
# A NUL ends no text: what stands before it must not be taken for all of it. (identity is that of a message that is there.)
bad "${good/\",\"problems\"/\\\\u0000x\",\"problems\"}\n"
bad "${good/\"mta\"/\"host\":\"\",\"mta\"}\n"
bad "${good/\"sender\":\"/\"sender\":5,\"x\":\"}\n"
bad "${good%\}},\"queue_id\":\"1aaaaa-000002-aa\"}\n"
bad "$good$good\n"
bad "${good%\}}\n"
bad "$good\n\\0000\n"
bad "$good\n{\"a\":\"\\xff\"}\n"
{ echo "$good"; printf '[%.0s' $(seq 5000); } >bad
run mqpurge --spool q --from bad --why x -n 2>&1 | cut -c 1-200
head -c 70000000 /dev/zero | tr '\0' ' ' >bad
run mqpurge --spool q --from bad --why x -n
run mqpurge --spool q --from missing --why x -n
run mqpurge --spool q --from list --from list --why x -n

# Blank lines and a last line without its end are no harm.
{ echo; head -n 1 list; echo '   '; sed -n 2p list | tr -d '\n'; } >loose
dry mqpurge --spool q --from loose --expect 2
