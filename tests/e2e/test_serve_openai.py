#!/usr/bin/env python3
"""OpenAI's own Python packages, current and 0.28, against `hearth serve` (tools/openai-venv makes their folders)."""
import os
import subprocess
import sys
import tempfile

import parrot
from server import MODEL, MODEL_ID, ROOT, Server, claim, finish

CURRENT = r'''
import asyncio, openai
from openai import OpenAI, AsyncOpenAI
base = URL + "/v1"
c = OpenAI(base_url=base, api_key="any", max_retries=0)
M = [{"role": "user", "content": "hello"}]
o = dict(model=MODEL, messages=M, max_tokens=8, temperature=0)

def claim(name, good, seen=""):
    print(("ok " if good else "not ok ") + name, "" if good else repr(seen)[-800:])

def raises(name, kind, **members):
    try:
        c.chat.completions.create(**{**o, **members})
        claim(name, False, "nothing")
    except openai.APIError as e:
        claim(name, type(e) is kind, (type(e), str(e)))
        return e

a = c.chat.completions.create(**o)
text = a.choices[0].message.content
claim("openai: an answer", text and a.usage.total_tokens == a.usage.prompt_tokens + a.usage.completion_tokens, a)
chunks = list(c.chat.completions.create(**o, stream=True, stream_options={"include_usage": True}))
claim("openai: a stream", "".join(k.choices[0].delta.content or "" for k in chunks if k.choices) == text, chunks)
claim("openai: its usage", chunks[-1].usage.completion_tokens == a.usage.completion_tokens, chunks[-1])
a = c.chat.completions.create(**{**o, "n": 2, "temperature": 1}, seed=4, logprobs=True, top_logprobs=2, stop=["\n\n"],
                              logit_bias={"5": -1}, presence_penalty=0.1, frequency_penalty=0.1, user="u")
claim("openai: choices and logprobs", len(a.choices) == 2 and a.choices[1].logprobs.content[0].top_logprobs, a)
r = c.chat.completions.with_raw_response.create(**o)
claim("openai: the request's id", r.parse()._request_id or r.headers["x-request-id"])
claim("openai: a completion", c.completions.create(model=MODEL, prompt="once", max_tokens=4).choices[0].text is not None)
claim("openai: a streamed completion", len(list(c.completions.create(model=MODEL, prompt="once", max_tokens=4, stream=True))) > 1)
claim("openai: models", MODEL in [m.id for m in c.models.list()] and c.models.retrieve(MODEL).id == MODEL)
raises("openai: an unknown model", openai.NotFoundError, model="gpt-4")
e = raises("openai: a wrong type", openai.BadRequestError, temperature="hot")
claim("openai: with its member", e.param == "temperature", e)
e = raises("openai: a prompt that is too long", openai.BadRequestError, messages=[{"role": "user", "content": "word " * 20000}])
claim("openai: with its code", e.code == "context_length_exceeded", e)

three = ["once", "upon a", "time there was"]
p = dict(model=MODEL, max_tokens=5, temperature=0)
alone = [c.completions.create(**p, prompt=x).choices[0].text for x in three]
a = c.completions.create(**p, prompt=three, n=2)
claim("openai: several prompts, each as if alone", [k.text for k in a.choices] == [x for x in alone for _ in "ab"] and
      [k.index for k in a.choices] == list(range(6)), a)
used = [c.completions.create(**p, prompt=x).usage for x in three]
claim("openai: their usage", a.usage.prompt_tokens == sum(u.prompt_tokens for u in used) and
      a.usage.completion_tokens == 2 * sum(u.completion_tokens for u in used), a.usage)
a = c.completions.create(**p, prompt=three, echo=True)
claim("openai: several with an echo", [k.text for k in a.choices] == [x + y for x, y in zip(three, alone)], a)
k = c.completions.create(model=MODEL, prompt=three[2], echo=True, logprobs=1, max_tokens=0, temperature=0).choices[0]
claim("openai: an echo with the prompt's logprobs", k.text == three[2] and k.logprobs.token_logprobs[0] is None and
      max(k.logprobs.token_logprobs[1:]) <= 0 and len(k.logprobs.tokens) == len(k.logprobs.text_offset), k)
texts = {i: "" for i in range(3)}
chunks = list(c.completions.create(**p, prompt=three, echo=True, stream=True, stream_options={"include_usage": True}))
for k in chunks:
    for choice in k.choices:
        texts[choice.index] += choice.text
claim("openai: several streamed", list(texts.values()) == [x + y for x, y in zip(three, alone)], chunks)
claim("openai: one finish each, one usage", sum(bool(x.finish_reason) for k in chunks for x in k.choices) == 3 and
      [bool(k.usage) for k in chunks] == [False] * (len(chunks) - 1) + [True], chunks)
ids = [[5, 6, 7], [8, 9], [10]]
a = c.completions.create(**p, prompt=ids, logprobs=1, seed=1)
claim("openai: several of ids", [k.text for k in a.choices] == [c.completions.create(**p, prompt=x).choices[0].text for x in ids]
      and a.choices[2].logprobs.token_logprobs, a)
many = c.completions.create(**p, prompt=["one %d" % i for i in range(60)], n=2)
claim("openai: 60 prompts with 2 choices", [k.index for k in many.choices] == list(range(120)) and
      all(k.finish_reason in ("stop", "length") for k in many.choices), many)

def refuses(name, kind, param, **members):
    try:
        c.completions.create(**{**p, **members})
        claim(name, False, "nothing")
    except openai.APIError as e:
        claim(name, type(e) is kind and e.param == param, (type(e), str(e)))
        return str(e)

refuses("openai: too many choices", openai.BadRequestError, "prompt", prompt=["x"] * 65, n=2)
refuses("openai: a suffix", openai.BadRequestError, "suffix", prompt=three, suffix="x")
refuses("openai: best_of", openai.BadRequestError, "best_of", prompt=three, best_of=2)
e = refuses("openai: one of several is too long", openai.BadRequestError, None, prompt=["x", "word " * 20000], stream=True)
claim("openai: it is named", "prompt 1 has" in e, e)

async def several():
    async with AsyncOpenAI(base_url=base, api_key="any") as ac:
        one = [ac.chat.completions.create(**o) for _ in range(4)]
        texts = [r.choices[0].message.content for r in await asyncio.gather(*one)]
        parts = [k.choices[0].delta.content or "" async for k in await ac.chat.completions.create(**o, stream=True)]
        claim("openai: async, four at once", texts == [text] * 4, texts)
        claim("openai: async stream", "".join(parts) == text, parts)
asyncio.run(several())
'''

