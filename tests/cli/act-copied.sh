# A copied case is no second chance: what went back out of the case would go back again out of the copy.
. "$SRC/tests/cli/common.bash"
. "$SRC/tests/cli/acting.bash"
flooded exim q 12
quiet mqquarantine take --spool q --vault v $FLOOD --why test --yes | grep -v ' case '
case=$(the_case v)
mkdir -m 700 w
cp -a "v/$case" w/
quiet mqquarantine restore "$case" --vault v -m 3 --yes | grep -v 'counts age'
"$MQQUARANTINE" hold --spool q --vault w -m 1 --all --yes >/dev/null 2>&1
"$MQQUARANTINE" list --vault w 2>/dev/null | awk '{ print $2 }'
quiet mqquarantine restore "$case" --vault w --yes
quiet mqquarantine restore "$PWD/w/$case" --yes
quiet mqquarantine verify --vault w "$case"
echo '--- the case itself, moved with its vault, is still it'
mv v x
quiet mqquarantine restore "$case" --vault x --yes | grep -v 'counts age'
echo "$(count q) messages"
