# pack --redact of a case that is an archive: its file may have been named by anybody, so its name is in the pack only where it is a job's.
. "$SRC/tests/cli/common.bash"
. "$SRC/tests/cli/acting.bash"
message q 1xUs00-0007Aa-1x a@example.org b@example.net hello
quiet mqquarantine pack --spool q --mta exim --all --output first.tar.gz
mkdir named
for name in alice-at-secret 20261122T031415Z-abcd; do
    cp first.tar.gz "$name.tar.gz"
    sha256sum <"$name.tar.gz" >sum
    quiet mqquarantine pack "./$name.tar.gz" --redact --output "named/out.tar.gz" | grep -v 'send it by' || true
    tar xzf named/out.tar.gz
    echo "told: $(grep -rlF -- "$name" out | sort | tr '\n' ' ')"
    grep -h -e Source out/bag-info.txt | plain
    rm -r out named/out.tar.gz
done
