#!/bin/sh
# Model files that lie: whoever opens them gets exit code 3 and one line that names the file and says
# what is wrong, and nothing is left behind.
. "$(dirname "$0")/helpers.inc"
make_corpus corpus.txt
train_tiny --run good --steps 1 --tokenizer bpe --vocab-size 270 corpus.txt ||
  fail "training: $(cat train.err)"

# hostile MODEL FILE MESSAGE: FILE is named, and none of the commands takes it.
hostile() {
  for words in "info $1" "score -m $1 --ids 5 --logits left.npy" "convert $1 left" \
    "convert $1 left.gguf"; do
    refuse 3 "$3" "$mdlm" $words
    grep -qF -e "$2" err.txt || fail "'$2' is not named: $words :: $(cat err.txt)"
  done
  check "nothing is left behind" test -z "$(ls -d left* ./*.tmp-* 2>/dev/null)"
  rm -rf left*
}

# again: a fresh copy of the model as `bad`.
again() { rm -rf bad && cp -r good bad; }

# number N: as 8 bytes, the lowest first.
number() {
  n=$1
  for _ in 1 2 3 4 5 6 7 8; do
    printf "\\$(printf %o $((n % 256)))"
    n=$((n / 256))
  done
}

# weights HEADER BYTES MESSAGE: weights of this header and so many bytes.
weights() {
  { number ${#1} && printf %s "$1" && head -c "$2" /dev/zero; } >bad/model.safetensors
  hostile bad bad/model.safetensors "$3"
}
tensor() { printf '"%s":{"dtype":"%s","shape":%s,"data_offsets":[%s]}' "$@"; }

again
weights "{$(tensor a F7 '[1]' 0,4)}" 4 "unknown dtype 'F7' in tensor 'a'"
weights "{$(tensor a F32 '[-1]' 0,4)}" 4 "a dimension is negative in tensor 'a'"
weights "{$(tensor a F32 '[0]' 0,4)}" 4 "the shape asks for 0 bytes, the offsets for 4"
weights "{$(tensor a F32 '[4294967296,4294967296]' 0,4)}" 4 "the product of the shape overflows"
weights "{$(tensor a F32 '[1000000000000000019884624838656]' 0,4)}" 4 "a dimension is too large"
weights "{$(tensor a F32 '[1]' -4,0)}" 4 "an offset is negative in tensor 'a'"
weights "{$(tensor a F32 '[2]' 0,8)}" 4 "the data ends at 8, past the file's 4 bytes"
weights "{$(tensor a F32 '[1]' 0,4),$(tensor b F32 '[1]' 0,4)}" 8 "overlap at byte 0"
weights "{$(tensor a F32 '[1]' 0,4),$(tensor b F32 '[1]' 8,12)}" 12 "hole at byte 4"
weights "{$(tensor a F32 '[1]' 0,4)}" 5 "1 trailing bytes"
weights "{$(tensor a F32 '[1]' 0,4),$(tensor a F32 '[1]' 0,4)}" 4 "the key 'a' twice"
weights "{\"a\":" 0 "is not valid JSON"
weights "$(printf '%2000s' '' | tr ' ' '[')" 0 "nested too deeply"
weights "$(printf '{"\377":1}')" 0 "is not valid UTF-8"
number 200000000 >bad/model.safetensors
hostile bad bad/model.safetensors "the header is too large"
number 100 >bad/model.safetensors
hostile bad bad/model.safetensors "ends past the end of the file"
: >bad/model.safetensors
hostile bad bad/model.safetensors "too short"

# A folder of parts: what its index names.
again
mv bad/model.safetensors bad/part.safetensors
index() {
  printf '{"weight_map":{%s}}' "$1" >bad/model.safetensors.index.json
  hostile bad "$2" "$3"
}
index '"a":"../part.safetensors"' index.json "expected a plain file name"
index '"a":"/etc/passwd"' index.json "expected a plain file name"
index '"a":"none.safetensors"' index.json "which is not there"
index '"a":"part.safetensors"' index.json "has no tensor 'a'"
index '"a":5' index.json "expected the name of a file"
index '"a":"b","a":"c"' index.json "the key 'a' twice"
index '"a":' index.json "is not valid JSON"

# config NAME VALUE MESSAGE: config.json with another value.
config() {
  again
  sed -i "s|\"$1\":[^,]*|\"$1\": $2|" bad/config.json
  hostile bad bad/config.json "$3"
}
config d_model 1000000000000000019884624838656 "'d_model' is out of range"
config d_model -32 "'d_model' is out of range"
config n_heads 3 "is not divisible"
config n_layers '"many"' "'n_layers' is not an integer"
config mask_token_id 270 "'mask_token_id' is out of range"
config rope_theta 1e999 "'rope_theta' is not a finite number"
config activation_type '"gelu"' 'activation_type is "gelu", only "silu" is supported'
config clip_qkv 8.5 "clip_qkv is 8.5, only null is supported"
config block_type "$(printf '%2000s' '' | tr ' ' '[')" "nested too deeply"

# tokenizer EXPRESSION MESSAGE: tokenizer.json changed by sed.
tokenizer() {
  again
  sed -i "$1" bad/tokenizer.json
  hostile bad bad/tokenizer.json "$2"
}
tokenizer 's|"merges":[^[]*\[|&"zz zz",|' "merge 0 needs 'zz', not in the vocabulary"
tokenizer 's|"merges":[^[]*\[|&"zz",|' "merge 0 is not a pair"
tokenizer 's|"!":|"\\"":|' "token '\"' has two ids: 33 and 34"
tokenizer 's|"vocab":[^{]*{|&"new":268435455,|' "the id of 'new' is not an integer from 0 to"
tokenizer '1s|.*|[[[|' "is not valid JSON"
again
printf '{{ 1 }}\377' >bad/chat_template.jinja
hostile bad bad "the chat template is not UTF-8"

# Numbers beyond any integer are in real files, where nobody needs them.
again
sed -i 's|"model_max_length":[^,}]*|"model_max_length": 1000000000000000019884624838656|' \
  bad/tokenizer_config.json
sed -i 's|{|{"unknown": 1000000000000000019884624838656,|' bad/config.json
expect 0 "" "$mdlm" info bad
expect 0 "" "$mdlm" score -m bad --ids 5 --logits x.npy

# A GGUF file. patch AT BYTES...: from this byte on others.
expect 0 "" "$mdlm" convert good good.gguf
patch() {
  cp good.gguf bad.gguf
  printf "$2" | dd of=bad.gguf bs=1 seek="$1" conv=notrunc 2>/dev/null
  hostile bad.gguf bad.gguf "$3"
}
patch 4 '\001' "expected version 2 or 3, found 1"
patch 8 '\377\377\377\377\377\377\377\377' "items of the list of tensors in the bytes left"
patch 16 '\377\377\377\377\377\377\377\177' "items of the metadata in the bytes left"
patch 24 '\377\377\377\377\377\377\377\377' "bytes in a string of a key of the metadata"
patch 32 'x' "has no key 'general.architecture'"
patch 32 '\377' "a key of the metadata is not valid UTF-8"
patch 52 '\015' "unknown type of value 13 in key 'general.architecture'"
size=$(wc -c <good.gguf)
head -c $((size - 1)) good.gguf >bad.gguf
hostile bad.gguf bad.gguf "of the data end past its"
{ cat good.gguf && head -c 100 /dev/zero; } >bad.gguf
hostile bad.gguf bad.gguf "trailing bytes after the last tensor"
head -c 40 good.gguf >bad.gguf
hostile bad.gguf bad.gguf "items of the list of tensors in the bytes left"

finish
