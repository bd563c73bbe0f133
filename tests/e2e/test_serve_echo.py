#!/usr/bin/env python3
"""Prompts with their tokens' logprobs (/v1/completions, echo and logprobs): as an evaluation harness asks for them, against
what `hearth perplexity` makes of the same text."""
import concurrent.futures
import json
import math
import os
import subprocess
import tempfile

from server import BIN, MODEL, MODEL_ID, ROOT, Server, claim, finish

CTX, WINDOWS = 128, 6
TEXT = open(os.path.join(ROOT, "docs/examples/declaration-of-independence.txt")).read()
s = Server("--ctx", "512")


def ask(prompt, **members):
    body = {"model": MODEL_ID, "prompt": prompt, "echo": True, "logprobs": 1, "max_tokens": 1, "temperature": 0, **members}
    return s.post("/v1/completions", body)


def shapes_agree(choice, n):
    l = choice["logprobs"]
    return (all(len(l[k]) == n for k in ("tokens", "token_logprobs", "top_logprobs", "text_offset"))
            and l["token_logprobs"][0] is None and l["top_logprobs"][0] is None
            and all(x <= 0 for x in l["token_logprobs"][1:]) and l["text_offset"] == sorted(l["text_offset"]))


# What perplexity scores: the second half of each window, of which the first token is the one that begins texts.
ids = s.post("/tokenize", {"model": MODEL_ID, "prompt": TEXT})[1]["tokens"]
windows = [[ids[0]] + ids[i * CTX + 1:(i + 1) * CTX] for i in range(WINDOWS)]
status, a, _ = ask(windows, max_tokens=0)
claim("echo: several prompts of ids", status == 200 and len(a["choices"]) == WINDOWS and
      all(shapes_agree(k, CTX) for k in a["choices"]), a)
scored = [x for k in a["choices"] for x in k["logprobs"]["token_logprobs"][CTX // 2 + 1:]]
with tempfile.NamedTemporaryFile("w", suffix=".txt") as f:
    f.write(s.post("/detokenize", {"model": MODEL_ID, "tokens": ids[1:WINDOWS * CTX]})[1]["prompt"])
    f.flush()
    out = json.loads(subprocess.run([BIN, "perplexity", MODEL, f.name, "--ctx", str(CTX), "--json"], check=True,
                                    capture_output=True).stdout)
claim("echo: as many tokens as perplexity scores", out["tokens"] == len(scored), out)
seen = math.exp(-sum(scored) / len(scored))
claim("echo: the same perplexity", abs(seen / out["perplexity"] - 1) < 1e-4, (seen, out))

# The same numbers whoever runs beside, and whatever is cached; in one piece as in a stream.
alone = [k["logprobs"] for k in a["choices"]]
with concurrent.futures.ThreadPoolExecutor(12) as pool:
    scores = [pool.submit(ask, w, max_tokens=i % 3) for i, w in enumerate(windows * 2)]
    chats = [pool.submit(s.chat, TEXT[i * 100:i * 100 + 400], max_tokens=20) for i in range(6)]
    answers = [x.result() for x in scores]
    claim("echo: chats beside them", all(x.result()[0] == 200 for x in chats), chats)
same = [all(x["choices"][0]["logprobs"][k][:CTX] == alone[i % WINDOWS][k] for k in alone[0]) for i, (_, x, _) in enumerate(answers)]
claim("echo: beside others the same bits", all(same), same)
claim("echo: nothing of it is taken from the cache",
      all(x["usage"]["prompt_tokens_details"]["cached_tokens"] == 0 for _, x, _ in answers), answers[0])
cached = s.post("/v1/completions", {"model": MODEL_ID, "prompt": windows[0], "max_tokens": 1})[1]["usage"]
claim("echo: but others take what it computed", cached["prompt_tokens_details"]["cached_tokens"] > 0, cached)

# One answer as the harness reads it: [context:-1] of prompt and one more token.
status, a, _ = ask(windows[0])
l = a["choices"][0]["logprobs"]
claim("echo: the prompt and a token", status == 200 and shapes_agree(a["choices"][0], CTX + 1) and
      a["usage"]["completion_tokens"] == 1, a)
claim("echo: the likeliest is told exactly", max(l["top_logprobs"][-1].values()) == l["token_logprobs"][-1], l)
text = "The people of the United States"
status, a, _ = ask(text, max_tokens=3, n=2, seed=3, temperature=1)
texts, prompt = [k["text"] for k in a["choices"]], a["usage"]["prompt_tokens"]
claim("echo: a text with two choices", status == 200 and all(x.startswith(text) for x in texts) and
      all(shapes_agree(k, prompt + 3) for k in a["choices"]), a)
body = json.dumps({"model": MODEL_ID, "prompt": text, "echo": True, "logprobs": 1, "max_tokens": 3, "n": 2, "seed": 3,
                   "temperature": 1, "stream": True})
streamed, logprobs = ["", ""], [[], []]
for line in s.request("POST", "/v1/completions", body)[1].decode().split("\n\n"):
    if line.startswith("data: {"):
        for k in json.loads(line[6:])["choices"]:
            streamed[k["index"]] += k["text"]
            logprobs[k["index"]] += (k["logprobs"] or {}).get("token_logprobs", [])
claim("echo: a stream joins to the same", streamed == texts and
      logprobs == [k["logprobs"]["token_logprobs"] for k in a["choices"]], (streamed, texts, logprobs))
status, a, _ = ask(windows[0][:5], logprobs=None)
claim("echo: ids without logprobs", status == 200 and a["choices"][0]["logprobs"] is None and a["choices"][0]["text"], a)
finish()
