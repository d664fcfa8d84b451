# threads: 1 2 8
# Damaged and strange files beside healthy ones: each is a line with its problem, none hides another.
. "$SRC/tests/cli/common.bash"
spool exim e good-local
message e 1aaaaa-000001-aa alice@example.com bob@example.net hello
cp e/input/1aaaaa-000001-aa-H .good
printf '1aaaaa-000002-aa-D\nno header file\n' >e/input/1aaaaa-000002-aa-D
head -c 60 .good >e/input/1aaaaa-000003-aa-H
mkdir e/input/1aaaaa-000004-aa-H
mkfifo e/input/1aaaaa-000005-aa-H
ln -s /etc/passwd e/input/1aaaaa-000006-aa-H
head -c 3000 /dev/zero >e/input/1aaaaa-000007-aa-H
touch e/input/not-a-message e/input/1aaaaa
for file in e/input/1aaaaa-00000[2-7]*; do touch -h -d @1795293000 "$file"; done
now=--now=1795300000
run mqgrep "$now" --spool e --fields id,state,sender
run mqgrep "$now" --spool e --damaged --format '{id} {problems}'
run mqgrep "$now" --spool e -f '*' -i
run mqgrep "$now" --spool e -v -f 'alice*' -i
run mqgrep "$now" --spool e -x -c
run mqstat "$now" --spool e -k state
run mqstat "$now" --spool e -k sender --csv
run mqstat "$now" --spool e -k sender -j
# What could not be read is no null sender.
mkdir -p cut/deferred cut/active
printf 'C\005hello' >cut/deferred/ABCDEF12345
chmod 700 cut/deferred/ABCDEF12345
run mqgrep --spool cut -b
# A log that is no file is a problem of its message, whatever else is asked.
spool postfix log good-a
id=$(ls log/defer/*/ | head -n 1)
rm log/defer/*/"$id"
mkfifo "log/defer/${id%"${id#?}"}/$id"
run mqgrep "$now" --spool log --damaged -i
run mqgrep "$now" --spool log -v --damaged --fields id,problems
# Of a header that was cut the last field may have gone on: it is there, but what it says is not known.
mkdir -p mq
# control ID HEADER...: a control file without its end.
control() {
    printf 'V8\nT1795293000\nK0\nN0\nP30000\nF\nSa@b.example\nrRFC822; x@y.example\nRPFD:<x@y.example>\n' >"mq/qf$1"
    printf 'H??%s\n' "${@:2}" >>"mq/qf$1"
    echo body >"mq/df$1"
    touch -d @1795100000 "mq/qf$1" "mq/df$1"
}
control 6ALKxx0B001000 'From: a@b.example' 'Subject: Invoice'
control 6ALKxx0B001001 'Subject: Invoice' 'X-Mailer: one'
echo . >>mq/qf6ALKxx0B001001
for asks in 'subject = Invoice' 'not subject = Invo*' 'subject' 'header.subject = Invoice' 'not all header.subject = Invo*' 'header.subject' 'from = a@b.example' \
    'header.x-mailer = one'; do
    run mqgrep "$now" --spool mq --mta sendmail -i -e "$asks"
done
