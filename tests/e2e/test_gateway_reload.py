#!/usr/bin/env python3
"""A configuration that is read again: SIGHUP brings new routes, and one with errors leaves the old ones in force; a
vendor's key that is wrong, a spent budget and a missing price over HTTP."""
import http.client
import json
import signal

from vendors import Double, Gateway, claim, finish, until

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

said = until(lambda: gateway.logged().count("hearth: the configuration was read again") == 2)
claim("each that counts is told in a line", said and gateway.logged().count("read again") == 2, gateway.logged())


def cost():
    """What one answer of 100 tokens and 5 costs, as the books have it."""
    n = len(gateway.rows())
    status, body = ask("via-openai", text="hello [[double in=100 out=5]]")
    rows = gateway.wait_rows(n + 1)
    return status, rows[-1]["picousd"]


class Running:
    """A stream that has begun to answer, which it does for ten seconds."""

    def __init__(self, text):
        self.connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=60)
        self.connection.request("POST", "/v1/chat/completions", json.dumps({
            "model": "via-openai", "stream": True, "max_tokens": 10, "messages": [{"role": "user", "content": text}]}),
            {"content-type": "application/json"})
        self.answer = self.connection.getresponse()
        self.answer.read1(1)

    def end(self):
        self.answer.read()
        self.connection.close()
        return self.answer.status


def prices(rate):
    with open(gateway.path("prices.json"), "w") as f:
        json.dump({"unit": "usd_per_million_tokens", "models": [
            {"provider": "openai", "model": "openai-model", "from": "2026-01-01", "source": "tests", "input": rate,
             "output": rate, "max_output": 100}]}, f)


def again(change=lambda text: text):
    """A reload without errors, once it counts."""
    n = gateway.logged().count("was read again")
    reload(change)
    return until(lambda: gateway.logged().count("was read again") > n)


def lines(name):
    with open(gateway.path(name)) as f:
        return f.read().count("\n")


def default():
    status, body, headers = gateway.request("POST", "/v1/chat/completions", {
        "max_tokens": 2, "messages": [{"role": "user", "content": "hello"}]})
    return status, headers.get("x-hearth-served-by")


claim("prices are of the table", cost() == (200, 105 * 10**9), cost())
prices(2000)
claim("another one counts when it was read", again() and cost() == (200, 210 * 10**9), cost())
running = Running("hello [[double n=100 wait=100 in=100 out=5]]")
n = len(gateway.rows())
prices(3000)
claim("what ran before ends by the prices that it began with",
      again() and running.end() == 200 and gateway.wait_rows(n + 1)[-1]["picousd"] == 210 * 10**9, gateway.rows()[-1])
claim("and what began then does not", cost() == (200, 315 * 10**9), cost())
prices(2000)
claim("prices may fall again", again() and cost() == (200, 210 * 10**9), cost())
with open(gateway.path("prices.json"), "w") as f:
    f.write("{")
said = gateway.logged().count("stays in force")
reload(lambda text: text + "allow_vendors: true\n")
claim("one that is none is told", until(lambda: gateway.logged().count("stays in force") > said) and
      "hearth.yaml, line 21, column 9: " in gateway.logged(), gateway.logged())
claim("and nothing has changed then", cost() == (200, 210 * 10**9) and ask("openai/openai-model")[0] == 403, cost())
said = gateway.logged().count("stays in force")
prices(1000)
reload(lambda text: text + "redactions:\n  who: {words: [Ann]}\n  odd: {pattern: '[a-z'}\n")
claim("so is a pattern that is none, with its place", until(lambda: gateway.logged().count("stays in force") > said) and
      "hearth.yaml, line 26, column 3: redaction 'odd'" in gateway.logged(), gateway.logged()[-600:])
