#!/bin/sh
# The speed and the quality of every sampler: trains a model on the shipped corpus, writes samples
# with each sampler at several numbers of steps, and measures tokens/s and the perplexity of the
# samples under an n-gram model of the corpus (mdlm eval --samples). Prints a Markdown table, and
# puts it and its plot into docs/samplers.md and docs/samplers.svg.
#
#   sh bench/samplers.sh [MDLM]                   default build/mdlm; about 10 minutes on 2 cores
#   MODEL=mdlm-run SAMPLERS="ancestral confidence" sh bench/samplers.sh
#   SAMPLES=32 STEPS="8 32" OUT=/tmp/curve sh bench/samplers.sh
#
# It can be stopped and started again: what WORK holds is not made anew. Remove WORK to start over.
#
# MODEL: a run folder, in place of training one. CORPUS: corpora/tales.txt. TRAIN: options of
# training. SAMPLERS, STEPS: which. LENGTH, BLOCKS: of a sample, 128 and 1. SAMPLES: how many,
# 128. OPTIONS: more options of generate (--temperature 0.8). THREADS. WORK: folder of
# intermediate results, build/samplers. OUT: folder of the results, docs.
#
# Three samplers do not take a number of steps. `threshold` and `factor` set as many tokens as they
# dare, so THRESHOLDS and FACTORS are swept instead; as given here they take about as many steps as
# the others. `first-hitting` sets one token a step.
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
. "$here/helpers.inc"
mdlm=${1:-$here/../build/mdlm}
corpus=${CORPUS:-$here/../corpora/tales.txt}
train=${TRAIN:---tokenizer bpe --vocab-size 1024 --seq-len 128 --noise-schedule linear --steps 3000}
samplers=${SAMPLERS:-ancestral first-hitting random left origin confidence margin entropy threshold factor remdm-cap remdm-rescale remdm-conf remdm-loop}
steps=${STEPS:-8 16 32 64 128}
thresholds=${THRESHOLDS:-0.02 0.07 0.2 0.4 0.9} factors=${FACTORS:-15 7 3.5 1.7 0.5}
length=${LENGTH:-128} blocks=${BLOCKS:-1} samples=${SAMPLES:-128} threads=${THREADS:-$(nproc)}
work=${WORK:-$here/../build/samplers} out=${OUT:-$here/../docs}
check_program "$mdlm" "sh bench/samplers.sh build/mdlm"
mkdir -p "$work" "$out"
model=${MODEL:-$work/model}

# Rows that were measured differently do not belong into one table.
settings="$model $corpus $train $length $blocks $samples ${OPTIONS:-}"
[ -f "$work/settings" ] || echo "$settings" >"$work/settings"
[ "$(cat "$work/settings")" = "$settings" ] || {
  echo "'$work' holds results of other settings: remove it, or set WORK" >&2
  exit 2
}

# Only a training that ended publishes its weights under this name.
if [ -z "${MODEL:-}" ] && [ ! -f "$work/trained" ]; then
  echo "training: mdlm train $train" >&2
  # shellcheck disable=SC2086 # a list of words on purpose
  "$mdlm" train "$corpus" $train --threads "$threads" --run "$model" --overwrite --json --quiet \
    >"$work/trained.part"
  mv "$work/trained.part" "$work/trained"
fi

