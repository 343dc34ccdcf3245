#!/bin/sh
# Run folders: taken, missing, unwritable, of another shape, resumed.
. "$(dirname "$0")/helpers.inc"
make_corpus corpus.txt
: >file

refuse 5 "file" "$mdlm" train $tiny --steps 5 corpus.txt --run file/below
refuse 5 "file" "$mdlm" train $tiny --steps 5 corpus.txt --run file
check "the file in the way is still there" test -f file
refuse 2 "nowhere" "$mdlm" train --resume --run nowhere
check "--resume makes no folder" test ! -e nowhere

mkdir other && echo mine >other/letter.txt
refuse 2 "other" "$mdlm" train $tiny --steps 5 corpus.txt --run other
check "a folder of other files is not touched" grep -q mine other/letter.txt

train_tiny --steps 10 corpus.txt || fail "training: $(cat train.err)"
for name in config.json generation_config.json tokenizer.json tokenizer_config.json run.json \
            model.safetensors metrics.jsonl loss.svg checkpoints data; do
  check "the run has $name" test -s "mdlm-run/$name"
done
check "no temporary is left" test "$(find mdlm-run -name '*tmp*' | wc -l)" -eq 0
cp -r mdlm-run before

refuse 2 "--overwrite" "$mdlm" train $tiny --steps 10 corpus.txt
refuse 2 "mdlm-run" "$mdlm" train --resume --layers 2
refuse 2 "mdlm-run" "$mdlm" train --resume --dim 64
refuse 2 "exclude" "$mdlm" train --resume --overwrite
same mdlm-run/model.safetensors before/model.safetensors "refusals change nothing"
same mdlm-run/run.json before/run.json "refusals change nothing"

refuse 3 "missing.txt" "$mdlm" train $tiny --overwrite missing.txt
same mdlm-run/model.safetensors before/model.safetensors "a failed --overwrite keeps the old run"

expect 0 "mdlm generate --blocks 8" "$mdlm" train --resume --steps 12
check "the resumed run went on" grep -q '"step":12' mdlm-run/metrics.jsonl
expect 0 "" "$mdlm" train $tiny --overwrite --steps 5 --json corpus.txt
check "--json prints one line" test "$(wc -l <out.txt)" -eq 1
for key in parameters steps tokens seconds tokens_per_second train_nelbo_nats_per_byte \
           val_nelbo_nats_per_byte peak_rss_bytes run; do
  check "the summary has $key" grep -q "\"$key\":" out.txt
done
check "steps are counted" grep -q '"steps":5,"tokens":640,' out.txt
check "there are no other keys" test "$(grep -o '":' out.txt | wc -l)" -eq 9

expect 0 "--run elsewhere" "$mdlm" train --layers 1 --dim 32 --heads 2 --ff 64 --seq-len 32 \
  --batch-size 4 --steps 5 --run elsewhere corpus.txt
check "stdout stays empty" test ! -s out.txt
expect 0 "train --resume --run elsewhere" "$mdlm" train --layers 1 --dim 32 --heads 2 --ff 64 \
  --seq-len 32 --batch-size 4 --steps 5 --stop-at 2 --overwrite --run elsewhere corpus.txt

# A run.json repeats a run, corpus included.
expect 0 "" "$mdlm" train --config mdlm-run/run.json --run again --quiet
same mdlm-run/model.safetensors again/model.safetensors "--config repeats a run"

finish
