"""The prompts of `hearth summarize`, read from the C file that owns them.

Only the constant words are read; how they are put together is mirrored here and
has to follow prompt_write() of src/summarize/prompts.c. check_prompts.py compares.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path

C_FILE = Path(__file__).resolve().parent.parent / "src" / "summarize" / "prompts.c"
TASKS = ("summarize", "merge")
STYLES = ("paragraph", "bullets", "outline")
ASK_BYTES, TITLE_BYTES, SECTION_BYTES = 2000, 120, 160
WORD_COUNTS = (10, 20, 30, 40, 50, 60, 70, 80, 90, 100, 150, 200)
_LITERAL = re.compile(r'"((?:[^"\\]|\\.)*)"')


def _strings(source: str, array: str, count: int) -> list[str]:
    body = re.search(rf"{array}\[[^=]*=\s*\{{(.*?)\n\}};", source, re.DOTALL)
    found = [s.replace("\\n", "\n") for s in _LITERAL.findall(body.group(1))] if body else []
    if len(found) != count:
        raise ValueError(f"{C_FILE}: expected {count} strings in {array}, found {len(found)}")
    return found


@dataclass(frozen=True)
class Prompts:
    openings: list[str]
    guards: list[str]
    labels: list[str]

    @classmethod
    def read(cls, path: Path = C_FILE) -> "Prompts":
        source = path.read_text(encoding="utf-8")
        return cls(
            _strings(source, "openings", len(TASKS) * len(STYLES)),
            _strings(source, "guards", len(TASKS)),
            _strings(source, "labels", len(TASKS)),
        )


@dataclass
class Request:
    """What prompt_write() is given."""

    words: int
    text: str = field(repr=False)
    task: str = "summarize"
    style: str = "paragraph"
    ask: str = ""
    language: str = ""
    title: str = ""
    section: str = ""


def _line(label: str, value: str, max_bytes: int) -> str:
    """White space and control characters become single spaces; long values are cut at a word."""
    line = re.sub(r"[\0- \x7f]+", " ", value).strip(" ").encode()
    if not line:
        return ""
    if len(line) > max_bytes:
        cut = max_bytes
        while cut > max_bytes // 2 and line[cut] != ord(" "):
            cut -= 1
        if line[cut] != ord(" "):
            cut = max_bytes
        line = line[:cut].decode(errors="ignore").encode() + b" ..."
    return label + line.decode() + "\n"


def write_prompt(prompts: Prompts, request: Request) -> str:
    task = TASKS.index(request.task)
    opening = prompts.openings[task * len(STYLES) + STYLES.index(request.style)]
    out = opening.replace("%d", str(request.words))
    if request.language:
        out += f" Write in {request.language}."
    out += prompts.guards[task] + "\n\n"
    lines = _line("Keep what answers this question: ", request.ask, ASK_BYTES)
    lines += _line("Title: ", request.title, TITLE_BYTES)
    lines += _line("Section: ", request.section, SECTION_BYTES)
    return out + (lines + "\n" if lines else "") + prompts.labels[task] + request.text
