#!/bin/sh
# The shape of what generate prints.
. "$(dirname "$0")/helpers.inc"
make_corpus corpus.txt
train_tiny --steps 20 corpus.txt || fail "training: $(cat train.err)"

expect 0 "blocks 8" "$mdlm" generate --blocks 8
check "the text ends with a line feed" test -z "$(tail -c 1 out.txt)"
check "32 bytes and a line feed" test "$(wc -c <out.txt)" -eq 33
expect 0 "" "$mdlm" generate --quiet
check "--quiet says nothing on stderr" test ! -s err.txt

expect 0 "" "$mdlm" generate -p 'Once upon' -n 16
check "the prompt comes first" test "$(head -c 9 out.txt)" = "Once upon"
check "prompt, 16 bytes, line feed" test "$(wc -c <out.txt)" -eq 26
expect 0 "" "$mdlm" generate -p 'Once upon'
check "the default length fills the trained length" test "$(wc -c <out.txt)" -eq 33
expect 0 "" "$mdlm" generate -p 'Once upon' --blocks 8
check "and is rounded down to whole blocks" test "$(wc -c <out.txt)" -eq 26
printf 'line one\nline two\n' >prompt.txt
expect 0 "" "$mdlm" generate --prompt-file prompt.txt -n 4
check "a prompt file is taken byte for byte" test "$(head -c 18 out.txt | cksum)" = \
  "$(cksum <prompt.txt)"

expect 0 "" "$mdlm" generate -n 12 --ids --num-samples 3
check "--ids prints a line a sample" test "$(wc -l <out.txt)" -eq 3
check "ids are separated by single spaces" \
  test "$(grep -cE '^[0-9]+( [0-9]+){11}$' out.txt)" -eq 3
expect 0 "" "$mdlm" generate -n 12 --num-samples 2
check "samples are told apart" test "$(grep -ac '^--- sample [01]$' out.txt)" -eq 2

expect 0 "" "$mdlm" generate -n 12 --json --num-samples 3 --first-index 5 -p 'say "hi"'
check "--json prints a line a sample" test "$(wc -l <out.txt)" -eq 3
for key in index text ids fills steps evaluations seconds tokens_per_second; do
  check "every object has $key" test "$(grep -c "\"$key\":" out.txt)" -eq 3
done
check "quotes are escaped" test "$(grep -cF '"text":"say \"hi\"' out.txt)" -eq 3
check "the index starts at --first-index" test "$(grep -cE '^\{"index":[567],' out.txt)" -eq 3
check "the JSON has no control characters" \
  test "$(tr -d '\n' <out.txt | tr -d '[:print:]\200-\377' | wc -c)" -eq 0

for alias in --n-predict --max-new-tokens --gen-length --length; do
  expect 0 "" "$mdlm" generate $alias 5 --ids
  check "$alias counts new tokens" grep -qE '^[0-9]+( [0-9]+){4}$' out.txt
done
for sampler in ancestral first-hitting random confidence low_confidence maskgit_plus; do
  expect 0 "" "$mdlm" generate -n 8 --sampler $sampler --temp 0.5 --ids
  check "$sampler fills everything" grep -qE '^[0-9]+( [0-9]+){7}$' out.txt
done
expect 0 "" "$mdlm" generate -n 16 --block-length 4
check "--block-length gives blocks" grep -q 'blocks 4' err.txt

refuse 2 "4 and 8" "$mdlm" generate -n 16 --blocks 5
refuse 2 "4 and 8" "$mdlm" generate -n 16 --block-length 6
refuse 2 "--blocks 2" "$mdlm" generate -n 16 --blocks 2 --block-length 4
expect 0 "" "$mdlm" generate -n 4 --show --quiet
check "--show draws off a terminal" grep -q 'step 4/4' err.txt
check "and leaves stdout alone" test "$(wc -c <out.txt)" -eq 5

expect 0 "" "$mdlm" generate -p '</script><b>' -n 8 --sampler first-hitting \
  --html page.html --quiet
check "the page has a step a token" \
  test "$(grep -cE '^\[\[[0-9]+,[0-9]+,[0-9.e-]+\],\],$' page.html)" -eq 8
check "text is there as numbers alone" test "$(grep -c '<b>' page.html)" -eq 0
check "what is given is named" grep -qF 'given: [[0,60],[1,47],[2,115],' page.html
check "tokens have bytes" grep -qF "60: '3c'," page.html
check "nothing else is left" test "$(ls page.html* | wc -l)" -eq 1
refuse 5 "nowhere" "$mdlm" generate -n 4 --html nowhere/page.html --quiet

finish
