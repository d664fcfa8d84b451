# mqpurge --bounce, beside stand-ins for the programs of the servers: what they are asked, what is left alone, and what is said of
# what they did not do. They live where real ones would be, in a mount namespace of this test's own.
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
sbin=$(realpath /usr/sbin)
mount -t tmpfs none "$sbin" || exit 2
mount -t tmpfs none /usr/local/etc || exit 2
trap 'umount -l "$sbin" /usr/local/etc 2>/dev/null' EXIT
mkdir /usr/local/etc/mail

# stand_in NAME: a program out of standard input, which notes how it was called.
stand_in() {
    {
        printf '#!/bin/sh\ncd %q || exit 1\n' "$PWD"
        # shellcheck disable=SC2016  # for the program
        printf 'echo "%s $*" >>calls\n' "$1"
        cat
    } >"$sbin/$1"
    chmod 755 "$sbin/$1"
}
calls() { plain <calls | sed -E 's/[0-9A-Z]{9,}/ID/g; s/^/> /'; : >calls; }

# bounced MTA: the dry run, the run, what the server was told, and what is in its queue then.
bounced() {
    local n
    n=$(count "$1" $FLOOD)
    : >calls
    tree "$1" >before
    quiet mqpurge --spool "$1" --vault v --bounce $FLOOD --why test -n --each
    mv .out dry
    tree "$1" | diff before - >/dev/null || echo 'the dry run changed the queue'
    grep -E '^(postkick|sendmail -Am|exim4 -Mg)' calls && echo 'the dry run gave mail up'
    : >calls
    quiet mqpurge --spool "$1" --vault v --bounce $FLOOD --why test --expect "$n" --each
    diff dry .out >/dev/null && echo 'the dry run is the run'
    grep '^  reports' .out
    sed -nE 's/^bounce [^ ]+: (.*)/\1/p' .out | sort | uniq -c | sed 's/^ */: /'
    echo "left: $(count "$1" $FLOOD), others: $(($(count "$1" -f '*') - $(count "$1" $FLOOD)))"
}

echo '--- nobody is there'
for mta in $MTAS; do
    flooded "$mta" "$mta" 12
    quiet mqpurge --spool "$mta" --vault v --bounce $FLOOD --why test --yes
    quiet mqpurge --spool "$mta" --vault v --bounce $FLOOD --why test -n
done

echo '--- exim'
stand_in exim4 <<'END'
case "$*" in
*-bP*)
    echo "$PWD/exim"
    for setting; do case $setting in qualify_domain) echo Shop.Example ;; [a-z]*_*) echo mx.example ;; esac; done | tail -n +2 ;;
*-Mg*)
    for id; do [ "$(cat locked 2>/dev/null)" = "$id" ] || find exim -name "$id-[DHJ]" -delete; done ;;
esac
END
bounced exim
grep -c '^exim4 -Mg ' calls | sed 's/$/ calls/'
rm -rf exim
flooded exim exim 12
"$MQGREP" --spool exim -i $FLOOD 2>/dev/null | head -1 >locked
bounced exim

echo '--- exim: everybody'
rm -rf exim locked
flooded exim exim
quiet mqpurge --spool exim --vault v --bounce --all --why test --yes
grep -E '^  reports|: skipped' .out | sed -E 's/[0-9A-Za-z]{6}-[0-9A-Za-z]+-[0-9A-Za-z]+/ID/'
echo "left: $(count exim)"
: >calls
message exim/slow 1aaaaa-000001-aa alice@shop.example bob@example.net hello
quiet mqpurge --spool exim --vault v --bounce 1aaaaa-000001-aa --why test --yes
grep -e -Mg calls

echo '--- postfix'
stand_in postconf <<'END'
shift
for name; do
    case $name in
    queue_directory) echo "$PWD/postfix" ;;
    mail_version) cat version ;;
    config_directory) echo /etc/postfix ;;
    command_directory) dirname "$0" ;;
    mydestination) echo 'localhost, hash:/etc/postfix/mine, shop.example' ;;
    hash_queue_names) echo 'deferred, defer' ;;
    hash_queue_depth) echo 1 ;;
    maximal_queue_lifetime | bounce_queue_lifetime) echo 5d ;;
    *) echo ;;
    esac
done
END
echo 3.4.14 >version
quiet mqpurge --spool postfix --vault v --bounce $FLOOD --why test --yes
echo 3.5.0 >version
stand_in postkick <<'END'
find postfix/deferred postfix/incoming -type f -perm -010 -delete
END
bounced postfix
grep postkick calls
echo '--- postfix is down'
rm "$sbin/postkick"
rm -rf postfix
flooded postfix postfix 12
bounced postfix
find postfix -type f -perm -010 | wc -l | sed 's/$/ are marked/'

echo '--- sendmail'
stand_in sendmail <<'END'
case "$*" in
-d0.1*) cat version ;;
*) for word; do case $word in -qI*) find sendmail -name "?f${word#-qI}" -delete & ;; esac; done ;;
esac
END
echo 'ADDRESS TEST MODE of another server' >version
printf 'O QueueDirectory=%s\nCwshop.example localhost\n' "$PWD/sendmail" >/usr/local/etc/mail/sendmail.cf
quiet mqpurge --spool sendmail --vault v --bounce $FLOOD --why test --yes
echo 'Version 8.17.1' >version
bounced sendmail
grep -v 'd0.1' calls | sed -E 's/-qI[^ ]+/-qIID/g' | sort | uniq -c | sed 's/^ */: /'
echo '--- sendmail: held mail, ids within ids'
rm -rf sendmail
flooded sendmail sendmail 12
read -r held long <<<"$("$MQGREP" --spool sendmail -i $FLOOD 2>/dev/null | head -2 | tr '\n' ' ')"
quiet mqquarantine hold --spool sendmail --vault v "$held" --yes
key=$(find sendmail -name "qf$long")
touch "$(dirname "$key")/df${long}1"
quiet mqpurge --spool sendmail --vault v --bounce "$held" "$long" --why test --yes
grep skipped .out | sed -E "s/$held|$long/ID/"

echo '--- what does not go together'
run mqpurge --spool exim --bounce --no-undo --all --why test --yes
run mqpurge --bounce --undo 20261122T000000Z-abcd
run mqpurge --spool exim --bounce --all --yes
run mqpurge --spool exim --bounce --why test --yes
