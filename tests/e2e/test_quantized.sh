#!/usr/bin/env bash
# Weights that other libraries quantized, and weights rounded while they load: through the program.
. "$(dirname "$0")/lib.sh"

# The goldens' folders with a tokenizer of one letter a token; the prompt is the goldens' tokens, and
# what must come next the likeliest of their logits.
folders=tests/golden/data/quantized
python3 - "$tmp" "$folders" <<'PY'
import json, os, shutil, sys
tmp, folders = sys.argv[1:]
letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUV"
tokenizer = {"version": "1.0", "added_tokens": [], "normalizer": None, "post_processor": None,
             "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True},
             "decoder": {"type": "ByteLevel"}, "model": {"type": "BPE", "vocab": {c: i for i, c in enumerate(letters)}, "merges": []}}
for name in sorted(os.listdir(folders)):
    shutil.copytree(f"{folders}/{name}", f"{tmp}/{name}")
    json.dump(tokenizer, open(f"{tmp}/{name}/tokenizer.json", "w"))
    expected = json.load(open(f"{tmp}/{name}/expected.json"))
    logits = expected["logits"][-1]
    with open(f"{tmp}/cases", "a") as f:
        f.write(f'{name} {"".join(letters[t] for t in expected["tokens"])} {logits.index(max(logits))}\n')
PY
n=0
while read -r name prompt next; do
  n=$((n + 1))
  [ -n "$short" ] && [ $((n % 3)) -ne 0 ] && continue
  hearth run "$tmp/$name" "$prompt" --raw --temperature 0 -n 3 --json
  claim "$name: the likeliest token comes next" eval '[ "$status" -eq 0 ] && py "o[\"sequences\"][0][\"tokens\"][0]==$next"'
  hearth quantize "$tmp/$name" "$tmp/$name.gguf" --type f16; claim "$name: becomes a GGUF file" test "$status" -eq 0
  hearth run "$tmp/$name.gguf" "$prompt" --raw --temperature 0 -n 3 --json
  claim "$name: which answers the same" eval '[ "$status" -eq 0 ] && py "o[\"sequences\"][0][\"tokens\"][0]==$next"'
done <"$tmp/cases"
claim "all folders were tried" test "$n" -ge 20
hearth show "$tmp/gptq-4" --json
claim "show names the library and counts packed weights" eval '[ "$status" -eq 0 ] && py "o[\"quantization\"]==\"gptq\" and o[\"parameters\"]==10848 and o[\"weights_bytes\"]<9216"'

