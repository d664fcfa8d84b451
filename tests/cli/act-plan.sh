# What is shown before anybody agrees: whose mail it is, what else is hit, what blocks it. Everything of a message is escaped.
. "$SRC/tests/cli/common.bash"
n=0
add() { n=$((n + 1)); message q "1aaaaa-$(printf %06d $n)-aa" "$@"; }
auth() { printf '%s\n' '-host_auth PLAIN' '-received_protocol esmtpa' "-host_address $2.25" "-auth_id $1"; }
for i in 1 2 3; do mapfile -t lines < <(auth user7 203.0.113.9); add a@example.com 'x@example.net' "flood $i" "${lines[@]}"; done
mapfile -t lines < <(auth prof 198.51.100.7); add prof@example.com 'x@example.net y@example.org' thesis "${lines[@]}"
mapfile -t lines < <(auth "o'x\$(id)" 2001:db8::25); add "o'b@example.com" 'x@example.net' "quote ' \" \`id\`" "${lines[@]}"
add evil@example.com 'x@example.net' $'\e[31mred\e[0m \xe2\x80\xae' '-host_address 10.1.2.3.25'
add '' 'x@example.net' 'Undelivered mail' '-local'
printf 'garbage\n' >q/input/1aaaaa-999999-aa-H
printf '1aaaaa-999999-aa-D\nx\n' >q/input/1aaaaa-999999-aa-D

run mqquarantine --spool q --all --why x -n
run mqquarantine --spool q -r x@example.net --why x -n
run mqquarantine --spool q -u user7 --why x -n --block
run mqquarantine hold --spool q --all -n --block -j
# What is printed to be pasted is printable ASCII, and no quote of a stranger is in it.
"$MQQUARANTINE" hold --spool q -x -n --block 2>/dev/null | sed -n '/^#/,$p' >block
LC_ALL=C grep -n '[^ -~]' block
grep -c "o'x" block
# The commands for the firewall are words for a shell.
grep '^nft' block | bash -n && echo words
