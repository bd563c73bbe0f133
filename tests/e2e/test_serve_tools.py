#!/usr/bin/env python3
"""Calls that must come: tool_choice required, named, and the like, with models whose weights were drawn at random,
in every way that models write calls. Every answer is a call of an allowed tool with arguments that validate, whole
and streamed; what max_tokens cuts ends as such."""
import json
import os
import tempfile

import parrot
from server import Server, claim, finish

BAR, LOW = "\uff5c", "\u2581"
DS = [f"<{BAR}tool{LOW}{k}{BAR}>" for k in (f"calls{LOW}begin", f"calls{LOW}end", f"call{LOW}begin",
                                            f"call{LOW}end", "sep")]
KIMI = ["<|tool_calls_section_begin|>", "<|tool_calls_section_end|>", "<|tool_call_begin|>", "<|tool_call_end|>",
        "<|tool_call_argument_begin|>"]
GPT = ["<|start|>", "<|channel|>", "<|message|>", "<|end|>", "<|return|>", "<|call|>", "<|constrain|>"]

# name: template's marks, control tokens, ordinary tokens, prompt
MODELS = {
    "hermes": ("<tool_call>", [], ["<tool_call>", "</tool_call>"], "Hi"),
    "qwen3": ("<tool_call> <think>", [], ["<tool_call>", "</tool_call>", "<think>", "</think>"], "Hi"),
    "r1-thinks": ("<think> " + DS[2], DS, ["<think>", "</think>"], "Q<think>"),
    "coder": ("<function= <parameter=", [], ["<tool_call>", "</tool_call>", "</parameter>", "</function>"], "Hi"),
    "glm": ("<tool_call> <arg_key>", [], ["<tool_call>", "</tool_call>", "</arg_value>"], "Hi"),
    "mistral": ("[TOOL_CALLS]", ["[TOOL_CALLS]"], [], "Hi"),
    "mistral-named": ("[TOOL_CALLS] [ARGS]", ["[TOOL_CALLS]", "[ARGS]", "[CALL_ID]"], [], "Hi"),
    "kimi": ("<|tool_call_begin|>", KIMI, [], "Hi"),
    "llama": ("<|python_tag|>", ["<|python_tag|>", "<|eom_id|>"], [], "Hi"),
    "granite": ("<|tool_call|>", ["<|tool_call|>"], [], "Hi"),
    "cohere": ("<|START_ACTION|>", ["<|START_ACTION|>", "<|END_ACTION|>"], [], "Hi"),
    "gpt-oss": ("<|channel|> <|message|>", GPT, [], "<|start|>assistant"),
    "gemma-call": ("<start_function_call>", ["<start_function_call>", "<end_function_call>", "<escape>"], [], "Hi"),
    "gemma4": ("<|tool_call>", ["<|tool_call>", "<tool_call|>", '<|"|>'], [], "Hi"),
    "gemma3": ("<start_of_turn>", [], [], "Hi"),
}
TOOLS = [
    {"type": "function", "function": {"name": "weather", "parameters": {
        "type": "object", "additionalProperties": False, "required": ["city", "days"], "properties": {
            "city": {"type": "string", "enum": ["Rome", "Ulm <b>"]},
            "days": {"type": "integer", "minimum": 1, "maximum": 14},
            "note": {"type": "string", "maxLength": 6}}}}},
    {"type": "function", "function": {"name": "now"}},
    {"type": "function", "function": {"name": "move", "strict": True, "parameters": {
        "type": "object", "additionalProperties": False, "required": ["way"],
        "properties": {"way": {"anyOf": [{"type": "null"}, {"type": "array", "maxItems": 1, "items": {
            "type": "boolean"}}]}}}}},
]
SEEDS = int(os.environ.get("HEARTH_SEEDS", "2"))


def validates(name, a):
    if name == "weather":
        return set(a) <= {"city", "days", "note"} and a["city"] in ("Rome", "Ulm <b>") and type(a["days"]) is int and \
            1 <= a["days"] <= 14 and isinstance(a.get("note", ""), str) and len(a.get("note", "")) <= 6
    if name == "move":
        w = a["way"]
        return set(a) == {"way"} and (w is None or len(w) == 0 or (len(w) == 1 and type(w[0]) is bool))
    return name == "now" and a == {}


def calls_of(message):
    return [(c["function"]["name"], json.loads(c["function"]["arguments"])) for c in message.get("tool_calls") or []]


def good(choice, names, one):
    if choice["finish_reason"] != "tool_calls":
        return False
    calls = calls_of(choice["message"])
    return choice["finish_reason"] == "tool_calls" and len(calls) >= 1 and (len(calls) == 1 or not one) and \
        not choice["message"]["content"] and all(n in names and validates(n, a) for n, a in calls)


