#!/bin/sh
# Damaged models and checkpoints: exit code 3, the file is named, nothing crashes.
. "$(dirname "$0")/helpers.inc"
make_corpus corpus.txt
train_tiny --steps 6 --save-every 2 corpus.txt || fail "training: $(cat train.err)"
mv mdlm-run good

# damage FILE COMMAND...: a fresh copy of the run in which a command has changed FILE.
damage() {
  rm -rf mdlm-run && cp -r good mdlm-run
  target=mdlm-run/$1
  shift
  "$@" "$target" || fail "cannot damage $target"
}
cut_short() { size=$(wc -c <"$1"); head -c $((size / 2)) "$1" >cut && mv cut "$1"; }
make_empty() { : >"$1"; }
scribble() { printf '\377\377\377\377\377\377\377\377' | dd of="$1" conv=notrunc 2>/dev/null; }
make_garbage() { printf '{"a": [1, 2' >"$1"; }
make_list() { echo '[]' >"$1"; }

for file in model.safetensors config.json tokenizer.json; do
  for how in cut_short make_empty scribble make_garbage make_list rm; do
    damage $file $how
    refuse 3 "$file" "$mdlm" generate --quiet -n 4
    refuse 3 "$file" "$mdlm" eval --quiet
  done
done

damage config.json sed -i 's/"d_model":[^,]*/"d_model": 64/'
refuse 3 "model.safetensors" "$mdlm" generate --quiet -n 4
damage config.json sed -i 's/"n_layers":[^,]*/"n_layers": 1000000000000/'
refuse 3 "config.json" "$mdlm" generate --quiet -n 4
damage config.json sed -i 's/"n_heads":[^,]*/"n_heads": -2/'
refuse 3 "config.json" "$mdlm" info mdlm-run
damage config.json sed -i 's/"block_type":[^,]*/"block_type": "other"/'
refuse 3 "block_type" "$mdlm" generate --quiet -n 4

# The newest checkpoint is damaged: the one before it serves. All are damaged: an error.
for how in cut_short make_empty scribble rm; do
  for name in raw optimizer; do
    damage checkpoints/step-6/$name.safetensors $how
    expect 0 "" "$mdlm" train --resume --quiet
    same mdlm-run/model.safetensors good/model.safetensors "the older checkpoint gives the same"
  done
done
damage checkpoints/step-6/raw.safetensors scribble
scribble mdlm-run/checkpoints/step-4/raw.safetensors
refuse 3 "checkpoint" "$mdlm" train --resume --quiet --steps 8
for file in run.json data/corpus.json data/train.bin; do
  damage $file make_garbage
  refuse 3 "$(basename $file .bin)" "$mdlm" train --resume --quiet --steps 8
done
rm -rf mdlm-run && cp -r good mdlm-run && rm -rf mdlm-run/checkpoints
refuse 2 "mdlm-run" "$mdlm" train --resume --quiet

finish
