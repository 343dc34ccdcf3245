#!/bin/sh
# Classifiers of images by use: training, image-eval, info, and errors before anything is written.
. "$(dirname "$0")/helpers.inc"

make_digits
tiny="--base-channels 8 --channel-mults 1 --res-blocks 1 --batch-size 8 --steps 4"

# --- training and measuring ---
for kind in noisy no-noisy; do
  rm -rf "$kind"
  expect 0 "to measure it:   mdlm image-eval --run $kind" "$mdlm" image-train $digits \
    --labels labels --task classify --$kind --range 0:30 $tiny --run $kind
  expect 0 "scoring the validation part" "$mdlm" image-eval --run $kind --json
  check "one line" test "$(wc -l <out.txt)" -eq 1
  for key in accuracy accuracy_low accuracy_high loss_nats stderr images classes source split \
             weights noisy levels; do
    check "the result has $key" grep -q "\"$key\":" out.txt
  done
  check "the validation part" grep -q '"images":3,"classes":3,.*"split":"val"' out.txt
  check "an interval" awk "BEGIN { exit !($(field accuracy_low) <= $(field accuracy) && \
    $(field accuracy) <= $(field accuracy_high)) }"
  cp out.txt whole.json
  for what in "-t 1" "-t 3"; do
    expect 0 "" "$mdlm" image-eval --run $kind --json --quiet $what
    same out.txt whole.json "$what"
  done
  expect 0 "it has seen none of these" "$mdlm" image-eval --run $kind --range 30:40 \
    --labels labels --items items.jsonl
  check "an accuracy" grep -q '^accuracy .*%   (.* to .*, 95%)' out.txt
  check "a line an image" test "$(wc -l <items.jsonl)" -eq 10
  check "what it told" grep -q '^{"index":3[0-9],"class":"[012]","told":"[012]","nats":' items.jsonl
  expect 0 "" "$mdlm" info $kind
  check "info says what it is" grep -q "^network     encoder, channels 8" out.txt
  expect 0 "" "$mdlm" info $kind --json
  refuse 2 "'$kind' holds a classifier, which draws nothing" "$mdlm" image-generate --run $kind \
    --out x.png
  check "nothing is drawn" test ! -e x.png
  refuse 2 "--vlb-steps is for models that draw" "$mdlm" image-eval --run $kind --vlb-steps 4
done
"$mdlm" image-eval --run noisy --quiet >out.txt || fail "image-eval"
check "eleven levels of noise" test "$(grep -c '^ *[0-9]* .*%' out.txt)" -eq 11
check "from the least noise" grep -q '^ *0 ' out.txt
check "to the most" grep -q '^ *999 ' out.txt
expect 0 "" "$mdlm" info no-noisy
check "it classifies clean images" grep -qx "classifies  clean images" out.txt

# --- errors ---
new="$mdlm image-train $digits --labels labels --task classify $tiny --run new"
refuse 2 "--backbone dit is for --task generate" $new --backbone dit
refuse 2 "--loss is for --task generate" $new --loss vlb
refuse 2 "--class-drop is for --task generate" $new --class-drop 0
refuse 2 "--timesteps is for images with noise" $new --no-noisy --timesteps 10
refuse 2 "--noisy is for --task classify" "$mdlm" image-train $digits --labels labels $tiny \
  --no-noisy --run new
refuse 2 "expected one of generate, classify" "$mdlm" image-train --task classfy --run new
refuse 3 "needs the class of every image: 40 of 40 have none" "$mdlm" image-train $digits $tiny \
  --task classify --run new
refuse 3 "not one of the 10 images" "$mdlm" image-eval $digits --run noisy --range 30:40
refuse 2 "holds a network of another shape" $new --init no-noisy
refuse 2 "was started with task" "$mdlm" image-train --resume --run noisy --task generate
check "nothing is left of what failed" test ! -e new

finish