def joined(events):
    out = {"content": "", "reasoning_content": "", "calls": {}, "finish": None}
    for e in events[:-1]:
        choice = e["choices"][0]
        out["finish"] = choice["finish_reason"] or out["finish"]
        for k in ("content", "reasoning_content"):
            out[k] += choice["delta"].get(k) or ""
        for c in choice["delta"].get("tool_calls", []):
            call = out["calls"].setdefault(c["index"], [c["function"].get("name"), ""])
            call[1] += c["function"]["arguments"]
    return out


def same(choice, stream):
    m = choice["message"]
    return (m["content"] or "", m.get("reasoning_content", ""), choice["finish_reason"],
            [[c["function"]["name"], c["function"]["arguments"]] for c in m.get("tool_calls") or []]) == \
        (stream["content"], stream["reasoning_content"], stream["finish"], list(stream["calls"].values()))


def check(name):
    base = {"model": name, "messages": [{"role": "user", "content": "?"}], "tools": TOOLS, "max_tokens": 480,
            "temperature": 1}
    choices = [("required", "required", {"weather", "now", "move"}),
               ("named", {"type": "function", "function": {"name": "weather"}}, {"weather"})]
    for word, choice, names in choices:
        bad = []
        for seed in range(SEEDS):
            body = {**base, "tool_choice": choice, "seed": seed, "parallel_tool_calls": seed % 3 == 1}
            status, a, _ = server.post("/v1/chat/completions", body)
            _, events, _ = server.stream(**body)
            c = a["choices"][0] if status == 200 else a
            if status != 200 or not good(c, names, seed % 3 != 1) or not same(c, joined(events)):
                bad.append((seed, a, events))
        claim(f"{name}: {word}: every answer is a call that validates, streamed too", not bad, bad)
    bad = []
    for n in (1, 5, 12, 20):
        body = {**base, "tool_choice": "required", "seed": 7, "max_tokens": n}
        status, a, _ = server.post("/v1/chat/completions", body)
        _, events, _ = server.stream(**body)
        c = a["choices"][0]
        if c["finish_reason"] not in ("length", "tool_calls") or not same(c, joined(events)):
            bad.append((n, a))
    claim(f"{name}: what is cut ends with length", not bad, bad)


def check_refusals():
    base = {"model": "hermes", "messages": [{"role": "user", "content": "?"}], "max_tokens": 300}

    def tool(schema, **members):
        return [{"type": "function", "function": {"name": "odd", "parameters": schema, **members}}]
    odd = {"type": "object", "properties": {"a": {"not": {}}}}
    for word, members in (("required", {"tool_choice": "required", "tools": tool(odd)}),
                          ("strict", {"tools": tool(odd, strict=True)})):
        status, a, _ = server.post("/v1/chat/completions", {**base, **members})
        claim(f"{word}: a schema that cannot be compiled is a 400 that names tool and keyword",
              status == 400 and "'odd'" in a["error"]["message"] and '"not" at #/properties/a' in a["error"]["message"],
              a)
    status, a, _ = server.post("/v1/chat/completions", {**base, "tools": tool(odd), "max_tokens": 5})
    claim("auto: it is nobody's business", status == 200, a)
    status, a, _ = server.post("/v1/chat/completions", {**base, "tools": tool({"type": "string"}),
                                                        "tool_choice": "required"})
    claim("arguments are objects", status == 400 and '"type" at #' in a["error"]["message"], a)
    status, a, _ = server.post("/v1/chat/completions", {**base, "model": "none", "tools": TOOLS,
                                                        "tool_choice": "required"})
    claim("a model that knows no calls cannot be made to call", status == 400 and
          "--tool-format" in a["error"]["message"], a)


