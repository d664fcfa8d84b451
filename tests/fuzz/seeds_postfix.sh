#!/usr/bin/env bash
# Seeds for fuzz_postfix: every queue file and log of the described Postfix queues, one cut short at
# several places, and messages whose Received line has the id that the fuzzer gives to each file.
set -euo pipefail
out=$1
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

for text in "$SRC"/tests/spool/postfix/*.txt; do
    name=$(basename "$text" .txt)
    "$MKSPOOL" text "$text" "$tmp/$name"
    chmod -R u+rwX "$tmp/$name"
    find "$tmp/$name" -type f -size -64k | while read -r file; do
        cp "$file" "$out/$name-$(basename "$(dirname "$file")")-$(basename "$file")"
    done
done
for n in 97 115 260 410 600; do
    head -c "$n" "$tmp/good-a/deferred/0/0D431A0B0C1" >"$out/cut-$n"
done

# message NAME RECORDS RECEIVED: records before M, header lines after it.
message() {
    {
        printf 'file m\nC sizes=6\nT "1136214245 54321"\n%s\nM\n%s\nN\nX\nE\n' "$2" "$3"
    } >"$tmp/text"
    "$MKSPOOL" text "$tmp/text" "$tmp/made"
    cp "$tmp/made/m" "$out/made-$1"
}

message tls 'S "a@b"
A "log_client_address=192.0.2.1"
A "client_address=192.0.2.1"
A "client_name=unknown"
A "reverse_client_name=x"
R "c@d"' 'N "Received: from h (unknown [192.0.2.1])"
N "	(using TLSv1.3 (256/256 bits))"
N "	by mx (Postfix) with ESMTPSA id 0D431A0B0C1; x"'
message requeued 'S ""
R "c@d"' 'N "Received: by mx (Postfix, from userid 105)"
N "	id 0D431A0B0C1; x"
N "Received: by mx (Postfix, from userid 1000) id 1; x"
N "Received: by mx id 0; x"'
message redirected 'W "             -1"
S "odd user@b"
A "dsn_orig_rcpt=rfc822;\"a\\@b>c\"@r"
R "a@b>c@r"
O "x@y"
D "z@y"
> "all@t"' 'L "Subject: open"'
