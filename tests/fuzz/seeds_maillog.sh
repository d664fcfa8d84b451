#!/usr/bin/env bash
# Seeds for fuzz_maillog: a line with ids that are asked for, one of each MTA in turn, then a log.
set -euo pipefail
cd "$1"

cat >postfix <<'END'
- 65CB9128A6A - - 4jX48y4ynDz1blN8
Nov 22 03:58:16 mx postfix/smtpd[204]: connect from a.example[192.0.2.1]
Nov 22 03:58:16 mx postfix/smtpd[204]: warning: a.example[192.0.2.1]: SASL LOGIN authentication failed: UGFzc3dvcmQ6
Nov 22 03:58:16 mx postfix/smtpd[204]: 65CB9128A6A: client=a.example[192.0.2.1], sasl_method=PLAIN, sasl_username=user7@mx
Nov 22 03:58:16 mx postfix/cleanup[368]: 65CB9128A6A: message-id=<act-1@lab.example>
Nov 22 03:58:16 mx postfix/qmgr[202]: 65CB9128A6A: from=<s1@calm.example>, size=390, nrcpt=1 (queue active)
Nov 22 03:58:16 mx postfix/smtpd[204]: NOQUEUE: reject: RCPT from a.example[192.0.2.1]: 554 5.7.1 x
Nov 22 03:58:16 mx postfix/smtpd[204]: disconnect from a.example[192.0.2.1] ehlo=1 mail=1 rcpt=1 data=1 quit=1 commands=5
Nov 22 03:58:16 mx postfix/smtp[369]: 65CB9128A6A: to=<a@r.example>, relay=x[127.0.0.1]:25, dsn=4.2.1, status=deferred (x)
Nov 22 03:58:16 mx postfix/bounce[369]: 65CB9128A6A: sender non-delivery notification: 4jX48y4ynDz1blN8
Nov 22 03:58:17 mx postfix/qmgr[202]: 65CB9128A6A: removed
Nov 23 03:58:17 mx postfix/pickup[202]: 65CB9128A6A: uid=0 from=<root>
2026-11-22T03:58:16.123456+01:00 mx opendkim[9]: 4jX48y4ynDz1blN8: DKIM-Signature field added
END
cat >exim <<'END'
1xV0Hr-00001p-20 - - 1xUykQ-0000000000m-3PHB
2026-11-22 05:38:51 [57] SMTP connection from [192.0.2.1]:4242 (TCP/IP connection count = 1)
2026-11-22 05:38:51.123 +0100 [58] 1xV0Hr-00001p-20 <= a@b H=(c) [192.0.2.1]:4242 P=esmtpsa X=TLS1.3:x:256 CV=no A=plain:lab1 S=488 id=x
2026-11-22 05:38:51 [58] SMTP connection from (c) [192.0.2.1]:4242 D=0s closed by QUIT
2026-11-22 05:38:51 1xV0Hr-00001p-20 == a@b R=all T=sink defer (-44) H=x [127.0.0.1]: 450 4.2.1 busy
2026-11-22 05:38:51 1xUykQ-0000000000m-3PHB <= <> R=1xV0Hr-00001p-20 U=exim P=local S=1913
Nov 22 05:38:51 mx exim[12]: [1/2] 2026-11-22 05:38:51 1xV0Hr-00001p-20 ** "a b"@c
Nov 22 05:38:51 mx exim[12]: [2\2] the rest
END
cat >sendmail <<'END'
- - 6AM5dC0k000115 - - 6AM5dC0l000115
<22>Nov 22 05:39:12 sm-mta[115]: NOQUEUE: connect from a.example [192.0.2.1]
<22>Nov 22 05:39:12 sm-mta[115]: STARTTLS=server, relay=a.example [192.0.2.1], version=TLSv1.3, verify=NOT
<22>Nov 22 05:39:12 sm-mta[115]: AUTH=server, relay=a.example [192.0.2.1], authid=lab1, mech=PLAIN, bits=0
<22>Nov 22 05:39:12 sm-mta[115]: 6AM5dC0k000115: from=<a@b>, size=1, nrcpts=2, proto=ESMTPSA, daemon=MTA, relay=a.example [192.0.2.1]
<22>Nov 22 05:39:12 sm-mta[115]: 6AM5dC0k000115: split: count=1, id=6AM5dC0l000115
<22>Nov 22 05:39:12 sm-mta[115]: 6AM5dC0k000115: to=<a@b>, delay=00:00:00, mailer=esmtp, dsn=4.0.0, stat=Deferred: x
<22>Nov 22 05:39:12 sm-mta[116]: 6AM5dC0k000115: 6AM5dC0l000115: DSN: User unknown
END
