# --save and --use: a selection kept by name; --explain: what one means. Neither looks at a queue or changes one.
. "$SRC/tests/cli/common.bash"
export XDG_CONFIG_HOME=$PWD/conf
sets=conf/mqtools/sets
umask 022
TIME=1795290000 message q 1aaaaa-000001-aa alice@example.com bob@example.net hello '-host_address 203.0.113.7.4000' '-host_auth PLAIN' '-auth_id alice'
TIME=1795299000 message q 1aaaaa-000002-aa prof@example.com bob@example.net hello '-host_address 203.0.113.8.4000' '-host_auth PLAIN' '-auth_id professor'
find q | sort >before

run mqgrep --save flood -p 203.0.113.0/24 -s +10 -s 5 -i
run mqgrep --save flood -p 203.0.113.0/24 -s +10 -e 'size < 1M and not user = prof*' -i
cat "$sets/flood"
run mqgrep --spool q --use flood -i
run mqgrep --spool q --use flood -r alice@example.com -i
run mqgrep --spool q --use flood -v -i
# Ages stay ages.
run mqgrep --spool q --save young -y 1h
run mqgrep --spool q --use young --now 1795300000 -i
run mqgrep --spool q --use young --now 1795303600 -i
# One in another; turned round; kept twice; another under the same name.
run mqstat --use flood --use young --save both
run mqgrep -v --use young --save old
run mqgrep --spool q --use old --now 1795300000 -i
run mqgrep -v --use young --save old
run mqgrep -f a@b.example --save old
# In the selection of an acting command it only selects; --save there acts on nothing.
run mqpurge --spool q --use flood --why test -n
run mqpurge --spool q --use flood --why test --yes --save flood2
run mqquarantine --spool q --use flood --why test --yes --explain
find q | sort | cmp - before

# Refused.
run mqgrep --save x
run mqgrep --save x 1aaaaa-000001-aa
run mqgrep --save ../x -f a@b.example
run mqgrep --save .x -f a@b.example
run mqgrep --save '' -f a@b.example
run mqgrep --spool q --use ../../conf/mqtools/sets/flood
run mqgrep --spool q --use flod
run mqgrep --spool q --use ''
chmod g+w "$sets/flood"
run mqgrep --spool q --use flood
chmod 644 "$sets/flood"
chmod o+w "$sets"
run mqpurge --spool q --use flood --why test --yes
run mqgrep -f a@b.example --save y
chmod 755 "$sets"
ln -s flood "$sets/link"
mkfifo "$sets/fifo"
printf 'sender = a@b.example and\n' >"$sets/bad"
printf 'held\0or sender' >"$sets/nul"
: >"$sets/empty"
for name in link fifo bad nul empty; do
    run mqgrep --spool q --use $name
done
if [ "$(id -u)" = 0 ]; then
    chown 65534 "$sets/flood"
    run mqgrep --spool q --use flood
else
    # Whoever is not root cannot give a file away; the sentence is the same.
    printf '%s\n' '$ mqgrep --spool q --use flood' '! mqgrep: --use: ./conf/mqtools/sets/flood belongs to somebody else: not used' '= 2'
fi

# In words.
run mqgrep --explain
run mqgrep --explain -f '' 
run mqgrep --explain 1aaaaa-000001-aa
run mqgrep --explain -v -e 'client in 203.0.113.0/24 and (size == 2062 or not user = prof*)' -r '@.example.net' --reason '*full*' -o 2d --mta postfix
run mqstat --explain --spool q --now 1795300000 -e 'all recipients = /x/ or has attempts or data_size > 5M or damaged' --use young
