# What the tests of the commands share; each begins with `. "$SRC/tests/cli/common.bash"`.

# run COMMAND ARGUMENT...: one command line with all that it gives: its output, "! " before lines of
# standard error, "= N" for an exit status other than 0. The folder of the test is ".".
run() {
    local program=$1 rc=0
    shift
    {
        printf '$ %s' "$program"
        [ $# -eq 0 ] || printf ' %q' "$@"
        echo
    } | plain
    "$(program "$program")" "$@" >.out 2>.err || rc=$?
    plain <.out
    plain <.err | sed 's/^/! /'
    [ "$rc" = 0 ] || echo "= $rc"
}

program() {
    case $1 in
        mqgrep) echo "$MQGREP" ;;
        mqstat) echo "$MQSTAT" ;;
        mqquarantine) echo "$MQQUARANTINE" ;;
        mqpurge) echo "$MQPURGE" ;;
    esac
}

# Whatever differs from machine to machine: the folder, names of jobs, and device and inode in identities.
plain() {
    sed -E -e "s|$PWD|.|g" -e 's/[0-9]{8}T[0-9]{6}Z-[0-9a-f]{4}/JOB/g' -e 's/("identity":"|^identity +)([0-9.]+)-[0-9a-f]+:[0-9]+/\1\2-DEV:INODE/'
}

# terminal COLUMNS COMMAND ARGUMENT...: the same on a terminal, bytes made visible.
terminal() {
    local columns=$1 line
    shift
    printf '$ %s' "$1"
    printf ' %q' "${@:2}"
    echo "   (terminal, $columns columns)"
    line="$(printf '%q ' env COLUMNS="$columns" TERM="${TERM_IS:-dumb}" "$(program "$1")" "${@:2}")"
    script -qec "$line" /dev/null </dev/null 2>/dev/null | tr -d '\r' | plain | sed 's/\x1b/<ESC>/g'
}

# typed ANSWER COMMAND ARGUMENT...: the same on a terminal at which ANSWER is typed.
typed() {
    local answer=$1 line rc
    shift
    printf '$ %s' "$1"
    printf ' %q' "${@:2}"
    echo "   (terminal, typed: $answer)"
    line="$(printf '%q ' env TERM=dumb "$(program "$1")" "${@:2}")"
    # What was typed before the program asked is echoed by the terminal, early or not at all.
    printf '%s\n' "$answer" | script -qec "stty -echo; $line" /dev/null 2>/dev/null | tr -d '\r' | plain |
        sed -e "1{/^${answer}\$/d}" -e 's/\x1b/<ESC>/g'
    rc=${PIPESTATUS[1]}
    [ "$rc" = 0 ] || echo "= $rc"
}

# spool MTA DIR DESCRIPTION...: queues of tests/spool, made below DIR.
spool() {
    local mta=$1 dir=$2 text
    shift 2
    for text; do
        "$MKSPOOL" text "$SRC/tests/spool/$mta/$text.txt" "$dir"
    done
}

# message DIR ID SENDER RECIPIENT SUBJECT [LINE...]: a message in an Exim spool, which is easy to write by
# hand. LINEs are options of its envelope, "-host_address 192.0.2.1.4000". TIME, LOGIN, BODY and HEADERS (an array of header
# fields that come first) may be set.
message() {
    local dir=$1 id=$2 sender=$3 recipients=$4 subject=$5 line
    shift 5
    mkdir -p "$dir/input" "$dir/msglog" "$dir/db"
    {
        printf '%s-H\n%s 33 33\n<%s>\n%s 0\n-received_time_usec .000000\n' "$id" "${LOGIN:-root}" "$sender" "${TIME:-1795293000}"
        [ $# -eq 0 ] || printf '%s\n' "$@" | sed '/^$/d'
        printf -- '-body_linecount 1\n-max_received_linelength 20\nXX\n'
        # shellcheck disable=SC2086  # several recipients
        set -- $recipients
        printf '%d\n' $#
        [ $# -eq 0 ] || printf '%s\n' "$@"
        printf '\n'
        for line in "${HEADERS[@]}"; do
            header ' ' "$line"
        done
        header ' ' "Subject: $subject"
        header F "From: <$sender>"
    } >"$dir/input/$id-H"
    printf '%s-D\n%s\n' "$id" "${BODY:-A body.}" >"$dir/input/$id-D"
    chmod 640 "$dir/input/$id-H" "$dir/input/$id-D"
}

header() {
    local LC_ALL=C
    printf '%03d%s %s\n' $((${#2} + 1)) "$1" "$2"
}
