"""A headless Chromium, driven over its debugging pipe (no package, no socket): Browser(), then page.evaluate(...).

Raises NoBrowser where there is none, or none that starts; tests are skipped then. HEARTH_BROWSER names one (empty: none).
Source: chromedevtools.github.io/devtools-protocol; messages are JSON, each ended by a zero byte.
"""
import atexit
import base64
import json
import os
import shutil
import subprocess
import tempfile
import threading
import time

NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome", "chrome-headless-shell")
KEYS = {"Enter": (13, "\r"), "Escape": (27, ""), "Tab": (9, ""), "ArrowUp": (38, ""), " ": (32, " ")}


class NoBrowser(Exception):
    pass


def find():
    own = os.environ.get("HEARTH_BROWSER")
    path = next(filter(None, map(shutil.which, NAMES)), None) if own is None else own
    if not path:
        raise NoBrowser("there is none; tools/page-browser installs one")
    return path


class Browser:
    def __init__(self, width=1280, height=800):
        program = find()
        self.home = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        to_browser, self.write_end = os.pipe()
        self.read_end, from_browser = os.pipe()

        def place_pipes():  # the browser reads from 3 and writes to 4
            reading, writing = os.dup(to_browser), os.dup(from_browser)
            os.dup2(reading, 3)
            os.dup2(writing, 4)

        # Without a sandbox, which needs what root and containers do not have: only pages of ours are shown.
        command = [program, "--headless", "--no-sandbox", "--remote-debugging-pipe", "--disable-gpu", "--disable-dev-shm-usage",
                   "--no-first-run", "--disable-extensions", "--disable-background-networking", "--mute-audio",
                   "--user-data-dir=" + self.home.name, f"--window-size={width},{height}", "about:blank"]
        env = dict(os.environ, HOME=self.home.name, LC_ALL="C.UTF-8")
        env.pop("DBUS_SESSION_BUS_ADDRESS", None)
        self.log = open(os.path.join(self.home.name, "log"), "wb")
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, env=env,
                                        close_fds=False, preexec_fn=place_pipes, start_new_session=True)
        atexit.register(self.close)
        os.close(to_browser)
        os.close(from_browser)
        self.lock = threading.Condition()
        self.last_id, self.results, self.events, self.handlers, self.ended = 0, {}, [], {}, False
        threading.Thread(target=self.read_all, daemon=True).start()
        try:
            self.call("Browser.getVersion")
        except RuntimeError:
            self.close()
            with open(self.log.name, "rb") as f:
                raise NoBrowser(f"{program} does not start: {f.read().decode(errors='replace').strip()[-300:]!r}") from None

    def read_all(self):
        pending = b""
        while True:
            part = os.read(self.read_end, 1 << 20)
            *whole, pending = (pending + part).split(b"\0")
            with self.lock:
                for text in whole:
                    message = json.loads(text)
                    if "id" in message:
                        self.results[message["id"]] = message
                    else:
                        self.events.append(message)
                        handler = self.handlers.get((message.get("sessionId"), message["method"]))
                        if handler:
                            threading.Thread(target=handler, args=(message["params"],), daemon=True).start()
                self.ended = not part
                self.lock.notify_all()
            if not part:
                return

    def call(self, method, session=None, seconds=60, **params):
        with self.lock:
            self.last_id += 1
            number = self.last_id
            message = {"id": number, "method": method, "params": params}
            if session:
                message["sessionId"] = session
            try:
                os.write(self.write_end, json.dumps(message).encode() + b"\0")
            except BrokenPipeError:
                raise RuntimeError("the browser has ended") from None
            self.lock.wait_for(lambda: number in self.results or self.ended, seconds)
            answer = self.results.pop(number, None)
        if answer is None or "error" in answer:
            raise RuntimeError(f"{method}: {answer and answer['error']}")
        return answer["result"]

    def close(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


class Page:
    """A tab. Everything that is loaded, refused by the policy or thrown in it is noted."""

    def __init__(self, browser, width=1280, height=800, phone=False, dark=False):
        self.browser = browser
        context = browser.call("Target.createBrowserContext")["browserContextId"]
        target = browser.call("Target.createTarget", url="about:blank", browserContextId=context, width=width,
                              height=height)["targetId"]
        self.session = browser.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log", "DOM", "Audits"):
            self.call(domain + ".enable")
        self.resize(width, height, phone)
        self.dark(dark)

    def call(self, method, **params):
        return self.browser.call(method, session=self.session, **params)

    def resize(self, width, height, phone=False):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=phone)
        self.call("Emulation.setTouchEmulationEnabled", enabled=phone)

    def dark(self, wanted):
        self.call("Emulation.setEmulatedMedia", features=[
            {"name": "prefers-color-scheme", "value": "dark" if wanted else "light"},
            {"name": "prefers-reduced-motion", "value": "reduce"}])

    def on(self, method, handler):
        self.browser.handlers[(self.session, method)] = handler

    def seen(self, method):
        with self.browser.lock:
            return [e["params"] for e in self.browser.events
                    if e["method"] == method and e.get("sessionId") == self.session]

    def open(self, url):
        n = len(self.seen("Page.loadEventFired"))
        self.call("Page.navigate", url=url)
        end = time.time() + 60
        while len(self.seen("Page.loadEventFired")) == n and time.time() < end:
            time.sleep(0.01)

    def evaluate(self, expression):
        r = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True,
                      userGesture=True)
        if "exceptionDetails" in r:
            raise RuntimeError(f"{expression[:300]}: {r['exceptionDetails']}"[:1500])
        return r["result"].get("value")

    def wait(self, expression, seconds=60):
        """What an expression gives once that is true; else None."""
        end = time.time() + seconds
        while time.time() < end:
            value = self.evaluate(f"(v => v instanceof Node || v)({expression})")
            if value:
                return value
            time.sleep(0.02)
        return None

    def key(self, name, shift=False):
        code, text = KEYS[name]
        common = {"key": name, "code": "Space" if name == " " else name, "windowsVirtualKeyCode": code,
                  "modifiers": 8 if shift else 0}
        self.call("Input.dispatchKeyEvent", type="keyDown" if text else "rawKeyDown", text=text, **common)
        self.call("Input.dispatchKeyEvent", type="keyUp", **common)

    def type(self, text):
        self.call("Input.insertText", text=text)

    def click(self, selector):
        """As a pointer does: what lies above the element gets it."""
        x, y = self.evaluate(f"""(() => {{ const e = document.querySelector({json.dumps(selector)});
            e.scrollIntoView({{block: 'nearest'}}); const r = e.getBoundingClientRect();
            return [r.x + r.width / 2, r.y + r.height / 2]; }})()""")
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def files(self, selector, *paths):
        root = self.call("DOM.getDocument")["root"]["nodeId"]
        node = self.call("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self.call("DOM.setFileInputFiles", nodeId=node, files=list(paths))

    def drop(self, path, x=400, y=300):
        data = {"items": [], "files": [path], "dragOperationsMask": 1}
        for kind in ("dragEnter", "dragOver", "drop"):
            self.call("Input.dispatchDragEvent", type=kind, x=x, y=y, data=data)

    def fulfil(self, pattern, status, content_type, body):
        """Answers what is asked of an address itself (body: bytes); None for status: no more."""
        if status is None:
            self.call("Fetch.disable")
            return

        def answer(event):
            self.requests = getattr(self, "requests", []) + [event["request"]]
            self.call("Fetch.fulfillRequest", requestId=event["requestId"], responseCode=status, responseHeaders=[
                {"name": "content-type", "value": content_type}], body=base64.b64encode(body).decode())

        self.on("Fetch.requestPaused", answer)
        self.call("Fetch.enable", patterns=[{"urlPattern": pattern}])

    def picture(self, path):
        data = self.call("Page.captureScreenshot", format="png")["data"]
        with open(path, "wb") as f:
            f.write(base64.b64decode(data))
