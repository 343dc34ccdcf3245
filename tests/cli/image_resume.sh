#!/bin/sh
# A training on images that was stopped and goes on ends with the bits of one that was not, whatever
# it trains and on however many threads.
. "$(dirname "$0")/helpers.inc"

# The same in every file that a training leaves; of metrics, what the clock says does not count.
same_run() {
  for file in model.safetensors config.json checkpoints/step-$3/raw.safetensors \
              checkpoints/step-$3/ema.safetensors checkpoints/step-$3/optimizer.safetensors; do
    [ ! -e $1/$file ] || same $1/$file $2/$file "$4"
  done
  for grid in $1/samples/*.png; do [ ! -e $grid ] || same $grid $2/samples/${grid##*/} "$4"; done
  for run in $1 $2; do
    sed 's/"seconds":[^,]*,//; s/"images_per_second":[^,}]*//' $run/metrics.jsonl >$run.metrics
  done
  same $1.metrics $2.metrics "$4"
}

unet="--image-size 8 --base-channels 8 --channel-mults 1,2 --res-blocks 1"
dit="--image-size 8 --channels 1 --backbone dit --patch-size 2 --layers 2 --dim 32"
for what in "$unet" \
            "$unet --noise-schedule learned --loss vlb --dropout 0.2 --accum 2 --flip --ema 0.9" \
            "$unet --loss hybrid --timestep-sampling loss-aware --class-drop 0.5 --optimizer muon" \
            "$unet --process ve --accum 3 --ema 0 --dtype f32 --lr-schedule wsd" \
            "$unet --task classify --process flow --dropout 0.1" "$unet --task classify --no-noisy" \
            "$dit --zero-snr --loss min-snr --dtype bf16 --optimizer adamw" \
            "$dit --process flow --dropout 0.1 --timestep-sampling loss-aware"; do
  set -- --steps 12 --batch-size 6 --eval-every 4 --save-every 5 --sample-every 6 --overwrite \
    --quiet
  "$mdlm" image-train $what "$@" -t 1 --run whole || fail "$what"
  "$mdlm" image-train $what "$@" -t 3 --run parts --stop-at 7 || fail "$what, stopped"
  check "the first part is not the whole" test ! -e parts/checkpoints/step-12
  expect 0 "" "$mdlm" image-train --resume --run parts --quiet -t 2 --stop-at 8
  expect 0 "" "$mdlm" image-train --resume --run parts --quiet -t 2 --checkpoint-activations
  same_run whole parts 12 "12 steps, and 7, 1 and 4 on other threads, with $what"
done
"$mdlm" image-train $what "$@" --run other --seed 2 || fail "another seed"
cmp -s whole/model.safetensors other/model.safetensors && fail "another seed gives the same model"

# As in a run on a machine that is switched off now and then: a signal at any time.
set -- $unet --loss vlb --noise-schedule cosine --optimizer adamw --batch-size 6 --save-every 10 \
  --eval-every 40 --quiet --seed 3
"$mdlm" image-train "$@" --steps 100 --run calm || fail "calm"
"$mdlm" image-train "$@" --steps 100 --run signal >out.txt 2>err.txt &
child=$!
tries=0
while [ ! -e signal/checkpoints/step-10 ] && [ $tries -lt 400 ]; do
  sleep 0.02
  tries=$((tries + 1))
done
kill -TERM $child
wait $child
check "SIGTERM ends with 143, after what was to be done with 0" test $? -eq 143 -o \
  -e signal/checkpoints/step-100
expect 0 "" "$mdlm" image-train --resume --run signal --quiet
same calm/model.safetensors signal/model.safetensors "100 steps, and some, and the others"

# What has ended can be given more, and what nobody asked to be changed is not.
expect 0 "" "$mdlm" image-train --resume --run calm --quiet --steps 110
check "it goes on" test -e calm/checkpoints/step-110
expect 0 "" "$mdlm" image-train --resume --run calm --quiet --steps 50
check "there is nothing left to do" test -e calm/checkpoints/step-110
for change in "--seed 4" "--flip" "--class-drop 0" "--noise-schedule learned" "--batch-size 5" \
              "--loss simple" "--timestep-sampling uniform" "--dropout 0.5" "--range 0:100" \
              "--image-size 16" "--ema 0" "--optimizer muon" "--accum 2" "--attn-res 8"; do
  refuse 2 "'calm' was started with" "$mdlm" image-train --resume --run calm --quiet $change
done
refuse 2 "there is no run to resume in 'nowhere'" "$mdlm" image-train --resume --run nowhere
refuse 2 "exclude each other" "$mdlm" image-train --resume --run calm --overwrite
refuse 2 "exclude each other" "$mdlm" image-train --resume --run calm --init whole
no_temporary_files

finish
