#!/bin/sh
# A conversation through a pipe: an answer a line, a memory that is finite, and one question alone.
. "$(dirname "$0")/helpers.inc"
"$mdlm" corpus questions --count 200 --quiet --out pairs.jsonl || fail "no questions"
"$mdlm" train --sft pairs.jsonl --layers 1 --dim 32 --heads 2 --ff 64 --seq-len 64 --batch-size 4 \
  --quiet --steps 10 --run talker >train.out 2>train.err || fail "$(cat train.err)"

# talk CODE TEXT OPTIONS...: lines.txt to chat; stdout to out.txt, stderr to err.txt.
talk() {
  code=$1 text=$2
  shift 2
  "$mdlm" chat -m talker "$@" <lines.txt >out.txt 2>err.txt
  got=$?
  [ "$got" -eq "$code" ] || fail "exit code $got, expected $code: chat $* :: $(tail -n 1 err.txt)"
  [ -z "$text" ] || grep -qF -e "$text" err.txt || fail "stderr lacks '$text': chat $*"
}

printf 'What is 11 + 22?\n\nWhat is 33 + 44?' >lines.txt
talk 0 "room for 16 tokens (default)"
check "no prompt is drawn off a terminal" test "$(grep -c '^> ' err.txt)" -eq 0
talk 0 "" --json --quiet
check "an object a line, none for an empty one" test "$(wc -l <out.txt)" -eq 2
check "--quiet says nothing" test ! -s err.txt
for key in index answer ids forgotten steps evaluations seconds; do
  check "every object has $key" test "$(grep -c "\"$key\":" out.txt)" -eq 2
done
cp out.txt first.txt
talk 0 "" --json --quiet --threads 1
check "the same on one thread" test "$(sed 's/"seconds.*//' out.txt)" = \
  "$(sed 's/"seconds.*//' first.txt)"

# What does not fit any more is forgotten, aloud; what never fits is an error.
for i in 1 2 3 4; do echo 'What is 55 + 66, tell me'; done >lines.txt
talk 0 "no longer fit and are forgotten" --json --length 16
check "it was forgotten in the object, too" test "$(grep -c '"forgotten":0' out.txt)" -lt 4
talk 0 "" --json --length 16 --no-history --quiet
check "no history, nothing to forget" test "$(grep -c '"forgotten":0' out.txt)" -eq 4
check "and every answer is the first" test "$(sed 's/.*"answer"/a/; s/"forgotten.*//' out.txt |
  sort -u | wc -l)" -eq 1
talk 2 "more than the 64" --system 'a system prompt that is so long that nothing fits beside it, no'
talk 2 "--blocks" --blocks 3
talk 0 "cache dual (approximate)" --cache dual --verify-cache --no-history
: >lines.txt
talk 0 "" --system 'be brief'
check "no line, no answer" test ! -s out.txt

# One question through generate.
expect 0 "" "$mdlm" generate -m talker --chat -p 'What is 11 + 22?' -n 4 --quiet
check "the question comes first" test "$(head -n 1 out.txt)" = "What is 11 + 22?"
expect 0 "" "$mdlm" generate -m talker --chat -p '<|mask|>' -n 4 --quiet
check "a message's special tokens are text" test "$(head -n 1 out.txt)" = "<|mask|>"
refuse 2 "not both" "$mdlm" generate -m talker --chat --infill '[MASK]'

# Without a template.
make_corpus corpus.txt
train_tiny --steps 2 corpus.txt --run plain || fail "$(cat train.err)"
expect 0 "no chat template" "$mdlm" chat -m plain
expect 0 "no chat template" "$mdlm" generate -m plain --chat -p hello -n 4
refuse 3 "there is no run" "$mdlm" chat

# The help tells chat's own defaults, which are not generate's.
expect 0 "" "$mdlm" chat --help
tr -s ' \n' ' ' <out.txt >help.txt # lines joined
check "the likeliest answer" grep -q '(default confidence) --steps' help.txt
check "nothing drawn" grep -q 'the likeliest token (default 0, ' help.txt
check "up to end-of-text" grep -q '(default stop) --allow-tokens' help.txt

finish
