#!/usr/bin/env python3
"""Answers that go on with the text of an assistant at the end: Anthropic's prefill, vLLM's continue_final_message."""
import json
import os
import tempfile

import parrot
from server import MODEL, MODEL_ID, Server, claim, finish

with tempfile.TemporaryDirectory() as folder:
    path = os.path.join(folder, "channels")
    parrot.write(path, "<|channel|>final<|message|>yes", "<|channel|> <|message|> <|start|>",
                 control=["<|start|>", "<|channel|>", "<|message|>"])
    # What it says depends on the place alone: behind a mark too many or too few it says something else.
    teller = os.path.join(folder, "teller")
    parrot.write(teller, "a b\nc im (d)", "", control=["<im>"])
    config = os.path.join(teller, "tokenizer_config.json")
    with open(config) as f:
        values = json.load(f)
    values["chat_template"] = ("{% for m in messages %}{{ m.content | trim }}{% if m.role == 'assistant' %}<im>im{% endif %}"
                               "{% endfor %}")
    with open(config, "w") as f:
        json.dump(values, f)
    server = Server("--packed", "off", "-m", path, "-m", teller)
    user = {"role": "user", "content": "Hi"}
    schema = {"type": "json_schema", "schema": {"type": "integer"}}

    def ask(text, path="/v1/messages", **members):
        said = [{"role": "assistant", "content": text}] if text is not None else []
        body = {"model": MODEL_ID, "max_tokens": 12, "temperature": 0, "messages": [user, *said], **members}
        return server.post(path, {k: v for k, v in body.items() if v is not None})[:2]

    def text_of(a):
        return a["content"][0]["text"] if "content" in a else a["choices"][0]["message"]["content"]

    def prompt_of(a):
        u = a["usage"]
        return u["prompt_tokens"] if "prompt_tokens" in u else u["input_tokens"] + u["cache_read_input_tokens"]

    _, whole = ask(None, model="teller")
    text = text_of(whole)
    claim("it tells", text == "a b\nc im (d)", whole)
    for cut in (1, 2, 3, 4, 8, 9):
        said = text[:cut]
        _, a = ask(said, model="teller")
        claim(f"{said!r} is gone on with", text_of(a) == text[cut:] and prompt_of(a) == 2 + cut, a)
        _, counted = ask(said, model="teller", path="/v1/messages/count_tokens", max_tokens=None)
        claim("its tokens are counted so", counted == {"input_tokens": prompt_of(a)}, (counted, a))
        _, b = ask(said, model="teller", path="/v1/chat/completions", continue_final_message=True,
                   add_generation_prompt=False)
        claim("continue_final_message is the same", (text_of(b), prompt_of(b)) == (text_of(a), prompt_of(a)), (a, b))
        _, b = ask(said, path="/v1/chat/completions", model="teller")
        claim("OpenAI's answers begin anew", prompt_of(b) == 2 + len(said.strip()) + 3, b)
    text = "The sea is "
    _, a = ask(text, max_tokens=1)
    _, b = ask(text.strip(), max_tokens=1)
    claim("white space at the end stays", prompt_of(a) == prompt_of(b) + 1, (a, b))
    status, a = ask("", max_tokens=1)
    claim("an empty text is none", status == 200, a)
    status, a = ask("4", output_config={"format": schema})
    claim("not beside a form", status == 400 and "must have a form" in a["error"]["message"], a)
    status, a = ask("4", path="/v1/chat/completions", continue_final_message=True, guided_json={"type": "integer"})
    claim("neither beside one of vLLM's", status == 400 and a["error"]["param"] == "messages" and
          "must have a form" in a["error"]["message"], a)
    status, a = ask(None, path="/v1/chat/completions", continue_final_message=True)
    claim("a user's message is not gone on with", status == 400 and a["error"]["param"] == "continue_final_message", a)
    status, a = ask("4", model="channels")
    claim("where answers have channels it is refused", status == 400 and "cannot go on" in a["error"]["message"], a)
    status, a = ask("4", model="channels", path="/v1/messages/count_tokens", max_tokens=None)
    claim("but counted", status == 200 and a["input_tokens"] > 0, a)
    claim("it ends with 0", server.stop() == 0, server.logged()[-500:])
finish()
