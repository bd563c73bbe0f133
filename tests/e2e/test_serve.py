#!/usr/bin/env python3
"""`hearth serve` over loopback: OpenAI's routes, whole and streamed, their errors, and how it ends."""
import http.client
import json
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import threading
import time

from server import BIN, MODEL, MODEL_ID, SLOW, Server, claim, environment, finish

s = Server()


def whole_answers():
    status, a, headers = s.chat()
    text = a["choices"][0]["message"]["content"]
    claim("an answer has OpenAI's shape",
          status == 200 and a["object"] == "chat.completion" and a["id"].startswith("chatcmpl-") and
          a["model"] == MODEL_ID and a["choices"][0]["index"] == 0 and
          a["choices"][0]["message"]["role"] == "assistant" and
          a["choices"][0]["finish_reason"] in ("stop", "length") and isinstance(text, str), a)
    u = a["usage"]
    claim("usage adds up", u["prompt_tokens"] > 0 and 0 < u["completion_tokens"] <= 8 and
          u["total_tokens"] == u["prompt_tokens"] + u["completion_tokens"], u)
    claim("an answer carries its id", headers["x-request-id"].startswith("req_"), headers)
    claim("a second answer is the same", s.chat()[1]["choices"][0]["message"]["content"] == text)
    ran = subprocess.run([BIN, "run", MODEL, "hello", "-n", "8", "--temperature", "0"],
                         capture_output=True, text=True).stdout.rstrip("\n")
    claim("the answer is what `hearth run` writes", text == ran, (text, ran))
    claim("a prompt seen before is told as cached",
          s.chat("word " * 60)[0] == 200 and
          s.chat("word " * 60)[1]["usage"]["prompt_tokens_details"]["cached_tokens"] > 0)
    ends = {"logit_bias": {"0": 100, "2": 100}, "max_tokens": 12}
    lengths = [s.chat(**ends, **k)[1]["usage"]["completion_tokens"] for k in ({}, {"min_tokens": 5}, {"ignore_eos": True})]
    claim("min_tokens and ignore_eos hold the end off", lengths == [1, 6, 12], lengths)
    status, a, _ = s.chat(n=3, temperature=1, seed=7)
    claim("n gives so many choices", [c["index"] for c in a["choices"]] == [0, 1, 2], a)
    claim("a seed repeats them", s.chat(n=3, temperature=1, seed=7)[1]["choices"] == a["choices"])
    status, a, _ = s.chat(model=None)
    claim("without a model the first one answers", status == 200 and a["model"] == MODEL_ID, a)
    parts = [{"type": "text", "text": "hel"}, {"type": "text", "text": "lo"}]
    claim("parts of a message are joined",
          s.chat(parts)[1]["choices"][0]["message"]["content"] == text)
    claim("unknown members are ignored",
          s.chat(store=True, metadata={"a": "b"}, user="u", service_tier="auto")[0] == 200)


def streams():
    _, a, _ = s.chat()
    status, events, headers = s.stream()
    deltas = [e["choices"][0]["delta"] for e in events[:-1]]
    claim("a stream is server-sent events to [DONE]",
          status == 200 and headers["content-type"].startswith("text/event-stream") and
          events[-1] == "[DONE]" and all(e["object"] == "chat.completion.chunk"
                                         for e in events[:-1]), events)
    claim("the role comes first, then texts, then the finish",
          deltas[0]["role"] == "assistant" and deltas[-1] == {} and
          events[-2]["choices"][0]["finish_reason"] == a["choices"][0]["finish_reason"] and
          all(e["choices"][0]["finish_reason"] is None for e in events[:-2]), events)
    claim("the stream's text is the whole answer's",
          "".join(d.get("content", "") for d in deltas) == a["choices"][0]["message"]["content"])
    claim("one id for all chunks", len({e["id"] for e in events[:-1]}) == 1)
    claim("no usage unless it was asked for", not any("usage" in e for e in events[:-1]))
    _, events, _ = s.stream(stream_options={"include_usage": True})
    claim("the usage chunk comes before [DONE]",
          events[-2]["choices"] == [] and events[-2]["usage"] == a["usage"] | {
              "prompt_tokens_details": events[-2]["usage"]["prompt_tokens_details"]} and
          all(e["usage"] is None for e in events[:-2]), events[-2])
    _, events, _ = s.stream(n=2, temperature=1, seed=3)
    _, a, _ = s.chat(n=2, temperature=1, seed=3)
    for i in (0, 1):
        text = "".join(c["delta"].get("content", "") for e in events[:-1] for c in e["choices"]
                       if c["index"] == i)
        claim(f"choice {i} of a stream is choice {i} of the answer",
              text == a["choices"][i]["message"]["content"], (text, a))


