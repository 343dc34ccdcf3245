#!/bin/sh
# Every sampler by every name, what steers it, caches, and the end of the text.
. "$(dirname "$0")/helpers.inc"
make_corpus corpus.txt
train_tiny --steps 20 corpus.txt || fail "training: $(cat train.err)"
ids='^[0-9]+( [0-9]+){11}$'

samplers="ancestral first-hitting random left confidence margin entropy origin threshold factor
remdm-cap remdm-rescale remdm-conf remdm-loop"
for sampler in $samplers low_confidence maskgit_plus topk_margin first_hitting remdm_cap; do
  expect 0 "sampler" "$mdlm" generate -n 12 --sampler $sampler --blocks 2 --ids
  check "$sampler fills everything" grep -qE "$ids" out.txt
done
refuse 2 "expected" "$mdlm" generate --sampler psychic
refuse 2 "sampler" "$mdlm" generate --sampler ""

# option VALUE...: accepted, and all is filled.
works() {
  expect 0 "" "$mdlm" generate -n 12 --ids "$@"
  check "filled with $*" grep -qE "$ids" out.txt
}
works --sampler confidence --step-schedule cosine --steps 4
works --sampler threshold --threshold 0.5
works --sampler factor --factor 2
works --sampler remdm-cap --eta 0.1 --steps 30
works --sampler entropy --alg-temp 0.5
works --sampler margin --alg-temperature 0.5
works --sampler confidence --edit-threshold 0.5
works --sampler confidence --compat llada --steps 3
works --sampler entropy --compat dream --steps 3 --temperature 0
works --guidance-scale 2
works --guidance-scale 2 -p 'Once upon'
for cache in none exact prefix dual; do works --cache $cache --blocks 3; done
refuse 2 "--threshold" "$mdlm" generate --threshold 1.5
refuse 2 "--factor" "$mdlm" generate --factor 0
refuse 2 "--guidance-scale" "$mdlm" generate --guidance-scale -1
# Bounds of --help are the bounds: refused before a model is looked for.
refuse 2 "--top-p 0 is out of range" "$mdlm" generate --run nowhere --top-p 0
refuse 2 "--edit-threshold 1 is out of range" "$mdlm" generate --run nowhere --edit-threshold 1

"$mdlm" generate -n 24 --cache none --sampler confidence --blocks 3 --quiet >none.txt
"$mdlm" generate -n 24 --cache exact --sampler confidence --blocks 3 --quiet >exact.txt
same none.txt exact.txt "an exact cache gives the same text"
expect 0 "cache exact (exact): 24 rows, another likeliest token in 0.00%, KL mean 0, max 0 nats" \
  "$mdlm" generate -n 24 --verify-cache --blocks 3
expect 0 "cache dual (approximate): 48 rows" \
  "$mdlm" generate -n 24 --verify-cache --blocks 3 --cache dual --num-samples 2 --json
check "every sample's JSON has the drift of its batch" \
  test "$(grep -c '"drift":{"exact":false,"rows":48,' out.txt)" -eq 2
expect 0 "" "$mdlm" generate -n 12 --json
check "no drift where none was asked for" test "$(grep -c drift out.txt)" -eq 0

# Of "a" and end-of-text (257) alone.
for rule in keep stop forbid late; do
  works --end-of-text $rule --sampler confidence
  "$mdlm" generate -n 12 --allow-tokens '97,257' --temperature 100 --end-of-text $rule --blocks 12 \
    --num-samples 8 --ids --quiet >$rule.txt
done
check "kept: among others" grep -q '257 97' keep.txt
check "stop: nothing but it follows" test "$(grep -c '257 97' stop.txt)" -eq 0
check "stop: it is drawn" grep -q '97 257' stop.txt
check "forbid: never drawn" test "$(grep -c 257 forbid.txt)" -eq 0
expect 0 "" "$mdlm" generate -p x -n 12 --allow-tokens '97,257' --temperature 100 --blocks 12 \
  --end-of-text stop --json --num-samples 8
check "stop: some text is shorter" grep -qE '"text":"xa{0,10}"' out.txt

# Models that see no further than their block or themselves.
train_tiny --steps 5 --objective block --block-length 8 --run block corpus.txt ||
  fail "training: $(cat train.err)"
train_tiny --steps 5 --objective ar --run ar corpus.txt || fail "training: $(cat train.err)"
expect 0 "blocks 12" "$mdlm" generate --run block -n 96 --ids
check "a block model writes on" test "$(wc -w <out.txt)" -eq 96
expect 0 "length 28 (default), blocks 4" "$mdlm" generate --run block -p 'Once' --blocks 4
expect 0 "" "$mdlm" generate --run block --block-length 8 -n 16
refuse 2 "blocks of 8" "$mdlm" generate --run block --block-length 4
refuse 2 "blocks of 8" "$mdlm" generate --run block -n 16 --blocks 4
refuse 2 "blocks of 8" "$mdlm" generate --run block --infill 'a[MASK*9]b' --blocks 3
expect 0 "" "$mdlm" generate --run block --infill 'a[MASK*9]b'
expect 0 "sampler left (default)" "$mdlm" generate --run ar -n 64 --ids
check "so does an autoregressive one" test "$(wc -w <out.txt)" -eq 64
expect 0 "blocks 1," "$mdlm" generate --run ar -n 12 --blocks 5 --ids
check "blocks are nothing to it" test "$(wc -w <out.txt)" -eq 12
refuse 2 "left" "$mdlm" generate --run ar --sampler ancestral
refuse 2 "trained on" "$mdlm" generate -n 64

finish
