# A pattern that selects nothing, but would as a part of the text, is shown in the form to type.
. "$SRC/tests/cli/common.bash"
for n in 1 2 3; do
    LOGIN=webshop message q "1aaaaa-00000$n-aa" "bob$n@example.com" 'carol@example.net' "Invoice $n" '-received_protocol local'
done
run mqgrep --spool q -f bob
run mqgrep --spool q -f bob -s +1M
run mqgrep --spool q -f '=bob1'
run mqgrep --spool q -r carol -S Invoice
run mqgrep --spool q -S invoice
run mqgrep --spool q -S "it's"
run mqgrep --spool q -u shop
run mqgrep --spool q -f @nowhere.example
run mqgrep --spool q -f 'nobody*'
run mqgrep --spool q -f nobody
run mqgrep --spool q -v -f '*'
run mqstat --spool q -f bob --now 1795300000
