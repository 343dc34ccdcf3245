#!/bin/sh
# image-eval: which images it scores, what it prints, the same bits for any number of threads, and
# errors before anything is written.
. "$(dirname "$0")/helpers.inc"

make_digits
network="--base-channels 8 --channel-mults 1 --res-blocks 1 --batch-size 8 --quiet"
"$mdlm" image-train $digits --labels labels --range 0:30 $network --steps 20 --process vp --timesteps 20 \
  >/dev/null || fail "image-train"

# --- the run's own images ---
expect 0 "the run's own images: scoring the validation part" "$mdlm" image-eval --json
check "one line" test "$(wc -l <out.txt)" -eq 1
for key in bits_per_dim stderr stderr_mc stderr_data prior decoder vlb_terms images evaluations \
           vlb_steps source split weights classes strata; do
  check "the result has $key" grep -q "\"$key\":" out.txt
done
cp out.txt own.json
check "a tenth of 30 images is kept for validation" grep -q '"images":3,.*"split":"val"' own.json
check "20 levels, 32 evaluations" test "$(field evaluations)" -eq 96
check "the parts add up" awk "BEGIN { d = $(field bits_per_dim) - $(field prior) - \
  $(field decoder) - $(field vlb_terms); exit !(d * d < 1e-18) }"
check "classes are told" grep -q '"classes":true' own.json
for what in "$digits" "-t 1" "-t 3" "--config mdlm-image-run/../own.cfg"; do
  echo '{"vlb_steps": 32}' >own.cfg
  expect 0 "validation part" "$mdlm" image-eval $what --json
  same out.txt own.json "$what"
done
mkdir elsewhere && cp -r digits elsewhere/copy
(cd elsewhere && "$mdlm" image-eval --run ../mdlm-image-run --json --quiet) >out.txt ||
  fail "from another folder"
same out.txt own.json "from another folder, with labels that were named by a relative path"
expect 0 "that the model was trained on: scoring the validation part" "$mdlm" image-eval \
  elsewhere/copy/a-images-idx3-ubyte --range 0:30 --labels labels --json
check "a copy is recognised" test "$(field bits_per_dim)" = "$(field bits_per_dim own.json)"
for split in all:30 train:27; do
  expect 0 "" "$mdlm" image-eval --split ${split%:*} --vlb-steps 4 --json
  check "--split $split" grep -q "\"images\":${split#*:},.*\"split\":\"${split%:*}\"" out.txt
done

# --- others ---
for data in "$digits" ""; do
  expect 0 "it has seen none of these" "$mdlm" image-eval $data --range 30:40 --labels labels --json
  check "ten images, all of them" grep -q '"images":10,.*"split":"all"' out.txt
done
cp out.txt test.json
expect 0 "it has seen some of these" "$mdlm" image-eval --range 20:40 --labels labels --vlb-steps 4
expect 0 "note: there are 10 images" "$mdlm" image-eval --range 30:40 --vlb-steps 4 -n 11 --json
check "without labels no classes are told" grep -q '"images":10,.*"classes":false' out.txt
expect 0 "told no classes" "$mdlm" image-eval --range 30:40 --labels labels --class-free --json
check "classes matter" test "$(field bits_per_dim)" != "$(field bits_per_dim test.json)"
expect 0 "" "$mdlm" image-eval --range 30:40 --labels labels --weights raw --json
check "weights matter" test "$(field bits_per_dim)" != "$(field bits_per_dim test.json)"
check "and are named" grep -q '"weights":"raw"' out.txt
expect 0 "" "$mdlm" image-eval --range 30:40 --labels labels --dtype bf16 --json
check "operands matter, but not by 1%" awk "BEGIN { a = $(field bits_per_dim); \
  b = $(field bits_per_dim test.json); exit !(a != b && a < 1.01 * b && b < 1.01 * a) }"

# --- each image ---
expect 0 "" "$mdlm" image-eval --range 30:40 --labels labels --items items.jsonl --json
check "an item an image" test "$(wc -l <items.jsonl)" -eq 10
check "numbers are those in the file" \
  test "$(sed 's/.*"index":\([0-9]*\),.*/\1/' items.jsonl | sort -u | grep -c '^3[0-9]$')" -eq 10
check "image 32 is of class 2" grep -q '"index":32,"class":"2","bits_per_dim":[0-9]' items.jsonl
check "their mean is the result" awk "/bits_per_dim/ { sub(/.*\"bits_per_dim\":/, \"\"); \
  sum += \$0 + 0 } END { d = sum / 10 - $(field bits_per_dim); exit !(d * d < 1e-12) }" items.jsonl

