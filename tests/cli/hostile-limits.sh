# A machine that gives little: few open files, no threads, a directory that may be a queue and is closed to us.
. "$SRC/tests/cli/common.bash"
dir=$(mktemp -d)
trap 'chmod -R u+rwX "$dir"; rm -rf "$dir"' EXIT
cd "$dir" || exit 2
for letter in a b c d e f g h i j k l m n o p q r s t u v w x y z; do
    message q "1aaaa$letter-000001-aa" a@example.com b@example.net x
    mkdir "q/input/$letter" "q/msglog/$letter"
    mv "q/input/1aaaa$letter-000001-aa-H" "q/input/1aaaa$letter-000001-aa-D" "q/input/$letter/"
done
(ulimit -S -n 32 && run mqgrep --spool q -c)

message q/other 1bbbbb-000001-aa a@example.com b@example.net x
chmod -R a+rX .
chmod 700 q/other
[ "$(id -u)" = 0 ] || chmod 0 q/other
asuser() {
    if [ "$(id -u)" = 0 ]; then
        setpriv --reuid 65534 --regid 65534 --clear-groups "$@"
    else
        "$@"
    fi
}
asuser "$MQGREP" --spool q -c 2>&1 | plain
echo "= ${PIPESTATUS[0]}"

# Too few descriptors for a case: said before there is one, or a vault.
rm -rf q
message q 1aaaaa-000001-aa a@example.com b@example.net x
(ulimit -n 24 && run mqpurge --spool q --vault v -f a@example.com --why test --expect 1) | sed -E 's/[0-9]+( more|\)| are left)/N\1/g'
[ ! -e v ] || echo 'something is in the vault'
run mqgrep --spool q -c
