# A full disk, for each server: what was begun is consistent, what is not done is named, and every message is whole in exactly one
# place. The disks are small tmpfs, mounted where nobody else sees them.
. "$SRC/tests/cli/common.bash"
. "$SRC/tests/cli/acting.bash"
if [ -z "${INSIDE:-}" ]; then
    enter=(unshare -m)
    [ "$(id -u)" = 0 ] || enter=(unshare -rm)
    # In a chroot "/" is no mount point, and its propagation cannot be changed.
    "${enter[@]}" true 2>/dev/null || enter+=(--propagation unchanged)
    "${enter[@]}" true 2>/dev/null || { echo "no mount namespaces here" >&2; exit 77; }
    INSIDE=1 exec "${enter[@]}" bash "$0"
fi
mkdir disk
mount -t tmpfs -o size=16m,mode=700 none disk || exit 2
trap 'umount -l disk 2>/dev/null' EXIT
fill() { dd if=/dev/zero of=disk/filler bs=64k 2>/dev/null; }

# where: how many messages are in the queue and in cases, and whether they are those of before.
where() { # where QUEUE VAULT
    local case in=0 n
    for case in $("$MQQUARANTINE" list --vault "$2" 2>/dev/null | awk 'NR > 1 { print $1 }'); do
        n=$("$MQQUARANTINE" show --vault "$2" -j "$case" 2>/dev/null | grep -c '"mqtools.record/1"')
        in=$((in + n))
    done
    echo "in the queue and in cases together: $(($(count "$1") + in))"
}
# holding N: the case of so many messages; two of one second have no order.
holding() { "$MQQUARANTINE" list --vault disk/v -j | sed -nE "s/.*\"case\":\"([^\"]+)\".*\"messages\":$1,.*/\1/p"; }
status() { sed -E -e 's/[0-9,]+ of [0-9,]+ messages/N of M messages/' -e 's/, [0-9]+ (skipped|failed)/, N \1/g' | plain; }
few() { local rc=0; "$(program "$1")" "${@:2}" >.out 2>.err || rc=$?; status <.err | sed 's/^/! /'; sort .out | sed -E -e 's/ [^ ]+: / ID: /' -e 's/(its id is now) .*/\1 NEW/' | status | grep -E '^(take|hold|release|restore|purge) ID' | sort -u; echo "= $rc"; }

for mta in $MTAS; do
    echo "--- $mta: the vault's disk is full, the queue's is another"
    flooded "$mta" "q-$mta"
    few mqquarantine take --spool "q-$mta" --vault disk/v -m 1 $FLOOD -x --why test --yes
    fill
    # The vault's reserve is good for these, and then it is gone.
    few mqquarantine take --spool "q-$mta" --vault disk/v -m 5 $FLOOD -x --why test --yes
    fill
    few mqquarantine take --spool "q-$mta" --vault disk/v $FLOOD -x --why test --yes
    where "q-$mta" disk/v
    few mqpurge --spool "q-$mta" --vault disk/w -r @bigmail.example -x --why test -n
    few mqpurge --spool "q-$mta" --vault disk/v -r @bigmail.example -x --why test -n
    few mqpurge --spool "q-$mta" --vault disk/v -r @bigmail.example -x --why test --yes
    where "q-$mta" disk/v
    # The last of the reserve is for who goes back.
    few mqquarantine restore --vault disk/v --yes "$(holding 1)"
    rm -f disk/filler
    for case in $("$MQQUARANTINE" list --vault disk/v 2>/dev/null | awk 'NR > 1 { print $1 }'); do
        "$MQQUARANTINE" restore --vault disk/v --yes "$case" >/dev/null 2>&1
    done
    echo "in the queue: $(count "q-$mta")"
    rm -rf disk/*

    echo "--- $mta: it becomes full on the way"
    "$MKSPOOL" flood "$mta" "large-$mta" -n 60 --now "$NOW" --body 400000
    few mqquarantine take --spool "large-$mta" --vault disk/v $FLOOD -x --why test --yes
    [ "$(count "large-$mta" $FLOOD -x)" -gt 0 ] && echo 'some stayed'
    where "large-$mta" disk/v
    mount -o remount,size=64m disk
    case=$(the_case disk/v)
    few mqquarantine seal --vault disk/v "$case"
    few mqquarantine take --spool "large-$mta" --vault disk/v $FLOOD -x --why test --yes
    where "large-$mta" disk/v
    rm -rf disk/* "large-$mta"
    mount -o remount,size=16m disk

    echo "--- $mta: queue and vault on one full disk"
    flooded "$mta" disk/q
    few mqquarantine take --spool disk/q --vault disk/v -m 1 $FLOOD -x --why test --yes
    fill
    few mqquarantine hold --spool disk/q --vault disk/v -m 3 $FLOOD -x --yes
    few mqquarantine release --spool disk/q --vault disk/v -m 3 $FLOOD -z --yes
    few mqquarantine take --spool disk/q --vault disk/v -m 5 $FLOOD -x --why test --yes
    fill
    few mqquarantine pack --spool disk/q -m 20 --all --output disk/pack.tar.gz
    [ ! -e disk/pack.tar.gz ] || echo 'half a pack was left'
    few mqquarantine take --spool disk/q --vault disk/v $FLOOD -x --why test --yes
    where disk/q disk/v
    few mqpurge --spool disk/q --vault disk/v -r @bigmail.example -x --why test -n
    few mqpurge --spool disk/q --vault disk/v -r @bigmail.example -x --why test --yes
    where disk/q disk/v
    few mqquarantine restore --vault disk/v --yes "$(holding 1)"
    few mqquarantine drop --vault disk/v --expect 5 --why test "$(holding 5)"
    rm -f disk/filler
    for case in $("$MQQUARANTINE" list --vault disk/v 2>/dev/null | awk 'NR > 1 { print $1 }'); do
        "$MQQUARANTINE" restore --vault disk/v --yes "$case" >/dev/null 2>&1
    done
    echo "in the queue: $(count disk/q)"
    rm -rf disk/*
done
