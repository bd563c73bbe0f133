#!/usr/bin/env python3
"""Streams and whole answers of three vendors, each event made by the models of the vendor's official package, with the
events that a client must make of them: tests/golden/data/vendors/*.json, which tests/unit/dialects/test_clients.c feeds
to the clients. What packages do not model (a stream that is cut, errors inside, other servers' members) is written out.

    build/venv-sdk/bin/python tools/golden/make_vendor_streams.py   (tools/sdk-venv, tools/openai-venv)
"""
import glob
import json
import os
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.extend(glob.glob(os.path.join(ROOT, "build/venv-openai/lib/python3*/site-packages")))
import anthropic.types as at
from google.genai import types as gt
from openai.types import CompletionUsage, CreateEmbeddingResponse
from openai.types.chat import ChatCompletion, ChatCompletionChunk

OUT = os.path.join(ROOT, "tests/golden/data/vendors")
cases = {"openai": [], "anthropic": [], "gemini": []}


def case(vendor, name, events=None, body=None, expect=(), error=None, n=1, logprobs=-1, embed=0):
    c = {"name": name}
    if events is not None:
        c["events"] = events
    if body is not None:
        c["body"] = body if isinstance(body, str) else json.dumps(body, ensure_ascii=False)
    c.update(expect=list(expect))
    if error:
        c["error"] = error
    if n != 1:
        c["n"] = n
    if logprobs >= 0:
        c["logprobs"] = logprobs
    if embed:
        c["embed"] = embed
    cases[vendor].append(c)


# OpenAI

def chunk(delta=None, finish=None, index=0, usage=None, logprobs=None, **more):
    choices = [] if delta is None else [{"index": index, "delta": delta, "finish_reason": finish, "logprobs": logprobs}]
    value = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "gpt-x", "choices": choices,
             "usage": usage, "service_tier": "default"}
    ChatCompletionChunk.model_validate(value, strict=True)
    return ["", json.dumps({**value, **more}, ensure_ascii=False)]


def usage(prompt, completion, cached=0, reasoning=0):
    value = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion,
             "prompt_tokens_details": {"cached_tokens": cached, "audio_tokens": 0},
             "completion_tokens_details": {"reasoning_tokens": reasoning, "audio_tokens": 0,
                                           "accepted_prediction_tokens": 0, "rejected_prediction_tokens": 0}}
    CompletionUsage.model_validate(value, strict=True)
    return value


def call(index, id=None, name=None, arguments=None):
    c = {"index": index, "function": {}}
    if id:
        c.update(id=id, type="function")
    if name:
        c["function"]["name"] = name
    if arguments is not None:
        c["function"]["arguments"] = arguments
    return {"tool_calls": [c]}


DONE = ["", "[DONE]"]
ROLE = chunk({"role": "assistant", "content": "", "refusal": None})
USED = chunk(None, usage=usage(20, 7, 16, 3))
case("openai", "text with usage", [ROLE, chunk({"content": "Hel"}), chunk({"content": "lo \U0001F600"}),
     chunk({}, "stop"), USED, DONE], expect=['text 0 "Hello \U0001F600"', "finish 0 stop", "usage 20 16 0 0 7 3"])
case("openai", "two calls at once", [ROLE, chunk(call(0, "call_a", "f", "")), chunk(call(0, arguments='{"a":')),
     chunk(call(0, arguments="1}")), chunk(call(1, "call_b", "g", "")), chunk(call(1, arguments="{}")),
     chunk({}, "tool_calls"), USED, DONE],
     expect=["call 0.0 call_a f", 'args 0.0 "{\\"a\\":1}"', "call 0.1 call_b g", 'args 0.1 "{}"', "finish 0 calls",
             "usage 20 16 0 0 7 3"])
case("openai", "a forced call ends with stop", [ROLE, chunk(call(0, "call_a", "f", "{}")), chunk({}, "stop"), DONE],
     expect=["call 0.0 call_a f", 'args 0.0 "{}"', "finish 0 calls"])
