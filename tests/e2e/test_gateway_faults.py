#!/usr/bin/env python3
"""What vendors and networks do wrong (tests/double), and what the client then sees: an error in its own dialect that
says who failed, or, where output had begun, its beginning and then an error's event; and a neighbour who sees nothing."""
import json
import os
import threading

from vendors import KEY, VENDORS, Double, Gateway, claim, finish, provider_lines, request_of, texts_of

DIALECTS = ("openai", "anthropic", "gemini", "responses")
# What is no answer at all: a true status, whatever was asked for.
NO_ANSWER = ["bad=html", "bad=gzip", "bad=http", "bad=close", "bad=reset", "bad=reset_late", "bad=silent",
             "bad=silent_late", "bad=inside", "status=500", "status=503", "status=529", "status=418", "status=302"]
# In a whole answer.
WHOLE = ["bad=json", "bad=types", "bad=deep", "bad=huge huge=9000000", "cut=100", "cut=100 rst=1",
         "cut=100 frame=close", "cut=100 frame=chunked"]
# In a stream, behind its first chunk.
BEGUN = ["bad=json", "bad=types", "bad=deep", "bad=huge huge=9000000", "bad=event", "bad=no_end", "stop=1",
         "stop=1 frame=close", "stop=1 frame=length", "hang=1"]
SILENT = ("bad=silent", "bad=silent_late", "hang=1")  # at a provider with short patience
# What must not matter.
HARMLESS_STREAM = ["bad=sse", "bad=after"]
HARMLESS = ["usage=2", "usage=0", "early=100", "early=103", "frame=close", "frame=chunked",
            "split=1", "split=3", "wait=30", "first=300", "say=" + "\u00fc" * 3000 + " split=1000"]


def error_of(dialect, body):
    """The message of an error in a dialect's own shape, or None."""
    try:
        e = json.loads(body)
    except ValueError:
        return None
    if dialect == "anthropic":
        return e["error"]["message"] if e.get("type") == "error" else None
    e = e.get("error")
    if dialect == "gemini":
        return e["message"] if isinstance(e, dict) and isinstance(e.get("code"), int) and "status" in e else None
    return e["message"] if isinstance(e, dict) and "type" in e and "param" in e else None


def events_of(data):
    """The data of each event of a stream, in order."""
    lines = data.decode("utf-8", "replace").replace("\r\n", "\n").split("\n")
    return [line[6:] for line in lines if line.startswith("data: ")]


def error_event(dialect, data):
    """The message of the error that a stream ends with, or None; anything that looks like an end is none."""
    events = events_of(data)
    if dialect == "openai" and events and events[-1] == "[DONE]":
        events.pop()
    if not events:
        return None
    if dialect == "responses":
        e = json.loads(events[-1])
        return e["response"]["error"]["message"] if e["type"] == "response.failed" else e.get("message")
    return error_of(dialect, events[-1])


class Case:
    def __init__(self, gateway, vendor, dialect, words, stream, key, **members):
        self.vendor, self.dialect, self.words, self.stream = vendor, dialect, words, stream
        self.name = f"{words[:40]} of {vendor}, {'streamed' if stream else 'whole'}, for {dialect}"
        self.gateway, self.key = gateway, key
        self.model = f"{'hasty-' if words in SILENT else ''}{vendor}/{vendor}-model"
        self.text = f"[[double n=3 {words}]]"

    def run(self):
        path, body, headers = request_of(self.dialect, self.model, self.text, self.stream, key=self.key)
        self.status, self.data = 0, b""
        try:
            self.status, self.data, _ = self.gateway.request("POST", path, body, headers, timeout=60)
        except OSError as e:  # that it never ends is what a case may show
            self.data = repr(e).encode()

    def good_message(self, text):
        """One line that says who failed, and no secret."""
        return bool(text) and "\n" not in text and len(text) < 300 and self.vendor in text and KEY not in text

    def check_refused(self):
        text = error_of(self.dialect, self.data)
        claim(f"an error: {self.name}", 400 < self.status < 600 and self.good_message(text),
              (self.status, self.data[:400]))

    def check_begun(self):
        text = error_event(self.dialect, self.data)
        claim(f"a beginning, then an error: {self.name}", self.status == 200 and self.good_message(text) and
              texts_of(self.dialect, self.data).startswith("w0 "), (self.status, self.data[-600:]))

    def check_whole(self):
        said = self.words.split("say=")[1].split()[0] if "say=" in self.words else "w0 w1 w2 "
        good = texts_of(self.dialect, self.data)
        claim(f"nothing is amiss: {self.name}", self.status == 200 and said in good and
              (not self.stream or not error_event(self.dialect, self.data)), (self.status, self.data[-600:]))


