#!/usr/bin/env python3
"""`hearth serve` and clients that mean no good, or leave: it refuses, cancels, and goes on answering."""
import json
import random
import socket
import struct
import threading
import time

from server import MODEL_ID, Server, claim, finish

s = Server("--timeout", "1")
LONG = {"model": MODEL_ID, "messages": [{"role": "user", "content": "x"}], "max_tokens": 900,
        "temperature": 1.5, "n": 32}


def post_bytes(body, path="/v1/chat/completions", extra=""):
    if not isinstance(body, bytes):
        body = json.dumps(body).encode()
    return (f"POST {path} HTTP/1.1\r\nHost: localhost\r\n{extra}"
            f"Content-Length: {len(body)}\r\n\r\n").encode() + body


def status_of(data):
    return int(data.split()[1]) if data.startswith(b"HTTP/1.1 ") else None


def alive(name):
    claim(f"{name}: the next client is served", s.chat(max_tokens=2)[0] == 200)


def idle(name):
    claim(f"{name}: nothing goes on", s.wait_metric("hearth:requests_active", 1.0),
          s.metric("hearth:requests_active"))


def slow_senders():
    begun = time.time()
    socks = []
    for start in (b"", b"POST /v1/chat/comp", b"POST /v1/chat/completions HTTP/1.1\r\nHost: loc",
                  post_bytes(LONG)[:-5]):
        c = socket.create_connection(("127.0.0.1", s.port), timeout=20)
        c.sendall(start)
        socks.append(c)
    closed = 0
    for c in socks:  # one byte now and then keeps nobody
        try:
            while time.time() - begun < 15:
                c.settimeout(0.3)
                try:
                    if c.recv(4096) == b"":
                        break
                except socket.timeout:
                    c.sendall(b"a")
        except OSError:
            pass
        closed += time.time() - begun < 15
        c.close()
    claim("clients that send slowly are dropped", closed == len(socks), closed)
    alive("slow senders")


def last_answer():
    """The log's line of the last request that had a model."""
    return [json.loads(l) for l in s.logged().splitlines() if '"model"' in l][-1]


