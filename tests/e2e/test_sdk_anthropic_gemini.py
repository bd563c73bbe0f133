#!/usr/bin/env python3
"""The official packages `anthropic` and `google-genai`, unchanged, against `hearth serve`. Skipped without them
(tools/sdk-venv installs them)."""
import asyncio
import os
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PYTHON = os.environ.get("HEARTH_SDK_PYTHON", os.path.join(ROOT, "build/venv-sdk/bin/python"))

try:
    import anthropic
    from google import genai
    from google.genai import errors, types
except ImportError:
    if not os.path.exists(PYTHON) or sys.executable == PYTHON:
        print("skip anthropic and google-genai (tools/sdk-venv was not run)")
        sys.exit(0)
    sys.exit(subprocess.run([PYTHON, os.path.abspath(__file__)]).returncode)

import parrot
from server import Server, claim, finish

THOUGHTS, TEXT = "Weather? I need a tool.", "I look it up."
ANSWER = ("<think>\n" + THOUGHTS + "</think>\n\n" + TEXT + '<tool_call>\n{"name": "weather", "arguments": {"city": '
          '"Paris", "days": 2}}\n</tool_call>')
COLD = {"temperature": 0}
folder = tempfile.TemporaryDirectory()
think = ["<think>", "</think>", "<tool_call>", "</tool_call>"]
parrot.write(os.path.join(folder.name, "caller"), ANSWER, "<think> <tool_call>", ordinary=think)
parrot.write(os.path.join(folder.name, "talker"), "Gr\u00fc\u00dfe aus Hearth. STOP here.", "nothing")
server = Server("--packed", "off", "-m", os.path.join(folder.name, "talker"), "-m",
                os.path.join(folder.name, "caller"), model=None)
url = f"http://127.0.0.1:{server.port}"


def anthropic_whole(client, tools):
    m = client.messages.create(model="talker", max_tokens=100, messages=[{"role": "user", "content": "Hi"}],
                               system=[{"type": "text", "text": "Be kind."}], extra_body=COLD)
    claim("anthropic: a message", m.type == "message" and m.role == "assistant" and m.model == "talker" and
          m.content[0].type == "text" and m.content[0].text == "Gr\u00fc\u00dfe aus Hearth. STOP here." and
          m.stop_reason == "end_turn" and m.stop_sequence is None and m.usage.output_tokens > 0, m)
    m = client.messages.create(model="talker", max_tokens=100, messages=[{"role": "user", "content": "Hi"}],
                               stop_sequences=["never", "STOP"], extra_body=COLD)
    claim("anthropic: a stop sequence is named", m.content[0].text == "Gr\u00fc\u00dfe aus Hearth. " and
          (m.stop_reason, m.stop_sequence) == ("stop_sequence", "STOP"), m)
    m = client.messages.create(model="talker", max_tokens=3, messages=[{"role": "user", "content": "Hi"}],
                               extra_body=COLD)
    claim("anthropic: max_tokens", m.stop_reason == "max_tokens" and m.usage.output_tokens == 3, m)
    m = client.messages.create(model="caller", max_tokens=200, messages=[{"role": "user", "content": "?"}],
                               tools=tools, thinking={"type": "enabled", "budget_tokens": 1024}, extra_body=COLD)
    kinds = [b.type for b in m.content]
    claim("anthropic: thinking, text and tool_use", kinds == ["thinking", "text", "tool_use"] and
          m.content[0].thinking == THOUGHTS and m.content[1].text == TEXT and m.stop_reason == "tool_use" and
          m.content[2].name == "weather" and m.content[2].input == {"city": "Paris", "days": 2}, m)
    again = client.messages.create(model="caller", max_tokens=200, tools=tools, extra_body=COLD, messages=[
        {"role": "user", "content": "?"}, {"role": "assistant", "content": m.content},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": m.content[2].id,
                                      "content": [{"type": "text", "text": "sunny"}]},
                                     {"type": "text", "text": "And?"}]}])
    claim("anthropic: an answer's blocks can be sent back", again.role == "assistant", again)
    n = client.messages.count_tokens(model="talker", messages=[{"role": "user", "content": "Hi"}], tools=tools)
    m = client.messages.create(model="talker", max_tokens=1, messages=[{"role": "user", "content": "Hi"}], tools=tools)
    claim("anthropic: tokens are counted exactly",
          n.input_tokens == m.usage.input_tokens + m.usage.cache_read_input_tokens, (n, m))


