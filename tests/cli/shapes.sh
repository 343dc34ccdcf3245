#!/bin/sh
# Pictures in a folder, and none where they do not belong.
. "$(dirname "$0")/helpers.inc"

# mdlm corpus shapes: a folder of pictures.
expect 0 "16 images in 'pictures'" "$mdlm" corpus shapes --count 16 --out pictures
check "a file for every image" test "$(find pictures -name '*.png' | wc -l)" -eq 16
for shape in circle cross diamond heart ring square star triangle; do
  check "two of each shape" test "$(ls "pictures/$shape" | wc -l)" -eq 2
done
check "a caption for every image" test "$(wc -l <pictures/captions.jsonl)" -eq 16
while IFS='"' read -r _ _ _ name _; do
  check "a caption names a file" test -f "pictures/$name"
done <pictures/captions.jsonl
check "captions are sentences" grep -q '"text":"a small green circle at the right"' \
  pictures/captions.jsonl

# The same again, and a part of it; other seeds, other pictures.
expect 0 "" "$mdlm" corpus shapes --count 16 --out again/ --quiet
check "the same files" diff -r pictures again
expect 0 "" "$mdlm" corpus shapes --first-index 8 --count 8 --out part --quiet
for file in part/*/*.png; do
  same "$file" "pictures/${file#part/}" "an image by its number"
done
expect 0 "" "$mdlm" corpus shapes --seed 2 --count 16 --out other --quiet
cmp -s pictures/captions.jsonl other/captions.jsonl && fail "seeds do not matter"
expect 0 "" "$mdlm" corpus shapes --count 8 --image-size 64 --out large --json
check "one JSON object" grep -qx '{"corpus":"shapes","images":8,.*"image_size":64.*}' out.txt
mkdir empty
expect 0 "" "$mdlm" corpus shapes --count 8 --out empty --quiet
check "an empty folder is filled" test -f empty/captions.jsonl

# No pictures for a file, even if a terminal of the kind is promised.
KITTY_WINDOW_ID=1 TERM=xterm-kitty "$mdlm" corpus shapes --show >out.txt 2>err.txt </dev/null
check "nothing is shown in a file" test ! -s out.txt
check "and it is said" grep -q "no terminal that can show pictures" err.txt

refuse 2 "not empty" "$mdlm" corpus shapes --out pictures
refuse 2 "give it with --out" "$mdlm" corpus shapes
refuse 2 "--bytes is for tales and markov" "$mdlm" corpus shapes --bytes 100 --out new
refuse 2 "--show is for shapes" "$mdlm" corpus tales --show
refuse 2 "there are 8100" "$mdlm" corpus questions --count 8101
refuse 2 "out of range" "$mdlm" corpus shapes --image-size 4 --out new
echo text >file
refuse 5 "file" "$mdlm" corpus shapes --count 8 --out file/new
refuse 3 "file" "$mdlm" corpus shapes --count 8 --out file

# Interrupted, it leaves nothing.
"$mdlm" corpus shapes --count 1000000 --out long --quiet >out.txt 2>err.txt &
pid=$!
tries=0
until ls long.new-*/captions.jsonl* >/dev/null 2>&1 || [ $tries -gt 200 ]; do
  tries=$((tries + 1))
  sleep 0.05
done
kill -TERM $pid
wait $pid
check "the exit code tells the signal" test $? -eq 143
check "nothing is left" test -z "$(ls -d long* 2>/dev/null)"

finish
