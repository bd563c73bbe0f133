#!/usr/bin/env python3
"""What a vendor says beside its text reaches a client with the same words as it was said, streamed or not: names of
errors, of ends and of blocked prompts, images, what tools did that the vendor runs itself. Clients with other words get what they have for it, and nothing
vanishes in silence."""
import base64
import json
import os
import re

from vendors import KEY, KEY_VARIABLES, Answering, Double, Gateway, claim, finish, request_of, serve_vendor, until

PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 40).decode()
SECRET = "sk-vendor-0123456789abcdefABCDEF"
HOST = "gpu-7.internal.example"
USAGE = {"promptTokenCount": 11, "candidatesTokenCount": 5, "thoughtsTokenCount": 2, "totalTokenCount": 18}
USAGE_A = {"input_tokens": 11, "output_tokens": 7}
bodies = []  # that vendors were asked with
answers = {}  # what a model answers: (status, body) or a list of chunks, which are an answer in pieces
answers["plain"] = 200, {"id": "x", "object": "chat.completion", "created": 1, "model": "m", "choices": [
    {"index": 0, "message": {"role": "assistant", "content": "well"}, "finish_reason": "stop"}]}


class Vendor(Answering):
    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        bodies.append(asked)
        gemini = re.search(r"/models/([^:]+):(\w+)", self.path)
        model = gemini[1] if gemini else asked["model"]
        streamed = gemini[2] == "streamGenerateContent" if gemini else asked.get("stream", False)
        status, said = answers[model, streamed] if (model, streamed) in answers else answers[model]
        if status == 200 and streamed:
            data = "".join((f"event: {c['type']}\n" if "type" in c else "") + f"data: {json.dumps(c)}\n\n" if
                           isinstance(c, dict) else c for c in said).encode()
        else:
            data = json.dumps(said).encode()
        self.answer(status, data, "text/event-stream" if streamed and status == 200 else "application/json")


at = serve_vendor(Vendor)
double = Double()
providers = []
for name, dialect, url, variable, retries in (("o", "openai", at + "/v1", "OPENAI_API_KEY", 0),
                                              ("a", "anthropic", at, "ANTHROPIC_API_KEY", 0),
                                              ("g", "gemini", at, "GOOGLE_API_KEY", 0),
                                              ("again", "gemini", at, "GOOGLE_API_KEY", 2)):
    providers += [f"  {name}:", f"    dialect: {dialect}", f"    base_url: {url}", f"    key_env: {variable}",
                  f"    retries: {retries}", "    breaker_failures: 1000"]
os.environ.update({k: KEY for k in KEY_VARIABLES.values()})  # for commands beside the server, too
gateway = Gateway(double, options=("--allow-vendors",), providers=providers)


def ask(dialect, model, stream=False, **members):
    """(status, the value, or the values of the stream's events) of one request."""
    path, body, headers = request_of(dialect, model, "hi", stream=stream, max_tokens=50, **members)
    status, data, _ = gateway.request("POST", path, body, headers)
    if stream and status == 200:
        lines = [line[6:] for line in data.decode().splitlines() if line.startswith("data: ")]
        return status, [json.loads(line) for line in lines if line != "[DONE]"]
    return status, json.loads(data)


