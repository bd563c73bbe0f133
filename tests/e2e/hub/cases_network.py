"""What networks and servers do to a download, and what must come of it: the right bytes, or one line and no model."""
from hub.harness import Home
from hub.models import gguf_bytes
from hub_double import File, HubDouble, Repository

SIZE = 600000
SMALL = b'{"model_type": "llama", "padding": "' + b"x" * 20000 + b'"}'


class Setting:
    """A hub with one model of a large and a small file, and a home."""

    def __init__(self, seed=1, size=SIZE, **home):
        self.hub = HubDouble()
        self.large = File("model.safetensors", gguf_bytes(size, seed))
        self.small = File("config.json", SMALL)
        self.hub.add(Repository("acme/net", [self.large, self.small]))
        self.home = Home(self.hub, **home)

    def complete(self):
        entry = self.home.listed().get("net", {})
        return bool(entry) and not self.home.honest() and self.home.content(entry) == {
            f.path: f.sha256 for f in (self.large, self.small)}

    def pull(self, *arguments, **more):
        return self.home.pull("acme/net", *arguments, **more)


MENDED = {  # faults that happen a few times and must not be noticed, beside what they may cost in bytes sent twice
    "cut after 1 byte": (dict(cut_after=1), 1),
    "cut in the middle": (dict(cut_after=300000), 1),
    "cut before the last byte": (dict(cut_after=SIZE - 1), 1),
    "reset in the middle": (dict(cut_after=250000, reset=True), SIZE),
    "closed without a word": (dict(close=True, times=2), 0),
    "cut twice": (dict(cut_after=100000, times=2), 1),
    "status 500": (dict(status=500, body=b"oops"), 0),
    "status 503 with HTML": (dict(status=503, body=b"<html>" + b"x" * 5000, headers={"Content-Type": "text/html"}), 0),
    "status 502, 504": (dict(status=504, times=2), 0),
    "429 with Retry-After": (dict(status=429, headers={"Retry-After": "1"}), 0),
    "429 with a RateLimit header": (dict(status=429, headers={"RateLimit": '"resolvers";r=0;t=1'}), 0),
    "Range ignored": (dict(ignore_range=True), SIZE),
    "wrong byte once": (dict(flip=123456), SIZE),
    "a wrong Content-Range once": (dict(content_range="bytes 1-2/3"), SIZE),
    "another length once": (dict(data=gguf_bytes(SIZE // 2, 9)), SIZE),
    "bytes after the end once": (dict(extra=b"more" * 1000), SIZE),
    "chunked, without a length": (dict(chunked=True, times=None), 0),
    "not HTTP once": (dict(raw=b"\x16\x03\x01 what is this\r\n\r\n"), 0),
}

MAY_END = ("wrong byte once", "another length once", "bytes after the end once", "a wrong Content-Range once",
           "not HTTP once")


def mend(what, fault, twice, t):
    s = Setting()
    for name in ("model.safetensors", "config.json"):
        own = dict(fault)
        for k in ("cut_after", "flip"):
            if k in own and name == "config.json":
                own[k] = min(own[k], len(SMALL) - 1)
        s.hub.fault(name, **own)
    results = [s.pull()]
    while what in MAY_END and results[-1].one_line() and s.home.empty() and len(results) < 3:
        results.append(s.pull())  # these may end a pull, one for each file, but not harm the next
    t.claim(f"{what}: the model is whole", results[-1].status == 0 and s.complete(), *results)
    sent = s.hub.sent()
    t.claim(f"{what}: little is sent twice", results[-1].status == 0 and
            sent <= SIZE + len(SMALL) + 65536 + 2 * twice, sent, *results)
    s.hub.close()


def ranges(t):
    """After a cut, ranges continue; a server that forgets ranges or gives other ones does no harm."""
    for what, second in (("answered with the whole file", dict(ignore_range=True)),
                         ("answered with another range", dict(content_range=f"bytes 0-9/{SIZE}")),
                         ("answered with another total", dict(headers={"Content-Range": f"bytes 200000-{SIZE - 1}/{SIZE + 1}"})),
                         ("answered without Content-Range", dict(headers={"Content-Range": None})),
                         ("answered with 416", dict(status=416, headers={"Content-Range": f"bytes */{SIZE}"})),
                         ("answered from another file", dict(data=gguf_bytes(SIZE, 77))),
                         ("answered with too few bytes", dict(headers={"Content-Length": "1000"}))):
        s = Setting(seed=3)
        s.hub.fault("model.safetensors", cut_after=200000)
        s.hub.fault("model.safetensors", ranged=True, **second)
        r = s.pull()
        told = r.status == 0 or (r.one_line() and s.home.empty())
        r2 = r if r.status == 0 else s.pull()
        t.claim(f"a range {what}: the model is whole in the end", told and r2.status == 0 and s.complete(), r, r2)
        s.hub.close()


def expired(t):
    """Signed addresses hold for a while only: then a new one is asked for."""
    s = Setting(seed=4)
    s.hub.signature_uses = 1
    s.hub.fault("model.safetensors", cut_after=150000, times=3)
    r = s.pull("--connections", "1")
    t.claim("an address that holds for one request is asked for anew after a cut", r.status == 0 and s.complete(), r)
    s.hub.close()


ENDING = {  # always so: an error in one line, no model, and a good pull once it is over
    "always cut at once": dict(cut_after=0),
    "always wrong bytes": dict(flip=1000),
    "always another length": dict(data=gguf_bytes(1000, 9)),
    "always gzip": dict(gzip=True),
    "always 500": dict(status=500, body=b"x"),
    "always 403": dict(status=403),
    "always 404": dict(status=404),
    "always 410": dict(status=410),
    "429 and an hour to wait": dict(status=429, headers={"Retry-After": "3600"}),
    "429 and nonsense to wait": dict(status=429, headers={"Retry-After": "99999999999999999999"}),
    "always not HTTP": dict(raw=b"what?\r\n\r\n"),
    "endless headers": dict(raw=b"HTTP/1.1 200 OK\r\n" + b"X-Y: zzzzzzzzzzzzzzzzzzzzzzzzzz\r\n" * 40000 + b"\r\n"),
    "204": dict(status=204),
    "206 unasked for other bytes": dict(status=206, body=b"xx", headers={"Content-Range": "bytes 5-6/7"}),
    "300 without an address": dict(status=300),
    "302 without an address": dict(status=302),
}


def ending_of(what, fault, t):
    s = Setting(seed=5, size=200000)
    s.hub.fault("model.safetensors", times=None, **fault)
    r = s.pull()
    t.claim(f"{what}: one line that names the file, and no model", r.one_line("model.safetensors") and s.home.empty()
            and s.large.sha256 not in s.home.blobs() and r.seconds < 240, r)
    if fault.get("status") in (403, 404, 410):
        asked = len([q for q in s.hub.requests if q.listener == "cdn"])
        t.claim(f"{what}: not asked for again and again", 1 <= asked <= 16, asked)
    s.hub.faults.clear()
    r = s.pull()
    t.claim(f"{what}: the next pull is whole", r.status == 0 and s.complete(), r)
    s.hub.close()


def each(function, table):
    """A case for each row, so that their waits overlap."""
    def case_of(what, arguments):
        def case(t):
            function(what, *arguments, t)
        case.__name__ = what
        return case
    return [case_of(w, a if isinstance(a, tuple) else (a,)) for w, a in table.items()]


mended, endings = each(mend, MENDED), each(ending_of, ENDING)


def stalled(t):
    """A server that falls silent is left, and the rest is fetched."""
    s = Setting(seed=6)
    s.hub.fault("model.safetensors", stall_after=200000)
    r = s.pull(HF_HUB_DOWNLOAD_TIMEOUT="3")
    t.claim("a connection that falls silent is given up and gone on with", r.status == 0 and s.complete()
            and s.hub.sent() <= SIZE + len(SMALL) + 65536, r)
    s.hub.close()


def silent(t):
    """The API accepts and never answers."""
    s = Setting(seed=7)
    s.hub.fault("", where="api", times=None, wait_s=30)
    r = s.pull(HF_HUB_DOWNLOAD_TIMEOUT="2")
    t.claim("a hub that never answers is given up in one line", r.one_line() and r.seconds < 200, r)
    r = s.pull(HF_HUB_OFFLINE="1")
    t.claim("HF_HUB_OFFLINE asks nobody, and says so in one line", r.one_line("HF_HUB_OFFLINE"), r)
    nobody = s.home.pull("acme/net", HF_ENDPOINT="http://127.0.0.1:1")
    t.claim("no hub at all is told in one line", nobody.one_line("127.0.0.1"), nobody)
    nobody = s.home.pull("acme/net", HF_ENDPOINT="http://nowhere.invalid")
    t.claim("a name that nobody knows is told in one line", nobody.one_line("nowhere.invalid"), nobody)


def dripping(t):
    """Cut again and again, always with something new: as long as it goes on, it goes on."""
    s = Setting(seed=8)
    s.hub.fault("model.safetensors", cut_after=SIZE // 15, times=None)
    results = [s.pull()]
    while results[-1].status != 0 and len(results) < 4:
        results.append(s.pull())
    t.claim("fifteen cuts in a row are gone on from", results[-1].status == 0 and s.complete(), *results)
    t.claim("and nothing much is sent twice", SIZE <= s.hub.sent() <= SIZE + len(SMALL) + 100000, s.hub.sent())
    s.hub.close()


def several(t):
    """Several connections at once, as --connections says, and never more."""
    s = Setting(seed=9, size=48 << 20)
    s.hub.rate = 24 << 20
    r = s.pull("--connections", "4")
    t.claim("one large file comes over several connections", r.status == 0 and s.complete() and 2 <= s.hub.peak <= 4,
            r, s.hub.peak)
    t.claim("and no byte of it twice", s.hub.sent() == (48 << 20) + len(SMALL), s.hub.sent())
    s.hub.close()
    s = Setting(seed=10, size=4 << 20)
    r = s.pull("--connections", "1")
    t.claim("--connections 1 is one", r.status == 0 and s.hub.peak == 1, r, s.hub.peak)
    s.hub.close()


def refusals(t):
    hub = HubDouble()
    hub.add(Repository("acme/private", {"m-q8_0.gguf": gguf_bytes(3000)}, private=True, readers=["ann"]))
    hub.add(Repository("acme/gated", {"m-q8_0.gguf": gguf_bytes(3000)}, gated=True, readers=["ann"]))
    hub.add(Repository("acme/open", {"m-q8_0.gguf": gguf_bytes(3000)}))
    hub.tokens = {"hf_good": "ann", "hf_bob": "bob"}
    home = Home(hub)
    for what, arguments, token, words in (
            ("no such repository", ["acme/none"], None, "acme/none HF_TOKEN"),
            ("no such repository, with a token", ["acme/none"], "hf_bob", "acme/none"),
            ("a private one without a token", ["acme/private"], None, "acme/private HF_TOKEN"),
            ("a private one with another's token", ["acme/private"], "hf_bob", "acme/private"),
            ("a gated one without a token", ["acme/gated"], None, "acme/gated HF_TOKEN"),
            ("a gated one with another's token", ["acme/gated"], "hf_bob", "acme/gated access"),
            ("a token that the hub does not know", ["acme/open"], "hf_wrong", "HF_TOKEN"),
            ("no such revision", ["acme/open", "--revision", "v9"], None, "v9")):
        mark = hub.mark()
        r = home.pull(*arguments, HF_TOKEN=token)
        t.claim(f"{what} is told in one line, at once", r.one_line(*words.split()) and home.empty()
                and len(hub.since(mark)) <= 4, r, len(hub.since(mark)))
    for name in ("acme/private", "acme/gated"):
        r = home.pull(name, HF_TOKEN="hf_good")
        t.claim(f"{name} comes with its reader's token", r.status == 0, r)
    hub.close()
