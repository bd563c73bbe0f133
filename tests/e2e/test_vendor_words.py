#!/usr/bin/env python3
"""What a vendor says beside its text reaches a client with the same words as it was said, streamed or not. Clients
with other words get what they have for it."""
import http.server
import json
import os
import re
import threading

from vendors import KEY, KEY_VARIABLES, Double, Gateway, claim, finish, request_of

SECRET = "sk-vendor-0123456789abcdefABCDEF"
HOST = "gpu-7.internal.example"
USAGE_A = {"input_tokens": 11, "output_tokens": 7}
answers = {}  # what a model answers: (status, body) or a list of chunks, which are an answer in pieces


class Vendor(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        gemini = re.search(r"/models/([^:]+):(\w+)", self.path)
        model = gemini[1] if gemini else asked["model"]
        streamed = gemini[2] == "streamGenerateContent" if gemini else asked.get("stream", False)
        status, said = answers[model, streamed] if (model, streamed) in answers else answers[model]
        if status == 200 and streamed:
            data = "".join((f"event: {c['type']}\n" if "type" in c else "") + f"data: {json.dumps(c)}\n\n" if
                           isinstance(c, dict) else c for c in said).encode()
        else:
            data = json.dumps(said).encode()
        self.send_response(status)
        self.send_header("content-type", "text/event-stream" if streamed and status == 200 else "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Vendor)
server.daemon_threads = True
threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
at = f"http://127.0.0.1:{server.server_address[1]}"
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


for part in (errors,):
    part()
claim("the gateway ends", gateway.stop() == 0)
claim("the double ends", double.stop() == 0)
server.shutdown()
finish()
