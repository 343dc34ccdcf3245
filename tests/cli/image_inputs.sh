#!/bin/sh
# Bad images, models and places to write to: one clear line, the documented exit code, and nothing
# is left behind.
. "$(dirname "$0")/helpers.inc"

network="--base-channels 8 --channel-mults 1 --res-blocks 1 --batch-size 8 --quiet"
train_images() { "$mdlm" image-train "$@" $network --steps 2 >train.out 2>train.err </dev/null; }
letters() { "$mdlm" corpus tales --bytes 4000 --quiet | head -c "$1"; }

# spoilt CODE TEXT DATA OPTION...: no training on these images.
spoilt() {
  code=$1 text=$2 data=$3
  shift 3
  refuse "$code" "$text" "$mdlm" image-train "$data" $network --steps 2 --run no "$@"
  for leftover in no no.*; do
    [ ! -e "$leftover" ] || { fail "'$leftover' is left behind: $data"; rm -rf "$leftover"; }
  done
}

# --- IDX: forty images of 8x8, whose pixels are letters; every way to be wrong ---
make_digits
cp $digits good-images-idx3
pixels() { tail -c 2560 $digits; }
head -c 1000 good-images-idx3 >short
head -c 10 good-images-idx3 >header
head -c 3 good-images-idx3 >three
: >empty
{ cat good-images-idx3; printf x; } >long
{ printf '\001\000\010\003'; tail -c +5 good-images-idx3; } >magic
{ printf '\000\000\015\003'; tail -c +5 good-images-idx3; } >floats
{ printf '\000\000\010\002'; tail -c +5 good-images-idx3; } >flat
{ printf '\000\000\010\003\377\377\377\377\377\377\377\377\377\377\377\377'; pixels; } >sides
{ printf '\000\000\010\003\377\377\377\377\000\000\100\000\000\000\020\000'; pixels; } >many
printf '\000\000\010\003\000\000\000\000\000\000\000\010\000\000\000\010' >none
{ printf '\000\000\010\003\000\000\000\050\000\000\000\000\000\000\000\010'; pixels; } >thin
gzip -c good-images-idx3 >whole.gz
head -c 500 whole.gz >cut.gz
cp good-images-idx3 plain.gz
{ head -c 200 whole.gz; printf '\377\000\377\000'; tail -c +205 whole.gz; } >scribbled.gz
gzip -c short >short.gz
gzip -c long >long.gz
spoilt 3 "short' is truncated: its header promises 40 items of 64 bytes" short
spoilt 3 "header' is truncated: its header has no end" header
spoilt 3 "three' is not an IDX file" three
spoilt 3 "empty' holds no images" empty
spoilt 3 "long' goes on after the 40 items" long
spoilt 3 "magic' holds no images: expected IDX" magic
spoilt 3 "floats' holds IDX numbers of type 13: expected 8, bytes" floats
spoilt 3 "flat' has 2 dimensions: expected 3 or 4" flat
spoilt 3 "sides' has 4294967295 x 4294967295 pixels" sides
spoilt 3 "many' is truncated: its header promises 4294967295 items" many
spoilt 3 "none' holds nothing" none
spoilt 3 "thin' has no pixels" thin
spoilt 3 "cut.gz' is truncated" cut.gz
spoilt 3 "plain.gz' is not a gzip file" plain.gz
spoilt 3 "scribbled.gz' is damaged" scribbled.gz
spoilt 3 "short.gz' is truncated" short.gz
spoilt 3 "long.gz' goes on after the 40 items" long.gz
spoilt 3 "cannot open 'missing'" missing
spoilt 3 "did you mean 'shapes'" shape
spoilt 3 "is neither a file nor a folder" /dev/null
spoilt 3 "the range 30:50 is no part of them" good-images-idx3 --range 30:50
spoilt 3 "one image of '$work/good-images-idx3' is not enough" good-images-idx3 --range 3:4
spoilt 2 "expected A:B" good-images-idx3 --range 4:4
spoilt 3 "has 3 dimensions: expected 1 (labels)" good-images-idx3 --labels good-images-idx3
spoilt 3 "cannot open 'missing': no such file" good-images-idx3 --labels missing
{ printf '\000\000\010\001\000\000\000\047'; letters 39; } >few
spoilt 3 "has 39 labels: expected one for each of the 40 images" good-images-idx3 --labels few
spoilt 2 "come with IDX files" shapes --labels labels

# --- CIFAR-10 ---
letters 3073 >letters.bin
letters 3000 >short.bin
letters 3074 >other.bin
spoilt 3 "letters.bin': image 0 has the label" letters.bin
spoilt 3 "short.bin' has 3000 bytes: expected a multiple of 3073" short.bin
spoilt 3 "could be of CIFAR-100" other.bin

