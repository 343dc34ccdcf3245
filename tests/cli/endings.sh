#!/bin/sh
# Signals and outputs that cannot be written.
. "$(dirname "$0")/helpers.inc"
make_corpus corpus.txt

# stop_after SIGNAL RUN: sends it once the run has a metric, and leaves the exit code in $got.
# A shell ignores SIGINT in background jobs, hence `env --default-signal` where it exists.
stop_after() {
  prefix=""
  env --default-signal=INT true 2>/dev/null && prefix="env --default-signal=INT"
  $prefix "$mdlm" train $tiny --steps 1000000 --eval-every 50 --save-every 50 --run "$2" \
    corpus.txt >out.txt 2>err.txt &
  child=$!
  tries=0
  while [ ! -s "$2/metrics.jsonl" ] && [ $tries -lt 100 ]; do
    sleep 0.1
    tries=$((tries + 1))
  done
  kill -"$1" $child
  wait $child
  got=$?
}
stop_after TERM stopped
check "SIGTERM ends with 143" test "$got" -eq 143
check "the run was saved" test -s stopped/model.safetensors
step=$(ls stopped/checkpoints | sed 's/step-//' | sort -n | tail -n 1)
expect 0 "" "$mdlm" train --resume --run stopped --stop-at $((step + 2)) --quiet
if env --default-signal=INT true 2>/dev/null; then
  stop_after INT interrupted
  check "SIGINT ends with 130" test "$got" -eq 130
fi

train_tiny --steps 5 corpus.txt || fail "training: $(cat train.err)"
if [ -w /dev/full ]; then
  for command in "generate -n 8" "generate -n 8 --json" "eval" "info" "--help" "--version" \
                 "train --help" "corpus tales" "tokenize corpus.txt" "score --response a"; do
    "$mdlm" $command >/dev/full 2>err.txt
    got=$?
    check "a full device is exit code 5: $command" test $got -eq 5
    check "and is said: $command" grep -q "^mdlm: cannot write to stdout" err.txt
  done
fi
"$mdlm" generate -n 8 >&- 2>err.txt
got=$?
check "a closed stdout is exit code 5" test $got -eq 5
"$mdlm" corpus tales --bytes 3000000 | head -c 100 >out.txt 2>err.txt
check "a closed pipe is fine for its reader" test "$(wc -c <out.txt)" -eq 100
refuse 5 "nowhere" "$mdlm" corpus tales --out nowhere/x.txt
: >file
refuse 5 "file" "$mdlm" tokenize --train --vocab-size 300 --out file/tok corpus.txt

# A conversion is whole, or leaves nothing, wherever a signal or the limit of a file's size meets it.
"$mdlm" train --layers 4 --dim 256 --heads 4 --seq-len 16 --batch-size 1 --steps 1 --run wide --quiet \
  corpus.txt
for out in model.gguf model; do
  "$mdlm" convert wide $out --quiet 2>err.txt &
  child=$!
  while [ -z "$(ls -d $out?* 2>/dev/null)" ] && kill -0 $child 2>/dev/null; do :; done
  kill -TERM $child 2>/dev/null
  wait $child 2>/dev/null
  got=$?
  [ $got -eq 0 ] || [ $got -eq 143 ] || fail "exit code $got of a stopped conversion: $(cat err.txt)"
  check "a stopped conversion leaves no part" test -z "$(ls -d $out?* 2>/dev/null)"
  [ ! -e $out ] || expect 0 "" "$mdlm" generate -m $out -n 4 --quiet
  rm -rf $out*
  (ulimit -f 1; "$mdlm" convert wide $out --quiet) 2>err.txt
  got=$?
  check "a conversion at the limit is exit code 5" test $got -eq 5
  check "and nothing of it is left" test -z "$(ls -d $out* 2>/dev/null)"
done

# The shell counts blocks of 512 bytes or of 1024: the file is larger than either.
(ulimit -f 1; "$mdlm" corpus tales --bytes 200000 --out limited.txt) >out.txt 2>err.txt
got=$?
check "a file at the limit of its size is exit code 5" test $got -eq 5
check "and is said" grep -q "^mdlm: cannot write 'limited.txt" err.txt
check "and nothing of it is left" test -z "$(ls limited.txt* 2>/dev/null)"

finish