RESPONSES = r'''
import asyncio, json, openai
from openai import OpenAI, AsyncOpenAI
from pydantic import BaseModel
base = URL + "/v1"
c = OpenAI(base_url=base, api_key="any", max_retries=0)
o = dict(model=MODEL, input="hello", max_output_tokens=8, temperature=0)

def claim(name, good, seen=""):
    print(("ok " if good else "not ok ") + name, "" if good else repr(seen)[-800:])

r = c.responses.create(**o, instructions="Be brief.", metadata={"k": "v"})
text = r.output_text
claim("responses: an answer", text and r.object == "response" and r.status in ("completed", "incomplete"), r)
claim("responses: what it repeats", r.store is False and r.metadata == {"k": "v"} and r.instructions == "Be brief." and
      r.truncation == "disabled" and r.previous_response_id is None and r.text.format.type == "text", r)
chat = c.chat.completions.create(model=MODEL, max_tokens=8, temperature=0, messages=[
    {"role": "system", "content": "Be brief."}, {"role": "user", "content": "hello"}])
claim("responses: the same as a chat's", text == chat.choices[0].message.content, chat)
claim("responses: its usage", (r.usage.input_tokens, r.usage.output_tokens, r.usage.total_tokens) ==
      (chat.usage.prompt_tokens, chat.usage.completion_tokens, chat.usage.total_tokens) and
      r.usage.input_tokens_details.cached_tokens >= 0 and r.usage.output_tokens_details.reasoning_tokens == 0, r.usage)
items = [{"role": "user", "content": [{"type": "input_text", "text": "hello"}]}]
plain = c.responses.create(**o)
claim("responses: items are the same", c.responses.create(**{**o, "input": items}).output_text == plain.output_text)
again = c.responses.create(**{**o, "input": [*items, *[i.model_dump() for i in plain.output], *items]})
claim("responses: output is input", again.usage.input_tokens > plain.usage.input_tokens, again)
claim("responses: tokens are counted", c.responses.input_tokens.count(model=MODEL, input=items).input_tokens ==
      plain.usage.input_tokens)

events = list(c.responses.create(**o, stream=True))
claim("responses: numbers", [e.sequence_number for e in events] == list(range(len(events))), events)
claim("responses: deltas join", "".join(e.delta for e in events if e.type == "response.output_text.delta") ==
      plain.output_text, events)
claim("responses: it ends with the whole", events[-1].response.output_text == plain.output_text and
      events[-1].response.usage.total_tokens == plain.usage.total_tokens and
      events[-1].type == "response." + plain.status, events[-1])
with c.responses.stream(**{**o, "max_output_tokens": 400}, text={"format": {"type": "json_object"}}) as s:
    got = [e for e in s]
    final = s.get_final_response() if got[-1].type == "response.completed" else got[-1].response
types = [e.type for e in got]
claim("responses.stream: the order", types[:4] == ["response.created", "response.in_progress", "response.output_item.added",
      "response.content_part.added"] and types[-4:-1] == ["response.output_text.done", "response.content_part.done",
      "response.output_item.done"] and set(types[4:-4]) == {"response.output_text.delta"}, types)
claim("responses.stream: an object", final.status == "incomplete" or isinstance(json.loads(final.output_text), dict), final)
claim("responses.stream: snapshots", [e.snapshot for e in got if e.type == "response.output_text.delta"][-1] ==
      final.output_text, got)

class Answer(BaseModel):
    good: bool
    number: int

r = c.responses.parse(**{**o, "max_output_tokens": 100, "temperature": 1}, text_format=Answer)
claim("responses.parse: an answer of a class", r.status == "incomplete" or isinstance(r.output_parsed, Answer), r)
with c.responses.stream(**{**o, "max_output_tokens": 100}, text_format=Answer) as s:
    done = [e for e in s if e.type == "response.output_text.done"]
claim("responses.stream: parsed", isinstance(done[0].parsed, Answer), done)
r = c.responses.create(**o, include=["message.output_text.logprobs"], top_logprobs=2)
l = r.output[0].content[0].logprobs
claim("responses: logprobs", "".join(t.token for t in l) == r.output_text and len(l[0].top_logprobs) == 2, r)

def raises(name, kind, param, **members):
    try:
        c.responses.create(**{**o, **members})
        claim("responses: " + name, False, "nothing")
    except openai.APIError as e:
        claim("responses: " + name, type(e) is kind and e.param == param, (type(e), str(e)))
        return e

bad = openai.BadRequestError
raises("an unknown model", openai.NotFoundError, None, model="gpt-4")
raises("a wrong type", bad, "temperature", temperature="hot")
raises("an answer that was not kept", bad, "previous_response_id", previous_response_id="resp_1")
raises("a conversation", bad, "conversation", conversation="conv_1")
raises("a tool of the vendor's", bad, "tools[0].type", tools=[{"type": "web_search"}])
raises("an image", bad, "input[0].content[0].type", input=[{"role": "user", "content": [
    {"type": "input_image", "image_url": "http://x", "detail": "auto"}]}])
raises("cutting", bad, "truncation", truncation="auto")
e = raises("a prompt that is too long", bad, None, input="word " * 20000)
claim("responses: with its code", e.code == "context_length_exceeded", e)
e = raises("one that is too long, streamed", bad, None, input="word " * 20000, stream=True)
try:
    c.responses.retrieve("resp_1")
    claim("responses: none is kept", False)
except openai.NotFoundError as e:
    claim("responses: none is kept", True)

async def several():
    async with AsyncOpenAI(base_url=base, api_key="any") as ac:
        texts = [r.output_text for r in await asyncio.gather(*[ac.responses.create(**o) for _ in range(4)])]
        claim("responses: async, four at once", texts == [plain.output_text] * 4, texts)
        joined = ""
        async with ac.responses.stream(**o) as s:
            async for e in s:
                joined += e.delta if e.type == "response.output_text.delta" else ""
        claim("responses: async stream", joined == plain.output_text, joined)
asyncio.run(several())

# A model that thinks, speaks and calls two tools.
tools = [{"type": "function", "name": n, "strict": True, "parameters": {"type": "object", "properties": {
    "city": {"type": "string"}}, "required": ["city"], "additionalProperties": False}} for n in ("weather", "time")]
t = dict(model="caller", input="?", temperature=0, tools=tools)
r = c.responses.parse(**t)
claim("responses: thoughts, text and calls", [i.type for i in r.output] ==
      ["reasoning", "message", "function_call", "function_call"], r)
calls = [i for i in r.output if i.type == "function_call"]
claim("responses: calls are parsed", [(i.name, i.parsed_arguments, i.status) for i in calls] ==
      [("weather", {"city": "Paris"}, "completed"), ("time", {"city": "Rome"}, "completed")] and
      calls[0].call_id != calls[1].call_id, calls)
claim("responses: thoughts are told", r.output[0].content[0].text == "Hm.\n" and r.output_text == "See.\n" and
      r.usage.output_tokens_details.reasoning_tokens > 0, r)
with c.responses.stream(**t) as s:
    got = list(s)
    final = s.get_final_response()
types = [k for i, k in enumerate(e.type[9:] for e in got) if i == 0 or got[i].type != got[i - 1].type]
part = ["output_item.added", "content_part.added", "%s.delta", "%s.done", "content_part.done", "output_item.done"]
call = ["output_item.added", "function_call_arguments.delta", "function_call_arguments.done", "output_item.done"]
claim("responses.stream: calls in order", types == ["created", "in_progress", *[x.replace("%s", "reasoning_text") for x in part],
      *[x.replace("%s", "output_text") for x in part], *call, *call, "completed"], types)
strip = lambda i: i.model_dump(exclude={"id", "call_id"})
claim("responses.stream: the same items", [strip(i) for i in final.output] == [strip(i) for i in r.output], final)
claim("responses.stream: arguments", [e.snapshot for e in got if e.type == "response.function_call_arguments.delta"][-1] ==
      '{"city": "Rome"}', got)
turn = [{"role": "user", "content": "?"}, *[i.model_dump(exclude={"parsed_arguments"}) for i in r.output],
        *[{"type": "function_call_output", "call_id": i.call_id, "output": "7"} for i in calls]]
r = c.responses.create(**{**t, "input": turn})
claim("responses: results go back", r.status == "completed" and r.output, r)
r = c.responses.create(**{**t, "parallel_tool_calls": False})
claim("responses: one call if so asked", len([i for i in r.output if i.type == "function_call"]) == 1, r)
r = c.responses.create(**t, tool_choice="none")
claim("responses: no calls if so asked", [i.type for i in r.output] == ["reasoning", "message"], r)
r = c.responses.create(**t, max_output_tokens=70)
claim("responses: a call that is cut", r.status == "incomplete" and r.incomplete_details.reason == "max_output_tokens" and
      r.output[-1].status == "incomplete", r)
'''

