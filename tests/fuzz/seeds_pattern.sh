#!/usr/bin/env bash
# Seeds for fuzz_pattern: what is typed, a NUL, what it is held against.
set -euo pipefail
cd "$1"

i=0
while IFS='|' read -r typed subject; do
    i=$((i + 1))
    printf '%s\0%s' "$typed" "$subject" >"seed$i"
done <<'END'
a@b.example|A@B.example
@.b.example|a@x.b.example
@b.*|"odd user"@b.example
*a?b\*c*|xxaébxx*c
<>|
=a@b|a@b
/^(user[0-9]+)@\1?/|user70@b.example
/(a+)+[bc]$/|aaaaaaaaaaaaaaaaaaaaaaaaaaaaa
^bob$|bob
192.0.2.1,198.51.100.0/24,2001:db8::/32|192.0.2.1
192.0.2.10-192.0.2.20|[IPv6:2001:db8::1]
::/0|::ffff:192.0.2.1
+1M|odd user@example.net
-10k|a"b\c@d
2000..2100|452 4.2.2 mailbox full
3h|450 <a@b> 4.7.1 greylisted
2026-11-21T20:35:58.5+01:00|550-5.7.26 DMARC
1795293358|Connection timed out
@5|host x[192.0.2.1] said: 421 4.7.0 too many connections
END
