"""The double of the vendors' APIs (tests/double), and a `hearth serve` with it behind; for tests/e2e/test_gateway*.py."""
import atexit
import http.client
import http.server
import json
import os
import re
import signal
import sqlite3
import subprocess
import tempfile
import threading
import time

from server import BIN, MODEL, ROOT, Server, claim, finish, until  # noqa: F401  (tests import them from here)

DOUBLE = os.environ.get("HEARTH_DOUBLE", os.path.join(os.path.dirname(BIN), "tests/double/vendor_double"))
KEY = "double-key-0123456789"
VENDORS = ("openai", "anthropic", "google")
KEY_VARIABLES = {"openai": "OPENAI_API_KEY", "anthropic": "ANTHROPIC_API_KEY", "google": "GOOGLE_API_KEY"}
# In dollars for a million tokens; each rate is another, so that a token in the wrong column is a wrong sum.
PRICES = {
    "openai": {"input": 2.5, "output": 10, "cache_read": 1.25, "cache_write_5m": 3.0},
    "anthropic": {"input": 3, "output": 15, "cache_read": 0.3, "cache_write_5m": 3.75, "cache_write_1h": 6},
    "google": {"input": 1.25, "output": 10.5, "cache_read": 0.31, "reasoning": 11.25,
               "tiers": [{"above": 200000, "input": 2.5, "output": 15, "cache_read": 0.625, "reasoning": 15.5}]},
}


class Answering(http.server.BaseHTTPRequestHandler):
    """Of a vendor that a test makes for itself."""
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, data, kind="application/json"):
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def serve_vendor(handler):
    """On a free port while the test runs; its address."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    return f"http://127.0.0.1:{server.server_address[1]}"


class Double:
    """One double of its own, on a free port."""

    def __init__(self, *options, key=KEY):
        self.process = subprocess.Popen([DOUBLE, "--key", key, *options], stdout=subprocess.PIPE)
        atexit.register(self.process.kill)
        line = self.process.stdout.readline().decode()
        self.port = int(line.rsplit(":", 1)[1])
        self.url = f"http://127.0.0.1:{self.port}"

    def ask(self, path):
        c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        c.request("GET", path)
        data = c.getresponse().read()
        c.close()
        return data.decode()

    def log(self):
        """What was served, a dict for each request that has ended."""
        return [json.loads(line) for line in self.ask("/double/log").splitlines()]

    def wait_log(self, n, seconds=30):
        """The log once it has n lines: a line is written when its connection ends, a moment after its client knows."""
        end = time.time() + seconds
        while len(log := self.log()) < n and time.time() < end:
            time.sleep(0.01)
        return log

    def reset(self):
        return self.ask("/double/reset")

    def stats(self):
        return json.loads(self.ask("/double/stats"))

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(20)


def base_url(vendor, double, folder=""):
    """As each vendor's client wants it: OpenAI's has a version in it."""
    return double.url + folder + ("/v1" if vendor == "openai" else "")


def provider_lines(vendor, double, name=None, folder="", **members):
    """A provider of the configuration: a vendor's dialect, at the double."""
    dialect = "gemini" if vendor == "google" else vendor
    lines = [f"  {name or vendor}:", f"    dialect: {dialect}", f"    base_url: {base_url(vendor, double, folder)}",
             f"    key_env: {KEY_VARIABLES[vendor]}"]
    return lines + [f"    {k}: {v}" for k, v in members.items()]


def price_table(extra=()):
    models = [{"provider": v, "model": f"{v}-model", "from": "2026-01-01", "source": "tests", "context": 1000000,
               "max_output": 8192, "abilities": ["tools", "schema", "vision", "reasoning"], **PRICES[v]}
              for v in VENDORS]
    return {"unit": "usd_per_million_tokens", "models": models + list(extra)}


