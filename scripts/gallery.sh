#!/bin/sh
# The gallery, docs/gallery.md with its pictures and figures, from nothing: builds, trains ten
# models, draws with them and measures. Two hours on two cores.
#
#   sh scripts/gallery.sh t10k-images-idx3-ubyte.gz [SHARE [FOLDER]]
#
# The file is MNIST's test set, its labels beside it. SHARE of the training times and of the images
# that are measured, 1 if not given: smaller ones try the script. FOLDER: where the page goes,
# docs if not given. Models and figures are kept in build/gallery: what is there is not done again.
set -eu
root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
here=$(pwd)
if [ $# -lt 1 ] || [ ! -f "$1" ]; then
  echo "usage: sh scripts/gallery.sh t10k-images-idx3-ubyte.gz [SHARE [FOLDER]]" >&2
  exit 2
fi
absolute() { case $1 in /*) echo "$1" ;; *) echo "$here/$1" ;; esac; }
digits=$(absolute "$1") share=${2:-1} page=$(absolute "${3:-$root/docs}")
mdlm=${MDLM:-$root/build/mdlm}
field=${MDLM_SCORE_FIELD:-$root/build/bench_score_field}
work=${MDLM_GALLERY:-$root/build/gallery}
. "$root/bench/helpers.inc"

if [ -z "${MDLM:-}" ]; then
  sh "$root/scripts/install.sh"
  cmake -S "$root" -B "$root/build" -G Ninja -DCMAKE_BUILD_TYPE=Release >/dev/null
  cmake --build "$root/build" --target mdlm bench_score_field >&2
fi
mkdir -p "$work" "$page/gallery"
cd "$work"

# part N: the share of N, at least 1; images N: an even share of N, at least 12
part() { awk "BEGIN { n = int($1 * $share + .5); print n < 1 ? 1 : n }"; }
images() { awk "BEGIN { n = 2 * int($1 * $share / 2 + .5); print n < 12 ? 12 : n }"; }

# train RUN SECONDS OPTION...
train() {
  run=$1 seconds=$(part "$2")
  shift 2
  if [ -f "$run.done" ]; then return; fi
  echo "training $run, $seconds s" >&2
  "$mdlm" image-train "$@" --run "$run" --overwrite --time "${seconds}s" --quiet --json >"$run.log"
  touch "$run.done"
}

# figures NAME COMMAND...: its JSON line in NAME.json
figures() {
  name=$1
  shift
  if [ -f "$name.json" ]; then return; fi
  echo "measuring $name" >&2
  "$@" --json --quiet >"$name.part"
  mv "$name.part" "$name.json"
}

# judge NAME RUN IMAGES OPTION...: samples beside real images; the run's name begins with what it
# draws
judge() {
  name=$1 run=$2 count=$(images "$3")
  shift 3
  figures "$name" "$mdlm" image-eval --run "$run" --frechet --no-bound --dtype bf16 \
    --classifier "${run%%-*}-judge" --num-samples "$count" "$@"
}

# judge_made NAME RUN IMAGES OPTION...: the same with options of image-generate alone
judge_made() {
  name=$1 run=$2 count=$(images "$3")
  shift 3
  if [ -f "$name.json" ]; then return; fi
  rm -rf "$name"
  "$mdlm" image-generate --run "$run" --num-samples "$count" --out "$name/" --dtype bf16 --quiet "$@"
  figures "$name" "$mdlm" image-eval --run "$run" --frechet --no-bound \
    --classifier "${run%%-*}-judge" --samples "$name"
}

# draw NAME OPTION...: a picture of the page
draw() {
  name=$1
  shift
  "$mdlm" image-generate --out "$page/gallery/$name.png" --quiet "$@"
}

# --- models -----------------------------------------------------------------------------------

train digits-judge 180 "$digits" --range 0:9000 --task classify --no-noisy
train shapes-judge 120 --task classify --no-noisy
train digits-model 1800 "$digits" --range 0:9000
train digits-guide 150 "$digits" --range 0:9000 --task classify
train shapes-model 900
train shapes-guide 150 --task classify
train shapes-vp 240 --process vp
train shapes-ve 240 --process ve --loss score
train shapes-small 150 --image-size 16
train shapes-larger 240 --task upscale

# --- figures ----------------------------------------------------------------------------------

figures judge-digits "$mdlm" image-eval "$digits" --run digits-judge --range 9000:10000
figures judge-shapes "$mdlm" image-eval --run shapes-judge --num-samples "$(images 1000)"

judge digits-ddpm digits-model 500
judge digits-heun digits-model 500 --sampler heun
judge digits-long digits-model 300 --sampler ddpm --steps 1000
judge digits-short digits-model 300 --sampler ddim --steps 50

fast="--sampler ddim --steps 50"
for scale in 0 1 2 4; do
  # shellcheck disable=SC2086 # lists of words on purpose
  judge digits-cfg-$scale digits-model 1000 $fast --guidance-scale $scale
  # shellcheck disable=SC2086
  judge shapes-cfg-$scale shapes-model 400 $fast --guidance-scale $scale
done
for scale in 1 2 4; do
  # shellcheck disable=SC2086
  for kind in digits shapes; do
    judge_made $kind-by-classifier-$scale $kind-model 400 $fast --guidance-scale 0 \
      --classifier $kind-guide --classifier-scale $scale
  done
done

judge shapes-langevin shapes-ve 400 --sampler langevin
judge shapes-ve-ddim shapes-ve 400 --sampler ddim --steps 50
judge shapes-vp-ddim shapes-vp 400 --sampler ddim --steps 50
if [ ! -f field.table ]; then
  "$field" score.svg "$(part 600)" >field.part
  mv field.part field.table
fi
cp score.svg "$page/gallery/score.svg"

figures larger-ddim "$mdlm" image-eval --run shapes-larger --num-samples "$(images 500)" \
  --sampler ddim --steps 20
figures larger-ddpm "$mdlm" image-eval --run shapes-larger --num-samples "$(images 250)" \
  --sampler ddpm --steps 100

# --- pictures, and figures of edits -----------------------------------------------------------

draw digits --run digits-model -n 100 --columns 10
draw shapes --run shapes-model -n 64 --zoom 2
draw guided --run shapes-model -n 64 --zoom 2 --guidance-scale 2
rm -rf film && "$mdlm" image-generate --run shapes-model -n 4 --sampler dpm++ --steps 10 \
  --guidance-scale 2 --frames film --quiet
cp film/strip.png "$page/gallery/strip.png"
for scale in 1 2 4; do
  row="-n 8 --columns 8 --zoom 2 --sampler ddim --steps 50"
  # shellcheck disable=SC2086
  draw cfg-$scale --run shapes-model $row --guidance-scale $scale
  # shellcheck disable=SC2086
  draw by-classifier-$scale --run shapes-model $row --guidance-scale 0 --classifier shapes-guide \
    --classifier-scale $scale
done

# source KIND OPTION...: samples that are edited, and a row of them
source() {
  kind=$1
  shift
  rm -rf "$kind-sources"
  "$mdlm" image-generate --run "$kind-model" -n 32 --out "$kind-sources/" --seed 2 --quiet "$@"
  draw "$kind-sources" --run "$kind-model" -n 8 --columns 8 --zoom 2 --seed 2 "$@"
}
# edit NAME KIND OPTION...: measured on images() of 32 sources, and a row of eight of them
edit() {
  name=$1 kind=$2
  shift 2
  if [ ! -f "edit-$name.json" ]; then
    "$mdlm" image-generate --run "$kind-model" -n "$(images 32)" --out edit.png --quiet --json "$@" \
      >edit.part
    mv edit.part "edit-$name.json"
  fi
  draw "$name" --run "$kind-model" -n 8 --columns 8 --zoom 2 "$@"
}

# A mask as an IDX file: the right half is white.
row='' bit='\000'
for x in $(seq 28); do
  row=$row$bit
  [ "$x" -lt 14 ] || bit='\377'
done
printf '\000\000\010\003\000\000\000\001\000\000\000\034\000\000\000\034' >half-idx3-ubyte
for _ in $(seq 28); do printf "$row" >>half-idx3-ubyte; done
eight=0,1,2,3,4,5,6,7
source digits --class $eight --sampler heun
edit inpainted digits --class $eight --inpaint digits-sources --mask half-idx3-ubyte --dtype bf16
edit inpainted-once digits --class $eight --inpaint digits-sources --mask half-idx3-ubyte \
  --dtype bf16 --resamplings 1
source shapes --guidance-scale 2
for strength in 0.2 0.4 0.6 0.8; do
  edit strength-$strength shapes --init-image shapes-sources --strength $strength --sampler ddim --steps 50
done
draw interpolated --run shapes-model -n 8 --columns 8 --zoom 2 --strength 0.5 --sampler ddim \
  --steps 50 --interpolate shapes-sources/000000.png,shapes-sources/000001.png

draw small --run shapes-small -n 8 --columns 8 --zoom 4 --guidance-scale 2
draw cascade --run shapes-small -n 8 --columns 8 --zoom 2 --guidance-scale 2 \
  --upscaler shapes-larger

"$mdlm" info >machine
. "$root/scripts/gallery_page.inc" >"$page/gallery.md.part"
mv "$page/gallery.md.part" "$page/gallery.md"
echo "the page is '$page/gallery.md'" >&2
