#!/usr/bin/env python3
"""The vendors' official packages, unchanged, at `hearth serve`, with the double of the vendors behind it: each client
dialect over each vendor, so nine ways to say the same. Without the packages (tools/sdk-venv, tools/openai-venv) their
parts are skipped."""
import json
import os
import subprocess
import sys

from vendors import ROOT, VENDORS, Double, Gateway, claim, finish

SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
          "required": ["city", "days"], "additionalProperties": False}
SAMPLE = {"city": 'Gr\u00fc\u00df "x"', "days": 2}  # what the double makes of it
SAY = "Gr\u00fc\u00dfe+\U0001f525+an+alle"
TEXT = SAY.replace("+", " ")


class Openai:
    name = "openai"

    def __init__(self, url, key):
        import openai
        self.package = openai
        self.client = openai.OpenAI(base_url=url + "/v1", api_key=key, max_retries=0)
        self.failures = {400: openai.BadRequestError, 401: openai.InternalServerError, 404: openai.NotFoundError,
                         429: openai.RateLimitError, 500: openai.InternalServerError,
                         503: openai.InternalServerError}
        self.error = openai.APIStatusError

    def ask(self, model, text, stream=False, tools=False, schema=False, max_tokens=100):
        members = {"model": model, "messages": [{"role": "user", "content": text}], "max_tokens": max_tokens}
        if tools:
            members["tools"] = [{"type": "function", "function": {"name": "weather", "parameters": SCHEMA}}]
        if schema:
            members["response_format"] = {"type": "json_schema", "json_schema": {"name": "s", "schema": SCHEMA,
                                                                                 "strict": True}}
        if stream:
            return self.stream(members)
        r = self.client.chat.completions.create(**members)
        m = r.choices[0].message
        return {"text": m.content or "", "pieces": 1, "finish": r.choices[0].finish_reason, "usage": self.usage(r),
                "calls": [(c.function.name, json.loads(c.function.arguments)) for c in m.tool_calls or []]}

    def stream(self, members):
        chunks = list(self.client.chat.completions.create(**members, stream=True,
                                                          stream_options={"include_usage": True}))
        deltas = [c.choices[0].delta for c in chunks if c.choices]
        texts, calls = [d.content for d in deltas if d.content], {}
        for call in (t for d in deltas for t in d.tool_calls or []):
            name, arguments = calls.get(call.index, ("", ""))
            calls[call.index] = (name + (call.function.name or ""), arguments + (call.function.arguments or ""))
        finish = [c.choices[0].finish_reason for c in chunks if c.choices and c.choices[0].finish_reason]
        return {"text": "".join(texts), "pieces": len(texts), "finish": finish[-1], "usage": self.usage(chunks[-1]),
                "calls": [(name, json.loads(arguments)) for name, arguments in calls.values()]}

    @staticmethod
    def usage(r):
        return r.usage.prompt_tokens, r.usage.prompt_tokens_details.cached_tokens, r.usage.completion_tokens

    finishes = {"stop": "stop", "length": "length", "tools": "tool_calls", "filter": "content_filter"}

    def more(self, vendor):
        r = self.client.responses.create(model="via-" + vendor, input=f"[[double say={SAY} in=9 think=2]]")
        claim(f"openai over {vendor}: responses", r.output_text == TEXT and r.status == "completed" and
              (r.usage.input_tokens, r.usage.output_tokens) == (9, 5), r)
        with self.client.responses.stream(model="via-" + vendor, input=f"[[double say={SAY} n=4]]") as stream:
            parts = [e.delta for e in stream if e.type == "response.output_text.delta"]
            r = stream.get_final_response()
        claim(f"openai over {vendor}: responses, streamed", "".join(parts) == r.output_text == TEXT, (parts, r))
        try:
            e = self.client.embeddings.create(model="via-" + vendor, input=["[[double in=6]]", "b"], dimensions=4)
            claim(f"openai over {vendor}: embeddings", [len(d.embedding) for d in e.data] == [4, 4] and
                  e.usage.prompt_tokens in (6, 3), e)
        except self.error as e:
            claim(f"openai over {vendor}: there are no embeddings", vendor == "anthropic" and e.status_code < 500, e)


