#!/usr/bin/env python3
"""Structured output and calls of tools with the vendors' own packages (`openai`, `anthropic`, `google-genai`),
unchanged: sync, async and streamed, against models whose weights were drawn at random, so that whatever is right in
an answer is right because the server made it so. Skipped without the packages (tools/openai-venv, tools/sdk-venv)."""
import os
import subprocess
import sys
import tempfile

import parrot
from server import ROOT, Server, claim, finish

COMMON = r'''
import asyncio, enum, json
from enum import Enum
from typing import List, Literal, Optional
from pydantic import BaseModel, Field

class Unit(str, Enum):
    celsius = "C"
    fahrenheit = "F"

class Place(BaseModel):
    name: Literal["Rome", "Ulm"]
    height: int

class Report(BaseModel):
    place: Place
    unit: Unit
    days: List[Literal["mon", "tue"]] = Field(max_length=2)
    sunny: Optional[bool]

class weather(BaseModel):
    """The weather of a city."""
    city: Literal["Rome", "Ulm"]
    days: int

def claim(name, good, seen=""):
    print(("ok " if good else "not ok ") + name, "" if good else repr(seen)[-800:])

M = [{"role": "user", "content": "hello"}]
HARD = {"type": "object", "properties": {"a": {"not": {}}}, "required": ["a"]}
def is_call(args):
    return set(args) == {"city", "days"} and args["city"] in ("Rome", "Ulm") and type(args["days"]) is int
'''

OPENAI = r'''
import openai
from openai import OpenAI, AsyncOpenAI
c = OpenAI(base_url=URL + "/v1", api_key="any", max_retries=0)
o = dict(model="caller", messages=M, max_tokens=480, temperature=1, seed=3)
tools = [openai.pydantic_function_tool(weather),
         {"type": "function", "function": {"name": "now", "parameters": {"type": "object", "properties": {}}}}]

r = c.chat.completions.parse(**o, response_format=Report)
p = r.choices[0].message.parsed
claim("openai: parse gives the model's type", type(p) is Report and type(p.place) is Place, r)
with c.chat.completions.stream(**o, response_format=Report) as s:
    kinds = {e.type for e in s}
    claim("openai: a stream is parsed", type(s.get_final_completion().choices[0].message.parsed) is Report and
          "content.delta" in kinds, kinds)
with c.chat.completions.stream(**o, n=6, response_format=Report) as s:
    s.until_done()
    got = s.get_final_completion().choices
claim("openai: a stream of several choices is parsed", [k.index for k in got] == list(range(6)) and
      all(type(k.message.parsed) is Report for k in got), got)
r = c.chat.completions.create(**o, tools=tools, tool_choice="required", parallel_tool_calls=False)
calls = r.choices[0].message.tool_calls
claim("openai: required: one call", len(calls) == 1 and r.choices[0].finish_reason == "tool_calls" and
      (calls[0].function.name == "now" or is_call(json.loads(calls[0].function.arguments))), r)
named = {"type": "function", "function": {"name": "weather"}}
r = c.chat.completions.parse(**o, tools=tools[:1], tool_choice=named)
claim("openai: named: parsed arguments", r.choices[0].message.tool_calls and all(
    type(t.function.parsed_arguments) is weather for t in r.choices[0].message.tool_calls), r)
with c.chat.completions.stream(**o, tools=tools[:1], tool_choice=named, parallel_tool_calls=False) as s:
    kinds = [e.type for e in s]
    t = s.get_final_completion().choices[0].message.tool_calls
    claim("openai: a stream of a call", len(t) == 1 and type(t[0].function.parsed_arguments) is weather and
          "tool_calls.function.arguments.done" in kinds, kinds)
allowed = {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [
    {"type": "function", "function": {"name": "now"}}]}}
r = c.chat.completions.create(**o, tools=tools, tool_choice=allowed)
claim("openai: allowed tools", {t.function.name for t in r.choices[0].message.tool_calls} == {"now"}, r)
r = c.chat.completions.create(**{**o, "max_tokens": 3}, tools=tools, tool_choice="required")
claim("openai: what is cut ends with length", r.choices[0].finish_reason == "length", r)
try:
    c.chat.completions.parse(**{**o, "max_tokens": 3}, response_format=Report)
    claim("openai: what is cut is LengthFinishReasonError", False)
except openai.LengthFinishReasonError:
    claim("openai: what is cut is LengthFinishReasonError", True)
hard = [{"type": "function", "function": {"name": "odd", "parameters": HARD}}]
for word, members in (("a tool", dict(tools=hard, tool_choice="required")), ("a form", dict(response_format={
        "type": "json_schema", "json_schema": {"name": "odd", "schema": HARD}}))):
    try:
        c.chat.completions.create(**o, **members)
        claim("openai: " + word + " that cannot be compiled", False)
    except openai.BadRequestError as e:
        claim("openai: " + word + " that cannot be compiled is BadRequestError", '"not" at #/properties/a' in str(e) and
              ("odd" if word == "a tool" else "response_format.json_schema.schema") in str(e), str(e))

async def several():
    async with AsyncOpenAI(base_url=URL + "/v1", api_key="any", max_retries=0) as ac:
        got = await asyncio.gather(*[ac.chat.completions.parse(**{**o, "seed": i}, response_format=Report)
                                     for i in range(4)])
        claim("openai: async, four at once", all(type(r.choices[0].message.parsed) is Report for r in got), got)
        args = ""
        async for k in await ac.chat.completions.create(**o, tools=tools, tool_choice=named, stream=True,
                                                        parallel_tool_calls=False):
            for t in k.choices[0].delta.tool_calls or []:
                args += t.function.arguments or ""
        claim("openai: async stream of a call", is_call(json.loads(args)), args)
asyncio.run(several())
'''

