"""Where redirects may lead, and that the token stays at home."""
import os
import re

from hub.cases_network import Setting
from hub.harness import TOKEN, Home, stop, wait_for
from hub.models import gguf_bytes
from hub_double import HubDouble, Repository


def token_stays(t):
    """With a token in use: every request to the hub has it, none to anybody else."""
    s = Setting(seed=20, token=TOKEN)
    s.hub.tokens, s.hub.small_redirects = {TOKEN: "ann"}, True
    r = s.pull()
    own, others = s.hub.since(listener="hub"), s.hub.since(listener="cdn")
    t.claim("the hub gets the token with every request", r.status == 0 and s.complete() and
            all(q.authorization == "Bearer " + TOKEN for q in own), r, own)
    t.claim("the other host gets no token", others and not any(q.authorization for q in others), others)
    t.claim("nor the hub's cookies", others and not any("hub-session" in str(q.headers) for q in others), others)
    t.claim("no token and no signed address is written into the store",
            r.status == 0 and not grep(s.home.folder, TOKEN) and not grep(s.home.folder, "SIGNATURE"))
    s.hub.close()


def grep(folder, text):
    found = []
    for d, _, names in os.walk(folder):
        for n in names:
            path = os.path.join(d, n)
            if os.path.isfile(path):
                with open(path, "rb") as f:
                    found += [path] if text.encode() in f.read() else []
    return found


def leads_away(t):
    """Redirects of each kind of answer to each kind of other host."""
    def elsewhere(s):
        s.hub.blobs[s.large.sha256], s.hub.blobs[s.small.sha256] = s.large, s.small
        return {"another host": s.hub.cdn_url, "another port": s.hub.other_url, "another name for the same host":
                s.hub.endpoint.replace("127.0.0.1", "localhost"), "a protocol-relative one": s.hub.cdn_url[5:],
                "one with the hub as user": s.hub.cdn_url.replace("//", f"//{s.hub.endpoint[7:]}@"),
                "one that begins like the hub": s.hub.cdn_url.replace("127.0.0.2", "127.0.0.1.nip.invalid")}
    for what in elsewhere(Setting()):
        s = Setting(seed=21, token=TOKEN)
        s.hub.tokens = {TOKEN: "ann"}
        base = elsewhere(s)[what]
        s.hub.fault("config.json", where="resolve", times=None, redirect=base + s.hub.sign(s.small.sha256))
        s.hub.fault("/api/", where="api", redirect=base + "/api/models/acme/net/revision/main?blobs=true")
        s.pull()
        s.pull()
        leaked = [q for q in s.hub.requests if q.authorization and (q.listener != "hub" or "localhost" in q.host)]
        t.claim(f"the token does not follow a redirect to {what}", not leaked and
                len([q for q in s.hub.requests if q.authorization]) >= 2, leaked, s.hub.requests)
        s.hub.close()


BAD = ["file:///etc/passwd", "FILE:/etc/passwd", "ftp://127.0.0.1/x", "gopher://127.0.0.1:1/_x", "dict://127.0.0.1:1/x",
       "javascript:alert(1)", "data:text/plain,GGUF", "", "http://", "http:///etc/passwd", "http://[::1", "unix:/tmp/x",
       "scp://127.0.0.1/etc/passwd", "http://127.0.0.2:99999/x", "\\\\host\\share", "http://" + "a" * 9000 + ".invalid/"]


def leads_nowhere(t):
    s = Setting(seed=22)
    for where, file, label in (("resolve", "model.safetensors", "a file's"), ("api", "", "the API's")):
        for address in BAD if where == "resolve" else BAD[:2]:
            s.hub.faults.clear()
            s.hub.fault(file, where=where, times=None, redirect=address)
            r = s.pull()
            t.claim(f"{label} redirect to {address[:30]!r} is refused in one line", r.one_line() and "root:" not in r.err
                    and s.home.empty(), r)
    s.hub.faults.clear()
    t.claim("the next pull is whole", s.pull().status == 0 and s.complete())
    s.hub.close()


