# The five nights that this project is for: a queue as it was then, and the one or two commands that solve it. tests/stories runs the
# same with 100,000 messages.
. "$SRC/tests/cli/common.bash"
now=--now=1795300000
n=${STORY_MESSAGES:-400}

# Run the command that mqstat printed for pasting: it selects as many messages as mqstat said.
pasted() {
    local line said=
    said=$("$MQSTAT" "$now" "$@" -j | sed -nE '1s/.*"suspect":\{[^}]*"count":([0-9]+).*/\1/p')
    line=$("$MQSTAT" "$now" "$@" | tail -n 1)
    eval "line=\$(\"\$MQGREP\" $now -c ${line#*mqgrep })"
    [ "$line" = "$said" ] && echo "the command selects exactly these $said" || echo "WRONG: selected $line, said $said"
}
suspect() { run mqstat "$now" "$@" | sed -n -e '1p' -e '/ % of the queue/,$p'; }

echo "=== 1: one machine inside mails every two seconds, and the server crashes on its queue"
"$MKSPOOL" flood exim one -n "$n" --seed 23 --now 1795300000 --kind watchdog
suspect --spool one
pasted --spool one
run mqquarantine take --spool one -p 10.1.2.3 --vault vault --why 'flood, ticket 7' --yes "$now" 2>&1 | tail -n 2
run mqgrep "$now" --spool one -p 10.1.2.3 -c
rm -rf one vault

echo "=== 2: strangers know a password and change their address every minute: the account is the key"
"$MKSPOOL" flood postfix two -n "$n" --seed 2 --now 1795300000 --kind account
suspect --spool two
pasted --spool two
rm -rf two

echo "=== 3: four relays, one webmail account, all of near size, to one domain"
relays=()
for relay in 1 2 3 4; do
    "$MKSPOOL" flood postfix "relay$relay" -n $((n / 4)) --seed 4 --now 1795300000 --kind webmail
    relays+=(--spool "relay$relay")
done
suspect "${relays[@]}"
pasted "${relays[@]}"
run mqstat "$now" "${relays[@]}" -k user,client,recipient.domain -t 2
rm -rf relay?

echo "=== 4: a proxy on the own subnet lets strangers in; the provider wants proof"
"$MKSPOOL" flood postfix four -n "$n" --seed 2 --now 1795300000 --kind relay
suspect --spool four
pasted --spool four
run mqquarantine pack --spool four -p 203.0.113.77 --output proof.tar.gz --why 'for our provider' "$now" >proof.log 2>&1
tar tzf proof.tar.gz | grep -cE '/data/0-postfix/(incoming|active|deferred|hold)/.*[0-9A-Z]$'
run mqgrep "$now" --spool four -p 203.0.113.77 -c
rm -rf four

echo "=== 5: what is in the queue was written by an attacker"
for k in $(seq 10 39); do
    message five "1aaaaa-0001$k-aa" '*@victim.example' r@example.net $'\e[2J$(reboot)' "-host_address 192.0.2.$k.25" '-received_protocol esmtp'
done
message five 1aaaaa-000200-aa bob@victim.example r@example.net 'Lunch?' '-host_address 192.0.2.7.25' '-received_protocol esmtp'
run mqstat "$now" --spool five -k subject,sender
suspect --spool five
pasted --spool five