def check_ways_to_ask():
    base = {"model": "hermes", "messages": [{"role": "user", "content": "?"}], "tools": TOOLS, "max_tokens": 480,
            "temperature": 1}
    allowed = {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [
        {"type": "function", "function": {"name": "now"}}]}}
    status, a, _ = server.post("/v1/chat/completions", {**base, "tool_choice": allowed, "seed": 1})
    claim("allowed_tools: only what is allowed is called", status == 200 and
          {n for n, _ in calls_of(a["choices"][0]["message"])} == {"now"}, a)
    status, a, _ = server.post("/v1/responses", {
        "model": "hermes", "input": "?", "max_output_tokens": 480, "temperature": 1,
        "tools": [{"type": "function", **t["function"]} for t in TOOLS],
        "tool_choice": {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "now"}]}})
    claim("so in responses", status == 200 and {o.get("name") for o in a["output"] if o["type"] == "function_call"} == {"now"} and
          not any(o["type"] == "message" for o in a["output"]), a)
    status, a, _ = server.post("/v1/chat/completions", {**base, "tool_choice": "none", "seed": 1, "max_tokens": 40})
    claim("none: no calls", status == 200 and not calls_of(a["choices"][0]["message"]), a)
    said, bad = 0, []
    for seed in range(12):
        status, a, _ = server.post("/v1/chat/completions", {**base, "seed": seed})
        c = a["choices"][0]
        calls = calls_of(c["message"]) if c["finish_reason"] == "tool_calls" else []
        said += len(calls)
        if not all(validates(n, v) for n, v in calls):
            bad.append(a)
    claim("auto with a strict tool: a call that is begun validates", said > 0 and not bad, (said, bad))
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"],
              "additionalProperties": False}
    form = {"type": "json_schema", "json_schema": {"name": "n", "schema": schema}}
    texts, calls, bad = 0, 0, []
    for seed in range(24):
        status, a, _ = server.post("/v1/chat/completions", {**base, "seed": seed, "response_format": form,
                                                            "temperature": 2})
        c = a["choices"][0]
        if c["finish_reason"] == "tool_calls":
            calls += 1
            bad += [] if all(validates(n, v) for n, v in calls_of(c["message"])) else [a]
        elif c["finish_reason"] == "stop":
            texts += 1
            bad += [] if type(json.loads(c["message"]["content"]).get("a")) is int else [a]
    claim("a form of the text and tools go together", texts > 0 and calls > 0 and not bad, (texts, calls, bad))
    for name in ("r1-thinks", "qwen3", "gpt-oss"):
        bad = []
        for seed in range(4):
            status, a, _ = server.post("/v1/chat/completions", {
                "model": name, "messages": base["messages"], "seed": seed, "response_format": form, "max_tokens": 480})
            c = a["choices"][0]
            if c["finish_reason"] == "stop" and type(json.loads(c["message"]["content"]).get("a")) is int:
                continue
            bad.append(a)
        claim(f"{name}: a text that is held to a form comes behind thoughts", not bad, bad)

    status, a, _ = server.post("/v1/messages", {
        "model": "hermes", "messages": base["messages"], "max_tokens": 400, "tool_choice": {
            "type": "any", "disable_parallel_tool_use": True},
        "tools": [{"name": t["function"]["name"], "input_schema": t["function"].get("parameters", {"type": "object"})}
                  for t in TOOLS[::2]]})
    claim("anthropic: any", status == 200 and a["stop_reason"] == "tool_use" and
          [b["type"] for b in a["content"]] == ["tool_use"] and validates(a["content"][0]["name"],
                                                                         a["content"][0]["input"]), a)
    gemini = {"contents": [{"parts": [{"text": "?"}]}], "generationConfig": {"maxOutputTokens": 400, "seed": 2},
              "tools": [{"functionDeclarations": [{"name": "go", "parameters": {"type": "OBJECT", "properties": {
                  "to": {"type": "STRING", "enum": ["a", "b"], "nullable": True}}, "required": ["to"]}},
                  {"name": "stay"}]}]}
    for mode, names in (("ANY", ["go"]), ("ANY", []), ("VALIDATED", [])):
        how = {"mode": mode, "allowedFunctionNames": names} if names else {"mode": mode}
        status, a, _ = server.post("/v1beta/models/hermes:generateContent", {
            **gemini, "toolConfig": {"functionCallingConfig": how}})
        parts = a["candidates"][0]["content"]["parts"] if status == 200 else []
        calls = [p["functionCall"] for p in parts if "functionCall" in p]
        right = all((c["name"] == "go" and c["args"]["to"] in ("a", "b", None)) or
                    (c["name"] == "stay" and not c.get("args")) for c in calls)
        claim(f"gemini: {mode} {names}", status == 200 and right and (mode == "VALIDATED" or (
            calls and len(calls) == len(parts) and a["candidates"][0]["finishReason"] == "STOP")), a)


with tempfile.TemporaryDirectory() as folder:
    options = []
    for name, (marks, control, ordinary, prompt) in {**MODELS, "none": ("nothing", [], [], "Hi")}.items():
        path = os.path.join(folder, name)
        parrot.write(path, None, marks, control, ordinary, prompt, places=512)
        options += ["-m", path]
    server = Server("--packed", "off", *options, model=None)
    for name in MODELS:
        check(name)
    check_refusals()
    check_ways_to_ask()
    claim("it ends well", server.stop() == 0, server.logged())
finish()