ANTHROPIC = r'''
import anthropic
c = anthropic.Anthropic(base_url=URL, api_key="any", max_retries=0)
schema = {"type": "object", "properties": {"city": {"type": "string", "enum": ["Rome", "Ulm"]},
          "days": {"type": "integer"}}, "required": ["city", "days"], "additionalProperties": False}
tools = [{"name": "weather", "description": "w", "input_schema": schema},
         {"name": "now", "input_schema": {"type": "object", "properties": {}}}]
o = dict(model="caller", messages=M, max_tokens=480)
def blocks(m):
    return [b for b in m.content if b.type == "tool_use"]

m = c.messages.parse(**o, output_format=Report)
claim("anthropic: parse gives the model's type", type(m.parsed_output) is Report, m)
m = c.messages.create(**o, output_config={"format": {"type": "json_schema", "schema": schema}})
claim("anthropic: output_config", is_call(json.loads(m.content[0].text)) and m.stop_reason == "end_turn", m)
m = c.messages.create(**o, tools=tools, tool_choice={"type": "any"})
claim("anthropic: any", blocks(m) and len(blocks(m)) == len(m.content) and m.stop_reason == "tool_use" and all(
    is_call(b.input) if b.name == "weather" else b.input == {} for b in blocks(m)), m)
m = c.messages.create(**o, tools=tools, tool_choice={"type": "tool", "name": "weather",
                                                     "disable_parallel_tool_use": True})
claim("anthropic: tool", len(m.content) == 1 and m.content[0].name == "weather" and is_call(m.content[0].input), m)
m = c.messages.create(**{**o, "max_tokens": 30}, tools=tools, tool_choice={"type": "none"})
claim("anthropic: none", not blocks(m), m)
with c.messages.stream(**o, tools=tools, tool_choice={"type": "tool", "name": "weather"}) as s:
    kinds = [e.type for e in s]
    m = s.get_final_message()
claim("anthropic: a stream of calls", blocks(m) and all(is_call(b.input) for b in blocks(m)) and
      m.stop_reason == "tool_use" and kinds.count("content_block_stop") == len(m.content), (kinds, m))
m = c.messages.create(**{**o, "max_tokens": 3}, tools=tools, tool_choice={"type": "any"})
claim("anthropic: what is cut ends with max_tokens", m.stop_reason == "max_tokens", m)
for word, members in (("required", {"tool_choice": {"type": "any"}}), ("strict", {})):
    try:
        c.messages.create(**o, **members, tools=[{"name": "odd", "input_schema": HARD, "strict": word == "strict"}])
        claim("anthropic: a tool that cannot be compiled", False)
    except anthropic.BadRequestError as e:
        claim("anthropic: a tool that cannot be compiled is BadRequestError", "odd" in str(e) and "not" in str(e), e)
try:
    c.messages.create(**o, output_config={"format": {"type": "json_schema", "schema": HARD}})
    claim("anthropic: a form that cannot be compiled", False)
except anthropic.BadRequestError as e:
    claim("anthropic: a form that cannot be compiled is BadRequestError with member and keyword",
          "'output_config.format.schema': schema: \"not\" at #/properties/a" in e.body["error"]["message"], e)

async def several():
    async with anthropic.AsyncAnthropic(base_url=URL, api_key="any", max_retries=0) as ac:
        m = await ac.messages.parse(**o, output_format=Report)
        claim("anthropic: async parse", type(m.parsed_output) is Report, m)
        async with ac.messages.stream(**o, tools=tools, tool_choice={"type": "any"}) as s:
            m = await s.get_final_message()
        claim("anthropic: async stream of calls", blocks(m) and m.stop_reason == "tool_use", m)
asyncio.run(several())
'''

