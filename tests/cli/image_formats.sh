#!/bin/sh
# Images of every format and of every shape, from the file to the sample and its likelihood: IDX,
# CIFAR-10, folders of PNG, pictures that mdlm has made itself.
. "$(dirname "$0")/helpers.inc"

unet="--base-channels 8 --channel-mults 1,2 --res-blocks 1 --batch-size 4"
dit="--backbone dit --layers 1 --dim 16 --heads 2 --batch-size 4"
letters() { "$mdlm" corpus tales --bytes 8000 --seed "$1" --quiet | head -c "$2"; }
pixels() { od -An -tu1 -j16 -N10 "$1" | awk '{ print $3 * 256 + $4, $7 * 256 + $8, $10 }'; }

# journey DATA "IMAGES" CLASS: trains, draws one of the class and one of none (of a model without
# classes, two), bounds the likelihood of what was held out.
journey() {
  data=$1 images=$2 class=$3
  shift 3
  rm -rf mdlm-image-run drawn
  expect 0 "$images" "$mdlm" image-train $data "$@" --steps 2 --timesteps 20
  expect 0 "" "$mdlm" info mdlm-image-run
  for sampler in ddpm heun; do
    expect 0 "" "$mdlm" image-generate --class "$class,none" --sampler $sampler --steps 4 -n 3 \
      --out drawn/ --json --quiet
    check "three lines" test "$(wc -l <out.txt)" -eq 3
  done
  [ "$class" = none ] ||
    check "of class $class" grep -q "\"index\":2,\"class\":\"$class\"" out.txt
  expect 0 "" "$mdlm" image-eval --vlb-steps 4 --json --quiet
  check "a finite bound" grep -q '"bits_per_dim":[0-9.]*,' out.txt
  no_temporary_files
}
kind() { pixels drawn/000000.png; } # width, height; 0 grey, 2 RGB, 6 RGBA

# --- IDX: 7 wide, 5 high, so that both backbones meet odd sides; compressed, with labels ---
{ printf '\000\000\010\003\000\000\000\024\000\000\000\005\000\000\000\007'; letters 1 700; } |
  gzip >my-images-idx3-ubyte.gz
{ printf '\000\000\010\001\000\000\000\024'
  for _ in 1 2 3 4 5 6 7 8 9 10; do printf '\000\002'; done; } | gzip >my-labels-idx1-ubyte.gz
journey my-images-idx3-ubyte.gz "images: 18 to train on, 2 to validate, 7x5, 1 channel, 3 classes" \
  2 $unet
check "images of 7x5" test "$(kind)" = "7 5 0"
check "info names the classes" sh -c "'$mdlm' info mdlm-image-run | grep -qx 'classes     3: 0 1 2'"
journey my-images-idx3-ubyte.gz "7x5, 1 channel" 0 $dit --val-fraction 0.3 --class-drop 0
expect 0 "has not learned what images of no class" "$mdlm" image-generate --guidance-scale 2 -n 1 \
  --steps 2
journey my-images-idx3-ubyte.gz "7 to train on, 1 to validate, 6x6, 3 channels" 0 $dit \
  --range 4:12 --image-size 6 --channels 3 --patch-size 3
check "images of 6x6" test "$(kind)" = "6 6 2"
# The same compressed or not.
expect 0 "" "$mdlm" image-eval --split all --vlb-steps 4 --json --quiet
cp out.txt compressed.json
gzip -dc my-images-idx3-ubyte.gz >my-images-idx3-ubyte
mkdir plain && mv my-images-idx3-ubyte plain
expect 0 "" "$mdlm" image-eval plain/my-images-idx3-ubyte --labels my-labels-idx1-ubyte.gz \
  --range 4:12 --split all --vlb-steps 4 --json
check "bits are bits" test "$(sed 's/"source":[^,]*,//' out.txt)" = \
  "$(sed 's/"source":[^,]*,//' compressed.json)"
# Four dimensions are colours; no file of labels is no classes.
{ printf '\000\000\010\004\000\000\000\010\000\000\000\004\000\000\000\004\000\000\000\003'
  letters 2 384; } >coloured
journey coloured "no file of labels lies beside '$work/coloured'" none $unet
check "images of three channels" test "$(kind)" = "4 4 2"

# --- CIFAR-10: a folder of two batches, and one file ---
mkdir cifar
for batch in 1 2; do
  for label in 0 3 7; do
    printf "\\00$label"
    letters $label$batch 3072
  done >cifar/data_batch_$batch.bin
done
check "records are whole" test "$(wc -c <cifar/data_batch_2.bin)" -eq 9219
journey cifar "images: 5 to train on, 1 to validate, 32x32, 3 channels, 10 classes" ship $unet
journey cifar/data_batch_2.bin "images: 2 to train on, 1 to validate, 8x8, 4 channels, 10 classes" \
  cat $dit --image-size 8 --channels 4 --patch-size 4
check "images of four channels" test "$(kind)" = "8 8 6"

# --- folders of PNG: the ones that mdlm draws, and the ones that a model has drawn ---
"$mdlm" corpus shapes --count 24 --image-size 12 --quiet --out pictures || fail "no pictures"
if "$mdlm" image-train pictures --run no --range 0:1 2>&1 | grep -q "built without"; then
  echo "pictures cannot be read in this build"
  finish
fi
journey pictures/ "images: 22 to train on, 2 to validate, 12x12, 3 channels, 8 classes" heart $unet
guided="--class star,ring --guidance-scale 2 --steps 5"
expect 0 "" "$mdlm" image-generate $guided -n 6 --out twice/ -t 1
expect 0 "" "$mdlm" image-generate $guided -n 3 --out again/ --first-index 3 -t 3
grep -q "class-drop" err.txt && fail "a model that knows none is warned of"
for i in 3 4 5; do same twice/00000$i.png again/00000$i.png "guided image $i"; done
cp pictures/captions.jsonl twice/notes.txt
journey twice "skipped 1 file that is no PNG or JPEG" none $unet
check "in the shape of their pictures" test "$(kind)" = "12 12 2"
"$mdlm" image-train shapes --image-size 8 --channels 1 $dit --steps 1 --quiet --run grey ||
  fail "a grey model"
expect 0 "" "$mdlm" image-generate -m grey --steps 2 -n 4 --out grey/made/ --quiet
journey grey/made "8x8, 1 channel, no classes" none $dit
check "grey pictures are grey" test "$(kind)" = "8 8 0"

finish