def sampling():
    _, a, _ = s.chat(max_tokens=12)
    text = a["choices"][0]["message"]["content"]
    stop = text[3:5]
    _, a, _ = s.chat(max_tokens=12, stop=stop)
    claim("a stop text ends the answer before it",
          a["choices"][0]["message"]["content"] == text[:text.index(stop)] and
          a["choices"][0]["finish_reason"] == "stop", a)
    claim("several stop texts too", s.chat(max_tokens=12, stop=["\0never", stop])[1]["choices"] ==
          a["choices"])
    _, a, _ = s.chat(max_completion_tokens=3, max_tokens=None)
    claim("max_completion_tokens bounds the answer", a["usage"]["completion_tokens"] <= 3, a)
    _, a, _ = s.chat(logprobs=True, top_logprobs=3, max_tokens=4)
    tokens = a["choices"][0]["logprobs"]["content"]
    claim("logprobs: a token each, the likeliest first",
          len(tokens) == a["usage"]["completion_tokens"] and
          all(t["logprob"] <= 0 and len(t["top_logprobs"]) == 3 and
              t["top_logprobs"][0]["logprob"] == t["logprob"] and
              bytes(t["bytes"]).decode("utf-8", "replace") == t["token"] for t in tokens), tokens)
    _, events, _ = s.stream(logprobs=True, top_logprobs=3, max_tokens=4)
    streamed = [t for e in events[:-1] for c in e["choices"] if c["logprobs"]
                for t in c["logprobs"]["content"]]
    claim("a stream has the same logprobs", streamed == tokens, streamed)


def formats():
    schema = {"type": "object", "properties": {"a": {"enum": ["x", "y"]}, "n": {"type": "integer", "minimum": 3, "maximum": 9}},
              "required": ["a", "n"], "additionalProperties": False}
    status, a, _ = s.chat(response_format={"type": "json_schema", "json_schema": {"name": "t", "schema": schema}},
                          max_tokens=60)
    try:
        value = json.loads(a["choices"][0]["message"]["content"])
    except (KeyError, ValueError):
        value = None
    claim("an answer keeps to its schema", status == 200 and isinstance(value, dict) and set(value) == {"a", "n"} and
          value["a"] in ("x", "y") and 3 <= value["n"] <= 9 and a["choices"][0]["finish_reason"] == "stop", a)
    status, a, _ = s.chat(response_format={"type": "json_schema", "json_schema": {"name": "t", "schema": {"not": {}}}})
    claim("what cannot be compiled is named", status == 400 and "not" in a["error"]["message"] and
          a["error"]["param"] == "response_format.json_schema.schema", a)
    for members, param in (({"guided_regex": "(a"}, "guided_regex"), ({"grammar": "root ::= root"}, "grammar"),
                           ({"structured_outputs": {"regex": "(a"}}, "structured_outputs.regex"),
                           ({"guided_json": {"type": "string", "allOf": [{"pattern": "^a+$"}, {"pattern": "^b+$"}]}}, "guided_json")):
        status, a, _ = s.chat(**members)
        claim(f"and the member that it came in: {param}", status == 400 and a["error"]["param"] == param, a)
    status, a, _ = s.chat(response_format={"type": "json_object"}, max_tokens=5)
    claim("an object begins as one", status == 200 and a["choices"][0]["message"]["content"].startswith("{"), a)


