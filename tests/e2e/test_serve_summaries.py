#!/usr/bin/env python3
"""POST /v1/summaries: what `hearth summarize --json` says, whole and as a stream; refusals; clients that leave."""
import base64
import json
import os
import socket
import sqlite3
import subprocess
import tempfile
import threading
import time

from server import BIN, MODEL, MODEL_ID, SLOW, Server, claim, finish, until

s = Server()
TEXT = "\n\n".join(f"Day {i} of the voyage.\n\nThe ship sailed {i * 7} miles to the north, and the crew saw {i} whales. "
                   f"In the evening the cook made soup number {i} for everybody on board." for i in range(1, 13)) + "\n"
LONG = "\n\n".join(f"Chapter {i}\n\n" + " ".join(
    f"In town number {i * 40 + k} the bridge over the river was built in the year {1200 + i * 40 + k}." for k in range(40))
    for i in range(10 if SLOW else 30))
PART = LONG[:3500 if SLOW else 9000]  # of some calls


def summarize(**body):
    return s.post("/v1/summaries", body)


def events_of(**body):
    status, data, headers = s.request("POST", "/v1/summaries", dict(body, stream=True))
    events = []
    for part in data.decode().split("\n\n")[:-1]:
        first, second = part.split("\n")
        events.append((first.removeprefix("event: "), json.loads(second.removeprefix("data: "))))
    return status, events, headers


def plain(summary):
    return {k: v for k, v in summary.items() if k not in ("seconds", "first_token_s", "usage")}


def whole():
    folder = tempfile.TemporaryDirectory()
    path = os.path.join(folder.name, "voyage.txt")
    with open(path, "w") as f:
        f.write(TEXT)
    p = subprocess.run([BIN, "summarize", path, "-m", MODEL, "--words", "40", "--json"], capture_output=True, text=True)
    want = json.loads(p.stdout)
    status, got, headers = summarize(documents=[{"name": path, "text": TEXT}], words=40, model=MODEL_ID)
    claim("the summary is that of the command", status == 200 and plain(got) == plain(want), (got, want))
    claim("its parts are all there", set(got) == set(want) and got["usage"]["prompt_tokens"] > 50 and
          got["bytes_sent"] == 0 and got["documents"][0]["tokens"] > 100, got)
    content = base64.b64encode(TEXT.encode()).decode()
    same = summarize(documents=[{"name": path, "content": content, "media_type": "text/plain"}], words=40)[1]
    claim("base64 for text", plain(same) == plain(got), same)
    same = summarize(text=TEXT, words=40)[1]
    claim("a text alone", same["summary"] == got["summary"] and same["documents"][0]["path"] == "document 1", same)
    two = summarize(documents=[{"text": TEXT}, {"name": "b.txt", "text": "The harbour was full of boats."}], words=40)[1]
    claim("two documents", [d["path"] for d in two["documents"]] == ["document 1", "b.txt"], two)
    source = "<p>The <b>harbour</b> was full of boats.</p><script>evil()</script>"
    html = summarize(documents=[{"name": "page", "media_type": "text/html; charset=utf-8", "text": source}])[1]
    claim("the media type tells the format", html["documents"][0]["characters"] == len("The harbour was full of boats."), html)
    bullets = summarize(text=TEXT, words=40, style="bullets", ask="How many whales?", language="English")
    claim("style, question and language", bullets[0] == 200 and bullets[1]["summary"], bullets)
    return got


def streamed(got):
    status, events, headers = events_of(text=TEXT, words=40)
    kinds = [k for k, _ in events]
    claim("a stream of events", status == 200 and headers["content-type"] == "text/event-stream" and
          set(kinds) <= {"progress", "text", "restart", "summary"} and kinds[-1] == "summary" and
          kinds.count("summary") == 1, kinds)
    claim("it ends with the same summary", events[-1][1]["summary"] == got["summary"], events[-1])
    draft = ""
    for kind, value in events:
        draft = "" if kind == "restart" else draft + value.get("delta", "") if kind == "text" else draft
    claim("the draft came before", len(draft) > 20, events)
    status, events, _ = events_of(text=PART, words=30)
    progress = [v for k, v in events if k == "progress"]
    claim("progress goes up", progress and all({"what", "done", "total"} == set(v) for v in progress) and
          any(v["what"] == "summarizing" and v["done"] > 0 for v in progress), progress)


def rows():
    """Of the ledger: each request's id and tokens of prompt."""
    db = sqlite3.connect(f"file:{s.home.name}/.local/share/hearth/ledger.db?mode=ro", uri=True, timeout=20)
    found = dict(db.execute("SELECT request_id, prompt_tokens FROM ledger_usage"))
    db.close()
    return found


