#!/bin/sh
# mdlm convert: a whole folder or nothing; types of stored weights; adapters merged.
. "$(dirname "$0")/helpers.inc"
make_corpus corpus.txt
train_tiny --steps 5 corpus.txt || fail "training: $(cat train.err)"

expect 0 "next: mdlm generate --model model" "$mdlm" convert mdlm-run model
for name in config.json generation_config.json tokenizer.json tokenizer_config.json \
            special_tokens_map.json; do
  check "the model has $name" test -s "model/$name"
  same "mdlm-run/$name" "model/$name" "$name is taken over"
done
same mdlm-run/model.safetensors model/model.safetensors "weights are taken over"
expect 0 "" "$mdlm" generate --model model --length 16 --quiet
cp out.txt original.txt
expect 0 "" "$mdlm" generate --model mdlm-run --length 16 --quiet
same out.txt original.txt "the model writes what the run writes"

refuse 2 "'model' is there already" "$mdlm" convert mdlm-run model
mkdir empty
refuse 2 "'empty' is there already" "$mdlm" convert mdlm-run empty
refuse 3 "nothing" "$mdlm" convert nothing other
check "no folder after a failure" test ! -e other
refuse 5 "file" sh -c ': >file; exec "$0" convert mdlm-run file/below' "$mdlm"
refuse 2 "f64" "$mdlm" convert mdlm-run other --dtype f64
refuse 2 "" "$mdlm" convert mdlm-run

expect 0 "" "$mdlm" convert mdlm-run half --dtype bf16 --json
check "the result is said" grep -q '"dtype":"bf16","merged":false' out.txt
check "config.json says bfloat16" grep -q '"torch_dtype":.*"bfloat16"' half/config.json
[ "$(wc -c <half/model.safetensors)" -lt "$(($(wc -c <model/model.safetensors) * 6 / 10))" ] ||
  fail "bf16 does not halve the weights"
expect 0 "" "$mdlm" info half
check "info says how weights are stored" grep -q '^weights     bf16, [0-9.]* MiB in 1 file$' out.txt
check "info says what they take" grep -q '^in memory   f32 .*, bf16 .*, q8_0 .* by --dtype (auto: f32)' \
  out.txt
expect 0 "" "$mdlm" info half --json
check "info says it to programs, too" grep -q \
  '"stored_dtype":"bf16","weight_files":1,"weight_bytes":[0-9]*,"memory_bytes":{"f32":' out.txt
check "and in what it computes" grep -q '"auto_dtype":"f32"' out.txt
expect 0 "" "$mdlm" generate --model half --length 16 --quiet
mv out.txt half.txt
expect 0 "" "$mdlm" generate --model half --length 16 --dtype f32 --quiet
same out.txt half.txt "a small model of bf16 is computed in f32"
expect 0 "" "$mdlm" convert half again --dtype bf16 --quiet
same half/model.safetensors again/model.safetensors "bf16 numbers stay as they are"

broken=mdlm-run/tokenizer.json
mv $broken away && refuse 3 "tokenizer.json" "$mdlm" convert mdlm-run other
check "no folder without a tokenizer" test ! -e other
check "nothing is left beside" test -z "$(ls -d other* 2>/dev/null)"
mv away $broken

# Adapters of rank 1 that are zero: merged, they are the base. add NAME ROWS COLUMNS
header='' offset=0
add() {
  end=$((offset + 4 * $2 * $3))
  header="$header,\"base_model.model.model.transformer.blocks.0.$1.weight\":{\"dtype\":\"F32\","
  header="$header\"shape\":[$2,$3],\"data_offsets\":[$offset,$end]}"
  offset=$end
}
for name in q_proj k_proj v_proj attn_out; do add $name.lora_A 1 32 && add $name.lora_B 32 1; done
for name in ff_proj up_proj; do add $name.lora_A 1 32 && add $name.lora_B 64 1; done
add ff_out.lora_A 1 64 && add ff_out.lora_B 32 1
header="{${header#,}}"
mkdir adapters
{
  printf "\\$(printf %o $((${#header} % 256)))\\$(printf %o $((${#header} / 256)))"
  head -c 6 /dev/zero
  printf %s "$header"
  head -c $offset /dev/zero
} >adapters/adapter_model.safetensors
echo '{"peft_type": "LORA", "r": 1, "lora_alpha": 1, "base_model_name_or_path": "../mdlm-run"}' \
  >adapters/adapter_config.json
expect 0 "adapters merged" "$mdlm" convert adapters merged
same model/model.safetensors merged/model.safetensors "zero adapters change nothing"
check "the base's tokenizer comes along" test -s merged/tokenizer.json
expect 0 "" "$mdlm" generate --model adapters --length 16 --quiet
same out.txt original.txt "a folder of adapters is a model"
mv mdlm-run elsewhere
refuse 3 "there is no folder '../mdlm-run'" "$mdlm" generate --model adapters --length 16

# A tokenizer of vocab.json and merges.txt, as GPT-2's library writes it, comes along too.
train_tiny --run bpe --steps 1 --tokenizer bpe --vocab-size 300 corpus.txt
mkdir pair
cp bpe/config.json bpe/model.safetensors pair
sed -n '/"vocab":/,/^[[:space:]]*},/p' bpe/tokenizer.json | sed '1s/.*{/{/; $s/,$//' >pair/vocab.json
{
  echo '#version: 0.2'
  sed -n 's/.*"merges":[[:space:]]*\["\(.*\)"\].*/\1/p' bpe/tokenizer.json |
    sed 's/", "/\n/g; s/\\"/"/g'
} >pair/merges.txt
echo '{"tokenizer_class": "GPT2Tokenizer", "mask_token": "<|mask|>", "eos_token": "<|endoftext|>",
"added_tokens_decoder": {"297": {"content": "<|mask|>", "special": true},
"298": {"content": "<|endoftext|>", "special": true},
"299": {"content": "<|padding|>", "special": true}}}' >pair/tokenizer_config.json
expect 0 "" "$mdlm" tokenize --model bpe corpus.txt
mv out.txt ids.txt
expect 0 "" "$mdlm" convert pair copied --quiet
same pair/vocab.json copied/vocab.json "vocab.json is taken over"
same pair/merges.txt copied/merges.txt "merges.txt is taken over"
expect 0 "" "$mdlm" tokenize --model copied corpus.txt
same out.txt ids.txt "the copy's tokenizer gives the same ids"

finish
