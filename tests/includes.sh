#!/bin/sh
# tests/includes.sh ROOT: fails on an #include that points upward in the house order.
#
#     base < tensor, tokenizer < corpora, diffusion, model < sampler < train, api < cli
#
# A folder may include what its line below lists; model/ and diffusion/ never include each other.
# mdlm.h is for everybody and includes none of us. An include of ours is written from the root
# ("tensor/ops.h"): other spellings would escape this test, so they are refused too.
set -u
root=${1:?usage: includes.sh ROOT}
folders='base tensor tokenizer corpora diffusion model sampler train api cli bench tests'

allowed() {
    case $1 in
    base) echo base ;;
    tensor) echo base tensor ;;
    tokenizer) echo base tokenizer ;;
    corpora) echo base tokenizer corpora ;;
    diffusion) echo base tensor diffusion ;;
    model) echo base tensor model ;;
    sampler) echo base tensor diffusion sampler ;;
    train) echo base tensor tokenizer corpora diffusion model sampler train ;;
    api) echo base tensor tokenizer corpora diffusion model sampler api ;;
    cli) echo base tensor tokenizer corpora diffusion model sampler train api cli ;;
    bench | tests) echo base tensor tokenizer corpora diffusion model sampler train api cli "$1" ;;
    .) echo ;;
    esac
}

# Prints "file: what is wrong" for every wrong include under the tree $1.
violations() (
    cd "$1" || exit 2
    for folder in $folders .; do
        [ -d "$folder" ] || continue
        depth=
        [ "$folder" = . ] && depth='-maxdepth 1'
        # shellcheck disable=SC2086 # two words
        find "$folder" $depth -type f \( -name '*.[ch]' -o -name '*.inc' \) -exec \
            grep -EH '^[[:space:]]*#[[:space:]]*include[[:space:]]*["<]' {} + |
            awk -v folder="$folder" -v folders="$folders" -v allowed="$(allowed "$folder")" '
                BEGIN {
                    n = split(allowed, list, " ")
                    for (i = 1; i <= n; i++) may[list[i]] = 1
                    n = split(folders, list, " ")
                    for (i = 1; i <= n; i++) ours[list[i]] = 1
                }
                {
                    file = substr($0, 1, index($0, ":") - 1)
                    match($0, /include[[:space:]]*["<][^">]*/)
                    name = substr($0, RSTART, RLENGTH)
                    quoted = name ~ /"/
                    sub(/^include[[:space:]]*["<]/, "", name)
                    if (name == "mdlm.h") next
                    top = name ~ /\// ? substr(name, 1, index(name, "/") - 1) : ""
                    if (name ~ /(^|\/)\.\.?\// || (quoted && !(top in ours)))
                        print file ": \"" name "\" is not written from the root"
                    else if (top in ours && !(top in may))
                        print file ": \"" name "\" is not for " folder "/"
                }'
    done
)

# The test of this test: a small tree with one wrong include of each kind, and right ones.
self_test() {
    tree=$(mktemp -d) || exit 2
    trap 'rm -rf "$tree"' EXIT
    mkdir -p "$tree/base" "$tree/tensor/kernels" "$tree/model" "$tree/diffusion" "$tree/api" \
        "$tree/cli" "$tree/sampler"
    echo '#include "tensor/tensor.h"' >"$tree/base/wrong1.c"
    echo '  #  include <model/config.h>' >"$tree/tensor/kernels/wrong2.h"
    echo '#include "diffusion/masked.h"' >"$tree/model/wrong3.c"
    echo '#include "model/config.h"' >"$tree/diffusion/wrong4.c"
    echo '#include "train/train.h"' >"$tree/api/wrong5.c"
    echo '#include "../cli/common.h"' >"$tree/sampler/wrong6.c"
    echo '#include "common.h"' >"$tree/cli/wrong7.c"
    echo '#include "base/error.h"' >"$tree/wrong8.h"
    printf '#include %s\n' '<sys/stat.h>' '"mdlm.h"' '"base/error.h"' >"$tree/tensor/right1.c"
    printf '#include %s\n' '"train/train.h"' '"api/model.h"' >"$tree/cli/right2.c"
    found=$(violations "$tree" | grep -o '[a-z]*[0-9]\.[ch]:' | sort | tr -d '\n')
    expected='wrong1.c:wrong2.h:wrong3.c:wrong4.c:wrong5.c:wrong6.c:wrong7.c:wrong8.h:'
    [ "$found" = "$expected" ] || {
        echo "includes.sh: in a tree that is wrong on purpose it finds $found" >&2
        exit 1
    }
}

self_test
[ -f "$root/base/error.h" ] || {
    echo "includes.sh: '$root' is not the root of the sources" >&2
    exit 2
}
found=$(violations "$root") || exit 2
[ -z "$found" ] || {
    printf '%s\n' "$found" >&2
    exit 1
}
