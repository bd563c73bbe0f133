#!/usr/bin/env python3
"""`hearth serve` and `hearth embed`: embeddings over plain HTTP, in OpenAI's and Gemini's words, and on the command line."""
import base64
import json
import os
import struct
import subprocess
import sys
import threading

from server import BIN, MODEL, MODEL_ID, ROOT, Server, claim, finish

s = Server()
TEXTS = ["A cat sat on the mat.", "Rain fell in the evening, and the river rose.", "x"]


def embed(texts, **members):
    body = {"model": MODEL_ID, "input": texts}
    body.update(members)
    return s.post("/v1/embeddings", {k: v for k, v in body.items() if v is not None})


def length(v):
    return sum(x * x for x in v) ** 0.5


def shapes():
    status, a, _ = embed(TEXTS)
    claim("three vectors in order", status == 200 and a["object"] == "list" and a["model"] == MODEL_ID and
          [(d["object"], d["index"]) for d in a["data"]] == [("embedding", i) for i in range(3)], a)
    vectors = [d["embedding"] for d in a["data"]]
    n = len(vectors[0])
    claim("of length 1", n > 100 and all(len(v) == n and abs(length(v) - 1) < 1e-5 for v in vectors))
    tokens = [s.post("/tokenize", {"prompt": t})[1]["tokens"] for t in TEXTS]
    total = sum(len(t) for t in tokens)
    claim("usage counts the tokens", a["usage"] == {"prompt_tokens": total, "total_tokens": total}, a["usage"])
    claim("a text alone gives the same bits", all(embed(t)[1]["data"][0]["embedding"] == v for t, v in zip(TEXTS, vectors)))
    by_ids = embed(tokens)[1]["data"]
    claim("tokens for texts", [d["embedding"] for d in by_ids] == vectors)
    claim("one list of tokens", embed(tokens[1])[1]["data"][0]["embedding"] == vectors[1])
    packed = embed(TEXTS, encoding_format="base64")[1]["data"]
    exact = [list(struct.unpack(f"<{n}f", base64.b64decode(d["embedding"]))) for d in packed]
    rounded = [[struct.unpack("<f", struct.pack("<f", x))[0] for x in v] for v in vectors]
    claim("base64 holds the same numbers", exact == rounded)
    short = embed(TEXTS[0], dimensions=16)[1]["data"][0]["embedding"]
    scale = length(vectors[0][:16])
    claim("dimensions cuts and makes the length 1 again", len(short) == 16 and abs(length(short) - 1) < 1e-5 and
          all(abs(a - b / scale) < 1e-5 for a, b in zip(short, vectors[0])), short)
    return vectors


def refusals():
    for name, members, what in [
            ("no input", {"input": None}, "input"), ("an empty text", {"input": ""}, "input"),
            ("an empty list", {"input": []}, "input"), ("an empty text in a list", {"input": ["a", ""]}, "input[1]"),
            ("a number", {"input": 5}, "input"), ("a list of neither", {"input": ["a", 5]}, "input[1]"),
            ("no tokens", {"input": [[]]}, "input[0]"), ("a token that is none", {"input": [[1, -1]]}, "input[0]"),
            ("too many inputs", {"input": ["a"] * 2049}, "input"),
            ("an unknown format", {"encoding_format": "int8"}, "encoding_format"),
            ("no dimensions", {"dimensions": 0}, "dimensions"), ("a wrong type", {"dimensions": "4"}, "dimensions")]:
        body = {"input": "a"}
        body.update(members)
        status, a, _ = embed(body.pop("input"), **body)
        claim(f"refused: {name}", status == 400 and a["error"]["param"] == what and
              a["error"]["type"] == "invalid_request_error", (status, a))
    status, a, _ = embed("a", dimensions=100000)
    claim("more dimensions than there are", status == 400 and "100000" in a["error"]["message"] and
          a["error"]["param"] == "dimensions", a)
    status, a, _ = embed([[1], [99999999]])
    claim("an id that is none", status == 400 and "99999999" in a["error"]["message"], a)
    status, a, _ = embed(["a", "word " * 20000])
    message = a["error"]["message"]
    claim("too long is refused with both numbers", status == 400 and a["error"]["code"] == "context_length_exceeded" and
          "input 1 has 2" in message and "holds" in message, a)
    claim("an unknown model", embed("a", model="other")[0] == 404)
    claim("GET is refused", s.get("/v1/embeddings")[0] == 405)