def anthropic_stream(client, tools):
    names = []
    with client.messages.stream(model="caller", max_tokens=200, messages=[{"role": "user", "content": "?"}],
                                tools=tools, extra_body=COLD) as stream:
        for event in stream:
            names.append(event.type)
        m = stream.get_final_message()
    claim("anthropic: a stream joins to the message", [b.type for b in m.content] == ["thinking", "text", "tool_use"]
          and m.content[0].thinking == THOUGHTS and m.content[1].text == TEXT and
          m.content[2].input == {"city": "Paris", "days": 2} and m.stop_reason == "tool_use" and
          m.usage.output_tokens > 10, m)
    claim("anthropic: its events are in order", names[0] == "message_start" and names[-1] == "message_stop" and
          names.count("content_block_start") == names.count("content_block_stop") == 3, names)


def anthropic_errors(client):
    def raised(**members):
        body = {"model": "talker", "max_tokens": 5, "messages": [{"role": "user", "content": "Hi"}], **members}
        try:
            client.messages.create(**body)
        except anthropic.APIStatusError as e:
            return e
        return None
    e = raised(model="nobody")
    claim("anthropic: an unknown model is NotFoundError", isinstance(e, anthropic.NotFoundError) and
          e.body["error"]["type"] == "not_found_error" and e.body["type"] == "error", e)
    e = raised(extra_body={"temperature": 3})
    claim("anthropic: a wrong value is BadRequestError", isinstance(e, anthropic.BadRequestError) and
          "temperature" in e.body["error"]["message"] and e.request_id, e)
    e = raised(max_tokens=5000)
    claim("anthropic: what does not fit is BadRequestError", isinstance(e, anthropic.BadRequestError), e)
    e = raised(messages=[{"role": "user", "content": [{"type": "image", "source": {
        "type": "base64", "media_type": "image/png", "data": "aGk="}}]}])
    claim("anthropic: an image is refused", isinstance(e, anthropic.BadRequestError) and
          "messages[0].content[0]" in e.body["error"]["message"], e)


async def anthropic_async():
    async with anthropic.AsyncAnthropic(base_url=url, api_key="any") as client:
        text = ""
        async with client.messages.stream(model="talker", max_tokens=100, extra_body=COLD,
                                          messages=[{"role": "user", "content": "Hi"}]) as stream:
            async for piece in stream.text_stream:
                text += piece
        claim("anthropic: async stream", text == "Gr\u00fc\u00dfe aus Hearth. STOP here.", text)


