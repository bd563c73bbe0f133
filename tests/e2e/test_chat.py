#!/usr/bin/env python3
"""`hearth chat` in a terminal of its own: answers, Ctrl-C, /commands, Ctrl-D; and lines from a pipe."""
import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BIN = os.environ.get("HEARTH_BIN", os.path.join(ROOT, "build/release/hearth"))
MODEL = os.path.join(ROOT, "models/hearth-small.gguf")
failed = False


def claim(name, good, seen=""):
    global failed
    print(("ok " if good else "not ok ") + name)
    if not good:
        failed = True
        print("    " + repr(seen)[-1500:])


class Terminal:
    def __init__(self, home, *options):
        self.seen = ""
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            env = dict(os.environ, HOME=home, TERM="xterm", NO_COLOR="1", LC_ALL="C.UTF-8")
            os.execve(BIN, [BIN, "chat", MODEL, *options], env)

    def wait_for(self, text, seconds=60):
        end = time.time() + seconds
        while text not in self.seen and time.time() < end:
            if select.select([self.fd], [], [], 0.2)[0]:
                try:
                    self.seen += os.read(self.fd, 65536).decode("utf-8", "replace")
                except OSError:
                    break
        return text in self.seen

    def wait_prompt(self, seconds=60):
        """The prompt stands at the end and nothing more comes: libedit redraws lines as it likes."""
        end = time.time() + seconds
        while time.time() < end:
            before = self.seen
            self.wait_for("\0never", 0.5)
            if self.seen == before and re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", before).endswith("> "):
                return True
        return False

    def type(self, text):
        self.seen = ""
        os.write(self.fd, text.encode())

    def status(self, seconds=30):
        end = time.time() + seconds
        while time.time() < end:
            done, status = os.waitpid(self.pid, os.WNOHANG)
            if done:
                return os.waitstatus_to_exitcode(status)
            self.wait_for("\0never", 0.1)
        os.kill(self.pid, signal.SIGKILL)
        return None


def in_a_terminal(home):
    saved = os.path.join(home, "talk.json")
    t = Terminal(home, "-n", "900", "--temperature", "2")
    claim("chat greets and prompts", t.wait_prompt(), t.seen)
    t.type("/help\r")
    claim("/help lists the commands", t.wait_prompt() and "/reset" in t.seen, t.seen)
    t.type("/system Be brief.\r")
    t.wait_prompt()
    t.type("Tell me about the sea.\r")
    claim("a message is answered", t.wait_prompt() and len(t.seen) > 60, t.seen)
    t.type("Say more about everything.\r")
    time.sleep(0.1)
    os.write(t.fd, b"\x03")
    claim("Ctrl-C stops the answer, not the program", t.wait_prompt(), t.seen)
    t.type(f"/save {saved}\r")
    claim("/save writes the conversation", t.wait_for("saved"), t.seen)
    roles = [m["role"] for m in json.load(open(saved))["messages"]] if os.path.exists(saved) else []
    claim("with system, user and assistant in turn", roles[:3] == ["system", "user", "assistant"], roles)
    t.wait_prompt()
    t.type("half a line\x03")
    claim("Ctrl-C at the prompt drops the line", t.wait_prompt(10), t.seen)
    t.type("/nonsense\r")
    claim("an unknown command is told", t.wait_for("/help"), t.seen)
    t.wait_prompt()
    t.type("\x04")
    claim("Ctrl-D leaves with 0", t.status() == 0, t.seen)
    history = subprocess.run(["find", home, "-name", "history"], capture_output=True, text=True).stdout.strip()
    text = open(history).read() if history else ""
    claim("lines are remembered", bool(re.search(r"Tell.*me.*about.*the.*sea", text)), text)


def from_a_pipe(home):
    env = dict(os.environ, HOME=home)
    r = subprocess.run([BIN, "chat", MODEL, "-q", "-n", "8", "--temperature", "0"], input="Hello\n/reset\nHello\n",
                       capture_output=True, text=True, env=env, timeout=120)
    half = len(r.stdout) // 2
    claim("lines from a pipe are messages; after /reset the same question gets the same answer",
          r.returncode == 0 and half > 0 and r.stdout[:half] == r.stdout[half:], (r.returncode, r.stdout, r.stderr))


with tempfile.TemporaryDirectory() as folder:
    in_a_terminal(folder)
    from_a_pipe(folder)
sys.exit(1 if failed else 0)