def gemini(vectors):
    path = f"/v1beta/models/{MODEL_ID}:"
    part = [{"content": {"parts": [{"text": t}]}} for t in TEXTS]
    status, a, _ = s.post(path + "embedContent", part[0])
    claim("embedContent", status == 200 and a == {"embedding": {"values": vectors[0]}}, a)
    status, a, _ = s.post(path + "batchEmbedContents", {"requests": part})
    claim("batchEmbedContents", status == 200 and [e["values"] for e in a["embeddings"]] == vectors, a)
    status, a, _ = s.post(path + "embedContent", dict(part[0], outputDimensionality=8))
    claim("outputDimensionality", len(a["embedding"]["values"]) == 8, a)
    for body in ({}, {"content": {"parts": []}}, {"content": {"parts": [{"inlineData": {}}]}}, {"content": 3}):
        status, a, _ = s.post(path + "embedContent", body)
        claim(f"embedContent refuses {json.dumps(body)}", status == 400 and a["error"]["status"] == "INVALID_ARGUMENT", a)
    status, a, _ = s.post(path + "batchEmbedContents", {"requests": [dict(part[0], outputDimensionality=8), part[1]]})
    claim("a batch has one width", status == 400, a)
    claim("a batch of none", s.post(path + "batchEmbedContents", {"requests": []})[0] == 400)


