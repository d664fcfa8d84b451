# Damaged messages never hide the healthy one, each says what is wrong, and none is selected by what could not be read.
# threads: 1 8
"$MKSPOOL" text "$SRC"/tests/spool/exim/bad-damaged.txt spool
"$MQGREP" --spool spool --fields queue_id,state,sender,recipients
"$MQGREP" --spool spool -j | sed -E 's/.*"queue_id":"([^"]*)".*"problems":(\[.*\]),"files".*/\1 \2/'
"$MQGREP" --spool spool -i -f alice@example.com -S 'local one'
echo "status $?"
