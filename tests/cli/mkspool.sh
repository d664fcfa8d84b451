# What mkspool unpacks is, byte for byte, what real Postfix delivered from (see the hashes in
# the descriptions), and every description can be unpacked.
"$MKSPOOL" text "$SRC"/tests/spool/postfix/good-{a,b,d}.txt spool
(cd spool && sha256sum deferred/0/0D431A0B0C1 hold/0D431A0B0C2 deferred/8/8A1F0A0B0C3)

mkdir all
for text in "$SRC"/tests/spool/*/*.txt; do
    "$MKSPOOL" text "$text" "all/$(basename "$text" .txt)" || echo "not unpacked: $text"
done

printf 'file a\n|x\nN "unclosed\n' >broken.txt
"$MKSPOOL" text broken.txt out 2>&1
printf 'file ../a\n|x\n' >broken.txt
"$MKSPOOL" text broken.txt out 2>&1
echo "status $?"
