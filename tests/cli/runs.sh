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
for name in config.json generation_config.json tokenizer.json tokenizer_config.json \
            special_tokens_map.json run.json \
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

echo keep >mdlm-run/notes.txt
refuse 2 "notes.txt" "$mdlm" train $tiny --overwrite corpus.txt
check "a foreign file in the run is kept" grep -q keep mdlm-run/notes.txt
rm mdlm-run/notes.txt
ln -s mdlm-run link
refuse 2 "symbolic link" "$mdlm" train $tiny --overwrite --run link corpus.txt

# What the saved state depends on cannot change, and nothing is taken in silence.
cp corpus.txt twin.txt
refuse 2 "batch_size" "$mdlm" train --resume --batch-size 8
refuse 2 "optimizer" "$mdlm" train --resume --optimizer adamw
refuse 2 "ema" "$mdlm" train --resume --ema 0
refuse 2 "seed" "$mdlm" train --resume --seed 5
refuse 2 "another corpus" "$mdlm" train twin.txt --resume
refuse 2 "exclude" "$mdlm" train --resume --init mdlm-run
same mdlm-run/run.json before/run.json "refusals change nothing"
expect 0 "" "$mdlm" train corpus.txt --resume --stop-at 5 --json --quiet
check "a step that is past is not taken again" grep -q '"steps":10,' out.txt

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

# Another run's weights to start from, in their own shape only.
expect 0 "" "$mdlm" train corpus.txt --init mdlm-run --batch-size 4 --steps 5 --run tuned --quiet
same mdlm-run/config.json tuned/config.json "--init brings its shape"
expect 0 "" "$mdlm" train corpus.txt --init mdlm-run --seq-len 16 --batch-size 4 --steps 5 --run shorter --quiet
check "shorter sequences are the trained length" grep -q '"max_sequence_length":[[:space:]]*16,' shorter/config.json
expect 0 "" "$mdlm" train --resume --run shorter --quiet
refuse 2 "more than the 32 of the model" "$mdlm" train corpus.txt --init mdlm-run --seq-len 33 --run longer
refuse 2 "layers" "$mdlm" train corpus.txt --init mdlm-run --layers 3 --run tuned2 --quiet
check "nothing is left of it" test -z "$(find . -name 'tuned2*')"

# Two trainings in one run: the second is refused, and the first goes on.
"$mdlm" train $tiny --steps 100000 --run busy corpus.txt 2>busy.err &
pid=$!
tries=0
until [ -d busy/checkpoints/step-1 ] || [ $tries -ge 100 ]; do sleep 0.1; tries=$((tries + 1)); done
refuse 2 "another training" "$mdlm" train --resume --run busy
refuse 2 "another training" "$mdlm" train $tiny --overwrite --run busy corpus.txt
kill -9 $pid
wait $pid 2>/dev/null
expect 0 "" "$mdlm" train --resume --stop-at 3 --run busy --quiet
check "what was killed after its first step goes on" test -d busy/checkpoints

# A run that dies before it has saved anything leaves nothing, and brings the old one back.
cp -r elsewhere elsewhere.before
if (ulimit -v 4000000 && "$mdlm" --version >/dev/null 2>&1); then # not under a sanitizer
  (ulimit -v 4000000 && exec "$mdlm" train --layers 1 --dim 32 --heads 2 --ff 65536 \
    --seq-len 16384 --batch-size 1 --steps 1 --overwrite --run elsewhere --quiet corpus.txt) \
    >out.txt 2>err.txt
  check "it fails for want of memory" test $? -eq 1
  check "and says so" grep -q "out of memory" err.txt
  same elsewhere/model.safetensors elsewhere.before/model.safetensors "the old run is back"
  check "nothing is beside it" \
    test -z "$(find . -name 'elsewhere.old*' -o -name 'elsewhere.new*')"
fi

# A model that no memory will do for is refused before anything is read.
mkdir giant && cp mdlm-run/*.json giant
sed -i 's/"d_model":.*,/"d_model": 65536,/; s/"n_layers":.*,/"n_layers": 512,/' giant/config.json
for adapters in 0 4; do
  refuse 1 "needs at least" "$mdlm" train corpus.txt --init giant --lora $adapters --run no --quiet
done
check "no run is left" test ! -e no

# A run.json repeats a run, corpus included.
expect 0 "" "$mdlm" train --config mdlm-run/run.json --run again --quiet
same mdlm-run/model.safetensors again/model.safetensors "--config repeats a run"

finish
