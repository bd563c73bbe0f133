#!/usr/bin/env python3
"""Who may ask `hearth serve`: keys in every vendor's header, their limits and models, revocation, the administrators'
API; then with the vendors' own packages, where they are installed (tools/openai-venv, tools/sdk-venv)."""
import http.client
import json
import os
import subprocess
import tempfile
import time

from server import BIN, MODEL_ID, ROOT, Server, bearer, claim, finish, until, keys as keys_of

HI = [{"role": "user", "content": "hello"}]
GEMINI = f"/v1beta/models/{MODEL_ID}:generateContent"
home = tempfile.TemporaryDirectory()


def keys(*args):
    return keys_of(home.name, *args)


def fresh(*args):
    """A new key, once the running server knows it."""
    k = keys("create", "--name", *args)
    claim(f"the key '{args[0]}' is known before long", until(lambda: server.get("/v1/models", **bearer(k["key"]))[0] == 200))
    return k


def openai(s, headers={}, **members):
    return s.post("/v1/chat/completions", {"model": MODEL_ID, "messages": HI, "max_tokens": 2, **members}, headers)


def anthropic(s, headers={}):
    return s.post("/v1/messages", {"model": MODEL_ID, "messages": HI, "max_tokens": 2}, headers)


def gemini(s, headers={}, path=GEMINI):
    return s.post(path, {"contents": [{"parts": [{"text": "hello"}]}], "generationConfig": {"maxOutputTokens": 2}}, headers)


def without_keys(s):
    claim("without keys everybody may ask", openai(s)[0] == openai(s, bearer("any"))[0] == 200)
    status, a, _ = s.post("/admin/keys", {"name": "me"})
    claim("but not for keys", status == 403 and "keys create" in a["error"]["message"] and
          s.get("/admin/usage")[0] == s.get("/admin/health", **bearer("any"))[0] == 403, a)
    claim("another host's name is refused", s.get("/v1/models", host="api.example.com")[0] == 403)
    status, a, _ = openai(s, model="openai/gpt-4o")
    claim("vendors' models cannot be named", status in (403, 404), (status, a))
    for method, path in (("HEAD", "/health"), ("HEAD", "/"), ("HEAD", "/v1/models"), ("HEAD", "/metrics")):
        status, body, h = s.request(method, path)
        claim(f"{method} {path} has a GET's headers and no body", status == 200 and not body and
              int(h["content-length"]) > 0, (status, body, h))
    claim("HEAD of what has no GET is none", s.request("HEAD", "/tokenize")[0] == s.request("DELETE", "/health")[0] == 405)
    status, a, _ = openai(s, {"x-hearth-local-only": "ture"})
    claim("a misspelled wish for privacy is refused", status == 400 and a["error"]["param"] == "x-hearth-local-only", a)
    claim("a right one is kept", openai(s, {"x-hearth-local-only": "true"})[0] == 200)


def loopback_only():
    p = subprocess.run([BIN, "serve", "--host", "0.0.0.0", "--port", "0"], env=dict(os.environ, HEARTH_HOME=home.name + "/no"),
                       capture_output=True, text=True, timeout=60)
    claim("other addresses are not served without keys", p.returncode == 2 and "keys create" in p.stderr, p)


