# One job on queues of two file systems has a case on each, both of its name, and goes back in one go. In mounts of the test's own.
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
mkdir a b
trap 'umount -l a b 2>/dev/null' EXIT
for disk in a b; do mount -t tmpfs -o size=16m,mode=755 none $disk || exit 2; done
flooded exim a/spool
flooded sendmail b/spool
tree a/spool >before-a
tree b/spool >before-b
spools=(--spool a/spool --spool b/spool)

taken() { # taken COMMAND OPTION...: what is where then
    quiet "$@"
    echo "in the queues: $(count a/spool) $(count b/spool)"
    find a/mqtools b/mqtools -maxdepth 1 -name '20*' -printf '%f\n' | sort | uniq -c | sed -E 's/^ *//' | plain
}
for how in take purge; do
    echo "--- $how"
    if [ $how = take ]; then
        taken mqquarantine take "${spools[@]}" --all --why test --yes
    else
        taken mqpurge "${spools[@]}" --all --why test --yes
    fi
    job=$(find a/mqtools -maxdepth 1 -name '20*' -printf '%f\n' | sed 's/\..*//')
    back=(mqquarantine restore "$job" "${spools[@]}")
    [ $how = take ] || back=(mqpurge --undo "$job" "${spools[@]}")
    quiet "${back[@]}" -n
    quiet "${back[@]}" --expect 120
    tree a/spool | diff before-a - && tree b/spool | diff before-b - && echo 'the queues are as they were'
    quiet "${back[@]}" --yes
    for disk in a b; do
        quiet mqquarantine verify --vault $disk/mqtools "$job"
        quiet mqquarantine drop --vault $disk/mqtools "$job" --why finished --yes
    done
done