case("openai", "calls that all have index 0", [chunk(call(0, "a", "f", "{}")), chunk(call(0, "b", "f", '{"x":1}')),
     chunk({}, "stop"), DONE], expect=["call 0.0 a f", 'args 0.0 "{}"', "call 0.1 b f", 'args 0.1 "{\\"x\\":1}"',
                                       "finish 0 calls"])
case("openai", "a call goes on after the next began", [chunk(call(0, "a", "f", "{")), chunk(call(1, "b", "f", "{}")),
     chunk(call(0, arguments="}"))], expect=["call 0.0 a f", 'args 0.0 "{"', "call 0.1 b f", 'args 0.1 "{}"'],
     error="upstream malformed: a call goes on")
case("openai", "thoughts in either member", [chunk({"reasoning_content": "h"}), chunk({"reasoning": "m"}),
     chunk({"content": "x"}), chunk({}, "length"), DONE], expect=['thought 0 "hm"', 'text 0 "x"', "finish 0 length"])
case("openai", "a refusal", [ROLE, chunk({"refusal": "I "}), chunk({"refusal": "won't"}), chunk({}, "content_filter"),
     DONE], expect=['text 0 "I won\'t"', "finish 0 filtered"])
case("openai", "usage twice, the last counts", [chunk({"content": "a"}, usage=usage(5, 1)),
     chunk({}, "stop", usage=usage(5, 2)), DONE], expect=['text 0 "a"', "finish 0 stop", "usage 5 0 0 0 2 0"])
case("openai", "two choices interleaved", [chunk({"content": "a"}), chunk({"content": "b"}, index=1),
     chunk({"content": "c"}), chunk({}, "stop", index=1), chunk({}, "length"), DONE], n=2,
     expect=['text 0 "ac"', "finish 0 length", 'text 1 "b"', "finish 1 stop"])
HELLO = [ROLE, chunk({"content": "Hel"}), chunk({"content": "lo \U0001F600"}), chunk({}, "stop"), USED, DONE]
HELLO_READ = ['text 0 "Hello \U0001F600"', "finish 0 stop", "usage 20 16 0 0 7 3"]
case("openai", "one choice of two", HELLO, n=2, expect=HELLO_READ)
case("openai", "one choice of two, no [DONE]", HELLO[:-1], n=2, expect=HELLO_READ)
case("openai", "one choice of two, cut", HELLO[:-2], n=2, expect=HELLO_READ[:1], error="upstream cut")
top = {"token": "Hi", "logprob": -0.5, "bytes": [72, 105], "top_logprobs": [
    {"token": "Hi", "logprob": -0.5, "bytes": [72, 105]}, {"token": "Ho", "logprob": -2, "bytes": [72, 111]}]}
case("openai", "logprobs", [chunk({"content": "Hi"}, logprobs={"content": [top], "refusal": None}), chunk({}, "stop"),
     DONE], logprobs=2, expect=["tokens 0 1", 'text 0 "Hi"', "finish 0 stop"])
case("openai", "unknown members", [chunk({"content": "a", "annotations": [{}], "audio": None}, obfuscation="xyz"),
     ["", '{"object":"heartbeat"}'], ["", ""], chunk({}, "stop"), DONE], expect=['text 0 "a"', "finish 0 stop"])
case("openai", "no usage, no [DONE]", [chunk({"content": "a"}), chunk({}, "stop")],
     expect=['text 0 "a"', "finish 0 stop"])
case("openai", "nothing at all", [DONE], error="upstream malformed: an answer of nothing")
case("openai", "cut", [chunk({"content": "a"})], expect=['text 0 "a"'], error="upstream cut")
case("openai", "an error inside", [chunk({"content": "a"}), ["", json.dumps({"error": {
    "message": "Too many", "type": "requests", "code": "rate_limit_exceeded", "param": None}})]],
     expect=['text 0 "a"'], error="rate Too many (429 rate_limit_exceeded)")