def errors():
    """Names of errors."""
    answers["unsupported"] = 400, {"error": {"message": "Unsupported value", "type": "invalid_request_error",
                                             "param": "messages[0].content", "code": "unsupported_value_here"}}
    answers["quota"] = 429, {"error": {"message": "You exceeded your quota", "type": "insufficient_quota",
                                       "param": None, "code": "insufficient_quota"}}
    answers["vllm"] = 400, {"object": "error", "error": {"message": "bad", "type": "BadRequestError", "param": "stop",
                                                         "code": 400}}
    answers["sly"] = 400, {"error": {"message": "bad", "type": SECRET, "param": HOST, "code": HOST}}
    answers["slier"] = 400, {"error": {"message": "bad", "type": SECRET.replace("-", "_"), "code": SECRET,
                                       "param": "messages." + SECRET}}
    answers["key"] = 401, {"error": {"message": "Incorrect API key", "type": "invalid_request_error", "param": None,
                                     "code": "invalid_api_key"}}
    answers["broken"] = 500, {"error": {"message": "oops", "type": "internal_trouble", "param": None, "code": None}}
    answers["late"] = 200, [
        {"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [
            {"index": 0, "delta": {"role": "assistant", "content": "he"}, "finish_reason": None}]},
        {"error": {"message": "busy", "type": "server_error", "param": None, "code": "engine_tripped"}}]
    for stream in (False, True):
        how = "streamed" if stream else "whole"
        status, v = ask("openai", "o/unsupported", stream)
        e = v["error"]
        claim(f"OpenAI's code, param and type come through, {how}", status == 400 and (
            e["code"], e["param"], e["type"]) == ("unsupported_value_here", "messages[0].content",
                                                  "invalid_request_error"), v)
        status, v = ask("openai", "o/quota", stream)
        claim(f"OpenAI's insufficient_quota, {how}", status == 429 and (
            v["error"]["code"], v["error"]["type"]) == ("insufficient_quota", "insufficient_quota"), v)
        status, v = ask("openai", "o/vllm", stream)
        e = v["error"]
        claim(f"a server like OpenAI's has its own type, {how}", status == 400 and (e["code"], e["type"]) == (
            None, "BadRequestError"), v)
        for sly in ("o/sly", "o/slier"):
            status, v = ask("openai", sly, stream)
            text = json.dumps(v)
            claim(f"{sly}: no key and no host goes through, {how}", status == 400 and HOST not in text and
                  "0123456789abcdef" not in text and v["error"]["type"] == "invalid_request_error", v)
        status, v = ask("openai", "o/key", stream)
        claim(f"Hearth's own key is nobody's business, {how}", status == 502 and
              v["error"]["code"] == "upstream_error", v)
        status, v = ask("openai", "o/broken", stream)
        claim(f"a type without a code, {how}", status == 502 and (v["error"]["type"], v["error"]["code"]) == (
            "internal_trouble", "upstream_error"), v)
        status, v = ask("anthropic", "o/unsupported", stream)
        claim(f"an Anthropic client has its own type for OpenAI's, {how}", status == 400 and
              v["error"]["type"] == "invalid_request_error" and "unsupported_value_here\"" not in json.dumps(v), v)
        status, v = ask("gemini", "o/quota", stream)
        claim(f"a Gemini client, {how}", status == 429 and v["error"]["status"] == "RESOURCE_EXHAUSTED", v)
    status, v = ask("openai", "o/late", True)
    claim("an error in a stream has its code", status == 200 and v[-1]["error"]["code"] == "engine_tripped" and
          v[-1]["error"]["type"] == "server_error", v)
    status, v = ask("responses", "o/unsupported")
    claim("OpenAI's responses", status == 400 and v["error"]["code"] == "unsupported_value_here", v)

    answers["billing"] = 402, {"type": "error", "error": {"type": "billing_error", "message": "no credit"}}
    answers["slow"] = 504, {"type": "error", "error": {"type": "timeout_error", "message": "too slow"}}
    answers["over"] = 200, [
        {"type": "message_start", "message": {"id": "m", "type": "message", "role": "assistant", "model": "m",
                                              "content": [], "stop_reason": None, "usage": USAGE_A}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": "he"}},
        {"type": "error", "error": {"type": "timeout_error", "message": "too slow"}}]
    status, v = ask("anthropic", "a/slow")
    claim("Anthropic's type", status == 502 and v["error"]["type"] == "timeout_error", v)
    status, v = ask("anthropic", "a/billing")
    claim("Anthropic's billing_error", status == 502 and v["error"]["type"] == "billing_error", v)
    status, v = ask("anthropic", "a/over", True)
    claim("Anthropic's type in a stream", v[-1]["type"] == "error" and v[-1]["error"]["type"] == "timeout_error", v)
    status, v = ask("openai", "a/slow")
    claim("Anthropic's type is not OpenAI's", status == 502 and (v["error"]["type"], v["error"]["code"]) == (
        "server_error", "upstream_error"), v)

    for word, code, now in (("RESOURCE_EXHAUSTED", 429, 429), ("FAILED_PRECONDITION", 400, 400),
                            ("INTERNAL", 500, 502), ("DEADLINE_EXCEEDED", 504, 502)):
        answers[word] = code, {"error": {"code": code, "message": "no", "status": word}}
        answers[word + "-late"] = 200, [
            {"candidates": [{"content": {"role": "model", "parts": [{"text": "he"}]}, "index": 0}]},
            {"error": {"code": code, "message": "no", "status": word}}]
        for stream in (False, True):
            status, v = ask("gemini", "g/" + word, stream)
            claim(f"Gemini's {word}, {'streamed' if stream else 'whole'}", status == now and
                  v["error"]["status"] == word, v)
        status, v = ask("gemini", f"g/{word}-late", True)
        claim(f"Gemini's {word} in a stream", v[-1]["error"]["status"] == word, v)


def message_of(reason):
    return 200, {"id": "m", "type": "message", "role": "assistant", "model": "m", "stop_reason": reason,
                 "stop_sequence": None, "content": [{"type": "text", "text": "hello"}], "usage": USAGE_A}


def events_of(reason):
    return 200, [
        {"type": "message_start", "message": {"id": "m", "type": "message", "role": "assistant", "model": "m",
                                              "content": [], "stop_reason": None, "usage": USAGE_A}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": "hello"}},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": reason, "stop_sequence": None}, "usage": USAGE_A},
        {"type": "message_stop"}]


