#!/usr/bin/env bash
# How the program answers to help, wrong words and closed pipes.
. "$(dirname "$0")/lib.sh"

commands="summarize run chat show fit tokenize detokenize render quantize bench perplexity pull list rm compare cost prices keys usage"
hearth; claim "without a command it prints the overview and fails" test "$status" -eq 2
hearth help; claim "help ends well" test "$status" -eq 0
for c in $commands; do
  hearth "$c" --help
  claim "$c --help names its arguments and options" eval '[ "$status" -eq 0 ] && has out "hearth $c" && has out "--quiet"'
  "$HEARTH_BIN" help --man "$c" >"$tmp/out" 2>"$tmp/err"
  if command -v mandoc >/dev/null; then
    claim "the manual page of $c is clean mdoc" eval '! mandoc -T lint -W warning "$tmp/out" >"$tmp/err"'
  else skip "manual page of $c (no mandoc here)"; fi
done
"$HEARTH_BIN" help --completion >"$tmp/out"; claim "completion is valid bash" bash -n "$tmp/out"
hearth frobnicate; claim "an unknown command is wrong usage" eval '[ "$status" -eq 2 ] && has err "no command '\''frobnicate'\''"'
hearth run; claim "a missing argument is wrong usage" eval '[ "$status" -eq 2 ] && has err "hearth run MODEL"'
hearth run x --top-k 17.5; claim "a value of the wrong kind is told" eval '[ "$status" -eq 2 ] && has err "--top-k: '\''17.5'\'' is not a whole number"'
hearth run x --top-p 7; claim "a value out of range is told" eval '[ "$status" -eq 2 ] && has err "not between 0 and 1"'
hearth run x --nonsense; claim "an unknown option is told" eval '[ "$status" -eq 2 ] && has err "there is no option --nonsense"'
hearth run x --seed; claim "an option without its value is told" eval '[ "$status" -eq 2 ] && has err "--seed needs a value"'
HEARTH_TOP_K=many hearth run x y; claim "a wrong variable is told by its name" eval '[ "$status" -eq 2 ] && has err HEARTH_TOP_K'
hearth show "$tmp/no-such.gguf"; claim "a missing model is one line that names it" eval '[ "$status" -eq 1 ] && has err no-such.gguf && [ "$(wc -l <"$tmp/err")" -eq 1 ]'
"$HEARTH_BIN" help >/dev/full 2>"$tmp/err"; status=$?; claim "a full disk is a failure" eval '[ "$status" -eq 1 ] && has err "standard output"'
finish
