# expire, with undo cases of which some are old enough: their time is set by hand. Taken mail never goes, however old.
. "$SRC/tests/cli/common.bash"
. "$SRC/tests/cli/acting.bash"
flooded exim q

# aged DAYS CASE: its time is so long ago; the case is open, or packed.
aged() {
    local when
    when=$(date -u -d "$1 days ago" +%Y-%m-%dT%H:%M:%SZ)
    if [ -d "v/$2" ]; then
        sed -i "s/^Mqtools-Created: .*/Mqtools-Created: $when/" "v/$2/bag-info.txt"
        return
    fi
    mkdir tree
    zstd -dqc "v/$2.tar.zst" | tar xf - -C tree
    sed -i "s/^Mqtools-Created: .*/Mqtools-Created: $when/" "$(find tree -name bag-info.txt)"
    tar cf - -C tree "$2" | zstd -qc >"v/$2.tar.zst"
    rm -r tree
}
names=()
for what in purge purge purge take; do
    if [ $what = purge ]; then
        quiet mqpurge --spool q --vault v $FLOOD -x -m 3 --why test --yes | grep -v 'to undo'
    else
        quiet mqquarantine take --spool q --vault v $FLOOD -x -m 3 --why test --yes | grep -v ' case '
    fi
    for name in $("$MQQUARANTINE" list --vault v 2>/dev/null | awk 'NR > 1 { print $1 }'); do
        case " ${names[*]} " in *" $name "*) ;; *) names+=("$name") ;; esac
    done
done
aged 8 "${names[0]}"
aged 6 "${names[1]}"
aged 30 "${names[3]}"
cases() { "$MQQUARANTINE" list --vault v 2>/dev/null | awk 'NR > 1 { print $2 }' | sort; }      # jobs of one second have no order of their own
run mqquarantine expire --vault v -n | sed 's/[0-9]* bytes/N bytes/'
cases
run mqquarantine expire --vault v | sed 's/[0-9]* bytes/N bytes/'
cases
run mqquarantine expire --vault v
run mqquarantine expire --vault v --days 5 | sed 's/[0-9]* bytes/N bytes/'
quiet mqpurge --undo "${names[2]}" --vault v --yes
quiet mqquarantine restore "${names[3]}" --vault v --yes | grep -v 'days old'
echo "$(count q) messages"