# --- how many evaluations ---
expect 0 "" "$mdlm" image-eval --vlb-steps 1000 --json
check "at most twice the levels" grep -q '"vlb_steps":40,' out.txt
check "many draws and few agree within six times the error" awk "BEGIN { \
  d = $(field bits_per_dim) - $(field bits_per_dim own.json); \
  exit !(d * d < 36 * $(field stderr_mc own.json) ^ 2) }"
check "a level a stratum" grep -q '{"first":19,"end":20,"bits":' out.txt

# --- a learned schedule goes with the weights ---
learned="$network --image-size 8 --noise-schedule learned --loss vlb"
"$mdlm" image-train $learned --steps 12 --stop-at 6 --run learned >/dev/null || fail "learned"
cp learned/config.json then.json
"$mdlm" image-train --resume --run learned --quiet >/dev/null || fail "learned, the rest"
cmp -s learned/config.json then.json && fail "the schedule has learned nothing"
for weights in raw best; do
  expect 0 "" "$mdlm" image-eval --run learned -n 8 --weights $weights --json
  field bits_per_dim >$weights.now
done
cp then.json learned/config.json
expect 0 "" "$mdlm" image-eval --run learned -n 8 --weights raw --json
check "a checkpoint has its own" test "$(field bits_per_dim)" = "$(cat raw.now)"
expect 0 "" "$mdlm" image-eval --run learned -n 8 --json
check "the published weights have the model's" test "$(field bits_per_dim)" != "$(cat best.now)"
"$mdlm" image-train --image-size 8 $network --steps 2 --ema 0 --run raw >/dev/null || fail "raw"
refuse 3 "trained with --ema 0 and keeps no averaged weights" "$mdlm" image-eval --run raw \
  --weights last

# --- for people ---
expect 0 "" "$mdlm" image-eval --quiet -n 1
check "--quiet is quiet" test ! -s err.txt
check "one image has no error of images" grep -q '^bits/dim .* n/a ' out.txt
for word in decoder terms prior "+- images: as an estimate" "+- draws: for these images"; do
  check "the report has '$word'" grep -qF -e "$word" out.txt
done
"$mdlm" image-train --image-size 8 $network --steps 2 --process flow --run flow >/dev/null ||
  fail "a flow"
expect 0 "not trained for" "$mdlm" image-eval --run flow -n 2 --vlb-steps 4

# --- what makes no sense is refused, and nothing is left ---
mkdir bare && cp mdlm-image-run/config.json mdlm-image-run/model.safetensors bare
refuse 2 "does not say what it was trained on" "$mdlm" image-eval -m bare
expect 0 "" "$mdlm" image-eval -m bare $digits --labels labels --vlb-steps 4
refuse 2 "--split val is for the images of the run" "$mdlm" image-eval -m bare $digits --split val
refuse 2 "no such parts with --range" "$mdlm" image-eval --range 30:40 --split train
refuse 3 "images of 32x32x3: those of 'bare' are 8x8x1" "$mdlm" image-eval -m bare \
  shapes --class-free
refuse 3 "the class 'circle', which is none of the 3" "$mdlm" image-eval -m bare shapes
refuse 3 "make one with \`mdlm image-train\`" "$mdlm" image-eval --run none
refuse 3 "no such file" "$mdlm" image-eval none.gz
refuse 3 "is no part of them" "$mdlm" image-eval --range 30:50
refuse 2 "expected A:B" "$mdlm" image-eval --range 9:3
refuse 2 "vlb-steps" "$mdlm" image-eval --vlb-steps 3
refuse 2 "q8_0 is for text" "$mdlm" image-eval --dtype q8_0
{ head -c 8 labels; tail -c 40 labels | tr '\001' '\007'; } >more
refuse 3 "has the label 7" "$mdlm" image-eval --range 0:10 --labels more
expect 0 "" "$mdlm" image-eval --range 0:10 --labels more --class-free --vlb-steps 4
refuse 5 "no such file" "$mdlm" image-eval --items nowhere/items.jsonl
head -c 1000 $digits >short && cp short $digits
refuse 3 "a-images-idx3-ubyte" "$mdlm" image-eval --items left.jsonl
{ head -c 16 elsewhere/copy/a-images-idx3-ubyte
  "$mdlm" corpus tales --bytes 3000 --seed 2 --quiet | head -c 2560; } >$digits
refuse 3 "have changed since" "$mdlm" image-eval --items left.jsonl
check "nothing is left of what was refused" test ! -e left.jsonl
no_temporary_files

finish
