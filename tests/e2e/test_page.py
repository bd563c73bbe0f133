#!/usr/bin/env python3
"""The web page at /: its files and their headers; then, in a headless Chromium, all that it offers. Without a browser
(tools/page-browser) the second part is skipped."""
import base64
import json
import os
import re
import subprocess
import tempfile
import time

import browser
import parrot
from server import BIN, MODEL_ID, ROOT, Server, claim, finish

FOLDER = os.path.join(ROOT, "src/server/web_page")
HOSTILE = ('<img src=x onerror="hacked=1"><script>hacked=2</script>\n\n[a](javascript:hacked=3) **bold** '
           '[ok](https://example.org/)\n\n![p](https://example.net/p.png)')
LONG = " ".join(f"word{i}" for i in range(100))  # the model answers with hundreds of tokens
folder = tempfile.TemporaryDirectory()
parrot.write(os.path.join(folder.name, "hostile"), HOSTILE, "nothing")
parrot.write(os.path.join(folder.name, "thinker"), "<think>\nHm, a *sea*.</think>\n\nIt is **wide**.", "<think>",
             ordinary=["<think>", "</think>"])
server = Server("--packed", "off", "-m", os.path.join(folder.name, "hostile"), "-m",
                os.path.join(folder.name, "thinker"))
URL = f"http://127.0.0.1:{server.port}"


def address_of(name):
    return "/" if name == "index.html" else "/page/" + name


def files():
    for name in sorted(os.listdir(FOLDER)):
        status, body, headers = server.get(address_of(name))
        with open(os.path.join(FOLDER, name), "rb") as f:
            same = f.read() == body
        kind = {"html": "text/html", "css": "text/css", "js": "text/javascript",
                "svg": "image/svg+xml"}[name.rsplit(".", 1)[1]]
        etag = headers.get("etag", "")
        again, empty, kept = server.get(address_of(name), **{"if-none-match": f'"x", W/{etag}'})
        claim(f"{name} is served as it stands, and only once", status == 200 and same and
              headers["content-type"].startswith(kind) and etag.startswith('"') and again == 304 and not empty and
              kept["etag"] == etag, (status, headers, again, kept))
    claim("an ETag of something else is no match", server.get("/", **{"if-none-match": '"0123456789abcdef"'})[0] == 200)


def headers_of_page():
    _, body, h = server.get("/")
    policy = dict(part.strip().split(" ", 1) for part in h["content-security-policy"].split(";"))
    claim("the policy lets nothing in but this server's own files", policy == {
        "default-src": "'none'", "script-src": "'self'", "style-src": "'self'", "connect-src": "'self'",
        "img-src": "'self' data:", "frame-ancestors": "'none'", "base-uri": "'none'", "form-action": "'none'",
        "require-trusted-types-for": "'script'", "trusted-types": "'none'"}, policy)
    claim("nothing is guessed, told or shared", h["x-content-type-options"] == "nosniff" and
          h["referrer-policy"] == "no-referrer" and h["cache-control"] == "no-cache" and
          h["cross-origin-opener-policy"] == h["cross-origin-resource-policy"] == "same-origin", h)
    claim("the page has no scripts and styles inside", b"<style" not in body and b" style=" not in body and
          not re.search(rb"\son\w+=", body) and body.count(b"<script") == 1 and
          b'src="/page/app.js"' in body)
    claim("nobody else's page gets it", server.get("/", host="evil.example")[0] == 403 and
          server.get("/page/app.js", origin="http://evil.example")[0] == 403)
    claim("other paths are none", server.get("/page/")[0] == server.get("/page/../server.c")[0] == 404)
    claim("and other methods neither", server.request("POST", "/", "{}")[0] == 405)


