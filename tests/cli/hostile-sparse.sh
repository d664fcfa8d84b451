# Files with holes of a terabyte, which cost their maker nothing: each is one damaged message beside healthy ones; nobody waits for its zeros, copies or packs them.
. "$SRC/tests/cli/common.bash"
. "$SRC/tests/cli/acting.bash"
# A look at the zeros would take longer than anybody waits.
soon() {
    local program
    program=$(program "$1")
    echo "$*" | sed 's/^/$ /' | plain
    timeout 60 "$program" "${@:2}" >.out 2>.err || echo "= $?"
    plain <.out
    plain <.err | sed -E -e 's/[0-9]+ MiB/N MiB/g' -e 's/^/! /'
}
# holes MTA PATTERN: a queue of six, in it one file that fits made large.
holes() {
    rm -rf "$1" v
    flooded "$1" "$1" 6
    # shellcheck disable=SC2086  # one path
    truncate -s 1T $2
    touch -d "@$((NOW - 7200))" $2
}
readers() {
    echo "--- $1: $2"
    holes "$1" "$1/$2"
    soon mqgrep --spool "$1" -q deferred -i
    soon mqgrep --spool "$1" -B 'no such text' -i
    soon mqgrep --spool "$1" -v -B 'no such text' -i
    soon mqgrep --spool "$1" -v --reason 'no such text' -i
    soon mqgrep --spool "$1" --damaged --format '{id} {problems}'
    timeout 60 "$MQGREP" --spool "$1" --eml "$3" 2>&1 >/dev/null | plain
    timeout 60 "$MQGREP" --now $NOW --spool "$1" --show "$3" >/dev/null 2>&1 || echo "show: $?"
    timeout 60 "$MQSTAT" --now $NOW --spool "$1" --clusters >/dev/null 2>&1 || echo "clusters: $?"
}
sm=6ALK0Z04001000 exim=1xUrGF-0000GC-8n pf=428C6A00004
readers sendmail "q1/qf/qf$sm" $sm
readers sendmail "q1/df/df$sm" $sm
readers exim "input/F/$exim-H" $exim
readers exim "input/F/$exim-D" $exim
readers exim "input/F/$exim-J" $exim
readers exim "msglog/F/$exim" $exim
readers postfix "deferred/4/$pf" $pf
readers postfix "defer/4/$pf" $pf

for part in "q1/qf/qf$sm" "q1/df/df$sm"; do
    echo "--- acting: $part"
    holes sendmail "sendmail/$part"
    quiet mqquarantine pack --spool sendmail --all --output p.tar.gz
    find . -name '*p.tar.gz*'
    quiet mqquarantine take --spool sendmail --vault v --all --why test --expect 6 | grep -v '! mqquarantine: case'
    grep skipped .out
    quiet mqquarantine verify --vault v "$(the_case v)"
    # The vault's own file system says how much is free, which no test knows.
    quiet mqpurge --spool sendmail --vault v $sm --why test --expect 1 | sed -E 's/[0-9]+ MiB/N MiB/g'
    "$MQGREP" --spool sendmail -c
    quiet mqpurge --spool sendmail --vault v $sm --why test --expect 1 --no-undo
    find sendmail -type f
done
