#!/usr/bin/env python3
"""The vendors' own packages against the double alone (tests/double): that it speaks as the vendors do, so that what
passes against it can be believed. Without the packages (tools/sdk-venv, tools/openai-venv) their parts are skipped."""
import hashlib
import http.client
import json
import os
import subprocess
import sys

from server import ROOT
from vendors import KEY, Double, claim, finish

TOOL = {"type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "integer"}}}
SAMPLE = {"city": 'Gr\u00fc\u00df "x"', "days": 2}


def openai_part(double):
    import openai
    client = openai.OpenAI(base_url=double.url + "/v1", api_key=KEY, max_retries=0)

    def ask(text, **members):
        return client.chat.completions.create(model="m", messages=[{"role": "user", "content": text}], **members)

    r = ask("[[double n=3 in=20 cached=5 think=2]]")
    claim("openai: an answer", (r.choices[0].message.content, r.choices[0].finish_reason) == ("w0 w1 w2 ", "stop"), r)
    u = r.usage
    claim("openai: usage", (u.prompt_tokens, u.completion_tokens, u.prompt_tokens_details.cached_tokens,
                            u.completion_tokens_details.reasoning_tokens) == (20, 5, 5, 2), u)
    parts = list(ask("[[double n=4 split=1]]", stream=True, stream_options={"include_usage": True}))
    claim("openai: a stream, a byte at a time", "".join(p.choices[0].delta.content or "" for p in parts if p.choices) ==
          "w0 w1 w2 w3 " and parts[-1].usage.completion_tokens == 4, parts)
    tools = [{"type": "function", "function": {"name": "weather", "parameters": TOOL}}]
    with client.chat.completions.stream(model="m", messages=[{"role": "user", "content": "?"}], tools=tools,
                                        tool_choice="required") as stream:
        for _ in stream:
            pass
        call = stream.get_final_completion().choices[0].message.tool_calls[0]
    claim("openai: a call, streamed", call.function.name == "weather" and
          json.loads(call.function.arguments) == SAMPLE, call)
    e = client.embeddings.create(model="e", input=["a", "b"], dimensions=4)
    claim("openai: embeddings", [len(d.embedding) for d in e.data] == [4, 4], e)
    for status, kind in ((400, openai.BadRequestError), (401, openai.AuthenticationError),
                         (404, openai.NotFoundError), (429, openai.RateLimitError),
                         (500, openai.InternalServerError)):
        try:
            ask(f"[[double status={status} after=7]]")
            seen = None
        except openai.APIStatusError as e:
            seen = e
        claim(f"openai: {status} is {kind.__name__}", type(seen) is kind and seen.status_code == status, seen)
    try:
        openai.OpenAI(base_url=double.url + "/v1", api_key="wrong", max_retries=0).models.list()
    except openai.AuthenticationError as e:
        claim("openai: another key is refused", e.code == "invalid_api_key", e)


def sdk_part(double):
    import anthropic
    from google import genai
    from google.genai import errors, types
    client = anthropic.Anthropic(base_url=double.url, api_key=KEY, max_retries=0)

    def ask(text, **members):
        return dict(model="m", max_tokens=500, messages=[{"role": "user", "content": text}], **members)

    m = client.messages.create(**ask("[[double n=2 in=50 cached=10 w5=20 w1=5 think=3 shown=1]]"))
    u = m.usage
    claim("anthropic: an answer with thoughts", [b.type for b in m.content] == ["thinking", "text"] and
          m.content[1].text == "w0 w1 " and m.stop_reason == "end_turn", m)
    claim("anthropic: usage", (u.input_tokens, u.cache_read_input_tokens, u.cache_creation_input_tokens,
                               u.cache_creation.ephemeral_1h_input_tokens, u.output_tokens,
                               u.output_tokens_details.thinking_tokens) == (15, 10, 25, 5, 5, 3), u)
    tools = [{"name": "weather", "input_schema": TOOL}]
    with client.messages.stream(**ask("[[double n=2 calls=1 split=3 think=2 shown=1]]", tools=tools)) as stream:
        for _ in stream:
            pass
        m = stream.get_final_message()
    claim("anthropic: thoughts, text and a call, streamed", [b.type for b in m.content] ==
          ["thinking", "text", "tool_use"] and m.content[2].input == SAMPLE and m.stop_reason == "tool_use", m)
    n = client.messages.count_tokens(model="m", messages=[{"role": "user", "content": "[[double in=7]]"}])
    claim("anthropic: tokens are counted", n.input_tokens == 7, n)
    for status, kind in ((400, anthropic.BadRequestError), (403, anthropic.PermissionDeniedError),
                         (429, anthropic.RateLimitError), (529, anthropic.InternalServerError)):
        try:
            client.messages.create(**ask(f"[[double status={status}]]"))
            seen = None
        except anthropic.APIStatusError as e:
            seen = e
        claim(f"anthropic: {status} is {kind.__name__}", isinstance(seen, kind) and seen.status_code == status, seen)
    google = genai.Client(api_key=KEY, http_options=types.HttpOptions(base_url=double.url))
    tool = types.Tool(function_declarations=[types.FunctionDeclaration(name="weather", parameters_json_schema=TOOL)])
    r = google.models.generate_content(model="g", contents="[[double n=2 in=30 cached=4 think=5]]")
    u = r.usage_metadata
    claim("gemini: an answer and its usage", r.text == "w0 w1 " and
          (u.prompt_token_count, u.cached_content_token_count, u.candidates_token_count, u.thoughts_token_count,
           u.total_token_count) == (30, 4, 2, 5, 37), r)
    parts = list(google.models.generate_content_stream(
        model="g", contents="[[double n=3 calls=1 split=1]]", config=types.GenerateContentConfig(tools=[tool])))
    calls = [c for p in parts for c in p.function_calls or []]
    claim("gemini: text and a call, streamed", "".join(p.text or "" for p in parts) == "w0 w1 w2 " and
          calls[0].args == SAMPLE, parts)
    e = google.models.embed_content(model="g", contents=["a", "b"])
    claim("gemini: embeddings", [len(x.values) for x in e.embeddings] == [8, 8], e)
    for status in (400, 403, 404, 429, 500, 503):
        try:
            google.models.generate_content(model="g", contents=f"[[double status={status} after=3]]")
            seen = None
        except errors.APIError as e:
            seen = e
        kind = errors.ClientError if status < 500 else errors.ServerError
        claim(f"gemini: {status} is {kind.__name__}", type(seen) is kind and seen.code == status, seen)


def plain_part(double):
    """What no package looks at: the double's own log, and that it fails as often as it was told."""
    double.reset()
    body = json.dumps({"model": "m", "messages": [{"role": "user", "content": "[[double status=503 times=2 id=x]]"}]})
    seen = []
    for _ in range(3):
        c = http.client.HTTPConnection("127.0.0.1", double.port, timeout=30)
        c.request("POST", "/v1/chat/completions", body, {"authorization": "Bearer " + KEY})
        seen.append(c.getresponse().status)
        c.close()
    log = double.wait_log(3)
    claim("a failure happens as often as it was asked for", seen == [503, 503, 200], seen)
    claim("each request has its line", [(r["status"], r["attempt"], r["id"], r["key"], r["body_bytes"]) for r in log] ==
          [(s, i + 1, "x", True, len(body)) for i, s in enumerate(seen)], log)
    claim("the line has what came", {r["sha256"] for r in log} == {hashlib.sha256(body.encode()).hexdigest()}, log)


PARTS = {"openai": (openai_part, "build/venv-openai", "tools/openai-venv"),
         "sdk": (sdk_part, "build/venv-sdk", "tools/sdk-venv")}
if __name__ == "__main__" and len(sys.argv) > 1:  # in the packages' own Python
    PARTS[sys.argv[1]][0](Double())
    finish()
plain_part(Double())
for name, (_, venv, tool) in PARTS.items():
    python = os.path.join(ROOT, venv, "bin/python")
    if not os.path.exists(python):
        print(f"skip the packages of {venv} ({tool} was not run)")
    elif subprocess.run([python, os.path.abspath(__file__), name]).returncode:
        claim(f"the packages of {venv} understand the double", False)
finish()
