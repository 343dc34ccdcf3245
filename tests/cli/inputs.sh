#!/bin/sh
# Bad input files: exit code 3 (or 2 where options do not fit), and nothing is left behind.
. "$(dirname "$0")/helpers.inc"
make_corpus corpus.txt
: >empty.txt
printf 'a\000b\000c' >binary.bin
echo short >short.txt
echo '{"text": "unfinished' >bad.jsonl
head -c 300 corpus.txt >bad.gz
mkdir hollow

nothing_left() {
  [ ! -e mdlm-run ] || { fail "a run folder is left behind: $1"; rm -rf mdlm-run; }
  for leftover in mdlm-run.* *.tmp-*; do
    [ ! -e "$leftover" ] || { fail "'$leftover' is left behind: $1"; rm -rf "$leftover"; }
  done
}

refuse 3 "missing.txt" "$mdlm" train $tiny missing.txt; nothing_left "missing"
refuse 3 "empty" "$mdlm" train $tiny empty.txt; nothing_left "empty"
refuse 3 "binary" "$mdlm" train $tiny binary.bin; nothing_left "binary"
refuse 3 "bad.jsonl" "$mdlm" train $tiny bad.jsonl; nothing_left "jsonl"
refuse 3 "bad.gz" "$mdlm" train $tiny bad.gz; nothing_left "gz"
refuse 3 "hollow" "$mdlm" train $tiny hollow; nothing_left "hollow"
refuse 3 "short.txt" "$mdlm" train $tiny --steps 5 short.txt; nothing_left "short"
refuse 3 "missing.txt" "$mdlm" train $tiny corpus.txt --val missing.txt; nothing_left "val"
refuse 3 "nowhere" "$mdlm" train $tiny corpus.txt --init nowhere; nothing_left "init"
refuse 3 "missing.json" "$mdlm" train $tiny corpus.txt --config missing.json; nothing_left "config"
refuse 2 "--heads 3" "$mdlm" train corpus.txt --quiet --layers 1 --dim 32 --heads 3
nothing_left "heads"
refuse 2 "--kv-heads" "$mdlm" train corpus.txt --quiet --dim 32 --heads 4 --kv-heads 3
nothing_left "kv-heads"
refuse 2 "exclude" "$mdlm" train $tiny corpus.txt --steps 5 --time 5s; nothing_left "time"
refuse 2 "kernels" "$mdlm" train $tiny corpus.txt --kernels abacus; nothing_left "kernels"

echo '{"options": {"layerz": 3}}' >typo.json
refuse 3 "did you mean 'layers'" "$mdlm" train $tiny corpus.txt --config typo.json
echo '{"options": {"layers": "three"}}' >type.json
refuse 3 "type.json" "$mdlm" train $tiny corpus.txt --config type.json
nothing_left "bad configuration"

for command in "generate" "eval corpus.txt" "score --response x" "tokenize corpus.txt"; do
  refuse 3 "there is no run in 'mdlm-run'" "$mdlm" $command
  refuse 3 "nowhere" "$mdlm" $command --model nowhere
done
refuse 3 "nowhere" "$mdlm" info nowhere
refuse 3 "missing.txt" "$mdlm" tokenize --tokenizer bytes missing.txt
echo '12 x' >ids
refuse 3 "'x' is not a token id" "$mdlm" tokenize --tokenizer bytes --decode ids
echo '12 99999' >ids
refuse 3 "99999" "$mdlm" tokenize --tokenizer bytes --decode ids
refuse 3 "corpus.txt" "$mdlm" corpus markov --nll corpus.txt
refuse 3 "empty" "$mdlm" corpus markov --nll empty.txt

# A run to ask with bad files.
train_tiny --steps 5 corpus.txt || fail "training: $(cat train.err)"
refuse 3 "missing.txt" "$mdlm" eval missing.txt
refuse 3 "empty" "$mdlm" eval empty.txt
refuse 3 "binary" "$mdlm" eval binary.bin
refuse 3 "missing.txt" "$mdlm" generate --prompt-file missing.txt
check "eval removes its temporary folder" test -z "$(ls .tmp)"

finish
