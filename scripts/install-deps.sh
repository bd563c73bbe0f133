#!/usr/bin/env bash
# Installs what a bare Debian 12 (or a later Debian or Ubuntu) lacks: install-deps.sh [--tests]
# Without options: what building needs. --tests adds what the checks, sanitizers and fuzzers need.
# Does nothing, and needs no root, where everything is there already.
set -eu
packages="gcc libc6-dev make pkg-config libjansson-dev libpcre2-dev libicu-dev libxml2-dev libedit-dev libcurl4-openssl-dev libssl-dev libhwloc-dev ca-certificates"
[ "${1:-}" = --tests ] && packages="$packages git clang libclang-rt-14-dev clang-format clang-tidy cppcheck libcmocka-dev python3 procps util-linux bsdextrautils mandoc valgrind"
missing=""
for p in $packages; do
  dpkg-query -W -f '${Status}' "$p" 2>/dev/null | grep -q 'ok installed' || missing="$missing $p"
done
[ -z "$missing" ] && exit 0
sudo=""
if [ "$(id -u)" -ne 0 ]; then
  command -v sudo >/dev/null || { echo "install-deps.sh: these packages are missing and only root can install them:$missing" >&2; exit 1; }
  sudo=sudo
fi
echo "installing:$missing" >&2
$sudo apt-get update -qq
# shellcheck disable=SC2086
DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends $missing >/dev/null