def state():
    status, body, h = server.get("/v1/hearth/state")
    before = json.loads(body)
    claim("the state is told", status == 200 and before["status"] == "ready" and before["requests"] == 0 and
          h["cache-control"] == "no-store" and [m["id"] for m in before["models"]] == [MODEL_ID], body)
    usage = server.chat("a word " * 20, max_tokens=8)[1]["usage"]
    after = json.loads(server.get("/v1/hearth/state")[1])
    old, new = before["models"][0], after["models"][0]
    grown = {k: new[k] - old[k] for k in ("prompt_rows", "rows", "new_tokens", "steps")}
    claim("its counters grow as work is done", grown["new_tokens"] == usage["completion_tokens"] and
          grown["prompt_rows"] == usage["prompt_tokens"] - 1 and grown["rows"] >= grown["prompt_rows"] + 8 and
          0 < grown["steps"] <= grown["rows"] and after["time_ms"] >= before["time_ms"] and
          0 <= new["pages_used"] <= new["pages_total"] and new["max_running"] > 0, (grown, usage, new))
    lines = server.logged()
    server.get("/v1/hearth/state")
    server.get("/")
    claim("looking leaves no lines in the log", server.logged() == lines)


files()
headers_of_page()
state()
try:
    chromium = browser.Browser()
except browser.NoBrowser as why:
    print(f"skip the page in a browser ({why})")
    claim("the server ends well", server.stop() == 0, server.logged()[-500:])
    finish()
pages = []


def new_page(model=MODEL_ID, fields=(), **options):
    """A page of a visitor who was never here."""
    page = browser.Page(chromium, **options)
    pages.append(page)
    page.open(URL + "/")
    page.wait("document.querySelector('#model').options.length")
    page.evaluate(f"(e => {{ e.value = {json.dumps(model)}; e.dispatchEvent(new Event('change')) }})"
                  "(document.querySelector('#model'))")
    for name, value in {"temperature": "0", **dict(fields)}.items():
        page.evaluate(f"(e => {{ e.value = {json.dumps(value)}; e.dispatchEvent(new Event('input', {{bubbles: true}})) "
                      f"}})(document.getElementById('{name}'))")
    page.evaluate("document.querySelector('#prompt').focus()")
    return page


def texts(page, of):
    return page.evaluate(f"[...document.querySelectorAll('.message.{of} .body')].map(e => e.innerText)")


def say(page, text, wait=True):
    page.evaluate("document.querySelector('#prompt').focus()")
    page.type(text)
    page.key("Enter")
    if wait:
        page.wait("!document.body.classList.contains('running')")


def note(page):
    return page.evaluate("[...document.querySelectorAll('.message.assistant .note')].at(-1)?.textContent")


def sent(page):
    """The bodies of what was asked of the model."""
    return [json.loads(r["request"]["postData"]) for r in page.seen("Network.requestWillBeSent")
            if r["request"]["url"].endswith("/v1/chat/completions")]


def streaming():
    page = new_page(fields={"max-tokens": "12", "top-p": "0.9", "system": "Be brief."})
    page.type("one")
    page.key("Enter", shift=True)
    page.type("two")
    claim("Shift and Enter make a line", page.evaluate("document.querySelector('#prompt').value") == "one\ntwo" and
          not texts(page, "user"))
    page.key("Enter")
    page.wait("document.querySelector('.message.assistant .note:not([hidden])')")
    body = sent(page)[0]
    want = server.chat(body["messages"][1]["content"], messages=body["messages"], top_p=0.9, max_tokens=12)[1]
    claim("what is asked for has the fields' parameters", {k: body.get(k) for k in (
        "model", "temperature", "top_p", "max_tokens", "stream")} == {
        "model": MODEL_ID, "temperature": 0, "top_p": 0.9, "max_tokens": 12, "stream": True} and body["messages"] == [
        {"role": "system", "content": "Be brief."}, {"role": "user", "content": "one\ntwo"}], body)
    claim("the answer is the model's", re.findall(r"\w+", texts(page, "assistant")[0]) ==
          re.findall(r"\w+", want["choices"][0]["message"]["content"]), (texts(page, "assistant"), want))
    claim("with its tokens counted", note(page).startswith(f"{want['usage']['completion_tokens']} tokens"), note(page))
    claim("and listeners are told", page.evaluate("document.querySelector('#announcer').textContent") ==
          "The answer is complete")
    say(page, "three")
    told = [m["role"] for m in sent(page)[1]["messages"]]
    claim("the conversation goes along", told == ["system", "user", "assistant", "user"], told)
    page.open(URL + "/")
    claim("it is there after a reload, as are the parameters", texts(page, "user") == ["one\ntwo", "three"] and
          page.evaluate("document.querySelector('#top-p').value") == "0.9", texts(page, "user"))
    page.click("#clear")
    claim("one press does not clear it", len(texts(page, "user")) == 2)
    page.click("#clear")
    claim("two do, here and in storage", not texts(page, "user") and
          page.evaluate("localStorage.getItem('hearth.conversation')") is None)


