#!/usr/bin/env bash
# A model in several GGUF files: any part stands for the whole, and the whole says the same.
. "$(dirname "$0")/lib.sh"
ask="The quick brown fox"

mkdir "$tmp/m"; tests/e2e/split_gguf.py $model "$tmp/m/small" 3 || not_ok "splitting works"
hearth run $model "$ask" --raw --temperature 0 -n 40; cp "$tmp/out" "$tmp/whole"
for i in 1 2 3; do
  hearth run "$tmp/m/small-0000$i-of-00003.gguf" "$ask" --raw --temperature 0 -n 40
  claim "part $i answers as the whole file does" eval '[ "$status" -eq 0 ] && cmp -s "$tmp/out" "$tmp/whole"'
done
mkdir "$tmp/links"
for i in 1 2 3; do cp "$tmp/m/small-0000$i-of-00003.gguf" "$tmp/links/blob-$i"; ln -s "blob-$i" "$tmp/links/linked-0000$i-of-00003.gguf"; done
hearth run "$tmp/links/linked-00001-of-00003.gguf" "$ask" --raw --temperature 0 -n 40 --json
claim "links name the parts, and the model by their stem" eval '[ "$status" -eq 0 ] && py "o[\"sequences\"][0][\"text\"]+chr(10)==open(\"$tmp/whole\").read()"'
hearth show $model --json; cp "$tmp/out" "$tmp/show"
hearth show "$tmp/m/small-00002-of-00003.gguf" --json
claim "show counts the tensors of all parts" eval 'is_json && py "all(o[k]==json.load(open(\"$tmp/show\"))[k] for k in (\"parameters\",\"weights_bytes\",\"tensor_types\",\"context\",\"tokenizer\"))"'
hearth quantize $model "$tmp/a.gguf" --type q4_0; hearth quantize "$tmp/m/small-00003-of-00003.gguf" "$tmp/b.gguf" --type q4_0
claim "quantize makes one file of the parts, the same as of the whole" eval '[ "$status" -eq 0 ] && cmp -s "$tmp/a.gguf" "$tmp/b.gguf"'
hearth quantize "$tmp/m/small-00001-of-00003.gguf" "$tmp/m/small-00002-of-00003.gguf" --type q4_0
claim "a part is not written over" eval '[ "$status" -eq 2 ] && has err "over itself"'
mv "$tmp/m/small-00002-of-00003.gguf" "$tmp/gone"
hearth run "$tmp/m/small-00001-of-00003.gguf" x; claim "a missing part is told in one line" eval '[ "$status" -eq 1 ] && [ "$(wc -l <"$tmp/err")" -eq 1 ] && has err "part 2 of 3 is missing" && has err small-00002-of-00003.gguf'
hearth tokenize "$tmp/m/small-00001-of-00003.gguf" "$ask"; claim "the first part alone tokenizes" test "$status" -eq 0
cp $model "$tmp/m/small-00002-of-00003.gguf"
hearth run "$tmp/m/small-00001-of-00003.gguf" x; claim "a whole file in a part's place is told" eval '[ "$status" -eq 1 ] && has err "do not say that it is one of 3 parts"'
finish
