# threads: 1 2 8
# shellcheck disable=SC2034  # HEADERS is for message
# Derived keys, orders, rates and the table of ages.
. "$SRC/tests/cli/common.bash"
now=--now=1795300000
"$MKSPOOL" flood exim p -n 300 --seed 5 --now 1795300000
for key in subject.shape size~2% size~100% flags user.domain subject.shape,size~10%; do
    run mqstat "$now" --spool p -k $key -t 4
done
for order in count bytes rate oldest newest; do
    run mqstat "$now" --spool p -k client --sort $order -t 3
done
run mqstat "$now" --spool p -k age --sort count -t 2
run mqstat "$now" --spool p -k user --rates 1m,1h,1d -t 2
run mqstat "$now" --spool p -k user,state --rates 1h -t 2 -j
run mqstat "$now" --spool p -k user --rates 1h -t 2 --csv | sed 's/\r$/<CR>/'
run mqstat "$now" --spool p --rates 10m,1d -t 1 | sed -n '1,8p'
run mqstat "$now" --spool p --matrix recipient.domain -t 3
run mqstat "$now" --spool p --matrix user --linear --step 12h --steps 4 -t 2
run mqstat "$now" --spool p --matrix user --steps 3 -t 2 -j
run mqstat "$now" --spool p --matrix user --steps 3 -t 2 --csv | sed 's/\r$/<CR>/'

echo "--- parents: a row for a domain that has several below it"
for n in 1 2 3 4; do
    TIME=1795299900 message d "1aaaaa-00010$n-aa" "a@x.example.com" "r@mx$((n % 2)).big.example y@other.test" x
done
run mqstat "$now" --spool d --matrix recipient.domain --parents
run mqstat "$now" --spool d --matrix recipient.domain

echo "--- every message is in the table: one of the future, one of unknown age"
TIME=1795400000 message e 1aaaaa-000201-aa a@example.com r@example.net x
TIME=1795299999 message e 1aaaaa-000202-aa a@example.com r@example.net x
TIME=1000000000 message e 1aaaaa-000203-aa a@example.com r@example.net x
echo broken >e/input/1aaaaa-000204-aa-H
run mqstat "$now" --spool e --matrix sender
run mqstat "$now" --spool e --matrix sender -j

echo "--- parts of lists: each element counts, and parts of one list go together"
HEADERS=('Received: from a.example (b.example [192.0.2.1]) by c.example with ESMTP id 1; Sat, 21 Nov 2026 20:00:00 +0000'
    'Received: from d.example ([192.0.2.2]) by e.example with SMTP id 2; Sat, 21 Nov 2026 20:00:00 +0000')
message l 1aaaaa-000301-aa a@x.example.com 'r@one.example s@two.example t@one.example' x
HEADERS=()
message l 1aaaaa-000302-aa a@x.example.com 'r@one.example' x
for key in recipients.domain recipients.address,recipients.dsn_code received.from received.by,received.with received.address; do
    run mqstat "$now" --spool l -k $key --csv
done

echo "--- what makes no sense"
for words in '-k sender.domian' '-k recipients.adress' '-k subject.shap' '-k received.form' '-k sender.x' '-k received' \
    '-k received.by,recipients' '--matrix recipient.domian' '-k client/0' '-k size~0' '-k sendr' '-k flags,recipient' '-k client,client' '--sort size' '--rates 5m,1m' '--rates x' \
    '--matrix size,user' '--matrix size --parents' '--matrix size --rates 1m' '--matrix size --steps 1' '--matrix size --steps 41' \
    '--matrix size --step 0' '--parents' '-k size --linear' '-k size --matrix size' '--matrix size --steps 40 --step 9w' \
    '--matrix size --step='; do
    # shellcheck disable=SC2086  # several words
    run mqstat --spool e $words
done
