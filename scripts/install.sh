#!/bin/sh
# Installs what is missing to build and test mdlm on Debian 12 (or a relative of it).
# Sourced by demo.sh and test.sh; may also be run by itself. Works as root or with sudo.
set -eu

packages="build-essential cmake ninja-build pkg-config libopenblas-dev libutf8proc-dev
libcjson-dev libxxhash-dev zlib1g-dev libpng-dev
libjpeg62-turbo-dev libonig-dev check"

missing=""
for package in $packages; do
  state=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
  [ "$state" = installed ] || missing="$missing $package"
done

if [ -n "$missing" ]; then
  echo "installing:$missing" >&2
  as_root=""
  if [ "$(id -u)" -ne 0 ]; then
    as_root=$(command -v sudo) || {
      echo "please install as root:$missing" >&2
      exit 1
    }
  fi
  export DEBIAN_FRONTEND=noninteractive
  $as_root apt-get update -qq
  # shellcheck disable=SC2086 # a list of words on purpose
  $as_root apt-get install -y -qq --no-install-recommends $missing >/dev/null
fi