GEMINI = r'''
from google import genai
from google.genai import errors, types
c = genai.Client(api_key="any", http_options=types.HttpOptions(base_url=URL))
base = dict(max_output_tokens=480, seed=5, temperature=1)
declared = [types.Tool(function_declarations=[
    types.FunctionDeclaration(name="weather", parameters=types.Schema(type=types.Type.OBJECT, properties={
        "city": types.Schema(type=types.Type.STRING, enum=["Rome", "Ulm"]),
        "days": types.Schema(type=types.Type.INTEGER)}, required=["city", "days"])),
    types.FunctionDeclaration(name="now")])]
def ask(mode, *names):
    return types.ToolConfig(function_calling_config=types.FunctionCallingConfig(
        mode=mode, allowed_function_names=list(names) or None))
def right(parts):
    return all(p.function_call and (is_call(p.function_call.args) if p.function_call.name == "weather" else
                                    not p.function_call.args) for p in parts)
def run(**config):
    return c.models.generate_content(model="caller", contents="?", config=types.GenerateContentConfig(
        **{**base, **config}))

r = run(response_mime_type="application/json", response_schema=Report)
claim("gemini: response_schema gives the model's type", type(r.parsed) is Report, r)
r = run(response_mime_type="application/json", response_schema=list[Place])
claim("gemini: a list of them", isinstance(r.parsed, list) and all(type(p) is Place for p in r.parsed), r)
r = run(response_mime_type="application/json", response_json_schema=Report.model_json_schema())
claim("gemini: response_json_schema", Report.model_validate_json(r.text), r)
Kind = enum.Enum("Kind", {"RED": "red", "BLUE": "dark blue"}, type=str)
r = run(response_mime_type="text/x.enum", response_schema=Kind)
claim("gemini: an enum is the bare word", r.text in ("red", "dark blue") and r.parsed in list(Kind), r)
r = run(tools=declared, tool_config=ask("ANY"))
claim("gemini: ANY", right(r.candidates[0].content.parts) and
      r.candidates[0].finish_reason == types.FinishReason.STOP, r)
r = run(tools=declared, tool_config=ask("ANY", "weather"))
claim("gemini: ANY of one", {f.name for f in r.function_calls} == {"weather"} and
      right(r.candidates[0].content.parts), r)
r = run(tools=declared, tool_config=ask("NONE"), max_output_tokens=30)
claim("gemini: NONE", not r.function_calls, r)
r = run(tools=declared, tool_config=ask("VALIDATED"))
claim("gemini: VALIDATED", all(is_call(f.args) if f.name == "weather" else not f.args
                              for f in r.function_calls or []), r)
parts = []
for k in c.models.generate_content_stream(model="caller", contents="?", config=types.GenerateContentConfig(
        **base, tools=declared, tool_config=ask("ANY"))):
    parts += [p for p in k.candidates[0].content.parts or [] if p.function_call or p.text]
    last = k
claim("gemini: a stream of calls", parts and right(parts) and
      last.candidates[0].finish_reason == types.FinishReason.STOP, parts)
for word, config in (("tool", dict(tool_config=ask("ANY"), tools=[types.Tool(function_declarations=[
        types.FunctionDeclaration(name="odd", parameters_json_schema=HARD)])])), ("form", dict(
        response_mime_type="application/json", response_json_schema=HARD))):
    try:
        run(**config)
        claim("gemini: a " + word + " that cannot be compiled", False)
    except errors.ClientError as e:
        claim("gemini: a " + word + " that cannot be compiled is a ClientError", e.code == 400 and "not" in e.message and
              ("odd" if word == "tool" else "'generationConfig.responseJsonSchema': ") in e.message, e)

async def several():
    r = await c.aio.models.generate_content(model="caller", contents="?", config=types.GenerateContentConfig(
        **base, response_mime_type="application/json", response_schema=Report))
    claim("gemini: async response_schema", type(r.parsed) is Report, r)
    names = []
    async for k in await c.aio.models.generate_content_stream(model="caller", contents="?", config=types.
                                                              GenerateContentConfig(**base, tools=declared,
                                                                                    tool_config=ask("ANY"))):
        names += [f.name for f in k.function_calls or []]
    claim("gemini: async stream of calls", names and set(names) <= {"weather", "now"}, names)
asyncio.run(several())
'''

server = None
with tempfile.TemporaryDirectory() as folder:
    for venv, name, script in (("build/venv-openai", "openai", OPENAI), ("build/venv-sdk", "anthropic", ANTHROPIC),
                               ("build/venv-sdk", "google-genai", GEMINI)):
        python = os.path.join(ROOT, venv, "bin/python")
        if not os.path.exists(python):
            print(f"skip {name}: {venv} is not made (tools/openai-venv, tools/sdk-venv)")
            continue
        if not server:
            path = os.path.join(folder, "caller")
            parrot.write(path, None, "<tool_call>", ordinary=["<tool_call>", "</tool_call>"], places=512)
            server = Server("--packed", "off", "-m", path, model=None)
        head = f"URL = 'http://127.0.0.1:{server.port}'\n"
        env = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy") and "API_KEY" not in k}
        p = subprocess.run([python, "-c", head + COMMON + script], capture_output=True, text=True, timeout=300, env=env)
        sys.stdout.write(p.stdout)
        claim(f"{name}: everything went through", p.returncode == 0 and "not ok" not in p.stdout, p.stderr[-500:])
    if server:
        claim("it ends with 0", server.stop() == 0, server.logged()[-500:])
finish()
