"""A pull, an update and a removal that die, or fail, at each single step they make in the file system.

kill_at.c, loaded before the program's libraries, counts the steps. Whatever the step was: no model is listed that is
not whole, the next pull is whole, and when the model is removed nothing is left of it.
"""
import errno
import os
import shutil
import signal
import subprocess
import tempfile
import threading

from hub.harness import Home, Skip
from hub.models import ROOT, gguf_bytes
from hub_double import File, HubDouble, Repository

lock, library = threading.Lock(), []
SHARE = 3 if os.environ.get("HEARTH_SHORT") else 1  # in a short run, every third of the steps that are tried


def shim():
    """The path of kill_at.so, compiled once."""
    with lock:
        if not library:
            compiler = shutil.which("cc") or shutil.which("gcc")
            if not compiler:
                raise Skip("no C compiler here")
            path = os.path.join(tempfile.mkdtemp(prefix="kill-at-"), "kill_at.so")
            subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", path,
                            os.path.join(ROOT, "tests/e2e/hub/kill_at.c"), "-ldl"], check=True)
            library.append(path)
        return library[0]


class Steps:
    """A hub with two commits of a model, and homes that begin where `before` left the template."""

    def __init__(self, before=None):
        self.hub = HubDouble()
        self.repository = Repository("acme/steps", self.files(1))
        self.hub.add(self.repository)
        self.wanted, self.old = {f.path: f.sha256 for f in self.files(1)}, None
        self.template = Home(self.hub)
        if before:
            before(self)

    @staticmethod
    def files(n):
        return [File("config.json", b'{"n": %d}' % n), File("model.safetensors", gguf_bytes(30000, n)),
                File("tokenizer.json", b'{"same": "in both"}')]

    def home(self):
        """One that is as the template, hard links included."""
        home = Home(self.hub)
        subprocess.run(["cp", "-a", self.template.folder + "/.", home.folder], check=True)
        return home

    def pulled(self):
        self.template.pull("acme/steps")

    def outdated(self):
        self.pulled()
        self.repository.commit(self.files(2))
        self.old, self.wanted = self.wanted, {f.path: f.sha256 for f in self.files(2)}

    def env(self, home, **more):
        env = dict(more, LD_PRELOAD=shim())
        if "ASAN_OPTIONS" in home.env or "asan" in os.environ.get("HEARTH_BIN", ""):
            env["ASAN_OPTIONS"] = home.env.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"
        return env

    def count(self, command):
        home = self.home()
        path = os.path.join(home.folder, "steps")
        r = home.run(*command, **self.env(home, STEPS=path))
        with open(path) as f:
            return int(f.read()) if r.status == 0 else 0

    def whole(self, home, also=()):
        """What is listed is whole: nothing, this commit or one of `also`."""
        listed = home.listed()
        entry = listed.pop("steps", None)
        return not listed and not home.honest() and (entry is None or home.content(entry) in (self.wanted, *also))

    def is_mended(self, home):
        """Whether a pull without faults is whole; what it said."""
        r = home.pull("acme/steps", "--json")
        return r.status == 0 and home.content(r.json()) == self.wanted and not home.honest(), r


def left(home):
    """What a removed model left in the store; locks do not count."""
    return [os.path.join(d, f) for d, _, names in os.walk(home.models) for f in names if f != "lock"]


def at_each_step(t, what, s, command):
    """The last steps, where names are exchanged, one by one; of those before every fifth."""
    n = s.count(command)
    t.claim(f"{what} makes steps that can be counted", n >= 5, n)
    torn, broken, rest = [], [], []
    for i in [*range(1, n * 6 // 10, 5), *range(n * 6 // 10, n + 1)][::SHARE]:
        home = s.home()
        killed = home.run(*command, **s.env(home, KILL_AT=str(i)))
        died = killed.status == -signal.SIGKILL or (killed.status == 0 and i > n - 5)  # records are written by the clock
        if not died or not s.whole(home, [s.old] if s.old else []):
            torn.append((i, killed, home.listed(), home.honest()))
        good, again = s.is_mended(home)
        broken += [] if good else [(i, again)]
        home.long_ago()
        home.run("rm", "steps")
        rest += [(i, left(home))] if left(home) else []
        shutil.rmtree(home.folder)
    t.claim(f"{what} killed at each of its steps leaves what is whole, or nothing", not torn, n, *torn[:3])
    t.claim(f"{what} killed at each of its steps: the next pull is whole", not broken, *broken[:3])
    t.claim(f"{what} killed at each of its steps: nothing is left when it is removed", not rest, *rest[:4])


def failing(t, what, s, command):
    n = s.count(command)
    bad, broken = [], []
    for i in range(1, n + 1, 4 * SHARE):
        home = s.home()
        error = (errno.ENOSPC, errno.EIO, errno.EACCES)[i // 4 % 3]
        r = home.run(*command, **s.env(home, FAIL_AT=str(i), FAIL_ERRNO=str(error)))
        if not (r.status == 0 or r.one_line()) or not s.whole(home, [s.old] if s.old else []):
            bad.append((i, r, home.listed()))
        good, again = s.is_mended(home)
        broken += [] if good else [(i, again)]
        shutil.rmtree(home.folder)
    t.claim(f"{what} of which any step fails ends well or in one line", n >= 5 and not bad, n, *bad[:3])
    t.claim(f"{what} of which any step failed: the next pull is whole", not broken, *broken[:3])


def pull_killed_at_each_step(t):
    """a pull killed at each step"""
    s = Steps()
    at_each_step(t, "a first pull", s, ("pull", "acme/steps"))
    s.hub.close()


def update_killed_at_each_step(t):
    """an update killed at each step"""
    s = Steps(Steps.outdated)
    at_each_step(t, "a pull of a newer commit", s, ("pull", "acme/steps"))
    s.hub.close()


def rm_killed_at_each_step(t):
    """rm killed at each step"""
    s = Steps(Steps.pulled)
    at_each_step(t, "rm", s, ("rm", "steps"))
    s.hub.close()


def pull_failing_at_each_step(t):
    """a pull failing at each step"""
    s = Steps()
    failing(t, "a first pull", s, ("pull", "acme/steps"))
    s.hub.close()


def update_failing_at_each_step(t):
    """an update failing at each step"""
    s = Steps(Steps.outdated)
    failing(t, "a pull of a newer commit", s, ("pull", "acme/steps"))
    s.hub.close()