class Neighbour(threading.Thread):
    """Reads slow streams, one after the other, while others have their troubles."""

    def __init__(self, gateway, vendor, key):
        super().__init__(daemon=True)
        self.gateway, self.vendor, self.key = gateway, vendor, key
        self.over, self.seen = False, []
        self.start()

    def run(self):
        while not self.over:
            path, body, headers = request_of("openai", f"{self.vendor}/{self.vendor}-model",
                                             "[[double n=20 wait=15]]", True, key=self.key)
            status, data, _ = self.gateway.request("POST", path, body, headers)
            self.seen.append((status, texts_of("openai", data) or data, events_of(data)[-1:]))

    def check(self):
        self.over = True
        self.join()
        wanted = (200, "".join(f"w{i} " for i in range(20)), ["[DONE]"])
        claim(f"a neighbour at {self.vendor} saw none of it", self.seen and all(s == wanted for s in self.seen),
              [s for s in self.seen if s != wanted][:1])


def run_all(cases, threads=12):
    left = list(cases)

    def work():
        while left:
            try:
                left.pop().run()
            except IndexError:
                return
    workers = [threading.Thread(target=work) for _ in range(threads)]
    for w in workers:
        w.start()
    for w in workers:
        w.join()


def memory_mb(process):
    with open(f"/proc/{process.pid}/status") as f:
        return [int(line.split()[1]) / 1024 for line in f if line.startswith("VmHWM")][0]


def all_faults(gateway, key):
    neighbours = [Neighbour(gateway, v, key) for v in VENDORS]
    before = memory_mb(gateway.process)
    groups = []
    for i, vendor in enumerate(VENDORS):
        def cases(words, streams, shift=i):
            return [Case(gateway, vendor, DIALECTS[(k + shift) % 4], w, s, key) for k, w in enumerate(words)
                    for s in streams]
        groups += [(c, Case.check_refused) for c in cases(NO_ANSWER, (False, True)) + cases(WHOLE, (False,))]
        groups += [(c, Case.check_begun) for c in cases(BEGUN, (True,))]
        groups += [(c, Case.check_whole) for c in cases(HARMLESS, (False, True)) + cases(HARMLESS_STREAM, (True,))]
    run_all([c for c, _ in groups])
    for c, check in groups:
        check(c)
    for n in neighbours:
        n.check()
    grown = memory_mb(gateway.process) - before
    # Several answers of 9 MB were there at once, with what JSON makes of them; no GiB that a gzip held.
    claim("no answer grows without bound", grown < (700 if "asan" not in os.environ.get("HEARTH_BIN", "") else 4000), grown)


def post(gateway, dialect, model, text, stream=False, key=None):
    path, body, headers = request_of(dialect, model, text, stream, key=key)
    return gateway.request("POST", path, body, headers)


def refusals(gateway, double, key):
    """Statuses that say what to do."""
    for vendor in VENDORS:
        model = f"{vendor}/{vendor}-model"
        status, data, headers = post(gateway, "openai", model, "[[double status=429 after=7]]", key=key)
        claim(f"{vendor}: when to come back is passed on", status == 429 and headers.get("retry-after") == "7",
              (status, headers, data))
        status, data, _ = post(gateway, "openai", model, "[[double status=400 context=1]]", key=key)
        claim(f"{vendor}: a prompt that is too long is the client's matter", status == 400 and
              json.loads(data)["error"]["code"] == "context_length_exceeded", (status, data))
        status, data, _ = post(gateway, "anthropic", model, "[[double status=404]]", key=key)
        claim(f"{vendor}: a model that the vendor does not have", status == 404, (status, data))
    status, data, _ = post(gateway, "openai", "bad-key/m", "hello", key=key)
    claim("a vendor's key that is wrong is not the client's", status == 502 and b"bad-key" in data and
          b"wrong-secret" not in data, (status, data))
    status, data, _ = post(gateway, "openai", "no-key/m", "hello", key=key)
    claim("nor is one that is not there, which the operator is told of", status == 502 and b"no-key cannot be asked" in data and
          "HEARTH_TEST_NO_KEY" in gateway.logged(), (status, data))
    status, data, _ = post(gateway, "openai", "gone/m", "hello", key=key)
    claim("nobody listens there", status in (502, 503) and b"gone" in data, (status, data))


