#!/usr/bin/env bash
# `hearth prices` and `hearth cost`: tables listed and taken over, amounts by hand, the chart, and what is wrong told.
. "$(dirname "$0")/lib.sh"
export HEARTH_HOME=$tmp/home

hearth prices list gpt-4o-mini
claim "a price is listed with its day" eval '[ "$status" -eq 0 ] && grep -qE "^openai/gpt-4o-mini +0.15 +0.60 +0.075 +2026-" "$tmp/out"'
hearth prices list GEMINI-2.5-PRO --json
claim "in JSON with its tier and source, whatever the case of the filter" eval 'is_json && py "len(o)==1 and o[0][\"input\"]==1.25 and o[0][\"tiers\"][0][\"above\"]==200000 and o[0][\"tiers\"][0][\"output\"]==15 and o[0][\"source\"].startswith(\"https://\")"'
hearth prices list "no such model"; claim "nothing found is no failure" eval '[ "$status" -eq 0 ] && has err "no such model"'
cat >"$tmp/litellm.json" <<'J'
{"sample_spec": {"litellm_provider": "x"},
 "gpt-4o": {"litellm_provider": "openai", "mode": "chat", "input_cost_per_token": 7e-06, "output_cost_per_token": 8e-06},
 "gemini/g": {"litellm_provider": "gemini", "mode": "chat", "input_cost_per_token": 1e-06, "output_cost_per_token": 2e-06, "input_cost_per_token_above_200k_tokens": 3e-06},
 "unknown": {"litellm_provider": "openai", "mode": "chat", "input_cost_per_token": 0, "output_cost_per_token": 0}}
J
hearth prices import "$tmp/litellm.json"
claim "LiteLLM's table is taken over, without what has no price" eval '[ "$status" -eq 0 ] && has out "2 models priced, in $HEARTH_HOME/prices.json; left out: 1 entries"'
hearth prices list --json; claim "what was imported comes first" py "o[0]['provider']=='google' and o[0]['model']=='g' and o[1]['input']==7 and len(o)>50"
cp "$HEARTH_HOME/prices.json" "$tmp/before"
echo '{"models": [' >"$tmp/bad.json"; hearth prices import "$tmp/bad.json"
claim "a file that is no table is told, and changes nothing" eval '[ "$status" -eq 1 ] && has err "bad.json" && has err "line 2" && cmp -s "$HEARTH_HOME/prices.json" "$tmp/before"'
hearth prices import; claim "a missing file is wrong usage" test "$status" -eq 2
sed 's/"mode": "chat", "input_cost_per_token": 7e-06/"input_cost_per_request": 0.25, &/' "$tmp/litellm.json" >"$tmp/fee.json"
hearth prices import "$tmp/fee.json"; hearth prices list gpt-4o; claim "a fee for each request is in the table" has out "and \$0.25 a request"
hearth prices sell; claim "an unknown verb is wrong usage" eval '[ "$status" -eq 2 ] && has err sell'

hearth cost --prefill 1000 --decode 100 --watts 100 --kwh 0.2 --hardware 876.6 --years 1 --against openai/gpt-4o-mini --against anthropic/claude-haiku-4-5-20251001 --json
# 0.12 an hour; a million tokens read take 1,000 s, written 10,000 s; 87.66 a month against 0.24 and 1.80 a million.
claim "costs are what the arithmetic says" eval 'is_json && py "o[\"machine\"][\"cost_per_hour_usd\"]==0.12 and abs(o[\"local\"][-1][\"input_usd\"]-1/30)<1e-9 and abs(o[\"local\"][0][\"output_usd\"]-20/3)<1e-9"'
claim "so is the break-even" py 'o["vendors"][0]["break_even_tokens_per_month"]==365250000 and o["vendors"][1]["break_even_tokens_per_month"]==48700000 and o["capacity_tokens_per_month"]==939214286'
claim "a dated name has the price of the model" py 'o["vendors"][1]["model"]=="anthropic/claude-haiku-4-5"'
hearth cost --prefill 10 --decode 1 --hourly 2 --against openai/gpt-4o-mini --svg "$tmp/c.svg"
claim "a machine that never costs less says so" eval '[ "$status" -eq 0 ] && has out "never costs less than openai/gpt-4o-mini" && has out "rented at \$2 an hour" && ! has out " W ("'
claim "the chart is well-formed, and asks for nothing from outside" eval 'python3 -c "import sys,xml.dom.minidom as m; m.parse(sys.argv[1])" "$tmp/c.svg" && ! grep -qE "(href|src|url)[=(]" "$tmp/c.svg" && has c.svg prefers-color-scheme'
hearth cost --prefill 1000 --decode 100; claim "what is assumed is called so" eval 'has out "100 W (assumed)" && has out "25 % of all hours * (assumed)"'
mkdir -p "$HEARTH_HOME"; printf 'cost: {watts: 45, usd_per_kwh: 0.3, hardware_usd: 500, hardware_years: 5, utilization: 0.5}\n' >"$HEARTH_HOME/hearth.yaml"
hearth cost --prefill 1000 --decode 100 --kwh 0.4 --json
claim "the configuration states it, an option comes before it" py 'o["machine"]["watts"]==45 and o["machine"]["watts_are"]=="stated" and o["machine"]["usd_per_kwh"]==0.4 and o["machine"]["hardware_usd"]==500 and o["utilization"]==0.5'
claim "without --against the cheapest of three vendors" py '[v["model"].split("/")[0] for v in o["vendors"]]==["openai","anthropic","google"]'
rm "$HEARTH_HOME/hearth.yaml"
hearth cost --prefill 1000; claim "half of the speeds is wrong usage" eval '[ "$status" -eq 2 ] && has err "go together"'
hearth cost --prefill 1000 --decode 0; claim "a machine that writes nothing is refused" test "$status" -eq 2
hearth cost --prefill 1 --decode 1 --watts many; claim "an amount that is none is named" eval '[ "$status" -eq 2 ] && has err "--watts: '\''many'\''"'
hearth cost --prefill 1 --decode 1 --utilization 1.5; claim "more than all hours is refused" eval '[ "$status" -eq 2 ] && has err "--utilization"'
hearth cost --prefill 1 --decode 1 --against openai/gpt-99; claim "an unpriced model is told, never free" eval '[ "$status" -eq 1 ] && has err "openai/gpt-99"'
hearth cost --prefill 1 --decode 1 --svg - --json; claim "two forms do not share standard output" eval '[ "$status" -eq 2 ] && has err "--svg - and --json" && [ ! -s "$tmp/out" ]'
hearth cost --prefill 1 --decode 1 --svg "$tmp/none/c.svg"; claim "a chart that cannot be written is told" eval '[ "$status" -eq 1 ] && has err "none/c.svg"'
hearth cost "$model" --batch 2 --json; claim "speeds are measured here" eval 'is_json && py "o[\"speed\"][\"measured\"] and o[\"speed\"][\"sequences\"]==2 and o[\"speed\"][\"prefill_tokens_per_s\"]>0 and o[\"speed\"][\"decode_tokens_per_s\"]>0 and o[\"model\"]==\"hearth-small\""'
finish