def stop_and_again():
    page = new_page()
    slow = {"offline": False, "latency": 0, "uploadThroughput": -1}
    page.call("Network.emulateNetworkConditions", downloadThroughput=12000, **slow)
    say(page, LONG, wait=False)
    shown = page.wait("document.querySelector('.message.assistant .markdown').innerText.length > 20 &&"
                      "document.querySelector('.message.assistant').getAttribute('aria-busy')")
    busy = page.evaluate("[document.querySelector('#send').hidden, document.querySelector('#stop').hidden]")
    claim("text shows while it is written", shown == "true" and busy == [True, False], (shown, busy))
    page.key("Escape")
    part = page.wait("!document.body.classList.contains('running') &&"
                     "document.querySelector('.message.assistant .markdown').innerText")
    page.call("Network.emulateNetworkConditions", downloadThroughput=-1, **slow)
    claim("Esc stops it", note(page) == "Stopped" and page.evaluate("document.querySelector('#stop').hidden"),
          note(page))
    page.evaluate("[...document.querySelectorAll('.actions button')].find(b => b.textContent == 'Regenerate').click()")
    page.wait("!document.body.classList.contains('running') && document.querySelector('.note').textContent != 'Stopped'")
    whole = texts(page, "assistant")
    claim("Regenerate writes it again, to its end", len(whole) == 1 and len(part) < len(whole[0]) and
          whole[0].startswith(part[:20]) and sent(page)[0] == sent(page)[1], (part, whole))
    say(page, "and more")
    page.key("ArrowUp")
    field = page.wait("document.querySelector('.message textarea')?.value")
    page.evaluate("document.activeElement.select()")
    page.type("edited")
    page.key("Enter")
    page.wait("!document.body.classList.contains('running') && document.querySelectorAll('.message').length == 4")
    claim("the last message can be edited", field == "and more" and texts(page, "user") == [LONG, "edited"] and
          sent(page)[-1]["messages"][-1]["content"] == "edited", texts(page, "user"))
    page.key("ArrowUp")
    page.key("Escape")
    claim("or left as it was", texts(page, "user") == [LONG, "edited"] and len(sent(page)) == 4)


def hostile_answers():
    page = new_page("hostile")
    say(page, "Hi")
    page.evaluate("new Promise(r => setTimeout(r, 100))")
    body = page.evaluate("document.querySelector('.markdown').innerHTML")
    claim("markup of a model is text", page.evaluate("typeof hacked") == "undefined" and
          "&lt;script&gt;" in body and "<script" not in body and "<img" not in body and "<strong>bold</strong>" in body,
          body)
    links = page.evaluate("[...document.querySelectorAll('.markdown a')].map(a => [a.href, a.rel, a.target])")
    claim("links go to http and https only, pictures are links", links == [
        ["https://example.org/", "noopener noreferrer", "_blank"],
        ["https://example.net/p.png", "noopener noreferrer", "_blank"]], links)
    page = new_page("thinker")
    say(page, "Hi")
    fold = page.evaluate("(d => [d.hidden, d.open, d.querySelector('p').textContent])(document.querySelector('.thoughts'))")
    claim("thoughts are folded", fold == [False, False, "Hm, a *sea*."] and
          page.evaluate("document.querySelector('.markdown').innerHTML") == "<p>It is <strong>wide</strong>.</p>", fold)


def link_html(address, text):
    return f'<a href="{address}" rel="noopener noreferrer" target="_blank">{text}</a>'


