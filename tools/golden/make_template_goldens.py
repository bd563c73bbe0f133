#!/usr/bin/env python3
"""Writes tests/golden/data/template/: what transformers renders, for tests/golden/test_template.c.

  cases.json          the variables, then small templates of our own (template_cases.py) with what they become
  conversations.json  the variables that published templates are tried with
  published.json      per template file of ../shared/data/templates, per conversation: length and
                      FNV-1a hash of the text, or our wording of the error (line and message). The
                      templates themselves are their makers' and stay out of this repository.
"""
import json
import pathlib

from fuzz_templates import ADDRESS, VARIABLES
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
    """Errors keep their line (0: any) and, where jinja2 itself words them, the words."""
    for name, source, variables in CASES:
        kind, *rest = render(source, variables)
        case = {"name": name, "template": source}
        if kind == "text":
            if ADDRESS.search(rest[0]):
                continue
            case["text"] = rest[0]
        else:
            line, message = rest
            case["line"] = 0 if "with x" in source else line
            case["error"] = message if "is undefined" in message or "has no attribute" in message else ""
            if "with x" in source or "object has no attribute" in message:
                case["error"] = ""
        if len(source) + len(case.get("text", "")) < 2500 and not any(w in source for w in BOUNDED):
            yield case


def write(name, value):
    items = ",\n".join(json.dumps(v, ensure_ascii=False) for v in value)
    (OUT / name).write_text(f"[\n{items}\n]\n")


# What we refuse as a stated bound or do not have.
BOUNDED = (".encode()", "**", "0x1F * ")

OUT.mkdir(parents=True, exist_ok=True)
write("cases.json", [VARIABLES] + list(cases()))
chats = conversations()
write("conversations.json", chats)
published = {
    path.name: [outcome(path.read_text(), chat) for chat in chats]
    for path in sorted(PUBLISHED.glob("*.jinja"))
}
(OUT / "published.json").write_text(json.dumps(published, indent=1, ensure_ascii=False) + "\n")
