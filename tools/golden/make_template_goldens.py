#!/usr/bin/env python3
"""Writes tests/golden/data/template/: what transformers renders, for tests/golden/test_template.c.

  cases.json          small templates of our own (template_cases.py) with what they become
  conversations.json  the variables that published templates are tried with
  published.json      per template file of ../shared/data/templates, per conversation: length and
                      FNV-1a hash of the text, or our wording of the error (line and message). The
                      templates themselves are their makers' and stay out of this repository.
"""
import json
import pathlib

from template_cases import CASES
from template_conversations import conversations
from template_reference import render

ROOT = pathlib.Path(__file__).resolve().parents[2]
OUT = ROOT / "tests/golden/data/template"
PUBLISHED = ROOT / "../shared/data/templates"


def fnv(data):
    h = 14695981039346656037
    for byte in data:
        h = ((h ^ byte) * 1099511628211) & (2**64 - 1)
    return h


def outcome(source, variables):
    kind, *rest = render(source, variables)
    if kind == "error":
        line, message = rest
        if message.startswith("maximum recursion depth exceeded"):
            return "recursion"
        text = f"template, line {line}: {message}".encode()[:255]
        return text.decode(errors="ignore")
    data = rest[0].encode()
    return f"{len(data)}:{fnv(data):016x}"


def cases():
    for name, source, variables, *words in CASES:
        kind, *rest = render(source, variables)
        case = {"name": name, "template": source, "variables": variables}
        if kind == "text":
            case["text"] = rest[0]
        else:
            case["line"] = rest[0]
            case["error"] = words[0] if words else rest[1]
        yield case


def write(name, value):
    items = ",\n".join(json.dumps(v, ensure_ascii=False) for v in value)
    (OUT / name).write_text(f"[\n{items}\n]\n")


OUT.mkdir(parents=True, exist_ok=True)
write("cases.json", list(cases()))
chats = conversations()
write("conversations.json", chats)
published = {
    path.name: [outcome(path.read_text(), chat) for chat in chats]
    for path in sorted(PUBLISHED.glob("*.jinja"))
}
(OUT / "published.json").write_text(json.dumps(published, indent=1, ensure_ascii=False) + "\n")
