#!/usr/bin/env python3
"""Local-only means that no byte leaves: by key, by header, by route and by --offline, seen from the other side (the
double of the vendors hears nothing) and, where strace may be used, from below (the server opens no connection).
And where something may leave, what the rules redact does not."""
import json
import os
import re
import shutil
import subprocess
import tempfile
import time

import server
from vendors import BIN, MODEL, VENDORS, Double, Gateway, claim, finish, request_of, texts_of

DIALECTS = ("openai", "anthropic", "gemini", "responses")
SECRET = "Project Firebird"


def ask(gateway, dialect, model, key, stream=False, headers=None, text="hello [[double n=2]]", **members):
    path, body, h = request_of(dialect, model, text, stream, 16, key, **members)
    return gateway.request("POST", path, body, {**h, **(headers or {})})


def refused(gateway, double, why, key, model, statuses=(403,), **members):
    seen = [ask(gateway, d, model, key, s, **members) for d in DIALECTS for s in (False, True)]
    claim(f"{why}: {model} is refused in every dialect", all(r[0] in statuses for r in seen),
          [(r[0], r[1][:200]) for r in seen if r[0] not in statuses][:2])
    path = f"/v1beta/models/{model}:countTokens"
    ask_count = gateway.request("POST", path, {"contents": [{"parts": [{"text": "hello"}]}]},
                                {"x-goog-api-key": key, **members.get("headers", {})})
    embed = gateway.request("POST", "/v1/embeddings", {"model": model, "input": "hello"},
                            {"authorization": "Bearer " + key, **members.get("headers", {})})
    claim(f"{why}: and for embeddings; tokens are counted here or not at all", embed[0] in statuses and
          ask_count[0] in (200, *statuses), (embed, ask_count))


def impossible(double):
    """A route that could only leave, and must not, is an error before anything is asked for."""
    for route in ("{candidates: [openai/openai-model], local_only: true}",
                  "{candidates: [openai/openai-model, google/google-model], policy: local-only}"):
        gateway = Gateway(double, {"closed": route})
        claim(f"a configuration that contradicts itself is refused: {route}", gateway.stop(None) == 1 and
              "closed" in gateway.logged(), gateway.logged())


def nothing_came(double, why):
    time.sleep(0.2)  # what was on its way would be here by now
    s = double.stats()
    claim(f"{why}: the vendors heard nothing", s == {"requests": 0, "lines": 0, "open": 0}, s)


def two_lines(gateway, key, lines):
    """A request with headers as they are written: clients' libraries would put the same names together."""
    body = b'{"model":"via-openai","messages":[{"role":"user","content":"hello"}]}'
    head = ["POST /v1/chat/completions HTTP/1.1", f"Host: 127.0.0.1:{gateway.port}", f"Content-Length: {len(body)}",
            "Connection: close", f"Authorization: Bearer {key}", *(f"{k}: {v}" for k, v in lines)]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


