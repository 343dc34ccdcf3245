#!/bin/sh
# Equal bits: for any number of threads, for samples in one batch or alone, for a run in two parts
# of either operand type, with and without the activations of a block kept for its gradient.
. "$(dirname "$0")/helpers.inc"
make_corpus corpus.txt

train_tiny --steps 20 -t 1 --run one corpus.txt || fail "training: $(cat train.err)"
train_tiny --steps 20 -t 2 --run two corpus.txt || fail "training: $(cat train.err)"
same one/model.safetensors two/model.safetensors "threads 1 and 2"
train_tiny --steps 20 --seed 2 --run other corpus.txt || fail "training: $(cat train.err)"
cmp -s one/model.safetensors other/model.safetensors && fail "another seed gives the same model"

train_tiny --steps 20 --stop-at 8 --run parts corpus.txt || fail "training: $(cat train.err)"
check "the first part is not the whole" test "$(ls parts/checkpoints | grep -c step-20)" -eq 0
expect 0 "" "$mdlm" train --resume --run parts --quiet
same one/model.safetensors parts/model.safetensors "20 steps and 8 + 12 steps"
for name in raw ema optimizer; do
  same one/checkpoints/step-20/$name.safetensors parts/checkpoints/step-20/$name.safetensors \
    "the last checkpoint of both"
done

# A run goes on in the operand type that it began with, the one that nobody would choose here, too.
check "the chosen operand type is recorded" grep -Eq '"dtype":[[:space:]]*"(bf16|f32)"' one/run.json
for dtype in bf16 f32; do
  train_tiny --steps 9 --dtype $dtype --run $dtype corpus.txt || fail "training: $(cat train.err)"
  train_tiny --steps 9 --dtype $dtype --stop-at 4 --run $dtype.parts corpus.txt ||
    fail "training: $(cat train.err)"
  expect 0 "" "$mdlm" train --resume --run $dtype.parts --quiet
  same $dtype/model.safetensors $dtype.parts/model.safetensors "9 steps and 4 + 5 steps in $dtype"
  check "$dtype is recorded" grep -q "\"dtype\":[[:space:]]*\"$dtype\"" $dtype.parts/run.json
done
cmp -s bf16/model.safetensors f32/model.safetensors && fail "the operand type changes nothing"

train_tiny --steps 8 --dropout 0.1 --run kept corpus.txt || fail "$(cat train.err)"
train_tiny --steps 8 --dropout 0.1 --stop-at 5 --checkpoint-activations --run again \
  corpus.txt || fail "training: $(cat train.err)"
check "the setting is recorded" grep -q '"checkpoint_activations":[[:space:]]*true' again/run.json
for flag in --no-checkpoint-activations ""; do # without a flag, what run.json says holds
  cp -r again again2
  expect 0 "" "$mdlm" train --resume --run again2 --quiet $flag
  same kept/model.safetensors again2/model.safetensors "blocks kept and run again $flag"
  for name in raw ema optimizer; do
    same kept/checkpoints/step-8/$name.safetensors again2/checkpoints/step-8/$name.safetensors \
      "the last checkpoint of both $flag"
  done
  # val_nelbo, train_nelbo and the norm of each step's gradient; not what the clock says
  for run in kept again2; do
    sed 's/"seconds":[^,]*,//; s/"tokens_per_second":[^,}]*//' $run/metrics.jsonl >$run.metrics
  done
  same kept.metrics again2.metrics "what both report $flag"
  rm -r again2
done

"$mdlm" generate -m one -n 16 --num-samples 4 --ids --quiet >batch.txt || fail "generate"
for k in 0 1 2 3; do
  "$mdlm" generate -m one -n 16 --first-index $k --ids --quiet || fail "generate $k"
done >single.txt
same batch.txt single.txt "four samples together and alone"
"$mdlm" generate -m one -n 16 --num-samples 4 --ids --quiet -t 1 >thread.txt || fail "generate"
same batch.txt thread.txt "samples on one thread"
"$mdlm" generate -m one -n 16 --num-samples 4 --ids --quiet --seed 2 >seed.txt || fail "generate"
cmp -s batch.txt seed.txt && fail "another seed gives the same samples"

for options in "-t 1" "-t 2" "--batch-size 1" "--batch-size 7"; do
  "$mdlm" eval -m one --json --quiet $options >"eval$(echo "$options" | tr -d ' -').json" ||
    fail "eval $options"
done
for file in evalt2.json evalbatchsize1.json evalbatchsize7.json; do
  same evalt1.json $file "evaluation on any threads and batches"
done

"$mdlm" corpus tales --bytes 5000 --seed 3 --out a.txt --quiet
"$mdlm" corpus tales --bytes 5000 --seed 3 --quiet >b.txt
same a.txt b.txt "a corpus in a file and on stdout"

finish
