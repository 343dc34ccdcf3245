#!/bin/sh
# Wrong words: a suggestion where there is one, exit code 2, one line on stderr.
. "$(dirname "$0")/helpers.inc"
echo text >corpus.txt

refuse 2 "did you mean 'train'" "$mdlm" trian
refuse 2 "did you mean 'generate'" "$mdlm" generat
refuse 2 "unknown command 'xyzzy'" "$mdlm" xyzzy
refuse 2 "unknown option '--steps'" "$mdlm" --steps 5 train
refuse 2 "did you mean 'train'" "$mdlm" help trian

refuse 2 "did you mean '--layers'" "$mdlm" train corpus.txt --layer 2
refuse 2 "did you mean '--seq-len'" "$mdlm" train corpus.txt --seqlen 32
refuse 2 "did you mean '--blocks'" "$mdlm" generate --block 8
refuse 2 "unknown option" "$mdlm" eval --zzzzzz

refuse 2 "needs a value" "$mdlm" train corpus.txt --steps
refuse 2 "not an integer" "$mdlm" train corpus.txt --steps many
refuse 2 "out of range" "$mdlm" train corpus.txt --layers 0
refuse 2 "out of range" "$mdlm" train corpus.txt --layers 100000
refuse 2 "out of range" "$mdlm" train corpus.txt --val-fraction 1.5
refuse 2 "not a number" "$mdlm" generate --temperature hot
refuse 2 "out of range" "$mdlm" generate --temperature -1
refuse 2 "out of range" "$mdlm" generate --top-p 2
refuse 2 "expected one of" "$mdlm" generate --sampler best
refuse 2 "expected one of" "$mdlm" train corpus.txt --optimizer sgd
refuse 2 "not a duration" "$mdlm" train corpus.txt --time soon
refuse 2 "given twice" "$mdlm" train corpus.txt --steps 5 --steps 6
refuse 2 "takes no value" "$mdlm" train corpus.txt --tied=yes
refuse 2 "unexpected argument" "$mdlm" generate stray
refuse 2 "unexpected argument" "$mdlm" eval one two
refuse 2 "needs FILE" "$mdlm" tokenize
refuse 2 "did you mean 'tales'" "$mdlm" corpus tale
refuse 2 "mdlm train corpus.txt" "$mdlm" train
refuse 2 "needs --response" "$mdlm" score --prompt a
refuse 2 "not both" "$mdlm" generate --prompt a --prompt-file corpus.txt
refuse 2 "--json needs --out" "$mdlm" corpus tales --json
refuse 2 "one of --ids, --decode" "$mdlm" tokenize --ids --decode corpus.txt
refuse 2 "must be trained first" "$mdlm" tokenize --tokenizer bpe corpus.txt
refuse 2 "--train needs --out" "$mdlm" tokenize --train corpus.txt

check "nothing was made" test ! -e mdlm-run
check "only our files are here" test "$(ls | wc -l)" -eq 3

finish
