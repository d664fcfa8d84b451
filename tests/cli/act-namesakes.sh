# Two messages with one id: their logs, of which nobody knows whose they are, stay as long as one of the two is there, and come back with the first.
. "$SRC/tests/cli/common.bash"
. "$SRC/tests/cli/acting.bash"

# A queue with two messages of one id, of which one is held.
with_namesakes() {
    local log key file
    rm -rf q v
    flooded "$1" q
    case $1 in postfix) log=defer ;; exim) log=msglog ;; esac
    log=$(find "q/$log" -type f | LC_ALL=C sort | head -n 1) id=${log##*/}
    if [ "$1" = postfix ]; then
        key=$(find q/deferred -name "$id")
        mkdir -p q/hold
        cp -p "$key" "q/hold/$id"
        cp -p "$log" "q/bounce/$id"
    else
        key=$(find q/input -name "$id-D")
        for file in H D; do cp -p "${key%-D}-$file" q/input/; done
        sed -i '4a -frozen 1795200000' "q/input/$id-H"
    fi
}

# Files of the id that are there.
there() { (cd "$1" && find . -type f -name "$id*" | sed "s|$id|ID|" | LC_ALL=C sort | tr '\n' ' '; echo); }

outcomes() { sed -nE "/^(purge|take|restore) $id:/s|$id|ID|gp" .out; }

# act MTA SELECTION...: dry, then for good.
act() {
    with_namesakes "$1"
    echo "--- $*"
    there q
    quiet "${how[@]}" --spool q --vault v --trust-ids "$id" "${@:2}" --why x --yes -n --each
    mv .out dry
    quiet "${how[@]}" --spool q --vault v --trust-ids "$id" "${@:2}" --why x --yes --each | sed 's/; to look.*//;s/--undo [^ ]*/--undo CASE/'
    outcomes
    diff dry .out && echo 'the dry run is the run'
    there q
}

for mta in postfix exim; do
    how=(mqpurge --no-undo)
    act "$mta" -z
    act "$mta" -x
    act "$mta"
    how=(mqpurge)
    act "$mta" -z
    case=$(the_case v)
    quiet mqpurge --undo "$case" --vault v --yes --each | grep -v ' counts age '
    outcomes
    act "$mta"
    how=(mqquarantine take)
    act "$mta" -x
    act "$mta"
    # Only the first can come back: its id is taken then.
    case=$(the_case v)
    quiet mqquarantine restore --vault v "$case" --yes --each | grep -v ' counts age '
    outcomes
    there q
done
