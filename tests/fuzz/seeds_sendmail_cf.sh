# The lines of sendmail.cf that say where queues are, in their old and new forms.
cd "$1" || exit
printf 'V10/Berkeley\nO QueueDirectory=/var/spool/mqueue\nO QueueFileMode=0640\nO Timeout.ident=5s\n' >plain
printf 'O QueueDirectory=/var/spool/mqueue/q*\nQslow, P=/var/spool/mqueue/slow, R=5, I=1h\nQfast, Path=/var/spool/mqueue/f*\n' >groups
printf '# comment\r\nOQ/usr/spool/mqueue\r\nOA/etc/aliases\r\n' >old
printf 'O QueueDirectory = /m/* \nQmqueue, P=/n\nQ\nQ,\nQa,P\nO\nO Queue\n' >odd
# More groups than are kept.
{ printf 'O QueueDirectory=/var/spool/mqueue/q*\n'; printf 'Qg%d, P=/var/spool/mqueue/g%d\n' {1..60}; } >many
# As long as the fuzzer wants what it also reads from a file.
printf 'O QueueDirectory=/var/spool/mqueue/q*\n%9s\n' '' >file
# How long a message may wait, in every unit, and what is none.
printf 'O Timeout.queuereturn=5d\nO Timeout.queuereturn.normal = 1w2h30m10s\n' >waits
printf 'O Timeout.queuereturn=infinite\nO timeout.QUEUERETURN=3\nO Timeout.queuereturn=now\n' >forever
printf 'O Timeout.queuereturn=99999999999999999999w\nO Timeout.queuereturn=9w9w9x9\n' >"long"