# --- PNG and JPEG: a folder has one bad picture beside a good one ---
"$mdlm" corpus shapes --count 8 --image-size 8 --quiet --out shapes8 || fail "no shapes"
picture=$(ls shapes8/*/*.png | head -n 1)
# bad NAME TEXT: the picture comes from stdin. A build may lack what reads them.
bad() {
  mkdir folder
  cp "$picture" folder/a.png
  cat >"folder/$1"
  "$mdlm" image-train folder --run probe 2>&1 | grep -q "built without" || spoilt 3 "$2" folder
  rm -r folder
}
# Headers with a valid checksum, and next to nothing behind them: 30000 and 2^31 - 1 pixels a side.
begin='\211PNG\r\n\032\n\000\000\000\015IHDR'
printf "$begin"'\000\000u0\000\000u0\010\002\000\000\000\351Eo\355\000\000\000\012IDAT' |
  bad bomb.png "bomb.png' has 30000 x 30000 pixels: the most is 16384 a side"
printf "$begin"'\177\377\377\377\177\377\377\377\010\002\000\000\000\233\253\234\061' |
  bad bomb.png "bomb.png' is damaged"
head -c 100 "$picture" | bad cut.png "cut.png' is damaged"
{ head -c 60 "$picture"; printf '\000\377\000\377'; tail -c +65 "$picture"; } |
  bad damaged.png "damaged.png' is damaged"
: | bad nothing.png "nothing.png' is neither a PNG nor a JPEG"
echo text | bad text.jpg "text.jpg' is neither a PNG nor a JPEG"
printf '\377\330\377\340\000\020JFIF\000\001' | bad cut.jpg "cut.jpg' is damaged"
"$mdlm" corpus shapes --count 8 --image-size 16 --quiet --out shapes16 || fail "no shapes"
bad large.png "large.png' 16 x 16: expected one (image-train fits them" \
  <"$(ls shapes16/*/*.png | head -n 1)"
mkdir hollow texts
spoilt 3 "hollow' holds no files" hollow
echo text >texts/a.txt
spoilt 3 "texts' holds 1 files, but no PNG or JPEG" texts

# --- a network that does not fit them ---
spoilt 2 "--attn-res 16 is the size of no level: they halve from 8 to 8" good-images-idx3 \
  --attn-res 16
spoilt 2 "reaches beta = 1 with 12 timesteps" good-images-idx3 --timesteps 12 \
  --noise-schedule scaled-linear
spoilt 2 "ends in noise alone" good-images-idx3 --process flow --prediction eps
spoilt 2 "logit-normal is for levels that do not move" good-images-idx3 --noise-schedule learned \
  --timestep-sampling logit-normal
spoilt 2 "zero terminal snr is for noise schedules made of betas" good-images-idx3 --zero-snr \
  --noise-schedule learned
refuse 1 "out of memory: cannot allocate" env ASAN_OPTIONS=allocator_may_return_null=1 "$mdlm" \
  image-train good-images-idx3 --res-blocks 512 --base-channels 8192 --run no

# --- places that cannot be written to ---
echo text >file
refuse 5 "'file' is a file, not a folder" "$mdlm" image-train good-images-idx3 $network --run file
refuse 5 "cannot make the run folder 'file/run'" "$mdlm" image-train good-images-idx3 $network \
  --run file/run
refuse 2 "which is no part of a run" "$mdlm" image-train good-images-idx3 $network --run texts
check "the folder of others is as it was" test "$(ls -A texts)" = a.txt

# --- models for other things ---
train_images good-images-idx3 --timesteps 30 || fail "image-train: $(cat train.err)"
run=mdlm-image-run
train_images shapes --image-size 8 --timesteps 30 --run coloured || fail "$(cat train.err)"
make_corpus corpus.txt
train_tiny --steps 2 corpus.txt || fail "training: $(cat train.err)"
for command in "image-generate" "image-eval" "image-eval good-images-idx3"; do
  refuse 3 "mdlm-run/config.json': model_type is" "$mdlm" $command -m mdlm-run
  refuse 3 "there is no model folder 'nowhere'" "$mdlm" $command -m nowhere
done
refuse 3 "'mdlm-run/config.json': model_type is" "$mdlm" image-train --init mdlm-run --run no
refuse 3 "model_type is \"mdlm_image\"" "$mdlm" train corpus.txt --init $run --run no
refuse 3 "model_type is \"mdlm_image\"" "$mdlm" convert $run no
refuse 3 "has images of 8x8x1: those of 'coloured' are 8x8x3" "$mdlm" image-eval -m coloured \
  good-images-idx3
