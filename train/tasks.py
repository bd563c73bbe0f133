"""Makes training rows: a passage with the prompt of `summarize`, and its central sentences.

Targets come from centrality.py alone; sentences stand in the answer exactly as in the
passage, the most central first (`hearth summarize` puts them in the order of the text) or,
in the first stages, in its order. An answer is put together from the very tokens of the passage, so
that for each of its tokens the place it was copied from is known (rows.py). Every row is a
pure function of the random generator given, so a run can stop and go on anywhere.
"""

import re
from dataclasses import dataclass, field

import numpy as np
from tokenizers import Tokenizer

from centrality import Rarity, central_sentences, ranked_sentences, sentence_vectors, words_of
from corpus import SOURCE_WEIGHTS, Document, Paragraph, split_sentences
from prompts import WORD_COUNTS, Prompts, Request
from rows import Answer, Batch, Row, RowWriter

_MARKER = re.compile(r"^(?:[-*•+]|\d{1,3}[.)])\s+")
_WHOLE = re.compile(r'^["“‘\'(\[]?[A-Z0-9].*[.!?]["”’\')\]]*$')
BYTES_PER_TOKEN = 4.0
HEADER_TOKENS = 50  # of a prompt, before its passage
QUESTIONS = (
    "What is {}?",
    "What does it say about {}?",
    "What about {}?",
    "How does {} work?",
    "Why does {} matter?",
)


@dataclass
class Passage:
    """Consecutive paragraphs of one document; sentences are those an answer may use."""

    text: str
    sentences: list[str] = field(default_factory=list)
    starts: list[int] = field(default_factory=list)  # of each sentence, in characters of the text
    headings: list[str] = field(default_factory=list)  # the last heading before it, or ""
    title: str = ""
    section: str = ""


def usable_sentences(paragraph: str) -> list[tuple[int, str]]:
    """Whole sentences of a paragraph and where they start; list markers are left out."""
    marker = _MARKER.match(paragraph)
    start = marker.end() if marker else 0
    found = []
    for sentence in split_sentences(paragraph[start:]):
        if _WHOLE.match(sentence):
            found.append((start, sentence))
        start += len(sentence) + 1
    return found


def make_passage(paragraphs: list[Paragraph], n_bytes: int, title: str, section: str) -> Passage:
    """As many of the paragraphs as n_bytes hold; a paragraph too many is cut at a sentence."""
    made = Passage("", title=title, section=section)
    lines: list[str] = []
    heading = ""
    for paragraph in paragraphs:
        text = paragraph.text
        if len(text) > n_bytes:
            text = _cut(text, n_bytes)
            if not text:
                break
        n_bytes -= len(text) + 2
        start = sum(len(line) + 2 for line in lines)
        lines.append(text)
        if paragraph.is_heading:
            heading = text
        else:
            for offset, sentence in usable_sentences(text):
                made.starts.append(start + offset)
                made.sentences.append(sentence)
                made.headings.append(heading)
    while lines and lines[-1] == heading and (not made.headings or made.headings[-1] != heading):
        lines.pop()  # a heading with nothing below it
        heading = made.headings[-1] if made.headings else ""
    made.text = "\n\n".join(lines)
    return made


def _cut(text: str, n_bytes: int) -> str:
    kept = ""
    for sentence in split_sentences(text):
        if len(kept) + len(sentence) > n_bytes:
            break
        kept += (" " if kept else "") + sentence
    return kept


def write_answer(sentences: list[str], headings: list[str], style: str) -> str:
    if style == "paragraph":
        return " ".join(sentences)
    lines, last = [], ""
    for sentence, heading in zip(sentences, headings, strict=True):
        if style == "outline" and heading and heading != last:
            lines.append(heading)
        last = heading
        lines.append("- " + sentence)
    return "\n".join(lines)


