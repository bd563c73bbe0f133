"""What a pull chooses, how it is named, and what list, show, rm, run and summarize make of it."""
import os

from hub.harness import Home
from hub.models import NOT_FETCHED, ROOT, checkout, gguf_bytes, hearth_small
from hub_double import File, HubDouble, Repository

TEXT = """The harbour was built in 1820. Fishing boats used it every day. After the storm of 1907 the wall was
rebuilt with granite. The town grew around it. Today the harbour is used by sailing clubs and small ferries.
"""


def pulled_gguf(t):
    hub = HubDouble()
    real = hearth_small()
    r = hub.add(Repository("acme/Hearth-Small-GGUF", {
        "hearth-small-Q8_0.gguf": real, "hearth-small-f16.gguf": gguf_bytes(9000, 2), "README.md": b"# it\n",
        "mmproj-hearth-small-Q8_0.gguf": gguf_bytes(9000, 3), "hearth-small.imatrix.gguf": gguf_bytes(9000, 4)}))
    home = Home(hub)
    p = home.pull("acme/Hearth-Small-GGUF:q8_0")
    t.claim("pull prints the name that it gave, alone, on standard output",
            p.status == 0 and p.out == "hearth-small:q8_0\n", p)
    entry = home.listed().get("hearth-small:q8_0", {})
    t.claim("list --json tells what was pulled",
            {k: entry.get(k) for k in ("repo", "commit", "quant", "bytes", "revision")} ==
            {"repo": r.name, "commit": r.refs["main"], "quant": "q8_0", "bytes": len(real), "revision": "main"}
            and entry.get("files") == [{"path": "hearth-small-Q8_0.gguf", "bytes": len(real),
                                        "sha256": r.files()[0].sha256}], entry)
    t.claim("only the wanted file is in the store, under its own name",
            home.content(entry) == {"hearth-small-Q8_0.gguf": r.files()[0].sha256}, home.content(entry))
    blob = os.path.join(home.models, "blobs/sha256-" + r.files()[0].sha256)
    t.claim("and is the blob itself, not a copy", os.path.exists(blob) and os.stat(blob).st_nlink == 2, blob)
    listed = home.run("list")
    t.claim("list has a line with name, bytes and repository", listed.status == 0 and listed.out.count("\n") == 1
            and all(w in listed.out for w in ("hearth-small:q8_0", r.name)), listed)
    show = home.run("show", "hearth-small:q8_0")
    t.claim("show says what it holds and where it came from", show.status == 0 and "llama" in show.out
            and r.name in show.out and r.refs["main"] in show.out, show)
    uses(t, home)
    mark = hub.mark()
    again = home.pull("acme/Hearth-Small-GGUF:Q8_0", "--json")
    j = again.json() or {}
    t.claim("pulling it again downloads nothing", again.status == 0 and hub.sent(mark) == 0
            and j.get("downloaded_bytes") == 0 and j.get("name") == "hearth-small:q8_0", again)
    t.claim("pull --json has the members that the contract names",
            set(j) >= {"name", "repo", "commit", "files", "bytes", "downloaded_bytes", "path", "seconds"}
            and j["files"] == 1 and j["bytes"] == len(real) and os.path.exists(j["path"]), again)
    gone = home.run("rm", "hearth-small:q8_0")
    t.claim("rm removes name, files and blob", gone.status == 0 and home.empty() and not home.blobs()
            and not os.path.exists(entry.get("path", "/")), gone)
    hub.close()


def uses(t, home):
    """The name stands wherever MODEL stands, and gives what the file gives."""
    path = os.path.join(ROOT, "models/hearth-small.gguf")
    options = ("The harbour was built", "-n", "6", "--temperature", "0", "--raw")
    expected = home.run("run", path, *options)
    for name in ("hearth-small:q8_0", "hearth-small", "local/hearth-small:q8_0", "local/hearth-small"):
        r = home.run("run", name, *options)
        t.claim(f"run {name} answers as the file does", r.status == 0 and r.out == expected.out and r.out, r, expected)
    r = home.run("run", "hearth-small:q4_0", *options)
    t.claim("a quantization that is not here is told, with what is", r.one_line("q4_0", "q8_0"), r)
    document = os.path.join(home.folder, "text.txt")
    with open(document, "w") as f:
        f.write(TEXT)
    expected = home.run("summarize", document, "-m", path, "--words", "30")
    r = home.run("summarize", document, "-m", "hearth-small", "--words", "30")
    t.claim("summarize -m NAME answers as the file does", r.out == expected.out and r.out and
            r.status == expected.status, r, expected)
    r = home.run("summarize", document, "--words", "30", HEARTH_MODEL="hearth-small")
    t.claim("HEARTH_MODEL takes the name too", r.out == expected.out and r.out, r)


