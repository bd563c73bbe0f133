#!/usr/bin/env python3
"""Calls of tools and thoughts in the answers of `hearth serve`, whole and streamed, as models of each kind write
them: with marks that are control tokens, which nobody may see, or ordinary ones."""
import json
import os
import subprocess
import tempfile

import parrot
from server import BIN, Server, claim, finish

TOOLS = [{"type": "function", "function": {"name": "weather", "parameters": {
    "type": "object", "properties": {"city": {"type": "string"}}}}}]
CALL = [("weather", {"city": "Paris"})]
BAR = "\uff5c"
DS = {k: f"<{BAR}tool\u2581{k.replace('_', chr(0x2581))}{BAR}>" for k in
      ("calls_begin", "calls_end", "call_begin", "call_end", "sep")}

# name: template's marks, control tokens, ordinary tokens, prompt, answer, thoughts, text, calls
MODELS = {
    "qwen3": ("<tool_call> <think>", [], ["<tool_call>", "</tool_call>", "<think>", "</think>"], "Hi",
              '<think>\nHm. <b>\n</think>\n\nSee.\n<tool_call>\n{"name": "weather", "arguments": {"city": "Paris"}}\n'
              '</tool_call>', "Hm. <b>\n", "See.\n", CALL),
    "r1": ("<think>\n " + DS["call_begin"], list(DS.values()), ["<think>", "</think>"], "Q<think>",
           "Let me see.\n</think>\n\n" + DS["calls_begin"] + DS["call_begin"] + "function" + DS["sep"] +
           'weather\n```json\n{"city": "Paris"}\n```' + DS["call_end"] + DS["calls_end"],
           "Let me see.\n", "", CALL),
    "mistral": ("[TOOL_CALLS]", ["[TOOL_CALLS]", "[ARGS]", "[CALL_ID]"], [], "Hi",
                '[TOOL_CALLS]weather[ARGS]{"city": "Paris"}[TOOL_CALLS]weather[ARGS]{"city": "Rome"}', "", "",
                [*CALL, ("weather", {"city": "Rome"})]),
    "gpt-oss": ("<|channel|> <|message|>",
                ["<|start|>", "<|channel|>", "<|message|>", "<|end|>", "<|return|>", "<|call|>", "<|constrain|>"], [],
                "<|start|>assistant",
                '<|channel|>analysis<|message|>The user...<|end|><|start|>assistant<|channel|>commentary '
                'to=functions.weather <|constrain|>json<|message|>{"city": "Paris"}<|call|>',
                "The user...", "", CALL),
    "gpt-oss-final": ("<|channel|> <|message|>",
                      ["<|start|>", "<|channel|>", "<|message|>", "<|end|>", "<|return|>"], [], "<|start|>assistant",
                      "<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>final<|message|>"
                      "Gr\u00fc\u00dfe!<|return|>", "Hm.", "Gr\u00fc\u00dfe!", []),
    "llama": ("<|python_tag|>", ["<|python_tag|>", "<|eom_id|>"], [], "Hi",
              '{"name": "weather", "parameters": {"city": "Paris"}}<|eom_id|>', "", "", CALL),
    "coder": ("<function= <parameter=", [], ["<tool_call>", "</tool_call>"], "Hi",
              "Sure.\n\n<tool_call>\n<function=weather>\n<parameter=city>\nParis\n</parameter>\n</function>\n</tool_call>",
              "", "Sure.\n\n", CALL),
    "none": ("nothing", [], [], "Hi", "Say <tool_call> or <think>.", "", "Say <tool_call> or <think>.", []),
}


