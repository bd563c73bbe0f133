#!/usr/bin/env bash
# Real files, cut anywhere and with bytes flipped: every parser answers or refuses, and never crashes.
# The files are not in the repository; where they are absent this is skipped.
. "$(dirname "$0")/lib.sh"
fuzz=$(dirname "$HEARTH_BIN")/tests/fuzz
if [ ! -d $shared ]; then skip "real files, cut and flipped (no shared data here)"; finish; fi
damaged() {  # damaged TARGET TIMES FILE...
  local target=$1 times=$2; shift 2
  [ -x "$fuzz/replay_fuzz_$target" ] || { not_ok "replay_fuzz_$target is not built"; return; }
  timeout 300 "$fuzz/replay_fuzz_$target" --mutate "$times" "$@" >"$tmp/out" 2>"$tmp/err"; status=$?
  claim "$target: $# real files or folders, each damaged $times times" eval '[ "$status" -eq 0 ] && grep -q "^[1-9][0-9]* files replayed" "$tmp/out"'
}
damaged gguf 200 $shared/models/stories260K.gguf $shared/tokenizers/gguf/ggml-vocab-llama-spm.gguf models/hearth-small.gguf
damaged safetensors 300 $shared/models/stories260K/model.safetensors
damaged gguf_tokenizer 12 $shared/tokenizers/gguf/ggml-vocab-gpt-2.gguf $shared/tokenizers/gguf/ggml-vocab-phi-3.gguf models/hearth-small.gguf
damaged spm 60 $shared/tokenizers/llama2/tokenizer.model $shared/tokenizers/mistral-v3/tokenizer.model $shared/models/stories260K/tokenizer.model
damaged tokenizer 12 $shared/tokenizers/phi3-mini/tokenizer.json $shared/tokenizers/llama2/tokenizer.json
damaged template 40 $shared/templates
damaged document 30 $shared/documents/python-pep-0484.rst $shared/documents/kubernetes-kep-1287.md $shared/documents/walton-complete-angler.html $shared/documents/autopacmen-manual.pdf
for f in config.json generation_config.json tokenizer_config.json; do
  [ -f $shared/models/stories260K/$f ] || continue
  cp -r $shared/models/stories260K "$tmp/m"; chmod -R u+w "$tmp/m"
  for cut in 1 20 37 100; do
    head -c $cut $shared/models/stories260K/$f >"$tmp/m/$f"
    hearth run "$tmp/m" "Once" --raw -n 1
    claim "a folder whose $f is cut at $cut bytes runs or is told in one line" eval '[ "$status" -eq 0 ] || { [ "$status" -eq 1 ] && [ "$(wc -l <"$tmp/err")" -eq 1 ] && has err "$f"; }'
  done
  rm -rf "$tmp/m"
done
finish