def pulled_checkout(t):
    hub = HubDouble()
    files = checkout()
    r = hub.add(Repository("acme/Tiny-Llama", files | NOT_FETCHED))
    home = Home(hub)
    p = home.pull("acme/Tiny-Llama")
    t.claim("a checkout is named after its repository", p.status == 0 and p.out == "tiny-llama\n", p)
    entry = home.listed().get("tiny-llama", {})
    got = home.content(entry) if entry else {}
    t.claim("its files are the model's and no others", got == {n: File(n, d).sha256 for n, d in files.items()},
            sorted(set(got) ^ set(files)))
    t.claim("pickles, code and second copies were not even asked for",
            not any(q.path in NOT_FETCHED for q in hub.requests), [q.path for q in hub.requests])
    t.claim("files that the hub knows by git id have their SHA-256 too",
            all(f["sha256"] is None or f["sha256"] == got.get(f["path"]) for f in entry.get("files", [{}])) and
            home.blobs() == set(got.values()) and not home.honest(), entry)
    run = home.run("run", "tiny-llama", "Hello", "-n", "4", "--raw")
    t.claim("it runs by its name", run.status == 0 and run.out, run)
    show = home.run("show", "tiny-llama")
    t.claim("show knows it too", show.status == 0 and "acme/Tiny-Llama" in show.out, show)
    q = home.pull("acme/Tiny-Llama:q8_0")
    t.claim("a quantization of a checkout is refused, naming hearth quantize", q.status in (1, 2)
            and "hearth quantize" in q.err and q.err.count("\n") == 1, q)
    changed = files | {"generation_config.json": b'{"temperature": 0.7}'}
    new = r.commit(changed | NOT_FETCHED)
    mark = hub.mark()
    p = home.pull("acme/Tiny-Llama")
    sent = {q.path for q in hub.since(mark) if q.sent}
    t.claim("of a new commit only what changed is downloaded", p.status == 0 and sent == {"generation_config.json"}
            and home.listed()["tiny-llama"]["commit"] == new, p, sent)
    home.run("rm", "tiny-llama")
    t.claim("after rm nothing of either commit is left", home.empty() and not home.blobs(), home.blobs())
    hub.close()


CHOICES = [  # files of the repository, quantization asked for, files that are taken (None: refused), words of the refusal
    (["m-Q8_0.gguf", "m-Q4_K_M.gguf", "m-f16.gguf"], "", ["m-Q4_K_M.gguf"], ""),
    (["m-Q4_0.gguf", "m-Q4_K_M.gguf"], "", ["m-Q4_K_M.gguf"], ""),
    (["m.Q8_0.gguf", "m.q4_0.gguf"], "", ["m.q4_0.gguf"], ""),
    (["m.f16.gguf", "m.Q8_0.gguf"], "", ["m.Q8_0.gguf"], ""),
    (["m-BF16.gguf", "m-F16.gguf"], "", ["m-F16.gguf"], ""),
    (["m-IQ3_XS.gguf", "m-bf16.gguf"], "", ["m-bf16.gguf"], ""),
    (["m-IQ3_XS.gguf", "README.md"], "", ["m-IQ3_XS.gguf"], ""),
    (["m-IQ3_XS.gguf", "m-Q2_K.gguf"], "", None, "iq3_xs q2_k"),
    (["m-Q4_K_M.gguf", "m-Q8_0.gguf"], ":Q8_0", ["m-Q8_0.gguf"], ""),
    (["m-Q4_K_M.gguf", "m-Q8_0.gguf"], ":q5_k_m", None, "q5_k_m q8_0"),
    (["m-bf16.gguf", "m-q8_0.gguf"], ":f16", None, "f16"),
    (["m-bf16.gguf", "m-f16.gguf"], ":f16", ["m-f16.gguf"], ""),
    (["m-Q4_K_M.gguf", "m-Q4_K_S.gguf"], ":q4_k", None, "q4_k_m"),
    (["m-q8_0-00001-of-00002.gguf", "m-q8_0-00002-of-00002.gguf", "m-q4_0.gguf"], ":q8_0",
     ["m-q8_0-00001-of-00002.gguf", "m-q8_0-00002-of-00002.gguf"], ""),
    (["Q4_K_M/m-00001-of-00002.gguf", "Q4_K_M/m-00002-of-00002.gguf", "Q8_0/m-00001-of-00002.gguf",
      "Q8_0/m-00002-of-00002.gguf"], ":q8_0", ["Q8_0/m-00001-of-00002.gguf", "Q8_0/m-00002-of-00002.gguf"], ""),
    (["Q4_K_M/m-Q4_K_M-00001-of-00002.gguf", "Q4_K_M/m-Q4_K_M-00002-of-00002.gguf"], "",
     ["Q4_K_M/m-Q4_K_M-00001-of-00002.gguf", "Q4_K_M/m-Q4_K_M-00002-of-00002.gguf"], ""),
    (["m-q8_0-00001-of-00003.gguf", "m-q8_0-00003-of-00003.gguf"], ":q8_0", None, ""),
    (["mmproj-m-Q4_K_M.gguf", "mmproj-f16.gguf", "m-Q8_0.gguf", "imatrix_all.gguf"], "", ["m-Q8_0.gguf"], ""),
    (["mmproj-m-Q8_0.gguf", "m-Q4_K_M.gguf"], ":q8_0", None, "q8_0"),
    (["m-Q8_0.gguf", "model.safetensors", "config.json"], "", ["m-Q8_0.gguf"], ""),
    (["mmproj-f16.gguf"], "", None, ""),
    (["pytorch_model.bin", "config.json"], "", None, ""),
    ([], "", None, ""),
]


