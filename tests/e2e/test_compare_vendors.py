#!/usr/bin/env python3
"""`hearth compare` and `hearth summarize --dry-run` with vendors' models, which the double stands for: money and bytes
are what the double served and got, a plan is priced without a call, and one vendor's failure is its own."""
import json
import os
import subprocess
import tempfile

from server import BIN, MODEL
from vendors import KEY, KEY_VARIABLES, VENDORS, Double, claim, finish, pico, price_table, provider_lines

DIALECTS = {"google": "gemini"}  # as the double calls it
TEXT = "The lighthouse was built in 1848. It was sold in 1902. Its last keeper left in 1961. [[double n=12 in=300 cached=100]]\n"


class Desk:
    """A folder with a document, a configuration that knows the double, and the vendors' keys in the environment."""

    def __init__(self, double):
        self.folder = tempfile.TemporaryDirectory()
        table = price_table()
        with open(self.path("prices.json"), "w") as f:
            json.dump(table, f)
        with open(self.path("doc.txt"), "w") as f:
            f.write(TEXT)
        lines = ["providers:"] + [l for v in VENDORS for l in provider_lines(v, double, retries=0)]
        lines += ["  broken: {dialect: openai, base_url: 'http://127.0.0.1:9/v1', key_env: OPENAI_API_KEY, retries: 0}"]
        lines += [f"prices: {self.path('prices.json')}", f"egress_log: {self.path('egress.log')}"]
        with open(self.path("hearth.yaml"), "w") as f:
            f.write("\n".join(lines) + "\n")
        self.env = dict(os.environ, HEARTH_HOME=self.path("home"), HOME=self.folder.name, LC_ALL="C.UTF-8", NO_COLOR="1")
        self.env.update({k: KEY for k in KEY_VARIABLES.values()})
        self.env.pop("HEARTH_MODEL", None)

    def path(self, name):
        return os.path.join(self.folder.name, name)

    def hearth(self, command, *words):
        r = subprocess.run([BIN, command, self.path("doc.txt"), "--config", self.path("hearth.yaml"), *words],
                           env=self.env, capture_output=True, timeout=120)
        return r.returncode, r.stdout.decode(), r.stderr.decode()


def models(*names):
    return [word for name in names for word in ("-m", name)]


def compared(double, desk):
    names = [MODEL] + [f"{v}/{v}-model" for v in VENDORS] + ["broken/x"]
    status, out, err = desk.hearth("compare", *models(*names), "--words", "30", "--json")
    rows = json.loads(out) if out else []
    claim("every model has its row, in order", [r["model"] for r in rows] == names and status == 1, (status, out, err))
    log = double.wait_log(len(VENDORS))
    served = {v: [e for e in log if e["vendor"] in (v, DIALECTS.get(v))] for v in VENDORS}
    for row, vendor in zip(rows[1:4], VENDORS):
        mine = served[vendor]
        cost = sum(pico(vendor, 300, cached=100, out=12) for _ in mine)
        claim(f"{vendor}: it answered, at its price", row["error"] is None and row["text"].startswith("w0 w1") and
              mine and round(row["cost_usd"] * 1e12) == cost, (row, cost, mine))
        claim(f"{vendor}: the bytes that left are those that came", row["bytes_sent"] == sum(e["body_bytes"] for e in mine), (row, mine))
        claim(f"{vendor}: it was asked to write as it goes", all(e["stream"] for e in mine), mine)
        claim(f"{vendor}: the time until it began", 0 < row["first_token_s"] <= row["seconds"], row)
    claim("the model here sent nothing", rows[0]["bytes_sent"] == 0 and rows[0]["text"], rows[0])
    claim("a vendor that fails is told by name", "broken/x" in err and rows[4]["text"] is None and rows[4]["error"], (rows[4], err))


def failed(double, desk):
    double.reset()
    with open(desk.path("doc.txt"), "a") as f:
        f.write("[[double status=503]]\n")
    status, out, err = desk.hearth("compare", *models("openai/openai-model", "anthropic/anthropic-model"), "--json")
    rows = json.loads(out) if out else []
    log = double.log()
    for row, vendor in zip(rows, ("openai", "anthropic")):
        sent = sum(e["body_bytes"] for e in log if e["vendor"] == vendor)
        claim(f"{vendor}: what left is told though it failed", row["error"] and row["text"] is None and sent > 0 and
              row["bytes_sent"] == sent, (row, log))
    with open(desk.path("doc.txt"), "w") as f:
        f.write(TEXT)


def planned(double, desk):
    double.reset()
    status, out, err = desk.hearth("summarize", "-m", "openai/openai-model", "--dry-run", "--json")
    plan = json.loads(out)["estimates"][0] if status == 0 else {}
    expected = (pico("openai", plan.get("prompt_tokens", 0), out=plan.get("completion_tokens", 0))) / 1e12
    claim("a plan is priced", plan.get("cost_usd", 0) > 0 and abs(plan["cost_usd"] - expected) < 1e-9, (out, err, expected))
    status, out, err = desk.hearth("summarize", "-m", "openai/openai-model", "--dry-run")
    claim("and in words", "a vendor's" in out and "cost: about $0.0" in out, (out, err))
    status, out, err = desk.hearth("summarize", "-m", "openai/unheard-of", "--dry-run", "--json")
    claim("a plan without a price has none", status == 0 and json.loads(out)["estimates"][0]["cost_usd"] is None, (out, err))
    claim("nothing was asked for that", double.log() == [], double.log())
    status, out, err = desk.hearth("summarize", "-m", "openai/openai-model", "--words", "30")
    claim("a summary tells its cost and bytes", "cost $0.0" in err and "sent 0 bytes" not in err, (out, err))


def kept_here(double, desk):
    double.reset()
    status, out, err = desk.hearth("compare", *models(MODEL, "openai/openai-model"), "--offline", "--json")
    rows = json.loads(out) if out else []
    claim("--offline: the model here answers, the vendor's is refused", status == 1 and len(rows) == 2 and rows[0]["text"] and
          rows[1]["error"], (out, err))
    claim("and nothing left", double.log() == [], double.log())


double = Double()
desk = Desk(double)
compared(double, desk)
failed(double, desk)
planned(double, desk)
kept_here(double, desk)
double.stop()
finish()
