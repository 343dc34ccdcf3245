#!/bin/sh
# eval --samples: the report on what a model wrote.
here=$(cd "$(dirname "$0")" && pwd)
. "$here/helpers.inc"
make_corpus corpus.txt
train_tiny --steps 20 corpus.txt || fail "training: $(cat train.err)"
"$mdlm" corpus tales --seed 9 --bytes 600 --quiet | head -c 600 >text
{ echo '--- sample 0'; head -c 300 text; echo; echo '--- sample 1'; tail -c 300 text; echo; } >samples.txt
json() { sed 's/"/\\"/g' | awk '{ printf "%s%s", n++ ? "\\n" : "", $0 }'; }
printf '{"text":"%s"}\n' "$(head -c 300 text | json)" "$(tail -c 300 text | json)" >samples.jsonl

# Whatever a model writes can be reported on.
"$mdlm" generate --num-samples 4 --json --quiet >made.jsonl || fail "generate"
"$mdlm" generate --num-samples 4 --quiet >made.txt || fail "generate"
for made in made.jsonl made.txt; do
  expect 0 "4 samples of '$made' against 'corpus.txt'" \
    "$mdlm" eval --samples $made --reference corpus.txt --json
  check "four texts" grep -q '^{"texts":4,' out.txt
done

expect 0 "" "$mdlm" eval --samples samples.jsonl --reference corpus.txt --json
check "one line" test "$(wc -l <out.txt)" -eq 1
for key in nats_per_byte stderr_nats_per_byte perplexity entropy_bits_per_byte \
           entropy_bits_per_word distinct repetition word_validity novel_words novel_bytes \
           longest_copy_bytes held_out reference_bytes held_out_bytes; do
  check "the result has $key" grep -q "\"$key\":" out.txt
done
check "two texts" grep -q '^{"texts":2,"empty":0,"bytes":600,' out.txt
check "a tenth is held out" grep -q '"held_out_bytes":20' out.txt
cp out.txt from-json
expect 0 "" "$mdlm" eval --samples samples.txt --reference corpus.txt --json --quiet
check "--quiet is quiet" test ! -s err.txt
same from-json out.txt "samples as text and as JSON lines"
expect 0 "its validation part held out" "$mdlm" eval --samples samples.txt --json
same from-json out.txt "the run's corpus and the file it was trained on"
expect 0 "" "$mdlm" eval --samples samples.txt --reference corpus.txt --order 3
check "the human report has two columns" grep -qE '^perplexity per byte +[0-9.]+ +[0-9.]+ ' out.txt

# No model is needed.
mkdir elsewhere && cd elsewhere || exit 1
expect 0 "" "$mdlm" eval --samples ../samples.txt --reference ../corpus.txt --json --quiet
same ../from-json out.txt "with a run and without"
refuse 2 "keeps no corpus" "$mdlm" eval --samples ../samples.txt
cd .. || exit 1

# The script that draws speed against quality, at its smallest.
bench=$(cd "$here/../../bench" && pwd)
curve() {
  CORPUS=corpus.txt MODEL=mdlm-run SAMPLERS="ancestral threshold first-hitting" SAMPLES=2 STEPS="2 8" \
    THRESHOLDS="0 0.5" LENGTH=32 WORK=curve OUT=page "$@" sh "$bench/samplers.sh" "$mdlm"
}
mkdir page
printf 'before\n<!-- table -->\nan old row\n<!-- end of table -->\nafter\n' >page/samplers.md
expect 0 "threshold 0.5" curve env
check "a row for each point, and one for real text" test "$(grep -c '^| [a-z]' out.txt)" -eq 7
check "steps are those that were taken" grep -q '^| first-hitting |  | 32 | 32 | ' out.txt
check "the table replaces the old one" test "$(sed -n '1p;$p' page/samplers.md | tr '\n' ' ')" = "before after "
check "nothing of the old one is left" test "$(grep -c 'an old row' page/samplers.md)" -eq 0
check "three lines or points in the plot" test "$(grep -c '<circle' page/samplers.svg)" -eq 8
check "the plot ends" test "$(tail -n 1 page/samplers.svg)" = "</svg>"
cp out.txt table
expect 0 "" curve env
same table out.txt "what was measured is kept"
check "nothing is measured again" test ! -s err.txt
expect 2 "other settings" curve env SAMPLES=3

: >empty.txt
printf '{"text":"a"}\n{"text":\n' >bad.jsonl
refuse 3 "missing.txt" "$mdlm" eval --samples missing.txt --reference corpus.txt
refuse 3 "missing.txt" "$mdlm" eval --samples samples.txt --reference missing.txt
refuse 3 "empty" "$mdlm" eval --samples empty.txt --reference corpus.txt
refuse 3 "line 2" "$mdlm" eval --samples bad.jsonl --reference corpus.txt
refuse 2 "--reference" "$mdlm" eval corpus.txt --samples samples.txt
refuse 2 "--samples" "$mdlm" eval --reference corpus.txt
refuse 2 "--order" "$mdlm" eval --samples samples.txt --reference corpus.txt --order 8

finish
