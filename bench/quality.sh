#!/bin/sh
# Quality for time: mdlm and the PyTorch peer train on a text for as many seconds each, and both are
# validated on its last tenth, in windows that do not overlap. Prints a Markdown table.
#
#   sh bench/quality.sh TEXT [MDLM]               default build/mdlm
#   BUDGET=60 DTYPE=bf16 OPTIMIZER=muon LR=4e-3 sh bench/quality.sh corpus.txt
#
# BUDGET: seconds, 240. SHAPE: options that both programs know. MDLM_OPTIONS, PEER_OPTIONS: options
# for one of them. THREADS, PYTHON.
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
. "$here/helpers.inc"
if [ $# -lt 1 ] || [ ! -f "$1" ]; then
  echo "usage: sh bench/quality.sh TEXT [MDLM]" >&2
  exit 2
fi
text=$1 mdlm=${2:-$here/../build/mdlm}
budget=${BUDGET:-240} dtype=${DTYPE:-f32} threads=${THREADS:-$(nproc)}
shape=${SHAPE:---layers 4 --dim 128 --heads 4 --ff 352 --seq-len 128 --batch-size 32}
common="$shape --lr ${LR:-2e-3} --optimizer ${OPTIMIZER:-adamw} --dtype $dtype --threads $threads"
check_program "$mdlm" "sh bench/quality.sh TEXT build/mdlm"
find_peer "$here"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# row NAME PARAMETERS-KEY FILE
row() {
  printf '| %s | %s | %s | %.0f | %.3f | %.3f |\n' "$1" "$(number "$2" "$3")" \
    "$(number steps "$3")" "$(number tokens_per_second "$3")" \
    "$(number train_nelbo_nats_per_byte "$3")" "$(number val_nelbo_nats_per_byte "$3")"
}

echo "$budget s on '$text', $dtype, ${OPTIMIZER:-adamw}" >&2
echo "| program | parameters | steps | tokens/s | training NELBO | validation NELBO, nats/byte |"
echo "| --- | --- | --- | --- | --- | --- |"
# shellcheck disable=SC2086 # lists of words on purpose
"$mdlm" train "$text" $common --time "${budget}s" --run "$work/run" --json --quiet \
  ${MDLM_OPTIONS:-} >"$work/ours"
row mdlm parameters "$work/ours"
if [ -n "$peer" ]; then
  # shellcheck disable=SC2086
  $peer --text "$text" $common --seconds "$budget" ${PEER_OPTIONS:-} >"$work/theirs"
  row PyTorch params "$work/theirs"
fi
