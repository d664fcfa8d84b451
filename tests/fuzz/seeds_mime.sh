#!/usr/bin/env bash
# Seeds for fuzz_mime: messages with every structure, encoding and kind of charset.
set -euo pipefail
cd "$1"

printf 'Subject: s\n\nplain text\n' >plain
printf 'Content-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\ncaf=E9 =\r\nx\r\n' >quoted
printf 'Content-Type: text/html; charset="utf-8"\nContent-Transfer-Encoding: base64\n\nPGI+YTwvYj4NCg==\n' >base64
printf 'Content-Type: text/plain; charset=iso-2022-jp\nContent-Transfer-Encoding: base64\n\nGyRCRnxL\nXBsoQg==\n' >japanese
printf 'Content-Type: text/plain; charset=gb18030\n\n\201\060\201\060\n' >chinese
cat >mixed <<'END'
MIME-Version: 1.0
Content-Type: multipart/mixed;
	boundary="=_b 1"

preamble
--=_b 1
Content-Type: multipart/alternative; boundary=c

--c

one
--c
Content-Type: text/html

<b>two</b>
--c--
--=_b 1
Content-Type: application/pdf; name="=?utf-8?Q?caf=C3=A9?="
Content-Disposition: attachment; filename*0*=utf-8''caf%C3%A9; filename*1=".pdf"
Content-Transfer-Encoding: base64

AAAA
--=_b 1
Content-Type: message/rfc822

Subject: inside
Content-Type: multipart/digest; boundary=d

--d

Subject: x

body
--d--
--=_b 1--
epilogue
END
cat >report <<'END'
Content-Type: multipart/report; report-type=delivery-status; boundary=b

--b
no field here
--b
Content-Type: message/delivery-status

Reporting-MTA: dns; mx
--b
Content-Type: message/rfc822
Content-Transfer-Encoding: base64

U3ViamVjdDogeAoKYm9keQo=
--b
Content-Transfer-Encoding: x-uuencode
Content-Type: text/plain; charset=x-unknown

begin 644 a
--b
END
printf 'Content-Type: text/plain; charset=windows-1252\n\n\200\201\223\n' >single
printf 'Content-Type: text/plain; charset=us-ascii\n\nno \351 in it\n' >ascii
printf 'Content-Type: text/plain; charset=utf-7\n\n+AOk-\n' >utf7
printf 'Content-Type: text/plain; charset=shift_jis\nContent-Transfer-Encoding: 8bit\n\n\223\372\226\n\201' >shiftjis
printf 'Content-Type: text; charset=\nContent-Transfer-Encoding: binary\n\na\r\n' >notype
printf 'Content-Type: multipart/mixed\n\n--\n\nno boundary\n' >noboundary
printf 'Content-Type: multipart/mixed; boundary=b\n\n--b\n \nContent-Type: text/plain; name*=iso-8859-1'"''"'caf%%E9\n\tx\n\n--b \t\nX: y' >cut-parts
# Deeper, and more parts, than are looked at.
{ for i in {1..40}; do printf 'Content-Type: multipart/mixed; boundary=%d\n\n--%d\n' "$i" "$i"; done; printf '\ndeep\n'; } >deep
{ printf 'Content-Type: multipart/mixed; boundary=b\n\n'; for _ in {1..1100}; do printf -- '--b\n\nx\n'; done; } >many
{ printf 'Content-Type: text/plain; name="'; printf 'n%.0s' {1..20000}; printf '"\n\nx\n'; } >longname