def finish_of(dialect, v):
    """The end that an answer, or a stream, tells of."""
    found = []
    for e in v if isinstance(v, list) else [v]:
        if dialect == "anthropic":
            found.append(e.get("stop_reason") or e.get("delta", {}).get("stop_reason"))
        elif dialect == "openai":
            found += [c["finish_reason"] for c in e["choices"]]
        elif dialect == "responses":
            r = e.get("response", e)
            found.append((r.get("incomplete_details") or {}).get("reason") if r.get("status") == "incomplete" else
                         r.get("status"))
        else:
            found += [c.get("finishReason") for c in e.get("candidates", [])]
    return [f for f in found if f][-1]


def ends():
    """Why an answer ended, in Anthropic's words and in Gemini's."""
    for reason, others in (("pause_turn", ("length", "max_output_tokens", "MAX_TOKENS")),
                           ("refusal", ("content_filter", "content_filter", "SAFETY")),
                           ("model_context_window_exceeded", ("length", "max_output_tokens", "MAX_TOKENS")),
                           ("something_new", ("stop", "completed", "STOP")),
                           ("end_turn", ("stop", "completed", "STOP"))):
        answers[reason] = message_of(reason)
        answers[reason, True] = events_of(reason)
        for stream in (False, True):
            got = [finish_of(d, ask(d, "a/" + reason, stream)[1]) for d in
                   ("anthropic", "openai", "responses", "gemini")]
            claim(f"Anthropic's {reason}, {'streamed' if stream else 'whole'}", got == [reason, *others], got)
    for reason, others in (("RECITATION", "content_filter content_filter refusal"),
                           ("PROHIBITED_CONTENT", "content_filter content_filter refusal"),
                           ("SPII", "content_filter content_filter refusal"),
                           ("LANGUAGE", "content_filter content_filter refusal"),
                           ("IMAGE_SAFETY", "content_filter content_filter refusal"),
                           ("OTHER", "stop completed end_turn"),
                           ("SAFETY", "content_filter content_filter refusal"),
                           ("MAX_TOKENS", "length max_output_tokens max_tokens"),
                           ("STOP", "stop completed end_turn")):
        end = {"content": {"role": "model", "parts": [{"text": "hello"}]}, "finishReason": reason, "index": 0,
               "finishMessage": "because of it"}
        answers[reason] = 200, {"candidates": [end], "usageMetadata": USAGE}
        answers[reason, True] = 200, [{"candidates": [end], "usageMetadata": USAGE}]
        for stream in (False, True):
            how = "streamed" if stream else "whole"
            got = [finish_of(d, ask(d, "g/" + reason, stream)[1]) for d in
                   ("gemini", "openai", "responses", "anthropic")]
            claim(f"Gemini's {reason}, {how}", got == [reason, *others.split()], got)
            v = ask("gemini", "g/" + reason, stream)[1]
            claim(f"Gemini's {reason} says why, {how}", "because of it" in json.dumps(v), v)


