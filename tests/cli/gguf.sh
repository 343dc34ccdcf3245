#!/bin/sh
# GGUF files: written by convert, used where a model folder is, and made a folder again.
. "$(dirname "$0")/helpers.inc"
make_corpus corpus.txt

# round RUN OPTIONS...: a network trained with these options, as a GGUF file and back.
round() {
  run=$1
  shift
  train_tiny --run "$run" --steps 3 "$@" corpus.txt || fail "training: $(cat train.err)"
  expect 0 "next: mdlm generate --model $run.gguf" "$mdlm" convert "$run" "$run.gguf"
  expect 0 "" "$mdlm" generate --model "$run" --length 16 --quiet
  mv out.txt of-the-run.txt
  expect 0 "" "$mdlm" generate --model "$run.gguf" --length 16 --quiet
  same out.txt of-the-run.txt "$run.gguf writes what $run writes"
  expect 0 "" "$mdlm" convert "$run.gguf" "$run-again" --quiet
  same "$run/model.safetensors" "$run-again/model.safetensors" "weights come back"
  expect 0 "" "$mdlm" generate --model "$run-again" --length 16 --quiet
  same out.txt of-the-run.txt "$run-again writes what $run writes"
}

round bpe --tokenizer bpe --vocab-size 320
round bytes --tokenizer bytes --tied
round chars --tokenizer chars

expect 0 "" "$mdlm" info bpe.gguf --json
check "info knows the shape" grep -q '"kind":"llada","layers":1,"dim":32,"heads":2' out.txt
check "info knows what the network has not" grep -q \
  '"tied":false,"qkv_bias":false,"shifted_logits":false' out.txt
check "info knows the tokenizer" grep -q '"tokenizer":"bpe"' out.txt
mkdir told && cp bpe/*.json told
sed '1s/{/{"shift_logits": true, "include_qkv_bias": true,/; s/"weight_tying":.*,/"weight_tying": true,/' \
  bpe/config.json >told/config.json
expect 0 "" "$mdlm" info told
check "info tells kinds apart" grep -q \
  '^kind        LLaDA, head tied to the embedding, biases on q, k and v, logits shifted by one$' out.txt
echo "Once upon a time" >text.txt
expect 0 "" "$mdlm" tokenize --model bpe text.txt
mv out.txt ids.txt
expect 0 "" "$mdlm" tokenize --tokenizer bpe.gguf text.txt
same out.txt ids.txt "a GGUF file is a tokenizer, too"

# Types of weights. Kernels of the same type find the same numbers in either.
for dtype in bf16 q8_0; do
  expect 0 "" "$mdlm" convert bpe $dtype.gguf --dtype $dtype --json
  check "the result is said" grep -q "\"dtype\":\"$dtype\",\"merged\":false" out.txt
  expect 0 "" "$mdlm" generate --model bpe --dtype $dtype --length 16 --quiet
  mv out.txt of-the-run.txt
  expect 0 "" "$mdlm" generate --model $dtype.gguf --dtype $dtype --length 16 --quiet
  same out.txt of-the-run.txt "$dtype.gguf writes what the run writes in $dtype"
  [ "$(wc -c <$dtype.gguf)" -lt "$(wc -c <bpe.gguf)" ] || fail "$dtype is not smaller than f32"
done

expect 0 "" "$mdlm" info q8_0.gguf
check "info names the kind alone where it has nothing besides" grep -q '^kind        LLaDA$' out.txt
check "info says how it is stored" grep -q '^weights     q8_0, f32, .* in 1 file$' out.txt

refuse 2 "'bpe.gguf' is there already" "$mdlm" convert bpe bpe.gguf
refuse 2 "name a file 'other.gguf'" "$mdlm" convert bpe other --dtype q8_0
refuse 3 "nothing" "$mdlm" convert nothing other.gguf
refuse 5 "nowhere" "$mdlm" convert bpe nowhere/other.gguf
check "no file after a failure" test ! -e other.gguf
train_tiny --run block --steps 1 --objective block --block-length 8 corpus.txt
refuse 2 "its positions do not see the whole canvas" "$mdlm" convert block block.gguf
refuse 2 "make it a folder first" "$mdlm" train --init bpe.gguf --run tuned corpus.txt
check "nothing is left beside" test -z "$(ls -d ./*.tmp-* 2>/dev/null)"

# Damaged files.
head -c 2000 bpe.gguf >cut.gguf
refuse 3 "'cut.gguf'" "$mdlm" generate --model cut.gguf --length 16
refuse 3 "'cut.gguf'" "$mdlm" info cut.gguf
refuse 3 "'cut.gguf'" "$mdlm" convert cut.gguf other
printf 'GGUF' >head.gguf
refuse 3 "'head.gguf' ends within the version" "$mdlm" generate --model head.gguf --length 16
finish
