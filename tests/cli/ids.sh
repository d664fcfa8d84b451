# Ids as people paste them: with marks, affixes and folders, in arguments, a file, standard input.
. "$SRC/tests/cli/common.bash"
spool exim e good-bounce good-local good-long-id
spool postfix p good-a good-b good-d
spool sendmail s good-bounce good-esmtp
pick() { run mqgrep --spool e --spool p --spool s -i "$@"; }

pick 1xUroU-0003xZ-2Y
pick 1xUroU-0003xZ-2Y-H 1xUs0E-000000000NA-0q2H-D
pick '0D431A0B0C1*' '0D431A0B0C2!' '8A1F0A0B0C3#'
pick qf629EU0Qe004715 df629EPaQe004717
pick p/deferred/0/0D431A0B0C1 0D431A0B0C2:
pick 1xUroU-0003xZ-2 0D431A0B0C1
pick 1xUroU-0003xZ-2Y 1xUroU-0003xZ-2Y
pick 0D431A0B0C1 -f nobody@example.com
pick 'two words' 0D431A0B0C1
pick '$(reboot)'
printf '0D431A0B0C1 0D431A0B0C2*\n1xUroU-0003xZ-2Y\0' >list
pick --ids-from list
pick - <list
pick --ids-from - <list
pick - 8A1F0A0B0C3 <list
pick --ids-from missing

# An empty list selects nothing, whatever else is said.
: >empty
pick --ids-from empty
pick -v --ids-from empty
pick - </dev/null
run mqstat --spool e --ids-from empty

# A listing of many ids costs one line each, up to a bound.
seq -f 'AAAAAAAA%g' 1 30 >many
pick --ids-from many
head -c 5000 /dev/zero | tr '\0' x >long
pick --ids-from long