def blocked():
    """A prompt that Gemini does not answer."""
    feedback = {"blockReason": "PROHIBITED_CONTENT", "blockReasonMessage": "not this", "safetyRatings": [
        {"category": "HARM_CATEGORY_HARASSMENT", "probability": "HIGH", "blocked": True}]}
    used = {"promptTokenCount": 11, "totalTokenCount": 11}
    answers["blocked"] = 200, {"promptFeedback": feedback, "usageMetadata": used}
    answers["blocked", True] = 200, [{"promptFeedback": feedback, "usageMetadata": used}]
    answers["open"] = 200, {"promptFeedback": {"safetyRatings": []}, "usageMetadata": used, "candidates": [
        {"content": {"role": "model", "parts": [{"text": "hello"}]}, "finishReason": "STOP", "index": 0}]}
    for stream in (False, True):
        how = "streamed" if stream else "whole"
        status, v = ask("gemini", "g/blocked", stream)
        chunks = v if stream else [v]
        claim(f"a blocked prompt is told to a Gemini client as it was, {how}", status == 200 and
              [c["promptFeedback"] for c in chunks if "promptFeedback" in c] == [feedback] and
              not any(c.get("candidates") for c in chunks) and
              chunks[-1]["usageMetadata"]["promptTokenCount"] == 11, v)
        got = [finish_of(d, ask(d, "g/blocked", stream)[1]) for d in ("openai", "responses", "anthropic")]
        claim(f"... and as a filter's end to others, {how}", got == ["content_filter", "content_filter", "refusal"],
              got)
    claim("one that was not is not", "promptFeedback" not in ask("gemini", "g/open")[1])


def images():
    """Parts of Gemini's answers that are no text."""
    parts = [{"text": "see: "}, {"inlineData": {"mimeType": "image/png", "data": PNG}, "thoughtSignature": "c2ln"},
             {"text": "there"}, {"inlineData": {"mimeType": "audio/wav", "data": "UklGRg=="}}]
    answers["image"] = 200, {"candidates": [{"content": {"role": "model", "parts": parts}, "finishReason": "STOP",
                                             "index": 0}], "usageMetadata": USAGE}
    answers["image", True] = 200, [
        {"candidates": [{"content": {"role": "model", "parts": [p]}, "index": 0}]} for p in parts] + [
        {"candidates": [{"content": {"role": "model", "parts": [{"text": ""}]}, "finishReason": "STOP",
                         "index": 0}], "usageMetadata": USAGE}]
    for stream in (False, True):
        how = "streamed" if stream else "whole"
        v = ask("gemini", "g/image", stream)[1]
        got = [p for c in (v if stream else [v]) for d in c["candidates"] for p in d["content"]["parts"]
               if p.get("text") != ""]
        claim(f"a Gemini client gets all parts as they were, {how}", got == parts, got)
        v = ask("openai", "g/image", stream)[1]
        said = [c["delta" if stream else "message"] for e in (v if stream else [v]) for c in e["choices"]]
        found = [i for m in said for i in m.get("images", [])]
        text = "".join(m.get("content") or "" for m in said)
        claim(f"an OpenAI client gets the image as OpenRouter sends it, {how}", len(found) == 1 and found[0] == {
            "type": "image_url", "image_url": {"url": "data:image/png;base64," + PNG}}, str(found)[:300])
        claim(f"... and is told of the sound, {how}", "see: there" in text and "audio/wav, 4 bytes" in text, text)
        for dialect in ("anthropic", "responses"):
            text = json.dumps(ask(dialect, "g/image", stream)[1])
            claim(f"{dialect}: a text names what was left out, {how}", "image/png, 10248 bytes" in text and
                  "audio/wav, 4 bytes" in text and PNG not in text, text[:500])
    answers["only"] = 200, {"candidates": [{"content": {"role": "model", "parts": parts[1:2]}, "finishReason": "STOP",
                                            "index": 0}], "usageMetadata": USAGE}
    v = ask("gemini", "g/only")[1]
    claim("an image alone has no text beside it", v["candidates"][0]["content"]["parts"] == parts[1:2], v)
    turns = [{"role": "user", "parts": [{"text": "hi"}]}, {"role": "model", "parts": parts + [
        {"inlineData": {"mimeType": "image/png", "data": PNG}}, {"text": "", "thoughtSignature": "ZW5k"}]},
        {"role": "user", "parts": [{"text": "on"}]}]
    status, v = ask("gemini", "g/image", contents=turns)
    claim("Gemini gets its images back, each with its signature, where they stood", status == 200 and
          bodies[-1]["contents"] == turns, str(bodies[-1])[:800])
    turns[1]["parts"] = [{"inlineData": {"mimeType": "image/png", "data": PNG}, "thought": True}, parts[1]]
    status, v = ask("gemini", "g/image", contents=turns)
    claim("... but not those of its thoughts", status == 200 and bodies[-1]["contents"][1]["parts"] == parts[1:2],
          bodies[-1])
    n = len(bodies)
    for model in ("o/one", "a/end_turn"):
        status, v = ask("gemini", model, contents=turns)
        claim(f"{model}: others' assistants have no images", status == 400 and len(bodies) == n and
              "an image in an assistant's message" in v["error"]["message"], v)
    url = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + PNG}}
    messages = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": [{"type": "text", "text": "x"}, url]},
                {"role": "user", "content": "on"}]
    status, v = ask("openai", "g/image", messages=messages)
    claim("an image that an OpenAI client's assistant has goes to Gemini, too", status == 200 and
          bodies[-1]["contents"][1]["parts"] == [{"text": "x"}, {"inlineData": {"mimeType": "image/png", "data": PNG}}],
          bodies[-1])
    status, v = ask("openai", "a/end_turn", messages=messages)
    claim("... and is not left out for Anthropic", status == 400 and "an image in" in v["error"]["message"], v)
    status, v = ask("openai", "o/plain", messages=messages)
    claim("... OpenAI's own words go on", status == 200 and bodies[-1]["messages"] == messages, bodies[-1])
    status, out, err = gateway.hearth("run", "--config", gateway.config, "g/image", "hi")
    claim("hearth run says what it does not show", status == 0 and "see: there" in out and
          "image/png, 10248 bytes" in err and PNG not in out, (status, out, err))