def booked():
    """Each call is a row, and all rows of a summary are those of its request."""
    for headers, own in (({}, None), ({"x-request-id": "mine"}, "mine")):
        status, got, h = s.post("/v1/summaries", {"text": PART, "words": 30}, headers)
        line = until(lambda: [json.loads(x) for x in s.logged().splitlines() if f'"id":"{h["x-request-id"]}"' in x])[0]
        tokens = got["usage"]["prompt_tokens"]
        mine = until(lambda: (found := {i: n for i, n in rows().items() if i.startswith(line["request"])}) and
                     sum(found.values()) == tokens and found)
        claim(f"its calls are booked by its id ({own or 'ours'})", status == 200 and mine and len(mine) > 1 and
              set(mine) == {f"{line['request']}.{i + 1}" for i in range(len(mine))}, (rows(), line, got["usage"]))
        p = subprocess.run([BIN, "usage", "--by", "request", "--json"], env=dict(os.environ, HOME=s.home.name),
                           capture_output=True, text=True)
        one = [r for r in json.loads(p.stdout) if r["by"] == line["request"]]
        claim("usage has one line for them", len(one) == 1 and one[0]["requests"] == len(mine) and
              one[0]["prompt_tokens"] == tokens, p)
        claim("which the answer tells", h["x-request-id"] == own if own else
              "anybody-" + h["x-request-id"].removeprefix("req_") == line["request"], (h, line))
    claim("and by no other", not [i for i in rows() if i.startswith("own-")], rows())


def refusals():
    for name, body, what in [
            ("nothing", {}, "documents"), ("both", {"text": "a", "documents": []}, "documents"),
            ("no documents", {"documents": []}, "documents"), ("too many", {"documents": [{"text": "a"}] * 65}, "documents"),
            ("no object", {"documents": ["a"]}, "documents[0]"), ("no content", {"documents": [{"name": "a"}]}, "documents[0]"),
            ("text and content", {"documents": [{"text": "a", "content": "YQ=="}]}, "documents[0]"),
            ("a wrong type", {"documents": [{"text": "a"}, {"text": 5}]}, "documents[1].text"),
            ("no base64", {"documents": [{"content": "a!"}]}, "documents[0].content"),
            ("a bad name", {"documents": [{"name": "a\nb", "text": "a"}]}, "documents[0]"),
            ("a binary", {"documents": [{"name": "a.pdf", "content": base64.b64encode(b"%PDF-1.7\n\0\1\2").decode()}]}, "documents[0]"),
            ("few words", {"text": "a", "words": 2}, "words"), ("many words", {"text": "a", "words": 100000}, "words"),
            ("a style", {"text": "a", "style": "poem"}, "style"), ("a stream", {"text": "a", "stream": "yes"}, "stream")]:
        status, a, _ = summarize(**body)
        claim(f"refused: {name}", status == 400 and a["error"]["param"] == what, (status, a))
    claim("an unknown model", summarize(text="a", model="other")[0] == 404)
    claim("a question that is too long", summarize(text=TEXT, ask="why " * 5000)[0] == 400)
    status, a, _ = s.post("/v1/summaries", {"text": " \n ", "stream": True})
    claim("nothing to summarize has its own status", status == 400 and "error" in a, (status, a))
    claim("GET is refused", s.get("/v1/summaries")[0] == 405)


def client_leaves():
    body = json.dumps({"text": LONG, "words": 200, "stream": True}).encode()
    c = socket.create_connection(("127.0.0.1", s.port), timeout=60)
    c.sendall(b"POST /v1/summaries HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
    got = b""
    while b"summarizing" not in got:
        got += c.recv(65536)
    c.close()
    claim("a client that leaves: the calls end", s.wait_metric("hearth:requests_active", 1.0), s.metric("hearth:requests_active"))
    claim("a client that leaves: the engine rests", s.wait_metric("vllm:num_requests_running", 0.0))
    claim("a client that leaves: the next is served", s.chat(max_tokens=2)[0] == 200)


def together(got):
    """Summaries beside chats and each other, on the one engine: the same words."""
    results = {}

    def ask(i):
        results[i] = summarize(text=TEXT, words=40)[1].get("summary") if i % 2 else s.chat(max_tokens=40)[0]
    threads = [threading.Thread(target=ask, args=(i,)) for i in range(10)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    claim("beside others the same summary", all(v == (got["summary"] if i % 2 else 200) for i, v in results.items()), results)


def drained():
    done = []

    def ask():
        try:
            done.append(s.post("/v1/summaries", {"text": LONG, "words": 200})[0])
        except OSError:
            done.append("cut off")  # by a machine so busy that the last words took too long
    t = threading.Thread(target=ask)
    t.start()
    claim("one is under way", s.wait_metric("hearth:requests_active", 2.0))
    time.sleep(0.3)
    status = s.stop()
    t.join()
    claim("a server that ends cuts it off with an error", status == 0 and done[0] in (503, "cut off"), (status, done))


found = whole()
streamed(found)
booked()
refusals()
client_leaves()
together(found)
claim("no text or name is in the log", "voyage" not in s.logged() and "whales" not in s.logged(), s.logged()[-500:])
claim("the log counts tokens", '"path":"/v1/summaries","status":200,"model":"hearth-small","stream":false,"prompt_tokens":' in s.logged())
claim("it ends with 0", s.stop() == 0, s.logged()[-500:])
s = Server("--drain", "0")
drained()
finish()
