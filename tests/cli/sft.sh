#!/bin/sh
# Fine-tuning on pairs: a run like others, and how its answers are judged.
. "$(dirname "$0")/helpers.inc"
make_corpus corpus.txt
train_tiny --steps 10 corpus.txt --run base || fail "training: $(cat train.err)"
expect 0 "mdlm train --sft pairs.jsonl" "$mdlm" corpus questions --count 300 --out pairs.jsonl
check "one question a line" test "$(wc -l <pairs.jsonl)" -eq 300
expect 0 "" "$mdlm" corpus questions --first-index 300 --count 20 --quiet --out held-out.jsonl
check "no question twice" test -z "$(sort pairs.jsonl held-out.jsonl | uniq -d)"

sft="--sft pairs.jsonl --init base --batch-size 8 --quiet"
tune() { "$mdlm" train $sft "$@" >train.out 2>train.err </dev/null; }
tune --steps 12 --json --run tuned || fail "fine-tuning: $(cat train.err)"
for key in train val; do
  check "the unit is in the name" grep -q "\"${key}_nelbo_nats_per_answer_token\":" train.out
done
check "no bytes are spoken of" test "$(grep -c nats_per_byte train.out)" -eq 0
check "the template is published" grep -q '"chat_template"' tuned/tokenizer_config.json
check "the pairs are kept" grep -q '"pairs":' tuned/data/corpus.json
expect 0 "pairs" "$mdlm" train --sft pairs.jsonl --init base --steps 1 --run said
check "the plan counts pairs" grep -qE '^train: .* [0-9]+ pairs$' err.txt
check "and says what comes next" grep -q 'mdlm chat --run said' err.txt

# Stopped and resumed: the same bits.
tune --steps 12 --stop-at 5 --run halves || fail "the first half: $(cat train.err)"
expect 0 "" "$mdlm" train --resume --run halves --quiet
same tuned/model.safetensors halves/model.safetensors "a resumed fine-tuning"
tune --steps 12 --run single --threads 1 || fail "one thread: $(cat train.err)"
same tuned/model.safetensors single/model.safetensors "fine-tuning on one thread"
refuse 2 "cannot go on" "$mdlm" train --resume --run halves --sft-padding count

# Every objective and padding; from nothing, too.
for objective in mdlm block ar; do
  for padding in tail exclude count; do
    tune --steps 2 --objective $objective --sft-padding $padding --run other --overwrite ||
      fail "$objective, $padding: $(cat train.err)"
  done
done
train_tiny --sft pairs.jsonl --steps 2 --run scratch || fail "from nothing: $(cat train.err)"
printf '%s\n' '{"prompt": "a long prompt, longer than the model was trained on", "response": "x"}' |
  cat pairs.jsonl - >long.jsonl
expect 0 "1 pairs of more than 32 tokens are left out" "$mdlm" train --sft long.jsonl --init base \
  --steps 1 --run long

# What is refused.
echo '{"text": "no pair"}' >text.jsonl
refuse 3 "'text.jsonl' line 1" "$mdlm" train --sft text.jsonl --init base --run no
refuse 3 "is not valid JSON" "$mdlm" train --sft corpus.txt --init base --run no
refuse 2 "learns from text" "$mdlm" train --sft pairs.jsonl --tokenizer bpe --run no
refuse 2 "has its own (bytes)" "$mdlm" train --sft pairs.jsonl --init base --tokenizer chars --run no
refuse 2 "--tied is for a new network" "$mdlm" train --sft pairs.jsonl --init base --tied --run no
refuse 2 "--sft-padding is for --sft" "$mdlm" train corpus.txt --sft-padding count --run no
refuse 2 "--vocab-size is for --tokenizer bpe" "$mdlm" train corpus.txt --vocab-size 300 --run no
check "nothing is left of it" test ! -e no

# Answers.
expect 0 "20 questions, room for 4 tokens" "$mdlm" eval --answers held-out.jsonl -m tuned
check "an interval stands beside the share" grep -qE '^exact match  0\.[0-9]+  \(95%: ' out.txt
expect 0 "" "$mdlm" eval --answers held-out.jsonl -m tuned --json --items items.jsonl
for key in exact_match exact_match_low exact_match_high correct count; do
  check "the object has $key" grep -q "\"$key\":" out.txt
done
check "an item a question" test "$(wc -l <items.jsonl)" -eq 20
for key in line correct answer response; do
  check "every item has $key" test "$(grep -c "\"$key\":" items.jsonl)" -eq 20
done
expect 0 "" "$mdlm" eval --answers held-out.jsonl -m tuned --quiet --batch-size 3 --items three.jsonl
same items.jsonl three.jsonl "answers in other batches"
expect 0 "" "$mdlm" eval --answers held-out.jsonl -m other --quiet
expect 0 "no chat template" "$mdlm" eval --answers held-out.jsonl -m base
refuse 2 "does not divide" "$mdlm" eval --answers held-out.jsonl -m tuned --room 5 --blocks 2
refuse 2 "more than the 32" "$mdlm" eval --answers held-out.jsonl -m tuned --room 30
refuse 2 "--answers takes the place" "$mdlm" eval --answers held-out.jsonl corpus.txt -m tuned
for other in "--method chain" "--window 8" "--order 3"; do
  refuse 2 "${other% *} is for " "$mdlm" eval --answers held-out.jsonl -m tuned $other
done
refuse 2 "--room is for mdlm eval --answers" "$mdlm" eval corpus.txt -m tuned --room 4
cat held-out.jsonl long.jsonl >both.jsonl
refuse 3 "'both.jsonl' line $(wc -l <both.jsonl): a prompt of" "$mdlm" eval --answers both.jsonl -m tuned
refuse 2 "was fine-tuned on prompts" "$mdlm" eval -m tuned
refuse 3 "missing.jsonl" "$mdlm" eval --answers missing.jsonl -m tuned

# Scores: with --chat the text is what training made of the pair.
expect 0 "" "$mdlm" score --chat -p 'a b' -r 'c' -m tuned --method chain --json --quiet
cp out.txt chat.json
check "end-of-text counts" grep -q '"tokens":2,' chat.json
expect 0 "" "$mdlm" score -p 'a b
' -r c -m tuned --method chain --json --quiet
part=$(sed 's/.*"log_prob_nats":\(-[0-9.]*\),.*/\1/' out.txt)
whole=$(sed 's/.*"log_prob_nats":\(-[0-9.]*\),.*/\1/' chat.json)
check "and is less likely than the response alone" awk "BEGIN { exit !($whole < $part) }"
refuse 2 "exclude each other" "$mdlm" score --chat -p a --logits a.npy -m tuned

finish