OLD = r'''
import openai
openai.api_base, openai.api_key = URL + "/v1", "any"
M = [{"role": "user", "content": "hello"}]
o = dict(model=MODEL, messages=M, max_tokens=8, temperature=0)

def claim(name, good, seen=""):
    print(("ok " if good else "not ok ") + name, "" if good else repr(seen)[-800:])

a = openai.ChatCompletion.create(**o)
text = a["choices"][0]["message"]["content"]
claim("openai 0.28: an answer", text and a["usage"]["total_tokens"] > 0, a)
parts = [k["choices"][0]["delta"].get("content", "") for k in openai.ChatCompletion.create(**o, stream=True)]
claim("openai 0.28: a stream", "".join(parts) == text, parts)
claim("openai 0.28: a completion", "text" in openai.Completion.create(model=MODEL, prompt="once", max_tokens=4)["choices"][0])
claim("openai 0.28: models", openai.Model.list()["data"][0]["id"] == MODEL)
three = ["once", "upon a", "time there was"]
p = dict(model=MODEL, max_tokens=5, temperature=0)
alone = [openai.Completion.create(**p, prompt=x)["choices"][0]["text"] for x in three]
a = openai.Completion.create(**p, prompt=three)
claim("openai 0.28: several prompts", [k["text"] for k in a["choices"]] == alone, a)
texts = ["", "", ""]
for k in openai.Completion.create(**p, prompt=three, echo=True, stream=True):
    texts[k["choices"][0]["index"]] += k["choices"][0]["text"]
claim("openai 0.28: several streamed", texts == [x + y for x, y in zip(three, alone)], texts)
f = dict(model="caller", messages=M, temperature=0, max_tokens=200, functions=[
    {"name": "weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}])
a = openai.ChatCompletion.create(**f)["choices"][0]
m = a["message"]
claim("openai 0.28: a function is called", a["finish_reason"] == "function_call" and "tool_calls" not in m and
      m["function_call"] == {"name": "weather", "arguments": '{"city": "Paris"}'}, a)
name, text, last = "", "", None
for k in openai.ChatCompletion.create(**f, stream=True):
    k = k["choices"][0]
    call = k["delta"].get("function_call", {})
    name, text, last = name + call.get("name", ""), text + call.get("arguments", ""), k["finish_reason"]
claim("openai 0.28: streamed too", (name, text, last) == ("weather", '{"city": "Paris"}', "function_call"), (name, text, last))
a = openai.ChatCompletion.create(**{**f, "messages": M + [m, {"role": "function", "name": "weather", "content": "sun"}]})
claim("openai 0.28: its result goes back", a["choices"][0]["finish_reason"] == "function_call", a)
a = openai.ChatCompletion.create(**f, function_call="none")["choices"][0]
claim("openai 0.28: no call if so asked", a["finish_reason"] == "stop" and "function_call" not in a["message"], a)
try:
    openai.ChatCompletion.create(**{**o, "temperature": "hot"})
    claim("openai 0.28: an error", False)
except openai.error.InvalidRequestError as e:
    claim("openai 0.28: an error", e.param == "temperature", e)
'''

