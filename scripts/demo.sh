#!/bin/sh
# From a fresh machine to generated text: installs, builds, trains two minutes on the shipped
# corpus, and writes in eight blocks. Usage: sh scripts/demo.sh [SECONDS]
set -eu
root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
seconds=${1:-120}

sh "$root/scripts/install.sh"
cmake -S "$root" -B "$root/build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DMDLM_TESTS=OFF >/dev/null
cmake --build "$root/build" --target mdlm >&2

cd "$root/build"
# The tales are a grammar's: with few words visible there is most to learn, so all noise levels count
# the same, where natural text gains from seeing low ones more often (the default).
./mdlm train "$root/corpora/tales.txt" --run demo-run --overwrite --time "${seconds}s" \
  --tokenizer bpe --vocab-size 1024 --seq-len 64 --noise-schedule linear
echo
./mdlm generate --run demo-run --length 48 --blocks 8 --sampler confidence --temperature 0.6 \
  --num-samples 3 --prompt "Once upon a time"
echo
echo "The model is in $root/build/demo-run. More: $root/build/mdlm --help" >&2
