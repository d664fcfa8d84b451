# What was held when it was taken comes back held: that is said, with what lets it go. What a hold prints releases it.
. "$SRC/tests/cli/common.bash"
. "$SRC/tests/cli/acting.bash"

# said SENTENCE: runs the command that was printed after it.
said() {
    local line
    line=$(grep "$1" .err | tail -n 1 | sed 's/.*: mqquarantine //')
    eval "quiet mqquarantine $line --yes"
}
for mta in $MTAS; do
    echo "--- $mta"
    flooded "$mta" "$mta"
    n=$(count "$mta" -x)
    quiet mqquarantine hold --spool "$mta" --vault v $FLOOD -x --yes | sed 's/! mqquarantine: [aE].*\(frozen\|hold\).*/! about time/'
    echo "held: $((n - $(count "$mta" -x)))"
    quiet mqquarantine take --spool "$mta" --vault v $FLOOD --why x --yes -z | sed 's/; to look.*//'
    case=$(the_case v)
    quiet mqquarantine restore --vault v "$case" -m 3 -n | grep 'on hold; to' | sed -E 's/-z .*/-z ID.../'
    quiet mqquarantine restore --vault v "$case" -m 3 --yes | grep 'on hold; to' | sed -E 's/-z .*/-z ID.../'
    said 'came back on hold'
    quiet mqquarantine restore --vault v "$case" --yes | grep 'on hold; to'
    # Where others are held, too, the number refuses.
    said 'came back on hold'
    quiet mqquarantine release --spool "$mta" --vault v -z $FLOOD --yes
    echo "held: $((n - $(count "$mta" -x)))"
    quiet mqquarantine hold --spool "$mta" --vault v $FLOOD -x --yes -m 2 | grep -v ': [aE].*\(frozen\|hold\)'
    said 'to release'
    echo "held: $((n - $(count "$mta" -x)))"
    rm -rf v
done
