#!/usr/bin/env bash
# Installs what a bare Debian 12 (or a later Debian or Ubuntu) lacks: install-deps.sh [--tests]
# Without options: what building needs. --tests adds what the checks, sanitizers and fuzzers need.
# Does nothing, and needs no root, where everything is there already.
set -eu
packages="gcc libc6-dev make pkg-config libjansson-dev libpcre2-dev libicu-dev libxml2-dev libedit-dev libcurl4-openssl-dev libssl-dev libhwloc-dev libmicrohttpd-dev libsqlite3-dev libyaml-dev ca-certificates"
[ "${1:-}" = --tests ] && packages="$packages git clang libclang-rt-14-dev clang-format clang-tidy cppcheck libcmocka-dev python3 python3-venv procps util-linux bsdextrautils mandoc valgrind postgresql libpq-dev strace"
# The tests for 64-bit Arm: left out, and skipped, where a distribution lacks these (tools/test-neon).
optional=""
[ "${1:-}" = --tests ] && [ "$(uname -m)" = x86_64 ] && optional="gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user"
missing=""
missing_optional=""
installed() { dpkg-query -W -f '${Status}' "$1" 2>/dev/null | grep -q 'ok installed'; }
for p in $packages; do installed "$p" || missing="$missing $p"; done
for p in $optional; do installed "$p" || missing_optional="$missing_optional $p"; done
[ -z "$missing$missing_optional" ] && exit 0
sudo=""
if [ "$(id -u)" -ne 0 ]; then
  command -v sudo >/dev/null || [ -z "$missing" ] || { echo "install-deps.sh: these packages are missing and only root can install them:$missing" >&2; exit 1; }
  command -v sudo >/dev/null || exit 0  # only what may be missing is
  sudo=sudo
fi
install() { DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends "$@" >/dev/null; }
echo "installing:$missing$missing_optional" >&2
$sudo apt-get update -qq || [ -z "$missing" ]  # without a network, what must not be missing is here
# shellcheck disable=SC2086
[ -z "$missing" ] || install $missing
# shellcheck disable=SC2086
[ -z "$missing_optional" ] || install $missing_optional || echo "install-deps.sh: without$missing_optional" >&2
