#!/usr/bin/env python3
"""Replicas whose health is checked: one that says it is not well, hangs or goes away is asked nothing until it is well."""
import http.server
import json
import threading
import time

from vendors import KEY, Double, Gateway, claim, finish

ANSWER = {"id": "x", "object": "chat.completion", "created": 1, "model": "m", "choices": [
    {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "hello"}}],
    "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}}


class Replica:
    def __init__(self, port=0):
        me = self
        self.status, self.delay, self.n_asked, self.checks = 200, 0, 0, []

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def give(self, status, body):
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_GET(self):
                me.checks.append((self.path, self.headers["authorization"]))
                time.sleep(me.delay)
                self.give(me.status, b"" if me.status == 204 else b"{}")

            def do_POST(self):
                self.rfile.read(int(self.headers["content-length"]))
                me.n_asked += 1
                self.give(200, json.dumps(ANSWER).encode())

        class Quiet(http.server.ThreadingHTTPServer):
            daemon_threads = True
            block_on_close = False

            def handle_error(self, *_):
                pass

        self.server = Quiet(("127.0.0.1", port), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


replicas = [Replica(), Replica()]
double = Double()
gateway = Gateway(double, routes={"house": "{candidates: [house/m], policy: fixed}"}, providers=[
    "  house:", "    dialect: openai", "    key_env: OPENAI_API_KEY", "    retries: 0", "    health: /health?deep=1",
    "    health_every_s: 0.1", "    base_urls:", *[f"      - http://127.0.0.1:{r.port}/v1" for r in replicas]])


def ask(n=1):
    """How many of n requests were answered, and by whom."""
    before = [r.n_asked for r in replicas]
    good = 0
    for i in range(n):
        status, body, _ = gateway.request("POST", "/v1/chat/completions", {
            "model": "house", "max_tokens": 10, "messages": [{"role": "user", "content": f"{i} is a number"}]})
        good += status == 200 and json.loads(body)["choices"][0]["message"]["content"] == "hello"
    return good, [r.n_asked - b for r, b in zip(replicas, before)]


def said(text, n=1):
    end = time.time() + 30
    while gateway.logged().count(text) < n and time.time() < end:
        time.sleep(0.02)
    return gateway.logged().count(text) == n


good, by = ask(20)
claim("both answer while both are well", good == 20 and all(by), (good, by))
claim("checks go to the path, with the key", replicas[0].checks and replicas[1].checks and
      {c for r in replicas for c in r.checks} == {("/health?deep=1", "Bearer " + KEY)}, replicas[0].checks[:2])
replicas[0].status = 503
claim("a status says that one is not well, and which", said(
    f"house at http://127.0.0.1:{replicas[0].port}: not well, and left alone until it is: its health check gave status 503"))
good, by = ask(20)
claim("then the other one answers all", good == 20 and by == [0, 20], (good, by))
replicas[1].status = 500
claim("and when that is not well either", said("gave status 500"))
status, body, headers = gateway.request("POST", "/v1/chat/completions", {
    "model": "house", "messages": [{"role": "user", "content": "hello"}]})
claim("the answer is 503, and says when to come again", status == 503 and int(headers["retry-after"]) >= 1 and
      [r.n_asked for r in replicas] == [r.n_asked for r in replicas], (status, body, headers))
for r in replicas:
    r.status = 204
claim("any 2xx is well", said("well again", 2))
end = time.time() + 60  # the router prefers whom it did not see failing for 10 s
while not all((now := ask(20))[1]) and time.time() < end:
    time.sleep(0.2)
claim("and they are asked again", now[0] == 20 and all(now[1]), now)
replicas[1].close()
claim("one that is gone is not well", said("not well", 3))
good, by = ask(20)
claim("and is not asked", good == 20 and by == [20, 0], (good, by))
replicas[1] = Replica(replicas[1].port)
claim("until it is back", said("well again", 3))
replicas[1].delay = 60
claim("one that does not answer is not well", said("its health check was not answered in time"))
good, by = ask(20)
claim("and is not asked either", good == 20 and by == [20, 0], (good, by))
claim("the server ends well, in the middle of a check", gateway.stop() == 0, gateway.logged()[-500:])
double.stop()
finish()
