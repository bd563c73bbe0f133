#!/usr/bin/env python3
"""`hearth serve` with several models: loaded when asked for, the least used unloaded for room, never one in use."""
import json
import os
import shutil
import subprocess
import tempfile
import threading
import time

import one_layer
from hub.repository import Repository
from hub_double import HubDouble
from server import BIN, MODEL, ROOT, SLOW, Server, claim, finish

TEXT = "The harbour was full of boats. The people stood on the quay and looked at the ships. Nobody spoke of the war."
IDS = ("one", "two", "three")


def loaded(s):
    rows = s.get("/metrics")[1].decode().splitlines()
    return {r.split('"')[1] for r in rows if r.startswith("hearth:model_memory_bytes{")}


def copies(folder):
    paths = [os.path.join(folder, name + ".gguf") for name in IDS]
    for p in paths:
        shutil.copy(MODEL, p)
    return paths


def room_for_one(paths):
    s = Server("--quiet", "--ctx", "256", "--models-memory", "20000000", "-m", paths[1], "-m", paths[2], model=paths[0])
    listed = [m["id"] for m in json.loads(s.get("/v1/models")[1])["data"]]
    claim("all that can be had are listed", listed == list(IDS), listed)
    claim("the first is loaded at the start", loaded(s) == {"one"}, loaded(s))
    status, a, _ = s.chat(model="two", max_tokens=2)
    claim("another is loaded when it is asked for", status == 200 and a["model"] == "two", a)
    claim("in the first one's place", loaded(s) == {"two"} and s.metric("hearth:models_loaded") == 1.0, loaded(s))
    status, ids, _ = s.post("/tokenize", {"model": "three", "prompt": "hello"})
    claim("its tokens are asked for too", status == 200 and ids["count"] > 0 and loaded(s) == {"three"}, (ids, loaded(s)))
    out = []
    threads = [threading.Thread(target=lambda i=i: out.append((IDS[i % 3], s.chat(model=IDS[i % 3], max_tokens=4))))
               for i in range(18)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    texts = {a["choices"][0]["message"]["content"] for _, (status, a, _) in out if status == 200}
    claim("all at once: each waits for its turn", all(status == 200 and a["model"] == m for m, (status, a, _) in out) and
          len(texts) == 1, out)
    claim("nothing goes on", s.wait_metric("hearth:requests_active", 1.0))
    claim("it ends with 0", s.stop() == 0, s.logged()[-600:])


def in_use(paths):
    s = Server("--quiet", "--ctx", "512", "--models-memory", "20000000", "--load-wait", "1", "-m", paths[1], model=paths[0])
    done = []
    much = {"max_tokens": 150, "n": 4} if SLOW else {"max_tokens": 450, "n": 32}
    busy = threading.Thread(target=lambda: done.append(s.chat(model="one", temperature=1.5, **much)))
    busy.start()
    end = time.time() + 60
    while not s.metric("vllm:num_requests_running") and time.time() < end:
        time.sleep(0.01)
    status, a, headers = s.chat(model="two", max_tokens=2)
    claim("there is no room beside a model in use: 503 after --load-wait", status == 503 and
          int(headers.get("retry-after", 0)) > 0 and "two" in a["error"]["message"] or (status == 200 and done),
          (status, a, headers))
    busy.join()
    claim("which is not disturbed", done[0][0] == 200, done)
    status, a, _ = s.chat(model="two", max_tokens=2)
    claim("afterwards there is", status == 200 and a["model"] == "two", a)
    claim("it ends with 0", s.stop() == 0, s.logged()[-600:])


def fair(paths, folder):
    """A model in use all the time makes room for one that waits, and a small one passes by."""
    small = os.path.join(folder, "small.gguf")
    one_layer.write(MODEL, small)
    s = Server("--quiet", "--ctx", "512", "--max-seqs", "4", "--models-memory", "31000000", "--load-wait", "60",
               "-m", paths[1], "-m", small, model=paths[0])
    over, answers = threading.Event(), []

    def ask():
        while not over.is_set():
            answers.append(s.chat(model="one", max_tokens=25 if SLOW else 100, temperature=1.5)[0])
    asking = [threading.Thread(target=ask) for _ in range(3)]
    for t in asking:
        t.start()
    s.wait_metric("vllm:num_requests_running", 3.0)
    for i in range(3):
        status, a, _ = s.chat(model="two", max_tokens=2)
        claim("a model that waits has its turn while others are asked for without a pause", status == 200, (status, a))
    over.set()
    for t in asking:
        t.join()
    claim("all of those are answered too", set(answers) == {200}, answers)
    # In use for long: what does not fit beside it waits, what does goes first.
    busy = threading.Thread(target=lambda: s.chat(model="one", max_tokens=200 if SLOW else 450, n=4 if SLOW else 16, temperature=1.5))
    busy.start()
    s.wait_metric("vllm:num_requests_running", 4.0)
    done = []
    ask = lambda m: done.append((m, s.chat(model=m, max_tokens=2)[0]))
    summary = lambda m: done.append(("summary", s.post("/v1/summaries", {"model": m, "text": TEXT, "words": 30})[0]))
    waiting = [threading.Thread(target=summary, args=("two",)), threading.Thread(target=ask, args=("two",)),
               threading.Thread(target=ask, args=("small",))]
    for t in waiting:
        t.start()
        time.sleep(0.2)
    for t in [busy] + waiting:
        t.join()
    # On a slow machine the first one is in use for longer than the other waits.
    claim("a model that fits does not wait behind one that does not", done[0] == ("small", 200), done)
    claim("a summary waits for its model as others do", {m for m, status in done[1:] if status in (200, 503)} == {"two", "summary"} and
          len({status for _, status in done[1:]}) == 1, done)
    claim("it ends with 0", s.stop() == 0, s.logged()[-600:])


def patient(paths):
    """A summary has many calls: between two of them a model that others wait for has its turn."""
    with open(os.path.join(ROOT, "docs/examples/declaration-of-independence.txt")) as f:
        text = f.read() * 3
    text = text[:4000] if SLOW else text[:8500] if os.environ.get("HEARTH_SHORT") else text
    s = Server("--quiet", "--ctx", "512", "--models-memory", "20000000", "--load-wait", "120", "-m", paths[1], model=paths[0])
    done = []
    summary = threading.Thread(target=lambda: done.append(("one", *s.post("/v1/summaries", {"model": "one", "text": text})[:2])))
    summary.start()
    while not s.metric("vllm:num_requests_running") and not done:
        time.sleep(0.01)
    done.append(("two", *s.chat(model="two", max_tokens=2)[:2]))
    summary.join()
    claim("a model has its turn while a summary runs on another", [(m, status) for m, status, _ in done] == [("two", 200), ("one", 200)],
          done)
    alone = Server("--quiet", "--ctx", "512", model=paths[0])
    status, a, _ = alone.post("/v1/summaries", {"model": "one", "text": text})
    claim("the summary is the same as without", status == 200 and a["summary"] == done[-1][2]["summary"], (a, done))
    claim("they end with 0", s.stop() == 0 == alone.stop(), s.logged()[-600:])


def broken(paths):
    with open(paths[1], "r+b") as f:
        f.truncate(5000)
    s = Server("--quiet", "-m", paths[1], "-m", paths[2], model=paths[0])
    status, a, headers = s.chat(model="two", max_tokens=2)
    claim("a model that cannot be loaded is an error of its requests, which another try does not mend", status == 500 and
          "two" in a["error"]["message"] and a["error"]["type"] == "server_error" and "retry-after" not in headers,
          (status, a, headers))
    claim("others are answered", s.chat(model="one", max_tokens=2)[0] == 200)
    claim("those that must be loaded too", s.chat(model="three", max_tokens=2)[0] == 200)
    claim("both are loaded", loaded(s) == {"one", "three"}, loaded(s))
    claim("an unknown one is a 404", s.chat(model="four", max_tokens=2)[0] == 404)
    claim("it ends with 0", s.stop() == 0, s.logged()[-600:])


def pulled(paths, folder):
    hub = HubDouble()
    with open(MODEL, "rb") as f:
        weights = f.read()
    for name in ("Small", "Later"):
        hub.add(Repository(f"acme/{name}-GGUF", {f"{name.lower()}-Q8_0.gguf": weights}))
    env = dict(os.environ, HF_ENDPOINT=hub.endpoint, HEARTH_HOME=os.path.join(folder, "home"))
    p = subprocess.run([BIN, "pull", "acme/Small-GGUF:q8_0"], env=env, capture_output=True, text=True)
    claim("a model is pulled", p.returncode == 0 and p.stdout == "small:q8_0\n", (p.stdout, p.stderr))
    s = Server("--quiet", model=paths[0], hearth_home=env["HEARTH_HOME"])
    listed = [m["id"] for m in json.loads(s.get("/v1/models")[1])["data"]]
    claim("the local store's models are listed behind those of -m", listed == ["one", "small:q8_0"], listed)
    claim("and not loaded before somebody asks", loaded(s) == {"one"}, loaded(s))
    status, a, _ = s.chat(model="small:q8_0", max_tokens=2)
    claim("they can be asked for", status == 200 and a["model"] == "small:q8_0", a)
    claim("also as local/NAME", s.chat(model="local/small", max_tokens=2)[0] == 200 == s.chat(model="local/one", max_tokens=2)[0])
    claim("what is not there yet is a 404", s.chat(model="later:q8_0", max_tokens=2)[0] == 404)
    p = subprocess.run([BIN, "pull", "acme/Later-GGUF:q8_0"], env=env, capture_output=True, text=True)
    status, a, _ = s.chat(model="later:q8_0", max_tokens=2)
    claim("what is pulled later can be asked for at once", (p.returncode, status) == (0, 200) and a["model"] == "later:q8_0", (p, a))
    listed = [m["id"] for m in json.loads(s.get("/v1/models")[1])["data"]]
    claim("and is listed", listed == ["one", "later:q8_0", "small:q8_0"], listed)
    subprocess.run([BIN, "rm", "later:q8_0"], env=env, capture_output=True, text=True)
    claim("what was removed is not", s.get("/v1/models/later:q8_0")[0] == 404)
    for name in (paths[1], "acme/Small-GGUF", "../home"):
        status, a, _ = s.chat(model=name, max_tokens=2)
        claim(f"a name over HTTP is no path and no repository: {os.path.basename(name)}", status == 404, a)
    hub.close()
    claim("it ends with 0", s.stop() == 0, s.logged()[-600:])


with tempfile.TemporaryDirectory() as d:
    files = copies(d)
    pulled(files, d)
    room_for_one(files)
    in_use(files)
    fair(files, d)
    patient(files)
    broken(files)
finish()
