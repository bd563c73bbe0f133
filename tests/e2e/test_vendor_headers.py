#!/usr/bin/env python3
"""The header `anthropic-beta` of Anthropic's clients: it reaches Anthropic, once, also when the request is tried again,
and nobody else."""
import http.client
import json

from vendors import Answering, Double, Gateway, claim, finish, request_of, serve_vendor

ANSWERS = {
    "/v1/messages": {"id": "x", "type": "message", "role": "assistant", "model": "m", "stop_reason": "end_turn",
                     "stop_sequence": None, "content": [{"type": "text", "text": "hello"}],
                     "usage": {"input_tokens": 1, "output_tokens": 1}},
    "/v1/chat/completions": {"id": "x", "object": "chat.completion", "created": 1, "model": "m", "choices": [
        {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "hello"}}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}}}
asked = []  # (path, values of the header) of each request
refuse = []  # statuses that come first


class Vendor(Answering):
    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        asked.append((self.path, self.headers.get_all("anthropic-beta")))
        status = refuse.pop() if refuse else 200
        body = json.dumps(ANSWERS[self.path] if status == 200 else {"error": {"message": "busy"}}).encode()
        self.answer(status, body)


at = serve_vendor(Vendor)
double = Double()
gateway = Gateway(double, options=("--allow-vendors",), providers=[
    "  a:", "    dialect: anthropic", f"    base_url: {at}", "    key_env: ANTHROPIC_API_KEY", "    retries: 1",
    "  o:", "    dialect: openai", f"    base_url: {at}/v1", "    key_env: OPENAI_API_KEY"])


def ask(dialect, model, beta):
    """(status, what the vendor was asked) of one request."""
    asked.clear()
    path, body, headers = request_of(dialect, model, "hi", max_tokens=10)
    lines = beta if isinstance(beta, list) else [] if beta is None else [beta]
    c = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=60)
    c.putrequest("POST", path + ("?beta=true" if dialect == "anthropic" else ""))
    text = json.dumps(body).encode()
    for name, value in [*headers.items(), ("content-length", str(len(text))), *(("Anthropic-Beta", b) for b in lines)]:
        c.putheader(name, value)
    c.endheaders(text)
    r = c.getresponse()
    status, data = r.status, r.read()
    c.close()
    return status, data, list(asked)


BETA = "files-api-2025-04-14,context-1m-2025-08-07"
status, data, got = ask("anthropic", "a/m", BETA)
claim("Anthropic's client at Anthropic", status == 200 and got == [("/v1/messages", [BETA])], (status, data, got))
status, data, got = ask("anthropic", "a/m", None)
claim("the next one on that connection has none", status == 200 and got == [("/v1/messages", None)], (status, got))
status, data, got = ask("anthropic", "a/m", [*BETA.split(","), "", "x-1, y-2"])
claim("several lines are one list", status == 200 and got == [("/v1/messages", [BETA + ",x-1, y-2"])], (status, got))
status, data, got = ask("anthropic", "a/m", ["x-1", "a\x80b"])
claim("a second line is looked at too", status == 400 and b"anthropic-beta" in data and not got, (status, data))
refuse.append(529)
status, data, got = ask("anthropic", "a/m", BETA)
claim("a second try says it too", status == 200 and got == [("/v1/messages", [BETA])] * 2, (status, got))
status, data, got = ask("anthropic", "o/m", BETA)
claim("OpenAI is not told", status == 200 and got == [("/v1/chat/completions", None)], (status, got))
status, data, got = ask("openai", "a/m", BETA)
claim("a client of other words does not say it", status == 200 and got == [("/v1/messages", None)], (status, got))
status, data, got = ask("anthropic", "a/m", "a\x80b")
claim("what no header can hold is refused", status == 400 and b"anthropic-beta" in data and not got, (status, data))

claim("the gateway ends", gateway.stop() == 0)
claim("the double ends", double.stop() == 0)
finish()
