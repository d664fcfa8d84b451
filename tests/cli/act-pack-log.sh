# pack --log: the lines about the packed messages, byte for byte, of each server's log forms, plain and gzip, of a queue and of a case;
# hashed like everything else.
. "$SRC/tests/cli/common.bash"
. "$SRC/tests/cli/acting.bash"
spool exim e good-local good-long-id
spool postfix p good-a good-b
spool sendmail s good-deferred good-esmtp

# Of these the selected messages' own: 1, 3, 4, 5, 7, 8 (postfix), 1, 3 (exim), 1, 2 (sendmail).
{
    cat <<'END'
Jan  2 15:04:00 mx postfix/smtpd[7]: connect from host7.example[2001:db8::7]
Jan  2 15:04:01 mx postfix/smtpd[8]: connect from other.example[192.0.2.99]
Jan  2 15:04:02 mx postfix/smtpd[7]: warning: host7.example[2001:db8::7]: SASL LOGIN authentication failed: UGFzc3dvcmQ6
Jan  2 15:04:05 mx postfix/smtpd[7]: 0D431A0B0C1: client=host7.example[2001:db8::7], sasl_method=LOGIN, sasl_username=kim
END
    printf 'Jan  2 15:04:06 mx postfix/cleanup[9]: 0D431A0B0C1: message-id=<\351\033[2J\0x>\r\n'
    cat <<'END'
Jan  2 15:04:06 mx postfix/smtpd[8]: 0D431A0B0C10: client=other.example[192.0.2.99], sasl_method=LOGIN, sasl_username=eve
Jan  2 15:04:06 mx postfix/qmgr[2]: 0D431A0B0C1: from=<kim@example.com>, size=390, nrcpt=1 (queue active)
END
    printf 'Jan  2 15:04:07 mx postfix/smtpd[7]: disconnect from host7.example[2001:db8::7] ehlo=1 commands=6/7'
} >mail.log
cat >mainlog <<'END'
2026-11-21 20:35:58 1xUroU-0003xZ-2Y <= alice@example.com U=alice P=local S=386
2026-11-21 20:48:06 1xUs0E-000000000NA-0q2H <= sales@example.com H=pc7 [2001:db8::5] P=esmtpsa A=plain:sales S=386
2026-11-21 20:36:58 1xUroU-0003xZ-2Y == bob@example.net R=all T=smtp defer (-44): 450 busy
END
mkdir 'odd dir'
cat >'odd dir/send mail;.log' <<'END'
2026-03-09T14:26:41.100000+00:00 mx sm-mta[4711]: 629EPaQe004717: from=<alice@example.net>, size=99, nrcpts=3, proto=ESMTPA, daemon=MTA
2026-03-09T14:26:41.200000+00:00 mx sm-mta[4712]: 629EPaQe004717: to=<bob@example.com>, delay=00:00:01, mailer=esmtp, dsn=4.0.0, stat=Deferred
2026-03-09T14:26:41.200000+00:00 mx sm-mta[4713]: 629EPaQe004718: to=<bob@example.com>, delay=00:00:01, mailer=esmtp, dsn=4.0.0, stat=Deferred
END
touch -d @1136215000 mail.log
gzip -k mail.log
gzip -c mainlog >mainlog.2.gz

# logs ARCHIVE: what is in its logs/, and whether all hashes are right.
logs() {
    rm -rf out
    mkdir out
    tar xzf "$1" -C out
    (cd out/* && sha256sum -c --quiet manifest-sha256.txt tagmanifest-sha256.txt && grep -h -o 'logs/.*' tagmanifest-sha256.txt
        grep -c logs/ manifest-sha256.txt)
    grep -ho '"logs":\[[^]]*\]' out/*/journal.ndjson | plain
    run mqquarantine verify "./$1"
}

echo '--- of queues'
quiet mqquarantine pack --spool e --spool p --spool s -f '*' 0D431A0B0C1 1xUroU-0003xZ-2Y 629EPaQe004717 --output all.tar.gz \
    --log mail.log --log mainlog.2.gz --log 'odd dir/send mail;.log'
logs all.tar.gz
sed -n '1p;3,5p;7,8p' mail.log | sed -e '$a\' | cmp - out/*/logs/*-mail.log
sed -n '1p;3p' mainlog | cmp - out/*/logs/*-mainlog.2
sed -n 1,2p 'odd dir/send mail;.log' | cmp - out/*/logs/*send*

echo '--- of a case, from standard input, and nothing'
quiet mqquarantine take --spool p --vault v 0D431A0B0C1 --trust-ids --why test --yes
quiet mqquarantine pack --vault v "$(the_case v)" --output case.tar.gz --log - <mail.log.gz
logs case.tar.gz
cmp out/*/logs/0-standard-input <(sed -n '1p;3,5p;7,8p' mail.log | sed -e '$a\')
quiet mqquarantine pack --spool p --all --output none.tar.gz --log mainlog
logs none.tar.gz

echo '--- what cannot be read'
head -c 150 mail.log.gz >cut.gz
quiet mqquarantine pack --vault v "$(the_case v)" --output cut.tar.gz --log cut.gz --log mail.log
logs cut.tar.gz
quiet mqquarantine pack --spool e --all --output missing.tar.gz --log missing
quiet mqquarantine pack --spool e --all --output missing.tar.gz --log .
quiet mqquarantine pack --spool e --all --output missing.tar.gz --log ''
echo 1xUroU-0003xZ-2Y | quiet mqquarantine pack --spool e --output missing.tar.gz --log - -
"$MQGREP" --spool e -j >list
quiet mqquarantine pack --spool e --output missing.tar.gz --log - --from - <list
quiet mqquarantine take --spool e --all --why x --log mail.log
quiet mqquarantine pack --spool e --all --output missing.tar.gz --log mail.log -n
[ ! -e missing.tar.gz ] || echo 'something was written'