def errors():
    def refused(name, status, member=None, code=None, **members):
        got, body, _ = s.chat(**members)
        e = body.get("error", {}) if isinstance(body, dict) else {}
        claim(name, got == status and e.get("message") and e.get("param") == member and
              e.get("code") == code and e.get("type") == "invalid_request_error", (got, body))
    refused("a wrong type is refused with the member's name", 400, "temperature", temperature="hot")
    refused("what is out of range too", 400, "top_p", top_p=1.5)
    refused("n has a bound", 400, "n", n=100000)
    refused("stop has a bound", 400, "stop", stop=["x"] * 100)
    refused("so have its texts", 400, "stop[1]", stop=["x", "y" * 1000])
    refused("top_logprobs has a bound", 400, "top_logprobs", logprobs=True, top_logprobs=21)
    refused("logit_bias wants ids", 400, "logit_bias", logit_bias={"x": 1})
    refused("a token that the model has not", 400, "logit_bias", logit_bias={"99999999": 1})
    refused("messages are needed", 400, "messages", messages=None)
    refused("not none of them", 400, "messages", messages=[])
    refused("a role that nobody has", 400, "messages[0].role",
            messages=[{"role": "king", "content": "x"}])
    refused("content of a wrong type", 400, "messages[1].content",
            messages=[{"role": "user", "content": "x"}, {"role": "user", "content": 7}])
    refused("images", 400, "messages[0].content[0].type", "unsupported_value",
            messages=[{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}}]}])
    refused("images without an address", 400, "messages[0].content[0].image_url", None,
            messages=[{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}])
    refused("an unknown model", 404, None, "model_not_found", model="gpt-4")
    refused("no paths for models", 404, None, "model_not_found", model=MODEL)
    status, body, _ = s.chat("word " * 20000)
    e = body["error"]
    claim("a prompt that is too long is told with both numbers",
          status == 400 and e["code"] == "context_length_exceeded" and
          sum(w.strip(",").isdigit() for w in e["message"].split()) >= 2, body)
    status, events, headers = s.stream(temperature="hot")
    claim("a refused stream is no stream", status == 400 and
          headers["content-type"] == "application/json", headers)
    for name, body in (("nothing", b""), ("no JSON", b"{\"a\":"), ("no object", b"[]"),
                       ("broken UTF-8", b"{\"a\":\"\xff\"}")):
        status, answer, _ = s.post("/v1/chat/completions", body)
        claim(f"a body that is {name} is a 400", status == 400 and answer["error"]["message"], answer)
    status, answer, _ = s.post("/v1/nothing", {})
    claim("an unknown route is a 404", status == 404 and answer["error"]["code"] == "unknown_url",
          answer)
    claim("another method is a 405", s.get("/v1/chat/completions")[0] == 405)


