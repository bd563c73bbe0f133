"""A hub that lies: answers that are no JSON or too much of it, sizes and ids that cannot be, names that lead outside."""
import json
import os

from hub.harness import Home
from hub.models import checkout, gguf_bytes
from hub_double import File, HubDouble, Repository

SHA = "ab" * 32


def strangers(home):
    """Files below the test's folder that are neither the store's nor were there before."""
    found = []
    for folder, folders, names in os.walk(home.folder):
        for n in names:
            inside = os.path.relpath(os.path.join(folder, n), home.models)
            if inside.startswith("..") or inside.split("/")[0] not in ("blobs", "names", "files", "lock"):
                found.append(os.path.join(folder, n))
    return found


NAMES = ["../x.safetensors", "/etc/x.safetensors", "a/../../b.safetensors", "a\\b.safetensors", "..\\b.safetensors",
         "a\0b.safetensors", "a\nb.safetensors", "\x1b[2Jb.safetensors", "x\x7f.safetensors", "", ".", "..",
         "./x.safetensors", "a//b.safetensors", "a/./b.safetensors", "x" * 5000 + ".safetensors", "x" * 300 + ".safetensors",
         "a/" * 2000 + "b.safetensors",
         "C:\\x.safetensors", "../../names/evil/-.json", "../config.json", "/config.json", "\u202egpj.safetensors",
         "config.json/x.safetensors", "../../../home/.bashrc.json", "..", "model.safetensors\0", " /x.safetensors",
         "~/x.json", "\x9b2Jx.safetensors"]


def file_names(t):
    """Whatever names the hub gives: refused, or nothing outside the model's own folder."""
    hub = HubDouble()
    good = {n: d for n, d in checkout().items() if n in ("config.json", "tokenizer.json")}
    for i, name in enumerate(NAMES):
        evil = hub.anything = File(name, gguf_bytes(1200, i))  # `..` is gone from the address when it is asked for
        hub.add(Repository(f"acme/h{i}", [*(File(n, d) for n, d in good.items()),
                                          File("model.safetensors", b"x" * 99), evil]))
        home = Home(hub)
        r = home.pull(f"acme/h{i}")
        listed = home.listed()
        told = (r.one_line() and len(r.err) < 600) or (r.status == 0 and r.err.printable())
        inside = r.status != 0 or all(os.path.normpath(p) == p and not p.startswith(("..", "/"))
                                      for p in home.content(listed[f"h{i}"]))
        t.claim(f"file name {name[:30]!r}: nothing leaves the store", told and inside and not strangers(home) and
                isinstance(listed, dict) and len(listed) == (r.status == 0), r, strangers(home), listed)
    hub.close()


def twice(t):
    """The same name twice with different content."""
    hub = HubDouble()
    hub.add(Repository("acme/twice", [File("config.json", b"{}"), File("model.safetensors", gguf_bytes(1000, 1)),
                                      File("model.safetensors", gguf_bytes(1000, 2))]))
    home = Home(hub)
    r = home.pull("acme/twice")
    t.claim("a name that comes twice is refused in one line", r.one_line("model.safetensors") and home.empty(), r)
    hub.close()


def quantization_names(t):
    """A quantization becomes part of paths: it comes from the file's name, which the hub gives."""
    hub = HubDouble()
    for name in ("m-...gguf", "m-..gguf", ".gguf", "-.gguf", "m-a\nb.gguf", "m-../x.gguf", "../../m-q8_0.gguf", "m-a:b.gguf",
                 "m- .gguf", "m-" + "q" * 200 + ".gguf", "../m/x-q8_0.gguf"):
        hub.anything = File(name, gguf_bytes(900, 3))  # `..` is gone from the address when it is asked for
        hub.add(Repository("acme/Tiny-GGUF", [hub.anything]))
        home = Home(hub)
        r = home.pull("acme/Tiny-GGUF")
        listed = home.listed()
        depth = [os.path.relpath(os.path.join(d, f), home.models).split("/") for d, _, n in os.walk(home.models) for f in n]
        told = r.one_line() or (r.status == 0 and r.out.count("\n") == 1)
        t.claim(f"GGUF name {name[:30]!r}: stays in its place", told and not strangers(home) and all(p[0] != "names" or len(p) == 3 for p in depth) and
                all(p[0] != "files" or len(p) >= 4 for p in depth) and len(listed) == (r.status == 0), r, depth)
    hub.close()