def shapes_of_401(s):
    for why, headers in (("without a key", {}), ("with a wrong one", bearer("sk-hearth-" + "x" * 43)),
                         ("with a long one", bearer("x" * 5000)), ("with an empty one", bearer(" "))):
        status, a, h = openai(s, headers)
        claim(f"openai: 401 {why}", status == 401 and a["error"]["code"] == "invalid_api_key" and
              h["www-authenticate"] == "Bearer", (status, a, h))
    status, a, _ = anthropic(s, {"x-api-key": "wrong"})
    claim("anthropic: 401", status == 401 and a["error"]["type"] == "authentication_error" and a["request_id"], a)
    status, a, _ = gemini(s, {"x-goog-api-key": "wrong"})
    claim("gemini: 401", status == 401 and a["error"]["status"] == "UNAUTHENTICATED", a)
    got = s.raw(b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 30000000\r\n\r\n")
    claim("it comes before the body", got.startswith(b"HTTP/1.1 401") and b"<timeout>" not in got, got[:300])


def every_header(s, key):
    claim("a key in authorization", openai(s, bearer(key))[0] == openai(s, {"authorization": "bearer  " + key + " "})[0] == 200)
    claim("in x-api-key", anthropic(s, {"x-api-key": key})[0] == 200)
    claim("in x-goog-api-key", gemini(s, {"x-goog-api-key": key})[0] == 200)
    claim("in Gemini's address", gemini(s, path=GEMINI + "?alt=json&key=" + key)[0] == 200 and
          gemini(s, path=GEMINI + "?key=" + key)[0] == 200)
    claim("in nobody else's", s.get("/v1/models?key=" + key)[0] == 401)
    claim("which is warned of once", s.logged().count("x-goog-api-key is for that") == 1, s.logged()[-1000:])
    for name, first, second, wanted in (("authorization", "Bearer " + key, "Bearer wrong", 400),
                                        ("authorization", "Bearer wrong", "Bearer " + key, 400),
                                        ("x-api-key", key, "wrong", 400), ("origin", "http://localhost", "http://evil.example", 400),
                                        ("authorization", "Bearer " + key, "Bearer " + key, 200)):
        got = s.raw(f"GET /v1/models HTTP/1.1\r\nhost: localhost\r\n{name}: {first}\r\n{name}: {second}\r\nx-goog-api-key: {key}\r\n"
                    "connection: close\r\n\r\n".encode())
        claim(f"two lines of {name} " + ("that are the same count once" if first == second else "that differ are refused"),
              got.startswith(b"HTTP/1.1 %d" % wanted), got[:300])
    claim("any name of the host will do with a key", s.get("/v1/models", host="api.example.com", **bearer(key))[0] == 200)
    claim("a page of the same name too, others not",
          s.get("/v1/models", host="api.example.com", origin="https://api.example.com", **bearer(key))[0] == 200 and
          s.get("/v1/models", origin="https://evil.example", **bearer(key))[0] == 403)


def open_and_closed(s, key):
    claim("health and the page are open", s.get("/health")[0] == s.get("/")[0] == s.get("/page/app.js")[0] == 200)
    for path in ("/metrics", "/v1/hearth/state", "/v1/models", "/v1beta/models"):
        claim(f"{path} wants a key", s.get(path)[0] == 401 and s.get(path, **bearer(key))[0] == 200)
    claim("so do ids of tokens and summaries", s.post("/tokenize", {"prompt": "a"})[0] == 401 ==
          s.post("/v1/summaries", {"text": "A text."})[0])
    status, a, _ = s.post("/v1/summaries", {"text": "The sea is wide. " * 30, "words": 10}, bearer(key))
    claim("with one they work", status == 200 and s.post("/tokenize", {"prompt": "a"}, bearer(key))[0] == 200, a)
    claim("what is no path is still a 404", s.get("/nothing")[0] == 404)


def admin_api(s, admin):
    a = bearer(admin)

    def create(**members):
        return s.post("/admin/keys", members, a)
    status, made, _ = create(name="sch\u00f6n", owner="me", expires="30d", models=[MODEL_ID, "other*"], rpm=50, tpm=100000, concurrency=3,
                             local_only=True, budget_day_usd=1.5, budget_month_usd="12.25", budget_usd=100)
    claim("a key is made", status == 201 and set(made) == {"id", "key", "name"} and made["name"] == "sch\u00f6n", made)
    listed = {k["id"]: k for k in json.loads(s.get("/admin/keys", **a)[1])}
    k = listed[made["id"]]
    claim("and listed with all its bounds", k["models"] == [MODEL_ID, "other*"] and (k["budget_day_usd"],
          k["budget_month_usd"], k["budget_usd"], k["spent_usd"]) == (1.5, 12.25, 100, 0) and (k["rpm"], k["tpm"], k["concurrency"]) == (50, 100000, 3) and
          k["local_only"] and not k["admin"] and k["owner"] == "me" and k["revoked"] is None and
          k["expires"][:10] > k["created"][:10], k)
    claim("without its secret", made["key"][-4:] == k["hint"] and made["key"] not in json.dumps(listed))
    for name, members in (("no name", {}), ("a member that is none", {"name": "a", "budget": 5}), ("an amount below 0",
                          {"name": "a", "budget_usd": -1}), ("an amount that is none", {"name": "a", "budget_day_usd": "a"}),
                          ("an amount too large", {"name": "a", "budget_usd": 1e300}), ("a bound that is a text",
                          {"name": "a", "rpm": "5"}), ("a date in the past", {"name": "a", "expires": "2020-01-01"}),
                          ("a name that is too long", {"name": "a" * 200}), ("a comma in a model", {"name": "a", "models": ["a,b"]}),
                          ("too many models", {"name": "a", "models": ["m%d" % i for i in range(900)]}),
                          ("a line break in a name", {"name": "a\nb"})):
        status, seen, _ = create(**members)
        claim(f"refused: {name}", status == 400 and seen["error"]["message"], (status, seen))
    claim("who is no administrator must not", s.get("/admin/keys", **bearer(made["key"]))[0] == 403 and
          s.post("/admin/keys", {"name": "a", "admin": True}, bearer(made["key"]))[0] == 403 and s.get("/admin/keys")[0] == 401)
    claim("nobody is not revoked", s.request("DELETE", "/admin/keys/key_nobody", headers=a)[0] == 404 ==
          s.request("DELETE", "/admin/keys/", headers=a)[0])
    claim("its key is good", openai(s, bearer(made["key"]))[0] == 200)
    status, body, _ = s.request("DELETE", "/admin/keys/" + made["id"], headers=a)
    claim("until it is revoked", status == 200 and json.loads(body) == {"id": made["id"], "revoked": True} and
          until(lambda: openai(s, bearer(made["key"]))[0] == 401), body)
    h = json.loads(s.get("/admin/health", **a)[1])
    claim("the ledger's health is told", h["writable"] is True and h["waiting"] >= 0 and h["committed"] >= 1, h)
    for query in ("by=nobody", "since=tomorrow", "form=day", "key=key_nobody", "limit=5", "by=request&limit=0"):
        claim(f"usage?{query} is refused", s.get("/admin/usage?" + query, **a)[0] in (400, 404))


def models(s, admin):
    none, some = fresh("none", "--models", "nothing*"), fresh("some", "--models", "hearth*")
    ids = [[m["id"] for m in json.loads(s.get("/v1/models", **bearer(k["key"]))[1])["data"]] for k in (none, some)]
    claim("a list shows what a key may use", ids == [[], [MODEL_ID]], ids)
    claim("in Gemini's too", json.loads(s.get("/v1beta/models", **bearer(none["key"]))[1])["models"] == [])
    claim("and one of them", s.get("/v1/models/" + MODEL_ID, **bearer(none["key"]))[0] == 404 and
          s.get("/v1/models/" + MODEL_ID, **bearer(some["key"]))[0] == 200)
    status, a, _ = openai(s, bearer(none["key"]))
    claim("openai: 403 for others", status == 403 and a["error"]["code"] == "insufficient_permissions", a)
    status, a, _ = anthropic(s, {"x-api-key": none["key"]})
    claim("anthropic: 403", status == 403 and a["error"]["type"] == "permission_error", a)
    status, a, _ = gemini(s, {"x-goog-api-key": none["key"]})
    claim("gemini: 403", status == 403 and a["error"]["status"] == "PERMISSION_DENIED", a)
    claim("for tokens and summaries too", s.post("/tokenize", {"prompt": "a", "model": MODEL_ID}, bearer(none["key"]))[0] == 403 ==
          s.post("/v1/summaries", {"text": "A text."}, bearer(none["key"]))[0])
    own = fresh("own", "--models", "gpt-*,local/*")
    claim("'local/*' is every model of this machine", openai(s, bearer(own["key"]))[0] == 200 ==
          s.get("/v1/models/" + MODEL_ID, **bearer(own["key"]))[0], own)
    claim("who may is answered", openai(s, bearer(some["key"]))[0] == 200)
    every = fresh("every")
    for name, key, shown, status in (("none", none, None, 403), ("some", some, MODEL_ID, 403),
                                     ("every", every, MODEL_ID, 200), ("admin", {"key": admin}, MODEL_ID, 200)):
        seen = [m["id"] for m in json.loads(s.get("/v1/hearth/state", **bearer(key["key"]))[1])["models"]]
        claim(f"the state names what a key may use ({name})", seen == [shown], seen)
        seen = s.get("/metrics", **bearer(key["key"]))
        claim(f"metrics name all, so they are for keys of all ({name})", seen[0] == status and
              (MODEL_ID.encode() in seen[1]) == (status == 200), seen)


def limits(s):
    k = fresh("limited", "--rpm", "3", "--tpm", "100000")["key"]
    status, a, h = openai(s, bearer(k))
    claim("openai: limits are told", status == 200 and (h["x-ratelimit-limit-requests"], h["x-ratelimit-remaining-requests"],
          h["x-ratelimit-limit-tokens"]) == ("3", "2", "100000") and int(h["x-ratelimit-remaining-tokens"]) < 100000 and
          h["x-ratelimit-reset-requests"].endswith("s"), h)
    claim("who served it, too", h["x-hearth-served-by"] == "local/" + MODEL_ID, h)
    status, _, h = anthropic(s, {"x-api-key": k})
    claim("anthropic: limits are told", status == 200 and h["anthropic-ratelimit-requests-limit"] == "3" and
          h["anthropic-ratelimit-requests-remaining"] == "1" and h["anthropic-ratelimit-requests-reset"].endswith("Z"), h)
    status, events, h = s.request("POST", "/v1/chat/completions", {"model": MODEL_ID, "messages": HI, "max_tokens": 2,
                                                                  "stream": True}, bearer(k))
    claim("a stream has them in its head", status == 200 and h["x-ratelimit-remaining-requests"] == "0", h)
    status, a, h = openai(s, bearer(k))
    claim("openai: 429", status == 429 and a["error"]["code"] == "rate_limit_exceeded" and
          h["x-ratelimit-remaining-requests"] == "0" and 0 < int(h["retry-after"]) <= 20, (status, a, h))
    status, a, h = anthropic(s, {"x-api-key": k})
    claim("anthropic: 429", status == 429 and a["error"]["type"] == "rate_limit_error" and
          h["anthropic-ratelimit-requests-remaining"] == "0" and int(h["retry-after"]) > 0, (status, a, h))
    status, a, h = gemini(s, {"x-goog-api-key": k})
    claim("gemini: 429", status == 429 and a["error"]["status"] == "RESOURCE_EXHAUSTED" and
          a["error"]["details"][0]["retryDelay"].endswith("s") and not any("ratelimit" in n for n in h), (a, h))
    few = fresh("few", "--tpm", "10")["key"]
    status, a, _ = openai(s, bearer(few), max_tokens=500)
    claim("what never fits is the request's fault", status == 400 and "minute" in a["error"]["message"], a)


def usage(s, admin):
    k = fresh("counted")
    for _ in range(3):
        status, a, h = openai(s, {**bearer(k["key"]), "x-request-id": "the-same"})
        claim("a client's own request id is sent back", status == 200 and h["x-request-id"] == "the-same", h)

    def rows(query):
        return json.loads(s.get("/admin/usage?" + query, **bearer(admin))[1])
    claim("and does not make requests one", until(lambda: sum(r["requests"] for r in rows("by=model&key=" + k["id"])) == 3))
    r = rows("by=provider&since=1d&key=" + k["id"])[0]
    claim("usage tells tokens and who served", r["by"] == "local" and r["completion_tokens"] == 6 and r["prompt_tokens"] ==
          3 * a["usage"]["prompt_tokens"] and r["cost_usd"] is not None and r["unpriced"] == 0, r)
    claim("by key, by day", any(k["id"] in r["by"] for r in rows("by=key")) and len(rows("by=day&key=" + k["id"])[0]["by"]) == 10)
    claim("others' is not in it", rows("by=model&until=2020-01-01") == [])
    logged = [line["request"] for line in map(json.loads, filter(lambda t: t.startswith("{"), s.logged().splitlines()))
              if line.get("request", "").startswith(k["id"])]
    each = rows("by=request&since=1d&key=" + k["id"])
    claim("by request, as the log names them", sorted(r["by"] for r in each) == sorted(set(logged)) and len(each) == 3 and
          all(r["requests"] == 1 and r["completion_tokens"] == 2 for r in each), (each, logged))
    claim("no more than were asked for, of that time", rows("by=request&limit=2&key=" + k["id"]) == each[:2] and
          rows("by=request&until=1d&key=" + k["id"]) == [])
    claim("the day of an end is part of it", rows("by=request&key=" + k["id"] + "&until=" +
                                                  time.strftime("%Y-%m-%d", time.gmtime())) == each)


def other_addresses(key):
    s = Server("--host", "0.0.0.0", "--metrics-open", hearth_home=home.name)
    claim("with keys other addresses are served, with a warning", s.port > 0 and "not loopback" in s.logged(), s.logged())
    claim("metrics may be open", s.get("/metrics")[0] == 200 and s.get("/v1/models")[0] == 401 and
          s.get("/v1/models", **bearer(key))[0] == 200)
    claim("it ends with 0", s.stop() == 0, s.logged()[-600:])


def new_ledger():
    """A ledger that was not there has no keys, whatever its name should have been."""
    folder = tempfile.TemporaryDirectory()
    config, named = os.path.join(folder.name, "hearth.yaml"), os.path.join(folder.name, "in-config.db")
    with open(config, "w") as f:
        f.write(f"ledger: sqlite:{named}\n")
    for options, path in ((("--ledger", f"sqlite:{folder.name}/typo.db", "--quiet"), folder.name + "/typo.db"),
                          (("--config", config), named), ((), folder.name + "/home/ledger.db")):
        for times in (1, 0):
            s = Server(*options, hearth_home=folder.name + "/home")
            s.stop()
            claim(f"a new ledger is told, once ({os.path.basename(path)}, {times})", os.path.exists(path) and s.logged().count(
                f"hearth: made a new ledger at {path} (no keys in it yet)\n") == times and
                s.logged().count("new ledger") == times, s.logged())
    with open(config, "w") as f:
        f.write(f"ledger: sqlite:{named}x\n")
    p = subprocess.run([BIN, "usage", "--config", config], env=dict(os.environ, HEARTH_HOME=home.name), capture_output=True, text=True)
    claim("who only asks makes none, as the configuration names it, too", p.returncode == 1 and named + "x" in p.stderr and
          not os.path.exists(named + "x"), p)


SDKS = {"venv-openai": r'''
import openai
def told(name, kind, key, **more):
    c = openai.OpenAI(base_url=URL + "/v1", api_key=key, max_retries=0)
    try:
        c.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": "hi"}], max_tokens=2)
        claim(name, False, "nothing")
    except openai.APIError as e:
        claim(name, type(e) is kind and all(getattr(e, k) == v for k, v in more.items()), (type(e), str(e)))
told("openai's package: AuthenticationError", openai.AuthenticationError, "wrong", code="invalid_api_key")
told("openai's package: PermissionDeniedError", openai.PermissionDeniedError, NONE)
told("openai's package: RateLimitError", openai.RateLimitError, LIMITED, code="rate_limit_exceeded")
c = openai.OpenAI(base_url=URL + "/v1", api_key=GOOD)
r = c.chat.completions.with_raw_response.create(model=MODEL, messages=[{"role": "user", "content": "hi"}], max_tokens=2)
claim("openai's package: a good key", r.parse().choices[0].message.content is not None)
''', "venv-sdk": r'''
import anthropic
from google import genai
from google.genai import errors, types
def told(name, kind, key):
    c = anthropic.Anthropic(base_url=URL, api_key=key, max_retries=0)
    try:
        c.messages.create(model=MODEL, messages=[{"role": "user", "content": "hi"}], max_tokens=2)
        claim(name, False, "nothing")
    except anthropic.APIError as e:
        claim(name, type(e) is kind, (type(e), str(e)))
told("anthropic's package: AuthenticationError", anthropic.AuthenticationError, "wrong")
told("anthropic's package: PermissionDeniedError", anthropic.PermissionDeniedError, NONE)
told("anthropic's package: RateLimitError", anthropic.RateLimitError, LIMITED)
m = anthropic.Anthropic(base_url=URL, api_key=GOOD).messages.create(model=MODEL, messages=[{"role": "user", "content": "hi"}], max_tokens=2)
claim("anthropic's package: a good key", m.usage.output_tokens == 2, m)
def failed(name, code, status, key):
    c = genai.Client(api_key=key, http_options=types.HttpOptions(base_url=URL, retry_options=types.HttpRetryOptions(attempts=1)))
    try:
        c.models.generate_content(model=MODEL, contents="hi")
        claim(name, False, "nothing")
    except errors.APIError as e:
        claim(name, type(e) is errors.ClientError and (e.code, e.status) == (code, status), (type(e), str(e)))
failed("google-genai: 401", 401, "UNAUTHENTICATED", "wrong")
failed("google-genai: 403", 403, "PERMISSION_DENIED", NONE)
failed("google-genai: 429", 429, "RESOURCE_EXHAUSTED", LIMITED)
'''}
CLAIM = r'''
def claim(name, good, seen=""):
    print(("ok " if good else "not ok ") + name, "" if good else repr(seen)[-800:])
'''


def packages(s, good):
    none = fresh("none at all", "--models", "nothing")["key"]
    limited = fresh("once", "--rpm", "1")["key"]
    claim("its one request", openai(s, bearer(limited))[0] == 200)
    for venv, code in SDKS.items():
        python = os.path.join(os.environ.get("HEARTH_VENVS", os.path.join(ROOT, "build")), venv, "bin/python")
        if not os.path.exists(python):
            print(f"skip {venv} (tools/openai-venv, tools/sdk-venv were not run)")
            continue
        names = {"URL": f"http://127.0.0.1:{s.port}", "MODEL": MODEL_ID, "GOOD": good, "NONE": none, "LIMITED": limited}
        head = "".join(f"{k} = {v!r}\n" for k, v in names.items())
        p = subprocess.run([python, "-c", head + CLAIM + code], capture_output=True, text=True, timeout=300)
        print(p.stdout, end="")
        claim(f"{venv} ran to its end", p.returncode == 0 and "not ok" not in p.stdout, p.stderr)


server = Server(hearth_home=home.name)
without_keys(server)
loopback_only()
root = keys("create", "--name", "root", "--admin")
claim("from the first key on, one is needed", until(lambda: openai(server)[0] == 401))
plain = fresh("plain")
shapes_of_401(server)
every_header(server, plain["key"])
open_and_closed(server, plain["key"])
admin_api(server, root["key"])
models(server, root["key"])
new_ledger()
limits(server)
usage(server, root["key"])
packages(server, plain["key"])
other_addresses(plain["key"])
log = server.logged()
claim("no key is ever in the log", not any(k["key"] in log for k in (root, plain)) and "sk-hearth-" not in log, log)
claim("but who asked is", f'"key":"{plain["id"]}"' in log)
claim("it ends with 0", server.stop() == 0, log[-600:])
finish()
