# threads: 1 2 8
# The mail log beside the queue: lines of each server's log forms, of files as they rotate, damaged ones and hostile ones.
. "$SRC/tests/cli/common.bash"
spool exim e good-local good-long-id good-partly-done
spool postfix p good-a good-b good-bounce
spool sendmail s good-deferred good-esmtp
now=--now=1795300000

cat >mail.log <<'END'
Jan  2 15:04:00 mx postfix/smtpd[7]: connect from host7.example[2001:db8::7]
Jan  2 15:04:01 mx postfix/smtpd[8]: connect from other.example[192.0.2.99]
Jan  2 15:04:02 mx postfix/smtpd[7]: warning: host7.example[2001:db8::7]: SASL LOGIN authentication failed: UGFzc3dvcmQ6
Jan  2 15:04:05 mx postfix/smtpd[7]: 0D431A0B0C1: client=host7.example[2001:db8::7], sasl_method=LOGIN, sasl_username=kim
Jan  2 15:04:05 mx postfix/smtpd[8]: 0D431A0B0C10: client=other.example[192.0.2.99], sasl_method=LOGIN, sasl_username=eve
Jan  2 15:04:06 mx postfix/cleanup[9]: 0D431A0B0C1: message-id=<0D431A0B0C2: x@host7.example>
Jan  2 15:04:06 mx opendkim[4]: 0D431A0B0C1: DKIM-Signature field added (s=2026, d=example.com)
Jan  2 15:04:06 mx postfix/qmgr[2]: 0D431A0B0C1: from=<kim@example.com>, size=390, nrcpt=1 (queue active)
Jan  2 15:04:07 mx postfix/smtpd[7]: disconnect from host7.example[2001:db8::7] ehlo=1 auth=1/2 mail=1 rcpt=1 data=1 quit=1 commands=6/7
Jan  2 15:04:07 mx postfix/smtpd[7]: connect from third.example[192.0.2.98]
Jan  2 15:04:09 mx postfix/smtp[11]: 0D431A0B0C1: to=<r@example.net>, relay=mx[192.0.2.9]:25, dsn=4.2.1, status=deferred (host said: 450 0D431A0B0C2: busy)
Jan  2 15:14:09 mx postfix/smtp[11]: 0D431A0B0C1: to=<r@example.net>, relay=mx[192.0.2.9]:25, dsn=4.2.1, status=deferred (host said: 450 busy)
END
cat >mainlog <<'END'
2026-11-21 20:35:58 1xUroU-0003xZ-2Y <= alice@example.com U=alice P=local S=386
2026-11-21 20:36:58 1xUroU-0003xZ-2Y == bob@example.net R=all T=smtp defer (-44): 450 busy
2026-11-21 20:38:00 [66] SMTP connection from [192.0.2.10]:4242 (TCP/IP connection count = 1)
2026-11-21 20:38:07 [66] 1xUrqZ-0004l7-26 <= alice@example.com H=(pc7) [192.0.2.10]:4242 P=esmtp S=386
2026-11-21 20:38:08 [66] SMTP connection from (pc7) [192.0.2.10]:4242 closed by QUIT
2026-11-21 20:48:06 1xUs0E-000000000NA-0q2H <= sales@example.com H=pc7 [2001:db8::5] P=esmtpsa A=plain:sales S=386
2026-11-21 20:48:06 1xUs0E-000000000NA-0q2Hx Completed
END
cat >sendmail.log <<'END'
2026-03-09T14:26:40.100000+00:00 mx sm-mta[4711]: AUTH=server, relay=six.example [IPv6:2001:db8::10], authid=owner, mech=PLAIN, bits=0
2026-03-09T14:26:40.200000+00:00 mx sm-mta[4711]: 629EQeQe004711: from=<owner@example.org>, size=99, nrcpts=1, proto=ESMTPA, daemon=MTA, relay=six.example [IPv6:2001:db8::10]
2026-03-09T14:26:41.200000+00:00 mx sm-mta[4712]: 629EQeQe004711: to=<a@example.net>, delay=00:00:01, mailer=esmtp, dsn=4.0.0, stat=Deferred: Connection refused by mx.
END
# Their stamps have no year: the age of the file tells it.
touch -d @1136215000 mail.log

echo "--- one file, each form of output"
run mqgrep "$now" --spool p --log mail.log
run mqgrep "$now" --spool p --log mail.log -b 0D431A0B0C1
run mqgrep "$now" --spool p --log mail.log -l 0D431A0B0C1
run mqgrep "$now" --spool p --log mail.log --show 0D431A0B0C1
run mqgrep "$now" --spool p --log mail.log -j --fields id 0D431A0B0C1 0D431A0B0C2
run mqgrep "$now" --spool e --log mainlog
run mqgrep "$now" --spool e --log mainlog -j --fields id,auth_user
run mqgrep "$now" --spool s --log sendmail.log -j --fields id,auth_user,attempts
run mqgrep "$now" --spool s --log sendmail.log -l 629EQeQe004711
run mqgrep "$now" --spool p --spool e --spool s --log mainlog --log mail.log --log sendmail.log --sort id -R -b

