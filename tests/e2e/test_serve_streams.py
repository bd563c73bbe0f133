#!/usr/bin/env python3
"""`hearth serve` and many streams at once: none fails, those that nobody reads hold nobody up, bounds are kept."""
import json
import os
import socket
import subprocess
import sys
import threading
import time

from server import MODEL_ID, ROOT, Server, claim, finish

BENCH = os.path.join(ROOT, "bench/serve_streams.py")
LONG = {"model": MODEL_ID, "messages": [{"role": "user", "content": "x"}], "max_tokens": 900, "temperature": 1.5, "n": 32}


def bench(server, *options):
    p = subprocess.run([sys.executable, BENCH, f"http://127.0.0.1:{server.port}", "--warm", "0", *options], capture_output=True,
                       text=True, timeout=600)
    return p.returncode == 0, p.stdout + p.stderr


def many():
    s = Server("--quiet")
    before = len(os.listdir(f"/proc/{s.process.pid}/task"))
    good, said = bench(s, "--streams", "300", "--new", "4")
    claim("300 streams at once", good and "300 streams" in said, said)
    after = len(os.listdir(f"/proc/{s.process.pid}/task"))
    claim("no stream has a thread", after <= before + 16, (before, after))
    claim("nothing goes on", s.wait_metric("hearth:requests_active", 1.0))
    claim("it ends with 0", s.stop() == 0, s.logged()[-600:])


def unread():
    s = Server("--quiet", "--timeout", "60", "--max-seqs", "8")
    socks = []
    for i in range(24):
        c = socket.socket()
        c.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        c.connect(("127.0.0.1", s.port))
        body = json.dumps({"messages": [{"role": "user", "content": "x"}], "max_tokens": 60, "temperature": 1.5, "seed": i,
                           "stream": True, "logprobs": True, "top_logprobs": 20}).encode()
        c.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
                  b"Content-Length: %d\r\n\r\n" % len(body) + body)
        socks.append(c)
    claim("streams that nobody reads hold nobody up", s.chat(max_tokens=2)[0] == 200)
    whole = 0
    for c in socks:
        c.settimeout(60)
        got = b""
        while part := c.recv(65536):
            got += part
        whole += got.endswith(b"data: [DONE]\n\n\r\n0\r\n\r\n")
        c.close()
    claim("and are whole when they are read at last", whole == len(socks), whole)
    claim("it ends with 0", s.stop() == 0, s.logged()[-600:])


def bounded_queue():
    s = Server("--quiet", "--max-seqs", "1", "--queue-max", "2")
    out = []
    threads = [threading.Thread(target=lambda: out.append(s.chat(max_tokens=100))) for _ in range(12)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    statuses = sorted(status for status, _, _ in out)
    claim("more than --queue-max are refused", statuses.count(200) >= 2 and statuses.count(503) >= 1 and
          set(statuses) == {200, 503}, statuses)
    claim("and told when to come again", all(int(h.get("retry-after", 0)) > 0 for status, _, h in out if status == 503), out[-1])
    claim("it ends with 0", s.stop() == 0, s.logged()[-600:])


def deadlines():
    s = Server("--quiet", "--deadline", "1")
    status, body, headers = s.post("/v1/chat/completions", LONG)
    claim("an answer past its --deadline is a 503", status == 503 and "deadline" in body["error"]["message"], (status, body))
    status, events, _ = s.stream(**LONG)
    claim("in a stream it is the last event", status == 200 and "deadline" in json.dumps(events[-1]), events[-1])
    claim("others are answered", s.chat(max_tokens=2)[0] == 200)
    claim("it ends with 0", s.stop() == 0, s.logged()[-600:])


def gone_before_their_turn():
    """Requests whose clients leave while all workers compile schemas are not begun."""
    s = Server("--quiet")
    slow = {"type": "string", "allOf": [{"pattern": "^(a|b)*a(a|b){14}$"}, {"pattern": "^(a|b)*b(a|b){13}c$"}]}
    out = []
    slow_ones = [threading.Thread(target=lambda: out.append(s.chat(guided_json=slow)[0])) for _ in range(24)]
    for t in slow_ones:
        t.start()
    while not out:  # workers are at it
        time.sleep(0.01)
    body = json.dumps({"model": MODEL_ID, "messages": [{"role": "user", "content": "hello"}], "max_tokens": 4}).encode()
    leaving = [socket.create_connection(("127.0.0.1", s.port)) for _ in range(20)]
    for c in leaving:
        c.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
    time.sleep(0.2)  # so that they are in the queue
    for c in leaving:
        c.close()
    for t in slow_ones:
        t.join()
    claim("nothing goes on", s.wait_metric("hearth:requests_active", 1.0))
    claim("what cannot be compiled is refused", set(out) == {400}, out)
    rows = s.get("/metrics")[1].decode().splitlines()
    tokens = [r for r in rows if r.startswith("vllm:prompt_tokens_total")]
    claim("who left while waiting for a worker costs no token", all(r.endswith(" 0") for r in tokens), tokens)
    aborted = [r for r in rows if r.startswith("vllm:request_success_total") and "abort" in r]
    claim("but is counted", sum(float(r.rsplit(" ", 1)[1]) for r in aborted) == 20, aborted)
    claim("it ends with 0", s.stop() == 0, s.logged()[-600:])


many()
unread()
gone_before_their_turn()
bounded_queue()
deadlines()
finish()
