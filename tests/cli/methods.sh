#!/bin/sh
# eval: methods, windows with context, items, comparisons.
. "$(dirname "$0")/helpers.inc"
make_corpus corpus.txt
"$mdlm" corpus tales --bytes 1500 --seed 9 --quiet --out other.txt || fail "corpus"
train_tiny --steps 20 corpus.txt || fail "training: $(cat train.err)"
train_tiny --steps 40 --run second corpus.txt || fail "training: $(cat train.err)"

# value KEY FILE: a number, true, false, null or a text of the one line of JSON.
value() {
  sed 's/.*"'"$1"'":"\{0,1\}\([^,"}]*\).*/\1/' "$2"
}
holds() { awk "BEGIN {exit !($1)}"; }

# --- methods
for method in nelbo count chain; do
  expect 0 "method $method" "$mdlm" eval other.txt --method $method --mc 16 --json
  check "the method is said" test "$(value method out.txt)" = $method
  cp out.txt $method.json
done
expect 0 "nothing drawn" "$mdlm" eval other.txt --method chain
check "what is exact is said so" grep -q '^-log p .*0\.0000' out.txt
check "the chain is exact" test "$(value exact chain.json)" = true
check "the chain draws nothing" test "$(value stderr_mc chain.json)" = 0
n=$(value nelbo_nats_per_token nelbo.json) c=$(value nelbo_nats_per_token count.json)
en=$(value stderr_mc nelbo.json) ec=$(value stderr_mc count.json)
check "nelbo and count agree" holds "($n - $c)^2 < 16 * ($en^2 + $ec^2)"
check "count has the smaller error" holds "$ec < 0.7 * $en"
expect 0 "" "$mdlm" eval other.txt --method count --mc 16 --json --batch-size 3 --threads 1
same count.json out.txt "the batch changes nothing"
expect 0 "" "$mdlm" eval other.txt --method chain --json --batch-size 5
same chain.json out.txt "the batch changes nothing in the chain"
refuse 2 "expected one of nelbo, count, chain" "$mdlm" eval other.txt --method elbo

# --- windows
expect 0 "the last 8 scored given the 24 before" "$mdlm" eval other.txt --stride 8 --json
check "the span is said" grep -q '"window":32,"stride":8,"context":24,' out.txt
check "every token is scored once" test "$(value tokens out.txt)" = "$(value tokens nelbo.json)"
expect 0 "" "$mdlm" eval other.txt --method chain --stride 8 --json
check "context helps or does not matter much" \
  holds "$(value nelbo_nats_per_token out.txt) < 1.01 * $(value nelbo_nats_per_token chain.json)"
refuse 2 "--stride" "$mdlm" eval other.txt --stride 0
refuse 2 "longer than the window of 32" "$mdlm" eval other.txt --stride 33
refuse 2 "longer than the window of 16" "$mdlm" eval other.txt --window 16 --stride 17
for method in nelbo count chain; do
  refuse 2 "longer than the 32 tokens of" "$mdlm" eval other.txt --method $method --window 33
done

# --- items
expect 0 "" "$mdlm" eval other.txt --items items.jsonl --json --method count --mc 16
same count.json out.txt "items change nothing else"
check "one line a window" test "$(wc -l <items.jsonl)" -eq "$(value windows count.json)"
check "windows are said to be such" \
  grep -q '^{"kind":"window","index":0,"part":"all","offset":0,"tokens":32,"bytes":32,"nats":' \
  items.jsonl
total=$(sed 's/.*"nats":\([0-9.]*\).*/\1/' items.jsonl | awk '{s += $1} END {print s}')
check "items add up" \
  holds "($total / $(value tokens count.json) / $(value nelbo_nats_per_token count.json) - 1)^2 < 1e-8"
printf '{"text":"Once upon a time."}\n{"text":"A"}\n{"text":"The cat sat."}\n' >three.jsonl
expect 0 "" "$mdlm" eval three.jsonl --items items.jsonl --json --mc 1
check "one line a document" test "$(grep -c '"kind":"document"' items.jsonl)" -eq 3
check "documents have their bytes" test "$(value bytes items.jsonl | tr '\n' ' ')" = "17 1 12 "
check "where there is no error, none is claimed" test "$(grep -c '"stderr_mc":null' items.jsonl)" -eq 3
cp items.jsonl before.jsonl
refuse 5 "cannot write 'no/such/folder'" "$mdlm" eval other.txt --items no/such/folder
mkdir folder
refuse 5 "it is a folder" "$mdlm" eval other.txt --items folder
refuse 3 "no model" "$mdlm" eval other.txt --items items.jsonl --model nowhere
same before.jsonl items.jsonl "a failure leaves the old items"
check "nothing half-written stays" test -z "$(find . -name '*.tmp-*')"

