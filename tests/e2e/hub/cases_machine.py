"""The machine around a pull: a full disk, a proxy, a terminal, a certificate that nobody signed."""
import base64
import os
import pty
import re
import select
import shutil
import signal
import ssl
import subprocess
import time

from hub.cases_network import Setting
from hub.harness import BIN, TOKEN, Home, Result, Skip, Text, wait_for
from hub.models import checkout, gguf_bytes
from hub.proxy import Proxy
from hub_double import File, HubDouble, Repository


class SmallDisk:
    """A mount namespace of its own, kept by a process, in which the store is a small tmpfs."""

    def __init__(self, home, size, options="", more=""):
        os.makedirs(home.models)
        if os.geteuid() != 0 or not shutil.which("nsenter"):
            raise Skip("only root may mount")
        script = (f"mount -t tmpfs -o size={size}{options} tmpfs '{home.models}' && cd '{home.models}' && {more} "
                  "echo mounted && exec sleep 900")
        self.keeper = subprocess.Popen(["unshare", "-m", "sh", "-c", script], stdout=subprocess.PIPE,
                                       stderr=subprocess.DEVNULL)
        if self.keeper.stdout.readline() != b"mounted\n":
            self.keeper.wait()
            raise Skip("mounting is not allowed here")
        self.home, self.models = home, f"/proc/{self.keeper.pid}/root{home.models}"

    def start(self, *arguments):
        return subprocess.Popen(["nsenter", "-t", str(self.keeper.pid), "-m", BIN, *arguments], env=self.home.env,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)

    def run(self, *arguments):
        return self.home.finish(self.start(*arguments), arguments)

    def close(self):
        self.keeper.kill()
        self.keeper.wait()


def disk_checked(t):
    """free space is checked before"""
    s = Setting(seed=40, size=3000000)
    disk = SmallDisk(s.home, "2m")
    try:
        r = disk.run("pull", "acme/net")
        t.claim("too little free space is told in one line before a byte is downloaded", r.one_line("free") and
                s.hub.sent(path="model.safetensors") == 0, r, s.hub.sent())
        t.claim("and nothing is listed", disk.run("list", "--json").json() == [])
    finally:
        disk.close()
    s.hub.close()


def disk_filled(t):
    """the disk fills during a download"""
    s = Setting(seed=41, size=3000000)
    s.hub.rate = 1500000
    disk = SmallDisk(s.home, "5m")
    try:
        p = disk.start("pull", "acme/net")
        wait_for(lambda: s.hub.sent() > 500000)
        filler = os.path.join(disk.models, "filler")
        with open(filler, "wb", buffering=0) as f:
            try:
                while True:
                    f.write(b"x" * 65536)
            except OSError:
                pass
        r = s.home.finish(p, ("pull", "acme/net"))
        reserved = r.status == 0  # its space was already its own
        t.claim("a disk that fills during a pull is told in one line", reserved or r.one_line("space"), r)
        os.unlink(filler)
        t.claim("then nothing is listed", reserved or disk.run("list", "--json").json() == [])
        mark, s.hub.rate = s.hub.mark(), None
        again = disk.run("pull", "acme/net")
        t.claim("with space again it goes on from there", again.status == 0 and s.hub.sent(mark) < 2900000 and
                disk.run("list", "--json").json()[0]["name"] == "net", again, s.hub.sent(mark))
    finally:
        disk.close()
    s.hub.close()


def no_hard_links(t):
    """files where hard links cannot be made"""
    hub = HubDouble()
    files = checkout()
    hub.add(Repository("acme/Tiny", files | {"nothing.txt": b""}))
    home = Home(hub)
    disk = SmallDisk(home, "5m", more="mkdir files && mount -t tmpfs tmpfs files && ")
    try:
        r = disk.run("pull", "acme/Tiny")
        run = disk.run("run", "tiny", "x", "-n", "2", "--raw")
        t.claim("on another file system than the blobs, files are symbolic links, and the model runs",
                r.status == 0 and run.status == 0 and os.path.islink(disk.models + "/files/tiny/-/config.json"), r, run)
        mark = hub.mark()
        again = disk.run("pull", "acme/Tiny", "--json")
        t.claim("pulling it again downloads nothing there either", again.status == 0 and
                (again.json() or {}).get("downloaded_bytes") == 0 and hub.sent(mark) == 0, again)
        gone = disk.run("rm", "tiny")
        t.claim("and rm removes them", gone.status == 0 and not os.listdir(disk.models + "/files") and
                not os.listdir(disk.models + "/blobs"), gone)
    finally:
        disk.close()
    hub.close()