def anthropic_events(content):
    """A stream of these blocks; what a tool is asked for comes in pieces."""
    events = [{"type": "message_start", "message": {"id": "m", "type": "message", "role": "assistant", "model": "m",
                                                    "content": [], "stop_reason": None, "usage": USAGE_A}}]
    for i, block in enumerate(content):
        given, pieces = dict(block), []
        if "input" in block:
            text = json.dumps(block["input"])
            given["input"], pieces = {}, [{"type": "input_json_delta", "partial_json": p} for p in (text[:5], text[5:])]
        elif "text" in block:
            given["text"], pieces = "", [{"type": "text_delta", "text": block["text"]}]
        events += [{"type": "content_block_start", "index": i, "content_block": given}]
        events += [{"type": "content_block_delta", "index": i, "delta": p} for p in pieces]
        events += [{"type": "content_block_stop", "index": i}]
    return events + [{"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": USAGE_A},
                     {"type": "message_stop"}]


def blocks_of(events):
    """The blocks of a stream, put together as the vendor's package does."""
    blocks, inputs = [], {}
    for e in events:
        if e["type"] == "content_block_start":
            assert e["index"] == len(blocks), e
            blocks.append(dict(e["content_block"]))
        elif e["type"] == "content_block_delta" and "text" in e["delta"]:
            blocks[e["index"]]["text"] += e["delta"]["text"]
        elif e["type"] == "content_block_delta":
            inputs[e["index"]] = inputs.get(e["index"], "") + e["delta"]["partial_json"]
    for i, text in inputs.items():
        blocks[i]["input"] = json.loads(text)
    return blocks


