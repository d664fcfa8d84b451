# threads: 1 2 8
# Several spools and MTAs in one run; which were taken, and what is wrong with the others.
. "$SRC/tests/cli/common.bash"
spool exim e good-local good-bounce
spool postfix p good-a good-b
spool sendmail s good-bounce
mkdir -p empty/input empty/msglog empty/db nothing

run mqgrep --spool s --spool e --spool p --fields mta,spool,id,age --now 1795300000
run mqgrep --spool e --spool e/ -c
run mqgrep --spool e --spool p --mta exim --mta postfix -c
run mqgrep --spool e --spool p --mta exim --mta sendmail -c
run mqgrep --spool p --mta postfix -c
run mqgrep --spool nothing -c
run mqgrep --spool missing -c
run mqgrep --spool missing --spool e -c
run mqgrep --spool e/input/1xUroU-0003xZ-2Y-H -c
run mqgrep --spool e --host mx9.example.com -m1 --fields host,id
run mqgrep --spool e -m1 --fields host,id

# An empty queue is a good answer to mqstat, and no message for mqgrep.
run mqgrep --spool empty
run mqgrep --spool empty -c
run mqgrep --spool empty -j
run mqstat --spool empty --now 1795300000
run mqstat --spool empty --now 1795300000 -f x
run mqstat --spool empty --now 1795300000 -j
run mqstat --spool empty --now 1795300000 -k client

# Of a spool that stands still ages count from its last change, which is said.
find e -exec touch -d @1795300000 {} +
TZ=UTC run mqgrep --spool e
TZ=Asia/Kolkata run mqgrep --spool e -y 2h -i
run mqgrep --spool e -i -m 1
