#!/usr/bin/env bash
# `hearth fit`: what this machine can hold; what does not fit is told before it is loaded; the model in the box says so.
. "$(dirname "$0")/lib.sh"

hearth fit $model --json
claim "--json is one value of the promised shape" eval 'is_json && py "[sorted(o)==[\"devices\",\"options\"]]==[True] and all(sorted(d)==[\"free_bytes\",\"name\"] for d in o[\"devices\"]) and all(sorted(q)==[\"fits\",\"kv_bytes\",\"layers\",\"quant\",\"tokens_per_s\",\"weights_bytes\"] for q in o[\"options\"])"'
claim "a small model fits, every layer on the CPU" eval 'py "all(q[\"fits\"] and q[\"layers\"]==o[\"options\"][0][\"layers\"] and q[\"layers\"][\"cpu\"]>1 for q in o[\"options\"]) and o[\"options\"][0][\"quant\"]==\"q8_0\""'
cp "$tmp/out" "$tmp/fit"
for t in q4_0 f16; do
  hearth quantize $model "$tmp/$t.gguf" --type $t; hearth fit "$tmp/$t.gguf" --json
  claim "what was foretold for $t is what the file holds" eval 'py "o[\"options\"][0][\"quant\"]==\"$t\" and o[\"options\"][0][\"weights_bytes\"]==[q for q in json.load(open(\"$tmp/fit\"))[\"options\"] if q[\"quant\"]==\"$t\"][0][\"weights_bytes\"]"'
done
hearth fit $model --ctx 512 --json
claim "half the context takes about half the keys and values" eval 'py "o[\"options\"][0][\"kv_bytes\"] < 0.6*json.load(open(\"$tmp/fit\"))[\"options\"][0][\"kv_bytes\"]"'
hearth fit $model --kv q8_0 --json
claim "--kv q8_0 takes 17/32 of F16's bytes" eval 'py "o[\"options\"][0][\"kv_bytes\"]*32 == 17*json.load(open(\"$tmp/fit\"))[\"options\"][0][\"kv_bytes\"]"'
hearth fit --kv q4_0 --json; claim "and for the list too" eval 'is_json && py "all(m[\"kv_bytes\"]>0 for m in o[\"models\"])"'
hearth fit $model --kv big; claim "an unknown type is wrong usage" eval '[ "$status" -eq 2 ] && has err big'
hearth fit $model; claim "as text it names device, context and each quantization" eval '[ "$status" -eq 0 ] && has out "cpu:" && has out "context 1024" && has out q4_k_m && [ ! -s "$tmp/err" ]'
hearth fit; claim "without a model: a list with sizes and licences" eval '[ "$status" -eq 0 ] && has out "Qwen/Qwen2.5-1.5B-Instruct-GGUF:q4_k_m" && has out Apache-2.0'
hearth fit --json; claim "and as JSON, at most one of them suggested" eval 'is_json && py "len(o[\"models\"])>5 and sum(m[\"suggested\"] for m in o[\"models\"])<=1 and all(m[\"weights_bytes\"]>1e8 for m in o[\"models\"])"'
claim "docs/choosing-a-model.md says the same sizes" eval 'py "all(\"| %s:%s | %.2f | %.2f |\" % (m[\"repo\"], m[\"quant\"], m[\"parameters\"]/1e9, m[\"weights_bytes\"]/1e9) in open(\"docs/choosing-a-model.md\").read() for m in o[\"models\"])"'
hearth fit no-such-model; claim "an unknown model is one line" eval '[ "$status" -eq 1 ] && [ "$(wc -l <"$tmp/err")" -eq 1 ] && has err no-such-model'

if tests/e2e/big_gguf.py "$tmp/big.gguf" 2>/dev/null; then
  hearth fit "$tmp/big.gguf" --json
  claim "a model of 138 GB is judged by its header" eval '[ "$status" -eq 0 ] && py "137e9 < o[\"options\"][0][\"weights_bytes\"] < 139e9 and o[\"options\"][0][\"quant\"]==\"f16\""'
  if py "o['devices'][0]['free_bytes'] and o['devices'][0]['free_bytes'] < 130e9"; then
    claim "and does not fit" eval 'py "not o[\"options\"][0][\"fits\"] and o[\"options\"][0][\"layers\"]=={} and o[\"options\"][0][\"tokens_per_s\"] is None"'
    for c in "run $tmp/big.gguf x" "summarize -m $tmp/big.gguf docs/examples/declaration-of-independence.txt" "bench $tmp/big.gguf"; do
      # shellcheck disable=SC2086
      hearth $c
      claim "hearth ${c%% *} says so before it loads" eval '[ "$status" -eq 1 ] && [ "$(wc -l <"$tmp/err")" -eq 1 ] && has err "GB are free" && has err "hearth fit MODEL"'
    done
  else skip "a model too large for this machine (it has more than 130 GB)"; fi
else skip "a model too large for this machine (no file with holes here)"; fi

text=docs/examples/declaration-of-independence.txt
hearth summarize $text --dry-run
claim "the model in the box says so in one line" eval '[ "$status" -eq 0 ] && [ "$(grep -c "the model in the box\|model in the box" "$tmp/err")" -eq 1 ] && has err "using hearth-small, the small model in the box" && grep -qE "hearth (pull|fit)" "$tmp/err"'
hearth summarize $text --dry-run --quiet; claim "but not with --quiet" eval '[ "$status" -eq 0 ] && ! has err "in the box"'
hearth summarize $text --dry-run -m $model; claim "nor when it was named" eval '[ "$status" -eq 0 ] && ! has err "in the box"'
HEARTH_MODEL=$model hearth summarize $text --dry-run; claim "nor by HEARTH_MODEL" eval '[ "$status" -eq 0 ] && ! has err "in the box"'
finish