def lists_and_state():
    status, body, _ = s.get("/v1/models")
    models = json.loads(body)
    claim("the models are listed", status == 200 and models["object"] == "list" and
          models["data"][0]["id"] == MODEL_ID and models["data"][0]["object"] == "model", models)
    status, body, _ = s.get("/v1/models/" + MODEL_ID)
    claim("one of them", status == 200 and json.loads(body)["id"] == MODEL_ID, body)
    for name in ("local/" + MODEL_ID, "local%2F" + MODEL_ID):
        status, body, _ = s.get("/v1/models/" + name)
        claim(f"as {name}", status == 200 and json.loads(body)["id"] == MODEL_ID, body)
    for header, value, kind, one in (("anthropic-version", "2023-06-01", "data", MODEL_ID),
                                     ("x-goog-api-key", "x", "models", "models/" + MODEL_ID)):
        listed = json.loads(s.get("/v1/models", **{header: value})[1])
        status, body, _ = s.get("/v1/models/" + MODEL_ID, **{header: value})
        model = json.loads(body)
        claim(f"models for who sends {header}", status == 200 and listed[kind] == [model] and
              model.get("name", model.get("id")) == one and "object" not in model, (listed, body))
        status, body, _ = s.get("/v1/models/nobody", **{header: value})
        error = json.loads(body)["error"]
        claim("and errors", status == 404 and (error.get("status") or error["type"]).lower() in
              ("not_found", "not_found_error"), body)
    claim("whatever is sent, Google's route is Google's",
          "models" in json.loads(s.get("/v1beta/models", **{"anthropic-version": "x"})[1]))
    status, body, _ = s.get("/v1/models/nobody")
    claim("none of them", status == 404 and json.loads(body)["error"]["code"] == "model_not_found",
          body)
    claim("health is ready", s.get("/health")[1] == b'{"status":"ready"}')
    lines = s.get("/metrics")[1].decode().splitlines()
    claim("metrics are Prometheus' text", all(l.startswith("# ") or len(l.rsplit(" ", 1)) == 2 and
                                              float(l.rsplit(" ", 1)[1]) >= 0 for l in lines))
    before = s.metric("vllm:generation_tokens_total")
    _, a, _ = s.chat()
    claim("metrics count tokens", s.metric("vllm:generation_tokens_total") ==
          before + a["usage"]["completion_tokens"])
    lines = s.get("/metrics")[1].decode().splitlines()
    bare = [l for l in lines if l.startswith("vllm:") and f'{{model_name="{MODEL_ID}"' not in l]
    claim("vLLM's with its label", not bare and lines, bare)
    claim("and tell what the engine does", s.metric("vllm:num_requests_running") == 0 and
          s.metric("vllm:kv_cache_usage_perc") is not None)
    for key in ("authorization", "x-api-key", "x-goog-api-key"):
        claim(f"any key in {key} will do", s.request("POST", "/v1/chat/completions", {
            "messages": [{"role": "user", "content": "x"}], "max_tokens": 1}, {key: "Bearer k"})[0]
            == 200)
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    _, _, headers = s.request("GET", "/v1/models", headers={"traceparent": trace,
                                                            "x-request-id": "mine-1"})
    claim("request id and trace are passed on", headers["x-request-id"] == "mine-1" and
          headers["traceparent"] == trace, headers)
    _, _, headers = s.request("GET", "/v1/models", headers={"traceparent": "x",
                                                            "x-request-id": "a b\tc"})
    claim("but not when they are wrong", "traceparent" not in headers and
          headers["x-request-id"].startswith("req_"), headers)
    claim("another host is refused", s.get("/v1/models", host="evil.example")[0] == 403)
    claim("another origin too", s.get("/v1/models", origin="http://evil.example")[0] == 403)
    claim("our own is not", s.get("/v1/models", origin=f"http://localhost:{s.port}")[0] == 200)


def completions():
    status, a, _ = s.post("/v1/completions", {"prompt": "Once upon", "max_tokens": 6,
                                              "temperature": 0, "logprobs": 2})
    c = a["choices"][0]
    ran = subprocess.run([BIN, "run", MODEL, "Once upon", "--raw", "-n", "6", "--temperature", "0"],
                         capture_output=True, text=True).stdout.rstrip("\n")
    claim("a completion continues a raw text", status == 200 and c["text"] == ran and
          a["object"] == "text_completion", (a, ran))
    lp = c["logprobs"]
    claim("with its own form of logprobs", len(lp["tokens"]) == len(lp["token_logprobs"]) ==
          len(lp["top_logprobs"]) == len(lp["text_offset"]) == a["usage"]["completion_tokens"], lp)
    status, events, _ = s.stream("/v1/completions", prompt="Once upon", max_tokens=6, messages=None,
                                 echo=True)
    claim("echo gives the prompt back", status == 200 and "".join(
        e["choices"][0]["text"] for e in events[:-1]) == "Once upon" + c["text"], events)
    status, a, _ = s.post("/v1/completions", {"prompt": "Once upon", "max_tokens": 0, "echo": True})
    claim("also if nothing shall follow", status == 200 and a["choices"][0]["text"] == "Once upon" and
          a["choices"][0]["finish_reason"] == "length" and a["usage"]["completion_tokens"] == 0, a)


