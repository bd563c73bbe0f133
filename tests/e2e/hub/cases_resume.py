"""Pulls that are killed, interrupted or doubled: what was there is not fetched again, and nothing half is listed."""
import glob
import json
import os
import random
import re
import signal
import time

from hub.cases_network import SMALL, Setting
from hub.harness import stop, wait_for
from hub.models import gguf_bytes
from hub_double import File, Repository

SIZE, RATE = 3000000, 1200000
NOTED_S = 1.0  # what came is noted once a second: a kill loses no more than came since


def noted(home):
    """How many bytes the notes beside unfinished files say are there."""
    total = 0
    for path in glob.glob(home.models + "/blobs/*.part.json"):
        with open(path) as f:
            total += sum(to - start for start, to in json.load(f)["done"])
    return total


def half(s):
    """Starts a pull, kills it when about half is there and noted; what is noted then."""
    s.hub.rate = RATE
    p = s.home.start("pull", "acme/net")
    good = wait_for(lambda: noted(s.home) and s.hub.sent() > SIZE // 2, 60)
    stop(p)
    s.home.finish(p)
    s.hub.rate = None
    return noted(s.home) if good else 0


def killed(t):
    """kill -9 at random instants of a slow pull, many times; each goes on where the last one was."""
    s = Setting(seed=30, size=SIZE)
    s.hub.rate = SIZE / 8
    r, kills, listed, lost, notes = random.Random(7), 0, [], [], 0
    instants = [(r.uniform(0, 0.12), False) for _ in range(26)] + [(r.uniform(0, 0.7), True) for _ in range(7)]
    r.shuffle(instants)
    for instant, late in instants:
        sent = s.hub.sent()
        p = s.home.start("pull", "acme/net")
        began = time.monotonic()
        if late:  # after something more was noted
            wait_for(lambda: noted(s.home) > notes, 60)
        time.sleep(instant)
        stop(p)
        s.home.finish(p)
        kills += p.returncode == -signal.SIGKILL
        before, notes = notes, noted(s.home)
        busy = time.monotonic() - began - instant - NOTED_S  # a busy machine notes later
        lost.append((s.hub.sent() - sent) - (notes - before) - max(0, busy) * s.hub.rate)
        listed.append(s.home.empty())
    t.claim("killed over and over, it never lists half a model", kills >= 30 and all(listed), kills, listed)
    t.claim("a kill loses what came in the last second at most", max(lost) < s.hub.rate * (NOTED_S + 0.5) and notes > 0,
            lost, notes)
    mark, s.hub.rate = s.hub.mark(), None
    last = s.pull()
    t.claim(f"after {len(instants)} kills a pull completes", last.status == 0 and s.complete(), last)
    ranged = [q for q in s.hub.since(mark, path="model.safetensors") if q.sent]
    t.claim("it goes on by Range, and not a byte that was there is downloaded again", notes and ranged and
            all(q.range for q in ranged) and s.hub.sent(mark, path="model.safetensors") == SIZE - notes, notes, ranged)
    t.claim("nothing unfinished stays behind", last.status == 0 and s.home.part_bytes() == 0)
    s.hub.close()


def resumed(t):
    """Killed once, half way: the rest is fetched and nothing else."""
    s = Setting(seed=31, size=SIZE)
    notes, mark = half(s), s.hub.mark()
    t.claim("half a download is not listed", notes and s.home.empty() and s.home.part_bytes() > 0, notes)
    r = s.pull("--json")
    t.claim("the rest is fetched and nothing else", r.status == 0 and s.complete() and
            s.hub.sent(mark, path="model.safetensors") == SIZE - notes, s.hub.since(mark), notes, r)
    t.claim("--json counts only what this pull downloaded",
            (r.json() or {}).get("downloaded_bytes") == s.hub.sent(mark), r, s.hub.sent(mark))
    s.hub.close()


def forged(t):
    """What a crash or a bad disk left in the unfinished file is found by the hash, and mended."""
    for what, damage in (("holds other bytes", flip), ("is cut", lambda p: os.truncate(p, 1000)),
                         ("is longer", lambda p: os.truncate(p, SIZE * 2)), ("is gone", os.unlink),
                         ("lost its notes", lambda p: os.unlink(p + ".json")),
                         ("has empty notes", lambda p: write(p + ".json", "")),
                         ("has no notes but words", lambda p: write(p + ".json", "hello")),
                         ("has notes of other ranges", lambda p: write(p + ".json", swap(p + ".json")))):
        s = Setting(seed=32, size=SIZE)
        notes = half(s)
        for part in glob.glob(s.home.models + "/blobs/*.part"):
            if os.path.exists(part + ".json"):
                damage(part)
        r = s.pull()
        told = r.status == 0 or (r.one_line() and s.home.empty())
        r2 = r if r.status == 0 else s.pull()
        t.claim(f"an unfinished file that {what} is mended", notes and told and r2.status == 0 and s.complete(), r, r2, notes)
        s.hub.close()


def flip(path):
    with open(path, "r+b") as f:
        f.seek(70000)
        f.write(b"damage")


def write(path, text):
    with open(path, "w") as f:
        f.write(text)


def swap(path):
    """The notes with every number made very large, and then negative."""
    with open(path) as f:
        return re.sub(r"\b\d+\b", lambda m: "-" + m[0] if len(m[0]) % 2 else m[0] + "000000000", f.read())


def interrupted(t):
    for sig, name in ((signal.SIGINT, "Ctrl-C"), (signal.SIGTERM, "SIGTERM")):
        s = Setting(seed=33, size=SIZE)
        s.hub.rate = RATE
        p = s.home.start("pull", "acme/net")
        wait_for(lambda: s.hub.sent() > SIZE // 3 and (sig == signal.SIGINT or noted(s.home)), 60)
        stop(p, sig)
        r = s.home.finish(p)
        if sig == signal.SIGINT:
            t.claim("Ctrl-C ends a pull at once, with 130 and one line", r.status == 130 and r.out == "" and
                    r.err.count("\n") == 1 and r.seconds < 30, r)
        t.claim(f"after {name} nothing is listed", s.home.empty() and r.status != 0, r)
        notes, mark, s.hub.rate = noted(s.home), s.hub.mark(), None
        r = s.pull()
        t.claim(f"after {name} a pull goes on from there", r.status == 0 and s.complete() and notes and
                s.hub.sent(mark, path="model.safetensors") == SIZE - notes, s.hub.since(mark), notes, r)
        s.hub.close()


def at_once(t):
    """Two and four pulls of the same model at once: each byte comes once, and all are told the name."""
    for n in (2, 4):
        s = Setting(seed=34, size=SIZE)
        s.hub.rate = 3000000
        pulls = [s.home.start("pull", "acme/net") for _ in range(n)]
        results = [s.home.finish(p, ("pull", i)) for i, p in enumerate(pulls)]
        t.claim(f"{n} pulls at once all succeed", all(r.status == 0 and r.out == "net\n" for r in results) and
                s.complete(), *results)
        t.claim(f"{n} pulls at once download each blob once", s.hub.sent() == SIZE + len(SMALL), s.hub.sent())
        s.hub.close()


def heir(t):
    """The one that downloads is killed: the one that waited goes on where it was."""
    s = Setting(seed=35, size=SIZE)
    s.hub.rate = RATE
    first = s.home.start("pull", "acme/net")
    wait_for(lambda: s.hub.sent() > SIZE // 4)
    second = s.home.start("pull", "acme/net")
    wait_for(lambda: noted(s.home) and s.hub.sent() > SIZE // 2, 60)
    stop(first)
    s.home.finish(first)
    notes, mark = noted(s.home), s.hub.mark()
    r = s.home.finish(second)
    t.claim("a waiting pull takes over from a killed one", r.status == 0 and s.complete(), r)
    t.claim("and fetches only what was not there", notes and 0 < s.hub.sent(mark, path="model.safetensors") <= SIZE - notes,
            s.hub.since(mark), notes)
    s.hub.close()


def side_by_side(t):
    """Different models at once, with common files, while others are listed and removed."""
    s = Setting(seed=36, size=400000)
    s.hub.rate = 2000000
    for i in range(4):
        s.hub.add(Repository(f"acme/side{i}", [s.large, File("config.json", b'{"n": %d}' % i)]))
    pulls = [s.home.start("pull", f"acme/side{i}") for i in range(4)]
    bad = []
    while any(p.poll() is None for p in pulls):
        r = s.home.run("list", "--json")
        bad += [] if r.status == 0 and isinstance(r.json(), list) and r.err.count("\n") <= 1 else [r]
    results = [s.home.finish(p) for p in pulls]
    t.claim("four models with a common file come side by side, the file once", all(r.status == 0 for r in results) and
            s.hub.sent(path="model.safetensors") == 400000 and len(s.home.listed()) == 4, *results, s.hub.sent())
    t.claim("list is right at every moment", not bad, *bad)
    removals = [s.home.start("rm", f"side{i}") for i in range(3)] + [s.home.start("pull", "acme/net")]
    results = [s.home.finish(p) for p in removals]
    t.claim("removing while pulling what shares a file leaves whole models", all(r.status == 0 for r in results) and
            s.complete() and sorted(s.home.listed()) == ["net", "side3"] and not s.home.honest(), *results)
    s.hub.close()


def unused_parts(t):
    """An unfinished download of something else does not disturb, and rm leaves others' unfinished files alone."""
    s = Setting(seed=37, size=SIZE)
    s.hub.add(Repository("acme/other", {"m-q8_0.gguf": gguf_bytes(5000, 1)}))
    notes = half(s)
    a, b = s.home.pull("acme/other"), s.home.run("rm", "other:q8_0")
    mark = s.hub.mark()
    r = s.pull()
    t.claim("an unfinished download outlives other pulls and rm", a.status == b.status == r.status == 0 and s.complete()
            and notes and s.hub.sent(mark, path="model.safetensors") == SIZE - notes, a, b, r, s.hub.since(mark))
    s.hub.close()
