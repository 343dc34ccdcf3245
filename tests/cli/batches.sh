#!/bin/sh
# Batches that are cut into micro-batches, and batches so small that nothing may be masked.
. "$(dirname "$0")/helpers.inc"
make_corpus corpus.txt

# train BATCH LENGTH STEPS RUN...: with a loss that is a number, of so many tokens.
train() {
  batch=$1 length=$2 steps=$3 run=$4
  shift 4
  "$mdlm" train --layers 1 --dim 32 --heads 2 --ff 64 --batch-size "$batch" --seq-len "$length" \
    --steps "$steps" --run "$run" --json --quiet "$@" corpus.txt >train.out 2>train.err ||
    fail "$batch sequences of $length tokens: $(cat train.err)"
  check "$run: all steps were taken" \
    grep -q "\"steps\":$steps,\"tokens\":$((batch * length * steps))," train.out
  for loss in train val; do
    check "$run: the loss is a number ($loss)" \
      grep -Eq "\"${loss}_nelbo_nats_per_byte\":[0-9.]+[,}]" train.out
  done
  check "$run: no step reports what is not a number" test -z "$(grep -i null "$run/metrics.jsonl")"
}

train 32 64 4 cut -t 1 # 2048 tokens: more than a micro-batch
train 32 64 4 threads -t 2
same cut/model.safetensors threads/model.safetensors "micro-batches on 1 and 2 threads"
train 7 200 3 odd # 1400 tokens: no divisor of 7 has enough
train 1 8 50 short # at low noise nothing is masked

finish
