#!/usr/bin/env python3
"""Random requests over all vendors and client dialects, and whether each is billed for what was served, to the
pico-dollar: test_billing.py [--runs 300] [--seed N] [--threads 16] (`make billing` takes 10,000).

Who is right is decided by the double's own log (tests/double): what it counted, what of it was sent, how much of its
usage it had told by then. The rules that the oracle below follows (docs/gateway.md):
  - an answer that came whole costs what the vendor told;
  - where the vendor told nothing, the prompt is a token for 4 bytes of text and 4 for each message, the answer a token
    for 4 bytes of text, thoughts, tools' names and arguments, and the row says that it is estimated;
  - an answer that was cut, by the vendor or by the client, costs what the vendor had told until then, but at least the
    tokens that its bytes are by the rule above: estimated, too;
  - so does one that was cut before it brought any output, if the vendor had the request: the candidate's last try, and
    of earlier ones what the vendor had told; also where another candidate was asked then, in a row of its own;
  - a try that was refused, with a status or an error, costs nothing.
"""
import argparse
import collections
import http.client
import json
import random
import sys
import threading
import time

from vendors import VENDORS, Double, Gateway, claim, finish, pico, request_of

DIALECTS = ("openai", "anthropic", "gemini", "responses")
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "integer"}}}
TOOLS = {"openai": {"tools": [{"type": "function", "function": {"name": "weather", "parameters": SCHEMA}}]},
         "responses": {"tools": [{"type": "function", "name": "weather", "parameters": SCHEMA}]},
         "anthropic": {"tools": [{"name": "weather", "input_schema": SCHEMA}]},
         "gemini": {"tools": [{"functionDeclarations": [{"name": "weather", "parameters": SCHEMA}]}]}}
KINDS = {"plain": 30, "cached": 14, "length": 6, "calls": 8, "untold": 8, "twice": 4, "aborted": 10, "cut": 8,
         "torn": 6, "broken": 6, "refused": 3, "retried": 3, "fallen": 8, "long": 3}


class Run:
    """One request: what it asks the double for, and what became of it."""

    def __init__(self, i, rng):
        self.i, self.id = i, f"r{i}"
        self.kind = rng.choices(list(KINDS), list(KINDS.values()))[0]
        self.vendor, self.dialect = rng.choice(VENDORS), rng.choice(DIALECTS)
        self.stream = self.kind in ("aborted", "cut", "torn", "broken") or rng.random() < 0.5
        self.key = rng.randrange(3)
        self.model = rng.choice((f"via-{self.vendor}", f"{self.vendor}/{self.vendor}-model"))
        self.max_tokens = 5000
        self.members = {}
        self.status = self.stopped = None
        self.n = rng.randint(1, 12)
        words = {"id": self.id, "n": self.n, "size": rng.choice((0, 5, 40)), "in": 1000 + i,
                 "split": rng.choice((0, 0, 1, 7, 100))}
        getattr(self, "be_" + self.kind, lambda *_: None)(words, rng)
        self.words = words
        self.text = "Tell me. " * rng.randint(0, 9) + "[[double " + " ".join(f"{k}={v}" for k, v in words.items()) + \
            "]]" + getattr(self, "more", "")

    def be_cached(self, w, rng):
        w["cached"], w["w5"], w["w1"] = (rng.randint(0, 400) for _ in range(3))
        w["think"], w["shown"] = rng.randint(0, 30), rng.randint(0, 1)
        if self.vendor == "google":
            del w["w5"], w["w1"]
        elif self.vendor == "openai":
            del w["w1"]

    def be_length(self, w, rng):
        self.max_tokens = rng.randint(1, self.n)

    def be_calls(self, w, rng):
        w["calls"] = 1
        self.members = TOOLS[self.dialect]

    def be_untold(self, w, rng):
        w["usage"] = 0
        w["think"], w["shown"] = rng.randint(0, 5), 1

    def be_twice(self, w, rng):
        w["usage"] = 2

    def be_aborted(self, w, rng):
        w["hang"] = self.stop_at = rng.randint(1, self.n)
        w["cached"] = rng.randint(0, 100)
        w["think"] = rng.randint(0, 9)

    def be_cut(self, w, rng):
        w["stop"] = rng.randint(1, self.n)  # not by a reset, which takes back what was not read yet
        w["frame"] = rng.choice(("chunked", "close", "length"))
        w["cached"] = rng.randint(0, 100)

    def be_torn(self, w, rng):
        w["cut"] = rng.randint(0, 4000)

    def be_broken(self, w, rng):
        w["bad"], w["at"] = rng.choice(("json", "event", "no_end", "types", "deep")), rng.randint(1, self.n)

    def be_refused(self, w, rng):
        w["status"] = rng.choice((400, 403, 404))

    def be_retried(self, w, rng):
        w["status"], w["times"] = rng.choice((429, 500, 503, 529)), 1

    def be_fallen(self, w, rng):
        second = rng.choice([v for v in VENDORS if v != self.vendor])
        self.model = f"{self.vendor}-then-{second}"
        how = rng.choice(("status=401", "status=404", "status=503 times=9", "bad=close", "bad=inside", "bad=html"))
        first = "gemini" if self.vendor == "google" else self.vendor
        self.more = f"[[double for={first} {how}]]"
        self.vendor = second

    def be_long(self, w, rng):
        w["in"] = 200000 + rng.randint(-1, 1)
        w["cached"] = rng.randint(0, 100000)


