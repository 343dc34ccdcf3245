#!/bin/sh
# Objectives of training: each learns, goes on after a stop with the same bits, is inherited by
# --init, and cannot be changed by --resume; options that do not fit one are refused.
. "$(dirname "$0")/helpers.inc"
make_corpus corpus.txt

for objective in mdlm block ar; do
  options="--steps 40 --eval-every 8 --objective $objective"
  train_tiny $options -t 1 --run $objective corpus.txt || fail "$objective: $(cat train.err)"
  check "$objective learns" awk "BEGIN { exit !($(last val_nelbo $objective/metrics.jsonl) < \
    $(first val_nelbo $objective/metrics.jsonl) - 0.5) }"
  check "$objective is recorded" grep -q "\"objective\":[[:space:]]*\"$objective\"" \
    $objective/run.json
  train_tiny $options -t 2 --stop-at 19 --run parts corpus.txt ||
    fail "$objective: $(cat train.err)"
  expect 0 "" "$mdlm" train --resume --run parts --quiet
  for file in model.safetensors checkpoints/step-40/optimizer.safetensors; do
    same $objective/$file parts/$file "$objective in 40 steps, and in 19 and 21 on two threads"
  done
  rm -r parts
  expect 0 "" "$mdlm" eval -m $objective --json --quiet
done
cmp -s mdlm/model.safetensors block/model.safetensors && fail "block diffusion changes nothing"

# Blocks of a clip that was measured, of one that was given, and of all levels differ.
check "the clip is saved" grep -q '"noise_clip"' block/checkpoints/step-40/state.json
for clip in off 0.3,0.8; do
  train_tiny --steps 40 --eval-every 8 --objective block --noise-clip $clip --run "clip$clip" \
    corpus.txt || fail "--noise-clip $clip: $(cat train.err)"
done
cmp -s clipoff/model.safetensors clip0.3,0.8/model.safetensors && fail "a clip changes nothing"

# --init goes on with its model's objective, or with the one that is asked for.
for objective in mdlm block ar; do
  train_tiny --steps 2 --init $objective --run next --overwrite corpus.txt ||
    fail "--init $objective: $(cat train.err)"
  same $objective/config.json next/config.json "--init $objective keeps the objective"
done
train_tiny --steps 2 --init mdlm --objective block --block-length 4 --run next --overwrite \
  corpus.txt || fail "--init mdlm --objective block: $(cat train.err)"
check "the blocks are those asked for" grep -q '"block_length":[[:space:]]*4' next/config.json
train_tiny --steps 2 --init next --run more corpus.txt || fail "--init next: $(cat train.err)"
same next/config.json more/config.json "--init keeps the block length"
train_tiny --steps 2 --init next --block-length 8 --run more --overwrite corpus.txt ||
  fail "--init next --block-length 8: $(cat train.err)"
check "the blocks are new" grep -q '"block_length":[[:space:]]*8' more/config.json

expect 0 "objective: block diffusion, 8 tokens a block" "$mdlm" train ${tiny% --quiet} --steps 1 \
  --objective block --block-length 8 --run said corpus.txt
refuse 2 "objective" "$mdlm" train --resume --run block --objective ar
refuse 2 "block_length" "$mdlm" train --resume --run block --block-length 8
refuse 2 "noise_clip" "$mdlm" train --resume --run block --noise-clip off
new="--run never corpus.txt"
refuse 2 "--block-length 5 does not divide --seq-len 32: the nearest that do are 4 and 8" \
  "$mdlm" train $tiny --objective block --block-length 5 $new
refuse 2 "--objective block" "$mdlm" train $tiny --block-length 8 $new
refuse 2 "no noise levels" "$mdlm" train $tiny --objective ar --noise-clip 0.3,0.8 $new
refuse 2 "--noise-clip '0.8,0.3'" "$mdlm" train $tiny --objective block --noise-clip 0.8,0.3 $new
refuse 2 "objective" "$mdlm" train $tiny --objective gpt $new
check "nothing is left of what was refused" test ! -e never
expect 0 "" "$mdlm" info next
check "info names the objective" grep -q '^objective   block, blocks of 4 tokens$' out.txt
expect 0 "" "$mdlm" info next --json
check "and so does its JSON" grep -q '"objective":"block","block_length":4,' out.txt

finish