def loops(t):
    for where, match in (("resolve", "model.safetensors"), ("data", "model.safetensors"), ("api", "")):
        s = Setting(seed=23)
        s.hub.fault(match, where=where, times=None, redirect="{self}")
        r = s.pull("--connections", "1")
        asked = len([q for q in s.hub.requests if q.status == 302])
        t.claim(f"a loop of redirects ({where}) ends after about ten", r.one_line("redirect") and 2 <= asked <= 24
                and s.home.empty(), r, asked)
        s.hub.close()
    s = Setting(seed=24)
    s.hub.fault("config.json", where="resolve", times=9, redirect="{self}")
    r = s.pull("--connections", "1")
    t.claim("nine redirects are followed", r.status == 0 and s.complete(), r)
    s.hub.close()


def token_sources(t):
    hub = HubDouble()
    hub.tokens = {TOKEN: "ann", "hf_fromfile": "ann", "hf_fromhome": "ann"}
    hub.add(Repository("acme/m", {"m-q8_0.gguf": gguf_bytes(2000)}))
    home = Home(hub)
    folder = home.folder
    os.mkdir(folder + "/hf")
    os.makedirs(folder + "/home/.cache/huggingface")
    for name, text in (("token", "hf_fromfile\n"), ("hf/token", "  hf_fromhome \r\n"), ("empty", ""), ("big", "x" * 100000),
                       ("two", "hf_fromfile\r\nX-Evil: 1\n"), ("home/.cache/huggingface/token", "hf_fromhome")):
        with open(os.path.join(folder, name), "w") as f:
            f.write(text)

    def sent(**env):
        mark = hub.mark()
        r = home.pull("acme/m", "--dry-run", **env)
        evil = any("X-Evil" in q.headers for q in hub.since(mark))
        got = {(q.authorization or "").removeprefix("Bearer ") for q in hub.since(mark)}
        if evil or len(got) > 1:
            return "evil", got
        return got.pop() if got else r.err.startswith("hearth pull: ") and r.err.count("\n") == 1 and r.status in (1, 2)

    for what, env, expected in (
            ("HF_TOKEN is sent", dict(HF_TOKEN=TOKEN), TOKEN),
            ("HF_TOKEN comes before HF_TOKEN_PATH", dict(HF_TOKEN=TOKEN, HF_TOKEN_PATH=folder + "/token"), TOKEN),
            ("HF_TOKEN_PATH names a file, whose last newline does not count", dict(HF_TOKEN_PATH=folder + "/token"),
             "hf_fromfile"),
            ("HF_TOKEN_PATH comes before HF_HOME", dict(HF_TOKEN_PATH=folder + "/token", HF_HOME=folder + "/hf"),
             "hf_fromfile"),
            ("$HF_HOME/token is read", dict(HF_HOME=folder + "/hf"), "hf_fromhome"),
            ("an empty HF_TOKEN is none", dict(HF_TOKEN="", HF_HOME=folder + "/nothing"), ""),
            ("an empty file is none", dict(HF_TOKEN_PATH=folder + "/empty"), ""),
            ("no token, no header", dict(HF_HOME=folder + "/nothing"), "")):
        got = sent(**env)
        t.claim(what, got == expected, got)
    for what, env in (("HF_TOKEN with a line break", dict(HF_TOKEN=TOKEN + "\r\nX-Evil: 1")),
                      ("a token file of two lines", dict(HF_TOKEN_PATH=folder + "/two")),
                      ("a token file of 100,000 bytes", dict(HF_TOKEN_PATH=folder + "/big"))):
        got = sent(**env)
        t.claim(f"{what} makes no header of its own", got is True or got in ("", "hf_fromfile"), got)
    hub.close()


def not_in_ps(t):
    """While a pull with a token runs, its command line does not show it."""
    s = Setting(seed=25, token=TOKEN)
    s.hub.tokens, s.hub.rate = {TOKEN: "ann"}, 200000
    p = s.home.start("pull", "acme/net")
    wait_for(lambda: s.hub.sent() > 50000)
    seen = b""
    for task in [str(p.pid), *children(p.pid)]:
        with open(f"/proc/{task}/cmdline", "rb") as f:
            seen += f.read()
    t.claim("ps shows no token", b"pull" in seen and not re.search(TOKEN.encode() + b"|SIGNATURE", seen), seen)
    stop(p)
    s.home.finish(p)
    t.claim("an unfinished download holds no token and no signed address",
            s.home.part_bytes() > 0 and not grep(s.home.folder, TOKEN) and not grep(s.home.folder, "SIGNATURE"))
    s.hub.close()


def children(pid):
    try:
        with open(f"/proc/{pid}/task/{pid}/children") as f:
            return f.read().split()
    except OSError:
        return []
