#!/usr/bin/env bash
# `hearth run` on the shipped model: text, JSON, sampling, stops, several answers, errors.
. "$(dirname "$0")/lib.sh"
ask="The quick brown fox"

hearth run $model "$ask" --raw --temperature 0 -n 20
claim "a greedy answer is text on standard output and nothing else" eval '[ "$status" -eq 0 ] && [ -s "$tmp/out" ] && [ ! -s "$tmp/err" ]'
cp "$tmp/out" "$tmp/first"
hearth run $model "$ask" --raw --temperature 0 -n 20 -t 1; claim "one thread gives the same bytes" cmp -s "$tmp/out" "$tmp/first"
for how in cores off auto; do hearth run $model "$ask" --raw --temperature 0 -n 20 --pin $how -t 2; claim "--pin $how gives the same bytes" cmp -s "$tmp/out" "$tmp/first"; done
hearth run $model "$ask" --pin loosely; claim "--pin with another word is wrong usage" eval '[ "$status" -eq 2 ] && has err "not auto, cores or off"'
hearth run $model "$ask" --packed lots; claim "--packed with another word is wrong usage" eval '[ "$status" -eq 2 ] && has err "not auto, off, or a number of gigabytes"'
HEARTH_PACKED=-3 hearth run $model "$ask"; claim "and so is its variable" eval '[ "$status" -eq 2 ] && has err "'\''-3'\'' is not auto"'
hearth run $model "$ask" --raw --temperature 0 -n 20 --packed 1; claim "a small model is not kept" eval 'cmp -s "$tmp/out" "$tmp/first" && [ ! -e "$HOME/.cache" ]'
echo -n "$ask" >"$tmp/in"; hearth_in "$tmp/in" run $model - --raw --temperature 0 -n 20; claim "a prompt from standard input gives the same" cmp -s "$tmp/out" "$tmp/first"
hearth run $model "$ask" --raw --temperature 0 -n 20 --json
claim "--json is one value with ids, finish reason, usage and timings" eval 'is_json && py "len(o[\"sequences\"][0][\"tokens\"])==o[\"usage\"][\"completion_tokens\"] and len(o[\"prompt_tokens\"])==o[\"usage\"][\"prompt_tokens\"] and o[\"usage\"][\"total_tokens\"]==o[\"usage\"][\"prompt_tokens\"]+o[\"usage\"][\"completion_tokens\"] and o[\"sequences\"][0][\"finish_reason\"] in (\"stop\",\"length\") and o[\"timings\"][\"decode_tokens_per_s\"]>0"'
claim "--json has the same text" eval 'py "o[\"sequences\"][0][\"text\"]+chr(10)==open(\"$tmp/first\").read()"'
ids=$(python3 -c "import json; print(*json.load(open('$tmp/out'))['sequences'][0]['tokens'])")
# shellcheck disable=SC2086
hearth detokenize $model $ids; claim "detokenize gives the text back" cmp -s "$tmp/out" "$tmp/first"

