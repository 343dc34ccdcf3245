#!/bin/sh
# Images from a model: grids, single files, moments; every sampler; the same image however many are
# made at once; errors before anything is written.
. "$(dirname "$0")/helpers.inc"

network="--image-size 8 --base-channels 8 --channel-mults 1,2 --res-blocks 1 --batch-size 8 --quiet"
train_images() { "$mdlm" image-train $network "$@" >train.out 2>train.err </dev/null; }
train_images --steps 120 --timesteps 40 --variance learned --loss hybrid ||
  fail "image-train: $(cat train.err)"
png() { head -c 4 "$1" 2>/dev/null | grep -q PNG; }
# Width and height, from the header.
pixels() { od -An -tu1 -j16 -N8 "$1" | awk '{ print $3 * 256 + $4, $7 * 256 + $8 }'; }

# --- grids and files ---
expect 0 "16 images 8x8 (default), sampler ddpm (default)" "$mdlm" image-generate
check "samples.png is a PNG" png samples.png
check "nothing but a picture for terminals goes to stdout" test ! -s out.txt
no_temporary_files
expect 0 "" "$mdlm" image-generate --num-samples 6 --columns 3 --zoom 2 --out grid.png --quiet
check "--quiet is quiet" test ! -s err.txt
check "3 columns, 2 rows" test "$(pixels grid.png | awk '{ print ($1 > 48) ($2 > 32) ($1 > $2) }')" = 111
expect 0 "" "$mdlm" image-generate -n 1 --out one.png --quiet
check "one image has no frame" test "$(pixels one.png)" = "8 8"
expect 0 "" "$mdlm" image-generate -n 3 --out images/ --first-index 2 --json --quiet
for i in 2 3 4; do
  check "image $i has a file" png images/00000$i.png
  check "and a line" grep -q "\"index\":$i,\"class\":\"[a-z]*\",\"label\":[0-9],\"file\":\"images/00000$i.png\",\"steps\":40,\"evaluations\":40,\"seconds\":" out.txt
done
check "three files, three lines" test "$(ls images | wc -l) $(wc -l <out.txt)" = "3 3"

# --- the same image, however it is made ---
for sampler in ddpm ddim dpm++ heun euler langevin; do
  expect 0 "" "$mdlm" image-generate --sampler $sampler --steps 7 -n 5 -t 1 --out a/ --quiet
  expect 0 "" "$mdlm" image-generate --sampler $sampler --steps 7 -n 2 -t 3 --out b/ --quiet
  expect 0 "" "$mdlm" image-generate --sampler $sampler --steps 7 -n 3 -t 2 --first-index 2 \
    --out b/ --quiet
  for i in 0 1 2 3 4; do same a/00000$i.png b/00000$i.png "image $i by $sampler"; done
done
cmp -s a/000000.png a/000001.png && fail "two images are one"
expect 0 "" "$mdlm" image-generate --sampler euler --steps 7 -n 1 --out c/ --seed 2 --quiet
cmp -s a/000000.png c/000000.png && fail "another seed gives the same image"

# --- what options do ---
plain="-n 1 --steps 5 --quiet"
expect 0 "" "$mdlm" image-generate $plain --sampler ddim --out plain.png
for what in "--spacing leading" "--spacing linspace" "--spacing karras" "--eta 1" \
            "--clip-x0 none" "--clip-x0 dynamic" "--class none" "--class 1" \
            "--guidance-scale 3" "--weights raw" "--dtype bf16"; do
  expect 0 "" "$mdlm" image-generate $plain --sampler ddim $what --out other.png
  cmp -s plain.png other.png && fail "$what changes nothing"
done
expect 0 "" "$mdlm" image-generate $plain --sampler ddpm --variance small --out small.png
expect 0 "" "$mdlm" image-generate $plain --sampler ddpm --variance large --out large.png
expect 0 "" "$mdlm" image-generate $plain --sampler ddpm --out learned.png
cmp -s small.png large.png && fail "--variance changes nothing"
cmp -s small.png learned.png && fail "a learned variance is not listened to"
expect 0 "" "$mdlm" image-generate $plain --eta 1 --out eta.png
expect 0 "" "$mdlm" image-generate $plain --eta 0 --out eta0.png
same plain.png eta0.png "with --eta the sampler is ddim"
same small.png eta.png "ddim with eta 1 is ddpm with small variance, to a byte"
expect 0 "" "$mdlm" image-generate $plain --sampler ddim --class circle --out named.png
same plain.png named.png "without --class, image 0 is of class 0, circle"
expect 0 "" "$mdlm" image-generate -n 4 --steps 2 --class 1,none --json --quiet
check "classes are taken in turn" test "$(grep -o '"label":[-0-9]*' out.txt | tr -d '\n')" = \
  '"label":1"label":-1"label":1"label":-1'
