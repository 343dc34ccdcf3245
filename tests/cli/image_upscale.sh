#!/bin/sh
# Models that make images larger by use: training, image-eval beside bicubic interpolation, pictures
# and cascades, and errors before anything is written.
. "$(dirname "$0")/helpers.inc"

tiny="--base-channels 8 --channel-mults 1 --res-blocks 1 --batch-size 8 --quiet"
up="$mdlm image-train --image-size 16 --task upscale $tiny"

# --- training and measuring ---
$up --steps 6 --sample-every 3 --run up >out.txt 2>err.txt || fail "image-train: $(cat err.txt)"
check "a grid of what it makes of small images" test -s up/samples/step-3.png
check "the folder says the factor" grep -q '"upscale_factor":[[:space:]]*2' up/config.json
check "it needs no classes" grep -q '"classes":[[:space:]]*0' up/config.json
expect 0 "8x8 to 16x16, sampler ddim, steps 4" "$mdlm" image-eval --run up -n 5 --sampler ddim \
  --steps 4 --json
for key in psnr psnr_bicubic psnr_gain stderr better images factor sampler steps source split; do
  check "the result has $key" grep -q "\"$key\":" out.txt
done
cp out.txt five.json
for what in "-t 1" "-t 3"; do
  expect 0 "" "$mdlm" image-eval --run up -n 5 --sampler ddim --steps 4 --json --quiet $what
  same out.txt five.json "$what"
done
expect 0 "scoring the validation part" "$mdlm" image-eval --run up -n 5 --steps 4
for word in psnr bicubic gain "5 images, nearer"; do
  check "the report has '$word'" grep -qF -e "$word" out.txt
done
$up --steps 4 --stop-at 2 --run half >/dev/null || fail "half"
"$mdlm" image-train --resume --run half --quiet >/dev/null || fail "the other half"
$up --steps 4 --run whole >/dev/null || fail "whole"
same half/model.safetensors whole/model.safetensors "a training that was stopped"
"$mdlm" image-train --image-size 16 --task upscale --backbone dit --layers 1 --dim 32 \
  --patch-size 4 --steps 2 --quiet --run dit >/dev/null || fail "a transformer"

# --- pictures, and cascades ---
"$mdlm" image-train --image-size 8 $tiny --steps 2 >/dev/null || fail "a base"
"$mdlm" image-generate --quiet -n 3 --steps 2 --out small/ || fail "small images"
expect 0 "3 images 16x16" "$mdlm" image-generate --run up --upscale small --steps 3 --out large/
check "each of them" test "$(ls large | wc -l)" -eq 3
expect 0 "" "$mdlm" image-generate --run up --upscale small/000001.png --steps 3 -n 2 --out two/
check "as many as asked for" test "$(ls two | wc -l)" -eq 2
cmp -s two/000000.png two/000001.png && fail "samples of one picture are all alike"
expect 0 "" "$mdlm" image-generate --upscaler up --steps 3 -n 3 --out cascade/ --json
check "a line an image" test "$(wc -l <out.txt)" -eq 3
"$mdlm" image-generate --upscaler up --steps 3 -n 1 --first-index 2 --out last/ --quiet ||
  fail "a cascade of one"
same cascade/000002.png last/000002.png "an image of a cascade depends on its number alone"

# --- errors ---
refuse 2 "is 16x16: the model makes 16x16 of 8x8" "$mdlm" image-generate --run up \
  --upscale large/000000.png --out no/
refuse 2 "name one with --upscale" "$mdlm" image-generate --run up --out no/
refuse 2 "makes nothing larger" "$mdlm" image-generate --upscale small --out no/
refuse 2 "makes nothing larger" "$mdlm" image-generate --upscaler mdlm-image-run --out no/
"$mdlm" image-train --image-size 16 $tiny --steps 2 --run same >/dev/null || fail "another base"
refuse 2 "makes 16x16x3 of 8x8x3: images of the model are 16x16x3" "$mdlm" image-generate \
  --run same --upscaler up --out no/
refuse 3 "there is no such folder" "$mdlm" image-generate --upscaler nothing --out no/
refuse 2 "cannot be made so many times smaller" $up --factor 3 --steps 2 --run no
refuse 2 "--factor is for --task upscale" "$mdlm" image-train --factor 2 --run no
refuse 2 "--loss vlb is for --task generate" $up --loss vlb --run no
refuse 2 "--class-drop is for --task generate" $up --class-drop 0 --run no
refuse 2 "--vlb-steps is for models that draw from noise alone" "$mdlm" image-eval --run up --vlb-steps 4
refuse 2 "--frechet is for" "$mdlm" image-eval --run up --frechet --classifier up
check "nothing is left of what was refused" test ! -e no

finish
