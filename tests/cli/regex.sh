#!/bin/sh
# Text that must match a regular expression, or hold some tokens and not others.
. "$(dirname "$0")/helpers.inc"
make_corpus corpus.txt
train_tiny --steps 20 corpus.txt || fail "training: $(cat train.err)"

for sampler in ancestral confidence threshold remdm-loop left; do
  for temperature in 0 1; do
    expect 0 "" "$mdlm" generate -n 12 --regex '\d{4}-[a-f]+(x|yz)?' --sampler $sampler \
      --temperature $temperature --num-samples 20 --quiet
    check "$sampler at $temperature matches, twenty times" \
      test "$(grep -cE '^[0-9]{4}-[a-f]+(x|yz)?$' out.txt)" -eq 20
  done
done
expect 0 "" "$mdlm" generate -p 'On ' -n 12 --blocks 3 --regex '[0-9]{4}-[0-9]{2}-[0-9]{2}' --quiet
check "the prompt is no part of it" grep -qE '^On [0-9]{4}-[0-9]{2}-[0-9]{2}$' out.txt
expect 0 "" "$mdlm" generate --infill 'To [MASK*9] or [MASK*4]' --regex 'To [a-z]+ or \d+' --quiet
check "with --infill the whole text is" grep -qE '^To [a-z]+ or [0-9]+$' out.txt
expect 0 "" "$mdlm" generate -n 8 --regex 'é{2}.*' --quiet
check "characters are characters" test "$(head -c 4 out.txt)" = "éé"

refuse 2 "at least 7 tokens: there are 5" "$mdlm" generate -n 5 --regex '\d{4}-\d\d'
refuse 2 "just 9 tokens" "$mdlm" generate -n 9 --regex '\d{4}' --end-of-text forbid
refuse 2 "contradicts the regular expression at token 5" \
  "$mdlm" generate --infill 'ab[MASK*3]c' --regex 'ab[0-9]+'
refuse 2 "byte 3: '(' without" "$mdlm" generate -n 5 --regex 'ab(c'
refuse 2 "backreferences" "$mdlm" generate -n 5 --regex '(a)\1'
refuse 2 "too large" "$mdlm" generate -n 5 --regex '(a{1000}){1000}'

expect 0 "" "$mdlm" generate -n 20 --allow-tokens '97, "b" ,"\x63"' --quiet
check "only the allowed are drawn" grep -qE '^[abc]{20}$' out.txt
expect 0 "" "$mdlm" generate -n 20 --allow-tokens '"a","b"' --forbid-tokens '98' --quiet
check "what is forbidden is not" grep -qE '^a{20}$' out.txt
refuse 2 "2 tokens: expected one" "$mdlm" generate -n 4 --allow-tokens '"ab"'
refuse 2 "0 tokens: expected one" "$mdlm" generate -n 4 --allow-tokens '""'
refuse 2 "vocabulary of 259" "$mdlm" generate -n 4 --forbid-tokens '1,999'
refuse 2 "a comma at character 3" "$mdlm" generate -n 4 --forbid-tokens '1 2'
refuse 2 "a closing quote at character 3" "$mdlm" generate -n 4 --forbid-tokens '"a'
refuse 2 "an id or a quoted text at character 1" "$mdlm" generate -n 4 --allow-tokens ''
refuse 2 "an id or a quoted text at character 3" "$mdlm" generate -n 4 --allow-tokens '1,'
refuse 2 "no token is left" "$mdlm" generate -n 4 --allow-tokens '1' --forbid-tokens '1'

finish