MARKDOWN = [
    ("a *b* **c** ***d*** ~~e~~ `f*`", "<p>a <em>b</em> <strong>c</strong> <em><strong>d</strong></em> <del>e</del> "
     "<code>f*</code></p>"),
    ("snake_case_name 2*3*4 \\*x\\* * y *", "<p>snake_case_name 2<em>3</em>4 *x* * y *</p>"),
    ("**a *b* c** *open", "<p><strong>a <em>b</em> c</strong> *open</p>"),
    ("# A #\n## B\ntext\nmore", "<h2>A</h2><h3>B</h3><p>text<br>more</p>"),
    ("- a\n- b\n  - c\n    - d\n- e", "<ul><li>a</li><li>b<ul><li>c<ul><li>d</li></ul></li></ul></li><li>e</li></ul>"),
    ("3. a\n4. b\n\ntext", '<ol start="3"><li>a</li><li>b</li></ol><p>text</p>'),
    ("1. a\n\n2. b", "<ol><li><p>a</p></li><li><p>b</p></li></ol>"),
    ("> a\n> > b\n\n---", "<blockquote><p>a</p><blockquote><p>b</p></blockquote></blockquote><hr>"),
    ("|a|b|\n|-|:-:|\n|1|`x\\|y`|\n|<b>|", '<div class="table" tabindex="0" role="region" aria-label="table"><table>'
     '<thead><tr><th scope="col">a</th><th class="center" scope="col">b</th></tr></thead><tbody><tr><td>1</td>'
     '<td class="center"><code>x|y</code></td></tr><tr><td>&lt;b&gt;</td><td class="center"></td></tr></tbody></table>'
     '</div>'),
    ("see https://example.org/a_(b)_c). <https://e.org>",
     f"<p>see {link_html('https://example.org/a_(b)_c', 'https://example.org/a_(b)_c')}). "
     f"{link_html('https://e.org/', 'https://e.org')}</p>"),
    ("[*a*](https://e.org/?q=\"><script>) [b](</x>) [c](/x) [d](data:text/html,x) [e](JaVaScRiPt:x)",
     f"<p>{link_html('https://e.org/?q=%22%3E%3Cscript%3E', '<em>a</em>')} [b](&lt;/x&gt;) [c](/x) "
     "[d](data:text/html,x) [e](JaVaScRiPt:x)</p>"),
    ("[a [b](https://e.org)](https://f.org)", f"<p>a {link_html('https://e.org/', 'b')}</p>"),
    ("[x](vbscript:y) [z](java\tscript:y) [w](//e.org)", "<p>[x](vbscript:y) [z](java    script:y) [w](//e.org)</p>"),
]
SLOW = ["[" * 100000, "](" * 50000, "*a " * 50000, "`" * 50000 + " " + "`a``" * 20000, "> " * 50000, "- " * 50000,
        "<https://" * 20000, "![](" * 20000, "|" * 50000 + "\n" + "|-" * 49999 + "|", "- a\n" + "\n" * 100000 + "- b",
        "~~~ " + " " * 100000 + "`", "# a" + " " * 100000 + "b", "_*" * 50000, "a\n" * 20000, "1. a\n" * 10000,
        "```\n" * 20001, "    - a\n" * 5000, "\n".join(" " * i + "- a" for i in range(200)), "[a](http://e.org/" * 5000]


def markdown():
    page = new_page()
    show = """async text => { const m = await import('/page/markdown.js'); const d = document.createElement('div');
        m.showMarkdown(d, text); return d.innerHTML; }"""
    for text, html in MARKDOWN:
        got = page.evaluate(f"({show})({json.dumps(text)})")
        claim(f"Markdown: {text[:30]!r}", got == html, (got, html))
    code = page.evaluate(f"({show})({json.dumps('```js' + chr(10) + '<b>&' + chr(10) + '  x' + chr(10) + '```' + chr(10) + 'after')})")
    claim("Markdown: code", "<span>js</span>" in code and "<code>&lt;b&gt;&amp;\n  x</code></pre></figure>" in code and
          code.endswith("<p>after</p>"), code)
    parts = page.evaluate(f"""(async text => {{ const m = await import('/page/markdown.js');
        const whole = document.createElement('div'), grown = document.createElement('div'); m.showMarkdown(whole, text);
        for (let i = 0; i <= text.length; i++) m.showMarkdown(grown, text.slice(0, i));
        return [whole.innerHTML, grown.innerHTML]; }})({json.dumps(chr(10).join(m[0] for m in MARKDOWN) + HOSTILE)})""")
    claim("a text that grows by letters looks as if it came whole", parts[0] == parts[1], parts)
    n = [page.evaluate(f"({show})({json.dumps(text)}).then(html => html.length)") for text in SLOW]
    claim("texts made to be slow are not", all(n), n)
    page.evaluate("navigator.clipboard.writeText = async text => { window.copied = text; }; 0")
    page.evaluate("""(async () => { const m = await import('/page/markdown.js');
        m.showMarkdown(document.querySelector('#messages'), '```\\na < b\\n```');
        document.querySelector('#messages button').click(); })()""")
    claim("code can be copied", page.wait("window.copied") == "a < b")