class Tasks:
    def __init__(
        self,
        texts: dict[str, list[Document]],
        tokenizer: Tokenizer,
        rarity: Rarity,
        prompts: Prompts,
    ) -> None:
        self.tokenizer, self.rarity = tokenizer, rarity
        self.writer = RowWriter(tokenizer, prompts)
        self.documents = [d for documents in texts.values() for d in documents]
        sizes = [
            sum(len(p.text) for p in d.paragraphs) * SOURCE_WEIGHTS.get(d.source, 1.0)
            for d in self.documents
        ]
        self.odds = np.cumsum(sizes) / np.sum(sizes)

    def sample_passage(self, rng: np.random.Generator, n_bytes: int) -> Passage:
        document = self.documents[int(np.searchsorted(self.odds, rng.random()))]
        start = int(rng.integers(len(document.paragraphs)))
        title = document.paragraphs[0].text if document.paragraphs[0].is_heading else ""
        before = [p.text for p in document.paragraphs[1:start] if p.is_heading]
        section = before[-1] if before else ""
        return make_passage(list(document.paragraphs[start : start + 200]), n_bytes, title, section)

    def sample_request(
        self, rng: np.random.Generator, n_tokens: int, ranked: bool
    ) -> tuple[Request, Answer] | None:
        """A prompt and its answer for rows of n_tokens; None if the passage gives no good one."""
        share = rng.uniform(0.55, 0.9) if rng.random() < 0.85 else rng.uniform(0.3, 0.6)
        n_bytes = int((share * n_tokens - HEADER_TOKENS) * BYTES_PER_TOKEN)
        passage = self.sample_passage(rng, n_bytes)
        if len(passage.sentences) < 3 or len(passage.text) < n_bytes * 0.6:
            return None
        request = self._request_for(rng, passage)
        if rng.random() < 0.12:
            return self._merge(rng, request, passage, ranked)
        if rng.random() < 0.05:
            return self._question(rng, request, passage, ranked)
        chosen = ranked_sentences(passage.sentences, request.words, self.rarity)
        return self._answered(request, passage, chosen, ranked)

    def _request_for(self, rng: np.random.Generator, passage: Passage) -> Request:
        n_words = sum(len(s.split()) for s in passage.sentences)
        limit = n_words * (1.5 if rng.random() < 0.08 else 0.6)
        words = int(rng.choice([w for w in WORD_COUNTS if w <= limit] or [WORD_COUNTS[0]]))
        style = str(rng.choice(["paragraph", "bullets", "outline"], p=[0.6, 0.25, 0.15]))
        request = Request(words, passage.text, style=style)
        if rng.random() < 0.6:
            request.title = passage.title
        if rng.random() < 0.5:
            request.section = passage.section
        if rng.random() < 0.03:
            request.language = "English"
        return request

    def _answered(
        self, request: Request, passage: Passage, chosen: list[int], ranked: bool
    ) -> tuple[Request, Answer] | None:
        if not chosen:
            return None
        if not ranked or request.style == "outline":  # headings keep the order of the text
            chosen = sorted(chosen)
        return request, Answer(passage.sentences, passage.starts, passage.headings, chosen)

    def _merge(
        self, rng: np.random.Generator, request: Request, passage: Passage, ranked: bool
    ) -> tuple[Request, Answer] | None:
        """The step up the tree: cut the passage in parts, drop what a part's summary would."""
        n_parts = int(rng.integers(2, 6))
        bounds = np.linspace(0, len(passage.sentences), n_parts + 1).astype(int)
        parts: list[str] = []
        merged = Passage("")
        for start, end in zip(bounds[:-1], bounds[1:], strict=True):
            part = passage.sentences[start:end]
            if not part:
                continue
            n_words = int(rng.uniform(0.4, 0.9) * sum(len(s.split()) for s in part))
            kept = [part[i] for i in central_sentences(part, n_words, self.rarity)]
            at = sum(len(p) + 2 for p in parts)
            for sentence in kept:
                at += 2 if request.style != "paragraph" else 0
                merged.starts.append(at)
                merged.sentences.append(sentence)
                at += len(sentence) + 1
            if kept:
                parts.append(write_answer(kept, [""] * len(kept), request.style))
        if len(parts) < 2:
            return None
        chosen = ranked_sentences(merged.sentences, request.words, self.rarity)
        merged.headings = [""] * len(merged.sentences)
        request.task, request.section, request.text = "merge", "", "\n\n".join(parts)
        return self._answered(request, merged, chosen, ranked)

    def _question(
        self, rng: np.random.Generator, request: Request, passage: Passage, ranked: bool
    ) -> tuple[Request, Answer] | None:
        """Asks for a rare word of the passage; the sentences nearest to it come first."""
        words = sorted({w for w in passage.text.split() if w.isalpha() and len(w) > 4})
        if not words:
            return None
        rare = [w for w in words if self.rarity.of(words_of(w)[0]) > 5] or words
        word = str(rng.choice(rare))
        vectors = sentence_vectors([*passage.sentences, word], self.rarity)
        nearness = vectors[:-1] @ vectors[-1]
        central = ranked_sentences(passage.sentences, request.words, self.rarity)
        hits = [i for i in np.argsort(-nearness, kind="stable") if nearness[i] > 0]
        chosen, total = [], 0
        for i in [*hits, *central]:
            length = len(passage.sentences[i].split())
            if i in chosen or (chosen and total + length / 2 > request.words):
                continue
            chosen.append(int(i))
            total += length
        request.ask = str(rng.choice(QUESTIONS)).format(word)
        return self._answered(request, passage, chosen, ranked)

    def summary_row(self, rng: np.random.Generator, n_tokens: int, ranked: bool) -> Row:
        while True:
            sampled = self.sample_request(rng, n_tokens, ranked)
            row = self.writer.write(*sampled) if sampled else None
            if row and len(row.tokens) <= n_tokens:
                return row

    def prose_row(self, rng: np.random.Generator, n_tokens: int) -> Row:
        while True:
            text = self.sample_passage(rng, n_tokens * 6).text
            tokens = np.array(self.tokenizer.encode(text).ids[:n_tokens])
            if len(tokens) > n_tokens // 2:
                return Row.plain(tokens)

    def batch(
        self,
        rng: np.random.Generator,
        n_rows: int,
        n_tokens: int,
        prose_share: float,
        disguise_share: float,
        ranked: bool,
    ) -> Batch:
        rows = []
        for _ in range(n_rows):
            prose = rng.random() < prose_share
            if prose:
                row = self.prose_row(rng, n_tokens)
            else:
                row = self.summary_row(rng, n_tokens, ranked)
            if not prose and rng.random() < disguise_share:
                row = self.writer.disguise(rng, row)
            rows.append(row)
        return Batch.of(rows, self.writer.end_of_text)
