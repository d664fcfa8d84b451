# --from of the commands that read: records in place of queues. What was written from a record that was read is the same again, and no
# selection takes more from records than from the queue they came from.
. "$SRC/tests/cli/common.bash"
shopt -s extglob

# Every queue of tests/spool: the same bytes; the same outputs; of a selection turned round never more.
n=0
for text in "$SRC"/tests/spool/*/*.txt; do
    mta=$(basename "$(dirname "$text")")
    name=$mta-$(basename "$text" .txt)
    "$MKSPOOL" text "$text" "$name"
    "$MQGREP" --mta "$mta" --spool "$name" --host "relay$((++n))" -j >"$name.json" 2>/dev/null
    for how in -j -l --csv '--sort=sender,size -R'; do
        # shellcheck disable=SC2086  # several words
        "$MQGREP" --mta "$mta" --spool "$name" --host "relay$n" --now 1795300000 $how >queue 2>/dev/null
        # shellcheck disable=SC2086
        "$MQGREP" --from "$name.json" --now 1795300000 $how >records 2>/dev/null
        cmp queue records || echo "$name $how: other output"
    done
    for what in --local '-u bob' '-r @example.net' '--rcpts 1' --damaged '-S *a*' '--attempts 0' '--reason *a*'; do
        # shellcheck disable=SC2086
        "$MQGREP" --mta "$mta" --spool "$name" --now 1795300000 -i -v $what 2>/dev/null | sort >queue
        # shellcheck disable=SC2086
        "$MQGREP" --from "$name.json" --now 1795300000 -i -v $what 2>/dev/null | sort >records
        case $name in
            *-good-*) cmp queue records || echo "$name $what: another selection" ;;
            *) [ -z "$(comm -13 queue records)" ] || echo "$name $what: selects more" ;;
        esac
    done
done
cat ./*.json >all
"$MQGREP" --from all -j | cmp - all
"$MQGREP" --from - -j <all | cmp - all
"$MQSTAT" --from all --now 1795300000 -k host -t 0 >one 2>&1
files=(./*.json)
"$MQSTAT" "${files[@]/#/--from=}" --now 1795300000 -k host -t 0 >several 2>&1
cmp one several

# Small queues to look at.
message q 1aaaaa-000001-aa kim@example.com "lee@example.net mo@example.net" hello '-host_address [192.0.2.1]:4000' '-host_auth plain' '-auth_id kim'
message q 1aaaaa-000002-aa '' pat@example.net 'a bounce'
message q 1aaaaa-000003-aa root@example.com kim@example.com "$(printf 'caf\351 =?utf-8?q?=E2=82=AC?=')" -local
"$MQGREP" --spool q --host relay1 -j >list
touch -d @1795300000 list
run mqgrep --from list
run mqgrep --from list -j -S '*caf*' --fields id,subject
run mqgrep --from list -f kim@example.com -c
run mqgrep --from list 1aaaaa-000002-aa 1aaaaa-000009-aa -i
run mqgrep --from list -f kim
run mqgrep --from list --from ./list -c
run mqgrep --from list -y 3h -c --now 1795293060
run mqstat --from list -k host,sender
run mqstat --from list
run mqgrep --from - -c <list
run mqgrep --from - -f kim -c <list

# What records do not hold, and what does not go together.
run mqgrep --from list --raw
run mqgrep --from list --eml -m1
run mqgrep --from list --show
run mqgrep --from list --spool q
run mqgrep --from list --mta exim
run mqgrep --from list --host x
run mqgrep --from list --trust 10.0.0.0/8
run mqgrep --from - - <list
run mqgrep --from - - </dev/null
run mqgrep --from - --log - </dev/null
run mqgrep --from list -v -H X-Mailer:x
run mqgrep --from list -v -B x
run mqgrep --from list -e 'not (subject = caf* or user == kim)' -i
run mqgrep --from missing
run mqgrep --from .
run mqgrep --from ''

# Made of some fields only: what is not there is not known to be absent.
"$MQGREP" --spool q -j --fields id,sender,flags >some
run mqgrep --from some -j
run mqgrep --from some -f kim@example.com -i
run mqgrep --from some -v -u kim -i
run mqgrep --from some -v --bounces -i
run mqgrep --from some -v --local -i
run mqgrep --from some --fields id,sender,size,recipients
sed 's/"partial":true,//' some >unmarked
run mqgrep --from unmarked -v -u kim -i
grep -o '"unread":.*' exim-bad-*.json | head -n 1 | cut -d : -f 2- | cut -c 1-60

# Lines that are no records are named, the others are still shown.
{
    printf '%s\n' 'not json' '' 'relay1: {"schema":"mqtools.record/1"}' '[]' '{}' '{"schema":"mqtools.record/2"}' '{"schema":5}' 'null'
    sed -n 1p list
    printf '%s\n' '{"schema":"mqtools.record/1","sender":5}' '{"schema":"mqtools.record/1","sender":"a","sender":"b"}' \
        '{"schema":"mqtools.record/1","state":"sleeping\u001b[2J"}' '{"schema":"mqtools.record/1","arrival_time":1.5}' \
        '{"schema":"mqtools.record/1","arrival_time":99999999999999999999}' '{"schema":"mqtools.record/1","recipients":["a@b"]}' \
        '{"schema":"mqtools.record/1","recipients":[{"address":1}]}' '{"schema":"mqtools.record/1","files":[{}]}' \
        '{"schema":"mqtools.record/1","received":[{"time":"x"}]}' '{"schema":"mqtools.record/1","forced_expire":1}' \
        '{"schema":"mqtools.record/1","partial":1}' '{"schema":"mqtools.record/1","unread":true}' \
        '{"schema":"mqtools.record/1","sender":"a\ufffd","sender_b64":"YmI="}' '{"schema":"mqtools.record/1","sender_b64":"YmI="}' \
        '{"schema":"mqtools.record/1","sender":"a\ufffd","sender_b64":"***="}' \
        '{"schema":"mqtools.record/1","files":["\ufffd"],"files_b64":["/w==","/w=="]}' \
        '{"schema":"mqtools.record/1"} {}' '{"schema":"mqtools.record/1"'
    printf '{"schema":"mqtools.record/1","sender":"a\377"}\n{"schema":"mqtools.record/1",\0"sender":"a"}\n'
    printf '{"schema":"mqtools.record/1","later":'
    head -c 100000 /dev/zero | tr '\0' '['
    printf '\n{"schema":"mqtools.record/1","sender":"'
    head -c 300000 /dev/zero | tr '\0' a
    printf '"}\n'
    head -c $((65 << 20)) /dev/zero | tr '\0' ' '
    printf '\n'
    sed -n 2p list
    printf '%s' "$(sed -n 3p list)"
} >hostile
run mqgrep --from hostile -i
run mqgrep --from - -c <hostile 2>&1 | head -n 3
for ((i = 0; i < 150; i++)); do echo x; done | "$MQGREP" --from - -c 2>&1 | head -n 2
# Later versions may know more; databases write null.
echo '{"x":{"y":[1,2,{}]},"schema":"mqtools.record/1","later":null,"queue_id":"a1","sender":null,"flags":["later","tls"],"recipients":[{"address":"a@b","later":[],"dsn_code":null}]}' >later
run mqgrep --from later -j
run mqgrep --from later -v -f x -c
: >empty
run mqgrep --from empty
run mqstat --from empty --now 1795300000 -k client
# What is no address is in no network, and not outside of one either.
for client in '192.0.2.7' 'fe80::1%eth0' 'no address' ''; do
    echo "{\"schema\":\"mqtools.record/1\",\"queue_id\":\"id-${client:-empty}\",\"client_address\":\"$client\"}"
done >clients
echo '{"schema":"mqtools.record/1","queue_id":"id-none","client_address":null}' >>clients
run mqgrep --from clients --fields id,client -p 192.0.2.0/24
run mqgrep --from clients --fields id,client -e 'not client in 192.0.2.0/24'
run mqgrep --from clients --fields id,client -v -p 0.0.0.0/0,::/0
run mqgrep --from clients --fields id,client -e 'client = fe80::1*'