k=0
for s in 7 7 8; do hearth run $model "$ask" --raw --temperature 1.5 --seed $s -n 24; mv "$tmp/out" "$tmp/s$s.$((++k))"; done
claim "a seed gives the same text again" cmp -s "$tmp/s7.1" "$tmp/s7.2"
claim "another seed gives another text" eval '! cmp -s "$tmp/s7.1" "$tmp/s8.3"'
hearth run $model "$ask" --raw --temperature 1.5 --seed 7 -n 24 --num-return-sequences 3 --json
claim "three answers to one prompt differ, and the first is the lone one" eval 'py "len(set(q[\"text\"] for q in o[\"sequences\"]))>1 and len(o[\"sequences\"])==3 and o[\"sequences\"][0][\"text\"]+chr(10)==open(\"$tmp/s7.1\").read()"'
stop=$(python3 -c "t=open('$tmp/first').read().strip(); print(t[len(t)//2:len(t)//2+3])")
hearth run $model "$ask" --raw --temperature 0 -n 20 --stop "$stop" --json
claim "a stop string ends the text before it" eval 'py "o[\"sequences\"][0][\"finish_reason\"]==\"stop\" and \"$stop\" not in o[\"sequences\"][0][\"text\"] and open(\"$tmp/first\").read().startswith(o[\"sequences\"][0][\"text\"])"'
hearth run $model "$ask" --raw -n 0 --logprobs 5 --json
claim "-n 0 --logprobs 5 reports the next token's candidates" eval 'py "len(o[\"next\"])==5 and all(a[\"logprob\"]>=b[\"logprob\"] for a,b in zip(o[\"next\"],o[\"next\"][1:]))"'
hearth run $model "$ask" --raw --temperature 0 -n 4 --logprobs 2 --json
claim "logprobs name the chosen token first when greedy" eval 'py "all(t[\"id\"]==t[\"top\"][0][\"id\"] and len(t[\"top\"])==2 for t in o[\"sequences\"][0][\"logprobs\"])"'
top=$(python3 -c "import json; print(json.load(open('$tmp/out'))['sequences'][0]['tokens'][0])")
hearth run $model "$ask" --raw --temperature 0 -n 1 --logit-bias "$top=-100" --json
claim "a logit bias forbids a token" eval 'py "o[\"sequences\"][0][\"tokens\"][0]!=$top"'
head -c 2500 docs/examples/declaration-of-independence.txt >"$tmp/copied"
for when in off auto 7; do
  hearth_in "$tmp/copied" run $model --temperature 0 -n 60 --speculate $when --json; cp "$tmp/out" "$tmp/guess.$when"
  hearth_in "$tmp/copied" run $model --temperature 0.9 --seed 3 --repetition-penalty 1.05 -n 60 --speculate $when; cp "$tmp/out" "$tmp/drawn.$when"
done
claim "guessing ahead changes no token" eval 'python3 -c "import json; a,b,c=(json.load(open(\"$tmp/guess.\"+w))[\"sequences\"] for w in (\"off\",\"auto\",\"7\")); assert a==b==c"'
claim "nor a sampled text" eval 'cmp -s "$tmp/drawn.off" "$tmp/drawn.auto" && cmp -s "$tmp/drawn.off" "$tmp/drawn.7"'
cp "$tmp/guess.7" "$tmp/out"; claim "--json counts the guesses" eval 'py "o[\"speculation\"][\"drafted_tokens\"]>=o[\"speculation\"][\"accepted_tokens\"]>10"'
cp "$tmp/guess.off" "$tmp/out"; claim "--speculate off guesses nothing" eval 'py "o[\"speculation\"][\"drafted_tokens\"]==0"'
for when in 0 33 often; do hearth run $model "$ask" --speculate $when; claim "--speculate $when is wrong usage" eval '[ "$status" -eq 2 ] && has err speculate'; done
"$HEARTH_BIN" quantize $model "$tmp/draft.gguf" --type q4_0 2>/dev/null
hearth_in "$tmp/copied" run $model --temperature 0.9 --seed 3 --repetition-penalty 1.05 -n 60 --draft "$tmp/draft.gguf"; claim "a draft model changes no text" cmp -s "$tmp/out" "$tmp/drawn.off"
hearth_in "$tmp/copied" run $model --temperature 0 -n 60 --draft "$tmp/draft.gguf" --speculate 3 --json
claim "nor tokens, and most of its guesses are right" eval 'py "o[\"sequences\"]==json.load(open(\"$tmp/guess.off\"))[\"sequences\"] and o[\"speculation\"][\"accepted_tokens\"]*2>o[\"speculation\"][\"drafted_tokens\"]>10"'
python3 -c "import sys; d=open(sys.argv[1],'rb').read(); w=b'<|im_start|>'; assert w in d; open(sys.argv[2],'wb').write(d.replace(w,b'<|im_stare|>',1))" $model "$tmp/other.gguf"
hearth run $model "$ask" --draft "$tmp/other.gguf"
claim "a draft model with another tokenizer is refused, and why" eval '[ "$status" -eq 2 ] && has err "same tokenizer" && has err other.gguf && [ ! -s "$tmp/out" ]'
hearth run $model "$ask" --draft "$tmp/nowhere.gguf"; claim "one that is not there too" eval '[ "$status" -eq 1 ] && has err nowhere'
for t in f32 q8_0 q4_0; do
  [ -n "$short" ] && [ $t != q8_0 ] && continue
  for when in off 7; do hearth_in "$tmp/copied" run $model --temperature 0.9 --seed 3 -n 40 --kv $t --speculate $when --json; cp "$tmp/out" "$tmp/kv.$when"; done
  claim "--kv $t gives an answer, the same with and without guesses" eval 'is_json && python3 -c "import json; a,b=(json.load(open(\"$tmp/kv.\"+w))[\"sequences\"] for w in (\"off\",\"7\")); assert a==b and a[0][\"tokens\"]"'
