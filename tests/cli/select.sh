# threads: 1 2 8
# Each selecting option, alone and together: which messages, by id.
. "$SRC/tests/cli/common.bash"
TIME=1795290000 message q 1aaaaa-000001-aa alice@example.com 'bob@example.net' 'hello world' \
    '-host_address 203.0.113.7.4000' '-host_auth PLAIN' '-auth_id alice' '-received_protocol esmtpsa' '-helo_name pc.example.com' \
    '-host_name pc.example.com'
TIME=1795293000 message q 1aaaaa-000002-aa Alice@Example.COM 'bob@example.net carol@sub.example.org' 'Re: hello' \
    '-host_address 203.0.113.77.4000' '-received_protocol smtp' '-helo_name other'
TIME=1795296000 message q 1aaaaa-000003-aa '' 'dave@example.org' 'Undelivered' '-ident Debian-exim' '-received_protocol local' '-localerror'
TIME=1795299000 BODY=$(printf '%3000s' x) message q 1aaaaa-000004-aa "o'brien@example.com" "o'hara@example.org" '=?utf-8?q?gr=C3=BC=C3=9Fe?=' \
    '-host_address [2001:db8::25]:4242' '-received_protocol esmtp' '-frozen 1795299100'
TIME=1795299500 LOGIN=www-data message q 1aaaaa-000005-aa 'alice*star@example.com' 'x@example.net' 'a [b] c' '-ident www-data' '-received_protocol local'
pick() { run mqgrep --spool q --now 1795300000 -i "$@"; }

pick -f alice@example.com
pick -f ALICE@EXAMPLE.COM
pick -f @example.com
pick -f 'alice*'
pick -f 'alice\**'
pick -f '=alice*star@example.com'
pick -f '<>'
pick -f '/^o.brien@/'
pick -f "o'brien@example.com"
pick -f alice@example.com -f '<>'
pick -r bob@example.net
pick -r @.example.org
pick --rcpt-all @example.net
pick -p 203.0.113.7
pick -p 203.0.113.0/24
pick -p 203.0.113.70-203.0.113.80,2001:db8::/32
pick -u alice
pick -u www-data
pick -S 'hello*'
pick -S 'grüße'
pick -S '=a [b] c'
pick --helo other
pick --client-name 'pc.*'
pick --protocol 'esmtp*'
pick -s +2k
pick -s -1k
pick -y 10m
pick -o 1h
pick -o 10m -y 2h
pick --since 2026-11-21T21:00:00Z
pick --until 1795293000
pick -q held,active
pick -z
pick -x -f '*'
pick -G default
pick --rcpts 2
pick --rcpts 2..9
pick --bounces
pick --local
pick --damaged
pick -f @example.com -s +2k
pick -v -f @example.com
pick -v -p 203.0.113.0/24
pick 1aaaaa-000002-aa 1aaaaa-000003-aa -f '<>'

# Refused: what cannot be understood, and a second limit.
pick -f '^alice'
pick -f 'com$'
pick -f '/(/'
pick -p 203.0.113
pick -p 203.0.113.0/33
pick -p 203.0.113.1,,203.0.113.2
pick -s 10x
pick -s 1..
pick -s 5 -s 6
pick -y 5q
pick -y 1h -y 2h
pick --since noon
pick --since 1795293000 --since 1795293001
pick --rcpts few
pick -q frozen
pick --class nonsense