def disk_read_only(t):
    """a store that cannot be written"""
    s = Setting(seed=42)
    disk = SmallDisk(s.home, "5m", ",ro")
    try:
        r = disk.run("pull", "acme/net")
        t.claim("a read-only store is told in one line", r.one_line() and s.hub.sent() == 0, r)
        r = disk.run("list")
        t.claim("and lists as empty", r.status == 0 and r.out == "", r)
    finally:
        disk.close()
    s.hub.close()


def file_limit(t):
    """A file size limit stops the writing in the middle: one line, no crash."""
    s = Setting(seed=43, size=1000000)
    script = 'ulimit -f 400; exec "$0" "$@"'
    r = subprocess.run(["bash", "-c", script, BIN, "pull", "acme/net"], env=s.home.env, capture_output=True, timeout=300)
    r = Result(("pull", "acme/net"), r.returncode, Text(r.stdout, "utf-8"), Text(r.stderr, "utf-8", "replace"), 0)
    t.claim("a limit on the size of files is told in one line", r.one_line() and s.home.empty(), r)
    r = s.pull()
    t.claim("without it the pull is whole", r.status == 0 and s.complete(), r)
    s.hub.close()


def proxied(t):
    hub = HubDouble()
    hub.tokens = {TOKEN: "ann"}
    hub.add(Repository("acme/m", {"m-q8_0.gguf": gguf_bytes(50000), "config.json": b"{}"}))
    proxy = Proxy({"hub.invalid": ("127.0.0.1", hub.hub.server_port), "cdn.invalid": ("127.0.0.2", hub.cdn.server_port)})
    hub.cdn_url = "http://cdn.invalid"
    home = Home(None, token=TOKEN, HF_ENDPOINT="http://hub.invalid")
    address = f"127.0.0.1:{proxy.port}"
    for what, env in (("http_proxy", dict(http_proxy="http://" + address)),
                      ("all_proxy", dict(all_proxy="http://" + address)),
                      ("http_proxy with a password", dict(http_proxy=f"http://user:proxypassword@{address}"))):
        proxy.requests.clear()
        r = home.pull("acme/m", "--json", **env)
        hosts = {q.host for q in proxy.requests}
        t.claim(f"{what} is used for the hub and the other host", r.status == 0 and
                hosts == {"hub.invalid", "cdn.invalid"}, r, hosts)
        t.claim(f"{what}: the token goes through it to the hub alone", all(
            (q.authorization == "Bearer " + TOKEN) == (q.host == "hub.invalid") for q in proxy.requests), proxy.requests)
        basic = "Basic " + base64.b64encode(b"user:proxypassword").decode()
        t.claim(f"{what}: the proxy gets its own password, and only then", all(
            q.credentials == (basic if "password" in what else None) for q in proxy.requests) and
            not any("Proxy-Authorization" in q.headers for q in hub.requests), proxy.requests)
        home.run("rm", "m:q8_0")
    proxy.requests.clear()
    hub.cdn_url = f"http://127.0.0.2:{hub.cdn.server_port}"
    r = home.pull("acme/m", HF_ENDPOINT=hub.endpoint, http_proxy="http://" + address, no_proxy="127.0.0.1,127.0.0.2")
    t.claim("no_proxy goes around it", r.status == 0 and not proxy.requests, r, proxy.requests)
    home.run("rm", "m:q8_0")
    r = home.pull("acme/m", http_proxy="http://user:proxypassword@127.0.0.1:1")
    t.claim("a proxy that is not there is told in one line", r.one_line(), r)
    proxy.close()
    hub.close()