echo "--- the same through gzip, a pipe, rotated files in any order, and through several members"
gzip -k mail.log
run mqgrep "$now" --spool p --log mail.log.gz -b 0D431A0B0C1
run mqgrep "$now" --spool p --log - -b 0D431A0B0C1 <mail.log
run mqgrep "$now" --spool p --log - -b 0D431A0B0C1 <mail.log.gz
head -n 3 mail.log >old
sed -n '4,$p' mail.log >new
touch -d @1136215000 old new
run mqgrep "$now" --spool p --log new --log old -b 0D431A0B0C1
{ gzip -c old; gzip -c new; } >both.gz
run mqgrep "$now" --spool p --log both.gz -b 0D431A0B0C1

echo "--- stamps without a year: the file's age tells it"
run mqgrep "$now" --spool p --log mail.log -j --fields id 0D431A0B0C1 | grep -o '"time":[0-9]*' | sort -u | sed -n '1p;$p'

echo "--- an id that comes again is another message"
cat >again <<'END'
Jan  1 15:04:05 mx postfix/smtpd[7]: 0D431A0B0C1: client=earlier.example[192.0.2.98]
Jan  1 15:04:06 mx postfix/qmgr[2]: 0D431A0B0C1: removed
END
touch -d @1136215000 again
run mqgrep "$now" --spool p --log again -b 0D431A0B0C1
run mqgrep "$now" --spool p --log mail.log --log again -j --fields id 0D431A0B0C1 | grep -c earlier

echo "--- what cannot be read is told, and what was found before it is shown"
head -c 300 mail.log.gz >cut.gz
run mqgrep "$now" --spool p --log cut.gz -b 0D431A0B0C1
{ cat mail.log.gz; echo garbage; } >behind.gz
run mqgrep "$now" --spool p --log behind.gz -b 0D431A0B0C1 | tail -n 3
{ head -c 150 mail.log.gz; printf 'XXXXXXXXXXXXXXXX'; tail -c +167 mail.log.gz; } >damaged.gz
run mqgrep "$now" --spool p --log damaged.gz -b 0D431A0B0C1 | grep '^[!=]'
printf '\xfd7zXZ\0rest' >log.xz
run mqgrep "$now" --spool p --log log.xz -b 0D431A0B0C1
run mqgrep "$now" --spool p --log nowhere --log mail.log -b 0D431A0B0C2
run mqgrep "$now" --spool p --log . -b 0D431A0B0C1
echo 'no log at all' >letter
run mqgrep "$now" --spool p --log letter -b 0D431A0B0C1
: >empty
run mqgrep "$now" --spool p --log empty -b 0D431A0B0C1

echo "--- hostile lines"
{
    printf 'Jan  2 15:04:05 mx postfix/smtp[1]: 0D431A0B0C1: \033]0;title\007 \xe2\x80\xae \xff end\n'
    printf 'Jan  2 15:04:05 mx postfix/smtp[1]: 0D431A0B0C1: nul \0 end\n'
    printf 'Jan  2 15:04:05 mx postfix/smtp[1]: 0D431A0B0C1: '
    head -c 100000 /dev/zero
    printf '\nJan  2 15:04:06 mx postfix/smtp[1]: 0D431A0B0C1: last'
} >hostile
run mqgrep "$now" --spool p --log hostile -b 0D431A0B0C1 | cut -c1-120
run mqgrep "$now" --spool p --log hostile -j --fields id 0D431A0B0C1 | sed -E 's/(\\u0000|\xef\xbf\xbd|A){9,}/.../g' | cut -c1-700
terminal 100 mqgrep "$now" --spool p --log hostile --fields id 0D431A0B0C1 | head -n 5
{
    head -c 100000000 /dev/zero | tr '\0' x
    printf '\nJan  2 15:04:05 mx postfix/smtp[1]: 0D431A0B0C1: '
    head -c 100000000 /dev/zero
    printf '\nJan  2 15:04:06 mx postfix/smtp[1]: 0D431A0B0C1: last\n'
} | gzip -1 >bomb.gz
echo "--- a bomb, in little memory"
([ -n "$SAN" ] || ulimit -v 400000; run mqgrep "$now" --threads 1 --spool p --log bomb.gz -b 0D431A0B0C1 | tail -n 1)

echo "--- what does not go together"
run mqgrep --spool p --log mail.log -c
run mqgrep --spool p --log mail.log --csv
run mqgrep --spool p --log mail.log --log mail.log
run mqgrep --spool p --log ''
run mqgrep --spool p --log - - <mail.log
run mqgrep --spool p --log mail.log no-such-id
