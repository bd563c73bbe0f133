#!/usr/bin/env python3
"""What keys say of each other at a local model: whose prompts' pages are shared, who goes first, who gets how much of it;
and that a ledger of an earlier version is taken over."""
import concurrent.futures as futures
import os
import sqlite3
import subprocess
import tempfile
import time

from server import BIN, MODEL_ID, Server, bearer, claim, finish, keys

home = tempfile.TemporaryDirectory()
ENV = dict(os.environ, HEARTH_HOME=home.name)
PREFIX = " ".join(f"word{i}" for i in range(200))


def key(name, *args):
    return keys(home.name, "create", "--name", name, *args)["key"]


def ask(s, secret, text, n=2):
    status, a, _ = s.post("/v1/chat/completions", {"model": MODEL_ID, "messages": [{"role": "user", "content": text}], "max_tokens": n,
                                                   "temperature": 0}, bearer(secret))
    assert status == 200, (status, a)
    return a["usage"]


def cached(s, secret, text=PREFIX):
    return ask(s, secret, text)["prompt_tokens_details"]["cached_tokens"]


def refused(*args):
    p = subprocess.run([BIN, "keys", "create", "--name", "x", *args], env=ENV, capture_output=True, text=True)
    return p.returncode == 2 and args[0] in p.stderr, p.stderr


def sharing(s, alone, first, second):
    claim("a prompt is new to the first key", cached(s, alone) == 0)
    claim("and kept for it", cached(s, alone) > 200)
    claim("another key has nothing of it", cached(s, first) == 0)
    claim("two keys that agreed share what they sent", cached(s, second) > 200)
    claim("but not with those who did not", cached(s, alone, "x" + PREFIX) == 0 and cached(s, first, "x" + PREFIX) == 0)


def ends(s, askers, n):
    """Every (secret, text) at once; when each was answered, in seconds since the start."""
    start = time.time()

    def one(secret, text):
        ask(s, secret, text, n)
        return time.time() - start
    with futures.ThreadPoolExecutor(len(askers)) as pool:
        return [f.result() for f in [pool.submit(one, *a) for a in askers]]


def order(s, low, high):
    """One text at a time: behind a crowd of a low key's, the high key's one is the next."""
    crowd = [(low, f"crowd {i} {'la ' * 40}") for i in range(12)]
    with futures.ThreadPoolExecutor(1) as pool:
        others = pool.submit(ends, s, crowd, 150)
        s.wait_metric("vllm:num_requests_running", 1)
        start = time.time()
        ask(s, high, "me first")
        mine = time.time() - start
        still = sum(1 for f in others.result() if f > mine)
    claim("a key of higher priority passes those who wait", still >= len(crowd) - 3, still)


def shares(s, light, heavy):
    """As many requests of both keys: the one of weight 4 has most of its own done when half of all are."""
    askers = [(secret, f"{name} {i}") for i in range(10) for name, secret in (("a", light), ("b", heavy))]
    done = ends(s, askers, 60)
    first = sorted(range(len(done)), key=lambda i: done[i])[:len(done) // 2]
    n_heavy = sum(1 for i in first if askers[i][0] == heavy)
    claim("a heavier key is served more", n_heavy >= 7, n_heavy)


def earlier_version():
    """The tables of version 1 had neither priority nor weight."""
    path = os.path.join(home.name, "ledger.db")
    with sqlite3.connect(path) as db:
        for column in ("priority", "weight", "share_prefixes"):
            db.execute(f"ALTER TABLE ledger_keys DROP COLUMN {column}")
        db.execute("UPDATE ledger_meta SET version = 1")
    db.close()
    rows = keys(home.name, "list")
    claim("a ledger of version 1 is taken over", len(rows) == 7 and
          all((k["priority"], k["weight"], k["share_prefixes"]) == (0, 1, False) for k in rows), rows)


def main():
    alone, first, second = key("alone"), key("first", "--share-prefixes"), key("second", "--share-prefixes")
    low, high = key("low", "--priority", "-5"), key("high", "--priority", "5")
    light, heavy = key("light"), key("heavy", "--weight", "4")
    for args in (("--priority", "101"), ("--priority", "-101"), ("--priority", "high"), ("--weight", "0")):
        ok, why = refused(*args)
        claim(f"{' '.join(args)} is refused", ok, why)
    listed = subprocess.run([BIN, "keys", "list"], env=ENV, capture_output=True, text=True).stdout
    claim("the list tells them", "priority -5" in listed and "weight 4" in listed and listed.count("shares prefixes") == 2, listed)
    s = Server("--max-seqs", "4", hearth_home=home.name)
    sharing(s, alone, first, second)
    s.stop()
    s = Server("--max-seqs", "1", "--metrics-open", hearth_home=home.name)
    order(s, low, high)
    shares(s, light, heavy)
    s.stop()
    earlier_version()
    finish()


main()
