#!/bin/sh
# Objectives side by side: block diffusion with short and long blocks, masked diffusion and the
# autoregressive baseline train on a text for as many steps each, and are judged by the bound on its
# last tenth (the baseline by its likelihood, which is exact). Then the models that see blocks or
# the past write texts of four times the trained length. Prints two Markdown tables.
#
#   sh bench/objectives.sh TEXT [MDLM]            default build/mdlm
#   STEPS=500 BLOCKS="8 32" KEEP=runs sh bench/objectives.sh corpus.txt
#
# STEPS: 2000. BLOCKS: block lengths, "4 16 64"; they must divide the trained length. SHAPE:
# options of the model. TRAIN: more options of training. DRAWS: noise levels in a window when
# judged, 8. SEED, THREADS. KEEP: a folder for the runs; what is there already is not trained again.
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
. "$here/helpers.inc"
if [ $# -lt 1 ] || [ ! -f "$1" ]; then
  echo "usage: sh bench/objectives.sh TEXT [MDLM]" >&2
  exit 2
fi
text=$1 mdlm=${2:-$here/../build/mdlm}
steps=${STEPS:-2000} blocks=${BLOCKS:-4 16 64} threads=${THREADS:-$(nproc)} seed=${SEED:-1}
shape=${SHAPE:---layers 4 --dim 128 --heads 4 --ff 352 --seq-len 128 --batch-size 32}
check_program "$mdlm" "sh bench/objectives.sh TEXT build/mdlm"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
runs=${KEEP:-$work}
mkdir -p "$runs"

# train NAME OPTION...: into $runs/NAME, and what it printed into $runs/NAME.json
train() {
  name=$1
  shift
  [ -f "$runs/$name.json" ] && return
  # shellcheck disable=SC2086 # lists of words on purpose
  "$mdlm" train "$text" $shape --steps "$steps" --seed "$seed" --threads "$threads" \
    --run "$runs/$name" --overwrite --json --quiet ${TRAIN:-} "$@" >"$work/out"
  mv "$work/out" "$runs/$name.json"
}

# judge NAME TITLE: a row of the first table
judge() {
  "$mdlm" eval -m "$runs/$1" --mc "${DRAWS:-8}" --threads "$threads" --json --quiet >"$work/eval"
  printf '| %s | %.0f | %.3f | %.4f | %.4f | %.4f |\n' "$2" \
    "$(number tokens_per_second "$runs/$1.json")" \
    "$(number train_nelbo_nats_per_byte "$runs/$1.json")" \
    "$(number nelbo_nats_per_byte "$work/eval")" "$(number stderr_mc "$work/eval")" \
    "$(number stderr_data "$work/eval")"
}

# seconds NAME TOKENS: of writing a text, the median of fifteen
seconds() {
  for index in 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14; do
    "$mdlm" generate -m "$runs/$1" -n "$2" --first-index "$index" --threads "$threads" --json \
      --quiet >"$work/text"
    number seconds "$work/text"
  done | median
}

# write_long NAME TITLE: a row of the second table
write_long() {
  trained=$(number max_sequence_length "$runs/$1/config.json")
  long=$((4 * trained)) part=$((trained / 2))
  printf '| %s | %d | %s | %s | %s |\n' "$2" "$long" "$(seconds "$1" $part)" \
    "$(seconds "$1" $((long - part)))" "$(seconds "$1" $long)" |
    awk -F ' [|] ' '{ sub(/ [|]$/, "", $5); last = $5 - $4
      printf "%s | %s | %.3f | %.1f | %.1f | %.2f |\n", $1, $2, $5, 1e3 * $3, 1e3 * last, last / $3 }'
}

echo "$steps steps on '$text'" >&2
echo "| objective | tokens/s | training | validation, nats/byte | error of masks | error of text |"
echo "| --- | --- | --- | --- | --- | --- |"
train ar --objective ar
judge ar "autoregressive"
for length in $blocks; do
  train "block$length" --objective block --block-length "$length"
  judge "block$length" "block diffusion, $length tokens"
done
train mdlm
judge mdlm "masked diffusion"
echo
echo "| objective | tokens written | seconds | first part, ms | last part, ms | last / first |"
echo "| --- | --- | --- | --- | --- | --- |"
write_long ar "autoregressive"
for length in $blocks; do write_long "block$length" "block diffusion, $length tokens"; done