case("openai", "no JSON", [["", '{"choices":[']], error="upstream malformed")
case("openai", "an array", [["", "[1]"]], error="upstream malformed: it is no object")
whole = {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [{
    "index": 0, "finish_reason": "tool_calls", "logprobs": None, "message": {
        "role": "assistant", "content": "I look", "refusal": None, "tool_calls": [
            {"id": "call_a", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}]}}],
         "usage": usage(9, 4, 1, 2)}
ChatCompletion.model_validate(whole, strict=True)
case("openai", "whole", body=whole, expect=['text 0 "I look"', "call 0.0 call_a f", 'args 0.0 "{\\"a\\": 1}"',
                                            "finish 0 calls", "usage 9 1 0 0 4 2"])
case("openai", "whole with an error inside", body={"error": {"message": "no such model", "code": "model_not_found"}},
     error="not_found no such model (404 model_not_found)")
case("openai", "whole without its second choice", n=2, body=whole,
     expect=['text 0 "I look"', "call 0.0 call_a f", 'args 0.0 "{\\"a\\": 1}"', "finish 0 calls", "usage 9 1 0 0 4 2"])
case("openai", "whole without any choice", n=2, error="upstream it has no choice", body={
    "id": "c", "object": "chat.completion", "choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 4}})
vectors = {"object": "list", "model": "e", "usage": {"prompt_tokens": 4, "total_tokens": 4}, "data": [
    {"object": "embedding", "index": 1, "embedding": [0, 1]}, {"object": "embedding", "index": 0, "embedding": [0.6, 0.8]}]}
CreateEmbeddingResponse.model_validate(vectors)
case("openai", "embeddings", embed=2, n=2, body=vectors, expect=[
    "embedding 0 0.6 0.8", "finish 0 stop", "embedding 1 0 1", "finish 1 stop", "usage 4 0 0 0 0 0"])
case("openai", "embeddings in base64, not of length 1", embed=1, body={"object": "list", "data": [
    {"object": "embedding", "index": 0, "embedding": "AABAQAAAgEA="}]}, expect=["embedding 0 0.6 0.8", "finish 0 stop"])
case("openai", "embeddings missing", embed=2, n=2, body={"data": [{"index": 0, "embedding": [1]}]},
     expect=["embedding 0 1"], error="upstream embeddings are missing")


# Anthropic

def event(model, value):
    model.model_validate(value)
    return [value["type"], json.dumps(value, ensure_ascii=False)]


def start(**u):
    return event(at.RawMessageStartEvent, {"type": "message_start", "message": {
        "id": "msg_1", "type": "message", "role": "assistant", "model": "claude-x", "content": [], "stop_reason": None,
        "stop_sequence": None, "usage": {"input_tokens": 10, "output_tokens": 1, **u}}})


def block(index, content, deltas):
    return [event(at.RawContentBlockStartEvent, {"type": "content_block_start", "index": index,
                                                 "content_block": content})] + [
        event(at.RawContentBlockDeltaEvent, {"type": "content_block_delta", "index": index, "delta": d})
        for d in deltas] + [event(at.RawContentBlockStopEvent, {"type": "content_block_stop", "index": index})]


def said(index, *texts):
    return block(index, {"type": "text", "text": ""}, [{"type": "text_delta", "text": t} for t in texts])


def tool(index, id, name, *json_pieces):
    return block(index, {"type": "tool_use", "id": id, "name": name, "input": {}},
                 [{"type": "input_json_delta", "partial_json": p} for p in json_pieces])


def ending(reason, stop=None, **u):
    return [event(at.RawMessageDeltaEvent, {"type": "message_delta", "delta": {
        "stop_reason": reason, "stop_sequence": stop}, "usage": {"output_tokens": 15, **u}}), STOP]


STOP = event(at.RawMessageStopEvent, {"type": "message_stop"})
PING = ["ping", '{"type": "ping"}']
case("anthropic", "text", [start(), PING] + said(0, "Hel", "lo") + ending("end_turn"),
     expect=['text 0 "Hello"', "finish 0 stop", "usage 10 0 0 0 15 0"])
case("anthropic", "thoughts, text and two calls",
     [start()] + block(0, {"type": "thinking", "thinking": "", "signature": ""}, [
         {"type": "thinking_delta", "thinking": "h"}, {"type": "thinking_delta", "thinking": "m"},
         {"type": "signature_delta", "signature": "EqQB"}, {"type": "signature_delta", "signature": "CAE="}]) +
     [PING] + said(1, "I look") + tool(2, "toolu_1", "f", "", '{"a"', ": 1}") + tool(3, "toolu_2", "g") +
     ending("tool_use", output_tokens_details={"thinking_tokens": 5}),
     expect=['thought 0 "hm"', 'blob 0 anthropic {"type":"thinking","signature":"EqQBCAE="}', 'text 0 "I look"',
             "call 0.0 toolu_1 f", 'args 0.0 "{\\"a\\": 1}"', "call 0.1 toolu_2 g", 'args 0.1 "{}"', "finish 0 calls",
             "usage 10 0 0 0 15 5"])
case("anthropic", "hidden thoughts", [start()] + block(0, {"type": "redacted_thinking", "data": "EmwK"}, []) +
     block(1, {"type": "thinking", "thinking": "", "signature": ""}, [{"type": "signature_delta", "signature": "c2ln"}]) +
     said(2, "x") + ending("end_turn"),
     expect=['blob 0 anthropic {"type":"redacted_thinking","data":"EmwK"}',
             'blob 0 anthropic {"type":"thinking","signature":"c2ln"}', 'text 0 "x"', "finish 0 stop",
             "usage 10 0 0 0 15 0"])
cache = {"cache_creation_input_tokens": 300, "cache_read_input_tokens": 2000,
         "cache_creation": {"ephemeral_5m_input_tokens": 200, "ephemeral_1h_input_tokens": 100}}
case("anthropic", "caches are part of the prompt", [start(**cache)] + said(0, "x") + ending("max_tokens"),
     expect=['text 0 "x"', "finish 0 length", "usage 2310 2000 200 100 15 0"])
case("anthropic", "the usage at the end is of all", [start()] + said(0, "x") + ending(
    "stop_sequence", "END", input_tokens=11, cache_read_input_tokens=4, cache_creation_input_tokens=0),
     expect=['text 0 "x"', 'finish 0 stop "END"', "usage 15 4 0 0 15 0"])
case("anthropic", "a refusal", [start()] + said(0, "x") + ending("refusal"),
     expect=['text 0 "x"', "finish 0 filtered", "usage 10 0 0 0 15 0"])
case("anthropic", "unknown events, blocks and deltas", [start(), ["tick", '{"type": "tick"}'], [
    "content_block_start", '{"type": "content_block_start", "index": 0, "content_block": {"type": "smell", "input": {}}}'], [
    "content_block_delta", '{"type": "content_block_delta", "index": 0, "delta": {"type": "input_json_delta", '
                           '"partial_json": "{}"}}']] + said(0, "")[-1:] + said(1, "x")[:2] + [
        ["content_block_delta", '{"type": "content_block_delta", "index": 1, "delta": {"type": "smell_delta"}}']] +
     said(1, "y")[1:] + ending("model_context_window_exceeded"),
     expect=['text 0 "xy"', "finish 0 length", "usage 10 0 0 0 15 0"])
found = {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": [
    {"type": "web_search_result", "url": "https://example.org/", "title": "t", "encrypted_content": "Eq=="}]}
case("anthropic", "blocks of tools that the vendor runs", [start()] + block(
    0, {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}},
    [{"type": "input_json_delta", "partial_json": p} for p in ("", '{"query":', ' "q"}')]) + block(1, found, []) +
     said(2, "x") + ending("end_turn"),
     expect=['blob 0 anthropic {"type":"server_tool_use","id":"srvtoolu_1","name":"web_search","input":{"query":"q"}}',
             "blob 0 anthropic " + json.dumps(found, separators=(",", ":")), 'text 0 "x"', "finish 0 stop",
             "usage 10 0 0 0 15 0"])