def choices(t):
    hub = HubDouble()
    home = Home(hub)
    for i, (files, quant, taken, words) in enumerate(CHOICES):
        hub.add(Repository(f"acme/c{i}", {f: gguf_bytes(3000, i) + f.encode() for f in files}))
        what = f"{', '.join(files) or 'no files'}{' asked for ' + quant[1:] if quant else ''}"
        r = home.pull(f"acme/c{i}{quant}", "--dry-run")
        if taken is None:
            t.claim(f"{what}: refused", r.one_line(*words.split()), r)
        else:
            t.claim(f"{what}: {', '.join(taken)}", r.status == 0 and all(
                (f in r.out) == (f in taken) for f in files), r)
    t.claim("--dry-run downloads and writes nothing", hub.sent() == 0 and home.empty() and not home.blobs())
    parts = home.pull("acme/c14:q8_0")
    entry = home.listed().get("c14:q8_0", {})
    t.claim("all parts of a split model are pulled, and verified", parts.status == 0 and home.content(entry) ==
            {f.path: f.sha256 for f in hub.repositories["acme/c14"].files()[2:]} and not home.honest(), parts, entry)
    hub.close()


WRONG = ["acme", "a/b/c", "../x", "acme/..", "acme/x:", "", "/acme/x", "acme/", "http://127.0.0.1:9/acme/x",
         "https://example.org/acme/x", "acme/x y", "acme/x?a=b", "acme/x#f", "acme/x%2e%2e", "acme/x\n", "acme\\x",
         "acme/" + "x" * 300, "acme/..-gguf", "acme/.-GGUF", "acme/-gguf", "acme/x:../y", "acme/x:a/b", "file:///etc/passwd"]


def references(t):
    hub = HubDouble()
    home = Home(hub)
    for name in WRONG:
        r = home.pull(name)
        t.claim(f"pull {name[:40]!r} is wrong usage", r.status == 2 and r.out == "" and
                r.err.count("\n") == 1 and r.err.startswith("hearth pull: "), r)
    t.claim("wrong references reach no hub and leave no store", not hub.requests and
            not os.path.exists(os.path.join(home.models, "names")), hub.requests)
    for option in (["--name", "../up"], ["--name", "a/b"], ["--name", ".."], ["--name", "a\nb"],
                   ["--connections", "0"], ["--connections", "x"], ["--connections", "100000"]):
        mark = hub.mark()
        r = home.pull("acme/m", *option)
        t.claim(f"pull {option[0]} {option[1]!r} is wrong usage", r.status == 2 and r.err.count("\n") == 1
                and r.err.startswith("hearth pull: ") and not hub.since(mark), r)
    hub.add(Repository("acme/M.x_1-GGUF", {"m-q8_0.gguf": gguf_bytes(5000)}))
    for name in ("https://huggingface.co/acme/M.x_1-GGUF", hub.endpoint + "/acme/M.x_1-GGUF:q8_0",
                 "hf.co/acme/M.x_1-GGUF", "acme/M.x_1-GGUF:Q8_0"):
        r = home.pull(name)
        t.claim(f"pull {name.replace(hub.endpoint, 'ENDPOINT')} means the repository",
                r.status == 0 and r.out == "m.x_1:q8_0\n", r)
    r = home.pull("acme/M.x_1-GGUF", HF_ENDPOINT=hub.endpoint + "/")
    t.claim("an endpoint may end in a slash", r.status == 0, r)
    for endpoint in ("ftp://127.0.0.1/", "file:///etc", "127.0.0.1", "http://"):
        r = home.pull("acme/M.x_1-GGUF", HF_ENDPOINT=endpoint)
        t.claim(f"HF_ENDPOINT={endpoint} is told in one line", r.status in (1, 2) and r.out == "" and
                r.err.count("\n") == 1 and "HF_ENDPOINT" in r.err, r)
    hub.close()
