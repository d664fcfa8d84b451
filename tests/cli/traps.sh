# threads: 1 2 8
# What went wrong with the tools before us, as far as it is about reading and selecting.
. "$SRC/tests/cli/common.bash"

# exipick: a misspelt variable selects the whole queue, exit 0.
message q 1aaaaa-000001-aa alice@example.com bob@example.net hello '-host_address 203.0.113.7.25'
message q 1aaaaa-000002-aa carol@example.com bob@example.net hello '-host_address 203.0.113.77.25'
run mqgrep --spool q --sendr=alice@example.com
run mqgrep --spool q --fields sendr

# exipick: a recipient with a quote is a syntax error, and the message is skipped.
message q 1aaaaa-000003-aa dave@example.com "o'brien@example.com" hello
message q 1aaaaa-000004-aa dave@example.com 'a$(id)`id`@example.com' hello
run mqgrep --spool q -r "o'brien@example.com" -b
run mqgrep --spool q -r 'a$(id)`id`@example.com' -b

# exiqgrep: one damaged message, and nothing is printed.
printf 'garbage\n' >q/input/1aaaaa-000005-aa-H
printf '1aaaaa-000005-aa-D\nx\n' >q/input/1aaaaa-000005-aa-D
: >q/input/1aaaaa-000006-aa-H
run mqgrep --spool q -i
run mqgrep --spool q --damaged -i
run mqgrep --spool q -f dave@example.com -i
run mqgrep --spool q -v -f dave@example.com -i

# exiqgrep: sizes are matched as rounded text.
size=$("$MQGREP" --spool q --format '{size}' 1aaaaa-000001-aa)
run mqgrep --spool q -s "$size" -i
run mqgrep --spool q -s "$((size - 5))..$((size + 1))" --damaged -v -i

# exipick: = is an unanchored regex.
run mqgrep --spool q -p 203.0.113.7 -i
run mqgrep --spool q -f lice@example.com -i

# exiqgrep and exipick disagree about case.
run mqgrep --spool q -f ALICE@EXAMPLE.COM -i
run mqgrep --spool q -S HELLO -c

# Exim 4.96's tools count 0 in a spool of 23-character ids.
spool exim long good-long-id
run mqgrep --spool long -c
run mqgrep --spool long 1xUs0E-000000000NA-0q2H -i

# postsuper: unknown ids, exit 0; ids pasted with marks are refused.
run mqgrep --spool q 1zzzzz-000001-aa
run mqgrep --spool q '1aaaaa-000001-aa*' -i

# grep sasl_username=user7 also takes user70 to user79.
for n in 07 70 71 79; do
    message u "1bbbbb-0000$n-aa" "x@example.com" y@example.net hi '-host_auth PLAIN' '-received_protocol esmtpa' '-host_address 192.0.2.9.25' "-auth_id user${n#0}"
    message u "1ccccc-0000$n-aa" "x@example.com" y@example.net hi '-host_auth PLAIN' '-received_protocol esmtpa' '-host_address 192.0.2.9.25' "-auth_id user${n#0}@mx.example.com"
done
run mqgrep --spool u -u user7 --fields id,user
run mqgrep --spool u -u '=user7' --fields id,user
run mqgrep --spool u -u user7@mx.example.com --fields id,user

# ids on a command line that is too long.
seq -f '1ddddd-%06g-aa' 1 50000 >ids
echo 1aaaaa-000001-aa >>ids
"$MQGREP" --spool q --ids-from ids -i 2>/dev/null

# pymailq: buckets that drop messages. All groups together are all messages.
for key in age hour size client user; do
    "$MQSTAT" --spool q --now 1795300000 -k $key -t 0 -j | sed -E 's/.*"count":([0-9]+).*/\1/' | paste -sd+ | sed 's/.*/echo $((&))/' | sh
done

# mailq cuts addresses at 38 characters.
message l 1aaaaa-000001-aa a.very.long.local.part.that.goes.on.and.on@a.very.long.domain.name.example.com b@example.net x
message l 1aaaaa-000002-aa a.very.long.local.part.that.goes.on.and.on@a.very.long.domain.name.example.org b@example.net x
run mqstat --spool l -k sender --csv
run mqgrep --spool l --now 1795300000
