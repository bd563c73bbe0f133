#!/usr/bin/env python3
"""The hub double against a client that we did not write: `huggingface_hub` downloads from it, byte for byte.

Skipped where tools/hub-venv was not run. This checks the double, not Hearth: what test_pull.py is told by it is what
the hub's own library takes for a hub.
"""
import gzip
import http.client
import json
import os
import subprocess
import sys
import tempfile

from hub_double import File, HubDouble, Repository

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PYTHON = os.path.join(ROOT, "build/venv-hub/bin/python")
TOKEN = "hf_doubletoken"
failed = False


def claim(name, good, seen=""):
    global failed
    print(("ok " if good else "not ok ") + name)
    if not good:
        failed = True
        print("    " + str(seen)[-2500:])


def client(hub, code, token=None):
    """Runs code with huggingface_hub against the double; its `result` comes back as JSON."""
    with tempfile.TemporaryDirectory() as home:
        env = {"PATH": os.environ["PATH"], "HOME": home, "HF_HOME": home + "/hf", "HF_ENDPOINT": hub.endpoint,
               "HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
        if token:
            env["HF_TOKEN"] = token
        code = "import huggingface_hub as h, os, hashlib, json\n" + code + "\nprint(json.dumps(result))"
        r = subprocess.run([PYTHON, "-W", "ignore", "-c", code], capture_output=True, text=True, env=env, timeout=120)
        return json.loads(r.stdout) if r.returncode == 0 else r.stderr


SNAPSHOT = """
folder = h.snapshot_download({name!r}, revision={revision!r})
result = {{os.path.relpath(os.path.join(d, f), folder): hashlib.sha256(open(os.path.join(d, f), 'rb').read()).hexdigest()
          for d, _, names in os.walk(folder) for f in names}}
"""
RAISED = """
try:
    {code}
    result = "nothing"
except Exception as e:
    result = [type(e).__name__, getattr(getattr(e, "response", None), "status_code", 0)]
"""


def snapshot(hub, name, revision="main", token=None):
    return client(hub, SNAPSHOT.format(name=name, revision=revision), token)


def raised(hub, code, token=None):
    return client(hub, RAISED.format(code=code), token)


def downloads(hub, repository):
    hashes = {f.path: f.sha256 for f in repository.files()}
    for hub.small_redirects in (False, True):
        how = "by a relative redirect" if hub.small_redirects else "directly"
        got = snapshot(hub, repository.name)
        claim(f"a snapshot is the repository, small files {how}", got == hashes, (got, hashes))
    claim("large files came from the other host", hub.sent(path="model-q8_0.gguf") and
          all(r.listener == "cdn" for r in hub.requests if r.path == "model-q8_0.gguf" and r.sent))
    got = snapshot(hub, "acme/old-name")
    claim("a renamed repository is found", got == hashes, got)
    other = repository.commit({"config.json": b'{"v": 2}'}, "refs/pr/1", "v2")
    for revision in ("refs/pr/1", "v2", other):
        got = snapshot(hub, repository.name, revision)
        claim(f"revision {revision[:9]} is its own commit", got == {"config.json": File("", b'{"v": 2}').sha256}, got)


def metadata(hub, repository):
    got = client(hub, f"""
i = h.model_info({repository.name!r}, files_metadata=True)
result = [i.sha, [[s.rfilename, s.size, s.blob_id, s.lfs and s.lfs.sha256, s.lfs and s.lfs.size] for s in i.siblings]]""")
    expected = [repository.refs["main"], [[f.path, len(f.data), f.blob_id, f.sha256 if f.large else None,
                                           len(f.data) if f.large else None] for f in repository.files()]]
    claim("sizes, git ids and SHA-256 are where the library looks for them", got == expected, (got, expected))


def refusals(hub):
    hub.tokens = {TOKEN: "ann", "hf_other": "bob"}
    hub.add(Repository("acme/private", {"config.json": b"{}"}, private=True, readers=["ann"]))
    hub.add(Repository("acme/gated", {"config.json": b"{}"}, gated=True, readers=["ann"]))
    get = 'h.hf_hub_download({!r}, {!r}, revision={!r})'.format
    for name, code, token, expected in (
            ("no repository", get("acme/none", "config.json", "main"), None, ["RepositoryNotFoundError", 401]),
            ("no repository, with a token", get("acme/none", "config.json", "main"), TOKEN, ["RepositoryNotFoundError", 404]),
            ("a private one", get("acme/private", "config.json", "main"), "hf_other", ["RepositoryNotFoundError", 404]),
            ("a private one to its reader", get("acme/private", "config.json", "main"), TOKEN, "nothing"),
            ("a gated one without a token", get("acme/gated", "config.json", "main"), None, ["GatedRepoError", 401]),
            ("a gated one without permission", get("acme/gated", "config.json", "main"), "hf_other", ["GatedRepoError", 403]),
            ("a gated one with permission", get("acme/gated", "config.json", "main"), TOKEN, "nothing"),
            ("no such file", get("acme/tiny", "none.json", "main"), None, ["RemoteEntryNotFoundError", 404]),
            ("no such revision", get("acme/tiny", "config.json", "v9"), None, ["RevisionNotFoundError", 404])):
        got = raised(hub, code, token)
        claim(f"{name}: {expected if expected == 'nothing' else expected[0]}", got == expected, got)


def resumes(hub, repository):
    file = repository.files("main")[0]
    mark = hub.mark()
    hub.fault("model-q8_0.gguf", cut_after=100000)
    got = client(hub, "import huggingface_hub.constants as c\nc.DOWNLOAD_CHUNK_SIZE = 10000\n"
                 f"p = h.hf_hub_download({repository.name!r}, {file.path!r})\n"
                 "result = hashlib.sha256(open(p, 'rb').read()).hexdigest()", TOKEN)
    requests = [r for r in hub.since(mark, path=file.path) if r.listener == "cdn"]
    claim("a cut connection goes on by Range", got == file.sha256 and any(r.status == 206 for r in requests),
          (got, requests))
    claim("no byte is sent twice", hub.sent(mark, path=file.path) == len(file.data), requests)
    claim("the token stays with the hub", any(r.authorization for r in hub.since(mark, "hub"))
          and not any(r.authorization for r in hub.since(mark, "cdn")), requests)


def get(hub, path, **headers):
    """(status, headers, body as far as it came) without following anything."""
    c = http.client.HTTPConnection("127.0.0.1", hub.hub.server_port, timeout=10)
    c.request("GET", path, headers=headers)
    r = c.getresponse()
    try:
        body = r.read()
    except (http.client.IncompleteRead, ConnectionResetError) as e:
        body = getattr(e, "partial", b"reset")
    c.close()
    return r.status, r.headers, body


def misbehaves(hub):
    """Each fault does what it is called, once, and no more."""
    data = bytes(range(256)) * 40
    hub.add(Repository("acme/bad", {"f.txt": data}))
    path = "/acme/bad/resolve/main/f.txt"
    for what, fault, ranged, check in (
            ("cut", dict(cut_after=1000), {}, lambda s, h, b: s == 200 and b == data[:1000]),
            ("status and headers", dict(status=429, headers={"Retry-After": "7"}), {},
             lambda s, h, b: s == 429 and h["Retry-After"] == "7"),
            ("ignored range", dict(ignore_range=True), {"Range": "bytes=5-9"}, lambda s, h, b: s == 200 and b == data),
            ("wrong Content-Range", dict(content_range="bytes 0-4/5"), {"Range": "bytes=5-9"},
             lambda s, h, b: s == 206 and h["Content-Range"] == "bytes 0-4/5" and b == data[5:10]),
            ("wrong byte", dict(flip=7), {}, lambda s, h, b: b[7] == data[7] ^ 1 and b[:7] + b[8:] == data[:7] + data[8:]),
            ("other content", dict(data=b"other"), {}, lambda s, h, b: b == b"other"),
            ("chunked", dict(chunked=True), {}, lambda s, h, b: "Content-Length" not in h and b == data),
            ("gzip", dict(gzip=True), {}, lambda s, h, b: gzip.decompress(b) == data),
            ("redirect", dict(redirect="file:///x"), {}, lambda s, h, b: s == 302 and h["Location"] == "file:///x"),
            ("extra", dict(extra=b"more"), {}, lambda s, h, b: b == data + b"more"),
            ("nothing wrong: a range", dict(times=0), {"Range": "bytes=5-9"}, lambda s, h, b: s == 206 and b == data[5:10]),
            ("nothing wrong: an open range", dict(times=0), {"Range": "bytes=10230-"},
             lambda s, h, b: b == data[10230:] and h["Content-Range"] == "bytes 10230-10239/10240"),
            ("nothing wrong: past the end", dict(times=0), {"Range": "bytes=10240-"},
             lambda s, h, b: s == 416 and h["Content-Range"] == "bytes */10240")):
        hub.faults.clear()
        hub.fault("f.txt", **fault)
        got = get(hub, path, **ranged)
        after = get(hub, path)
        claim(f"the double: {what}", check(*got) and after[0] == 200 and after[2] == data, (got[0], got[1].items(), got[2][:99]))
    hub.faults.clear()
    status, headers, _ = get(hub, "/acme/bad/resolve/v9/f.txt")
    claim("the double: errors have the hub's codes", status == 404 and headers["X-Error-Code"] == "RevisionNotFound")


def main():
    hub = HubDouble()
    misbehaves(hub)
    hub.close()
    if not os.path.exists(PYTHON):
        print("skip the hub double against huggingface_hub (tools/hub-venv was not run)")
        return
    hub = HubDouble()
    repository = hub.add(Repository("acme/tiny", {
        "model-q8_0.gguf": b"GGUF" + bytes(range(256)) * 4000, "config.json": b'{"model_type": "llama"}',
        "tokenizer.model": b"\0sp" * 99, "sub/dir/a file +%25 \u00e4.txt": b"spaces", ".gitattributes": b"*.gguf lfs\n",
        "empty.txt": b""}))
    hub.moved["acme/old-name"] = "acme/tiny"
    metadata(hub, repository)
    downloads(hub, repository)
    refusals(hub)
    resumes(hub, repository)
    hub.close()


main()
sys.exit(1 if failed else 0)
