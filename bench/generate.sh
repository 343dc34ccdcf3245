#!/bin/sh
# Time of a step of block decoding: mdlm in f32, bf16 and q8_0, exact, and in bf16 with a cache of
# keys and values on both sides of the block, an approximation; where there is one, llama.cpp's
# diffusion program on a model of the same shape. In turn (A B A B A B).
# Prints a Markdown table of medians.
#
#   sh bench/generate.sh [MDLM]                   default build/mdlm
#   LLAMA=/path/to/llama-diffusion-cli GGUF="m-bf16.gguf m-q8_0.gguf" sh bench/generate.sh
#   ROUNDS=1 REPEAT=5 DTYPES=bf16 sh bench/generate.sh
#
# The shape is LLaDA's with 162 M parameters: 12 x 768, 12 heads, feed-forward 2048, vocabulary
# 50,304, canvas 256, blocks of 32; GGUF files must have it too. SHAPE: other options of mdlm.
# THREADS for both programs. llama.cpp's figure is the time per step that it prints after 64 steps.
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
. "$here/helpers.inc"
mdlm=${1:-$here/../build/mdlm}
rounds=${ROUNDS:-3} repeat=${REPEAT:-10} threads=${THREADS:-$(nproc)}
shape=${SHAPE:---layers 12 --dim 768 --heads 12 --ff 2048 --vocab-size 50304 --seq-len 256 --block-length 32}
check_program "$mdlm" "sh bench/generate.sh build/mdlm"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# measure_ours DTYPE CACHE
measure_ours() {
  # shellcheck disable=SC2086 # a list of words on purpose
  "$mdlm" bench generate $shape --dtype "$1" --cache "$2" --repeat "$repeat" \
    --threads "$threads" --json --quiet >"$work/out"
  number ms_per_step "$work/out" >>"$work/mdlm $1, cache $2"
}

measure_llama() {
  "$LLAMA" -m "$1" -p "Once upon a time" -ub 256 -t "$threads" --diffusion-block-length 32 \
    --diffusion-steps 64 --top-k 1 --temp 0 --seed 1 >"$work/out" 2>&1 || {
    tail -n 3 "$work/out" >&2
    exit 1
  }
  sed -n 's/.*ms, time per step: \([0-9.]*\)ms.*/\1/p' "$work/out" >>"$work/llama.cpp $(basename "$1" .gguf)"
}

round=0
while [ $round -lt "$rounds" ]; do
  round=$((round + 1))
  echo "round $round of $rounds" >&2
  for dtype in ${DTYPES:-f32 bf16 q8_0}; do measure_ours "$dtype" none; done
  measure_ours bf16 dual
  [ -n "${LLAMA:-}" ] || continue
  for file in ${GGUF:?names the models for llama.cpp}; do measure_llama "$file"; done
done
rm -f "$work/out"
echo "| program | ms per step |"
echo "| --- | --- |"
for file in "$work"/*; do
  printf '| %s | %.1f |\n' "$(basename "$file")" "$(median <"$file")"
done
