#!/usr/bin/env bash
# `hearth compare`: the same job on two models and on one that is not there.
. "$(dirname "$0")/lib.sh"
cp $model "$tmp/other.gguf"
head -c 1200 docs/examples/declaration-of-independence.txt >"$tmp/short.txt"

hearth compare "$tmp/short.txt" -m $model -m "$tmp/other.gguf" -m nobody --words 30 --json
claim "one that fails is told, and the others answer" eval '[ "$status" -eq 1 ] && is_json && has err "nobody" && py "len(o)==3 and o[0][\"error\"] is None and o[2][\"text\"] is None and \"nobody\" in o[2][\"error\"]"'
claim "each has what it took" py 'all(a["text"].strip() and a["usage"]["prompt_tokens"]>100 and a["usage"]["completion_tokens"]>0 and 0<a["first_token_s"]<=a["seconds"] and a["bytes_sent"]==0 for a in o[:2])'
claim "the same model answers the same" py 'o[0]["text"]==o[1]["text"]'
cp "$tmp/out" "$tmp/first"
hearth compare "$tmp/short.txt" -m $model -m "$tmp/other.gguf" --words 30 --json --parallel
claim "and so it does when both are asked at once" python3 -c "import json; a,b=[json.load(open(f)) for f in ('$tmp/first','$tmp/out')]; assert [x['text'] for x in a[:2]]==[x['text'] for x in b]"
hearth compare "$tmp/short.txt" -m $model -m "$tmp/other.gguf" --ask "Who may abolish a government?"
claim "a question instead; the table names the models" eval '[ "$(grep -c "^== " "$tmp/out")" -eq 2 ] && grep -qE "other.gguf +[0-9]+ +[0-9]+ +[0-9.]+ s +[0-9.]+ s +power +0$" "$tmp/out"'
hearth compare "$tmp/short.txt" -m $model; claim "one model is nothing to compare" eval '[ "$status" -eq 2 ] && has err "each with its own -m"'
hearth compare "$tmp/none.txt" -m $model -m $model; claim "a missing file is named" eval '[ "$status" -eq 1 ] && has err none.txt'
finish