said = gateway.logged().count("stays in force")
reload(lambda text: text.split("redactions:")[0].replace("prices.json", "nowhere.json"))
claim("and a table that is not there", until(lambda: gateway.logged().count("stays in force") > said) and
      f"hearth.yaml, line 21, column 9: open '{gateway.path('nowhere.json')}'" in gateway.logged(), gateway.logged()[-600:])
for bad, says in (("prices: {}/nowhere.json\n", "line 1, column 9: open "),
                  ("models: {{a: local/a}}\nredactions: {{odd: {{pattern: '('}}}}\n", "line 2, column 14: redaction 'odd'")):
    with open(gateway.path("bad.yaml"), "w") as f:
        f.write(bad.format(gateway.folder.name))
    status, _, err = gateway.hearth("serve", "--port", "0", "--config", gateway.path("bad.yaml"))
    claim(f"at the start too: {says}", status == 1 and says in err and err.count("\n") == 1, (status, err))
claim("vendors' models may be named when it is allowed", again(lambda text: text.replace("nowhere.json", "prices.json")) and ask("openai/openai-model")[0] == 200)
claim("and not when it is not any more", again(lambda text: text.replace("allow_vendors: true", "allow_vendors: false")) and
      ask("openai/openai-model")[0] == 403)
claim("who names no model means the first route", default() == (200, "openai/openai-model"), default())
claim("or the default, be it a model of this machine",
      again(lambda text: text + "default_model: hearth-small\n") and default() == (200, "local/hearth-small"), default())
claim("or a route", again(lambda text: text.replace("default_model: hearth-small", "default_model: via-anthropic")) and
      default() == (200, "anthropic/anthropic-model") and models()[0] == "via-anthropic", (default(), models()))
said = gateway.logged().count("stays in force")
reload(lambda text: text.replace("default_model: via-anthropic", "default_model: not-here"))
claim("a default that is not there is told", until(lambda: gateway.logged().count("stays in force") > said) and
      default() == (200, "anthropic/anthropic-model"), gateway.logged()[-600:])
until(lambda: lines("egress.log") % 2 == 0)
n_before = lines("egress.log")
claim("the log of what leaves moves", again(lambda text: text.replace("default_model: not-here\n", "").replace(
    "egress.log", "moved.log")) and ask("via-openai")[0] == 200)
with open(gateway.path("moved.log")) as f:
    claim("and has what leaves from then on", f.readline().startswith('{"time"'))
claim("which the old one has not", lines("egress.log") == n_before, n_before)
claim("it can be none", again(lambda text: text.replace(gateway.path("moved.log"), "none")) and ask("via-openai")[0] == 200)
claim("and be one again", again(lambda text: text.replace("egress_log: none", "egress_log: " + gateway.path("last.log"))) and
      ask("via-openai")[0] == 200)

claim("with both lines of each attempt", until(lambda: lines("last.log") == 2), lines("last.log"))
claim("nothing was warned of so far", "next start" not in gateway.logged(), gateway.logged())
claim("what cannot be changed is named", again(lambda text: text + f"ledger: sqlite:{gateway.path('other.db')}\n"
                                                                   "server: {port: 1, host: 127.0.0.2}\n") and
      "counts from the next start on: ledger, server.host\n" in gateway.logged(), gateway.logged()[-600:])

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
claim("the books say the same", abs(sum(
    s["cost_usd"] for s in json.loads(out) if s["by"].startswith("small")) - costs) < 1e-9, out)

wrong = Gateway(double, env={"OPENAI_API_KEY": "sk-not-the-one"})
status, body, _ = wrong.request("POST", "/v1/chat/completions", {
    "model": "via-openai", "messages": [{"role": "user", "content": "hello"}]})
claim("a vendor's key that is wrong is no fault of the client's", status == 502 and b"sk-not" not in body, body)
claim("another vendor still answers", wrong.request("POST", "/v1/chat/completions", {
    "model": "via-google", "messages": [{"role": "user", "content": "hello"}]})[0] == 200)
claim("both end with 0", gateway.stop() == 0 and wrong.stop() == 0)
finish()