class Anthropic:
    name = "anthropic"

    def __init__(self, url, key):
        import anthropic
        self.package = anthropic
        self.client = anthropic.Anthropic(base_url=url, api_key=key, max_retries=0)
        self.failures = {400: anthropic.BadRequestError, 401: anthropic.InternalServerError,
                         404: anthropic.NotFoundError, 429: anthropic.RateLimitError,
                         500: anthropic.InternalServerError, 503: anthropic.InternalServerError}
        self.error = anthropic.APIStatusError

    def ask(self, model, text, stream=False, tools=False, schema=False, max_tokens=100):
        members = {"model": model, "max_tokens": max_tokens, "messages": [{"role": "user", "content": text}]}
        if tools:
            members["tools"] = [{"name": "weather", "input_schema": SCHEMA}]
        if schema:
            members["output_config"] = {"format": {"type": "json_schema", "schema": SCHEMA}}
        pieces = 1
        if stream:
            with self.client.messages.stream(**members) as events:
                pieces = sum(1 for e in events if e.type == "content_block_delta" and e.delta.type == "text_delta")
                m = events.get_final_message()
        else:
            m = self.client.messages.create(**members)
        u = m.usage
        cached = u.cache_read_input_tokens or 0
        return {"text": "".join(b.text for b in m.content if b.type == "text"), "pieces": pieces,
                "calls": [(b.name, b.input) for b in m.content if b.type == "tool_use"], "finish": m.stop_reason,
                "usage": (u.input_tokens + cached + (u.cache_creation_input_tokens or 0), cached, u.output_tokens)}

    finishes = {"stop": "end_turn", "length": "max_tokens", "tools": "tool_use", "filter": "refusal"}

    def more(self, vendor):
        m = self.client.messages.create(model="via-" + vendor, max_tokens=50, messages=[
            {"role": "user", "content": "[[double n=2 think=3 shown=1]]"}])
        thoughts = [b for b in m.content if b.type == "thinking"]
        claim(f"anthropic over {vendor}: thoughts", [b.thinking for b in thoughts] == ["hm hm hm "], m)
        if vendor == "anthropic":
            claim("anthropic over anthropic: a thought's signature comes through", thoughts[0].signature == "c2lnbmVk")
            m = self.client.messages.create(model="via-anthropic", max_tokens=50, messages=[
                {"role": "user", "content": "[[double n=2 in=50 cached=5 w5=20 w1=10]]"}])
            claim("anthropic over anthropic: what is written into caches", (
                m.usage.input_tokens, m.usage.cache_creation_input_tokens, m.usage.cache_read_input_tokens) ==
                (15, 30, 5), m.usage)
        n = self.client.messages.count_tokens(model="via-" + vendor, messages=[{"role": "user", "content": "Hello"}])
        claim(f"anthropic over {vendor}: tokens are counted", 0 < n.input_tokens < 200, n)


class Gemini:
    name = "gemini"

    def __init__(self, url, key):
        from google import genai
        from google.genai import errors, types
        self.types = types
        self.client = genai.Client(api_key=key, http_options=types.HttpOptions(base_url=url))
        client, server = errors.ClientError, errors.ServerError
        self.failures = {400: client, 401: server, 404: client, 429: client, 500: server, 503: server}
        self.error = errors.APIError

    def ask(self, model, text, stream=False, tools=False, schema=False, max_tokens=100):
        t = self.types
        config = t.GenerateContentConfig(max_output_tokens=max_tokens)
        if tools:
            config.tools = [t.Tool(function_declarations=[
                t.FunctionDeclaration(name="weather", parameters_json_schema=SCHEMA)])]
        if schema:
            config.response_mime_type, config.response_json_schema = "application/json", SCHEMA
        if stream:
            chunks = list(self.client.models.generate_content_stream(model=model, contents=text, config=config))
        else:
            chunks = [self.client.models.generate_content(model=model, contents=text, config=config)]
        parts = [p for c in chunks if c.candidates for p in c.candidates[0].content.parts or []]
        texts = [p.text for p in parts if p.text and not p.thought]
        u = chunks[-1].usage_metadata
        finish = [c.candidates[0].finish_reason for c in chunks if c.candidates and c.candidates[0].finish_reason]
        return {"text": "".join(texts), "pieces": len(texts),
                "calls": [(p.function_call.name, p.function_call.args) for p in parts if p.function_call],
                "finish": finish[-1].value if finish else None,
                "usage": (u.prompt_token_count, u.cached_content_token_count or 0,
                          (u.candidates_token_count or 0) + (u.thoughts_token_count or 0))}

    finishes = {"stop": "STOP", "length": "MAX_TOKENS", "tools": "STOP", "filter": "SAFETY"}

    def more(self, vendor):
        r = self.client.models.count_tokens(model="via-" + vendor, contents="Hello")
        claim(f"gemini over {vendor}: tokens are counted", 0 < r.total_tokens < 200, r)