def leavers():
    for name, body in (("mid-stream", dict(LONG, stream=True)), ("before its answer", LONG)):
        c = socket.create_connection(("127.0.0.1", s.port), timeout=20)
        c.sendall(post_bytes(body))
        got = b""
        while body.get("stream") and b"data: " not in got:
            part = c.recv(8192)
            if not part:
                break
            got += part
        claim(f"a client leaves {name}: it was answered", bool(got) == bool(body.get("stream")), got)
        s.wait_metric("hearth:requests_active", 2.0)
        c.close()
        idle("a client leaves " + name)
        line = last_answer()
        claim(f"a client leaves {name}: its answer is cancelled",
              line.get("client_left") and line["completion_tokens"] < 32 * 900, line)
    aborted = f'vllm:request_success_total{{model_name="{MODEL_ID}",finished_reason="abort"}}'
    claim("clients that left are counted", f"{aborted} 2" in s.get("/metrics")[1].decode().splitlines())
    many = {"model": MODEL_ID, "prompt": ["x"] * 128, "max_tokens": 900, "temperature": 1.5}
    c = socket.create_connection(("127.0.0.1", s.port), timeout=20)
    c.sendall(post_bytes(dict(many, stream=True), "/v1/completions"))
    first = c.recv(8192)
    c.close()
    idle("a client leaves many prompts")
    line = last_answer()
    claim("a client leaves many prompts: all are cancelled",
          first and line.get("client_left") and line["completion_tokens"] < 16 * 900, line)
    c = socket.create_connection(("127.0.0.1", s.port), timeout=20)
    c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    c.sendall(post_bytes(dict(LONG, stream=True)))
    c.recv(100)
    c.close()  # a reset, not an end
    idle("a client resets")
    got = s.raw(post_bytes(LONG), shut=True)
    claim("half-closed: taken for one that left", b"<timeout>" not in got, got[:200])
    idle("half-closed")
    got = s.raw(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n", shut=True)
    claim("half-closed: what takes no time is answered", status_of(got) == 200, got)


def slow_readers():
    socks = []
    for _ in range(4):
        c = socket.socket()
        c.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        c.connect(("127.0.0.1", s.port))
        c.sendall(post_bytes(dict(LONG, stream=True, logprobs=True, top_logprobs=20)))
        socks.append(c)
    claim("slow readers delay nobody", s.chat(max_tokens=2)[0] == 200)
    idle("slow readers are dropped")
    for c in socks:
        c.close()


def long_answers():
    status, a, _ = s.chat(n=8, max_tokens=200, temperature=1.5)
    claim("an answer may take longer than its client may", status == 200 and
          a["usage"]["completion_tokens"] > 100, a if status != 200 else a["usage"])


def sizes():
    got = s.raw(b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n"
                b"Content-Length: 99999999999\r\n\r\n")
    claim("a body that is too large is a 413 before it is sent", status_of(got) == 413, got)
    got = s.raw(b"GET /health HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 100000 + b"\r\n\r\n")
    claim("headers that are too large are refused", status_of(got) in (431, 413, 400), got[:200])
    got = s.raw(b"GET /" + b"a" * 100000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n")
    claim("so is a long path", status_of(got) in (414, 431), got[:200])
    deep = b"[" * 100000
    claim("deep JSON is a 400", s.post("/v1/chat/completions", deep)[0] == 400)
    claim("deep in a member too", s.post("/v1/chat/completions",
                                         b'{"messages":' + deep + b"]" * 100000 + b"}")[0] == 400)
    claim("brackets inside a text are none",
          s.post("/v1/chat/completions", {"messages": [{"role": "user", "content": "[" * 500}],
                                          "max_tokens": 1})[0] == 200)
    many = b'{"messages":[' + b",".join([b"{}"] * 2000000) + b"]}"
    claim("a body whose values would fill memory is a 400",
          s.post("/v1/chat/completions", b'{"a":[' + b"{}," * 3000000 + b"1]}")[0] == 400)
    claim("and too many messages", s.post("/v1/chat/completions", many)[0] == 400)
    alive("sizes")


def pipelines():
    body = post_bytes({"messages": [{"role": "user", "content": "x"}], "max_tokens": 2})
    get = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"
    last = b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    got = s.raw(get + body + get + body + last)
    claim("pipelined requests are answered in order",
          got.count(b"HTTP/1.1 200") == 5 and got.count(b"chat.completion") == 2, got[:300])
    chunked = (b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
               b"Transfer-Encoding: chunked\r\n\r\n")
    for part in (b'{"messages":[{"role":"us', b'er","content":"x"}],"max_tokens":2}'):
        chunked += b"%x\r\n%s\r\n" % (len(part), part)
    claim("a body in chunks", status_of(s.raw(chunked + b"0\r\n\r\n")) == 200)
    got = s.raw(post_bytes({"messages": []}, extra="Expect: 100-continue\r\nConnection: close\r\n"))
    claim("Expect: 100-continue", b"100 Continue" in got and b" 400 " in got, got)


def garbage():
    r = random.Random(5)
    good = post_bytes({"messages": [{"role": "user", "content": "x"}], "max_tokens": 1},
                      extra="Connection: close\r\n")
    bad, threads = [], []

    def send(data):
        got = s.raw(data, timeout=60)
        if got and not got.startswith(b"HTTP/1.1 ") or b"<timeout>" in got or b" 500 " in got[:20]:
            bad.append((data, got))

    for i in range(120):
        if i % 3 == 0:
            data = bytes(r.randrange(256) for _ in range(r.randrange(1, 400)))
        else:
            data = bytearray(good)
            for _ in range(r.randrange(1, 6)):
                data[r.randrange(len(data))] = r.randrange(256)
            if i % 3 == 2:
                del data[r.randrange(len(data)):]
        threads.append(threading.Thread(target=send, args=(bytes(data),)))
        threads[-1].start()
    for t in threads:
        t.join()
    claim("random bytes end in an answer or an end", not bad, bad[:1])
    alive("garbage")
    idle("garbage")


slow_senders()
leavers()
slow_readers()
long_answers()
sizes()
pipelines()
garbage()
claim("it ends with 0", s.stop() == 0, s.logged()[-600:])
finish()
