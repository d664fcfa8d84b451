# Numbers and guards around cases that are not as they should be.
. "$SRC/tests/cli/common.bash"
. "$SRC/tests/cli/acting.bash"
flooded postfix q 20

# A case that could not be sealed: what is deleted with it is what it holds now.
quiet mqquarantine take --spool q --vault v $FLOOD --why x --yes -m 5
case=$(the_case v)
touch "v/$case/INCOMPLETE"
quiet mqquarantine restore "$case" --vault v --yes --max 5 -m 2
quiet mqquarantine drop "$case" --vault v --why x --expect 1
quiet mqquarantine drop "$case" --vault v --why x --expect 3

# What recover cannot look into, it does not remove.
quiet mqquarantine take --spool q --vault v $FLOOD --why x --yes -m 5
case=$(the_case v)
touch "v/jobs/$case.open"
sed -i 's/^Mqtools-Custody: .*/Mqtools-Custody: unknown/' "v/$case/bag-info.txt"
mv "v/$case/data" "v/$case/elsewhere"
ln -s elsewhere "v/$case/data"
quiet mqquarantine recover --vault v
find "v/$case/elsewhere" -type f | grep -vc '/defer/'
