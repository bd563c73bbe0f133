"""Reads the training texts and cuts them into documents, paragraphs and sentences.

Nothing here is random: what to read next is the caller's choice (tasks.py).
Format of the texts: one paragraph a line, a blank line between paragraphs, two
blank lines between documents.
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path

# Books are many bytes of one kind of prose; the weights keep explanatory prose in front.
SOURCE_WEIGHTS = {"english-novels-1847-1919": 0.25, "gutenberg-mixed": 0.35}

_ABBREVIATIONS = frozenset(
    "mr mrs ms dr prof st vs etc e.g i.e cf fig figs eq sec no vol al inc ltd jr sr co corp "
    "dept approx u.s u.k a.m p.m".split()
)
_SENTENCE_END = re.compile(r'[.!?]["”’\')\]]*\s+(?=["“‘\'(\[]*[A-Z0-9])')


@dataclass(frozen=True)
class Paragraph:
    text: str
    is_heading: bool


@dataclass(frozen=True)
class Document:
    source: str
    paragraphs: tuple[Paragraph, ...]


def looks_like_heading(text: str) -> bool:
    return len(text) <= 80 and text[-1] not in '.!?:;,"”' and not text.startswith(("-", "*"))


def split_sentences(paragraph: str) -> list[str]:
    """Sentences of a paragraph; joined by single spaces they are the paragraph again."""
    sentences, start = [], 0
    for match in _SENTENCE_END.finditer(paragraph):
        word = paragraph[start : match.start()].rsplit(" ", 1)[-1].lstrip("(\"“'").lower()
        if paragraph[match.start()] == "." and (word in _ABBREVIATIONS or len(word) == 1):
            continue
        sentences.append(paragraph[start : match.end()].rstrip())
        start = match.end()
    if start < len(paragraph):
        sentences.append(paragraph[start:].rstrip())
    return sentences


def parse_document(source: str, text: str) -> Document:
    lines = (" ".join(line.split()) for line in text.split("\n"))
    return Document(source, tuple(Paragraph(x, looks_like_heading(x)) for x in lines if x))


def read_texts(folder: Path) -> dict[str, list[Document]]:
    """Documents of every training text, by source."""
    texts = {}
    for path in sorted((folder / "train").glob("*.txt")):
        parts = path.read_text(encoding="utf-8").split("\n\n\n")
        documents = [parse_document(path.stem, part) for part in parts]
        texts[path.stem] = [d for d in documents if len(d.paragraphs) >= 3]
    if not texts:
        raise FileNotFoundError(f"no train/*.txt under {folder}")
    return texts


def read_held_out(folder: Path) -> list[Document]:
    """Documents of the test split: no training text and no training pair contains them."""
    seen, documents = set(), []
    for path in sorted((folder / "pairs").glob("*.test.jsonl")):
        for line in path.read_text(encoding="utf-8").splitlines():
            text = json.loads(line)["document"]
            if text not in seen:
                seen.add(text)
                documents.append(parse_document(path.name.split(".")[0], text))
    return documents