def refusals_in_the_clients_words():
    """What the engine refuses is named as the client sent it."""
    png = "data:image/png;base64,aGk="
    _, a, _ = s.chat(messages=[{"role": "system", "content": "x"}, {"role": "user", "content": [
        {"type": "text", "text": "a"}, {"type": "image_url", "image_url": {"url": png}}]}])
    claim("an image", a["error"]["param"] == "messages[1].content[1].type", a)
    _, a, _ = s.post("/v1/responses", {"model": MODEL_ID, "instructions": "x", "input": [
        {"role": "user", "content": [{"type": "input_image", "image_url": png}]}]})
    claim("of a response", a["error"]["param"] == "input[0].content[0].type" and
          "'input[0].content[0].type': only" in a["error"]["message"], a)
    for key in ("inlineData", "inline_data"):
        _, a, _ = s.post(f"/v1beta/models/{MODEL_ID}:generateContent", {
            "systemInstruction": {"parts": [{"text": "x"}]}, "contents": [{"parts": [
                {"text": "a"}, {key: {"mimeType": "image/png", "data": "aGk="}}]}]})
        claim("of Google's", a["error"]["message"].startswith(f"'contents[0].parts[1].{key}': only"), a)
    _, a, _ = s.post(f"/v1beta/models/{MODEL_ID}:generateContent", {"contents": [
        {"parts": [{"text": "a"}]}, {"role": "model", "parts": [{"inlineData": {"mimeType": "image/png", "data": "aGk="}}]},
        {"parts": [{"text": "b"}]}]})
    claim("of a model's turn", a["error"]["message"].startswith("'contents[1].parts[0].inlineData': only"), a)
    _, a, _ = s.post("/v1/messages", {"model": MODEL_ID, "max_tokens": 5, "system": "x", "messages": [
        {"role": "user", "content": [{"type": "image", "source": {
            "type": "base64", "media_type": "image/png", "data": "aGk="}}]}]})
    claim("of Anthropic's", a["error"]["message"].startswith("'messages[0].content[0].type': only"), a)


def several_prompts():
    o = {"temperature": 0, "max_tokens": 5}
    prompts = [f"There were {i} of" for i in range(40)]
    alone = [s.post("/v1/completions", {**o, "prompt": p})[1] for p in prompts]
    texts = [a["choices"][0]["text"] for a in alone]
    status, a, _ = s.post("/v1/completions", {**o, "prompt": prompts})
    claim("each of 40 prompts is answered as if it were alone",
          status == 200 and [(c["index"], c["text"]) for c in a["choices"]] == list(enumerate(texts)), a)
    claim("their usage is the sum",
          all(a["usage"][k] == sum(b["usage"][k] for b in alone) for k in ("prompt_tokens", "completion_tokens")), a["usage"])
    _, a, _ = s.post("/v1/completions", {**o, "temperature": 1, "seed": 5, "n": 2, "echo": True, "prompt": prompts[:3]})
    _, b, _ = s.post("/v1/completions", {**o, "temperature": 1, "seed": 5, "n": 2, "echo": True, "prompt": prompts[2]})
    claim("choices are counted through", [c["index"] for c in a["choices"]] == list(range(6)) and
          [c["text"] for c in a["choices"][4:]] == [c["text"] for c in b["choices"]] and
          b["choices"][0]["text"].startswith(prompts[2]), (a, b))
    joined = [""] * 40
    _, events, _ = s.stream("/v1/completions", prompt=prompts, messages=None, max_tokens=5, stream_options={"include_usage": True})
    for e in events[:-1]:
        for c in e["choices"]:
            joined[c["index"]] += c["text"]
    claim("a stream of them joins to the same", joined == texts and events[-1] == "[DONE]" and
          sum(c["finish_reason"] is not None for e in events[:-1] for c in e["choices"]) == 40 and
          events[-2]["usage"]["prompt_tokens"] == sum(b["usage"]["prompt_tokens"] for b in alone), events[-2])
    for stream in (False, True):
        status, a, _ = s.post("/v1/completions", {**o, "prompt": ["a", "word " * 20000], "stream": stream})
        claim(f"one that does not fit is told before any is answered, stream {stream}",
              status == 400 and a["error"]["code"] == "context_length_exceeded" and "prompt 1 " in a["error"]["message"], a)
    status, a, _ = s.post("/v1/completions", {**o, "prompt": [[5], [2 ** 30]]})
    claim("ids are checked in each", status == 400 and "prompt 1: token 1073741824" in a["error"]["message"], a)
    status, a, _ = s.post("/v1/completions", {**o, "prompt": ["a"] * 129})
    claim("their number is bounded", status == 400 and a["error"]["param"] == "prompt", a)