# Faults: one line, with file, tensor and what is wrong.
mkdir "$tmp/bad"; cp "$tmp"/gptq-4/* "$tmp/bad"
sed -i 's/"bits": 4/"bits": 3/' "$tmp/bad/config.json"; hearth run "$tmp/bad" x --raw
claim "bits that cannot be read are told" eval '[ "$status" -eq 1 ] && [ "$(wc -l <"$tmp/err")" -eq 1 ] && has err "bits is 3"'
sed -i 's/"bits": 3/"bits": 8/' "$tmp/bad/config.json"; hearth run "$tmp/bad" x --raw
claim "bits that the tensors do not have are told" eval '[ "$status" -eq 1 ] && [ "$(wc -l <"$tmp/err")" -eq 1 ] && has err "q_proj.qweight" && has err "[8, 32]"'
sed -i 's/"gptq"/"hqq"/' "$tmp/bad/config.json"; hearth run "$tmp/bad" x --raw
claim "an unknown library is told" eval '[ "$status" -eq 1 ] && has err "hqq"'

# --quantize: as from a file that `hearth quantize` wrote.
text=$(beginning 3000 docs/examples/declaration-of-independence.txt)
for t in q8_0 q4_0 f16 q4_k_m q3_k_m iq4_xs; do
  [ -z "$short" ] || case $t in q8_0 | q4_k_m) ;; *) continue ;; esac
  hearth quantize $model "$tmp/$t.gguf" --type $t
  hearth perplexity "$tmp/$t.gguf" $text --ctx 256 --json; mv "$tmp/out" "$tmp/file.json"
  hearth perplexity $model $text --ctx 256 --json --quantize $t
  claim "perplexity --quantize $t is the file's" eval '[ "$status" -eq 0 ] && py "o[\"perplexity\"]==json.load(open(\"$tmp/file.json\"))[\"perplexity\"]"'
  hearth run "$tmp/$t.gguf" "The quick" --raw --temperature 0 -n 16; mv "$tmp/out" "$tmp/file.txt"
  hearth run $model "The quick" --raw --temperature 0 -n 16 --quantize $t
  claim "run --quantize $t says what the file says" eval '[ "$status" -eq 0 ] && cmp -s "$tmp/out" "$tmp/file.txt"'
done
# Blocks of 256 in which small groups get no scale beside large ones are told of, once.
hearth quantize models/hearth-small.gguf "$tmp/lost.gguf" --type q4_k_s
claim "what small groups lose beside large ones is told" eval '[ "$status" -eq 0 ] && [ "$(grep -c "lose more than half" "$tmp/err")" -eq 1 ] && has err "blk."'
for t in q6_k q4_0; do
  hearth quantize models/hearth-small.gguf "$tmp/lost.gguf" --type $t
  claim "$t loses none, and nothing is told" eval '[ "$status" -eq 0 ] && ! has err "lose more than half"'
done
# Memory: what the type takes and one tensor's work, never all of the file. 205 MB as F16, 58 as Q4_0. AddressSanitizer would keep what was freed.
peak() { ASAN_OPTIONS="${ASAN_OPTIONS:-}:quarantine_size_mb=1" python3 -c 'import resource, subprocess, sys; r = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL).returncode
print(9 ** 9 if r else resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024)' "$HEARTH_BIN" "$@" 2>"$tmp/err"; }
if tests/e2e/big_gguf.py "$tmp/small.gguf" small 2>"$tmp/err"; then
  as_is=$(peak run "$tmp/small.gguf" abc --raw -n 1 --ctx 64); rounded=$(peak run "$tmp/small.gguf" abc --raw -n 1 --ctx 64 --quantize q4_0)
  claim "rounded while it loads, a model never takes what it took before ($rounded MB, not $as_is)" test $((rounded + 80)) -lt "$as_is"
  rm -f "$tmp/small.gguf"
else skip "memory of a model of 205 MB (no room for it here)"; fi
hearth bench $model -p 8 -n 2 --batch 1 -r 1 --json --quantize q4_0; claim "bench takes --quantize" test "$status" -eq 0
hearth summarize $text -m $model --quantize q8_0 -q; claim "summarize takes --quantize" eval '[ "$status" -le 1 ] && [ -s "$tmp/out" ]'
echo "hello" >"$tmp/in"; hearth_in "$tmp/in" chat $model -n 4 --quantize q8_0; claim "chat takes --quantize" test "$status" -eq 0
hearth run $model x --quantize q7; claim "a type that is none is told before anything loads" eval '[ "$status" -eq 2 ] && has err "q7" && has err "q8_0"'
HEARTH_QUANTIZE=q7 "$HEARTH_BIN" run $model x >"$tmp/out" 2>"$tmp/err" </dev/null; status=$?; claim "HEARTH_QUANTIZE is the same option" test "$status" -eq 2
hearth help --man run; claim "the manual names it" has out "Fl Fl quantize"
read -r name _ <"$tmp/cases"; sum=$(cat "$tmp/$name"/* | md5sum)
for file in model.safetensors config.json; do
  hearth quantize "$tmp/$name" "$tmp/$name/$file" --type q8_0; claim "a folder's $file is not written over" eval '[ "$status" -eq 2 ] && has err "over itself"'
done
claim "and the folder is as it was" test "$sum" = "$(cat "$tmp/$name"/* | md5sum)"
finish
