# The option tables: forms of options, and what a mistyped one says. Nothing of it selects anything.
. "$SRC/tests/cli/common.bash"
message q 1aaaaa-000001-aa alice@example.com bob@example.net hello
message q 1aaaaa-000001-ab bob@example.com bob@example.net hello

# One meaning, many spellings.
run mqgrep --spool q -f alice@example.com -i
run mqgrep --spool=q -falice@example.com -i
run mqgrep --spool q --sender alice@example.com -iRm1
run mqgrep --spool q -ci
run mqgrep --spool q --sender=alice@example.com -iR
run mqgrep -i --spool q -m1
run mqgrep -im1 --spool q -- 1aaaaa-000001-ab

# What cannot be understood selects nothing and says why.
run mqgrep --spool q --sendr alice@example.com
run mqgrep --spool q --recipeint bob@example.net
run mqgrep --spool q --subj x
run mqgrep --spool q --wholly-unknown
run mqgrep --spool q -F alice@example.com
run mqgrep --spool q -Z
run mqgrep --spool q -3
run mqgrep --spool q -f ''
run mqgrep --spool q --sender=
run mqgrep --spool q ''
run mqgrep --spool ''
run mqgrep --spool q -f
run mqgrep --spool q --sender
run mqgrep --spool q --ids=yes
run mqgrep --spool q -i -j
run mqgrep --spool q -l --format '{id}'
run mqgrep --spool q -0 -j
run mqgrep --spool q -i --fields id
run mqgrep --spool q --eml --sort size
run mqgrep --spool q --fields id,sendr
run mqgrep --spool q --fields id,,sender
run mqgrep --spool q --sort received
run mqgrep --spool q --format '{queue_id'
run mqgrep --spool q --format 'a}b'
run mqgrep --spool q --format '{nothing}'
run mqgrep --spool q --format '\q'
run mqgrep --spool q --format a --format b
run mqgrep --spool q -m 0
run mqgrep --spool q -m 1k
run mqgrep --spool q --threads 0
run mqgrep --spool q --threads many
run mqgrep --spool q --color=sometimes
run mqgrep --spool q --now yesterday
run mqgrep --spool q --now 1795300000 --now 1795300001
run mqgrep --spool q --mta qmail
run mqgrep --spool q --completion tcsh
run mqstat --spool q -k sendr
run mqstat --spool q -k sender,,size
run mqstat --spool q -k sender,sender
run mqstat --spool q -k client/129
run mqstat --spool q -k received
run mqstat --spool q -k sender,size,state,queue,mta
run mqstat --spool q -t x
run mqstat --spool q -j --csv

# Help fits a terminal; completion is a script, and both know every option.
for command in "$MQGREP" "$MQSTAT" "$MQQUARANTINE" "$MQPURGE"; do
    "$command" --help | awk 'length > 79 { print "too long: " $0 }'
    "$command" --help | grep -oE -- '--[a-z-]+' | sort -u >.help
    for shell in bash zsh fish; do
        "$command" --completion $shell >.completion && $shell -n .completion
        # fish names long options without their dashes.
        grep -v '^#' .completion | sed -E 's/^(complete .*)-l ([a-z-]+).*/\1--\2/' | grep -oE -- '--[a-z-]+' | sort -u >.completed
        comm -3 .help .completed
    done
    "$command" --version | sed 's/[0-9][0-9.]*$/VERSION/'
    "$command" -h | head -n 1
done

# What the completion offers.
complete_words() {
    COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
    _mqgrep
    echo "${COMPREPLY[@]}"
}
# shellcheck source=/dev/null
. <("$MQGREP" --completion bash)
complete_words mqgrep --su
complete_words mqgrep --state = de
complete_words mqgrep -q h
complete_words mqgrep --sort client_
complete_words mqgrep --fields id,client_p
complete_words mqgrep -q held,de
complete_words mqgrep --spool q/in
complete_words mqgrep -f ali
# shellcheck source=/dev/null
. <("$MQQUARANTINE" --completion bash)
complete_verbs() {
    COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
    _mqquarantine
    echo "${COMPREPLY[@]}"
}
complete_verbs mqquarantine re
complete_verbs mqquarantine take re
complete_verbs mqquarantine take --tr
fish_offers() { HOME=$PWD fish --no-config -c "\"$1\" --completion fish | source; complete -C '$2'" | cut -f 1 | tr '\n' ' '; echo; }
fish_offers "$MQGREP" 'mqgrep --sub'
fish_offers "$MQGREP" 'mqgrep -q h'
fish_offers "$MQGREP" 'mqgrep --sort client_'
fish_offers "$MQGREP" 'mqgrep --fields id,client_p'
fish_offers "$MQGREP" 'mqgrep -q held,de'
fish_offers "$MQQUARANTINE" 'mqquarantine re'
