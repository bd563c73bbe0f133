#!/usr/bin/env bash
# Sets up, builds and runs every check there is: the README's second command, and what CI calls.
# The last line counts the tests of the release build; it ends non-zero if anything failed.
set -eu
cd "$(dirname "$0")/.."
scripts/install-deps.sh --tests
jobs=$(nproc)
section() { printf '\n== %s (%ss)\n' "$*" "$SECONDS"; }
section "build (gcc, warnings are errors)"; make -s -j"$jobs" all tests bench
section "build (clang)";                    make -s -j"$jobs" CC=clang all tests
section "instructions of the hot paths";    make -s guards
section "checks";                           make -s check
section "tests under ASan and UBSan";       make -s -j"$jobs" BUILD=asan all tests; make -s asan
section "threads under TSan";               make -s -j"$jobs" BUILD=tsan libhearth; make -s tsan
section "64-bit Arm, emulated";             make -s neon
section "fuzzing, a few seconds each";      make -s -j"$jobs" BUILD=fuzz CC=clang fuzzers; make -s fuzz FUZZ_SECONDS="${FUZZ_SECONDS:-5}"
section "clients and browsers of others (skipped where they cannot be had)"
for venv in hub sdk openai; do timeout 300 tools/$venv-venv || echo "not made: tools/$venv-venv"; done
tools/page-browser || echo "not made: tools/page-browser"
section "tests";                            make -s test