def sse(*events):
    return "".join(f"event: {kind}\ndata: {json.dumps(data)}\n\n" for kind, data in events).encode()


def real_summary(path):
    if server.post("/v1/summaries", {})[0] == 404:
        print("skip a summary by the server's own route (it has none)")
        return
    page = new_page()
    page.files("#file", path)
    page.wait("!document.querySelector('#attached').hidden")
    page.click("#send")
    page.wait("document.querySelector('.message.assistant .note:not([hidden])')")
    claim("the server's own route summarizes it", "The sea rises." in texts(page, "assistant")[0] and
          re.match(r"\d+ words", note(page)), (texts(page, "assistant"), note(page)))


def documents():
    page = new_page(fields={"words": "60", "style": "bullets"})
    path = os.path.join(folder.name, "report <b>.md")
    with open(path, "w", encoding="utf-8") as f:
        f.write("# Tides\n\nThe sea rises.\n")
    page.fulfil("*/v1/summaries", 404, "application/json", b'{"error":{"message":"there is no route"}}')
    page.files("#file", path)
    page.wait("!document.querySelector('#attached').hidden")
    claim("a chosen document is shown", page.evaluate("document.querySelector('#files .name').textContent") ==
          "report <b>.md" and page.evaluate("document.querySelector('#send').textContent") == "Summarize")
    page.click("#send")
    problem = page.wait("document.querySelector('.message .problem:not([hidden]) span')?.textContent")
    claim("a server without summaries says so, in place", "cannot summarize" in (problem or ""), problem)
    page.fulfil("*/v1/summaries", 200, "text/event-stream", sse(
        ("progress", {"what": "summarizing", "done": 1, "total": 2}), ("text", {"delta": "draft"}), ("restart", {}),
        ("text", {"delta": "- The sea"}), ("summary", {"summary": "- The sea **rises**.", "coverage": {"skipped": [{}]}})))
    page.evaluate("document.querySelector('.message .problem button').click()")
    page.wait("document.querySelector('.message.assistant .note:not([hidden])')")
    claim("trying again asks with the document once more", len(texts(page, "assistant")) == 1 and page.evaluate(
        "document.querySelector('.markdown').innerHTML") == "<ul><li>The sea <strong>rises</strong>.</li></ul>" and
        "1 part was left out" in note(page), (texts(page, "assistant"), note(page)))
    body = json.loads(page.requests[-1]["postData"])
    claim("it is sent with what was chosen", body["documents"][0]["name"] == "report <b>.md" and base64.b64decode(
        body["documents"][0]["content"]) == b"# Tides\n\nThe sea rises.\n" and body["words"] == 60 and
        body["style"] == "bullets" and body["model"] == MODEL_ID and body["stream"] is True and "ask" not in body, body)
    page.drop(path)
    page.wait("!document.querySelector('#attached').hidden")
    page.fulfil("*/v1/summaries", 200, "text/event-stream", sse(("error", {"error": {"message": "no good"}})))
    page.type("Why?")
    page.key("Enter")
    problem = page.wait("[...document.querySelectorAll('.message .problem:not([hidden]) span')].at(-1)?.textContent")
    claim("a dropped one too, with a question; an error is shown", problem == "no good" and
          json.loads(page.requests[-1]["postData"])["ask"] == "Why?", (problem, page.requests[-1]))
    page.fulfil(None, None, None, None)
    real_summary(path)
    page.open(URL + "/")
    page.evaluate("document.querySelector('.message .problem:not([hidden]) button').click()")
    problem = page.wait("document.querySelector('.message:last-child .problem:not([hidden]) span')?.textContent")
    claim("documents are not kept over a reload, and that is said", "attach them again" in (problem or ""), problem)