def ask(gateway, keys, run, connection):
    path, body, headers = request_of(run.dialect, run.model, run.text, run.stream, run.max_tokens, keys[run.key],
                                     **run.members)
    connection.request("POST", path, json.dumps(body), headers)
    response = connection.getresponse()
    run.status, data = response.status, b""
    if run.kind != "aborted":
        run.data = response.read()
        return response.will_close
    last = f"w{run.stop_at - 1} ".encode()
    while last not in data:
        part = response.read1(65536)
        if not part:
            break
        data += part
    run.data, run.stopped = data, last in data
    return True  # the connection is closed now, in the middle of the answer


def work(gateway, keys, runs, failures):
    connection = None
    while True:
        try:
            run = runs.pop()
        except IndexError:
            return
        connection = connection or http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=60)
        try:
            close = ask(gateway, keys, run, connection)
            if run.status in (503, 529) and b"left alone" in run.data:  # others broke it for a moment: as clients do
                time.sleep(0.3)
                runs.append(run)
        except (http.client.HTTPException, OSError) as e:
            run.failure, close = e, True  # a stream that is cut may end without HTTP's own end
            if not getattr(run, "data", None):
                run.data = getattr(e, "partial", b"")
            if run.status is None:
                failures.append((run.i, run.text, repr(e)))
        if close:
            connection.close()
            connection = None


def quarter(n):
    return (n + 3) // 4


def usage_of_try(run, line):
    """What one try took, and whether that is an estimate; None: the vendor refused, or was not at work."""
    counts, told = line["counts"], line["told_in"] >= 0
    if line["status"] != 200:
        return None
    if line["finished"] and told:
        return (counts["in"], counts["cached"], counts["write_5m"], counts["write_1h"], counts["out"],
                counts["reasoning"]), 0
    if line["bad"] in ("html", "inside"):
        return None  # no answer: a page, or an error where one should be
    prompt = counts["in"] if told else quarter(len(run.text.encode())) + 4
    parts = (counts["cached"], counts["write_5m"], counts["write_1h"]) if told else (0, 0, 0)
    written = max(line["told_out"], quarter(line["text_bytes"]))
    return (prompt, *parts, written, max(line["told_thoughts"], 0)), 1


def row_of(run, vendor, mine):
    """The row for one candidate's tries: of the last one, and of earlier ones what was told."""
    tries = [usage_of_try(run, line) for line in mine]
    paid = [u for u, line in zip(tries, mine) if u and (line is mine[-1] or line["told_in"] >= 0)]
    if not paid:
        return None
    u = [sum(column) for column in zip(*(p[0] for p in paid))]
    sent = sum(r["body_bytes"] for r in mine)
    if mine[-1]["bad"] == "close":  # libcurl itself asks again where a kept connection was closed, and does not count it
        sent = 2 * mine[-1]["body_bytes"]
    return (run.model, vendor, u[0], u[1], u[2] + u[3], u[4], u[5], pico(vendor, *u), int(any(p[1] for p in paid)), sent)