# --- comparisons
expect 0 "" "$mdlm" eval other.txt --compare second --json --items items.jsonl
check "masks are paired" test "$(value paired out.txt)" = masks
d=$(value diff_nats_per_token out.txt) e=$(value diff_stderr_mc out.txt)
a=$(value nelbo_nats_per_token out.txt) b=$(value compare_nelbo_nats_per_token out.txt)
check "the difference is that of the two" holds "($a - $b - $d)^2 < 1e-20"
check "pairing makes its error small" holds "$e < 0.5 * $(value stderr_mc out.txt)"
check "and 40 steps are better than 20" holds "$d > 0"
check "items have it, too" test "$(grep -c '"diff_nats":.*"diff_stderr_mc":' items.jsonl)" -gt 10
expect 0 "" "$mdlm" eval other.txt --model second --json
check "each is what it is alone" test "$(value nelbo_nats_per_token out.txt)" = "$b"
expect 0 "" "$mdlm" eval other.txt --compare mdlm-run --json
check "a model does not differ from itself" test "$(value diff_nats_per_token out.txt)" = 0
refuse 3 "nowhere" "$mdlm" eval other.txt --compare nowhere
train_tiny --steps 20 --tokenizer bpe --vocab-size 300 --run pieces corpus.txt ||
  fail "training: $(cat train.err)"
expect 0 "compared per byte" "$mdlm" eval other.txt --compare pieces --json
check "nothing but the text is shared" test "$(value paired out.txt)" = text
check "tokens cannot be compared" test "$(value diff_nats_per_token out.txt)" = null
p=$(value diff_nats_per_byte out.txt) own=$(value nelbo_nats_per_byte out.txt)
expect 0 "" "$mdlm" eval other.txt --model pieces --json
check "bytes can" holds "($own - $(value nelbo_nats_per_byte out.txt) - $p)^2 < 1e-20"
refuse 2 "another tokenizer" "$mdlm" eval --compare pieces
expect 0 "compared per byte" "$mdlm" eval corpus.txt --split all --compare pieces --mc 1 --json

# --- what a model sees
train_tiny --steps 20 --objective block --block-length 8 --run blocks corpus.txt ||
  fail "training: $(cat train.err)"
train_tiny --steps 20 --objective ar --run past corpus.txt || fail "training: $(cat train.err)"
for method in nelbo count; do
  expect 0 "" "$mdlm" eval other.txt --run blocks --method $method --mc 16 --json
  cp out.txt blocks-$method.json
done
n=$(value nelbo_nats_per_token blocks-nelbo.json) en=$(value stderr_mc blocks-nelbo.json)
c=$(value nelbo_nats_per_token blocks-count.json) ec=$(value stderr_mc blocks-count.json)
check "nelbo and count agree on blocks" holds "($n - $c)^2 < 16 * ($en^2 + $ec^2)"
check "count has the smaller error on blocks" holds "$ec < 0.7 * $en"
expect 0 "" "$mdlm" eval other.txt --run blocks --method count --mc 16 --json --batch-size 3
same blocks-count.json out.txt "the batch changes nothing with blocks"
expect 0 "windows of 80 tokens" "$mdlm" eval other.txt --run blocks --window 80 --mc 1 --json
expect 0 "nothing drawn" "$mdlm" eval other.txt --run past --json
check "a model of the past is exact" grep -q '"stderr_mc":0,.*"exact":true' out.txt
expect 0 "" "$mdlm" eval other.txt --compare past --json
check "windows are paired, masks are not" grep -q '"paired":"windows"' out.txt
check "the error is this model's" test "$(value diff_stderr_mc out.txt)" = "$(value stderr_mc out.txt)"
expect 0 "" "$mdlm" eval other.txt --run past --stride 4 --window 64 --json
check "every token is scored once" test "$(value tokens out.txt)" = "$(value tokens nelbo.json)"

finish