def errors():
    page = new_page(fields={"max-tokens": "4"})
    page.fulfil("*/v1/chat/completions", 401, "application/json", b'{"error":{"message":"This needs a key."}}')
    say(page, "hello")
    problem = page.evaluate("document.querySelector('.message .problem span').textContent")
    claim("a refusal is shown in place", problem == "This needs a key. The key is entered under Settings.", problem)
    page.fulfil(None, None, None, None)
    page.key("Escape")  # the page asks for one; it may also be entered under Settings
    page.evaluate("document.querySelector('#key').value = 'sk-mine'; "
                  "document.querySelector('#key').dispatchEvent(new Event('change'))")
    page.evaluate("document.querySelector('.message .problem button').click()")
    page.wait("document.querySelector('.message.assistant .note:not([hidden])')")
    asked = [r["request"] for r in page.seen("Network.requestWillBeSent")
             if r["request"]["url"].endswith("/v1/chat/completions")][-1]
    claim("with a key it is tried again", {k.lower(): v for k, v in asked["headers"].items()}["authorization"] ==
          "Bearer sk-mine" and len(texts(page, "assistant")) == 1 and note(page).startswith("4 tokens"), asked)
    claim("the key stays out of what lasts", page.evaluate("JSON.stringify({...localStorage})").find("sk-mine") < 0 and
          page.evaluate("sessionStorage.getItem('hearth.key')") == "sk-mine")
    page.fulfil("*/v1/chat/completions", 200, "text/event-stream",
                b'data: {"choices":[{"delta":{"content":"half an"}}]}\n\n')
    say(page, "again")
    problem = page.evaluate("document.querySelector('.message:last-child .problem span').textContent")
    claim("a stream that breaks off is told, and what came is kept", "broke off" in problem and
          texts(page, "assistant")[-1].startswith("half an"), problem)


    page.fulfil(None, None, None, None)
    page.evaluate("""localStorage.setItem('hearth.conversation', '[{"role":"user","text":"hello"},{"role":"x"},7]')""")
    page.open(URL + "/")
    page.wait("document.querySelector('#model').options.length")
    page.evaluate("[...document.querySelectorAll('.actions button')].find(b => b.textContent == 'Answer').click()")
    claim("a question that was left without an answer can be answered after a reload",
          page.wait("document.querySelector('.message.assistant .note:not([hidden])')") and
          len(texts(page, "user")) == len(texts(page, "assistant")) == 1, texts(page, "assistant"))


def live_view():
    page = new_page()
    page.wait("document.querySelector('#state').dataset.state == 'ready'")
    most = page.evaluate("""(() => { window.most = {}; new MutationObserver(() => {
        for (const id of ['decode', 'prefill', 'batch', 'steps'])
            window.most[id] = Math.max(window.most[id] ?? 0, Number(document.getElementById(id).textContent.replace(/,/g, '')));
        }).observe(document.querySelector('#engine'), {subtree: true, childList: true, characterData: true}); return 1; })()""")
    say(page, "words " + LONG)
    moved = page.wait("window.most.decode > 0 && window.most.prefill > 0 && window.most.batch >= 1 && window.most.steps > 0")
    claim("the live view's numbers move", most and moved, page.evaluate("window.most"))
    pool = sum(m["pages_total"] for m in json.loads(server.get("/v1/hearth/state")[1])["models"])
    pages_text = page.evaluate("document.querySelector('#pages').textContent")
    claim("and its pages are the engine's", pages_text.endswith(f" of {pool:,}") and page.evaluate(
        "document.querySelector('#engine-models').textContent").count(MODEL_ID) == 1, pages_text)

    def looks_go_on():
        def count():
            return sum(r["request"]["url"].endswith("/v1/hearth/state") for r in page.seen("Network.requestWillBeSent"))
        n = count()
        end = time.time() + 1.2
        while time.time() < end or (count() == n and page.evaluate(
                "document.visibilityState == 'visible' && !document.querySelector('#panel').hidden") and
                time.time() < end + 60):
            time.sleep(0.05)
        return count() > n
    page.click("#panel-toggle")
    claim("nobody asks for it when the panel is closed", not looks_go_on())
    page.click("#panel-toggle")
    claim("opening it begins again", looks_go_on())
    page.evaluate("Object.defineProperty(document, 'visibilityState', {value: 'hidden'}); "
                  "document.dispatchEvent(new Event('visibilitychange'))")
    claim("a tab that is not shown does not ask", not looks_go_on())