def gemini_whole(client, config):
    r = client.models.generate_content(model="talker", contents="Hi", config=types.GenerateContentConfig(
        temperature=0, system_instruction="Be kind.", top_k=40, seed=1))
    claim("gemini: an answer", r.text == "Gr\u00fc\u00dfe aus Hearth. STOP here." and r.model_version == "talker" and
          r.candidates[0].finish_reason == types.FinishReason.STOP and r.candidates[0].content.role == "model" and
          r.usage_metadata.total_token_count ==
          r.usage_metadata.prompt_token_count + r.usage_metadata.candidates_token_count, r)
    r = client.models.generate_content(model="talker", contents="Hi", config=types.GenerateContentConfig(
        temperature=0, max_output_tokens=4, candidate_count=2))
    claim("gemini: candidates and MAX_TOKENS", len(r.candidates) == 2 and
          all(c.finish_reason == types.FinishReason.MAX_TOKENS for c in r.candidates), r)
    r = client.models.generate_content(model="caller", contents="?", config=config)
    parts = r.candidates[0].content.parts
    claim("gemini: thoughts, text and a function call", len(parts) == 3 and parts[0].thought and
          parts[0].text == THOUGHTS and parts[1].text == TEXT and parts[2].function_call.name == "weather" and
          parts[2].function_call.args == {"city": "Paris", "days": 2} and
          r.usage_metadata.thoughts_token_count > 10, r)
    answer = types.Part.from_function_response(name="weather", response={"result": "sunny"})
    again = client.models.generate_content(model="caller", config=config, contents=[
        types.Content(role="user", parts=[types.Part(text="?")]), r.candidates[0].content,
        types.Content(role="user", parts=[answer])])
    claim("gemini: the call and its response can be sent back", again.candidates[0].content.role == "model", again)
    beta = genai.Client(api_key="any", http_options=types.HttpOptions(base_url=url, api_version="v1beta"))
    claim("gemini: v1beta is the same", beta.models.generate_content(model="talker", contents="Hi", config={
        "temperature": 0}).text == "Gr\u00fc\u00dfe aus Hearth. STOP here.")
    n = client.models.count_tokens(model="talker", contents="Hi")
    claim("gemini: tokens are counted", n.total_tokens > 0, n)
    claim("gemini: models are listed", "models/talker" in [m.name for m in beta.models.list()])
    claim("gemini: a model is shown", beta.models.get(model="talker").name == "models/talker")


def gemini_stream(client, config):
    text, thoughts, calls, last = "", "", [], None
    for chunk in client.models.generate_content_stream(model="caller", contents="?", config=config):
        for part in chunk.candidates[0].content.parts:
            if part.function_call:
                calls.append((part.function_call.name, part.function_call.args))
            elif part.thought:
                thoughts += part.text
            else:
                text += part.text or ""
        last = chunk
    claim("gemini: a stream joins to the answer", (thoughts, text, calls) ==
          (THOUGHTS, TEXT, [("weather", {"city": "Paris", "days": 2})]), (thoughts, text, calls))
    claim("gemini: its last chunk has finish and usage", last.candidates[0].finish_reason == types.FinishReason.STOP and
          last.usage_metadata.candidates_token_count > 0, last)
    status, chunks, _ = server.post("/v1beta/models/talker:streamGenerateContent",
                                    {"contents": [{"parts": [{"text": "Hi"}]}], "generationConfig": {"temperature": 0}})
    claim("gemini: without alt=sse a stream is a JSON array", status == 200 and isinstance(chunks, list) and
          "".join(c["candidates"][0]["content"]["parts"][0]["text"] for c in chunks) ==
          "Gr\u00fc\u00dfe aus Hearth. STOP here.", chunks)


def gemini_tools(client):
    def weather(city: str, days: int) -> str:
        """The weather of a city."""
        seen.append((city, days))
        return "sunny"
    seen = []
    client.models.generate_content(model="caller", contents="?", config=types.GenerateContentConfig(
        temperature=0, tools=[weather], automatic_function_calling=types.AutomaticFunctionCallingConfig(
            maximum_remote_calls=2)))
    claim("gemini: the package calls functions by itself", seen and seen[0] == ("Paris", 2), seen)


def gemini_errors(client):
    def raised(kind, **members):
        try:
            client.models.generate_content(**{"model": "talker", "contents": "Hi", **members})
        except kind as e:
            return e
        return None
    e = raised(errors.ClientError, model="nobody")
    claim("gemini: an unknown model is a ClientError", e and e.code == 404 and e.status == "NOT_FOUND", e)
    e = raised(errors.ClientError, config=types.GenerateContentConfig(temperature=5))
    claim("gemini: a wrong value is a ClientError", e and e.code == 400 and e.status == "INVALID_ARGUMENT" and
          "temperature" in e.message, e)
    e = raised(errors.ClientError, contents=[types.Part.from_bytes(data=b"hi", mime_type="image/png")])
    claim("gemini: an image is refused", e and e.code == 400 and "contents[0].parts[0].inlineData" in e.message, e)


