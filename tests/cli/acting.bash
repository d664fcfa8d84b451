# What the tests of acting share, beside common.bash.

# Seen by tests that list a queue; they run on a queue that stands still.
NOW=1795300000

# flooded MTA DIR [N]: a small flooded queue, the same each time but for inode numbers.
flooded() { "$MKSPOOL" flood "$1" "$2" -n "${3:-60}" --now "$NOW"; }

# tree DIR: every file with its bytes, mode, owner and time. A queue that came back reads the same.
tree() {
    (cd "$1" && find . -type f -printf '%p %m %U:%G %T@ ' -exec sha256sum {} \; | sed 's|  \./.*||' | sort)
}

# quiet COMMAND ARGUMENT...: its exit status, and standard error; standard output is left in .out.
quiet() {
    local rc=0
    "$(program "$1")" "${@:2}" >.out 2>.err || rc=$?
    plain <.err | sed -e "s|${ELSEWHERE:-/nowhere}|ELSEWHERE|g" -e 's/^/! /'
    [ "$rc" = 0 ] || echo "= $rc"
}

# the_case VAULT: the name of its latest case.
the_case() { "$MQQUARANTINE" list --vault "$1" 2>/dev/null | awk 'END { print $1 }'; }

# count DIR [SELECTION]...: how many messages fit.
count() { "$MQGREP" --spool "$1" -c "${@:2}" 2>/dev/null || true; }

# elsewhere: a folder on another file system, which goes at the end; 77 where there is none.
elsewhere() {
    local dir
    dir=$(mktemp -d -p /dev/shm 2>/dev/null) || { echo "no /dev/shm to be another file system" >&2; exit 77; }
    if [ "$(stat -c %d "$dir")" = "$(stat -c %d .)" ]; then
        rmdir "$dir"
        echo "/dev/shm is not another file system" >&2
        exit 77
    fi
    # shellcheck disable=SC2064  # the folder of now
    trap "rm -rf '$dir'" EXIT
    ELSEWHERE=$dir
}

MTAS="exim postfix sendmail"
FLOOD="-u user7@shop.example"

# meanwhile CHANGE ANSWER COMMAND ARGUMENT...: at a terminal; when the question stands there the change is made, then it is answered.
meanwhile() {
    local change=$1 answer=$2 line text='' char session in out
    shift 2
    line="stty -echo; $(printf '%q ' env TERM=dumb "$(program "$1")" "${@:2}")"
    coproc script -qec "$line" /dev/null 2>/dev/null
    session=$!
    # Those of the coprocess itself are not there for the parts of a pipe.
    exec {in}>&"${COPROC[1]}" {out}<&"${COPROC[0]}"
    while IFS= read -r -N 1 -t 60 -u "$out" char; do
        text+=$char
        case $text in *'to go on: ' | *'[yes/no] ') break ;; esac
    done
    eval "$change"
    echo "$answer" >&"$in"
    { printf '%s' "$text"; cat <&"$out"; } | tr -d '\r' | plain
    exec {in}>&- {out}<&-
    wait "$session" || echo "= $?"
}
