# Messages that leave while the queue is read are no trouble: at most one line, and status 0 or 1.
. "$SRC/tests/cli/common.bash"

# Where the other parts of a message are, from the name of its key file.
parts() {
    case $1 in
        */input/*-H) echo "${1%-H}-D" ;;
        */qf/?f*) echo "${1%/qf/?f*}/df/df${1##*/?f}" ;;
    esac
}
leave() {
    local key
    while read -r key; do
        # shellcheck disable=SC2046  # names without blanks
        rm -f "$key" $(parts "$key")
    done
}
for mta in exim postfix sendmail; do
    "$MKSPOOL" flood $mta $mta -n 250 --seed 9 --now 1795300000
    find $mta -type f \( -path '*/input/*-H' -o -path '*/qf/?f*' -o -path 'postfix/*/*' ! -path '*/defer/*' \) |
        sort -R --random-source=/dev/zero >keys
    leave <keys &
    leaving=$!
    while kill -0 $leaving 2>/dev/null; do
        for command in "$MQGREP -j" "$MQSTAT -j" "$MQSTAT -k reason --csv"; do
            rc=0
            $command --now 1795300000 --spool $mta --mta $mta >/dev/null 2>.err || rc=$?
            [ $rc -le 1 ] || echo "$mta: $command: status $rc"
            grep -Ev '^mq(grep|stat): [0-9]+ messages? left the queue while it was being read$' .err
        done
    done
    wait
    rc=0
    "$MQGREP" --now 1795300000 --spool $mta --mta $mta || rc=$?
    echo "$mta: $rc"
done