case("anthropic", "an error in the stream", [start()] + said(0, "x")[:2] + [["error", json.dumps(
    {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}, "request_id": "req_1"})]],
     expect=['text 0 "x"'], error="busy Overloaded (529 overloaded_error)")
case("anthropic", "cut, with what was used so far", [start()] + said(0, "x"),
     expect=['text 0 "x"', "usage 10 0 0 0 1 0"], error="upstream cut")
message = {"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": [
    {"type": "thinking", "thinking": "hm", "signature": "s"}, {"type": "text", "text": "x"},
    {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"a": 1}}], "stop_reason": "tool_use",
           "stop_sequence": None, "usage": {"input_tokens": 3, "output_tokens": 5, **cache}}
at.Message.model_validate(message)
case("anthropic", "whole", body=message, expect=[
    'thought 0 "hm"', 'blob 0 anthropic {"type":"thinking","signature":"s"}', 'text 0 "x"', "call 0.0 toolu_1 f",
    'args 0.0 "{\\"a\\":1}"', "finish 0 calls", "usage 2303 2000 200 100 5 0"])
case("anthropic", "whole with an error inside", body={"type": "error", "error": {
    "type": "invalid_request_error", "message": "prompt is too long: 210000 tokens > 200000 maximum"}},
     error="context prompt is too long: 210000 tokens > 200000 maximum (400 invalid_request_error)")
