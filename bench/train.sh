#!/bin/sh
# Speed of training: mdlm and the PyTorch peer in turn (A B A B A B), so that a machine that gets
# slower gets slower for both. Prints a Markdown table of medians.
#
#   sh bench/train.sh [MDLM]                      default build/mdlm
#   ROUNDS=1 REPEAT=5 SHAPES=small DTYPES=f32 sh bench/train.sh
#
# SHAPES: small (0.87 M parameters), large (10.8 M). THREADS for both programs; PYTHON.
# The ratio is the median over the rounds of the ratio of the two runs of a round.
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
. "$here/helpers.inc"
mdlm=${1:-$here/../build/mdlm}
rounds=${ROUNDS:-3} repeat=${REPEAT:-10} threads=${THREADS:-$(nproc)}
check_program "$mdlm" "sh bench/train.sh build/mdlm"
find_peer "$here/torch_mdm_peer.py"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

shape_options() {
  case $1 in
  small) echo "--layers 4 --dim 128 --heads 4 --ff 352 --seq-len 128 --batch-size 32" ;;
  large) echo "--layers 6 --dim 384 --heads 6 --ff 1024 --seq-len 256 --batch-size 16" ;;
  *)
    echo "unknown shape '$1': expected small or large" >&2
    return 2
    ;;
  esac
}

# measure SHAPE DTYPE: results of all rounds in $work, then a row of the table.
measure() {
  options=$(shape_options "$1") || exit 2
  common="$options --vocab-size 257 --dtype $2 --repeat $repeat --threads $threads"
  rm -f "$work"/*
  round=0
  while [ $round -lt "$rounds" ]; do
    round=$((round + 1))
    echo "$1 $2: round $round of $rounds" >&2
    # shellcheck disable=SC2086 # lists of words on purpose
    "$mdlm" bench train $common --json --quiet >"$work/ours"
    number tokens_per_second "$work/ours" >"$work/rate"
    cat "$work/rate" >>"$work/our-rates"
    number gflops "$work/ours" >>"$work/gflops"
    number share_of_peak "$work/ours" >>"$work/share"
    [ -n "$peer" ] || continue
    # shellcheck disable=SC2086
    $peer $common >"$work/theirs"
    number tokens_per_second "$work/theirs" >>"$work/their-rates"
    number tokens_per_second "$work/theirs" | paste "$work/rate" - |
      awk '{ print $1 / $2 }' >>"$work/ratios"
  done
  touch "$work/their-rates" "$work/ratios"
  row "$(number parameters "$work/ours")" "$2"
}

row() {
  printf '%s %s %s %s %s %s %s\n' "$1" "$2" "$(median <"$work/our-rates")" \
    "$(median <"$work/their-rates")" "$(median <"$work/ratios")" "$(median <"$work/gflops")" \
    "$(median <"$work/share")" |
    awk 'function show(format, x) { return x == "-" ? x : sprintf(format, x) }
      { printf "| %.2f M | %s | %.0f | %s | %s | %.0f | %.0f%% |\n", $1 / 1e6, $2, $3,
          show("%.0f", $4), show("%.2f", $5), $6, 100 * $7 }'
}

echo "| parameters | dtype | mdlm tokens/s | PyTorch tokens/s | mdlm / PyTorch | mdlm GFLOP/s" \
  "| of the peak |"
echo "| --- | --- | --- | --- | --- | --- | --- |"
for shape in ${SHAPES:-small large}; do
  for dtype in ${DTYPES:-f32 bf16}; do
    measure "$shape" "$dtype"
  done
done
