#!/bin/sh
# Installs, builds and runs every test. Usage: sh scripts/test.sh [--all]
#   --all   also the slow tests, and the whole suite once more under AddressSanitizer and
#           UndefinedBehaviorSanitizer (what CI does)
set -eu
root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
jobs=$(nproc)

sh "$root/scripts/install.sh"

# build FOLDER CMAKE-OPTIONS...: configure and build
build() {
  folder=$1
  shift
  cmake -S "$root" -B "$folder" -G Ninja -DMDLM_TESTS=ON -DMDLM_WERROR=ON "$@" >/dev/null
  cmake --build "$folder"
}

build "$root/build" -DCMAKE_BUILD_TYPE=Release
if [ "${1:-}" = --all ]; then
  build "$root/build-sanitize" -DCMAKE_BUILD_TYPE=Release -DMDLM_SANITIZE=ON
  ctest --test-dir "$root/build-sanitize" --output-on-failure -j "$jobs" -LE slow
  ctest --test-dir "$root/build" --output-on-failure -j "$jobs"
else
  ctest --test-dir "$root/build" --output-on-failure -j "$jobs" -LE slow
fi