def vendors_tools():
    """What tools did that the vendor itself runs: Anthropic's blocks, Gemini's code."""
    content = [
        {"type": "text", "text": "Let me see."},
        {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "a \"sea\""}},
        {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": [
            {"type": "web_search_result", "url": "https://example.org/", "title": "Sea", "encrypted_content": "Eq=="}]},
        {"type": "mcp_tool_use", "id": "mcptoolu_1", "name": "f", "server_name": "s", "input": {}},
        {"type": "mcp_tool_result", "tool_use_id": "mcptoolu_1", "is_error": False,
         "content": [{"type": "text", "text": "wet"}]},
        {"type": "text", "text": "It is wide."}]
    answers["search"] = 200, {"id": "m", "type": "message", "role": "assistant", "model": "m", "content": content,
                              "stop_reason": "end_turn", "stop_sequence": None, "usage": USAGE_A}
    answers["search", True] = 200, anthropic_events(content)
    parts = [{"text": "See: "}, {"executableCode": {"language": "PYTHON", "code": "print(6 * 7)\n"},
                                 "thoughtSignature": "c2ln"},
             {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "42\n"}}, {"text": "So 42."}]
    answers["code"] = 200, {"candidates": [{"content": {"role": "model", "parts": parts}, "finishReason": "STOP",
                                            "index": 0}], "usageMetadata": USAGE}
    answers["code", True] = 200, [
        {"candidates": [{"content": {"role": "model", "parts": [p]}, "index": 0}]} for p in parts] + [
        {"candidates": [{"content": {"parts": []}, "finishReason": "STOP", "index": 0}], "usageMetadata": USAGE}]
    for stream in (False, True):
        how = "streamed" if stream else "whole"
        v = ask("anthropic", "a/search", stream)[1]
        got = blocks_of(v) if stream else v["content"]
        claim(f"an Anthropic client gets blocks of tools that the vendor runs as they were, {how}", got == content, got)
        v = ask("gemini", "g/code", stream)[1]
        got = [p for c in (v if stream else [v]) for d in c["candidates"] for p in d["content"]["parts"]
               if p.get("text") != ""]
        claim(f"a Gemini client gets code and its result as they were, {how}", got == parts, got)
        for dialect in ("openai", "responses", "gemini"):
            path, body, headers = request_of(dialect, "a/search", "hi", stream=stream, max_tokens=50)
            data = gateway.request("POST", path, body, headers)[1].decode()
            claim(f"{dialect}: Anthropic's are left out, and its texts are there, {how}", "Let me see." in data and
                  "It is wide." in data and "srvtoolu" not in data and "Eq==" not in data, data)
        for dialect in ("openai", "responses", "anthropic"):
            v = ask(dialect, "g/code", stream)[1]
            text = "".join(t for e in (v if stream else [v]) for t in said_in(dialect, e))
            claim(f"{dialect}: Gemini's code is a text between fences, {how}", text ==
                  "See: \n```python\nprint(6 * 7)\n```\n\n```\n42\n```\nSo 42.", text)

    history = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": content}, {"role": "user", "content": "on"}]
    status, v = ask("anthropic", "a/search", messages=history)
    claim("Anthropic gets its blocks back as they were", status == 200 and bodies[-1]["messages"][1]["content"] == content,
          (v, bodies[-1]))
    status, v = ask("anthropic", "o/plain", messages=history)
    claim("... others only the texts", status == 200 and bodies[-1]["messages"][1] == {
        "role": "assistant", "content": "Let me see.\nIt is wide."}, (v, bodies[-1]))
    status, v = ask("anthropic", "a/search", messages=[{"role": "user", "content": content[2:3]}])
    claim("a user has no such blocks", status == 400 and "web_search_tool_result" in v["error"]["message"], v)
    turns = [{"role": "user", "parts": [{"text": "hi"}]}, {"role": "model", "parts": parts},
             {"role": "user", "parts": [{"text": "on"}]}]
    status, v = ask("gemini", "g/code", contents=turns)
    claim("Gemini gets its code back as it was", status == 200 and bodies[-1]["contents"] == turns, (v, bodies[-1]))
    status, v = ask("gemini", "o/plain", contents=turns)
    claim("... others only the texts of it", status == 200 and bodies[-1]["messages"][1]["content"] == "See: So 42.",
          (v, bodies[-1]))
    status, v = ask("gemini", "g/code", contents=[{"role": "user", "parts": parts[1:2]}])
    claim("a user has no such parts", status == 400 and "contents[0].parts[0]" in v["error"]["message"], v)


def said_in(dialect, e):
    """The texts in an event of a stream, or a whole answer."""
    if dialect == "openai":
        return [c.get("delta", c.get("message", {})).get("content") or "" for c in e["choices"]]
    if dialect == "anthropic":
        return [e["delta"]["text"]] if e["type"] == "content_block_delta" else [b["text"] for b in e.get("content", [])]
    if e.get("type") == "response.output_text.delta":
        return [e["delta"]]
    return [c["text"] for o in e.get("output", []) for c in o.get("content", [])]


