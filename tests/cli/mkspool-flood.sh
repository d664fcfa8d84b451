# A flooded queue is the same on every machine and from run to run; copies get new ids, and
# every file of a copy gets the same one.
for mta in postfix exim sendmail; do
    for run in 1 2; do
        "$MKSPOOL" flood $mta $mta-$run -n 100
        (cd $mta-$run && find . -type f -printf '%p %m %T@ ' -exec sha256sum {} \; | sort | sha256sum)
    done
    "$MKSPOOL" flood $mta $mta-long -n 20 --long-ids --flat
    "$MKSPOOL" replicate $mta $mta-1 $mta-copy -n 300 2>&1
    "$MKSPOOL" replicate $mta $mta-long $mta-longcopy -n 40 2>&1
    find $mta-copy $mta-longcopy -type f | wc -l
done

# Ids of the copies: unique among key files, and in Exim's files as in their names.
find postfix-copy/{incoming,active,deferred,hold} -type f | sed 's,.*/,,' | sort | uniq -d
find sendmail-copy -name '[qh]f*' -type f | sed 's,.*/..,,' | sort | uniq -d
find exim-copy/input exim-longcopy/input -name '*-[HD]' | while read -r file; do
    [ "$(head -n 1 "$file")" = "${file##*/}" ] || echo "$file: another id inside"
done
# Short Postfix ids lie where their microseconds say.
find postfix-copy/defer* -type f | awk -F/ '$(NF-1) != substr($NF, 1, 1)'

# And every message of them is whole, for those who read queues.
for mta in postfix exim sendmail; do
    for spool in $mta-1 $mta-long $mta-copy $mta-longcopy; do
        echo "$spool $("$MQGREP" --mta $mta --spool $spool -c) $("$MQGREP" --mta $mta --spool $spool --damaged -c)" \
            "$("$MQGREP" --mta $mta --spool $spool -u user7@shop.example -c)"
    done
done
