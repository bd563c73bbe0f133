#!/usr/bin/env python3
"""Images that a model answers with, on the web page at /, in a headless Chromium (skipped without one): a Gemini route's
are shown, whatever else calls itself an image is not, and nothing is asked of anybody else."""
import base64
import json
import struct
import zlib

import browser
from server import claim, finish, until
from vendors import Answering, Double, Gateway, serve_vendor

WIDE, HIGH = 24, 16


def png():
    """One colour, WIDE by HIGH."""
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    rows = (b"\0" + bytes((200, 80, 20)) * WIDE) * HIGH
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", WIDE, HIGH, 8, 2, 0, 0, 0)) + chunk(
        b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def inline(kind, data):
    return {"inlineData": {"mimeType": kind, "data": base64.b64encode(data).decode()}}


SVG = b"<svg xmlns='http://www.w3.org/2000/svg'><script>hacked = 1</script></svg>"
PARTS = {
    "painter": [{"text": "Here: "}, inline("image/png", png()), {"text": "done."}],
    "silent": [inline("image/png", png())],
    "odd": [{"text": "x"}, inline("image/svg+xml", SVG), inline("image/png", b"no image"), inline("image/png", png())],
}
bodies = []


class Vendor(Answering):
    def do_POST(self):
        bodies.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
        parts = PARTS[self.path.split("/models/")[1].split(":")[0]]
        chunks = [{"candidates": [{"content": {"role": "model", "parts": [p]}, "index": 0}]} for p in parts]
        chunks[-1]["candidates"][0]["finishReason"] = "STOP"
        chunks[-1]["usageMetadata"] = {"promptTokenCount": 3, "candidatesTokenCount": 9, "totalTokenCount": 12}
        self.answer(200, "".join(f"data: {json.dumps(c)}\n\n" for c in chunks).encode(), "text/event-stream")


try:
    chromium = browser.Browser()
except browser.NoBrowser as why:
    print(f"skip images on the page ({why})")
    finish()
double = Double()
providers = ["  painted:", "    dialect: gemini", f"    base_url: {serve_vendor(Vendor)}", "    key_env: GOOGLE_API_KEY",
             "    retries: 0"]
gateway = Gateway(double, routes={name: f"{{candidates: [painted/{name}]}}" for name in PARTS}, providers=providers,
                  defaults=False)
URL = gateway.url
page = browser.Page(chromium)


def new_page(model):
    page.open(URL + "/")
    page.evaluate("localStorage.clear(); 0")
    page.open(URL + "/")
    page.wait("document.querySelector('#model').options.length")
    page.evaluate(f"(e => {{ e.value = {json.dumps(model)}; e.dispatchEvent(new Event('change')) }})"
                  "(document.querySelector('#model'))")


def say(text):
    n = page.evaluate("document.querySelectorAll('.message.assistant').length")
    page.evaluate("document.querySelector('#prompt').focus()")
    page.type(text)
    page.key("Enter")
    page.wait(f"document.querySelectorAll('.message.assistant').length > {n} && "
              "!document.body.classList.contains('running')")


def seen():
    """What stands under the last answer's text: of each image its alternative text and size, or a line."""
    page.wait("[...document.querySelectorAll('.images img')].every(i => i.complete)")
    return page.evaluate("""[...[...document.querySelectorAll('.message.assistant .images')].at(-1).children].map(e => {
        const i = e.querySelector('img'); return i ? [i.alt, i.naturalWidth, i.naturalHeight] : e.textContent; })""")


def shown():
    new_page("painter")
    say("Paint it")
    what = f"Image 1 of the answer (PNG, {len(png())} bytes)"
    claim("an image is shown, with a name", seen() == [[what, WIDE, HIGH]], seen())
    claim("and the text beside it", page.evaluate("document.querySelector('.markdown').innerText") == "Here: done." and
          "9 tokens" in page.evaluate("document.querySelector('.note:not([hidden])').textContent"))
    link = page.evaluate("(a => [a.download, a.href.slice(0, 22), a.textContent])(document.querySelector('.images a'))")
    claim("it can be saved", link == ["image-1.png", "data:image/png;base64,", "Save this image"], link)
    claim("it takes room", page.evaluate("document.querySelector('.images img').getBoundingClientRect().width") >= WIDE)
    say("Again")
    claim("each answer has its own", page.evaluate("document.querySelectorAll('.images img').length") == 2)
    told = [c["parts"] for c in bodies[-1]["contents"]]
    claim("the model is told the texts", told == [[{"text": "Paint it"}], [{"text": "Here: done."}], [{"text": "Again"}]],
          told)
    stored = page.evaluate("localStorage.getItem('hearth.conversation')")
    claim("images are not stored", "base64" not in stored and "Here: done." in stored, stored)
    page.open(URL + "/")
    claim("which is said after a reload", seen() == ["An image was not kept."], seen())


def alone():
    new_page("silent")
    say("Paint it")
    claim("an image without a text", len(seen()) == 1 and seen()[0][1:] == [WIDE, HIGH] and
          page.evaluate("document.querySelector('.waiting').hidden"), seen())
    say("Again")
    told = [c["parts"] for c in bodies[-1]["contents"]]
    claim("it is no turn of its own", told == [[{"text": "Paint it\n\nAgain"}]], told)


def odd():
    new_page("odd")
    say("Paint it")
    page.wait("document.querySelectorAll('.images img').length == 1")
    got = seen()
    claim("a drawing that can hold scripts is not shown, nor what is no image",
          got[0] == "Image 1 is of a kind that is not shown here." and
          got[1] == "Image 2 of the answer (PNG, 8 bytes) cannot be read." and got[2][1:] == [WIDE, HIGH], got)
    claim("and nothing of it ran", page.evaluate("typeof hacked") == "undefined")
    chunk = {"choices": [{"delta": {"images": [{"type": "image_url", "image_url": {"url": url}} for url in (
        "https://example.org/spy.png", URL + "/page/icon.svg", "javascript:hacked=2")] + [None, {"image_url": 7}]},
        "finish_reason": "stop"}]}
    page.fulfil("*/v1/chat/completions", 200, "text/event-stream",
                f"data: {json.dumps(chunk)}\n\ndata: [DONE]\n\n".encode())
    say("And from elsewhere")
    page.fulfil(None, None, None, None)
    claim("nothing is fetched from an address", len(seen()) == 5 and all("not shown" in s for s in seen()), seen())


shown()
alone()
odd()
asked = {r["request"]["url"] for r in page.seen("Network.requestWillBeSent")}
claim("nothing was asked of anybody else", asked and all(u.startswith((URL + "/", "data:image/png")) for u in asked), asked)
broken = [e["issue"] for e in page.seen("Audits.issueAdded") if e["issue"]["code"] == "ContentSecurityPolicyIssue"]
claim("nothing was against the policy", not broken, broken)
claim("nothing was thrown", not page.seen("Runtime.exceptionThrown"), page.seen("Runtime.exceptionThrown"))
page.evaluate("(i => { i.src = 'https://example.org/spy.png'; document.body.append(i); })(new Image()); 0")
claim("the policy lets no image in from elsewhere", until(
    lambda: any("img-src" in json.dumps(e) for e in page.seen("Audits.issueAdded"))), page.seen("Audits.issueAdded"))
claim("the gateway ends", gateway.stop() == 0)
claim("the double ends", double.stop() == 0)
chromium.close()
finish()
