#!/usr/bin/env bash
# Sets up, builds and runs every check there is: the README's second command, and what CI calls. Sanitizers, fuzzing and the
# emulated Arm run short here; `make asan`, `make tsan`, `make neon` and `make fuzz` are the whole.
# The last line counts the tests of the release build; it ends non-zero if anything failed.
set -eu
cd "$(dirname "$0")/.."
scripts/install-deps.sh --tests
jobs=$(nproc)
section() { printf '\n== %s (%ss)\n' "$*" "$SECONDS"; }
# What is downloaded comes while compilers work: all of it is there, or told to be missing, before the first test.
clients=$(mktemp); trap 'rm -f "$clients"' EXIT
{ for venv in hub sdk openai; do timeout 300 tools/$venv-venv || echo "not made: tools/$venv-venv"; done
  tools/page-browser || echo "not made: tools/page-browser"; } >"$clients" 2>&1 </dev/null &
getting=$!
section "build (gcc, warnings are errors)"; make -s -j"$jobs" all tests bench
section "build (clang, for fuzzing)";       make -s -j"$jobs" BUILD=fuzz CC=clang fuzzers warnings
section "instructions of the hot paths";    make -s guards
section "checks";                           make -s check
section "clients and browsers of others (skipped where they cannot be had)"; wait $getting; cat "$clients"
section "tests under ASan and UBSan";       make -s -j"$jobs" asan-short
section "threads under TSan";               make -s -j"$jobs" tsan-short
section "64-bit Arm, emulated";             make -s neon-short
section "fuzzing, a few seconds each";      FUZZ_SEED=1 make -s fuzz FUZZ_SECONDS="${FUZZ_SECONDS:-5}"
section "tests";                            make -s test
