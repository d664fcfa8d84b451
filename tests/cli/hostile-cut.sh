# What was too long to be kept whole decides nothing: neither a pattern nor its opposite selects it.
. "$SRC/tests/cli/common.bash"
message q 1aaaaa-000001-aa a@example.com b@example.net 'short END'
message q 1aaaaa-000002-aa a@example.com b@example.net "$(printf '%070000dEND' 0)"
run mqgrep --spool q -i -S '*END'
run mqgrep --spool q -i -v -S '*END'
run mqgrep --spool q -c -v -S nothing

# A subject beyond the first 4 MiB of header, in front of which -H says how long each field is.
message q 1aaaaa-000003-aa a@example.com b@example.net early
{
    sed '/Subject/,$d' q/input/1aaaaa-000003-aa-H
    printf 'X-A: %0993d\n' 0 | sed 's/^/999  /' | awk '{ for (i = 0; i < 4300; i++) print }'
    header ' ' 'Subject: late'
} >H
mv H q/input/1aaaaa-000003-aa-H
run mqgrep --spool q -i -S late
run mqgrep --spool q -i -v -S late
