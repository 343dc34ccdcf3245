#!/bin/sh
# Quality for time: mdlm, as it does it by default, and the PyTorch peer, at the best of its options
# (bf16, Muon), train on a text for as many seconds each, in turn, and are validated on its last
# tenth, in windows that do not overlap. Prints a Markdown table and means.
#
#   sh bench/quality.sh TEXT [MDLM]               default build/mdlm
#   BUDGET=60 SEEDS=1 PEER_OPTIONS="--optimizer adamw --lr 2e-3" sh bench/quality.sh corpus.txt
#
# BUDGET: seconds, 240. SEEDS: "1 2 3". SHAPE: options that both programs know. MDLM_OPTIONS,
# PEER_OPTIONS: options for one of them. THREADS, PYTHON.
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
. "$here/helpers.inc"
if [ $# -lt 1 ] || [ ! -f "$1" ]; then
  echo "usage: sh bench/quality.sh TEXT [MDLM]" >&2
  exit 2
fi
text=$1 mdlm=${2:-$here/../build/mdlm}
budget=${BUDGET:-240} threads=${THREADS:-$(nproc)}
shape=${SHAPE:---layers 4 --dim 128 --heads 4 --ff 352 --seq-len 128 --batch-size 32}
best="--optimizer muon --muon-lr 0.02 --lr 4e-3 --dtype bf16"
check_program "$mdlm" "sh bench/quality.sh TEXT build/mdlm"
find_peer "$here/torch_mdm_peer.py"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# row NAME SEED PARAMETERS-KEY FILE
row() {
  number val_nelbo_nats_per_byte "$4" >>"$work/$1"
  printf '| %s | %s | %s | %s | %.0f | %.3f | %.3f |\n' "$1" "$2" "$(number "$3" "$4")" \
    "$(number steps "$4")" "$(number tokens_per_second "$4")" \
    "$(number train_nelbo_nats_per_byte "$4")" "$(number val_nelbo_nats_per_byte "$4")"
}

echo "$budget s on '$text'" >&2
echo "| program | seed | parameters | steps | tokens/s | training NELBO | validation NELBO, nats/byte |"
echo "| --- | --- | --- | --- | --- | --- | --- |"
for seed in ${SEEDS:-1 2 3}; do
  # shellcheck disable=SC2086 # lists of words on purpose
  "$mdlm" train "$text" $shape --threads "$threads" --seed "$seed" --time "${budget}s" \
    --run "$work/run" --overwrite --json --quiet ${MDLM_OPTIONS:-} >"$work/out"
  row mdlm "$seed" parameters "$work/out"
  [ -n "$peer" ] || continue
  # shellcheck disable=SC2086
  $peer --text "$text" $shape --threads "$threads" --seed "$seed" --seconds "$budget" \
    ${PEER_OPTIONS:-$best} >"$work/out"
  row PyTorch "$seed" params "$work/out"
done
for name in mdlm PyTorch; do
  [ -f "$work/$name" ] || continue
  awk -v name="$name" '{ sum += $1 } END { printf "%s: mean %.3f\n", name, sum / NR }' "$work/$name"
done