def responses():
    o = {"input": "hello", "max_output_tokens": 8, "temperature": 0}
    status, a, _ = s.post("/v1/responses", o)
    text = s.chat()[1]["choices"][0]["message"]["content"]
    claim("a response has OpenAI's shape", status == 200 and a["object"] == "response" and a["id"].startswith("resp_") and
          a["output"][0]["type"] == "message" and a["output"][0]["content"][0]["type"] == "output_text" and
          a["store"] is False, a)
    claim("its text is the chat's", a["output"][0]["content"][0]["text"] == text, a)
    status, data, headers = s.request("POST", "/v1/responses", {**o, "stream": True})
    events = []
    for part in data.decode().split("\n\n")[:-1]:
        name, value = part.split("\n")
        events.append(json.loads(value[6:]))
        if name != "event: " + events[-1]["type"]:
            claim("an event is called by its type", False, part)
    claim("a streamed response ends with the whole, without [DONE]",
          status == 200 and headers["content-type"].startswith("text/event-stream") and
          events[-1]["response"]["output"][0]["content"] == a["output"][0]["content"] and
          events[-1]["type"] == "response." + a["status"], events)
    claim("its events are numbered", [e["sequence_number"] for e in events] == list(range(len(events))), events)
    claim("its deltas join", "".join(e["delta"] for e in events if e["type"] == "response.output_text.delta") == text, events)
    status, a, _ = s.post("/v1/responses", {**o, "previous_response_id": "resp_1"})
    claim("no answer is kept", status == 400 and a["error"]["param"] == "previous_response_id", a)
    status, a, _ = s.post("/v1/responses", {**o, "stream": True, "input": "word " * 20000})
    claim("a response that does not fit is a 400", status == 400 and a["error"]["code"] == "context_length_exceeded", a)
    status, a, _ = s.post("/v1/responses/input_tokens", {"input": "hello"})
    claim("its tokens are counted", status == 200 and a["input_tokens"] == s.chat()[1]["usage"]["prompt_tokens"], a)