def background(page):
    return page.evaluate("getComputedStyle(document.body).backgroundColor")


def looks():
    page = new_page()
    light = background(page)
    page.dark(True)
    dark = background(page)
    page.click("#theme")
    claim("dark is as the system has it, until it is chosen", light != dark and background(page) == light and
          page.evaluate("document.querySelector('#theme').getAttribute('aria-pressed')") == "false", (light, dark))
    page.open(URL + "/")
    claim("the choice is kept", background(page) == light)
    wide = "# " + "w" * 300 + "\n\n" + "x" * 500 + "\n\n```\n" + "y" * 500 + "\n```\n\n|" + "z|" * 60 + "\n|" + "-|" * 60
    message = [{"role": "user", "text": "u" * 400}, {"role": "assistant", "text": wide, "note": "n" * 50, "error": "e" * 200}]
    for width in (320, 390):
        page = new_page(width=width, height=700, phone=True)
        page.evaluate(f"localStorage.setItem('hearth.conversation', {json.dumps(json.dumps(message))})")
        page.open(URL + "/")
        seen = page.evaluate("""(() => { const c = document.querySelector('#conversation');
            return [document.documentElement.scrollWidth, innerWidth, c.scrollWidth - c.clientWidth,
                    document.querySelector('#send').getBoundingClientRect().right]; })()""")
        claim(f"nothing sticks out at {width} pixels", seen[0] == seen[1] == width and seen[2] == 0 and seen[3] < width, seen)
        page.click("#panel-toggle")
        over = page.evaluate("(r => [r.left, r.right, document.querySelector('#panel').scrollWidth])"
                             "(document.querySelector('#panel').getBoundingClientRect())")
        page.click("#panel-close")
        claim("the panel covers it, and goes", over == [0, width, width] and
              page.evaluate("document.querySelector('#panel').hidden"), over)


def keyboard():
    page = new_page(fields={"max-tokens": "4"})
    page.evaluate("document.querySelector('.skip').focus()")
    seen = []
    for _ in range(40):
        page.key("Tab")
        at, ring = page.evaluate("""(e => [e.id || e.tagName, getComputedStyle(e).outlineStyle != 'none' ||
            e.id == 'prompt' && getComputedStyle(e.closest('.box')).borderColor != 'none'])(document.activeElement)""")
        if at == "BODY" or (seen and at == seen[0][0]):
            break
        seen.append((at, ring))
    reached = [at for at, _ in seen]
    wanted = ["model", "theme", "panel-toggle", "prompt", "attach", "system", "temperature", "top-p", "max-tokens", "key"]
    claim("Tab reaches everything, in order", [r for r in reached if r in wanted] == wanted, reached)
    claim("and shows where it is", all(ring for _, ring in seen), seen)
    page.evaluate("document.querySelector('#prompt').focus()")
    page.type("hello")
    page.key("Tab")
    page.key("Tab")
    page.key("Enter")
    page.wait("document.querySelector('.message.assistant .note:not([hidden])')")
    claim("a message can be sent from its button", page.evaluate("document.activeElement.id") == "prompt" and
          len(texts(page, "assistant")) == 1)
    unnamed = page.evaluate("""[...document.querySelectorAll('button, input, select, textarea')].filter(e =>
        !(e.ariaLabel || e.textContent.trim() || e.labels?.length)).map(e => e.outerHTML)""")
    claim("every control has a name", unnamed == [], unnamed)


def shown_dialog(page):
    return page.wait("document.querySelector('#ask-key').open && document.activeElement.id == 'ask-key-field'")


