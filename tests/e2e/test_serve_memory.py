#!/usr/bin/env python3
"""A server whose address space is nearly used up (as under `ulimit -v`) refuses what needs more, and goes on."""
import json
import resource

from server import MODEL_ID, Server, claim, finish

WORDS = "the quick brown fox jumps over a lazy dog while many rivers run to the sea. " * 4
UNLIMITED = resource.RLIM_INFINITY
resource.setrlimit(resource.RLIMIT_AS, (UNLIMITED, UNLIMITED))


def asked_with(megabytes, path, body):
    """Status and text with so much more memory than now, and the status of a small chat with enough of it."""
    limit(used() + int(megabytes * 2 ** 20))
    try:
        status, data, headers = server.request("POST", path, json.dumps(body))
    except OSError as e:
        status, data, headers = 0, repr(e).encode(), {}
    limit(UNLIMITED)
    return status, data.decode(), headers, server.process.poll() is None and server.chat(max_tokens=2)[0]


def used():
    with open(f"/proc/{server.process.pid}/status") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("VmSize")) * 1024


def limit(n):
    resource.prlimit(server.process.pid, resource.RLIMIT_AS, (n, UNLIMITED))


resource.setrlimit(resource.RLIMIT_AS, (1 << 40, UNLIMITED))  # a limit at the start: one heap for all threads
server = Server("--quiet", "--ctx", "1024", "--max-seqs", "8")
resource.setrlimit(resource.RLIMIT_AS, (UNLIMITED, UNLIMITED))
if not server.port and "Sanitizer" in server.logged():
    print("ok skipped: sanitizers take terabytes of addresses")
    finish()

server.chat(max_tokens=2)
many = ["x y"] * 2048
items = [{"role": "user", "content": WORDS[:60]} for _ in range(12000)]
for path, body, sizes in (
        ("/v1/embeddings", {"input": many}, (0.1, 3, 20)), ("/v1/responses", {"input": items}, (0.1, 3, 20)),
        ("/v1/summaries", {"text": WORDS * 2000, "words": 50}, (0.1, 3)),
        ("/v1/chat/completions", {"messages": items}, (0.1, 20)),
        (f"/v1beta/models/{MODEL_ID}:batchEmbedContents",
         {"requests": [{"model": "models/" + MODEL_ID, "content": {"parts": [{"text": t}]}} for t in many[:1000]]}, (0.1, 3)),
        ("/tokenize", {"a": [[]] * 100000}, (18,))):
    for megabytes in sizes:
        status, text, headers, after = asked_with(megabytes, path, body)
        claim(f"{path} with {megabytes} MB: a 503 or an answer, and the server goes on",
              status in (200, 503) and after == 200, (status, text[-300:], after, server.logged()[-300:]))
        claim("the refusal says why", status == 200 or "memory" in text, text[-300:])
        if megabytes == 0.1:
            claim("with a time to come back", status == 503 and headers.get("retry-after"), (status, headers))
        if path == "/tokenize":
            claim("of a body of many values, too", status == 503 and "values" in text, (status, text[-300:]))
claim("it ends well", server.stop() == 0, server.logged())
finish()
