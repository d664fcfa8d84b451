# threads: 1 2 8
# Messages that look alike, and that the selection printed for each gives exactly these.
. "$SRC/tests/cli/common.bash"
now=--now=1795300000

# Each printed command, run: as many messages as its line says.
check_commands() {
    local count=
    "$MQSTAT" "$now" "$@" --clusters -t 0 | while read -r line; do
        case $line in
            mqgrep*)
                eval "n=\$(\"\$MQGREP\" -c${line#mqgrep})"
                [ "$n" = "$count" ] && echo "$n, as said" || echo "$n instead of $count: $line"
                ;;
            *) count=${line%% *}; count=${count//,/} ;;
        esac
    done
}

"$MKSPOOL" flood sendmail s -n 600 --seed 9 --now 1795300000
run mqstat "$now" --spool s --clusters -t 3
run mqstat "$now" --spool s --clusters -t 1 -j
run mqstat "$now" --spool s --clusters -t 2 --csv | sed 's/\r$/<CR>/'
run mqstat "$now" --spool s --clusters --body -t 2
run mqstat "$now" --spool s -q deferred --clusters -t 1
check_commands --spool s

echo "--- subjects that differ, sizes that are near, a domain in which half of it ends"
for n in $(seq 100 139); do
    TIME=$((1795299000 + n)) BODY=$(printf '%0*d' $((400 + n % 7)) 0) message d "1aaaaa-000$n-aa" "shop$n@x.example" \
        "c$n@$([ $((n % 4)) -gt 0 ] && echo one || echo "n$n").example" "Order $n of a$n" "-host_address 192.0.2.$n.25"
done
TIME=1795299500 message d 1aaaaa-000200-aa shop@x.example c@one.example "Order of the day"
run mqstat "$now" --spool d --clusters
check_commands --spool d

echo "--- every sender another: one cluster"
for n in $(seq 100 129); do
    message e "1aaaaa-000$n-aa" "a$n@d$n.example" "r@one.example" "Win"
done
run mqstat "$now" --spool e --clusters
check_commands --spool e

echo "--- nothing can be said of messages without a subject but their times"
for n in $(seq 100 111); do
    message f "1aaaaa-000$n-aa" "a@x.example" "r@one.example" "$n" '-received_protocol esmtp'
    sed -i '/Subject/d' "f/input/1aaaaa-000$n-aa-H"
done
message f 1aaaaa-000200-aa a@x.example r@one.example 777
run mqstat "$now" --spool f --clusters
check_commands --spool f

echo "--- hostile: what cannot be typed, what a shell would run, what a pattern would widen"
k=0
for subject in '*' '$(reboot)' "'; reboot #" '`id`' '-v' '/.*/' $'a\001b' $'Gr\xc3\xbc\xc3\x9fe' $'\xff\xfe' '=x' '@victim.example'; do
    k=$((k + 1))
    for n in $(seq 10 21); do
        message "h$k" "1aaaaa-00$(printf %02d $k)$n-aa" "*@victim.example" "r@'one'.example" "$subject"
    done
    message "h$k" 1aaaaa-000001-aa "bob@victim.example" r@one.example "another"
    run mqstat "$now" --spool "h$k" --clusters
    check_commands --spool "h$k"
done
for sender in '*@*' "o'brien@x.example" '$(reboot)@x.example' '"a b"@x.example' $'\xff@x.example' 'a@x?.example' 'a@*'; do
    k=$((k + 1))
    for n in $(seq 10 29); do
        message "h$k" "1aaaaa-00$(printf %02d $k)$n-aa" "$sender" "r@one.example" "$n"
    done
    message "h$k" 1aaaaa-000001-aa "bob@xy.example" r@one.example "77"
    run mqstat "$now" --spool "h$k" --clusters
    check_commands --spool "h$k"
    "$MQSTAT" "$now" --spool "h$k" | tail -n 3 | plain
done

echo "--- too few"
message few 1aaaaa-000001-aa a@example.com b@example.net x
run mqstat "$now" --spool few --clusters
run mqstat "$now" --spool few --clusters -k size
run mqstat "$now" --spool few --body
run mqstat "$now" --spool few --clusters --sort count
