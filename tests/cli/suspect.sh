# Who is named as suspect, and which command is offered; no command where it could select anything else.
. "$SRC/tests/cli/common.bash"
now=--now=1795300000
last() { "$MQSTAT" "$now" "$@" | tail -n 2 | plain; }
many() { # many DIR SENDER SUBJECT LINE...: each from another address, or all from $HOST
    local dir=$1 n
    for n in $(seq 100 124); do
        TIME=$((1795296000 + n)) message "$dir" "1aaaaa-000$n-aa" "$2" "r$n@example.net" "${@:3}" \
            "${HOST--host_address 192.0.2.$n.25}"
    done
}
echo "--- an account from many addresses"
for n in $(seq 100 124); do
    TIME=$((1795296000 + n * 10)) message hop "1aaaaa-000$n-aa" "s$n@example.com" "r@example.net" "spam" '-host_auth PLAIN' '-received_protocol esmtpa' '-auth_id postmaster' "-host_address 203.0.113.$n.25"
done
last --spool hop
echo "--- a client without account"
HOST='' many client 'watchdog@example.com' 'alert' '-host_address 192.0.2.9.25'
last --spool client
echo "--- the null sender"
HOST='' LOGIN=Debian-exim many bounces '' 'Undelivered' '-ident Debian-exim' '-received_protocol local'
last --spool bounces
last --spool bounces -f '<>'
echo "--- quotes are for the shell"
many quote "o'brien@example.com" 'x' '-received_protocol esmtp'
last --spool quote
eval "$("$MQSTAT" "$now" --spool quote | tail -n 1 | sed 's|^ *mqgrep|"$MQGREP" -c|')"
echo "--- a local login"
HOST='' LOGIN=www-data many web 'www-data@mx.example.com' 'Order' '-received_protocol local' '-local'
last --spool web
echo "--- not printable ASCII: no command"
many utf8 "jürgen@example.com" 'x' '-received_protocol utf8esmtp'
last --spool utf8
echo "--- alice and alice@mx: = selects the first alone"
many twin 'x@example.com' 'x' '-host_auth PLAIN' '-received_protocol esmtpa' '-auth_id alice'
message twin 1aaaaa-000200-aa 'x@example.com' y@example.net x '-host_address 192.0.2.7.25' '-host_auth PLAIN' '-received_protocol esmtpa' '-auth_id alice@mx.example.com'
last --spool twin
eval "$("$MQSTAT" "$now" --spool twin | tail -n 1 | sed 's|^ *mqgrep|"$MQGREP" -c|')"
echo "--- with a selection of its own"
last --spool twin -u 'alice*'
last --spool quote -s -1M -S x
last --spool quote -y 5h
echo "--- nobody stands out"
for n in $(seq 100 139); do
    message even "1aaaaa-000$n-aa" "s$((n % 4))@example.com" "r@example.net" hello "-host_address 192.0.2.$n.25"
done
last --spool even
echo "--- too few to be a flood"
message few 1aaaaa-000001-aa a@example.com b@example.net x
last --spool few
echo "--- hostile senders: what is printed selects exactly the messages that were counted, or nothing is printed"
k=0
for sender in '*@victim.example' '?@victim.example' '$(reboot)@x.example' "'; reboot #@x.example" '=a@x.example' '/.*/' '@victim.example' \
    '"a b"@x.example' $'a\nb@x.example' $'a\033[2J@x.example' $'\xff@x.example' 'a\*@x.example' "$(printf '%0300d' 0)@x.example"; do
    k=$((k + 1))
    many "evil$k" "$sender" 'x' '-received_protocol esmtp'
    message "evil$k" 1aaaaa-000300-aa bob@victim.example r@example.net x '-received_protocol esmtp' '-host_address 192.0.2.7.25'
    message "evil$k" 1aaaaa-000301-aa "b@victim.example" r@example.net x '-received_protocol esmtp' '-host_address 192.0.2.7.25'
    "$MQSTAT" "$now" --spool "evil$k" | sed -n '/ % of the queue/,$p' | cut -c 1-100
    command=$("$MQSTAT" "$now" --spool "evil$k" | tail -n 1)
    case $command in *mqgrep*) eval "\"\$MQGREP\" -c${command#*mqgrep}" ;; esac
done
echo "--- with an expression"
last --spool quote -e 'size < 1M and subject = "x"'
