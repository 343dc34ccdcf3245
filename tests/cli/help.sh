#!/bin/sh
# Help and version: examples first, on stdout, exit code 0.
. "$(dirname "$0")/helpers.inc"

expect 0 "" "$mdlm" --version
check "the version is a number" grep -qE '^mdlm [0-9]+\.[0-9]+\.[0-9]+$' out.txt
expect 0 "" "$mdlm" train --version
check "a command knows the version" grep -qE '^mdlm [0-9]' out.txt

expect 0 "" "$mdlm" --help
check "the overview has examples" grep -q '^Examples:' out.txt
for command in train generate chat eval score tokenize convert corpus bench image-train image-generate \
  image-eval info; do
  expect 0 "" "$mdlm" --help
  check "the overview lists $command" grep -qE "^  $command " out.txt
  for ask in "--help" "-h"; do
    expect 0 "" "$mdlm" $command $ask
    check "help of $command has a usage line" grep -q "^Usage: mdlm $command" out.txt
    examples=$(grep -n '^Examples:' out.txt | cut -d: -f1)
    options=$(grep -n -e '--seed' out.txt | head -n 1 | cut -d: -f1)
    [ -n "$examples" ] && [ -n "$options" ] && [ "$examples" -lt "$options" ] ||
      fail "examples come before options in the help of $command"
    [ -s err.txt ] && fail "help of $command writes to stderr"
  done
  [ "$(awk 'length > 100' out.txt | wc -l)" -eq 0 ] || fail "help of $command is too wide"
done
expect 0 "" "$mdlm" help generate
check "mdlm help COMMAND works" grep -q '^Usage: mdlm generate' out.txt
expect 0 "" "$mdlm" train --no-such-option --help
check "help is shown in spite of a bad option" grep -q '^Usage: mdlm train' out.txt
expect 2 "a command is missing" "$mdlm"

finish