def tokens():
    status, a, _ = s.post("/tokenize", {"model": MODEL_ID, "prompt": "Once upon a time"})
    claim("a text becomes ids", status == 200 and a["count"] == len(a["tokens"]) > 0 and
          a["max_model_len"] > 0, a)
    _, b, _ = s.post("/tokenize", {"content": "Once upon a time", "add_special_tokens": False})
    ran = subprocess.run([BIN, "tokenize", MODEL, "Once upon a time", "--no-special"],
                         capture_output=True, text=True).stdout.split()
    claim("without special tokens too", [str(i) for i in b["tokens"]] == ran, (b, ran))
    _, t, _ = s.post("/detokenize", {"tokens": b["tokens"]})
    claim("and ids a text", t["prompt"].strip() == "Once upon a time", t)
    _, m, _ = s.post("/tokenize", {"messages": [{"role": "user", "content": "hello"}]})
    claim("messages are counted as the model reads them",
          m["count"] == s.chat()[1]["usage"]["prompt_tokens"], m)
    _, a, _ = s.post("/v1/completions", {"prompt": b["tokens"], "max_tokens": 1})
    claim("ids are a prompt", a["usage"]["prompt_tokens"] == b["count"], a)
    for path in ("/v1/chat/completions", "/v1/completions"):
        for members, wanted in (({"guided_regex": "[a-c]{3}"}, ("a", "b", "c")), ({"guided_choice": ["left", "right"]}, ("l", "r")),
                                ({"grammar": 'root ::= "x" [0-9]+ "y"'}, ("x",)), ({"guided_json": {"type": "integer"}}, None),
                                ({"structured_outputs": {"regex": "(yes|no)"}}, ("yes", "no"))):
            body = {"model": MODEL_ID, "prompt": "hi", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 20, **members}
            body.pop("messages" if path == "/v1/completions" else "prompt")
            status, a, _ = s.post(path, body)
            c = a["choices"][0] if status == 200 else {}
            text = c.get("text") or c.get("message", {}).get("content", "")
            claim(f"an answer has the form that other servers' members ask for: {list(members)[0]}, {path}", status == 200 and
                  (text.startswith(wanted) if wanted else text.lstrip("-").isdigit()), (status, a))
    for text in ("hello " * (100000 if SLOW else 700000),):
        for path, wanted in (("/v1/chat/completions", "context_length_exceeded"), ("/v1/messages", "invalid_request_error"),
                             ("/v1/responses", "context_length_exceeded")):
            body = {"model": MODEL_ID, "max_tokens": 5, "messages": [{"role": "user", "content": text}], "input": text}
            body.pop("input" if path != "/v1/responses" else "messages")
            status, a, _ = s.post(path, {k: v for k, v in body.items() if path != "/v1/responses" or k != "max_tokens"})
            claim(f"a prompt that is far too long is told so, with both numbers: {path}", status == 400 and wanted in json.dumps(a) and
                  "tokens" in a["error"]["message"] and "holds 1024" in a["error"]["message"], (status, a))
    status, large, _ = s.post("/tokenize", {"prompt": "a" * 1000000, "model": MODEL_ID})
    claim("a large answer comes whole", status == 200 and large["count"] == len(large["tokens"]) > 300000, status)
    claim("ids that are none are refused", s.post("/detokenize", {"tokens": [-1]})[0] == 400 and
          s.post("/detokenize", {"tokens": [99999999]})[0] == 400 and
          s.post("/detokenize", {"tokens": "x"})[0] == 400 and s.post("/tokenize", {})[0] == 400)


def log_lines():
    s.chat("a secret word", user="secretuser")
    s.request("GET", "/v1/secretpath?key=secretkey", headers={"authorization": "Bearer secretkey"})
    time.sleep(0.3)
    lines = [json.loads(l) for l in s.logged().splitlines() if l.startswith("{")]
    claim("each request is a line of JSON", lines and all(
        {"time", "id", "method", "path", "status", "total_ms"} <= set(l) for l in lines), lines[-1:])
    claim("without prompts, paths or keys", "secret" not in s.logged())


def ends():
    claim("SIGTERM ends it with 0", s.stop() == 0, s.logged()[-500:])
    one = Server()
    out = {}
    thread = threading.Thread(target=lambda: out.update(a=one.chat(max_tokens=400, n=4,
                                                                   temperature=1)))
    thread.start()
    one.wait_metric("hearth:requests_active", 2.0)
    one.process.send_signal(signal.SIGINT)
    while one.get("/health")[1] == b'{"status":"ready"}':
        time.sleep(0.01)
    health = one.get("/health")
    claim("health says draining", health[0] == 503 and health[1] == b'{"status":"draining"}', health)
    status, body, headers = one.chat()
    claim("a draining server takes nothing new", status == 503 and
          body["error"]["code"] == "server_is_overloaded" and "retry-after" in headers, body)
    thread.join()
    claim("and finishes what runs", out["a"][0] == 200, out)
    claim("then it ends with 0", one.stop(None) == 0, one.logged()[-500:])
    two = Server("--drain", "0")
    c = socket.create_connection(("127.0.0.1", two.port))
    body = json.dumps({"messages": [{"role": "user", "content": "x"}], "max_tokens": 900,
                       "stream": True, "temperature": 1.5, "n": 32}).encode()
    c.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-length: %d\r\n\r\n"
              % len(body) + body)
    got = c.recv(100)
    two.process.send_signal(signal.SIGTERM)
    part = got
    while part:
        part = c.recv(65536)
        got += part
    claim("an answer that takes too long is cut off, and its client told",
          b'data: {"error":' in got and b"[DONE]" not in got and two.stop(None) == 0, got[-300:])
    c.close()