case("anthropic", "no message", body={"id": 1}, error="upstream a message without content")


# Gemini

def parts(list_, finish=None, index=0, u=None, **more):
    r = gt.GenerateContentResponse.model_validate({"candidates": [
        {"content": {"role": "model", "parts": list_}, "index": index, "finishReason": finish}], "usageMetadata": u,
        "modelVersion": "gemini-x", "responseId": "r1", **more})
    return r.model_dump_json(by_alias=True, exclude_none=True)


def gemini(*args, **more):
    return ["", parts(*args, **more)]


COUNTED = {"promptTokenCount": 30, "candidatesTokenCount": 8, "thoughtsTokenCount": 40, "cachedContentTokenCount": 12,
           "totalTokenCount": 78}
case("gemini", "thoughts and text", [gemini([{"text": "hm", "thought": True}]), gemini([{"text": "Hel"}], u={
    "promptTokenCount": 30, "candidatesTokenCount": 2}), gemini([{"text": "lo"}]),
    gemini([{"text": "", "thoughtSignature": "c2ln"}], "STOP", u=COUNTED)],
     expect=['thought 0 "hm"', 'text 0 "Hello"', 'blob 0 gemini {"thoughtSignature":"c2ln"}', "finish 0 stop",
             "usage 30 12 0 0 48 40"])
case("gemini", "calls", [gemini([{"functionCall": {"id": "c1", "name": "f", "args": {"a": [1]}},
                                  "thoughtSignature": "c2ln"}, {"functionCall": {"id": "c2", "name": "g"}}], "STOP")],
     expect=["call 0.0 c1 f", 'args 0.0 "{\\"a\\":[1]}"', 'blob 0 gemini {"thoughtSignature":"c2ln"}', "call 0.1 c2 g",
             'args 0.1 "{}"', "finish 0 calls"])
case("gemini", "two candidates", [gemini([{"text": "a"}], "STOP"), gemini([{"text": "b"}], "MAX_TOKENS", 1, COUNTED)],
     n=2, expect=['text 0 "a"', "finish 0 stop", 'text 1 "b"', "finish 1 length", "usage 30 12 0 0 48 40"])
case("gemini", "one candidate of two", [gemini([{"text": "b"}], "MAX_TOKENS", 1, COUNTED)], n=2,
     expect=['text 1 "b"', "finish 1 length", "usage 30 12 0 0 48 40"])
