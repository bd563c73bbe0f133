#!/usr/bin/env python3
"""OpenAI's own Python packages, current and 0.28, against `hearth serve` (tools/openai-venv makes their folders)."""
import os
import subprocess
import sys

from server import MODEL_ID, ROOT, Server, claim, finish

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
claim("openai: models", [m.id for m in c.models.list()] == [MODEL] and c.models.retrieve(MODEL).id == MODEL)
raises("openai: an unknown model", openai.NotFoundError, model="gpt-4")
e = raises("openai: a wrong type", openai.BadRequestError, temperature="hot")
claim("openai: with its member", e.param == "temperature", e)
e = raises("openai: a prompt that is too long", openai.BadRequestError, messages=[{"role": "user", "content": "word " * 20000}])
claim("openai: with its code", e.code == "context_length_exceeded", e)

async def several():
    async with AsyncOpenAI(base_url=base, api_key="any") as ac:
        one = [ac.chat.completions.create(**o) for _ in range(4)]
        texts = [r.choices[0].message.content for r in await asyncio.gather(*one)]
        parts = [k.choices[0].delta.content or "" async for k in await ac.chat.completions.create(**o, stream=True)]
        claim("openai: async, four at once", texts == [text] * 4, texts)
        claim("openai: async stream", "".join(parts) == text, parts)
asyncio.run(several())
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
try:
    openai.ChatCompletion.create(**{**o, "temperature": "hot"})
    claim("openai 0.28: an error", False)
except openai.error.InvalidRequestError as e:
    claim("openai 0.28: an error", e.param == "temperature", e)
'''

server = None
for folder, script in (("build/venv-openai", CURRENT), ("build/venv-openai-0.28", OLD)):
    python = os.path.join(ROOT, folder, "bin/python")
    if not os.path.exists(python):
        print(f"skip {folder}: not made (tools/openai-venv)")
        continue
    server = server or Server()
    head = f"URL, MODEL = 'http://127.0.0.1:{server.port}', {MODEL_ID!r}\n"
    env = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy") and "OPENAI" not in k}
    p = subprocess.run([python, "-c", head + script], capture_output=True, text=True, timeout=300, env=env)
    sys.stdout.write(p.stdout)
    claim(f"{folder}: everything went through", p.returncode == 0 and "not ok" not in p.stdout, p.stderr)
if server:
    claim("it ends with 0", server.stop() == 0, server.logged()[-500:])
finish()