def with_keys():
    """Another server, whose ledger has a key: the page is open, all else is not, until the key is entered."""
    home = os.path.join(folder.name, "home")
    made = subprocess.run([BIN, "keys", "create", "--name", "me", "--json"], env=dict(os.environ, HEARTH_HOME=home),
                          capture_output=True, text=True)
    key = json.loads(made.stdout)["key"]
    own = Server("--packed", "off", hearth_home=home)
    page = browser.Page(chromium)
    page.open(f"http://127.0.0.1:{own.port}/")
    claim("a server with keys: the page asks for one, with the focus in its field", shown_dialog(page))
    claim("its words say so", page.evaluate("document.querySelector('#ask-key').innerText").startswith("This server wants a key")
          and page.evaluate("document.querySelector('#ask-key-problem').hidden"))
    colours = []
    for dark in (False, True):
        page.dark(dark)
        colours.append(page.evaluate("getComputedStyle(document.querySelector('#ask-key')).backgroundColor"))
    claim("in light and dark", colours[0] != colours[1], colours)
    page.key("Escape")
    claim("Esc leaves it for later", page.wait("!document.querySelector('#ask-key').open"))
    n_looks = own.logged().count("/v1/hearth/state")
    claim("nothing goes on asking without one", n_looks <= 1, n_looks)
    say(page, "hello")
    claim("what somebody does asks again", shown_dialog(page))
    page.evaluate("""window.fetch = (ask => async (path, options) => { const answer = await ask(path, options);
        return path == '/v1/hearth/state' && options.headers.authorization == 'Bearer wrong' ?
            new Promise(done => { window.release = () => done(answer); }) : answer; })(fetch); 0""")
    page.type("wrong")
    page.key("Enter")
    claim("a wrong one is told", page.wait("document.querySelector('#ask-key').open && "
                                           "!document.querySelector('#ask-key-problem').hidden"))
    page.evaluate("document.querySelector('#ask-key-field').focus()")
    page.type(key)
    page.key("Enter")
    page.wait("document.querySelector('#model').options.length == 1 && window.release")
    page.evaluate("window.release()")  # a refusal of the wrong one that comes late
    claim("the right one opens it all", page.wait("document.querySelector('#model').options.length == 1") and
          page.wait("document.querySelector('#state').dataset.state == 'ready'") and
          not page.evaluate("document.querySelector('#ask-key').open"))
    page.evaluate("document.querySelector('.message .problem button').click()")
    claim("what was refused is tried again", page.wait("document.querySelector('.message.assistant .note:not([hidden])')"))
    claim("the key is in this tab's storage only", page.evaluate("sessionStorage.getItem('hearth.key')") == key and
          key not in page.evaluate("JSON.stringify({...localStorage}) + document.cookie"))
    claim("and in no address", not any(key in r["request"]["url"] for r in page.seen("Network.requestWillBeSent")))
    claim("nothing was thrown there", not page.seen("Runtime.exceptionThrown"), page.seen("Runtime.exceptionThrown"))
    claim("that server ends well", own.stop() == 0, own.logged()[-500:])


def whole():
    def all_seen(method):
        return [e for page in pages for e in page.seen(method)]
    asked = {r["request"]["url"] for r in all_seen("Network.requestWillBeSent")}
    own = (URL + "/", "data:", "about:blank")
    claim("nothing was asked of anybody else", len(asked) > 10 and all(u.startswith(own) for u in asked), asked)

    def violations(of):
        return [e["issue"] for e in of if e["issue"]["code"] == "ContentSecurityPolicyIssue"]
    broken = violations(all_seen("Audits.issueAdded"))
    claim("nothing was against the policy", not broken, broken)
    thrown = all_seen("Runtime.exceptionThrown")
    claim("nothing was thrown", not thrown, thrown)
    probe = browser.Page(chromium)
    probe.open(URL + "/")
    probe.evaluate("try { document.body.innerHTML = '<img src=x onerror=hacked=1>' } catch (e) { window.refused = e.name }; 0")
    end = time.time() + 60
    while not violations(probe.seen("Audits.issueAdded")) and time.time() < end:
        time.sleep(0.02)
    claim("and the policy would have caught it", probe.evaluate("window.refused") == "TypeError" and
          violations(probe.seen("Audits.issueAdded")))


streaming()
stop_and_again()
hostile_answers()
markdown()
documents()
errors()
live_view()
looks()
keyboard()
with_keys()
whole()
claim("the server ends well", server.stop() == 0, server.logged()[-500:])
chromium.close()
finish()
