#!/bin/sh
# Adapters: trained beside a frozen model, kept apart, resumed, used and merged.
. "$(dirname "$0")/helpers.inc"
make_corpus corpus.txt
"$mdlm" corpus questions --count 200 --quiet --out pairs.jsonl || fail "no questions"
train_tiny --steps 10 corpus.txt --run base || fail "training: $(cat train.err)"
cp base/model.safetensors base.before

tune() { "$mdlm" train --init base --lora 4 --batch-size 8 --quiet "$@" >train.out 2>train.err </dev/null; }
tune --sft pairs.jsonl --steps 12 --json --run tuned || fail "adapters: $(cat train.err)"
same base/model.safetensors base.before "the base after training beside it"
check "adapters have their files" test -s tuned/adapter_model.safetensors -a \
  -s tuned/adapter_config.json
check "and no network beside them" test ! -e tuned/model.safetensors
check "only they are trained" test \
  "$(sed 's/.*"parameters":\([0-9]*\).*/\1/' train.out)" -lt 8000
check "the base is found from anywhere" grep -q '"base_model_name_or_path":.*"/' \
  tuned/adapter_config.json

# Stopped and resumed: the same bits.
tune --sft pairs.jsonl --steps 12 --stop-at 5 --run halves || fail "half: $(cat train.err)"
expect 0 "" "$mdlm" train --resume --run halves --quiet
same tuned/adapter_model.safetensors halves/adapter_model.safetensors "resumed adapters"
refuse 2 "cannot go on" "$mdlm" train --resume --run halves --lora 8

# As a model: by themselves and merged, from another folder, at a checkpoint.
ask="--chat -p Why? -n 8 --temp 0 --sampler confidence --ids --quiet"
mkdir elsewhere
(cd elsewhere && "$mdlm" generate $ask -m ../tuned) >apart.txt || fail "adapters as a model"
expect 0 "" "$mdlm" convert tuned merged --quiet
expect 0 "" "$mdlm" generate $ask -m merged
same out.txt apart.txt "merged and apart"
expect 0 "" "$mdlm" generate $ask -m tuned --weights raw
expect 0 "" "$mdlm" eval --answers pairs.jsonl -m tuned --json

# On text, too; and what is refused.
tune corpus.txt --steps 3 --run text || fail "adapters on text: $(cat train.err)"
check "text has bytes" test -s text/adapter_model.safetensors
refuse 2 "--lora 4 needs --init" "$mdlm" train corpus.txt --lora 4 --run no
refuse 2 "merge them first" "$mdlm" train corpus.txt --init tuned --lora 4 --run no
refuse 2 "choose another --run" "$mdlm" train corpus.txt --init base --lora 4 --run base --overwrite
check "the base is still there" test -s base/model.safetensors
"$mdlm" train corpus.txt --init tuned --steps 2 --batch-size 4 --quiet --run onward 2>train.err ||
  fail "on from adapters: $(cat train.err)"
check "training all weights goes on from adapters" test -s onward/model.safetensors

expect 0 "" "$mdlm" info tuned
check "info names the network of adapters" grep -q "^adapters    beside '.*/base'" out.txt

# Adapters that overflow: a sample that cannot be drawn is not what training ends with.
refuse 4 "try a smaller --lr" "$mdlm" train --sft pairs.jsonl --init base --lora 4 --lr 10 \
  --muon-lr 10 --grad-clip 0 --weight-decay 10 --optimizer adamw --steps 60 --quiet --run astray

finish