class Terminal:
    """hearth in a pty: what it shows there."""

    def __init__(self, home, *arguments, **env):
        self.seen, merged = b"", home.env | env
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execve(BIN, [BIN, *arguments], merged)

    def text(self):
        return self.seen.decode("utf-8", "replace")

    def read(self, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if select.select([self.fd], [], [], 0.05)[0]:
                try:
                    data = os.read(self.fd, 65536)
                except OSError:
                    data = b""
                if not data:
                    break
                self.seen += data
        return self.text()

    def status(self, seconds=200):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.read(0.1)
            done, status = os.waitpid(self.pid, os.WNOHANG)
            if done:
                self.read(1)
                return os.waitstatus_to_exitcode(status)
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        return None


def terminal(t):
    size = 4000000
    s = Setting(seed=44, size=size, token=TOKEN)
    s.hub.tokens, s.hub.rate = {TOKEN: "ann"}, 1000000
    term = Terminal(s.home, "pull", "acme/net")
    status = term.status()
    text = term.text()
    Result(("pull in a terminal",), status, Text(text), Text(""), 0)  # searched for secrets
    t.claim("in a terminal the pull succeeds", status == 0 and s.complete(), repr(text[-800:]))
    t.claim("a bar shows how much of how much", re.search(r"\r.*\[[#=. >-]+\]", text) and re.search(r"\d", text), repr(text[-800:]))
    t.claim("with a rate", re.search(r"\d ?[kKM]i?B/s", text), repr(text[-800:]))
    t.claim("and the time that is left", re.search(r"\d:\d\d", text), repr(text[-800:]))
    rates = [float(m[1]) * {"k": 1e3, "K": 1e3, "M": 1e6}[m[2]] for m in re.finditer(r"([\d.]+) ?([kKM])i?B/s", text)]
    t.claim("and the rate is about the true one", rates and any(0.4e6 < r < 2e6 for r in rates[2:]), rates)
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text).replace("\r", "\n")
    t.claim("the name is a line of its own", "\nnet\n" in plain, repr(text[-200:]))
    home = Home(s.hub, token=TOKEN)
    term = Terminal(home, "pull", "acme/net")
    wait_for(lambda: "/s" in term.read(0.1), 30)
    os.write(term.fd, b"\x03")
    status = term.status(60)
    t.claim("Ctrl-C in the terminal ends it with 130", status == 130, status, repr(term.seen[-300:]))
    r = home.pull("acme/net")
    t.claim("without a terminal there is no bar", r.status == 0 and "\r" not in r.err and "\x1b" not in r.err, repr(r.err))
    s.hub.close()


def unsigned(t):
    """a certificate that nobody signed"""
    if not shutil.which("openssl"):
        raise Skip("no openssl command here")
    hub = HubDouble()
    hub.tokens = {TOKEN: "ann"}
    hub.add(Repository("acme/m", [File("m-q8_0.gguf", gguf_bytes(5000), large=False)]))
    home = Home(hub, token=TOKEN)
    key, cert = home.folder + "/key.pem", home.folder + "/cert.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                    "-keyout", key, "-out", cert, "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"],
                   check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    hub.other.socket = context.wrap_socket(hub.other.socket, server_side=True)
    mark = hub.mark()
    r = home.pull("acme/m", HF_ENDPOINT=f"https://localhost:{hub.other.server_port}")
    t.claim("a certificate that nobody signed is refused in one line, and nothing is said to that host",
            r.one_line("certificate") and not hub.since(mark), r, hub.since(mark))
    r = home.pull("acme/m", HF_ENDPOINT=f"https://localhost:{hub.other.server_port}", SSL_CERT_FILE=cert)
    t.claim("SSL_CERT_FILE names who is trusted", r.status == 0 and hub.since(mark, "other"), r)
    home.run("rm", "m:q8_0")
    for where, match in (("api", ""), ("resolve", "m-q8_0.gguf")):
        hub.faults.clear()
        hub.fault(match, where=where, times=None, redirect=hub.endpoint + "/api/models/acme/m/revision/main?blobs=true")
        mark = hub.mark()
        r = home.pull("acme/m", HF_ENDPOINT=f"https://localhost:{hub.other.server_port}", SSL_CERT_FILE=cert)
        t.claim(f"a redirect from https to http is not followed ({where})", r.one_line("https", "http") and
                hub.since(mark, "other") and not hub.since(mark, "hub"), r, hub.since(mark))
    hub.close()