def check(name, model):
    _, _, _, _, _, thoughts, text, calls = model
    body = {"model": name, "messages": [{"role": "user", "content": "?"}], "temperature": 0, "tools": TOOLS}
    status, a, _ = server.post("/v1/chat/completions", body)
    choice = a["choices"][0] if status == 200 else {"message": {}}
    m = choice["message"]
    got = [(c["function"]["name"], json.loads(c["function"]["arguments"])) for c in m.get("tool_calls") or []]
    claim(f"{name}: thoughts, text and calls are told apart",
          (m.get("reasoning_content") or "", m.get("content") or "", got) == (thoughts, text, calls), a)
    claim(f"{name}: the finish says so", choice.get("finish_reason") == ("tool_calls" if calls else "stop"), a)

    _, events, _ = server.stream(**{**body, "max_tokens": None})
    joined, streamed = {"content": "", "reasoning_content": ""}, {}
    for e in events[:-1]:
        d = e["choices"][0]["delta"]
        for k in joined:
            joined[k] += d.get(k) or ""
        for c in d.get("tool_calls", []):
            call = streamed.setdefault(c["index"], {"id": c.get("id"), "name": c["function"].get("name"), "args": ""})
            call["args"] += c["function"]["arguments"]
    claim(f"{name}: the stream joins to the same",
          (joined["reasoning_content"], joined["content"]) == (thoughts, text) and
          [(c["name"], json.loads(c["args"])) for c in streamed.values()] == calls and
          len({c["id"] for c in streamed.values()}) == len(calls), events)


with tempfile.TemporaryDirectory() as folder:
    options = []
    for name, (marks, control, ordinary, prompt, answer, *_) in MODELS.items():
        path = os.path.join(folder, name)
        parrot.write(path, answer, marks, control, ordinary, prompt)
        options += ["-m", path]
    server = Server("--packed", "off", *options, model=None)
    for name, model in MODELS.items():
        check(name, model)

    base = {"model": "mistral", "messages": [{"role": "user", "content": "?"}], "temperature": 0}
    status, a, _ = server.post("/v1/chat/completions", base)
    claim("without tools what is written is text, and control tokens are hidden",
          status == 200 and a["choices"][0]["message"]["content"] == 'weather{"city": "Paris"}weather{"city": "Rome"}'
          and a["choices"][0]["finish_reason"] == "stop", a)
    status, a, _ = server.post("/v1/chat/completions", {**base, "tools": TOOLS, "tool_choice": "none"})
    claim("so with tool_choice none", a["choices"][0]["finish_reason"] == "stop", a)
    status, a, _ = server.post("/v1/chat/completions", {**base, "tools": TOOLS, "parallel_tool_calls": False})
    claim("one call if so asked", len(a["choices"][0]["message"]["tool_calls"]) == 1, a)
    status, a, _ = server.post("/v1/chat/completions", {**base, "tools": TOOLS, "max_tokens": 14})
    claim("a call that is cut off is a call, and its finish is length",
          a["choices"][0]["finish_reason"] == "length" and
          a["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"].startswith("{"), a)
    cut = {**base, "model": "coder", "tools": TOOLS, "max_tokens": 14}
    status, a, _ = server.post("/v1/chat/completions", cut)
    claim("half a call is no text if max_tokens cut it, and each token of it counts",
          a["choices"][0]["message"]["content"] == "Sure.\n\n" and a["choices"][0]["finish_reason"] == "length" and
          a["usage"]["completion_tokens"] == 14, a)
    _, events, _ = server.stream(**cut)
    claim("nor is it streamed", "".join(e["choices"][0]["delta"].get("content") or "" for e in events[:-1]) == "Sure.\n\n", events)
    status, a, _ = server.post("/v1/chat/completions", {**base, "tools": TOOLS, "logprobs": True, "top_logprobs": 1})
    claim("every token has its logprob", status == 200 and len(a["choices"][0]["logprobs"]["content"]) ==
          a["usage"]["completion_tokens"], a)
    claim("it ends well", server.stop() == 0, server.logged())

    run = [BIN, "run", os.path.join(folder, "qwen3"), "hello", "-n", "200", "--temperature", "0", "--packed", "off"]
    ran = subprocess.run(run, capture_output=True, text=True)
    claim("run shows thoughts", ran.stdout.startswith("<think>\nHm. <b>\n\n</think>\n\nSee.\n<tool_call>"), ran)
    ran = subprocess.run([*run, "--json"], capture_output=True, text=True)
    answer = json.loads(ran.stdout)["sequences"][0]
    claim("run --json has them apart", answer["reasoning"] == "Hm. <b>\n" and answer["text"].startswith("See.") and
          len(answer["tokens"]) == json.loads(ran.stdout)["usage"]["completion_tokens"], ran)
finish()