def status_of(e):
    return getattr(e, "status_code", None) or getattr(e, "code", None)


def check_failures(client, vendor):
    """Each failure of the vendor is the client's own exception, with a status; a bad key of ours is not its fault."""
    shown = {401: (502, 500), 403: (502, 500), 500: (502, 500), 503: (503, 529)}
    for status, kind in client.failures.items():
        try:
            client.ask(f"{vendor}/{vendor}-model", f"[[double status={status} after=7]]")
            seen = None
        except client.error as e:
            seen = e
        claim(f"{client.name} over {vendor}: {status} is {kind.__name__}", isinstance(seen, kind) and
              status_of(seen) in shown.get(status, (status,)), (seen, status_of(seen)))


def check_answers(client, vendor):
    model, over = "via-" + vendor, f"{client.name} over {vendor}: "
    for stream in (False, True):
        how = ", streamed" if stream else ""
        r = client.ask(model, f"[[double say={SAY} n=4 in=50 cached=10 think=3 split=9]]", stream)
        claim(over + "a text" + how, r["text"] == TEXT and r["finish"] == client.finishes["stop"], r)
        claim(over + "its usage" + how, r["usage"] == (50, 10, 7), r)
        if stream:
            claim(over + "pieces come as the vendor sent them", r["pieces"] == 4, r)
        r = client.ask(model, "[[double n=2 calls=1]]", stream, tools=True)
        claim(over + "a call" + how, r["calls"] == [("weather", SAMPLE)] and
              r["finish"] == client.finishes["tools"] and r["text"] == "w0 w1 ", r)
        r = client.ask(model, "[[double n=5]]", stream, schema=True)
        claim(over + "JSON of a schema" + how, json.loads(r["text"]) == SAMPLE, r)
        r = client.ask(model, "[[double n=9]]", stream, max_tokens=2)
        claim(over + "max_tokens" + how, r["text"] == "w0 w1 " and r["finish"] == client.finishes["length"] and
              r["usage"][2] == 2, r)


def part(client):
    for vendor in VENDORS:
        check_answers(client, vendor)
        check_failures(client, vendor)
        client.more(vendor)
    try:
        wrong = type(client)(os.environ["GATEWAY_URL"], "hk-wrong")
        wrong.ask("via-openai", "hello")
        claim(f"{client.name}: a wrong key is refused", False)
    except client.error as e:
        claim(f"{client.name}: a wrong key is refused", status_of(e) == 401, e)


PARTS = {"openai": ((Openai,), "build/venv-openai", "tools/openai-venv"),
         "sdk": ((Anthropic, Gemini), "build/venv-sdk", "tools/sdk-venv")}


def main():
    if len(sys.argv) > 1:  # in the packages' own Python
        for kind in PARTS[sys.argv[1]][0]:
            part(kind(os.environ["GATEWAY_URL"], os.environ["GATEWAY_KEY"]))
        finish()
    present = {n: p for n, p in PARTS.items() if os.path.exists(os.path.join(ROOT, p[1], "bin/python"))}
    for name in PARTS.keys() - present.keys():
        print(f"skip the packages of {PARTS[name][1]} ({PARTS[name][2]} was not run)")
    if not present:
        return
    double = Double()
    gateway = Gateway(double, members={"breaker_failures": 1000})
    key = gateway.new_key("sdk")["key"]
    env = dict(os.environ, GATEWAY_URL=gateway.url, GATEWAY_KEY=key)
    for name, (_, venv, _) in present.items():
        r = subprocess.run([os.path.join(ROOT, venv, "bin/python"), os.path.abspath(__file__), name], env=env)
        claim(f"the packages of {venv} are content", r.returncode == 0, gateway.logged()[-800:])
    log = double.log()
    claim("only the vendors' own keys went out", log and all(r["key"] for r in log), [r for r in log if not r["key"]][:1])
    claim("the server ends well", gateway.stop() == 0, gateway.logged()[-500:])
    finish()


main()
