#!/bin/sh
# eval, score, tokenize, corpus and info: what they print.
. "$(dirname "$0")/helpers.inc"
make_corpus corpus.txt
"$mdlm" corpus tales --bytes 3000 --seed 9 --quiet --out other.txt || fail "corpus"
train_tiny --steps 20 corpus.txt || fail "training: $(cat train.err)"

expect 0 "validation part" "$mdlm" eval corpus.txt --json
check "one line" test "$(wc -l <out.txt)" -eq 1
for key in nelbo_nats_per_token nelbo_nats_per_byte bits_per_byte perplexity stderr_mc \
           stderr_data tokens bytes method split weights; do
  check "the result has $key" grep -q "\"$key\":" out.txt
done
check "the validation part is scored" grep -q '"split":"val"' out.txt
cp out.txt own.json
expect 0 "own corpus" "$mdlm" eval --json
same own.json out.txt "the corpus named and not named"
expect 0 "" "$mdlm" eval other.txt --json
check "a foreign text is scored whole" grep -q '"bytes":3[0-9]*,.*"split":"all"' out.txt
expect 0 "" "$mdlm" eval corpus.txt --split all --json
check "--split all scores everything" grep -q '"bytes":20[0-9][0-9][0-9],.*"split":"all"' out.txt
expect 0 "" "$mdlm" eval other.txt --draws 4 --quiet
check "the human result has four units" \
  test "$(grep -cE 'nats/token|nats/byte|bits/byte|per token' out.txt)" -eq 4
check "--quiet is quiet" test ! -s err.txt

# Other operands change the bound, but not by 1%.
nelbo() {
  sed 's/.*"nelbo_nats_per_token":\([0-9.]*\).*/\1/' "$1"
}
for dtype in bf16 q8_0; do
  expect 0 "" "$mdlm" eval --dtype $dtype --json
  check "$dtype rounds operands" test "$(nelbo out.txt)" != "$(nelbo own.json)"
  check "$dtype is close to f32" \
    awk "BEGIN {r = $(nelbo out.txt) / $(nelbo own.json); exit !(r > 0.99 && r < 1.01)}"
done

expect 0 "" "$mdlm" score -p Once -r ' upon a' --json
check "a response has its tokens" grep -q '"tokens":7' out.txt
expect 0 "" "$mdlm" score --response abc --mc 16
check "a bound is printed" grep -q '^log p >= -' out.txt

printf 'To \000be \377' >bytes.bin
expect 0 "" "$mdlm" tokenize --tokenizer bytes bytes.bin
check "ids are bytes" test "$(cat out.txt)" = "84 111 32 0 98 101 32 255"
cp out.txt ids.txt
expect 0 "" "$mdlm" tokenize --tokenizer bytes --decode ids.txt
same bytes.bin out.txt "decoding gives the bytes back"
expect 0 "" "$mdlm" tokenize bytes.bin --json
check "JSON has ids, count and bytes" \
  test "$(cat out.txt)" = '{"ids":[84,111,32,0,98,101,32,255],"count":8,"bytes":8}'
for kind in bpe chars; do
  expect 0 "tokenizer.json" "$mdlm" tokenize --train --tokenizer $kind --vocab-size 300 \
    --out tok-$kind corpus.txt
  "$mdlm" tokenize --tokenizer tok-$kind corpus.txt >ids.txt || fail "tokenize with $kind"
  "$mdlm" tokenize --tokenizer tok-$kind/tokenizer.json --decode ids.txt >back.txt || fail "decode"
  same corpus.txt back.txt "a $kind tokenizer is exact"
done

expect 0 "entropy rate" "$mdlm" corpus markov --bytes 20000 --out markov.txt
check "as many bytes as asked for" test "$(wc -c <markov.txt)" -eq 20000
check "16 letters" test "$(tr -d 'a-p' <markov.txt | wc -c)" -eq 0
expect 0 "" "$mdlm" corpus markov --nll markov.txt --json
check "the likelihood is known" grep -q '"nll_nats_per_byte":1\.' out.txt
refuse 2 "--count is for questions" "$mdlm" corpus markov --count 5
refuse 2 "--bytes is for tales and markov" "$mdlm" corpus questions --bytes 5
refuse 2 "--nll is for markov" "$mdlm" corpus tales --nll markov.txt
expect 0 "" "$mdlm" info --json
check "info describes machine and model" grep -q '"machine":{.*"kernels":.*"model":{.*"dim":32' \
  out.txt
expect 0 "" "$mdlm" info
check "info names the kernels" grep -q '^kernels ' out.txt
expect 0 "" "$mdlm" info --kernels ref
check "info names the products" grep -q '^products *bf16: ref, q8_0: ref$' out.txt

# One file of several is scored as itself, not as the whole corpus.
mkdir parts && cp corpus.txt parts/a.txt && cp other.txt parts/b.txt
train_tiny --steps 5 --run parts-run parts || fail "training: $(cat train.err)"
expect 0 "part of this text" "$mdlm" eval parts/b.txt --run parts-run --json
check "it is scored whole" grep -q '"bytes":3[0-9]*,.*"split":"all"' out.txt
expect 0 "validation part" "$mdlm" eval parts --run parts-run --json
check "the whole corpus is recognised" grep -q '"split":"val"' out.txt

# Where there is no error to be had, none is claimed.
expect 0 "" "$mdlm" eval other.txt --mc 1 --json
check "one draw has no error of masks" grep -q '"stderr_mc":null' out.txt
refuse 2 "--mc" "$mdlm" score -p a -r b --mc 1

finish
