# threads: 1 2 8
# Every form of mqgrep's output, over a queue of each MTA.
. "$SRC/tests/cli/common.bash"
spool exim e good-bounce good-local good-long-id good-old good-partly-done good-wireformat
spool postfix p good-a good-b good-bounce good-d good-maildrop
spool sendmail s good-bounce good-deferred good-esmtp good-old good-quarantined
now=--now=1795300000

run mqgrep "$now" --spool e
run mqgrep "$now" --spool p --header
run mqgrep "$now" --spool s -R
run mqgrep "$now" --spool p -l
run mqgrep --spool e -b
run mqgrep --spool e -i
run mqgrep --spool e -c
run mqgrep --spool p -j
run mqgrep --spool p -j --fields id,recipients,age
run mqgrep --spool s --csv | sed 's/\r$/<CR>/'
run mqgrep --spool e --csv --fields id,sender,recipients,subject,problems | sed 's/\r$/<CR>/'
run mqgrep "$now" --spool e --fields state,id,arrival_time,age,rcpt,flags
run mqgrep --spool e --format '{{{queue_id}}}\t{sender}|{recipients}|{subject}|{auth_user}\\'
run mqgrep --spool e --sort size
run mqgrep --spool e --sort state,size -R --fields state,size,id
run mqgrep --spool e --sort client -i
run mqgrep --spool e --sort recipients,id --fields recipients,id
run mqgrep --spool e -m 2
run mqgrep --spool e -m 2 --sort size -R
run mqgrep --spool e -m 2 -c
run mqgrep --spool e -m 2 -R -i
run mqgrep --spool e -v --bounces -i
"$MQGREP" --spool e -0 -m 3 | tr '\0' '#'
echo
"$MQGREP" --spool e --format '{sender}' -0 -m 3 | tr '\0' '#'
echo
