#!/bin/sh
# bench: numbers that make sense, and nothing left behind.
# shellcheck disable=SC2086 # lists of words on purpose
. "$(dirname "$0")/helpers.inc"
small="--layers 1 --dim 32 --heads 2 --ff 64 --seq-len 32 --repeat 2"

# positive KEY: a number above 0 in out.txt
positive() {
  grep -qE "\"$1\":[0-9.e+-]*[1-9]" out.txt || fail "$1 is not positive: $(cat out.txt)"
}

for what in "train --batch-size 4" "train --batch-size 4 --dtype bf16" \
            "train --batch-size 4 --optimizer muon --dropout 0.1 --tied" \
            "train --batch-size 4 --checkpoint-activations --ema 0" \
            "generate" "generate --dtype q8_0" \
            "generate --cache prefix" "generate --num-samples 2 --cache dual --block-length 5" \
            "generate --num-samples 3 --block-length 8 --dtype bf16"; do
  expect 0 "" "$mdlm" bench $what $small --json --quiet
  check "--quiet is quiet: $what" test ! -s err.txt
  check "one line: $what" test "$(wc -l <out.txt)" -eq 1
  for key in parameters tokens_per_second ms_per_step ms_per_forward gflops peak_gflops \
             share_of_peak peak_rss_bytes; do
    positive $key
  done
done
check "the dtype is told" grep -q '"dtype":"bf16"' out.txt
check "every repetition is counted" grep -q '"count":2}' out.txt

expect 0 "layers 1" "$mdlm" bench train $small --batch-size 4
check "settings that nobody gave are marked" grep -q 'vocab_size 259 (default)' err.txt
for word in step forward speed arithmetic peak memory; do
  check "the table has $word" grep -q "^$word " out.txt
done
# 2 x 265 x 16 in embedding and head, two gains of a block and the last, 4 x 16 x 16 of attention,
# 3 x 16 x 24 of the feed-forward part
expect 0 "" "$mdlm" bench generate --layers 1 --dim 16 --heads 2 --ff 24 --vocab-size 265 \
  --seq-len 8 --repeat 1 --json
check "parameters are counted" grep -q '"parameters":10704,' out.txt
expect 0 "" "$mdlm" bench train $small --batch-size 2 --json -t 1 --kernels ref
check "kernels and threads are told" grep -q '"kernels":"ref".*"threads":1' out.txt
# 32 positions of a canvas, the second half of the canvas behind 12, the block
for cache in "none 32" "prefix 20" "dual 8"; do
  expect 0 "" "$mdlm" bench generate $small --block-length 8 --cache "${cache% *}" --json
  check "positions with --cache ${cache% *}" grep -q "\"positions_per_step\":${cache#* }," out.txt
done

# --- images ---
image="--image-size 8 --batch-size 4 --repeat 2"
unet="$image --base-channels 8"
for what in "$unet" "$unet --dtype bf16 --channel-mults 1,2" \
            "$unet --optimizer muon --dropout 0.1 --ema 0" \
            "$unet --checkpoint-activations --attn-res 8 --channels 4" \
            "$image --backbone dit --patch-size 2 --layers 1 --dim 32 --heads 2 --ff 32"; do
  expect 0 "" "$mdlm" bench image $what --json --quiet
  check "--quiet is quiet: $what" test ! -s err.txt
  for key in parameters images_per_second ms_per_step ms_per_forward gflops peak_gflops \
             share_of_peak peak_rss_bytes; do
    positive $key
  done
done
expect 0 "base_channels 8" "$mdlm" bench image $unet --res-blocks 1 --channels 1 --attn-res none \
  --channel-mults 1,2 -t 2
check "settings of texts are not told" test "$(grep -c seq_len err.txt)" -eq 0
check "speed is of images" grep -q "^speed .* images/s" out.txt
check "memory is told" grep -q "^memory .* 41.6k parameters" out.txt
# 6 operations for each of the 969,216 multiply-adds of an image, 4 images a step
"$mdlm" bench image $unet --res-blocks 1 --channels 1 --attn-res none --channel-mults 1,2 --json \
  --quiet >out.txt
check "operations are counted" awk "BEGIN {
  flops = $(field gflops) * $(field ms_per_step) * 1e6
  exit !(flops > 23261183 && flops < 23261185)
}"
set -- *
check "nothing was made" test "$*" = "err.txt out.txt"

refuse 2 "needs train|generate|image" "$mdlm" bench
refuse 2 "did you mean 'train'" "$mdlm" bench trian
refuse 2 "did you mean 'image'" "$mdlm" bench images
refuse 2 "expected train, generate or image" "$mdlm" bench xyzzy
refuse 2 "unexpected argument" "$mdlm" bench train generate
refuse 2 "expected one of" "$mdlm" bench train --dtype f16
refuse 2 "out of range" "$mdlm" bench train --repeat 0
refuse 2 "out of range" "$mdlm" bench train --vocab-size 256
refuse 2 "--heads 3" "$mdlm" bench train --dim 32 --heads 3
refuse 2 "--block-length 64 does not fit --seq-len 32" "$mdlm" bench generate --seq-len 32 \
  --block-length 64
refuse 2 "is for mdlm bench generate" "$mdlm" bench train --num-samples 2
refuse 2 "is for mdlm bench generate" "$mdlm" bench train --cache dual
refuse 2 "expected one of" "$mdlm" bench generate --cache exact
refuse 2 "is for mdlm bench train" "$mdlm" bench generate --batch-size 2
refuse 2 "unknown option '--lora'" "$mdlm" bench train --lora 4
refuse 2 "q8_0 is for mdlm bench generate" "$mdlm" bench train --dtype q8_0
refuse 2 "is for mdlm bench train" "$mdlm" bench generate --checkpoint-activations
refuse 2 "q8_0 is for mdlm bench generate" "$mdlm" bench image --dtype q8_0
refuse 2 "is for mdlm bench image" "$mdlm" bench train --base-channels 32
refuse 2 "is for mdlm bench train and generate" "$mdlm" bench image --seq-len 32
refuse 2 "is for mdlm bench train and image" "$mdlm" bench generate --optimizer muon
refuse 2 "is for --backbone dit" "$mdlm" bench image --layers 2
refuse 2 "is for --backbone unet" "$mdlm" bench image --backbone dit --base-channels 8
refuse 2 "--base-channels 20" "$mdlm" bench image --base-channels 20
refuse 2 "out of range" "$mdlm" bench image --channels 5
refuse 2 "too many at once" "$mdlm" bench image --image-size 4096 --batch-size 64
refuse 2 "too many at once" "$mdlm" bench train --seq-len 1048576 --batch-size 65536
refuse 2 "kernels" "$mdlm" bench train --kernels abacus
if [ -w /dev/full ]; then
  for form in "" "--json"; do
    "$mdlm" bench generate $small $form >/dev/full 2>err.txt
    got=$?
    check "a full device is exit code 5" test $got -eq 5
  done
fi

finish
