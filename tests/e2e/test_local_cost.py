#!/usr/bin/env python3
"""What this machine costs in the books: nothing but power unless the configuration charges for it; then the commands,
the server and `hearth usage` say the same, and budgets count it."""
import json
import os
import subprocess
import tempfile
import time

from server import BIN, MODEL_ID, ROOT, SLOW, Server, claim, finish

# A tenth of a cent a second: a millionth of a dollar for a token that is read, ten for one that is written.
CHARGED = """cost:
  usd_per_hour: 3.6
  utilization: 1
  charge: {hearth-small: {prefill: 1000, decode: 100}}
"""
folder = tempfile.TemporaryDirectory()
text = os.path.join(ROOT, "docs/examples/declaration-of-independence.txt")
if SLOW:  # the whole takes long there, and costs are told of any
    whole, text = text, os.path.join(folder.name, "beginning.txt")
    with open(whole) as source, open(text, "w") as f:
        f.write(source.read()[:3000])


def configured(name, yaml):
    path = os.path.join(folder.name, name)
    with open(path, "w") as f:
        f.write(yaml)
    return path


def hearth(*words, home="home"):
    """(status, stdout, stderr)"""
    env = dict(os.environ, HEARTH_HOME=os.path.join(folder.name, home), LC_ALL="C.UTF-8", NO_COLOR="1")
    r = subprocess.run([BIN, *words], env=env, capture_output=True, text=True, timeout=120)
    return r.returncode, r.stdout, r.stderr


def micros(row):
    """Of a row of usage, by hand: in millionths of a dollar."""
    return row["prompt_tokens"] - row["cached_tokens"] + 10 * row["completion_tokens"]


def rows(home="home"):
    return json.loads(hearth("usage", "--json", "--by", "provider", home=home)[1])


def same(usd, wanted):
    return abs(usd * 1e6 - wanted) < 1e-3


config = configured("charged.yaml", CHARGED)
summarize = ("summarize", text, "-m", os.path.join(ROOT, "models", MODEL_ID + ".gguf"))
status, _, err = hearth(*summarize, home="free")
claim("by default it costs nothing but power, in those words", status == 0 and "cost nothing but power; sent 0 bytes" in err, err)
claim("and is in no books", not os.path.exists(os.path.join(folder.name, "free/ledger.db")))
status, _, err = hearth(*summarize, "--config", config)
found = rows()
claim("a machine that is charged for is in the books", len(found) == 1 and found[0]["by"] == "local" and
      found[0]["completion_tokens"] > 0 and same(found[0]["cost_usd"], micros(found[0])), found)
told = err.split("; cost ")[1].split(" of this machine; sent 0 bytes")[0]
claim("and the summary's last line says the same", status == 0 and round(float(told.lstrip("$")) * 1e6) == micros(found[0]), (err, found))
err = hearth("summarize", text, "--config", config)[2]
claim("so it does of the model in the box that nobody named", " of this machine; sent 0 bytes" in err, err)
status, out, _ = hearth(*summarize, "--config", config, "--json", home="json")
found = rows("json")[0]
claim("so does its JSON", same(json.loads(out)["usage"]["cost_usd"] if "cost_usd" in json.loads(out)["usage"] else
                               json.loads(out)["cost_usd"], micros(found)), (out[-400:], found))
plan = hearth(*summarize, "--config", config, "--dry-run", home="dry")
claim("a plan is priced", plan[0] == 0 and "cost: about $" in plan[1] and
      "cost" not in hearth(*summarize, "--dry-run", home="free")[1], plan)
compare = ("compare", text, "-m", summarize[3], "-m", summarize[3])
status, out, err = hearth(*compare, "--config", config, home="compare")
claim("a comparison tells it", status == 0 and out.count(" $0.00") == 2 and " power " not in out, (out, err))
status, out, err = hearth(*compare, home="free")
claim("or says that it is power", status == 0 and out.count(" power ") == 2 and "$" not in out, (out, err))

s = Server("--config", config, hearth_home=os.path.join(folder.name, "served"))
status, a, _ = s.chat(max_tokens=4)
claim("a server books it", status == 200)
key = json.loads(hearth("keys", "create", "--name", "small", "--budget", "0.00001", "--json", home="served")[1])["key"]
other = json.loads(hearth("keys", "create", "--name", "large", "--budget", "1", "--json", home="served")[1])["key"]

while s.get("/v1/models")[0] != 401 or s.get("/v1/models", authorization="Bearer " + other)[0] != 200:
    time.sleep(0.02)  # the server looks for new keys now and then


def ask(k):
    return s.post("/v1/chat/completions", {"model": MODEL_ID, "max_tokens": 4, "messages": [
        {"role": "user", "content": "hello"}]}, {"authorization": "Bearer " + k})


status, a, _ = ask(key)
claim("a budget that cannot pay for it is told", status == 429 and a["error"]["code"] == "insufficient_quota", (status, a))
claim("one that can does", ask(other)[0] == 200)
claim("the server ends well", s.stop() == 0, s.logged())
found = rows("served")
claim("as usage says", len(found) == 1 and found[0]["requests"] == 2 and same(found[0]["cost_usd"], micros(found[0])), found)
bad = configured("bad.yaml", "cost:\n  watts: 3\n  charge: {a: {prefill: 1, decode: 1}}\n")
status, _, err = hearth(*summarize, "--config", bad)
claim("nothing is assumed", status != 0 and "bad.yaml, line 2, column 3: 'charge' needs 'utilization'" in err, err)
finish()
