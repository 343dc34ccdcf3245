#!/bin/sh
# score: methods, files of pairs and of choices, logits.
. "$(dirname "$0")/helpers.inc"
make_corpus corpus.txt
train_tiny --steps 20 corpus.txt || fail "training: $(cat train.err)"

expect 0 "" "$mdlm" score -p Once -r ' upon a' --method chain
check "the chain is exact" grep -q '^log p = -.*+- 0.0000, 7 tokens' out.txt
expect 0 "" "$mdlm" score -p Once -r ' upon a' --method chain --json
cp out.txt chain
expect 0 "" "$mdlm" score -p Once -r ' upon a' --method count --json
check "a method has its name" grep -q '"method":"count"' out.txt
# The bound is below, by more than its error as a rule, and far less than twice as low.
log_prob() { sed 's/.*"log_prob_nats":\(-[0-9.]*\).*/\1/' "$1"; }
check "count and chain are of a size" \
  awk "BEGIN { r = $(log_prob out.txt) / $(log_prob chain); exit !(r > 0.7 && r < 1.5) }"
expect 0 "guidance scale 2" "$mdlm" score -p Once -r ' upon a' --guidance-scale 2
check "what is guided is no bound" grep -q '^log p ~ ' out.txt

cat >items.jsonl <<'EOF'
{"prompt":"Once","response":" upon a"}

{"question":"Anna was ","choices":["sad","qqq",  "happy"],"answer":0}
{"question":"Anna was ","choices":["#$%","sad"]}
EOF
expect 0 "" "$mdlm" score --file items.jsonl --method chain --json
check "a line for each item and one for all" test "$(wc -l <out.txt)" -eq 4
check "a pair is scored as one alone" \
  grep -q "^{\"line\":1,\"log_prob_nats\":$(log_prob chain)[0-9]*,\"stderr_mc\":0,\"tokens\":7}" out.txt
check "blank lines count" grep -q '^{"line":4,"choice":1,' out.txt
check "choices have three rankings" grep -q '"choice_per_token":.*"choice_per_byte":' out.txt
check "an answer is judged" grep -q '^{"line":3,.*"answer":0,"correct":\(true\|false\)' out.txt
check "the totals" grep -q '^{"items":3,"pairs":1,.*"choices":2,"answered":1,"accuracy":' out.txt
check "one of one has Wilson's interval, or none of one" \
  grep -qE '"accuracy":(1,"accuracy_95":\[0.2065[0-9]*,1\]|0,"accuracy_95":\[0,0.7934[0-9]*\])' out.txt
expect 0 "" "$mdlm" score --file items.jsonl --mc 4 --quiet
check "the human report" grep -q '^accuracy by log p .* of 1$' out.txt
cp out.txt first
expect 0 "" "$mdlm" score --file items.jsonl --mc 4 --quiet --threads 3
same first out.txt "one thread and three"
gzip -k items.jsonl
expect 0 "" "$mdlm" score --file items.jsonl.gz --mc 4 --quiet
same first out.txt "compressed and not"

bad() { # bad TEXT LINE: a second line that is refused with that text
  printf '{"prompt":"a","response":"b"}\n%s\n' "$2" >bad.jsonl
  expect 3 "line 2" "$mdlm" score --file bad.jsonl --mc 2
  grep -qF "$1" err.txt || fail "stderr lacks '$1': $(tail -n 1 err.txt)"
}
bad "not valid JSON" '{"prompt":"a"'
bad "an object" '[1]'
bad '"prompt" or "question"' '{"response":"b"}'
bad '"prompt" or "question"' '{"prompt":"a","question":"a","response":"b"}'
bad 'either a "response" or "choices"' '{"prompt":"a"}'
bad 'either a "response" or "choices"' '{"prompt":"a","response":"b","choices":["a","b"]}'
bad "strings and not empty" '{"prompt":"a","response":""}'
bad "strings and not empty" '{"prompt":"a","choices":["a",1]}'
bad "2 to 256" '{"prompt":"a","choices":["a"]}'
bad "index of a choice" '{"prompt":"a","choices":["a","b"],"answer":2}'
bad "index of a choice" '{"prompt":"a","choices":["a","b"],"answer":0.5}'
bad "index of a choice" '{"prompt":"a","choices":["a","b"],"answer":"a"}'
bad "more than the 32" '{"prompt":"a","response":"0123456789012345678901234567890123"}'
: >empty.jsonl
refuse 3 "holds nothing to score" "$mdlm" score --file empty.jsonl --quiet
refuse 3 "missing.jsonl" "$mdlm" score --file missing.jsonl --quiet
refuse 2 "--file excludes" "$mdlm" score --file items.jsonl -p a

# Logits: NumPy's magic, version 1.0, and a header that ends at byte 128.
expect 0 "logits [4, 259]" "$mdlm" score --ids '84 111,256 256' --logits a.npy
check "nothing on stdout" test ! -s out.txt
check "the file's size" test "$(wc -c <a.npy)" -eq $((128 + 4 * 259 * 4))
check "the magic" test "$(head -c 10 a.npy | od -An -tu1 | tr -d ' \n')" = 1477885778089101180
check "the header" test "$(head -c 128 a.npy | tail -c 118 | sed 's/ *$//')" = \
  "{'descr': '<f4', 'fortran_order': False, 'shape': (4, 259), }"
check "the header ends with a line feed" test "$(head -c 128 a.npy | tail -c 1 | od -An -tu1)" -eq 10
expect 0 "" "$mdlm" score --prompt T --response o --logits b.npy --json
check "the shape as JSON" grep -q '^{"logits":"b.npy","tokens":2,"vocab":259}' out.txt
expect 0 "" "$mdlm" score --ids '84 111' --logits c.npy --quiet
same b.npy c.npy "ids, and the text that they spell"
refuse 2 "--ids: 'x' is not" "$mdlm" score --ids '1 x' --logits d.npy
refuse 2 "--ids: token id 259" "$mdlm" score --ids '1 259' --logits d.npy
refuse 2 "there are no ids" "$mdlm" score --ids ' ' --logits d.npy
refuse 2 "33 ids, more than the 32" "$mdlm" score --ids "$(seq -s ' ' 33)" --logits d.npy
refuse 2 "--ids needs --logits" "$mdlm" score --ids '1'
refuse 2 "--logits needs" "$mdlm" score --logits d.npy
refuse 5 "nowhere" "$mdlm" score --ids 1 --logits nowhere/d.npy
check "nothing is left behind" test -z "$(ls d.npy* 2>/dev/null)"

finish
