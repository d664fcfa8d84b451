#!/usr/bin/env bash
# Seeds for fuzz_header: blocks with every kind of field, as servers and mailers write them.
set -euo pipefail
cd "$1"

cat >postfix <<'END'
Received: from pc7 (client.example.org [192.0.2.10])
	(using TLSv1.3 with cipher X (256/256 bits))
	(Authenticated sender: user7@mx.example.com)
	by mx.example.com (Postfix) with ESMTPSA id 4jX48y4ynDz1blN8
	for <r@example.net>; Sat, 21 Nov 2026 20:48:06 +0000 (UTC)
Received: by mx.example.com (Postfix, from userid 1000)
	id A1B2C3; Sat, 21 Nov 2026 21:48:06 +0100 (CET)
Subject: =?utf-8?Q?caf=C3=A9?= =?UTF-8*fr?B?4oKs?=
From: =?iso-8859-1?Q?J=F6rg?= <j@example.org>
To: "a (b)" <r@example.net>
Message-ID: <1@example.org>
Date: Sat, 21 Nov 2026 20:48:06 EST

body
END
cat >exim <<'END'
Received: from client.example.org ([192.0.2.10]:4242 helo=pc7 ident=root)
	by mx.example.com with esmtpsa  (TLS1.3) tls TLS_AES_256_GCM_SHA384
	(Exim 4.96)
	(envelope-from <a@example.org>)
	id 1xUs0E-0000NA-0q
	for r@example.net;
	Sat, 21 Nov 2026 20:48:06 +0000
Received: from [2001:db8::5] (helo=[10.0.0.5]) by mx with esmtp (Exim 4.98) id X; 1 Jan 99 00:00 Z
Subject: =?utf-8?Q?=E2=82?= =?utf-8?B?rA==?=
Subject : folded
 once	
END
cat >sendmail <<'END'
Received: from pc7.example.net (IDENT:jim@client.example.net [192.0.2.10] (may be forged))
	(authenticated bits=0)
	by mx.example.com (8.17.1.9/8.17.1.9) with ESMTPSA id 629EPaQe004717;
	Mon, 9 Mar 2026 14:25:36 GMT
Received: (from judy@localhost)
	by host.example.com (8.17.1.9/Submit) id 629EVeQe004717; Mon, 9 Mar 2026 14:25:36 -0000
Received: (qmail 4711 invoked by uid 1000); 9 Mar 2026 14:25:36 -0000
Received: from unknown (HELO pc7) (jim@192.0.2.10)
  by mx.example.com with SMTP; 9 Mar 2026 14:25:36 -0000
END
cat >webmail <<'END'
Received: from web (web [10.0.0.5])
	by mx.example.com (Postfix) with ESMTPS id 4jX48y4ynDz1blN8; Sat, 21 Nov 2026 20:48:06 +0000 (UTC)
X-Authenticated-Sender: web.example: joe@shop.example
Received: from 203.0.113.9 (proxying for 192.168.1.4) (SquirrelMail authenticated user joe@shop.example)
        by web.example with HTTP; Sat, 21 Nov 2026 20:48:06 -0000
X-Originating-IP: [203.0.113.9]
X-PHP-Script: www.shop.example/a.php for 203.0.113.9, 10.1.1.1
X-PHP-Originating-Script: 33:mailer.php(12) : eval()'d code
X-Originating-Email: [joe@hotmail.example]
END
i=0
while read -r charset encoding word; do
    i=$((i + 1))
    printf 'Subject: a =?%s?%s?%s?=\n =?%s?%s?%s?= b\n' "$charset" "$encoding" "$word" "$charset" "$encoding" "$word" >"charset$i"
done <<'END'
gb2312 B xOO6ww==
shift_jis B k/qWe4zq
iso-2022-jp B GyRCRnxLXBsoQg==
euc-kr B x9GxuQ==
iso-2022-kr B GyQpQw4xOQ8=
big5 B pKSk5Q==
koi8-r B 8NLJ18XU
windows-1251 Q =CF=F0_
windows-1252 Q =80=93=81
iso-8859-1 Q =E9=00
us-ascii Q a_b
utf-7 Q +AOk-
gb18030 Q =81=30=81=30
euc-jp Q =8F=A2=AF
tis-620 Q =A1
END
# Words that are none, or not whole: an unknown charset, cut characters, base64 that is none, words that go on in the next one.
cat >odd <<'END'
Subject: =?x-unknown?q?a?= =?utf-8?q?=C3?= =?utf-8?q?=A9?= =?utf-8?q?=C3=28?= =?utf-8?q?=ED=A0=80?= =?utf-8?q?=F4=90=80=80?=
From: =?utf-8?b?****?= =?utf-8?b?4o?= =?utf-8?b?4oKs=?= =?us-ascii?q?=80?= =?us-ascii?q?=00?= =?iso-8859-1?q?=00?= =?utf-8?q?=00?=
To: =?utf-8?x?a?= =?utf-8?q?a b?= =?utf-8?q?a =?utf-8?q =?? =?=?= =? ?q?a?= =?utf-8?q?=4?= =?utf-8?q?=zz?= =?utf-8?q??=
Message-ID: =?iso-2022-jp?b?GyRC?= =?iso-2022-jp?b?RnxLXA==?= =?gb18030?q?=81=30?= =?gb18030?q?=81=30?= =?shift_jis?q?=81?= x
Date: =?big5?q?=A4?= =?euc-jp?q?=FF?= =?windows-1252?q?=81?= =?utf-7?q?+?=
END
cat >dates <<'END'
Date: 1 Jan 50 00:00 EST
Received: from; x
Received: by a; Mon, 32 Jan 2026 25:61:61 +9999
Received: from [IPv6:::1] ([203.0.113.9]) by a (b (c)) via d with e f for <g@h>; 9 Mar 26 14:25 A
Received: from a[192.0.2.1] by "b c" id d; Sat, 21 Nov 2026 20:48:06
Received: from localhost (localhost [127.0.0.1]) by mx (amavisd-new, port 10024) with ESMTP id x; 21 Nov 2026 20:48:06 +0100
Received: (nullmailer pid 5 invoked by uid 0); 21 Nov 126 20:48:06 PDT
Received: from mail pickup service by a with Microsoft SMTPSVC; Sat, 21 Nov 1926 20:48:06 -0700
Subject:
 : x
no colon here
Subject: late
END
cat >inside <<'END'
Received: from relay (relay [10.0.0.5]) by mx.example.com with ESMTP id 4jX48y4ynDz1blN8; Sat, 21 Nov 2026 20:48:06 +0000
Received: from web (web [fd00::5]) by relay (Postfix, from userid 33) id A1; Sat, 21 Nov 2026 20:48:06 +0000
Received: from pc (pc [192.168.1.4]) by web with HTTP; Sat, 21 Nov 2026 20:48:06 +0000
X-Originating-IP: 192.168.1.4
X-Sender-IP: [IPv6:fe80::1]
X-Source-Args: /usr/bin/php /home/joe/a.php
X-Authenticated-User: joe
User-Agent: Horde
END
