#!/bin/sh
# Images made of images: from one by strength, around known pixels, from one to another; what is
# said of them; errors before anything is written.
. "$(dirname "$0")/helpers.inc"

"$mdlm" image-train --image-size 8 --base-channels 8 --channel-mults 1,2 --res-blocks 1 \
  --batch-size 8 --steps 60 --timesteps 40 --quiet >train.out 2>train.err </dev/null ||
  fail "image-train: $(cat train.err)"
make() { "$mdlm" image-generate --sampler ddim --steps 8 --quiet "$@"; }
# set NAME COUNT Y X BYTES...: an IDX file of grey images.
set_of() {
  name=$1
  printf "\\000\\000\\010\\003\\000\\000\\000\\00$2\\000\\000\\000\\0$3\\000\\000\\000\\0$4" >"$name"
  shift 4
  printf "$@" >>"$name"
}
row_of() { for _ in 1 2 3 4 5 6 7 8; do printf '%s' "$1"; done; } # 8 of it
less() { awk "BEGIN { exit !($1 < $2) }"; }

expect 0 "" make -n 2 --out drawn/ --class 0
a=drawn/000000.png b=drawn/000001.png
half=$(row_of '\000\000\000\000\377\377\377\377')
set_of half-idx3-ubyte 1 10 10 "$half"
one=$(row_of '\000\000\000\000\000\000\000')
set_of one-idx3-ubyte 1 10 10 '\377'"$one"'\000\000\000\000\000\000\000'
set_of black-idx3-ubyte 1 10 10 "$(row_of '\000\000\000\000\000\000\000\000')"
set_of small-idx3-ubyte 1 04 04 "$(row_of '\377\377')"

# --- from an image, by strength ---
before=0
for strength in 0.05 0.3 0.6 1; do
  expect 0 "" make --init-image shapes --strength $strength -n 3 --out x.png --json
  check "three lines" test "$(wc -l <out.txt)" -eq 3
  check "of no class" grep -q '"label":-1' out.txt
  now=$(first distance)
  check "strength $strength: $now is farther than $before" less "$before" "$now"
  before=$now
done
expect 0 "from '$a', strength 0.5: 4 steps" "$mdlm" image-generate --sampler ddim --steps 8 \
  --init-image $a --strength 0.5
check "the distance is said" grep -q '^distance from the source 0.[0-9]' err.txt
expect 0 "" make --init-image $a -n 1 --out y.png --class 1
expect 0 "" make --init-image $a -n 1 --out z.png
cmp -s y.png z.png && fail "a class changes nothing"
# sources are taken in turn, by the number of the image
expect 0 "" make --init-image drawn -n 3 --out turn/
expect 0 "" make --init-image $b -n 1 --first-index 1 --out alone/
same turn/000001.png alone/000001.png "image 1 is made of source 1"
expect 0 "" make --init-image shapes -n 2 --out x.png
expect 0 "" make --init-image half-idx3-ubyte -n 2 --out x.png

# --- around known pixels ---
paint="--inpaint $a --mask half-idx3-ubyte"
expect 0 "" make $paint -n 2 --out x.png --json
check "few steps are not repeated" test "$(first steps)" -eq 8
expect 0 "" make $paint -n 2 --jump 2 --resamplings 3 --out y.png --json
check "8 steps and three pairs twice more" test "$(first steps)" -eq 20
check "a seam" less 0 "$(first seam)"
check "and that of the source" less 0 "$(first seam_source)"
cmp -s x.png y.png && fail "resamplings change nothing"
expect 0 "" make --inpaint $a --mask one-idx3-ubyte -n 1 --out x.png --json
check "all pixels but one of 64 are known" less "$(first distance)" 0.25
expect 0 "" make $paint -n 5 --jump 2 -t 1 --out whole/
expect 0 "" make $paint -n 2 --jump 2 -t 2 --first-index 3 --out part/
for i in 3 4; do same whole/00000$i.png part/00000$i.png "repainted image $i"; done
expect 0 "'$a' repainted where 'half-idx3-ubyte' is white, resamplings 10 (default), jump 2: " \
  "$mdlm" image-generate --sampler ddpm --steps 8 $paint --jump 2
check "the seam is said" grep -q '^across the border of the mask pixels differ by' err.txt
expect 0 "" make $paint --strength 0.3 -n 1 --out x.png --json
check "with strength, fewer steps" test "$(first steps)" -eq 2
expect 0 "" make $paint -n 2 --frames film --jump 2
check "moments" test -f film/strip.png

# --- from one to another ---
expect 0 "" make --interpolate $a,$b -n 5 --strength 0.2 --out way/ --json
check "five lines" test "$(wc -l <out.txt)" -eq 5
expect 0 "" make --interpolate $b,$a -n 5 --strength 0.2 --out back/
for i in 0 1 2 3 4; do same way/00000$i.png back/00000$((4 - i)).png "the way back, $i"; done
expect 0 "between '$a,$b', strength 0.6 (default): 5 steps" "$mdlm" image-generate --sampler ddim \
  --steps 8 --interpolate $a,$b -n 70
check "70 images" grep -q '^70 images' err.txt

# --- errors ---
mkdir empty && cd empty || exit 1
try="--model ../mdlm-image-run --quiet"
refuse 2 "expected one of --inpaint, --init-image and --interpolate" "$mdlm" image-generate $try \
  --inpaint ../$a --init-image ../$a
refuse 2 "--inpaint needs a --mask" "$mdlm" image-generate $try --inpaint ../$a
refuse 2 "--mask is for --inpaint" "$mdlm" image-generate $try --mask ../$a
refuse 2 "--jump is for --inpaint" "$mdlm" image-generate $try --init-image ../$a --jump 3
refuse 2 "--strength is for images made of images" "$mdlm" image-generate $try --strength 0.5
refuse 2 "--interpolate '../$a': expected two pictures" "$mdlm" image-generate $try \
  --interpolate ../$a
refuse 2 "--strength 0 is out of range" "$mdlm" image-generate $try --init-image ../$a --strength 0
refuse 3 "'../small-idx3-ubyte' is of 4x4 pixels: expected 8x8" "$mdlm" image-generate $try \
  --inpaint ../$a --mask ../small-idx3-ubyte
refuse 3 "--inpaint '../small-idx3-ubyte' is of 4x4 pixels" "$mdlm" image-generate $try \
  --inpaint ../small-idx3-ubyte --mask ../half-idx3-ubyte
refuse 3 "is black" "$mdlm" image-generate $try --inpaint ../$a --mask ../black-idx3-ubyte
refuse 3 "nowhere.png" "$mdlm" image-generate $try --init-image nowhere.png
check "nothing was written" test "$(ls -A | tr "\n" " ")" = "err.txt out.txt "

finish