def expected(run, lines):
    """The rows that there should be, as tuples. lines: the double's, of this run."""
    rows = []
    for vendor in VENDORS:
        mine = [r for r in lines if r["vendor"] == {"google": "gemini"}.get(vendor, vendor)]
        row = row_of(run, vendor, mine) if mine else None
        rows += [row] if row else []
    return rows


def row_tuple(row):
    return (row["model"], row["provider"], row["prompt_tokens"], row["cached_tokens"], row["cache_write_tokens"],
            row["completion_tokens"], row["reasoning_tokens"], row["picousd"], row["estimated"], row["bytes_sent"])


def check(runs, wanted, rows):
    seen = collections.Counter(row_tuple(r) for r in rows)
    should = collections.Counter(t for w in wanted.values() for t in w)
    missing, surplus = should - seen, seen - should
    for t in list(missing)[:5]:
        run = next(runs[i] for i, w in wanted.items() if t in w)
        print("    missing", t, run.kind, run.dialect, run.stream, run.text, run.data[-300:])
    for t in list(surplus)[:5]:
        print("    surplus", t)
    difference = sum(r["picousd"] for r in rows) - sum(t[7] for w in wanted.values() for t in w)
    claim(f"each of {len(wanted)} answers is billed as it was served", not missing and not surplus)
    claim("error of the sum: 0 pico-dollars", difference == 0, difference)


def check_sums(gateway, rows, by, of):
    """`hearth usage` says the same as the rows."""
    status, out, err = gateway.hearth("usage", "--by", by, "--json")
    sums = collections.Counter()
    for r in rows:
        sums[r[of]] += r["picousd"]
    said = {s["by"]: round(s["cost_usd"] * 1e12) for s in json.loads(out)} if status == 0 else err
    claim(f"hearth usage --by {by} adds the rows up", said == dict(sums), (said, dict(sums)))


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--runs", type=int, default=300)
    p.add_argument("--seed", type=int, default=6)
    p.add_argument("--threads", type=int, default=16)
    args = p.parse_args()
    rng = random.Random(args.seed)
    runs = [Run(i, rng) for i in range(args.runs)]
    double = Double()
    routes = {f"{a}-then-{b}": f"{{candidates: [{a}/{a}-model, {b}/{b}-model], policy: fixed}}"
              for a in VENDORS for b in VENDORS if a != b}
    gateway = Gateway(double, routes, members={"retries": 1, "breaker_failures": 1000})
    keys = [gateway.new_key("plain")["key"], gateway.new_key("day", "--budget-day", "100000")["key"],
            gateway.new_key("month", "--budget-month", "100000")["key"]]
    left, failures = list(runs), []
    threads = [threading.Thread(target=work, args=(gateway, keys, left, failures)) for _ in range(args.threads)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    claim("every request was answered", not failures, failures[:3])
    claim("who left had read what there was", all(r.stopped for r in runs if r.kind == "aborted"),
          [(r.text, r.status, r.data[-200:]) for r in runs if r.kind == "aborted" and not r.stopped][:2])
    log = double.wait_log(double.stats()["requests"])
    lines = collections.defaultdict(list)
    for r in log:
        lines[r["id"]].append(r)
    wanted = {r.i: w for r in runs if (w := expected(r, lines[r.id]))}
    rows = gateway.wait_rows(sum(len(w) for w in wanted.values()))
    status = gateway.stop()
    claim("the server ends well", status == 0, gateway.logged()[-1000:])
    rows = gateway.rows()
    check({r.i: r for r in runs}, wanted, rows)
    check_sums(gateway, rows, "model", "model")
    check_sums(gateway, rows, "provider", "provider")
    kinds = collections.Counter(r.kind for r in runs if r.i in wanted)
    print(f"billed: {dict(kinds)}; {sum(r['estimated'] for r in rows)} estimated; "
          f"{sum(r['picousd'] for r in rows)} pico-dollars; {len(log)} requests at the double")
    print("answers of all kinds were billed" if len(kinds) >= len(KINDS) - 1 else f"only {dict(kinds)}")
    finish()


if __name__ == "__main__":
    sys.exit(main())
