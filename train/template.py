"""The chat template, and the sentences that it puts marks before."""

import re
from functools import cache
from pathlib import Path

import jinja2

_MARK = re.compile(r"<\|s\d+\|>")
TEMPLATE_FILE = Path(__file__).resolve().parent / "chat_template.jinja"


def read_template() -> str:
    return TEMPLATE_FILE.read_text(encoding="utf-8")


@cache
def _template() -> jinja2.Template:
    return jinja2.Environment(trim_blocks=True, lstrip_blocks=True).from_string(read_template())


def write_chat(prompt: str) -> str:
    """One user turn and the opening of the answer, as the chat template renders them."""
    messages = [{"role": "user", "content": prompt}]
    return _template().render(messages=messages, add_generation_prompt=True)


def marked_sentences(text: str) -> list[str]:
    """What the chat template puts a mark before, in order."""
    chat = write_chat(text)
    begin, end = len("<|im_start|>user\n"), chat.rindex("<|im_end|>")
    return [piece.strip() for piece in _MARK.split(chat[begin:end])[1:-1]]