async def gemini_async(client):
    text = ""
    async for chunk in await client.aio.models.generate_content_stream(model="talker", contents="Hi",
                                                                       config={"temperature": 0}):
        text += chunk.text or ""
    claim("gemini: async stream", text == "Gr\u00fc\u00dfe aus Hearth. STOP here.", text)


def gemini_logprobs(client):
    config = types.GenerateContentConfig(temperature=0, response_logprobs=True, logprobs=3)
    c = client.models.generate_content(model="talker", contents="Hi", config=config).candidates[0]
    chosen, top = c.logprobs_result.chosen_candidates, c.logprobs_result.top_candidates
    # the parrot's tokens are bytes, but for "Hearth" and the like
    claim("gemini: logprobs", len(chosen) == len(top) > 5 and all(len(t.candidates) == 3 for t in top) and
          all(x.token_id == t.candidates[0].token_id and x.log_probability <= 0 for x, t in zip(chosen, top)) and
          c.content.parts[0].text.endswith("STOP here.") and chosen[-2].token, c)
    mean = sum(x.log_probability for x in chosen) / len(chosen)
    claim("gemini: their mean", abs(c.avg_logprobs - mean) < 1e-9, (c.avg_logprobs, mean))
    chunks = list(client.models.generate_content_stream(model="talker", contents="Hi", config=config))
    results = [k.candidates[0].logprobs_result for k in chunks if k.candidates[0].logprobs_result]
    ids = [x.token_id for r in results for x in r.chosen_candidates]
    claim("gemini: streamed too", ids == [x.token_id for x in chosen] and
          abs(chunks[-1].candidates[0].avg_logprobs - mean) < 1e-9, (ids, chunks[-1]))


def models(client):
    listed = list(client.models.list())
    one = client.models.retrieve("local/talker")
    claim("anthropic: models", [(m.id, m.type, m.display_name) for m in listed] == [
        ("talker", "model", "talker"), ("caller", "model", "caller")] and listed[0] == one and
          one.created_at.year > 2020, listed)
    for version in ("v1", "v1beta"):
        client = genai.Client(api_key="any", http_options=types.HttpOptions(base_url=url, api_version=version))
        listed = [m.name for m in client.models.list()]
        one = client.models.get(model="talker")
        claim(f"gemini: models of {version}", listed == ["models/talker", "models/caller"] and
              one.name == "models/talker" and one.display_name == "talker", (listed, one))


tools = [{"name": "weather", "description": "The weather.", "input_schema": {
    "type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "integer"}}}}]
try:
    client = anthropic.Anthropic(base_url=url, api_key="any", max_retries=0)
    anthropic_whole(client, tools)
    anthropic_stream(client, tools)
    anthropic_errors(client)
    models(client)
    asyncio.run(anthropic_async())

    config = types.GenerateContentConfig(
        temperature=0, thinking_config=types.ThinkingConfig(include_thoughts=True),
        tools=[types.Tool(function_declarations=[types.FunctionDeclaration(
            name="weather", description="The weather.", parameters=types.Schema(
                type=types.Type.OBJECT, properties={"city": types.Schema(type=types.Type.STRING),
                                                    "days": types.Schema(type=types.Type.INTEGER)}))])])
    client = genai.Client(api_key="any", http_options=types.HttpOptions(base_url=url))
    gemini_whole(client, config)
    gemini_stream(client, config)
    gemini_tools(client)
    gemini_errors(client)
    gemini_logprobs(client)
    asyncio.run(gemini_async(client))
finally:
    claim("it ends well", server.stop() == 0, server.logged())
    folder.cleanup()
finish()