SAID = ('<think>\nHm.\n</think>\n\nSee.\n<tool_call>\n{"name": "weather", "arguments": {"city": "Paris"}}\n</tool_call>\n'
        '<tool_call>\n{"name": "time", "arguments": {"city": "Rome"}}\n</tool_call>')
folders = tempfile.TemporaryDirectory()
caller = os.path.join(folders.name, "caller")
server = None
for folder, script in (("build/venv-openai", CURRENT + RESPONSES), ("build/venv-openai-0.28", OLD)):
    python = os.path.join(ROOT, folder, "bin/python")
    if not os.path.exists(python):
        print(f"skip {folder}: not made (tools/openai-venv)")
        continue
    if not server:
        parrot.write(caller, SAID, "<tool_call> <think>", [], ["<tool_call>", "</tool_call>", "<think>", "</think>"])
        server = Server("--packed", "off", "-m", MODEL, "-m", caller, model=None)
    head = f"URL, MODEL = 'http://127.0.0.1:{server.port}', {MODEL_ID!r}\n"
    env = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy") and "OPENAI" not in k}
    p = subprocess.run([python, "-c", head + script], capture_output=True, text=True, timeout=300, env=env)
    sys.stdout.write(p.stdout)
    claim(f"{folder}: everything went through", p.returncode == 0 and "not ok" not in p.stdout, p.stderr)
if server:
    claim("it ends with 0", server.stop() == 0, server.logged()[-500:])
finish()