blocked = gt.GenerateContentResponse.model_validate({"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {
    "promptTokenCount": 9, "totalTokenCount": 9}}).model_dump_json(by_alias=True, exclude_none=True)
case("gemini", "a prompt that is blocked", [["", blocked]], expect=[
    'blob 0 gemini {"promptFeedback":{"blockReason":"SAFETY"}}', "finish 0 filtered", "usage 9 0 0 0 0 0"])
case("gemini", "an image", [gemini([{"inlineData": {"mimeType": "image/png", "data": "aGk="}}, {"text": "x"}], "STOP")],
     expect=["media 0 image/png aGk=", 'text 0 "x"', "finish 0 stop"])
case("gemini", "an answer that is blocked", [gemini([{"text": "a"}]), gemini([], "PROHIBITED_CONTENT")],
     expect=['text 0 "a"', "finish 0 filtered"])
case("gemini", "a call that went wrong is paid for", [gemini([], "MALFORMED_FUNCTION_CALL", u=COUNTED)],
     expect=["usage 30 12 0 0 48 40"], error="upstream the vendor's answer failed: MALFORMED_FUNCTION_CALL")
case("gemini", "unknown parts", [["", '{"candidates":[{"content":{"parts":[{"smell":{}},{"text":"x"}]},'
                                      '"finishReason":"STOP"}]}']], expect=['text 0 "x"', "finish 0 stop"])
case("gemini", "code that the vendor ran is a text for others", [
    gemini([{"executableCode": {"code": "a = '```'\nprint(a)", "language": "PYTHON"}},
            {"codeExecutionResult": {"outcome": "OUTCOME_FAILED", "output": "no\n"}}, {"text": "x"}], "STOP")],
     expect=["text 0 " + json.dumps("\n````python\na = '```'\nprint(a)\n````\n\nThe code failed:\n\n```\nno\n```\nx"),
             "finish 0 stop"])
case("gemini", "cut, with what was used so far", [gemini([{"text": "a"}], u=COUNTED)],
     expect=['text 0 "a"', "usage 30 12 0 0 48 40"], error="upstream cut")
exhausted = {"error": {"code": 429, "message": "Quota exceeded", "status": "RESOURCE_EXHAUSTED"}}
case("gemini", "an error inside", [gemini([{"text": "a"}]), ["", json.dumps(exhausted)]], expect=['text 0 "a"'],
     error="rate Quota exceeded (429 RESOURCE_EXHAUSTED)")
case("gemini", "whole", body=parts([{"text": "hm", "thought": True, "thoughtSignature": "dGg="}, {"text": "x"}], "STOP",
                                   u=COUNTED),
     expect=['thought 0 "hm"', 'blob 0 gemini {"thought":true,"thoughtSignature":"dGg="}', 'text 0 "x"',
             "finish 0 stop", "usage 30 12 0 0 48 40"])
case("gemini", "whole with an error inside", body=exhausted, error="rate Quota exceeded (429 RESOURCE_EXHAUSTED)")
embedded = gt.EmbedContentResponse.model_validate({"embeddings": [{"values": [3, 4]}, {"values": [0, 1]}]})
case("gemini", "embeddings", embed=2, n=2, body=json.dumps(embedded.model_dump(by_alias=True, exclude_none=True)),
     expect=["embedding 0 0.6 0.8", "finish 0 stop", "embedding 1 0 1", "finish 1 stop"])
case("gemini", "an embedding is missing", embed=2, n=2, body={"embeddings": [{"values": [1]}]},
     error="upstream not one embedding for each text")

os.makedirs(OUT, exist_ok=True)
for vendor, list_ in cases.items():
    with open(os.path.join(OUT, vendor + ".json"), "w", encoding="utf-8") as f:
        f.write("[\n" + ",\n".join(json.dumps(c, ensure_ascii=False) for c in list_) + "\n]\n")
    print(vendor, len(list_))
