"""Runs `hearth` in a home of its own against a double, and says what it claims: ok NAME, not ok NAME, skip NAME.

Every output of every run is searched for the tokens and signatures that must never be shown; `secrets_seen` collects
what was found. Nothing of the user's is read or written.
"""
import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time

from hub.models import ROOT

BIN = os.path.abspath(os.environ.get("HEARTH_BIN", os.path.join(ROOT, "build/release/hearth")))
TOKEN = "hf_TestSecretTokenOfThePullTests"
SECRETS = re.compile(rf"{TOKEN}|SIGNATURE\w*|X-Amz-Signature|proxypassword|Bearer", re.I)
secrets_seen = []


class Skip(Exception):
    """Raised by a case that cannot run here."""


class Claims:
    """The lines of one case, printed together when it is over."""

    def __init__(self, case):
        self.case, self.lines, self.failed = case, [], False

    def claim(self, name, good, *seen):
        self.lines.append(("ok " if good else "not ok ") + name)
        if not good:
            self.failed = True
            self.lines += ["    " + str(s)[:1500].replace("\n", "\n    ") for s in seen]
        return good


class Result:
    def __init__(self, arguments, status, out, err, seconds):
        self.arguments, self.status, self.out, self.err, self.seconds = arguments, status, out, err, seconds
        for text in (out, err):
            if found := SECRETS.search(text):
                secrets_seen.append((found[0], arguments, text))

    def json(self):
        try:
            return json.loads(self.out)
        except ValueError:
            return None

    def one_line(self, *words):
        """An error as errors are: nothing on standard output, one line with these words, warnings before it."""
        lines = [line for line in self.err.splitlines() if not line.startswith("hearth: warning: ")]
        return (self.status in (1, 2) and self.out == "" and len(lines) == 1 and lines[0].startswith("hearth ")
                and all(w.lower() in lines[0].lower() for w in words) and self.err.printable())

    def __str__(self):
        return f"hearth {' '.join(map(str, self.arguments))}: status {self.status} in {self.seconds:.1f} s\n" \
               f"stdout: {self.out[:600]}\nstderr: {self.err[:900]}"


class Text(str):
    """What a program printed."""

    def printable(self):
        return all(c.isprintable() or c == "\n" for c in self)


class Home:
    """A store of its own, and the hub that its commands ask."""

    def __init__(self, hub=None, token=None, **env):
        self.folder = tempfile.mkdtemp(prefix="hearth-pull-")
        self.models = os.path.join(self.folder, "hearth/models")
        self.env = {"PATH": os.environ["PATH"], "HOME": os.path.join(self.folder, "home"), "LC_ALL": "C.UTF-8",
                    "NO_COLOR": "1", "TERM": "xterm", "HEARTH_HOME": os.path.join(self.folder, "hearth"),
                    "TMPDIR": self.folder}
        self.env |= {k: v for k, v in os.environ.items() if k.endswith("SAN_OPTIONS")}
        os.mkdir(self.env["HOME"])
        if hub:
            self.env["HF_ENDPOINT"] = hub.endpoint
        if token:
            self.env["HF_TOKEN"] = token
        self.env |= env

    def start(self, *arguments, **env):
        merged = {k: v for k, v in (self.env | env).items() if v is not None}
        return subprocess.Popen([BIN, *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, env=merged, cwd=self.folder)

    def finish(self, process, arguments=(), timeout=300, began=None):
        began = began or time.monotonic()
        try:
            out, err = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            err += b"[killed by the test: it did not end]\n"
        return Result(arguments, process.returncode, Text(out, "utf-8", "replace"), Text(err, "utf-8", "replace"),
                      time.monotonic() - began)

    def run(self, *arguments, timeout=300, **env):
        began = time.monotonic()
        return self.finish(self.start(*arguments, **env), arguments, timeout, began)

    def pull(self, *arguments, **more):
        return self.run("pull", *arguments, **more)

    def listed(self):
        """{name: entry} of `hearth list --json`."""
        r = self.run("list", "--json")
        good = r.status == 0 and isinstance(r.json(), list)
        return {e["name"]: e for e in r.json()} if good else {f"list failed: {r}": {"path": "/nonexistent"}}

    def blobs(self):
        folder = os.path.join(self.models, "blobs")
        names = os.listdir(folder) if os.path.isdir(folder) else []
        return {n.removeprefix("sha256-") for n in names if re.fullmatch(r"sha256-[0-9a-f]{64}", n)}

    def part_bytes(self):
        """Bytes on the disk in unfinished downloads."""
        folder = os.path.join(self.models, "blobs")
        names = [n for n in (os.listdir(folder) if os.path.isdir(folder) else []) if n.endswith(".part")]
        return sum(os.stat(os.path.join(folder, n)).st_blocks * 512 for n in names)

    def honest(self):
        """Every blob holds what its name says; returns what is not so."""
        bad = []
        for name in self.blobs():
            with open(os.path.join(self.models, "blobs", "sha256-" + name), "rb") as f:
                if hashlib.sha256(f.read()).hexdigest() != name:
                    bad.append(name)
        return bad

    def content(self, entry):
        """{path: SHA-256} of the files that a listed model consists of, as the engine would open them."""
        found, path = {}, entry["path"]
        if os.path.isfile(path):
            path = path.removesuffix(entry["files"][0]["path"])
        for folder, _, names in os.walk(path):
            for n in names:
                with open(os.path.join(folder, n), "rb") as f:
                    found[os.path.relpath(os.path.join(folder, n), path)] = hashlib.sha256(f.read()).hexdigest()
        return found

    def empty(self):
        """No model is listed, and none stands in the store."""
        return self.listed() == {}


def wait_for(condition, seconds=60):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.01)
    return False


def stop(process, sig=signal.SIGKILL):
    process.send_signal(sig)


def run_cases(cases, workers=5):
    """Runs every case in a thread, prints their lines in order; the number of failed claims' cases."""
    done, lock, todo, failed = {}, threading.Lock(), list(enumerate(cases)), []

    def work():
        while True:
            with lock:
                if not todo:
                    return
                i, case = todo.pop(0)
            t, began = Claims(case.__name__), time.monotonic()
            try:
                case(t)
            except Skip as why:
                t.lines.append(f"skip {case.__doc__ or case.__name__} ({why})")
            except Exception as e:  # a case that breaks is a failed claim, not the end of all
                import traceback
                t.claim(f"{case.__name__} runs to its end", False, repr(e), traceback.format_exc())
            t.seconds = time.monotonic() - began
            done[i] = t

    threads = [threading.Thread(target=work) for _ in range(workers)]
    for t in threads:
        t.start()
    for i in range(len(cases)):
        while i not in done:
            time.sleep(0.02)
        print("\n".join(done[i].lines), flush=True)
        if os.environ.get("PULL_TIMES"):
            print(f"# {done[i].case}: {done[i].seconds:.1f} s", file=sys.stderr)
        failed += [i] if done[i].failed else []
    return len(failed)