class Gateway(Server):
    """`hearth serve` whose vendors are the double: three providers, and a route for each ("via-openai", ...).

    routes: {name: "YAML after the colon"}; more: lines of YAML at the end; members: of each provider.
    """

    def __init__(self, double, routes=None, more=(), members=None, providers=(), prices=None, options=(), env=None,
                 defaults=True, model=None):
        self.folder = tempfile.TemporaryDirectory()
        members = {"retries": 0, **(members or {})}
        prices = prices or price_table()
        lines = ["models:"]
        for v in VENDORS if defaults else ():
            lines += [f"  via-{v}: {{candidates: [{v}/{v}-model], policy: fixed}}"]
        lines += [f"  {name}: {text}" for name, text in (routes or {}).items()]
        lines += ["providers:"]
        for v in VENDORS:
            lines += provider_lines(v, double, **members)
        lines += list(providers)
        lines += [f"prices: {self.path('prices.json')}", f"egress_log: {self.path('egress.log')}", *more]
        with open(self.path("prices.json"), "w") as f:
            json.dump(prices, f)
        self.config = self.path("hearth.yaml")
        with open(self.config, "w") as f:
            f.write("\n".join(lines) + "\n")
        saved = {k: os.environ.get(k) for k in KEY_VARIABLES.values()}
        os.environ.update({k: KEY for k in KEY_VARIABLES.values()} | (env or {}))
        try:
            super().__init__("--config", self.config, *options, model=model, hearth_home=self.path("home"))
        finally:
            for k, v in saved.items():
                os.environ.pop(k, None) if v is None else os.environ.__setitem__(k, v)

    def path(self, name):
        return os.path.join(self.folder.name, name)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def hearth(self, *words):
        """Runs a command beside the server, on the same data: (status, stdout, stderr)."""
        env = dict(os.environ, HEARTH_HOME=self.path("home"), LC_ALL="C.UTF-8", NO_COLOR="1")
        r = subprocess.run([BIN, *words], env=env, capture_output=True, timeout=120)
        return r.returncode, r.stdout.decode(), r.stderr.decode()

    def new_key(self, name="test", *options):
        status, out, err = self.hearth("keys", "create", "--name", name, "--json", *options)
        claim(f"a key can be made ({name})", status == 0, err) if status else None
        # Another process made it: the server asks for keys within a second.
        end = time.time() + 20
        while self.request("GET", "/v1/models")[0] != 401 and time.time() < end:
            time.sleep(0.02)
        return json.loads(out)

    def rows(self):
        """The rows of usage, dicts, as the database has them."""
        for path, _, names in os.walk(self.path("home")):
            if "ledger.db" in names:
                db = sqlite3.connect(f"file:{os.path.join(path, 'ledger.db')}?mode=ro", uri=True, timeout=20)
                db.row_factory = sqlite3.Row
                rows = [dict(r) for r in db.execute("SELECT * FROM ledger_usage")]
                db.close()
                return rows
        return []

    def wait_rows(self, n, seconds=30):
        end = time.time() + seconds
        while len(rows := self.rows()) < n and time.time() < end:
            time.sleep(0.02)
        return rows

    def egress(self):
        """The lines of the log, once what began has ended there."""
        end = time.time() + 10
        while True:
            with open(self.path("egress.log")) as f:
                lines = [json.loads(line) for line in f]
            if 2 * sum(line["event"] == "end" for line in lines) >= len(lines) or time.time() > end:
                return lines
            time.sleep(0.01)


# The dialects that clients speak, without anybody's package.

PATHS = {"openai": "/v1/chat/completions", "anthropic": "/v1/messages"}


def request_of(dialect, model, text, stream=False, max_tokens=1000, key=None, **members):
    """(path, body, headers) of a request in a client's dialect ("openai", "responses", "anthropic", "gemini")."""
    headers = {"content-type": "application/json"}
    if dialect == "gemini":
        method = "streamGenerateContent?alt=sse" if stream else "generateContent"
        body = {"contents": [{"role": "user", "parts": [{"text": text}]}],
                "generationConfig": {"maxOutputTokens": max_tokens}, **members}
        if key:
            headers["x-goog-api-key"] = key
        return f"/v1beta/models/{model}:{method}", body, headers
    if key:
        headers["x-api-key" if dialect == "anthropic" else "authorization"] = \
            key if dialect == "anthropic" else "Bearer " + key
    if dialect == "responses":
        return "/v1/responses", {"model": model, "input": text, "stream": stream, "max_output_tokens": max_tokens,
                                 **members}, headers
    body = {"model": model, "messages": [{"role": "user", "content": text}], "stream": stream,
            "max_tokens": max_tokens, **members}
    return PATHS[dialect], body, headers


def pico(vendor, prompt, cached=0, write_5m=0, write_1h=0, out=0, reasoning=0, prices=None):
    """What an answer costs, in whole pico-dollars, by the table above: the oracle's own arithmetic."""
    table = dict(prices or PRICES[vendor])
    for tier in table.pop("tiers", []):
        if prompt > tier["above"]:
            table.update(tier)

    def rate(*names):
        for name in names:
            if name in table:
                return round(table[name] * 1000000)
        raise KeyError(names)

    left = prompt - cached - write_5m - write_1h
    return (left * rate("input") + cached * rate("cache_read", "input") + write_5m * rate("cache_write_5m", "input") +
            write_1h * rate("cache_write_1h", "input") + (out - reasoning) * rate("output") +
            reasoning * rate("reasoning", "output"))


def texts_of(dialect, data):
    """All of the answer's text in a body, streamed or whole."""
    text = data.decode("utf-8", "replace")
    names = {"openai": "content", "responses": "delta|text", "anthropic": "text", "gemini": "text"}[dialect]
    found = re.findall(r'"(?:' + names + r')"\s*:\s*"((?:[^"\\]|\\.)*)"', text)
    return "".join(json.loads('"' + t + '"') for t in found)