def local_only(gateway, double, keys):
    refused(gateway, double, "a local-only key", keys["local"], "via-openai")
    refused(gateway, double, "a local-only key", keys["local"], "anthropic/anthropic-model")
    listed = {"both", "gone-local", "closed", "policy"}
    for path, members in (("/v1/models", lambda a: [m["id"] for m in a["data"]]),
                          ("/v1beta/models", lambda a: [m["name"].split("/", 1)[1] for m in a["models"]])):
        for who, key, headers in (("key", keys["local"], {}), ("request", keys["any"], {"x-hearth-local-only": "true"})):
            seen = members(json.loads(gateway.get(path, authorization="Bearer " + key, **headers)[1]))
            claim(f"a local-only {who} is shown nothing that only vendors serve ({path})",
                  listed <= set(seen) and not any("via-" in m for m in seen), seen)
        seen = members(json.loads(gateway.get(path, authorization="Bearer " + keys["any"])[1]))
        claim(f"others are ({path})", listed | {"via-openai"} <= set(seen), seen)
    claim("nor one of these alone", gateway.get("/v1/models/via-openai", authorization="Bearer " + keys["local"])[0] == 404 and
          gateway.get("/v1/models/both", authorization="Bearer " + keys["local"])[0] == 200)
    header = {"headers": {"x-hearth-local-only": "true"}}
    refused(gateway, double, "a local-only request", keys["any"], "via-google", **header)
    refused(gateway, double, "a local-only request", keys["any"], "openai/openai-model", **header)
    missing = (400, 403, 404, 503, 529)  # it is the local candidate that is told of
    refused(gateway, double, "a local-only route", keys["any"], "closed", missing)
    refused(gateway, double, "a route with the policy local-only", keys["any"], "policy", missing)
    status, data, _ = ask(gateway, "openai", "via-openai", keys["any"], headers={"x-hearth-local-only": "yes"})
    claim("a slip in the header is refused, not taken for consent", status == 400, (status, data))
    for lines, wanted in ((("false", "true"), 403), (("true", "false"), 403), (("false", "ture"), 400),
                          (("true", "no"), 400)):
        answer = gateway.raw(two_lines(gateway, keys["any"], [("x-hearth-local-only", v) for v in lines]))
        claim(f"every line of the header counts: {lines}", answer.startswith(b"HTTP/1.1 %d" % wanted), answer[:300])
    nothing_came(double, "local-only")
    claim("and nothing is in the log of what leaves", gateway.egress() == [], gateway.egress()[:1])


def local_first(gateway, double, keys):
    """A route that has both is served here where it must be, even when the local one fails."""
    for name, key, headers in (("local-only key", keys["local"], {}),
                               ("header", keys["any"], {"x-hearth-local-only": "true"})):
        status, data, h = ask(gateway, "openai", "both", key, headers=headers)
        claim(f"{name}: the local candidate serves, though it is the second", status == 200 and
              h.get("x-hearth-served-by", "").startswith("local/"), (status, data, h))
        status, data, _ = ask(gateway, "openai", "both", key, headers=headers, text="hello " * 20000)
        claim(f"{name}: what only a vendor could hold is refused", status in (400, 403, 413), (status, data[:300]))
        status, data, _ = ask(gateway, "openai", "gone-local", key, headers=headers)
        claim(f"{name}: nor when the local model is not there", status >= 400, (status, data[:300]))
    nothing_came(double, "a route with both")


def commands(gateway, double):
    """The same on the command line."""
    with open(gateway.path("doc.txt"), "w") as f:
        f.write("A short document. " * 30)
    for words in (["run", "openai/openai-model", "hello"], ["run", "via-openai", "hello"],
                  ["summarize", gateway.path("doc.txt"), "-m", "openai/openai-model"]):
        if words[0] == "run" and "offline" not in gateway.hearth("help", "run")[1]:
            continue
        env = dict(os.environ, HEARTH_HOME=gateway.path("home"), OPENAI_API_KEY="x", OPENAI_BASE_URL=double.url + "/v1")
        r = subprocess.run([BIN, *words, "--offline", "--config", gateway.config], env=env, capture_output=True,
                           timeout=60)
        claim(f"hearth {words[0]} --offline refuses {words[-1] if words[0] != 'run' else words[1]}",
              r.returncode == 1 and not r.stdout, (r.returncode, r.stdout[:300], r.stderr[-300:]))
    nothing_came(double, "--offline")


def redaction(gateway, double, keys):
    secrets = f"{SECRET} is of anna@example.org, and {SECRET} it stays."
    text = secrets + "[[double echo=1 n=23]]"  # placeholders are cut over the stream's chunks
    for vendor in VENDORS:
        for stream in (False, True):
            double.reset()
            status, data, _ = ask(gateway, "anthropic", "via-" + vendor, keys["any"], stream, text=text)
            line = double.wait_log(1)[0]
            how = f"{vendor}{', streamed' if stream else ''}"
            claim(f"what is redacted does not leave ({how})", SECRET not in line["body"] and
                  "anna@" not in line["body"] and "[EMAIL_1]" in line["body"], line["body"])
            claim(f"and comes back in the answer ({how})", status == 200 and
                  texts_of("anthropic", data) == secrets, data[-600:])
    egress = gateway.egress()
    claim("the log of what leaves has hosts and bytes", egress and all(e["host"] == f"127.0.0.1:{double.port}"
                                                                      for e in egress), egress[-1:])
    ends = [e for e in egress if e["event"] == "end"]
    claim("its bytes are those that came", ends[-1]["bytes_sent"] == line["body_bytes"] and ends[-1]["redacted"] >= 2,
          (ends[-1], line["body_bytes"]))
    with open(gateway.path("egress.log")) as f:
        log = f.read()
    claim("it has no text and no key", SECRET not in log and "anna@" not in log and keys["any"] not in log)


