#!/bin/sh
# image-eval --frechet: samples beside real images in a classifier's features: the same bits for any
# number of threads, images that were made before, and errors before anything is computed.
. "$(dirname "$0")/helpers.inc"

make_digits
data="$digits --labels labels"
tiny="--base-channels 8 --channel-mults 1 --res-blocks 1 --batch-size 8 --steps 4 --quiet"
"$mdlm" image-train $data $tiny --timesteps 20 >/dev/null || fail "image-train"
"$mdlm" image-train $data $tiny --task classify --no-noisy --run judge >/dev/null ||
  fail "a classifier"
judge="$mdlm image-eval --frechet --classifier judge --resamples 8"

# --- samples made here ---
expect 0 "12 samples, sampler ddim, steps 5" $judge --no-bound -n 12 --sampler ddim --steps 5 --json
check "one line" test "$(wc -l <out.txt)" -eq 1
for what in frechet label_accuracy precision recall coverage; do
  check "the result has $what" grep -q "\"$what\":[0-9]" out.txt
  check "and its floor" grep -q "\"${what}_floor\":[0-9]" out.txt
done
check "counts" grep -q '"samples":12,"samples_floor":12,"references":28,' out.txt
check "an interval around the distance" awk "BEGIN { exit !($(field frechet_low) < \
  $(field frechet) && $(field frechet) < $(field frechet_high)) }"
check "no bound" sh -c '! grep -q bits_per_dim out.txt'
cp out.txt ddim.json
for what in "-t 1" "-t 3"; do
  expect 0 "" $judge --no-bound -n 12 --sampler ddim --steps 5 --json $what
  same out.txt ddim.json "$what"
done
expect 0 "note: there are 40 real images, so the floor is of 20 of them, not of 30" $judge \
  --no-bound -n 30 --steps 3 --json --references 10
check "fewer of them" grep -q '"samples":30,"samples_floor":20,"references":10,' out.txt
expect 0 "scoring the validation part" $judge -n 6 --steps 3 --vlb-steps 4
for word in bits/dim frechet "label accuracy" precision recall coverage "6 samples, or 6 other"; do
  check "the report has '$word'" grep -qF -e "$word" out.txt
done

# --- samples made before: the same images, the same distance ---
for class in "" 1; do
  "$mdlm" image-generate --quiet --out made$class/ -n 12 --sampler ddim --steps 5 \
    ${class:+--class $class} || fail "image-generate"
  expect 0 "12 samples, from 'made$class/'" $judge --no-bound --samples made$class/ --class \
    ${class:-all} --json
  cp out.txt made.json
  expect 0 "" $judge --no-bound -n 12 --sampler ddim --steps 5 --class ${class:-all} --json
  for what in frechet frechet_low label_accuracy precision coverage; do
    check "$what of files" test "$(field $what)" = "$(field $what made.json)"
  done
done

# --- errors ---
refuse 2 "--frechet needs --classifier RUN" "$mdlm" image-eval --frechet
refuse 2 "--classifier is for --frechet" "$mdlm" image-eval --classifier judge
refuse 2 "--sampler is for --frechet" "$mdlm" image-eval --sampler ddim
refuse 2 "--bound is for --frechet" "$mdlm" image-eval --no-bound
refuse 2 "--vlb-steps is for the bound" $judge --no-bound --vlb-steps 8
refuse 2 "--steps is for images that are sampled" $judge --samples made/ --steps 8
refuse 2 "5 samples and 40 real images are too few" $judge -n 5
refuse 2 "'made/' has 12 images" $judge --samples made/ -n 13
refuse 3 "no such folder" "$mdlm" image-eval --frechet --classifier nothing
refuse 2 "holds no classifier" "$mdlm" image-eval --frechet --classifier mdlm-image-run
"$mdlm" image-train $data $tiny --task classify --run noisy >/dev/null || fail "a noisy classifier"
refuse 2 "is for noisy images" "$mdlm" image-eval --frechet --classifier noisy
"$mdlm" image-train --image-size 16 $tiny --task classify --no-noisy --run other >/dev/null ||
  fail "another classifier"
refuse 2 "for images of 16x16x3: those of the model are 8x8x1" "$mdlm" image-eval --frechet \
  --classifier other
"$mdlm" image-generate --quiet --out large/ -n 6 --steps 2 --zoom 2 || fail "larger images"
refuse 3 "has images of 16x16x1: the model's are 8x8x1" $judge --samples large/

finish
