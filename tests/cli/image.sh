#!/bin/sh
# Training on images: a run folder with pictures, every process and loss, and errors before anything
# is written. (image_resume.sh: the same bits after a stop; image_inputs.sh: bad images.)
. "$(dirname "$0")/helpers.inc"

network="--base-channels 8 --channel-mults 1,2 --res-blocks 1 --batch-size 8 --quiet"
small="--image-size 16 $network"
train_images() { "$mdlm" image-train $small "$@" >train.out 2>train.err </dev/null; }

# --- a run ---
train_images --steps 60 --eval-every 20 --sample-every 30 --json -t 1 ||
  fail "image-train: $(cat train.err)"
run=mdlm-image-run
for key in parameters steps images seconds images_per_second train_loss val_loss peak_rss_bytes \
           run; do
  check "the result has $key" grep -q "\"$key\"" train.out
done
for file in config.json model.safetensors run.json metrics.jsonl loss.svg samples/step-30.png; do
  check "the run has $file" test -s $run/$file
done
check "the grid is a PNG" sh -c "head -c 4 $run/samples/step-30.png | grep -q PNG"
check "it learns" awk "BEGIN { exit !($(last val_loss $run/metrics.jsonl) < \
  0.7 * $(first train_loss $run/metrics.jsonl)) }"
check "classes have their names" grep -q '"circle"' $run/config.json
no_temporary_files

# --- every process, loss and schedule trains ---
for what in "--process ve" "--process flow --prediction v" "--zero-snr" "--loss hybrid" \
            "--prediction x0 --loss v" "--prediction v --loss min-snr" "--noise-schedule linear" \
            "--noise-schedule scaled-linear --variance large" "--noise-schedule sigmoid" \
            "--timestep-sampling loss-aware" "--channels 4 --flip" "--attn-res 8,4" \
            "--checkpoint-activations --dropout 0.2" "--optimizer muon" "--class-drop 1" \
            "--accum 2 --ema 0" "--dtype f32"; do
  "$mdlm" image-train --image-size 8 $network --steps 2 --overwrite --run other $what ||
    fail "$what does not train"
done
train_images --steps 2 --overwrite --run next --init $run || fail "--init: $(cat train.err)"
refuse 2 "another shape" "$mdlm" image-train --init $run --steps 2 --run shape --quiet

# --- a run goes on as it began, or not at all ---
train_images --steps 6 --stop-at 3 --run half || fail "half: $(cat train.err)"
refuse 2 "holds a run" "$mdlm" image-train $small --run half
refuse 2 "cannot go on with" "$mdlm" image-train --resume --run half --loss hybrid
refuse 2 "cannot go on with" "$mdlm" image-train --resume --run half --base-channels 16
refuse 2 "other images" "$mdlm" image-train --resume --run half "$mdlm"
make_corpus corpus.txt
train_tiny --steps 2 --run text corpus.txt || fail "text: $(cat train.err)"
refuse 2 "no run of mdlm image-train" "$mdlm" image-train --resume --run text
refuse 2 "no run of mdlm train" "$mdlm" train --resume --run half
for command in "generate -n 4" "score --response x" "eval corpus.txt" "chat"; do
  refuse 3 "'half' is a model of images" "$mdlm" $command -m half
done
expect 0 "" "$mdlm" image-train --config half/run.json --run again --quiet
cmp -s half/config.json again/config.json || fail "--config makes another model"

# --- what makes no sense is refused, and nothing is left ---
refuse 2 "reaches beta = 1 with 20 timesteps" "$mdlm" image-train --timesteps 20 \
  --noise-schedule linear --run no
refuse 2 "says nothing about the image" "$mdlm" image-train --zero-snr --prediction eps --run no
refuse 2 "learned variances" "$mdlm" image-train --loss hybrid --variance small --run no
refuse 2 "images of 2 channels" "$mdlm" image-train --channels 2 --run no
refuse 2 "expected A:B" "$mdlm" image-train --range 9:3 --run no
refuse 2 "multiple of 8" "$mdlm" image-train --base-channels 12 --run no
refuse 2 "can be halved" "$mdlm" image-train --image-size 8 --channel-mults 1,1,1,1,1 --run no
refuse 2 "is for --backbone dit" "$mdlm" image-train --patch-size 4 --run no
refuse 2 "nearest that do are 4 and 8" "$mdlm" image-train --backbone dit --patch-size 5 --run no
refuse 2 "is for --process vp" "$mdlm" image-train --process flow --noise-schedule linear --run no
refuse 2 "--frames: a grid of 192 images" "$mdlm" image-generate -n 8 --zoom 64 --steps 30 \
  --frames no --out no/
refuse 3 "no such file" "$mdlm" image-train none.gz --run no
refuse 3 "holds no images" "$mdlm" image-train corpus.txt --run no
check "nothing is left of what was refused" test ! -e no

finish