refuse 3 "has images of 32x32x3: those of '$run' are 8x8x1" "$mdlm" image-eval shapes
for data in short long cut.gz texts hollow missing other.bin; do
  refuse 3 "$data" "$mdlm" image-eval $data --items no
done
refuse 2 "the model was trained without classes" "$mdlm" image-generate --class 0
refuse 2 "the model was trained without classes" "$mdlm" image-generate --guidance-scale 2
refuse 2 "'8' is not known: expected one of the 8 from 'circle' to 'triangle'" "$mdlm" \
  image-generate -m coloured --class 8
refuse 2 "31 sampling steps of a process of 30 timesteps" "$mdlm" image-generate --steps 31 \
  --out no/ --frames no
refuse 2 "expected the name of a PNG file" "$mdlm" image-generate --out no.jpg
check "nothing is left of what was refused" test ! -e no -a ! -e no.jpg -a ! -e samples.png

# --- damaged models ---
cut_short() { size=$(wc -c <"$1"); head -c $((size / 2)) "$1" >half && mv half "$1"; }
make_empty() { : >"$1"; }
scribble() { printf '\377\377\377\377\377\377\377\377' | dd of="$1" conv=notrunc 2>/dev/null; }
for damaged in model.safetensors config.json; do
  for how in cut_short make_empty scribble rm; do
    rm -rf bad && cp -r $run bad && $how bad/$damaged
    refuse 3 "$damaged" "$mdlm" image-generate -m bad
    refuse 3 "$damaged" "$mdlm" image-eval -m bad
    [ $damaged = model.safetensors ] || refuse 3 "$damaged" "$mdlm" info bad
  done
done
for change in 's/"process":/"prozess":/' 's/\("timesteps":[[:space:]]*\)30/\11/' \
              's/\("base_channels":[[:space:]]*\)8/\116/' \
              's/\("image_height":[[:space:]]*\)8/\10/'; do
  rm -rf bad && cp -r $run bad && sed -i "$change" bad/config.json
  refuse 3 "'bad/" "$mdlm" image-generate -m bad
done
rm -rf bad && cp -r $run bad && rm bad/checkpoints/*/raw.safetensors
refuse 3 "raw.safetensors" "$mdlm" image-generate -m bad --weights raw
refuse 3 "checkpoint" "$mdlm" image-train --resume --run bad --steps 4 --quiet
rm -rf bad && cp -r $run bad && make_empty good-images-idx3
refuse 3 "good-images-idx3' holds no images" "$mdlm" image-train --resume --run bad --steps 4 \
  --quiet
{ head -c 16 $digits; letters 2561 | tail -c 2560; } >good-images-idx3
refuse 3 "good-images-idx3' have changed since" "$mdlm" image-train --resume --run bad --steps 4 \
  --quiet
cp $digits good-images-idx3

# --- outputs that cannot be written ---
if [ -w /dev/full ]; then
  for command in "image-generate -n 2 --steps 2 --json" "image-generate -n 2 --steps 2 --show" \
                 "image-eval --vlb-steps 4" "image-eval --vlb-steps 4 --json" "info $run"; do
    "$mdlm" $command >/dev/full 2>err.txt
    got=$?
    check "a full device is exit code 5: $command" test $got -eq 5
    check "and is said: $command" grep -q "^mdlm: cannot write to stdout" err.txt
  done
fi
for out in /dev/null file/ file/x.png nowhere/x.png; do
  refuse 5 "$out" "$mdlm" image-generate -n 2 --steps 2 --quiet --out $out
done
refuse 5 "cannot make folder 'file'" "$mdlm" image-generate -n 2 --steps 2 --quiet --frames file
refuse 5 "nowhere/items" "$mdlm" image-eval --vlb-steps 4 --items nowhere/items
# limited FILE COMMAND...: nothing may be larger than a block of 512 bytes, or of 1024.
limited() {
  name=$1
  shift
  (ulimit -f 1; exec "$mdlm" "$@") >out.txt 2>err.txt </dev/null
  got=$?
  check "a file at the limit of its size is exit code 5: $*" test $got -eq 5
  check "and is said: $(cat err.txt)" grep -q "^mdlm: cannot write '$name" err.txt
  for part in $(ls -d $name* 2>/dev/null); do
    [ -z "$(find $part -type f)" ] || fail "of $name, there is $(find $part -type f)"
  done
}
limited grid.png image-generate -n 400 --zoom 2 --steps 2 --out grid.png
limited singles/000000.png image-generate -n 2 --zoom 64 --steps 2 --out singles/
limited film/step-0001.png image-generate -n 30 --zoom 8 --steps 2 --frames film
limited items image-eval --split all --vlb-steps 4 --items items
limited limited image-train good-images-idx3 $network --steps 2 --run limited
check "a training that could not save leaves no run" test ! -e limited
no_temporary_files

finish