done
HEARTH_KV=q5_1 hearth run $model "$ask"; claim "a type that keys and values cannot have is wrong usage, with those that they can" eval '[ "$status" -eq 2 ] && has err "q5_1" && has err "q8_0 or q4_0" && [ ! -s "$tmp/out" ]'
for isa in scalar avx2 avx2_vnni avx512 avx512_vnni amx_int8 neon neon_dotprod neon_i8mm; do
  hearth run $model "$ask" --raw --temperature 0 -n 8 --isa $isa
  if [ "$status" -ne 0 ] && grep -q "this CPU" "$tmp/err"; then skip "--isa $isa (not on this CPU)"; continue; fi
  claim "--isa $isa answers" eval '[ "$status" -eq 0 ] && [ -s "$tmp/out" ]'
done
hearth run $model "$ask" --isa nonsense; claim "an unknown instruction set is told" eval '[ "$status" -ne 0 ] && has err nonsense'
python3 -c "print('word '*5000)" >"$tmp/long"
hearth_in "$tmp/long" run $model - --raw -n 10
claim "a prompt longer than the context is an error that says so, not a cut" eval '[ "$status" -eq 1 ] && [ ! -s "$tmp/out" ] && grep -qiE "context|too (long|many)" "$tmp/err"'
"$HEARTH_BIN" run $model "$ask" --raw -n 400 --temperature 1 2>/dev/null | head -c 1 >/dev/null
claim "a closed pipe ends the run" test "${PIPESTATUS[0]}" -eq 1
"$HEARTH_BIN" run $model "$ask" --raw -n 900 --temperature 1 >"$tmp/out" 2>"$tmp/err" & pid=$!
sleep 0.2; kill -INT $pid 2>/dev/null; wait $pid; status=$?
claim "an interrupt ends the run with 130 (or it was done by then)" eval '[ "$status" -eq 130 ] || [ "$status" -eq 0 ]'
if [ -d $shared/models/stories260K ]; then
  hearth run $shared/models/stories260K.gguf "Once upon a time" --raw --temperature 0 -n 195
  { printf 'Once upon a time'; cat "$tmp/out"; } | head -c 460 >"$tmp/story"
  claim "stories260K continues as llama2.c does (GGUF)" eval '[ "$(head -c 440 "$tmp/story")" = "$(head -c 440 $shared/models/stories260K.greedy200.txt)" ]'
  cp "$tmp/out" "$tmp/gguf"
  hearth run $shared/models/stories260K "Once upon a time" --raw --temperature 0 -n 195; claim "and the same from the Hugging Face folder" cmp -s "$tmp/out" "$tmp/gguf"
else skip "stories260K (no shared data here)"; fi
finish
