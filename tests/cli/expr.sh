# threads: 1 2 8
# -e EXPR in all four commands: what it selects, what is refused and where, and that neither is changed by what cannot be read.
. "$SRC/tests/cli/common.bash"
TIME=1795290000 message q 1aaaaa-000001-aa alice@example.com 'bob@example.net' 'hello world' \
    '-host_address 203.0.113.7.4000' '-host_auth PLAIN' '-auth_id alice' '-received_protocol esmtpsa' '-helo_name pc.example.com'
TIME=1795293000 message q 1aaaaa-000002-aa Alice@Example.COM 'bob@example.net carol@sub.example.org' 'Re: hello' \
    '-host_address 203.0.113.77.4000' '-host_auth PLAIN' '-auth_id professor' '-received_protocol esmtpsa'
TIME=1795296000 message q 1aaaaa-000003-aa '' 'dave@example.org' 'Undelivered' '-ident Debian-exim' '-received_protocol local' '-localerror'
TIME=1795299000 BODY=$(printf '%3000s' x) message q 1aaaaa-000004-aa "o'brien@example.com" "o'hara@example.org" '=?utf-8?q?gr=C3=BC=C3=9Fe?=' \
    '-host_address [2001:db8::25]:4242' '-received_protocol esmtp' '-frozen 1795299100'
TIME=1795299500 LOGIN=www-data message q 1aaaaa-000005-aa 'alice*star@example.com' 'x@example.net' 'a (b) c' '-ident www-data' '-received_protocol local'
e() { run mqgrep --spool q --now 1795300000 -i -e "$@"; }

e 'client in 203.0.113.0/24 and size < 2062 and not user = prof*'
e 'client in (192.0.2.1, 203.0.113.77, 2001:db8::/32)'
e 'client = 203.0.113.7'
e "sender = o'brien@example.com"
e "sender = \"o'brien@example.com\" or sender = 'alice\\*star@*'"
e 'sender == "alice*star@example.com"'
e 'bounces or held'
e 'not (bounces or held)' -v
e 'recipients.domain = *example.org'
e 'all recipients = @example.net'
e 'not all recipients = @example.net'
e 'sender.domain == example.com and has client'
e 'subject ~ /gr..e|\(b\)/'
e 'subject = "a (b) c"'
e 'age in 10m..2h and size > 2k'
e 'arrival < 2026-11-21T21:00:00Z'
e 'flags == local and not sender'
e 'state in held,active'
e 'id == 1aaaaa-000002-aa'
e 'sender = alice@example.com' -e 'rcpts > 1'
e 'sender = alice@example.com' -f alice@example.com -s -1k

# Refused, and where; nothing is selected. A misspelt name once selected a whole queue, elsewhere.
e ''
e 'sendre = alice@example.com'
e 'size == 2062 and clinet in 203.0.113.0/24'
e 'sender = and size == 2062'
e 'sender == ""'
e 'size == 2.1K'
e 'size ~ 2'
e 'user != prof*'
e 'subject = inv(oice)'
e '(held or bounces'
e 'held or bounces)'
e 'sender = "alice'
e $'subject = "gr\xc3\xbc\xc3\x9fe \xe4\xb8\x96\xe7\x95\x8c\t\e[31m" held'
e "$(printf 'sender = a@b.example or %.0s' 1 2 3 4 5 6 7 8 9)sendre = c@d.example or $(printf 'sender = a@b.example or %.0s' 1 2 3 4 5)held"
e 'sender ~ "(("'
e 'recipients != x' -e 'all recipients != x'
e "$(printf '(%.0s' {1..200})held"
e 'recipients.adress == a@b.example'
e 'sender.domian = b.example'
e 'not state == defered'
e 'class in (dns, greylst)'
e 'flags = bunce'
run mqgrep --spool q -q held,defered
run mqgrep --spool q --class greylst
run mqstat --spool q -e 'sise == 5'
run mqpurge --spool q -e 'sise == 5' --why test --yes
run mqquarantine --spool q -e '' --why test --yes
run mqquarantine hold --spool q -e 'held or' --yes
run mqgrep --spool q -c

# Acting on it: the plan, and what is done.
run mqpurge --spool q --now 1795300000 -e 'bounces or size > 2k' --why test -n
run mqstat --spool q --now 1795300000 -e 'client and not held' -k client

# What cannot be read is selected by no negation, and the regular expression that never ends leaves its message out.
echo rubbish >q/input/1aaaaa-000005-aa-H
e 'not sender = nobody'
e 'sender != nobody'
e 'sender' -v
e 'not not sender = nobody'
e 'id == 1aaaaa-000005-aa or sender = <>'
TIME=1795299600 message q 1aaaaa-000006-aa a@example.com b@example.net "$(printf 'a%.0s' {1..60})!"
rm q/input/1aaaaa-000005-aa-*
e 'subject ~ "^(([a-z])+.)+[A-Z]([a-z])+$"'
e 'not subject ~ "^(([a-z])+.)+[A-Z]([a-z])+$"'
