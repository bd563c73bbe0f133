#!/usr/bin/env python3
"""The bodies that clients write (tests/golden/data/vendors/requests.json), checked against the vendors' own types: the
packages `openai`, `anthropic` and `google-genai`. Skipped without them (tools/openai-venv, tools/sdk-venv)."""
import json
import os
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
WHERE = {"openai": "build/venv-openai", "anthropic": "build/venv-sdk", "gemini": "build/venv-sdk"}
# What other servers than the vendor's take, or what the vendor's types have no longer.
EXTRA = {"openai": {"top_k", "min_p", "typical_p", "repetition_penalty", "chat_template_kwargs"},
         "anthropic": {"temperature", "top_p", "top_k"}}


def exhausted(value):
    """Lists of such types are checked only when they are read."""
    if isinstance(value, dict):
        return {k: exhausted(v) for k, v in value.items()}
    if hasattr(value, "__iter__") and not isinstance(value, (str, bytes)):
        return [exhausted(v) for v in value]
    return value


def checker(vendor):
    import pydantic
    if vendor == "gemini":
        from google.genai import types
        members = {"systemInstruction": types.Content, "contents": list[types.Content], "tools": list[types.Tool],
                   "toolConfig": types.ToolConfig, "generationConfig": types.GenerationConfig,
                   "safetySettings": list[types.SafetySetting]}

        def check_gemini(path, body):
            if path.endswith(":batchEmbedContents"):
                for r in body["requests"]:
                    types.Content.model_validate(r["content"])
                    types.EmbedContentConfig.model_validate({k: r[k] for k in r if k not in ("model", "content")})
                return
            for key, value in body.items():
                pydantic.TypeAdapter(members[key]).validate_python(value)
        return check_gemini
    if vendor == "openai":
        from openai.types import EmbeddingCreateParams
        from openai.types.chat.completion_create_params import (CompletionCreateParamsNonStreaming,
                                                                CompletionCreateParamsStreaming)
        chat = CompletionCreateParamsNonStreaming, CompletionCreateParamsStreaming
    else:
        from anthropic.types.message_create_params import (MessageCreateParamsNonStreaming,
                                                           MessageCreateParamsStreaming)
        chat, EmbeddingCreateParams = (MessageCreateParamsNonStreaming, MessageCreateParamsStreaming), None

    adapters = {}  # what they made may need them while it is read

    def check(path, body):
        kind = EmbeddingCreateParams if path == "/embeddings" else chat[body.get("stream", False)]
        unknown = set(body) - set(kind.__annotations__) - {k for b in kind.__orig_bases__ for k in getattr(
            b, "__annotations__", {})} - EXTRA[vendor]
        assert not unknown, unknown
        if path == "/embeddings" and isinstance(body["input"][0], list):
            body = {**body, "input": body["input"][0]}  # a list of lists is taken for one of numbers until it is read
        if kind not in adapters:
            adapters[kind] = pydantic.TypeAdapter(kind)
        exhausted(adapters[kind].validate_python(body))
    return check


def run(vendor):
    check, failed, n = checker(vendor), 0, 0
    with open(os.path.join(ROOT, "tests/golden/data/vendors/requests.json"), encoding="utf-8") as f:
        cases = [c for c in json.load(f) if c["client"] == vendor and "body" in c["to"]]
    for c in cases:
        try:
            check(c["to"]["path"], c["to"]["body"])
            n += 1
        except Exception as e:
            failed += 1
            print(f"not ok {vendor}: {c['name']}\n    {e}")
    try:  # that the check can fail
        check("/x", {"model": "m", "contents": 5, "messages": [{"role": "user", "content": [{"type": "text"}]}],
                     "max_tokens": 1})
        failed += 1
        print(f"not ok {vendor}: a wrong body is seen")
    except Exception:
        print(f"ok {vendor}: a wrong body is seen")
    print(f"{'not ok' if failed or not n else 'ok'} {vendor}: {n} bodies are of the vendor's types")
    return failed


if len(sys.argv) == 2:
    sys.exit(run(sys.argv[1]) != 0)
status = 0
for name, folder in WHERE.items():
    python = os.path.join(ROOT, folder, "bin/python")
    if not os.path.exists(python):
        print(f"skip {name}: {folder} is not made (tools/openai-venv, tools/sdk-venv)")
        continue
    status |= subprocess.run([python, os.path.abspath(__file__), name]).returncode
sys.exit(status)
