#!/usr/bin/env python3
"""A configuration that is read again: SIGHUP brings new routes, and one with errors leaves the old ones in force; a
vendor's key that is wrong, a spent budget and a missing price over HTTP."""
import json
import signal
import time

from vendors import Double, Gateway, claim, finish

double = Double()
gateway = Gateway(double, prices={"unit": "usd_per_million_tokens", "models": [
    {"provider": "openai", "model": "openai-model", "from": "2026-01-01", "source": "tests", "input": 1000,
     "output": 1000, "max_output": 100}]})


def models():
    return [m["id"] for m in json.loads(gateway.request("GET", "/v1/models")[1])["data"]]


def ask(model, key=None, text="hello [[double n=2]]"):
    headers = {"authorization": "Bearer " + key} if key else {}
    status, body, _ = gateway.request("POST", "/v1/chat/completions", {
        "model": model, "max_tokens": 10, "messages": [{"role": "user", "content": text}]}, headers)
    return status, json.loads(body)


def reload(change):
    with open(gateway.config) as f:
        before = f.read()
    with open(gateway.config, "w") as f:
        f.write(change(before))
    gateway.process.send_signal(signal.SIGHUP)


def until(what, seconds=30):
    end = time.time() + seconds
    while not (value := what()) and time.time() < end:
        time.sleep(0.02)
    return value


claim("routes are listed", models()[:3] == ["via-openai", "via-anthropic", "via-google"], models())
claim("and answer", ask("via-openai")[0] == 200)
reload(lambda text: text.replace("  via-google:", "  moved:"))
claim("after SIGHUP the new ones are", until(lambda: "moved" in models() and "via-google" not in models()), models())
claim("a new one answers", ask("moved")[0] == 200, ask("moved"))
status, body = ask("via-google")
claim("one that went is not found", status == 404 and body["error"]["code"] == "model_not_found", body)
reload(lambda text: text.replace("  moved:", "  again:").replace("policy: fixed", "policy: mixed", 1))
said = until(lambda: [line for line in gateway.logged().splitlines() if "stays in force" in line])
claim("an error is told with its line and column", said and "line 2, column" in said[0] and "policy" in said[0], said)
claim("and the old one stays in force", "moved" in models() and "again" not in models(), models())
claim("and answers", ask("moved")[0] == 200)
reload(lambda text: text.replace("policy: mixed", "policy: fixed", 1))
claim("the next one without errors counts", until(lambda: "again" in models()), models())

key = gateway.new_key("small", "--budget", "0.5")["key"]
status, body = ask("via-anthropic", key)
claim("without a price there is nothing for a budget", status == 429 and "price" in body["error"]["message"], body)
costs = 0
for _ in range(100):
    status, body = ask("via-openai", key, "hello [[double in=100 out=5]]")
    if status != 200:
        break
    costs += 0.105
claim("a budget is spent", 0 < costs <= 0.5, costs)
claim("then it is refused as a vendor would", status == 429 and body["error"]["code"] == "insufficient_quota", body)
claim("which names the budget", "budget" in body["error"]["message"], body)
_, out, _ = gateway.hearth("usage", "--json", "--by", "key")
claim("the books say the same", abs(json.loads(out)[0]["cost_usd"] - costs) < 1e-9, out)

wrong = Gateway(double, env={"OPENAI_API_KEY": "sk-not-the-one"})
status, body, _ = wrong.request("POST", "/v1/chat/completions", {
    "model": "via-openai", "messages": [{"role": "user", "content": "hello"}]})
claim("a vendor's key that is wrong is no fault of the client's", status == 502 and b"sk-not" not in body, body)
claim("another vendor still answers", wrong.request("POST", "/v1/chat/completions", {
    "model": "via-google", "messages": [{"role": "user", "content": "hello"}]})[0] == 200)
claim("both end with 0", gateway.stop() == 0 and wrong.stop() == 0)
finish()
