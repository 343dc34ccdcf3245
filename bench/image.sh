#!/bin/sh
# Speed and memory of networks for images: mdlm and the PyTorch peer in turn (A B A B A B), so that a
# machine that gets slower gets slower for both. Prints a Markdown table of medians.
#
#   sh bench/image.sh [MDLM]                      default build/mdlm; some minutes a row
#   ROUNDS=1 REPEAT=5 SHAPES=small DTYPES=f32 sh bench/image.sh
#
# SHAPES: small (1.6 M parameters, 64 grey images a step), large (6.5 M, 32 RGB images), both of
# 32x32. LAYOUTS: the orders of an image's numbers that the peer tries in each round, "nchw nhwc":
# of each figure its better one counts. THREADS for both programs; PYTHON.
# The ratios are medians over the rounds of the ratio of the runs of a round: of times PyTorch's to
# mdlm's, of memory mdlm's to PyTorch's. Memory is the most that was resident.
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
. "$here/helpers.inc"
mdlm=${1:-$here/../build/mdlm}
rounds=${ROUNDS:-3} repeat=${REPEAT:-10} threads=${THREADS:-$(nproc)}
check_program "$mdlm" "sh bench/image.sh build/mdlm"
find_peer "$here/torch_ddpm_peer.py"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

shape_options() {
  case $1 in
  small) echo "--base-channels 32 --channels 1 --batch-size 64" ;;
  large) echo "--base-channels 64 --channels 3 --batch-size 32" ;;
  *)
    echo "unknown shape '$1': expected small or large" >&2
    return 2
    ;;
  esac
}

keys="ms_per_step ms_per_forward peak_rss_bytes"

# Networks of two sizes are not worth comparing.
check_parameters() {
  printf '%s %s\n' "$(number parameters "$work/ours")" "$(number parameters "$work/theirs")" |
    awk '{ exit !($1 > 0.99 * $2 && $1 < 1.01 * $2) }' || {
    echo "parameters differ by more than 1%: $(cat "$work/ours" "$work/theirs")" >&2
    exit 1
  }
}

# The better figures of all layouts, appended to "their KEY", and their ratios to ours.
measure_peer() {
  rm -f "$work"/best-*
  for layout in ${LAYOUTS:-nchw nhwc}; do
    # shellcheck disable=SC2086 # lists of words on purpose
    $peer $1 --layout "$layout" >"$work/theirs"
    check_parameters
    for key in $keys; do number "$key" "$work/theirs" >>"$work/best-$key"; done
  done
  for key in $keys; do
    best=$(sort -g "$work/best-$key" | head -n 1)
    echo "$best" >>"$work/their-$key"
    awk -v ours="$(number "$key" "$work/ours")" -v theirs="$best" -v key="$key" \
      'BEGIN { print key == "peak_rss_bytes" ? ours / theirs : theirs / ours }' \
      >>"$work/ratio-$key"
  done
}

# measure SHAPE DTYPE: results of all rounds in $work, then a row of the table.
measure() {
  options=$(shape_options "$1") || exit 2
  common="$options --dtype $2 --repeat $repeat --threads $threads"
  rm -f "$work"/*
  for key in $keys; do touch "$work/their-$key" "$work/ratio-$key"; done
  round=0
  while [ $round -lt "$rounds" ]; do
    round=$((round + 1))
    echo "$1 $2: round $round of $rounds" >&2
    # shellcheck disable=SC2086
    "$mdlm" bench image $common --json --quiet >"$work/ours"
    for key in $keys share_of_peak; do number "$key" "$work/ours" >>"$work/our-$key"; done
    [ -z "$peer" ] || measure_peer "$common"
  done
  row "$(number parameters "$work/ours")" "$2"
}

row() {
  {
    printf '%s %s %s' "$1" "$2" "$(median <"$work/our-share_of_peak")"
    for key in $keys; do
      printf ' %s %s %s' "$(median <"$work/our-$key")" "$(median <"$work/their-$key")" \
        "$(median <"$work/ratio-$key")"
    done
  } | awk 'function show(format, x, by) { return x == "-" ? x : sprintf(format, x / by) }
    { printf "| %.2f M | %s | %.0f | %s | %s | %.0f%% | %.1f | %s | %s | %.0f | %s | %s |\n",
        $1 / 1e6, $2, $4, show("%.0f", $5, 1), show("%.2f", $6, 1), 100 * $3,
        $7, show("%.1f", $8, 1), show("%.2f", $9, 1),
        $10 / 2 ^ 20, show("%.0f", $11, 2 ^ 20), show("%.2f", $12, 1) }'
}

echo "| parameters | dtype | mdlm ms/step | PyTorch | PyTorch / mdlm | mdlm of the peak" \
  "| mdlm ms/forward of 16 | PyTorch | PyTorch / mdlm | mdlm MiB | PyTorch | mdlm / PyTorch |"
echo "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |"
for shape in ${SHAPES:-small large}; do
  for dtype in ${DTYPES:-f32 bf16}; do
    measure "$shape" "$dtype"
  done
done
