#!/usr/bin/env python3
"""A vendor's key that cannot be read is the operator's to mend: the operator is told which, at the start and when the
configuration is read again; clients are told no more than that this vendor cannot be asked."""
import os
import signal
import tempfile

from vendors import KEY, Double, Gateway, claim, finish, provider_lines, until

DIALECTS = {"/v1/chat/completions": {"messages": [{"role": "user", "content": "hello"}]},
            "/v1/messages": {"messages": [{"role": "user", "content": "hello"}], "max_tokens": 5}}
# The text of each key file, and whether it is a key.
FILES = {"line": (KEY + "\n", True), "windows": (KEY + "\r\n", True), "blanks": (KEY + " \t \n\n", True),
         "empty": ("", False), "blank": (" \r\n", False), "two": (KEY + "\nx", False), "gone": (None, False),
         "unread": (KEY, None)}


def write(name, text):
    path = os.path.join(folder, name + ".key")
    if text is not None:
        with open(path, "w") as f:
            f.write(text)
    return path


def provider(name):
    lines = provider_lines("openai", double, "p-" + name, retries=0)
    return [line if "key_env" not in line else f"    key_file: {write(name, FILES[name][0])}" for line in lines]


def ask(model, path="/v1/chat/completions"):
    status, body, headers = gateway.request("POST", path, {"model": model, **DIALECTS[path]})
    return status, body.decode()


double = Double()
home = tempfile.TemporaryDirectory()
folder = home.name
more = [line for name in FILES for line in provider(name)]
more += [line.replace("OPENAI_API_KEY", "HEARTH_TEST_UNSET") for line in provider_lines("openai", double, "p-unset", retries=0)]
os.chmod(os.path.join(folder, "unread.key"), 0)
more += [line.replace("p-two:", "p-idle:") for line in provider("two")]  # of no route
routes = {name: f"p-{name}/m" for name in (*FILES, "unset")}
routes["some"] = "{candidates: [p-gone/m, p-line/m], policy: fixed}"
gateway = Gateway(double, routes, providers=more)
warned = [line for line in gateway.logged().splitlines() if "cannot be asked" in line]
for name, (_, good) in {**FILES, "unset": (None, False)}.items():
    if good is None and os.access(os.path.join(folder, name + ".key"), os.R_OK):
        continue  # whoever runs this may read everything
    lines = [line for line in warned if f"p-{name} cannot" in line]
    what = "HEARTH_TEST_UNSET" if name == "unset" else os.path.join(folder, name + ".key")
    status, body = ask(name)
    if good:
        claim(f"a key with white space behind it is one ({name})", status == 200 and not lines, (status, body, lines))
        continue
    claim(f"the operator is told of it once, with what is wrong ({name})", len(lines) == 1 and
          (what in lines[0] or name == "two") and "hearth.yaml, line " in lines[0], lines)
    for path in DIALECTS:
        status, body = ask(name, path)
        claim(f"a client is told that it is no fault of its own ({name}, {path})", status == 502 and
              f"p-{name} cannot be asked" in body and folder not in body and "UNSET" not in body, (status, body))
claim("also where no route needs it", sum("p-idle cannot" in line for line in warned) == 1, warned)
claim("where another can serve, it does", ask("some")[0] == 200, ask("some"))
claim("no key is told", KEY not in gateway.logged())
write("gone", KEY)
n = gateway.logged().count("p-empty cannot")
gateway.process.send_signal(signal.SIGHUP)
claim("what was mended counts when the configuration is read again", until(lambda: ask("gone")[0] == 200), ask("gone"))
claim("what was not is told again", until(lambda: gateway.logged().count("p-empty cannot") == n + 1) and
      gateway.logged().count("p-gone cannot") == 1, gateway.logged()[-2000:])
claim("it ends with 0", gateway.stop() == 0)
finish()