def beside_others(vectors):
    """Many clients at once, some of whom chat: the same bits."""
    wrong = []

    def ask(i):
        if i % 3 == 2:
            if s.chat(max_tokens=24)[0] != 200:
                wrong.append(("chat", i))
        elif [d["embedding"] for d in embed(TEXTS * 4)[1]["data"]] != vectors * 4:
            wrong.append(("embed", i))
    threads = [threading.Thread(target=ask, args=(i,)) for i in range(12)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    claim("beside others the same bits", not wrong, wrong)


def command(*words, text=None):
    p = subprocess.run([BIN, "embed", *words], input=text, capture_output=True, text=True)
    return p.returncode, p.stdout, p.stderr


def commands(vectors):
    f32 = lambda v: [struct.pack("<f", x) for x in v]
    status, out, err = command(MODEL, TEXTS[0])
    claim("hearth embed", status == 0 and f32(map(float, out.split())) == f32(vectors[0]), (out[:200], err))
    claim("hearth embed reads standard input", command(MODEL, "-", text=TEXTS[0])[1] == out)
    a = json.loads(command(MODEL, "--json", TEXTS[0])[1])
    claim("hearth embed --json", f32(a["embedding"]) == f32(vectors[0]) and a["usage"]["prompt_tokens"] > 3, a)
    lines = command(MODEL, "--batch", text="".join(json.dumps(t) + "\n" for t in TEXTS))[1].splitlines()
    claim("hearth embed --batch", [f32(json.loads(line)) for line in lines] == [f32(v) for v in vectors])
    status, out, err = command(MODEL, "--batch", text='"a"\nb\n')
    claim("hearth embed --batch names the line", status == 1 and "line 2" in err, err)
    last = command(MODEL, "--pooling", "last", TEXTS[0])[1]
    claim("hearth embed --pooling", f32(map(float, last.split())) != f32(vectors[0]))
    status, out, err = command(MODEL, "--pooling", "most", TEXTS[0])
    claim("an unknown pooling is wrong usage", status == 2 and "most" in err, (status, err))


def servers_pooling(vectors):
    other = Server("--pooling", "cls")
    a = other.post("/v1/embeddings", {"input": TEXTS})[1]["data"]
    claim("hearth serve --pooling", all(d["embedding"] != v for d, v in zip(a, vectors)))
    claim("it ends with 0", other.stop() == 0)


OPENAI = r'''
import asyncio, openai
from openai import OpenAI, AsyncOpenAI
c = OpenAI(base_url=URL + "/v1", api_key="any", max_retries=0)

def claim(name, good, seen=""):
    print(("ok " if good else "not ok ") + name, "" if good else repr(seen)[-800:])

def close(a, b):
    return len(a) == len(b) and max(abs(x - y) for x, y in zip(a, b)) < 1e-7

a = c.embeddings.create(model=MODEL, input=TEXTS)  # asks for base64 and decodes it
claim("openai: embeddings", all(close(d.embedding, v) for d, v in zip(a.data, VECTORS)) and a.usage.total_tokens > 10, a.usage)
a = c.embeddings.create(model=MODEL, input=TEXTS, encoding_format="float")
claim("openai: as floats", [d.embedding for d in a.data] == VECTORS)
claim("openai: dimensions", len(c.embeddings.create(model=MODEL, input="a", dimensions=7).data[0].embedding) == 7)
try:
    c.embeddings.create(model=MODEL, input="word " * 20000)
    claim("openai: an input that is too long", False)
except openai.BadRequestError as e:
    claim("openai: an input that is too long", e.code == "context_length_exceeded", e)

async def several():
    async with AsyncOpenAI(base_url=URL + "/v1", api_key="any") as ac:
        got = await asyncio.gather(*[ac.embeddings.create(model=MODEL, input=t) for t in TEXTS])
        claim("openai: async", all(close(g.data[0].embedding, v) for g, v in zip(got, VECTORS)))
asyncio.run(several())
'''
OLD = r'''
import openai
openai.api_base, openai.api_key = URL + "/v1", "any"
try:
    import numpy
    how = {}  # it asks for base64
except ImportError:
    how = {"encoding_format": "float"}
a = openai.Embedding.create(model=MODEL, input=TEXTS, **how)
good = all(max(abs(x - y) for x, y in zip(d["embedding"], v)) < 1e-7 for d, v in zip(a["data"], VECTORS))
print(("ok " if good else "not ok ") + "openai 0.28: embeddings")
'''
GEMINI = r'''
from google import genai
from google.genai import types
c = genai.Client(api_key="any", http_options=types.HttpOptions(base_url=URL))
a = c.models.embed_content(model=MODEL, contents=TEXTS, config=types.EmbedContentConfig(task_type="RETRIEVAL_QUERY"))
good = all(max(abs(x - y) for x, y in zip(e.values, v)) < 1e-7 for e, v in zip(a.embeddings, VECTORS))
print(("ok " if good else "not ok ") + "google-genai: embeddings")
'''


def sdks(vectors):
    for folder, script in (("build/venv-openai", OPENAI), ("build/venv-openai-0.28", OLD), ("build/venv-sdk", GEMINI)):
        python = os.path.join(ROOT, folder, "bin/python")
        if not os.path.exists(python):
            print(f"skip {folder}: not made (tools/openai-venv, tools/sdk-venv)")
            continue
        head = f"URL, MODEL, TEXTS = 'http://127.0.0.1:{s.port}', {MODEL_ID!r}, {TEXTS!r}\nVECTORS = {vectors!r}\n"
        env = {k: v for k, v in os.environ.items()
               if not k.lower().endswith("_proxy") and not k.startswith(("OPENAI", "GOOGLE", "GEMINI"))}
        p = subprocess.run([python, "-"], input=head + script, capture_output=True, text=True, timeout=300, env=env)
        sys.stdout.write(p.stdout)
        claim(f"{folder}: everything went through", p.returncode == 0 and "not ok" not in p.stdout, p.stderr)


found = shapes()
refusals()
gemini(found)
beside_others(found)
commands(found)
servers_pooling(found)
sdks(found)
claim("no text is in the log", "mat" not in s.logged().replace("format", ""), s.logged()[-300:])
claim("it ends with 0", s.stop() == 0, s.logged()[-500:])
finish()
