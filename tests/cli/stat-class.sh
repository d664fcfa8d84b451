# threads: 1 2 8
# What a flood is called, and why: one night of each kind. How often that is right is measured by tests/classify.
. "$SRC/tests/cli/common.bash"
now=--now=1795300000
seed=1
for kind in watchdog scheduled account webmail relay backscatter newsletter list blocklist throttle ordinary; do
    for mta in postfix exim sendmail; do
        seed=$((seed + 1))
        rm -rf q
        "$MKSPOOL" flood $mta q -n 300 --seed $seed --now 1795300000 --kind $kind
        echo "--- $kind ($mta)"
        "$MQSTAT" "$now" --spool q -t 1 | sed -n -e '/^Looks like/p' -e '/^What it is/p'
        "$MQSTAT" "$now" --spool q -j | sed -nE '1s/.*"class":"([a-z]+)".*/\1/p'
    done
done
echo "--- of nothing"
"$MQSTAT" "$now" --spool q -f '@nobody.example' -j 2>&1 | sed -nE '1s/.*"class":"([a-z]+)".*/\1/p'