def inexpressible():
    """What no vendor's format has is named as the client wrote it."""
    n = len(bodies)
    for members, wanted in (({"echo": True}, "echo"), ({"echo": True, "logprobs": 1}, "echo"), ({}, "prompt"),
                            ({"prompt": [1, 2], "echo": True}, "echo"), ({"prompt": ["a", "b"], "echo": True}, "echo"),
                            ({"echo": False}, "prompt")):
        for model in ("o/plain", "a/end_turn", "g/code"):
            for stream in (False, True):
                status, data, _ = gateway.request("POST", "/v1/completions", {
                    "model": model, "prompt": "hi", "max_tokens": 5, "stream": stream, **members})
                e = json.loads(data)["error"]
                claim(f"{model}, {members}: {wanted} is named{', streamed' if stream else ''}", status == 400 and
                      e["param"] == wanted and e["code"] == "unsupported_value" and
                      ("echo" in e["message"]) == (wanted == "echo"), (status, e))
    for member, value, model in (("logprobs", True, "a/end_turn"), ("presence_penalty", 1, "a/end_turn"),
                                 ("logit_bias", {"5": 1}, "g/code"), ("n", 2, "a/end_turn"), ("n", 9, "g/code"),
                                 ("temperature", 1.5, "a/end_turn")):
        status, v = ask("openai", model, **{member: value})
        claim(f"{model}: {member} is named", status == 400 and v["error"]["param"] == member, v)
    status, v = ask("gemini", "a/end_turn", generationConfig={"presencePenalty": 1})
    claim("what the client has another name for is told all the same", status == 400 and
          "presence_penalty" in v["error"]["message"], v)
    claim("nothing of it left", len(bodies) == n, bodies[n:])


def failed_calls():
    """A call that Gemini's model made up wrongly: paid for as the vendor says."""
    end = {"content": {"role": "model", "parts": []}, "finishReason": "MALFORMED_FUNCTION_CALL", "index": 0,
           "finishMessage": "Malformed function call: f("}
    first = {"candidates": [{"content": {"role": "model", "parts": [{"text": "well "}]}, "index": 0}]}
    answers["malformed"] = 200, {"candidates": [end], "usageMetadata": USAGE}
    answers["malformed", True] = 200, [{"candidates": [end], "usageMetadata": USAGE}]
    answers["begun"] = 200, [first, {"candidates": [end], "usageMetadata": USAGE}]
    for stream in (False, True):
        how = "streamed" if stream else "whole"
        status, v = ask("gemini", "again/malformed", stream)
        claim(f"a Gemini client hears of it in Gemini's words, {how}", status == 200 and
              finish_of("gemini", v) == "MALFORMED_FUNCTION_CALL" and "Malformed function call: f(" in
              json.dumps(v), v)
        for dialect in ("openai", "anthropic", "responses"):
            status, v = ask(dialect, "again/malformed", stream)
            claim(f"{dialect}: it is an error, {how}", status == 502 and "MALFORMED_FUNCTION_CALL" in
                  v["error"]["message"], (status, v))
    status, v = ask("openai", "again/begun", True)
    claim("behind a text it is an error at the end", status == 200 and "MALFORMED_FUNCTION_CALL" in
          v[-1]["error"]["message"], v)
    rows = until(lambda: (found := [r for r in gateway.rows() if r["provider"] == "again"])[8:] and found) or []
    claim("each was asked once, and is booked as the vendor stated", len(rows) == 9 and all(
        (r["prompt_tokens"], r["completion_tokens"], r["reasoning_tokens"], r["estimated"]) == (11, 7, 2, 0)
        for r in rows), rows)


def fewer_choices():
    """A server that gives one answer, whatever `n` says."""
    answers["one", True] = 200, [
        {"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [
            {"index": 0, "delta": {"role": "assistant", "content": "hello"}, "finish_reason": "stop"}]},
        {"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [], "usage": {
            "prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4}}, "data: [DONE]\n\n"]
    words = ("run", "--config", gateway.config, "o/one", "hi", "--num-return-sequences", "3")
    status, out, err = gateway.hearth(*words)
    claim("hearth run prints the answers that came, and says how many", status == 0 and out == "hello\n" and
          "fewer answers came than were asked for: 1 of 3" in err, (status, out, err))
    status, out, err = gateway.hearth(*words, "--json")
    claim("... as JSON too", status == 0 and [c["text"] for c in json.loads(out)["sequences"]] == ["hello"] and
          "1 of 3" in err, (status, out, err))


for part in (errors, ends, blocked, images, vendors_tools, inexpressible, failed_calls, fewer_choices):
    part()
claim("the gateway ends", gateway.stop() == 0)
claim("the double ends", double.stop() == 0)
finish()