ENTRIES = {  # what the API says of a 1,000 byte file, against what is so
    "a size that is too small": dict(size=10, lfs={"size": 10, "sha256": File("", gguf_bytes(1000, 1)).sha256}),
    "a size that is too large": dict(size=2000, lfs={"size": 2000, "sha256": File("", gguf_bytes(1000, 1)).sha256}),
    "two sizes": dict(size=5, lfs={"size": 1000, "sha256": SHA}),
    "a negative size": dict(size=-1, lfs={"size": -1, "sha256": SHA}),
    "a size of 2^63": dict(size=1 << 63, lfs={"size": 1 << 63, "sha256": SHA}),
    "a size of 2^63-1": dict(size=(1 << 63) - 1, lfs={"size": (1 << 63) - 1, "sha256": SHA}),
    "a size of 10^30": dict(size=10 ** 30, lfs={"size": 10 ** 30, "sha256": SHA}),
    "a size with a fraction": dict(size=1000.5, lfs={"size": 1000.5, "sha256": SHA}),
    "a size as text": dict(size="1000", lfs={"size": "1000", "sha256": SHA}),
    "no size": dict(size=None, lfs={"sha256": SHA}),
    "no id of any kind": dict(lfs=None, blobId=None),
    "an id that is a path": dict(lfs={"size": 1000, "sha256": "../../../../" + "a" * 52}),
    "an id of 63 digits": dict(lfs={"size": 1000, "sha256": "a" * 63}),
    "an id of 65 digits": dict(lfs={"size": 1000, "sha256": "a" * 65}),
    "an id that is not hexadecimal": dict(lfs={"size": 1000, "sha256": "g" * 64}),
    "an id that is a number": dict(lfs={"size": 1000, "sha256": 7}),
    "an empty id": dict(lfs={"size": 1000, "sha256": ""}),
    "a wrong id": dict(lfs={"size": 1000, "sha256": SHA}),
    "a git id that is a path": dict(lfs=None, blobId="../../../" + "b" * 31),
    "a wrong git id": dict(lfs=None, blobId="b" * 40),
    "a short git id": dict(lfs=None, blobId="b" * 39),
    "a git id that is a list": dict(lfs=None, blobId=["b" * 40]),
    "lfs that is a list": dict(lfs=[1, 2]),
    "lfs that is text": dict(lfs="yes"),
}


def entries(t):
    hub = HubDouble()
    for i, (what, sibling) in enumerate(ENTRIES.items()):
        file = File("m-q8_0.gguf", gguf_bytes(1000, 1), sibling=sibling)
        hub.add(Repository(f"acme/e{i}", [file]))
        home = Home(hub)
        r = home.pull(f"acme/e{i}")
        t.claim(f"{what} is refused in one line", r.one_line() and home.empty() and not home.blobs()
                and not strangers(home), r, home.blobs())
    hub.close()


def info(**changes):
    value = {"id": "acme/api", "sha": "c" * 40, "siblings": [
        {"rfilename": "m-q8_0.gguf", "size": 1000, "blobId": "b" * 40, "lfs": {"size": 1000, "sha256": SHA}}]}
    value.update(changes)
    return json.dumps(value).encode()


ANSWERS = {
    "nothing": b"", "not JSON": b"<html>hello</html>", "half of it": info()[:60], "null": b"null", "a list": b"[]",
    "a number": b"7", "text": b'"x"', "an empty object": b"{}", "two objects": b"{}{}", "not UTF-8": b'{"sha": "\xff\xfe"}',
    "NUL in a text": b'{"sha": "a\\u0000b", "siblings": []}', "100,000 levels": b"[" * 100000 + b"]" * 100000,
    "100,000 levels in a member": b'{"sha":"' + b"c" * 40 + b'","x":' + b'{"a":' * 100000 + b"1" + b"}" * 100001,
    "a commit that is a path": info(sha="../../" + "a" * 34), "a short commit": info(sha="abc"), "no commit": info(sha=None),
    "a commit with an address in it": info(sha="c" * 20 + "?x=" + "c" * 17), "a commit that is a number": info(sha=4),
    "files as an object": info(siblings={"a": 1}), "files as null": info(siblings=None),
    "files as numbers": info(siblings=[1, 2]),
    "files that are null": info(siblings=[None]), "a name that is a number": info(siblings=[{"rfilename": 4, "size": 1}]),
    "no name": info(siblings=[{"size": 1, "blobId": "b" * 40}]),
    "300,000 files": info(siblings=[{"rfilename": f"{i}.safetensors", "size": 1, "blobId": "b" * 40}
                                    for i in range(300000)]),
}


def answers(t):
    hub = HubDouble()
    for what, body in ANSWERS.items():
        home = Home(hub)
        hub.faults.clear()
        hub.fault("", where="api", times=None, body=body)
        r = home.pull("acme/api")
        t.claim(f"an API answer of {what} is refused in one line", r.one_line() and r.seconds < 200 and home.empty()
                and not strangers(home), r)
    hub.close()


def too_large(t):
    """An API answer without end, with and without a stated length, is left early."""
    for what, headers in (("stated", {}), ("unstated", {"Content-Length": None, "Connection": "close"})):
        hub = HubDouble()
        body = b'{"sha": "' + b"c" * 40 + b'", "siblings": [' + b'{"x": 1}, ' * (30 << 20) + b"1]}"
        hub.fault("", where="api", times=None, body=body, headers=headers)
        r = Home(hub).pull("acme/api")
        t.claim(f"an API answer of 300 MB, its length {what}, is refused in one line", r.one_line() and r.seconds < 200, r)
        hub.close()


def control_characters(t):
    """What a server says is not printed raw: X-Error-Message and bodies with escape sequences."""
    hub = HubDouble()
    hub.fault("", where="api", times=None, status=403, body=b'{"error":"\x1b[2J\x1b]0;owned\x07 \n line"}',
              headers={"X-Error-Message": "\x1b[31mred", "X-Error-Code": "Gated\x1b[2J"})
    r = Home(hub).pull("acme/api")
    t.claim("a server's words reach the terminal without control characters", r.one_line(), r)
    hub.close()