expect 0 "" "$mdlm" image-generate $plain --show
check "--show draws blocks" grep -q "$(printf '\342\226\200')" out.txt

# --- the denoising ---
expect 0 "their denoising in 'film'" "$mdlm" image-generate -n 3 --steps 30 --frames film
check "at most 24 moments" test "$(ls film | grep -c '^step-')" -eq 24
check "the last is the result" cmp -s film/step-0030.png samples.png
check "an animation" grep -q acTL film/film.png
check "a row for each image" png film/strip.png

# --- errors ---
mkdir empty && cd empty || exit 1
refuse 3 "there is no run in 'mdlm-image-run': make one with \`mdlm image-train\`" \
  "$mdlm" image-generate
run="--model ../mdlm-image-run --quiet"
refuse 2 "41 sampling steps of a process of 40 timesteps" "$mdlm" image-generate $run --steps 41
refuse 2 "did you mean 'circle'?" "$mdlm" image-generate $run --class cirle
refuse 2 "--class '99' is not known: expected one of the" "$mdlm" image-generate $run --class 99
refuse 2 "--class '' is not known" "$mdlm" image-generate $run --class 1,
refuse 2 "--eta is for --sampler ddim" "$mdlm" image-generate $run --sampler heun --eta 1
refuse 2 "--step-size is for --sampler langevin" "$mdlm" image-generate $run --step-size 1
refuse 2 "--level-steps is for --sampler langevin" "$mdlm" image-generate $run --sampler ddim \
  --level-steps 2
refuse 2 "100000 steps at each of 2 levels: expected from 1 to 50000" "$mdlm" image-generate $run \
  --sampler langevin --steps 2 --level-steps 100000
refuse 2 "--variance is for --sampler ddpm" "$mdlm" image-generate $run --variance small --eta 0
refuse 2 "--columns is for a grid" "$mdlm" image-generate $run --columns 3 --out some/
refuse 2 "--guidance-scale is for images of a class" "$mdlm" image-generate $run --class none \
  --guidance-scale 2
refuse 2 "in all; a folder, as in --out images/" "$mdlm" image-generate $run -n 1000000 --zoom 64
refuse 2 "would have 28784 x 128 pixels" "$mdlm" image-generate $run -n 200 --columns 200 --zoom 16
refuse 2 "--dtype q8_0 is for text" "$mdlm" image-generate $run --dtype q8_0
refuse 2 "--sampler 'dimm' is unknown" "$mdlm" image-generate $run --sampler dimm
refuse 5 "cannot write 'nowhere/x.png'" "$mdlm" image-generate $run --out nowhere/x.png
check "nothing was written" test "$(ls -A | tr "\n" " ")" = "err.txt out.txt "
cd .. || exit 1
make_corpus corpus.txt
train_tiny --steps 2 corpus.txt || fail "training: $(cat train.err)"
refuse 3 "mdlm-run/config.json" "$mdlm" image-generate --model mdlm-run --quiet
train_images --steps 2 --overwrite --run plain --zero-snr --prediction v || fail "$(cat train.err)"
refuse 2 "noise alone" "$mdlm" image-generate --run plain --spacing leading --steps 5 --quiet
refuse 2 "the model predicts none" "$mdlm" image-generate --run plain --sampler ddpm \
  --variance learned --steps 5 --quiet
for process in ve flow; do
  train_images --steps 2 --overwrite --run $process --process $process || fail "$(cat train.err)"
  for sampler in ddpm ddim dpm++ heun euler langevin; do
    expect 0 "" "$mdlm" image-generate --run $process -n 2 --steps 3 --sampler $sampler
  done
done

# --- a signal: what there is is saved ---
"$mdlm" image-generate --sampler ddpm -n 100000 --steps 40 --out half.png 2>signal.txt & job=$!
while ! grep -qs sampler signal.txt; do kill -0 $job || break; done
kill -TERM $job
wait $job
got=$?
check "ended by the signal: $got" test "$got" -eq 143
check "the grid is whole" png half.png
grep -q '100000 images in' signal.txt && fail "the signal changed nothing"

finish
