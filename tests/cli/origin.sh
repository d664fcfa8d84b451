# Where a message entered: --origin, --trust, and how it is shown. The walk itself is check_origin's.
# shellcheck disable=SC2034  # HEADERS is for message
. "$SRC/tests/cli/common.bash"

via() { echo "Received: from h (h [$1]) by $2 (Postfix) with ESMTP id $3; Sat, 21 Nov 2026 20:30:00 +0000"; }
HEADERS=("$(via 10.0.0.5 mx 1xUaaa-000001-AA)" "$(via 203.0.113.9 relay R1)" "$(via 192.0.2.66 bank B1)")
message q 1xUaaa-000001-AA a@example.com r@example.net 'behind a relay' '-host_address 10.0.0.5.4000'
HEADERS=("$(via 203.0.113.9 mx 1xUaaa-000002-AA)" 'X-Originating-IP: [192.0.2.66]')
message q 1xUaaa-000002-AA a@example.com r@example.net 'direct' '-host_address 203.0.113.9.4000'
HEADERS=("$(via 127.0.0.1 mx 1xUaaa-000003-AA)" 'X-Originating-IP: [192.0.2.66]' 'X-Authenticated-User: joe@example.com')
message q 1xUaaa-000003-AA a@example.com r@example.net 'webmail here' '-host_address 127.0.0.1.4000'
HEADERS=('Received: from www by mx with local (Exim 4.96) id 1xUaaa-000004-AA' 'X-PHP-Originating-Script: 33:mailer.php')
LOGIN=www message q 1xUaaa-000004-AA www@example.com r@example.net 'a script' '-ident www' '-received_protocol local' '-local'
HEADERS=("$(via 127.0.0.1 mx 1xUaaa-000005-AA)")
message q 1xUaaa-000005-AA a@example.com r@example.net 'a filter of ours' '-host_address 127.0.0.1.4000'

columns=subject,client,origin,origin_user,origin_script,origin_source,origin_trust
run mqgrep --spool q --csv --fields "$columns"
run mqgrep --spool q --csv --fields "$columns" --trust 10.0.0.0/24,127.0.0.1
run mqgrep --spool q --trust 10.0.0.5 --format '{subject}' --origin 203.0.113.0/24
run mqgrep --spool q --format '{subject}' --origin 203.0.113.9 --origin 192.0.2.66
run mqgrep --spool q --format '{subject}' -v --origin 0.0.0.0/0
run mqgrep --spool q -j --fields received --trust 10.0.0.5 1xUaaa-000001-AA
run mqgrep --spool q --show 1xUaaa-000003-AA | grep origin
run mqgrep --spool q --show 1xUaaa-000005-AA | grep origin
run mqstat --spool q -k origin

# What cannot be understood selects nothing.
run mqgrep --spool q --origin ''
run mqgrep --spool q --trust ''
run mqgrep --spool q --trust 10.0.0.300
run mqgrep --spool q --trust @example.com
run mqpurge --spool q --origin 10.0.0.5, --why w --yes

# Without its data file a message is damaged, but its chain is whole; without the rest of its header it is not.
rm q/input/1xUaaa-000003-AA-D
head -c 330 q/input/1xUaaa-000001-AA-H >half && cat half >q/input/1xUaaa-000001-AA-H
run mqgrep --spool q --trust 10.0.0.0/24 -i --origin 0.0.0.0/0
run mqgrep --spool q --trust 10.0.0.0/24 -i -v --origin 192.0.2.66
