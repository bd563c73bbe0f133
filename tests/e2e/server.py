"""A `hearth serve` of one's own on a free port, and claims about it; shared by tests/e2e/test_serve*.py."""
import atexit
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BIN = os.environ.get("HEARTH_BIN", os.path.join(ROOT, "build/release/hearth"))
MODEL = os.path.join(ROOT, "models/hearth-small.gguf")
MODEL_ID = "hearth-small"
SLOW = "san/" in BIN  # sanitizers: less text keeps a model as busy
failed = False


def claim(name, good, seen=""):
    global failed
    print(("ok " if good else "not ok ") + name, flush=True)
    if not good:
        failed = True
        print("    " + repr(seen)[-1500:], flush=True)


def until(what, seconds=60):
    """What is true before long; the last value."""
    end = time.time() + seconds
    while not (value := what()) and time.time() < end:
        time.sleep(0.02)
    return value


def bearer(key):
    return {"authorization": "Bearer " + key}


def keys(home, *args):
    """What `hearth keys` of the ledger in this folder prints."""
    p = subprocess.run([BIN, "keys", *args, "--json"], env=dict(os.environ, HEARTH_HOME=home), capture_output=True, text=True)
    assert p.returncode == 0, p
    return json.loads(p.stdout) if p.stdout else None


def environment(home):
    """Of a program whose files all lie below `home`."""
    env = dict(os.environ, HOME=home, LC_ALL="C.UTF-8", NO_COLOR="1")
    for name in ("HEARTH_MODEL", "HEARTH_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME"):
        env.pop(name, None)
    return env


class Server:
    def __init__(self, *options, model=MODEL, wait=True, hearth_home=None):
        self.home = tempfile.TemporaryDirectory()
        env = environment(self.home.name)
        if hearth_home:
            env["HEARTH_HOME"] = hearth_home
        self.log = open(os.path.join(self.home.name, "log"), "w+b")
        models = ["-m", model] if model else []
        self.process = subprocess.Popen([BIN, "serve", "--port", "0", *models, *options], env=env,
                                        stdout=subprocess.PIPE, stderr=self.log)
        atexit.register(self.process.kill)  # of one that has ended: nothing
        line = self.process.stdout.readline().decode()
        self.port = int(line.rsplit(":", 1)[1]) if ":" in line else 0
        if wait and self.port:
            self.wait_ready()

    def wait_ready(self, seconds=120):
        end = time.time() + seconds
        while time.time() < end and self.process.poll() is None:
            if self.get("/health")[0] == 200:
                return
            time.sleep(0.02)

    def request(self, method, path, body=None, headers={}, timeout=400):
        c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        if isinstance(body, (dict, list)):
            body = json.dumps(body)
        c.request(method, path, body, headers)
        r = c.getresponse()
        data = r.read()
        c.close()
        return r.status, data, dict((k.lower(), v) for k, v in r.getheaders())

    def get(self, path, **headers):
        return self.request("GET", path, headers=headers)

    def post(self, path, body, headers={}):
        """Status, parsed body, headers."""
        status, data, headers = self.request("POST", path, body, headers)
        try:
            return status, json.loads(data), headers
        except ValueError:
            return status, data, headers

    def chat(self, text="hello", path="/v1/chat/completions", **members):
        body = {"model": MODEL_ID, "messages": [{"role": "user", "content": text}], "max_tokens": 8,
                "temperature": 0}
        body.update(members)
        return self.post(path, {k: v for k, v in body.items() if v is not None})

    def stream(self, path="/v1/chat/completions", **members):
        """The data lines of a stream, as they came, parsed but for [DONE]."""
        body = {"model": MODEL_ID, "messages": [{"role": "user", "content": "hello"}],
                "max_tokens": 8, "temperature": 0, "stream": True}
        body.update(members)
        status, data, headers = self.request("POST", path,
                                             {k: v for k, v in body.items() if v is not None})
        events = []
        for part in data.decode().split("\n\n"):
            if part.startswith("data: "):
                part = part[6:]
                events.append(part if part == "[DONE]" else json.loads(part))
        return status, events, headers

    def raw(self, data, timeout=30, shut=False):
        """What comes back for these bytes until the server closes, or the time is over (then None at the end)."""
        s = socket.create_connection(("127.0.0.1", self.port), timeout=timeout)
        s.settimeout(timeout)
        got = b""
        try:
            s.sendall(data)
            if shut:
                s.shutdown(socket.SHUT_WR)
            while True:
                part = s.recv(65536)
                if not part:
                    break
                got += part
        except socket.timeout:
            got += b"<timeout>"
        except OSError:
            pass
        s.close()
        return got

    def metric(self, name):
        for line in self.get("/metrics")[1].decode().splitlines():
            if line.startswith(name + " ") or line.startswith(name + "{"):
                return float(line.rsplit(" ", 1)[1])
        return None

    def wait_metric(self, name, value, seconds=90):
        end = time.time() + seconds
        while time.time() < end:
            if self.metric(name) == value:
                return True
            time.sleep(0.02)
        return False

    def logged(self):
        with open(self.log.name, "rb") as f:
            return f.read().decode("utf-8", "replace")

    def stop(self, sig=signal.SIGTERM, seconds=60):
        """Ends it (or waits for its end: sig None); the exit status."""
        if sig and self.process.poll() is None:
            self.process.send_signal(sig)
        try:
            status = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            status = "did not end"
        return status


def finish():
    sys.exit(1 if failed else 0)
