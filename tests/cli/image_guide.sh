#!/bin/sh
# Guidance by a classifier: of models with classes and without, what it changes, and classifiers
# that do not fit.
. "$(dirname "$0")/helpers.inc"

network="--base-channels 8 --quiet"
small="--image-size 8 --batch-size 8"
chain="--process vp --timesteps 40"
train_images() {
  "$mdlm" image-train $network "$@" >train.out 2>train.err </dev/null ||
    fail "image-train $*: $(cat train.err)"
}
draws="--channel-mults 1,2 --res-blocks 1"
tells="--task classify --channel-mults 1,2 --res-blocks 1"
train_images $draws $small $chain --steps 20
train_images $tells $small $chain --steps 20 --run guide
train_images $tells $small --steps 2 --run clean --no-noisy
train_images $tells $chain --steps 2 --run large --image-size 12 --batch-size 8
train_images $tells $small --steps 2 --run other --noise-schedule linear --timesteps 60
make() { "$mdlm" image-generate --sampler ddim --steps 5 --num-samples 2 --quiet "$@"; }

# --- what it changes ---
expect 0 "" make --out plain/
for scale in 0 1 4; do
  expect 0 "" make --classifier guide --classifier-scale $scale --out scale$scale/
done
same plain/000000.png scale0/000000.png "scale 0 is off"
cmp -s plain/000000.png scale4/000000.png && fail "a classifier changes nothing"
cmp -s scale1/000000.png scale4/000000.png && fail "its scale changes nothing"
expect 0 "" make --classifier guide --classifier-scale 4 --out again/ -t 3
same again/000001.png scale4/000001.png "threads do not matter"
expect 0 "" make --classifier guide --out alone/ --guidance-scale 0
cmp -s alone/000000.png scale1/000000.png && fail "labels of the model change nothing"
expect 0 "classifier 'guide', scale 1 (default)" "$mdlm" image-generate --sampler ddim --steps 2 \
  --classifier guide --class 1
for sampler in ddpm dpm++ heun euler; do
  expect 0 "" "$mdlm" image-generate --quiet --sampler $sampler --steps 3 -n 2 --classifier guide
done
expect 0 "" make --classifier guide --init-image plain/000000.png --class 2

# --- a model without classes ---
mkdir photos
for kind in plain scale1 scale4; do cp $kind/000000.png photos/$kind.png; done
train_images photos $draws $chain --image-size 8 --batch-size 2 --val-fraction 0 --steps 2 --run free
expect 0 "" make --run free --classifier guide --class circle --json
check "of the classifier's classes" grep -q '"class":"circle","label":0' out.txt
expect 0 "" "$mdlm" image-generate --steps 2 -n 3 --quiet --run free --classifier guide --json
check "all of them in turn" grep -q '"index":2,"class":"[a-z]*","label":2' out.txt

# --- errors ---
mkdir empty && cd empty || exit 1
try="--model ../mdlm-image-run --quiet"
refuse 2 "--classifier '../large' is for images of 12x12x3" "$mdlm" image-generate $try \
  --classifier ../large
refuse 2 "has learned from clean images" "$mdlm" image-generate $try --classifier ../clean
refuse 2 "'../other' has learned other noise than the model: expected one that was trained with --p" \
  "$mdlm" image-generate $try --classifier ../other
refuse 2 "holds no classifier" "$mdlm" image-generate $try --classifier ../mdlm-image-run
refuse 3 "there is no such folder" "$mdlm" image-generate $try --classifier nowhere
refuse 2 "--classifier-scale is for --classifier" "$mdlm" image-generate $try --classifier-scale 2
refuse 2 "--classifier guides images of a class" "$mdlm" image-generate $try --class none \
  --classifier ../guide
refuse 2 "--class 'nose' is not known" "$mdlm" image-generate --model ../free --quiet \
  --classifier ../guide --class nose
check "nothing was written" test "$(ls -A | tr "\n" " ")" = "err.txt out.txt "

finish
