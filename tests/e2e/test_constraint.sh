#!/usr/bin/env bash
# Answers of a given form on the shipped model: --schema, --grammar, --regex, and what is refused.
. "$(dirname "$0")/lib.sh"
ask="The quick brown fox"

cat >"$tmp/schema.json" <<'JSON'
{"type": "object", "properties": {"name": {"type": "string", "maxLength": 10}, "n": {"type": "integer", "minimum": 3, "maximum": 40},
 "kind": {"enum": ["cat", "dog"]}, "tags": {"type": "array", "items": {"type": "string", "pattern": "^[a-z]{1,4}$"}, "maxItems": 2}},
 "required": ["name", "n", "kind"], "additionalProperties": false}
JSON
valid='set(o)<={"name","n","kind","tags"} and 3<=o["n"]<=40 and o["kind"] in ("cat","dog") and len(o["name"])<=10'
for seed in 1 2 3; do
  hearth run $model "$ask" --schema "$tmp/schema.json" --temperature 1.5 --seed $seed
  claim "an answer satisfies its schema (seed $seed)" eval '[ "$status" -eq 0 ] && py "$valid"'
done
hearth run $model "$ask" --schema "$tmp/schema.json" --temperature 1 --seed 4 --num-return-sequences 3 --json
claim "so do several, and end by themselves" eval 'py "all(q[\"finish_reason\"]==\"stop\" and json.loads(q[\"text\"])[\"kind\"] in (\"cat\",\"dog\") for q in o[\"sequences\"])"'
for when in off 7; do hearth run $model "$ask" --schema "$tmp/schema.json" --temperature 1 --seed 5 --speculate $when --json; cp "$tmp/out" "$tmp/guess.$when"; done
claim "guesses change no token" eval 'python3 -c "import json; a,b=(json.load(open(\"$tmp/guess.\"+w))[\"sequences\"] for w in (\"off\",\"7\")); assert a==b"'
hearth run $model "$ask" --schema "$tmp/schema.json" --temperature 0 -n 3 --json
claim "an answer that is cut says so" eval 'py "o[\"sequences\"][0][\"finish_reason\"]==\"length\" and o[\"sequences\"][0][\"text\"].startswith(\"{\")"'

hearth run $model "$ask" --regex '(yes|no), [0-9]{2}' --seed 6
claim "an answer matches a regular expression" grep -qxE '(yes|no), [0-9]{2}' "$tmp/out"
printf 'root ::= item{2,3}\nitem ::= "<" [a-c]{1,2} ">"\n' >"$tmp/g.gbnf"
hearth run $model "$ask" --grammar "$tmp/g.gbnf" --seed 7
claim "an answer is one of a grammar" grep -qxE '(<[a-c]{1,2}>){2,3}' "$tmp/out"
hearth run $model "$ask" --raw --regex '[^x]{40}' --temperature 1 --seed 8 --json
claim "characters are counted, not bytes" eval 'py "len(o[\"sequences\"][0][\"text\"])==40 and \"x\" not in o[\"sequences\"][0][\"text\"]"'

echo '{"type": "array", "items": {"not": {}}}' >"$tmp/bad.json"
hearth run $model "$ask" --schema "$tmp/bad.json"; claim "a keyword that cannot be compiled is named with its place" eval '[ "$status" -eq 1 ] && has err "\"not\" at #/items" && [ ! -s "$tmp/out" ]'
echo '{"type": ' >"$tmp/bad.json"; hearth run $model "$ask" --schema "$tmp/bad.json"; claim "a file that is no JSON is an error" eval '[ "$status" -eq 1 ] && has err "bad.json"'
hearth run $model "$ask" --schema "$tmp/none.json"; claim "so is one that is not there" eval '[ "$status" -eq 1 ] && has err "none.json"'
hearth run $model "$ask" --regex '(a)\1'; claim "a backreference is refused" eval '[ "$status" -eq 1 ] && has err "backreferences"'
echo 'root ::= root "a" | "b"' >"$tmp/bad.gbnf"; hearth run $model "$ask" --grammar "$tmp/bad.gbnf"; claim "left recursion is refused" eval '[ "$status" -eq 1 ] && has err "left recursion"'
hearth run $model "$ask" --regex a --grammar "$tmp/g.gbnf"; claim "two forms at once are wrong usage" eval '[ "$status" -eq 2 ] && has err "only one of"'

python=python3; [ -x build/venv-schemas/bin/python ] && python=build/venv-schemas/bin/python
$python tools/check_schemas.py --n 12 --seed 3 --jobs 1 >"$tmp/out" 2>"$tmp/err"; status=$?
if [ "$status" -eq 77 ]; then skip "random schemas (no jsonschema library)"; else claim "answers to random schemas validate" test "$status" -eq 0; fi
finish
