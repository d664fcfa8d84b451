# pack --redact: where an address or an id should be, there can be anybody's text. Only what has the form of one is in the pack; the rest is
# in none of its files.
. "$SRC/tests/cli/common.bash"
. "$SRC/tests/cli/acting.bash"

# told SPOOL MTA: a redacted pack of the queue: which files tell a secret, and what the records say of clients and ids.
told() {
    quiet mqquarantine pack --spool "$1" --mta "$2" --all --redact --output "$1-pack.tar.gz" | grep -v 'is written; send it by another way' || true
    tar xzf "$1-pack.tar.gz"
    (cd "$1-pack" && grep -rlia -e secret -e alice . | sort)
    grep -oE '"(queue_id|client_address)":"[^"]*"' "$1-pack/records.ndjson" | sort
    sed -n 's|</*td[^>]*>| |gp' "$1-pack/report.html" | sort
    sed -n '/^Hosts/,/^$/p' "$1-pack/summary.txt"
}
echo '--- addresses'
n=0
for address in alice@secret-bank.example 'fe80::1%secretif' 192.0.2.1.secret '[192.0.2.2].4000' 2001:DB8:0::5.4001; do
    n=$((n + 1))
    message exim "1xUs0$n-0007Aa-1x" '' '' '' "-host_address $address"
done
told exim exim
echo '--- ids of Sendmail'
mkdir sendmail
for id in alice@secret.example secretalice12345 AAA06703 629EPaQe004717 6Z9EPaQe004717; do
    printf 'V8\nT1795293000\nK0\nN0\nP30000\n$_localhost\nS<a@example.org>\nRPF:<b@example.org>\nH??Subject: x\n.\n' >"sendmail/qf$id"
    echo body >"sendmail/df$id"
done
chmod 600 sendmail/*
told sendmail sendmail