def refusals():
    home = tempfile.TemporaryDirectory()

    def refused(*options):
        return subprocess.run([BIN, "serve", *options], env=environment(home.name), capture_output=True, text=True)

    def wrong(name, *options):
        p = refused(*options)
        claim(name, p.returncode in (1, 2) and p.stderr.startswith("hearth serve: ") and
              p.stderr.count("\n") == 1 and not p.stdout, (p.returncode, p.stderr, p.stdout))
    refused("--host", "0.0.0.0", "-m", MODEL)  # the first run in a home also tells of the ledger that it makes
    wrong("an address that others reach is refused", "--host", "0.0.0.0", "-m", MODEL)
    wrong("so is no address", "--host", "somewhere", "-m", MODEL)
    wrong("a model that is not there", "-m", "/nowhere.gguf")
    wrong("two models of one name", "-m", MODEL, "-m", MODEL)
    taken = socket.create_server(("127.0.0.1", 0))
    wrong("a port that is taken", "--port", str(taken.getsockname()[1]), "-m", MODEL)
    taken.close()
    p = Server()
    wrong("a port that another Hearth has", "--port", str(p.port), "-m", MODEL)
    p.chat(max_tokens=3)
    p.stop()
    again = Server("--port", str(p.port))
    claim("it is free again at once", again.chat(max_tokens=3)[0] == 200)
    again.stop()


def several_models():
    with tempfile.TemporaryDirectory() as d:
        shutil.copy(MODEL, d + "/second.gguf")
        m = Server("-m", d + "/second.gguf")
        ids = [i["id"] for i in json.loads(m.get("/v1/models")[1])["data"]]
        claim("models are listed in their order", ids == [MODEL_ID, "second"], ids)
        answers = []

        def ask(model):
            answers.append(m.chat(model=model)[1])

        threads = [threading.Thread(target=ask, args=(i,)) for i in ids * 6]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        texts = {a["choices"][0]["message"]["content"] for a in answers if "choices" in a}
        claim("each answers for itself, loaded when it is asked for", len(answers) == 12 and
              len(texts) == 1 and {a["model"] for a in answers} == set(ids), answers)
        claim("it ends with 0", m.stop() == 0, m.logged()[-500:])


def tls():
    if not shutil.which("openssl"):
        print("skip TLS: there is no openssl to make a certificate with")
        return
    with tempfile.TemporaryDirectory() as d:
        cert, key = d + "/cert.pem", d + "/key.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                        "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=localhost",
                        "-addext", "subjectAltName=DNS:localhost", "-days", "2", "-keyout", key,
                        "-out", cert], check=True, capture_output=True)
        t = Server("--tls-cert", cert, "--tls-key", key, wait=False)
        trust = ssl.create_default_context(cafile=cert)
        status, end = 0, time.time() + 60
        while status != 200 and time.time() < end:
            c = http.client.HTTPSConnection("localhost", t.port, context=trust, timeout=60)
            c.request("GET", "/health")
            status = c.getresponse().status
            c.close()
        c = http.client.HTTPSConnection("localhost", t.port, context=trust, timeout=60)
        c.request("POST", "/v1/chat/completions", json.dumps({
            "messages": [{"role": "user", "content": "hello"}], "max_tokens": 8, "stream": True}))
        body = c.getresponse().read()
        c.close()
        claim("a stream over TLS", body.endswith(b"data: [DONE]\n\n"), body[-200:])
        claim("plain HTTP is not answered there",
              b"200" not in t.raw(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")[:20])
        claim("it ends with 0", t.stop() == 0, t.logged()[-500:])
        p = subprocess.run([BIN, "serve", "--port", "0", "-m", MODEL, "--tls-cert", key,
                            "--tls-key", key], capture_output=True, text=True, timeout=60)
        claim("a key is no certificate", p.returncode == 1 and "--tls-cert" in p.stderr, p.stderr)


whole_answers()
streams()
sampling()
formats()
errors()
completions()
refusals_in_the_clients_words()
several_prompts()
responses()
tokens()
lists_and_state()
log_lines()
ends()
refusals()
several_models()
tls()
finish()