def connections(trace):
    """The addresses that were connected to, as strace saw them."""
    with open(trace, errors="replace") as f:
        return re.findall(r"connect\(\d+, \{sa_family=AF_INET6?, sin6?_port=htons\((\d+)\)", f.read())


def watched(double):
    """The same once more with the kernel as a witness."""
    trace = os.path.join(watch.name, "trace")
    strace = shutil.which("strace")
    probe = strace and subprocess.run([strace, "-f", "-o", trace, "-e", "trace=connect", "true"],
                                      capture_output=True).returncode == 0
    if not probe:
        print("skip the server's system calls (strace is not here, or may not be used)")
        return
    script = os.path.join(watch.name, "hearth")
    with open(script, "w") as f:
        # A sanitizer cannot look for leaks while it is traced.
        f.write(f'#!/bin/sh\nASAN_OPTIONS=$ASAN_OPTIONS:detect_leaks=0; export ASAN_OPTIONS\nexec {strace} -D -f -q -o {trace} -e trace=connect,sendto,sendmsg {BIN} "$@"\n')
    os.chmod(script, 0o755)
    server.BIN, true_bin = script, server.BIN
    try:
        gateway = Gateway(double, ROUTES, model=MODEL)
    finally:
        server.BIN = true_bin
    keys = make_keys(gateway)
    double.reset()
    for dialect in DIALECTS:
        ask(gateway, dialect, "via-openai", keys["local"])
        ask(gateway, dialect, "both", keys["local"])
        ask(gateway, dialect, "closed", keys["any"])
        ask(gateway, dialect, "via-google", keys["any"], headers={"x-hearth-local-only": "true"})
    status, data, _ = ask(gateway, "openai", "both", keys["local"])
    claim("local requests were served meanwhile", status == 200, (status, data))
    seen = connections(trace)
    claim("no connection was opened, to anywhere", seen == [], seen)
    ask(gateway, "openai", "via-openai", keys["any"])
    seen = connections(trace)
    claim("(one that may leave is seen to)", set(seen) == {str(double.port)}, seen)
    claim("the watched server ends well", gateway.stop() == 0, gateway.logged()[-500:])


def make_keys(gateway):
    return {"local": gateway.new_key("local", "--local-only")["key"], "any": gateway.new_key("any")["key"]}


ROUTES = {"closed": "{candidates: [openai/openai-model, local/not-here], local_only: true}",
          "policy": "{candidates: [anthropic/anthropic-model, local/not-here], policy: local-only}",
          "both": f"{{candidates: [openai/openai-model, {MODEL}], policy: fixed}}",
          "gone-local": "{candidates: [openai/openai-model, local/not-here], policy: local-first}"}
RULES = ["redactions:", "  email: {pattern: '[a-z]+@[a-z.]+'}", f"  code: {{words: [{SECRET}]}}"]


def main():
    double = Double("--bodies")
    gateway = Gateway(double, ROUTES, more=RULES, model=MODEL)
    keys = make_keys(gateway)
    impossible(double)
    local_only(gateway, double, keys)
    local_first(gateway, double, keys)
    commands(gateway, double)
    redaction(gateway, double, keys)
    claim("no secret is in the server's log", SECRET not in gateway.logged() and keys["any"] not in gateway.logged())
    claim("the server ends well", gateway.stop() == 0, gateway.logged()[-500:])
    watched(double)
    finish()


watch = tempfile.TemporaryDirectory()
main()
