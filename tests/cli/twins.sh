# Options and the expression that asks the same select the same messages of whole queues, of each server, with damaged files among them; so does
# what --save would write, and what is negated twice. No negation selects more than was left over by the question itself.
. "$SRC/tests/cli/common.bash"
now=1795300000
for mta in exim postfix sendmail; do
    "$MKSPOOL" flood $mta q-$mta -n 120 --seed 11 --now $now
    # Every eleventh file ends early: control files, bodies and logs alike.
    find q-$mta -type f | sort | awk 'NR % 11 == 0' | while read -r file; do
        truncate -s "$(($(stat -c %s "$file") * 2 / 3))" "$file"
    done
done

# ids SPOOL ARGUMENT...
ids() {
    local spool=$1
    shift
    "$MQGREP" --now $now --spool "$spool" -i "$@" 2>/dev/null | sort
}
n=0 some=0
# twin EXPR OPTION...
twin() {
    local expr=$1 mta spool other
    shift
    for mta in exim postfix sendmail; do
        spool=q-$mta
        ids $spool "$@" >options
        ids $spool -e "$expr" >expression
        cmp -s options expression || echo "$mta: $* is not $expr"
        ids $spool -e "not not ($expr)" | cmp -s - options || echo "$mta: twice negated $expr is another question"
        other=$("$MQGREP" --spool $spool "$@" --explain 2>/dev/null | sed -n '/^As an expression:/{n;s/^  //;p}')
        ids $spool -e "$other" | cmp -s - options || echo "$mta: $* is written as $other"
        ids $spool -v "$@" >rest
        ids $spool -e "not ($expr)" | cmp -s - rest || echo "$mta: -v $* is not the opposite of $expr"
        [ -z "$(comm -12 options rest)" ] || echo "$mta: $* and its opposite select the same"
        n=$((n + 1))
        [ ! -s options ] || some=$((some + 1))
    done
}
twin 'user = user7@shop.example' -u user7@shop.example
twin 'user == user7@shop.example and recipients = @bigmail.example' -u '=user7@shop.example' -r @bigmail.example
twin 'sender = @shop.example or sender = <>' -f @shop.example -f '<>'
twin 'sender ~ "^[a-m]"' -f '/^[a-m]/'
twin 'client in 203.0.113.0/24 and size in 2000..2200' -p 203.0.113.0/24 -s 2000..2200
twin 'client in (203.0.113.9, 198.51.100.0/24)' -p 203.0.113.9,198.51.100.0/24
twin 'all recipients = @bigmail.example' --rcpt-all @bigmail.example
twin 'subject = *parcel* and not bounces' -S '*parcel*' -e 'not bounces'
twin 'age < 1h and rcpts == 1' -y 1h --rcpts 1
twin 'age >= 1d and size > 4k' -o 1d -s +4k
twin 'arrival >= 1795290000 and arrival <= 1795299999' --since 1795290000 --until 1795299999
twin 'state in (deferred, corrupt)' -q deferred,corrupt
twin 'held' -z
twin 'not held' -x
twin 'damaged' --damaged
twin 'local or bounces' -e 'local or bounces'
twin 'class in (ratelimit, greylist)' --class ratelimit,greylist
twin 'reason = *refused*' --reason '*refused*'
twin 'helo = *e*' --helo '*e*'
twin 'protocol = esmtpsa' --protocol esmtpsa
twin 'header.subject = *parcel*' -H 'Subject:*parcel*'
twin 'origin in 203.0.113.0/24' --origin 203.0.113.0/24
twin 'queue == deferred or queue == default or queue == mqueue' -G deferred -G default -G mqueue
echo "$n questions, most select some: $((some * 2 > n))"
"$MQGREP" --now $now --spool q-exim --damaged -c 2>/dev/null | awk '{ print ($1 > 5 ? "many damaged" : "few damaged") }'
