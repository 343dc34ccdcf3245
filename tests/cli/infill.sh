#!/bin/sh
# Texts with holes.
. "$(dirname "$0")/helpers.inc"
make_corpus corpus.txt
train_tiny --steps 20 corpus.txt || fail "training: $(cat train.err)"

expect 0 "length 5" "$mdlm" generate --infill 'To [MASK*5] or not'
check "the spans are there" test "$(head -c 3 out.txt)" = "To "
check "at both ends" test "$(tail -c 8 out.txt)" = " or not"
check "and five bytes between" test "$(wc -c <out.txt)" -eq 16
expect 0 "" "$mdlm" generate --infill '[MASK]a[MASK*2]b[MASK]' --ids
check "--ids prints the ids of the holes" grep -qE '^[0-9]+( [0-9]+){3}$' out.txt
expect 0 "" "$mdlm" generate --infill 'x[MASK*3]y[MASK]z' --allow-tokens '"q"' --json
check "fills are one a hole" \
  grep -qF '"text":"xqqqyqz","ids":[113,113,113,113],"fills":["qqq","q"]' out.txt

# literal CANVAS TEXT: with every hole filled by "q".
literal() {
  expect 0 "" "$mdlm" generate --infill "$1" --allow-tokens '"q"' --quiet
  check "'$1' is '$2'" test "$(cat out.txt)" = "$2"
}
literal '\[MASK] [MASK]' '[MASK] q'
literal '\[MASK*2] [MASK*2]' '[MASK*2] qq'
literal '\\[MASK]' '\q'
literal '\\\[MASK][MASK]' '\[MASK]q'
literal '\\\\[MASK]' '\\q'
literal '\n\[x] [MASKED] [mask] [[MASK]]' '\n\[x] [MASKED] [mask] [q]'
printf '\377\303[MASK*2]\200' >canvas.bin
expect 0 "" "$mdlm" generate --infill "$(cat canvas.bin)" --allow-tokens '"q"' --quiet
printf '\377\303qq\200\n' >wanted.bin
same out.txt wanted.bin "bytes that are no UTF-8 stay"

refuse 2 "reserved" "$mdlm" generate --infill 'To [MASK*3-12] or'
refuse 2 "expected 1 to 32" "$mdlm" generate --infill '[MASK*0]'
refuse 2 "expected 1 to 32" "$mdlm" generate --infill '[MASK*33]'
refuse 2 "expected 1 to 32" "$mdlm" generate --infill '[MASK*99999999999999999999]'
refuse 2 "more than 32" "$mdlm" generate --infill '[MASK*20] [MASK*20]'
refuse 2 "trained on" "$mdlm" generate --infill '[MASK*20] and some more text'
refuse 2 "no hole" "$mdlm" generate --infill 'To be'
refuse 2 "no hole" "$mdlm" generate --infill ''
refuse 2 "is no hole" "$mdlm" generate --infill 'a [MASK*x]'
refuse 2 "is no hole" "$mdlm" generate --infill 'a [MASK*'
refuse 2 "is no hole" "$mdlm" generate --infill 'a [MASK*]'
refuse 2 "--prompt, not both" "$mdlm" generate --infill '[MASK]' -p a
refuse 2 "--length, not both" "$mdlm" generate --infill '[MASK]' -n 4
refuse 2 "1 and 3" "$mdlm" generate --infill '[MASK]a[MASK*2]' --blocks 2
expect 0 "blocks 3" "$mdlm" generate --infill '[MASK]a[MASK*2]' --blocks 3

# A tokenizer with merges, and one of characters.
for kind in "bpe --vocab-size 300" chars; do
  train_tiny --steps 5 --tokenizer $kind --run "run-$kind" corpus.txt || fail "$(cat train.err)"
  expect 0 "" "$mdlm" generate --run "run-$kind" --quiet --infill "$(cat canvas.bin)" \
    --allow-tokens '"q"'
  same out.txt wanted.bin "spans of $kind stay byte for byte"
done

finish