def tries(gateway, double, key):
    """What is tried again, and what never."""
    def attempts(words, model="patient/m", stream=False):
        double.reset()
        status, data, _ = post(gateway, "openai", model, f"[[double n=3 {words}]]", stream, key)
        return status, double.stats()["requests"], data

    for words in ("status=503 times=2", "status=429 times=1", "bad=close times=1", "bad=reset times=2"):
        status, n, data = attempts(words)
        claim(f"it is tried again: {words}", status == 200 and n == int(words[-1]) + 1, (status, n, data[:300]))
    for words, code in (("status=400", 400), ("status=404", 404), ("status=429 quota=1", 429), ("status=401", 502)):
        status, n, data = attempts(words)
        claim(f"it is tried once: {words}", (status, n) == (code, 1), (status, n, data[:300]))
    status, n, data = attempts("stop=1", stream=True)
    claim("never after output began", (status, n) == (200, 1) and error_event("openai", data), (status, n, data))
    seen = [attempts("status=503", "weak/m") for _ in range(5)]
    claim("who fails again and again is left alone", [(s, n) for s, n, _ in seen] == [(503, 1)] * 3 + [(503, 0)] * 2,
          seen)
    status, n, data = attempts("id=x", "patient/m")
    claim("others are not", status == 200, (status, data))


LEFT = ("status=503", "status=401", "status=404", "bad=close", "bad=html", "bad=inside", "bad=reset_late",
        "status=400 context=1")  # a candidate that does this is left for the next


def slow_first(gateway, double, key):
    """A vendor's first answer is slow: who comes later does not wait for it, though nothing is known of it yet."""
    ended = []

    def ask(words):
        post(gateway, "openai", "fresh/m", f"[[double {words}]]", key=key)
        ended.append(words)
    first = threading.Thread(target=ask, args=("first=2500",))
    first.start()
    while not double.stats()["requests"]:
        pass
    for _ in range(3):
        ask("n=1")
    first.join()
    claim("a slow first answer holds nobody up", ended == ["n=1"] * 3 + ["first=2500"], ended)


def fallbacks(gateway, double, key):
    for i, words in enumerate(LEFT):
        double.reset()
        text = f"[[double n=3]][[double for=openai {words}]]"
        status, data, _ = post(gateway, "anthropic", f"two-{i}", text, True, key)
        log = double.wait_log(2)
        claim(f"another candidate takes over: {words}", status == 200 and texts_of("anthropic", data) == "w0 w1 w2 "
              and log[0]["vendor"] == "openai" and [r["vendor"] for r in log].count("gemini") == 1,
              (status, data[-300:], log))  # libcurl itself asks again where a kept connection was closed
    double.reset()
    status, data, _ = post(gateway, "openai", "two-8", "[[double n=3]][[double for=openai stop=1]]", True, key)
    claim("not in the middle of an answer", len(double.wait_log(1)) == 1 and error_event("openai", data), data[-300:])


def leaving(gateway, double, key):
    """A client that goes takes its vendor's connection with it."""
    import http.client
    for vendor in VENDORS:
        double.reset()
        path, body, headers = request_of("openai", f"{vendor}/{vendor}-model", "[[double n=5 hang=2]]", True, key=key)
        c = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=60)
        c.request("POST", path, json.dumps(body), headers)
        r, got = c.getresponse(), b""
        while b"w1 " not in got:
            got += r.read1(65536)
        r.close()
        c.close()
        log = double.wait_log(1)
        claim(f"who leaves is not served further ({vendor})", [(x["ended"], x["chunks"]) for x in log] ==
              [("hung", 2)], log)


def main():
    double = Double()
    limits = {"breaker_failures": 1000}
    more = provider_lines("openai", double, "patient", retries=3, **limits)
    for vendor in VENDORS:
        more += provider_lines(vendor, double, "hasty-" + vendor, retries=0, first_s=0.3, between_s=0.5, **limits)
    more += provider_lines("openai", double, "fresh", folder="/fresh", retries=0)
    more += provider_lines("openai", double, "weak", retries=0, breaker_failures=3, breaker_rest_s=600)
    more += provider_lines("openai", double, "bad-key", retries=0)
    more[-2] = "    key_env: HEARTH_TEST_BAD_KEY"
    more += provider_lines("openai", double, "no-key", retries=0)
    more[-2] = "    key_env: HEARTH_TEST_NO_KEY"
    more += ["  gone:", "    dialect: openai", "    base_url: http://127.0.0.1:1/v1", "    retries: 0"]
    routes = {}
    for i in range(len(LEFT) + 1):  # each with a first candidate of its own, since a bad one is left alone
        more += provider_lines("openai", double, f"first-{i}", retries=0)
        routes[f"two-{i}"] = f"{{candidates: [first-{i}/m, google/google-model], policy: fixed}}"
    gateway = Gateway(double, routes,
                      members=limits, providers=more, env={"HEARTH_TEST_BAD_KEY": "wrong-secret"})
    key = gateway.new_key("faults")["key"]
    all_faults(gateway, key)
    double.reset()
    slow_first(gateway, double, key)
    refusals(gateway, double, key)
    tries(gateway, double, key)
    fallbacks(gateway, double, key)
    leaving(gateway, double, key)
    claim("no secret is in the log", KEY not in gateway.logged() and key not in gateway.logged())
    claim("the server ends well", gateway.stop() == 0, gateway.logged()[-500:])
    finish()


main()