# measure SAMPLER KNOB OPTIONS...: a line "sampler knob steps evaluations tokens/s perplexity
# error entropy distinct-2 validity" in $work/SAMPLER-KNOB.row. Batches differ in time: tokens
# over seconds.
measure() {
  sampler=$1 knob=$2 name="$work/$1-$2"
  shift 2
  [ -f "$name.row" ] && return
  echo "$sampler $knob" >&2
  # shellcheck disable=SC2086
  "$mdlm" generate --model "$model" --sampler "$sampler" "$@" --length "$length" --blocks "$blocks" \
    --num-samples "$samples" --threads "$threads" --json --quiet ${OPTIONS:-} >"$name.jsonl"
  "$mdlm" eval --samples "$name.jsonl" --reference "$corpus" --json --quiet >"$name.json"
  sed 's/.*"steps":\([0-9]*\),"evaluations":\([0-9]*\),.*"tokens_per_second":\([0-9.e+]*\).*/\1 \2 \3/' \
    "$name.jsonl" |
    awk '{ steps += $1; evaluations += $2; seconds += 1 / $3 }
      END { printf "%.0f %.1f %.1f ", steps / NR, evaluations / NR, NR / seconds }' >"$name.part"
  # What is held out has the same keys, after this one.
  sed 's/,"held_out".*/}/' "$name.json" >"$work/own"
  {
    printf '%s %s ' "$sampler" "$knob"
    cat "$name.part"
    for key in perplexity stderr_nats_per_byte entropy_bits_per_word word_validity; do
      printf '%s ' "$(number $key "$work/own")"
    done
    sed 's/.*"distinct":\[[^,]*,\([^,]*\),.*/\1/' "$work/own"
  } >"$name.new"
  rm -f "$name.part"
  mv "$name.new" "$name.row"
}

sweep() {
  case $1 in
  first-hitting) measure "$1" "$length" ;;
  threshold) for knob in $thresholds; do measure "$1" "$knob" --threshold "$knob"; done ;;
  factor) for knob in $factors; do measure "$1" "$knob" --factor "$knob"; done ;;
  *) for knob in $steps; do measure "$1" "$knob" --steps "$knob"; done ;;
  esac
}

table() {
  echo "| sampler | knob | steps | evaluations | tokens/s | perplexity per byte | entropy of words, bits | distinct-2 | word validity |"
  echo "| --- | --- | --- | --- | --- | --- | --- | --- | --- |"
  awk '{ printf "| %s | %s | %d | %.0f | %.0f | %.2f ± %.2f | %.2f | %.2f | %.2f |\n", $1,
           $1 == "threshold" || $1 == "factor" ? $2 : "", $3, $4, $5, $6, $6 * $7, $8, $10, $9 }' "$1"
  sed 's/.*"held_out":{//' "$work/floor.json" >"$work/floor"
  awk -v p="$(number perplexity "$work/floor")" -v e="$(number stderr_nats_per_byte "$work/floor")" \
    -v w="$(number entropy_bits_per_word "$work/floor")" -v v="$(number word_validity "$work/floor")" \
    -v d="$(sed 's/.*"distinct":\[[^,]*,\([^,]*\),.*/\1/' "$work/floor")" 'BEGIN {
      printf "| text held out | | | | | %.2f ± %.2f | %.2f | %.2f | %.2f |\n", p, p * e, w, d, v }'
}

: >"$work/rows"
for sampler in $samplers; do
  sweep "$sampler"
  for row in "$work/$sampler"-[0-9]*.row; do cat "$row"; done | sort -k3,3n -k2,2n >>"$work/rows"
  cp "$(ls "$work/$sampler"-[0-9]*.json | head -n 1)" "$work/floor.json"
done
table "$work/rows" >"$work/table.md"
sed 's/.*"held_out":{//' "$work/floor.json" >"$work/floor"
awk -v floor="$(number perplexity "$work/floor")" -f "$here/curve.awk" "$work/rows" >"$out/samplers.svg"

# The table goes between two marks of the page, whose words are written by hand.
page="$out/samplers.md"
[ -f "$page" ] || printf '<!-- table -->\n<!-- end of table -->\n' >"$page"
awk -v table="$work/table.md" '/^<!-- end of table -->/ { skip = 0 }
  !skip { print }
  /^<!-- table -->/ { skip = 1; while ((getline line < table) > 0) print line }' "$page" >"$work/page"
cp "$work/page" "$page"
cat "$work/table.md"
