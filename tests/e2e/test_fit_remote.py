#!/usr/bin/env python3
"""`hearth fit owner/name` against a hub double: sizes of what is not here, from lists and headers alone."""
import os
import shutil
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
tempfile.tempdir = tempfile.mkdtemp(prefix="hearth-test-fit-")

from hub import harness  # noqa: E402
from hub.harness import Home  # noqa: E402
from hub.models import checkout, gguf_bytes, hearth_small  # noqa: E402
from hub_double import HubDouble, Repository  # noqa: E402

MODEL = os.path.join(HERE, "../../models/hearth-small.gguf")


def quantizations(t):
    hub, home = HubDouble(), None
    small = hearth_small()
    other = small + bytes(1000)
    hub.add(Repository("acme/Small-GGUF", {"small-q8_0.gguf": small, "small-q4_k_m.gguf": other, "README.md": b"# it\n",
                                           "small-iq2_xxs.gguf": gguf_bytes(5000)}))
    home = Home(hub)
    local = home.run("fit", os.path.abspath(MODEL), "--json").json() or {"options": [{}]}
    r = home.run("fit", "acme/Small-GGUF", "--json")
    o = {q["quant"]: q for q in (r.json() or {"options": []})["options"]}
    t.claim("every quantization that can be read, with the bytes of its files", r.status == 0 and
            {k: q["weights_bytes"] for k, q in o.items()} == {"q8_0": len(small), "q4_k_m": len(other)}, r)
    t.claim("keys and values are those of the same file here", o and
            all(q["kv_bytes"] == local["options"][0]["kv_bytes"] for q in o.values()), r)
    t.claim("layers are placed", all(q["layers"]["cpu"] > 1 and q["fits"] for q in o.values()), r)
    t.claim("a header was fetched, not the model", hub.sent() <= 1 << 20, hub.sent())
    t.claim("and nothing was stored", home.empty())
    r = home.run("fit", "acme/Small-GGUF:Q8_0", "--ctx", "512")
    t.claim("one that is named comes alone", r.status == 0 and "q8_0" in r.out and "q4_k_m" not in r.out
            and " 512 " in r.out and r.err == "", r)
    r = home.run("fit", "acme/Small-GGUF:q5_k_m")
    t.claim("one that is not there is told, with what is", r.one_line("q5_k_m", "q8_0"), r)
    r = home.run("fit", "acme/None-GGUF")
    t.claim("a repository that does not exist is told", r.one_line("acme/None-GGUF"), r)
    hub.close()


def parts(t):
    hub = HubDouble()
    stem = os.path.join(tempfile.tempdir, "small-q8_0")
    subprocess.run([sys.executable, os.path.join(HERE, "split_gguf.py"), MODEL, stem, "3"], check=True)
    files = {}
    for i in (1, 2, 3):
        with open(f"{stem}-0000{i}-of-00003.gguf", "rb") as f:
            files[f"small-q8_0-0000{i}-of-00003.gguf"] = f.read()
    hub.add(Repository("acme/Parts-GGUF", files))
    home = Home(hub)
    r = home.run("fit", "acme/Parts-GGUF", "--json")
    o = (r.json() or {"options": [{}]})["options"]
    t.claim("parts are one model", r.status == 0 and len(o) == 1
            and o[0]["weights_bytes"] == sum(map(len, files.values())) and o[0]["layers"]["cpu"] > 1, r)
    p = home.pull("acme/Parts-GGUF")
    whole = home.run("run", os.path.abspath(MODEL), "The harbour", "-n", "8", "--temperature", "0", "--raw")
    q = home.run("run", "parts:q8_0", "The harbour", "-n", "8", "--temperature", "0", "--raw")
    t.claim("and run after a pull, under the name that pull gave", p.out == "parts:q8_0\n" and q.status == 0
            and q.out == whole.out, p, q)
    r = home.run("fit", "parts:q8_0", "--json")
    t.claim("fit takes the name in the store too, and its tensors' bytes", r.status == 0
            and r.json()["options"][0]["quant"] == "q8_0"
            and r.json()["options"][0]["weights_bytes"] < o[0]["weights_bytes"], r)
    hub.close()


def checkouts(t):
    hub = HubDouble()
    files = checkout()
    hub.add(Repository("acme/Tiny-Llama", files))
    home = Home(hub)
    r = home.run("fit", "acme/Tiny-Llama", "--json")
    o = (r.json() or {"options": [{}]})["options"]
    t.claim("a checkout is told as it is, then what it could become", r.status == 0 and o[0].get("quant") == "f32"
            and o[0]["weights_bytes"] == sum(len(b) for n, b in files.items() if n.endswith(".safetensors"))
            and "q4_0" in [q["quant"] for q in o], r)
    t.claim("from config.json alone", not any(q.path.endswith(".safetensors") for q in hub.since()), hub.since())
    hub.close()


def lies(t):
    hub = HubDouble()
    small = hearth_small()
    hub.add(Repository("acme/Noise-GGUF", {"noise-q8_0.gguf": gguf_bytes(3 << 20)}))
    hub.add(Repository("acme/Cut-GGUF", {"cut-q8_0.gguf": small[:150000]}))
    hub.add(Repository("acme/Text-GGUF", {"text-q8_0.gguf": b"not a model " * 100000}))
    hub.add(Repository("acme/Alien", {"config.json": b'{"model_type":"alien"}', "model.safetensors": bytes(64)}))
    home = Home(hub)
    for name in ("Noise-GGUF", "Cut-GGUF", "Text-GGUF", "Alien"):
        r = home.run("fit", f"acme/{name}")
        t.claim(f"acme/{name} is told in one line", r.one_line(), r)
    mark = hub.mark()
    for name in ("./no/file", "no/such/model.gguf", "models/none.gguf", "/abs/olute"):
        r = home.run("fit", name)
        t.claim(f"{name} is no repository", r.one_line(name), r)
    t.claim("and the hub was not asked", not hub.since(mark), hub.since(mark))
    r = home.run("fit", "acme/Cut-GGUF", HF_HUB_OFFLINE="1")
    t.claim("offline is told", r.one_line("offline"), r)
    hub.close()


try:
    failed = harness.run_cases([quantizations, parts, checkouts, lies], workers=2)
finally:
    shutil.rmtree(tempfile.tempdir, ignore_errors=True)
sys.exit(1 if failed else 0)
