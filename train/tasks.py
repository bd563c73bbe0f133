"""Makes training rows: a passage with the prompt of `summarize`, and its central sentences.

Targets come from centrality.py alone; sentences stand in the answer exactly as in
the passage and in its order. Every row is a pure function of the random generator
given, so a run can stop and go on anywhere.
"""

import re
from dataclasses import dataclass

import numpy as np
from tokenizers import Tokenizer

from centrality import Rarity, central_sentences, sentence_vectors, words_of
from corpus import SOURCE_WEIGHTS, Document, Paragraph, split_sentences
from prompts import WORD_COUNTS, Prompts, Request, write_chat, write_prompt
from vocabulary import END_OF_TEXT, TURN_END

_MARKER = re.compile(r"^(?:[-*•+]|\d{1,3}[.)])\s+")
_WHOLE = re.compile(r'^["“‘\'(\[]?[A-Z0-9].*[.!?]["”’\')\]]*$')
BYTES_PER_TOKEN = 3.5
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
    sentences: list[str]
    headings: list[str]  # of each sentence: the last heading before it in the passage, or ""
    title: str
    section: str


@dataclass
class Row:
    tokens: list[int]
    n_prompt: int  # tokens before the answer; 0 for plain text


def usable_sentences(paragraph: str) -> list[str]:
    sentences = split_sentences(_MARKER.sub("", paragraph))
    return [s for s in sentences if _WHOLE.match(s)]


def make_passage(paragraphs: list[Paragraph], n_bytes: int, title: str, section: str) -> Passage:
    """As many of the paragraphs as n_bytes hold; a paragraph too many is cut at a sentence."""
    lines, sentences, headings = [], [], []
    heading = ""
    for paragraph in paragraphs:
        text = paragraph.text
        if len(text) > n_bytes:
            text = _cut(text, n_bytes)
            if not text:
                break
        n_bytes -= len(text) + 2
        lines.append(text)
        if paragraph.is_heading:
            heading = text
        else:
            usable = usable_sentences(text)
            sentences += usable
            headings += [heading] * len(usable)
    while lines and lines[-1] == heading and (not headings or headings[-1] != heading):
        lines.pop()  # a heading with nothing below it
        heading = headings[-1] if headings else ""
    return Passage("\n\n".join(lines), sentences, headings, title, section)


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
        self.tokenizer, self.rarity, self.prompts = tokenizer, rarity, prompts
        self.documents = [d for documents in texts.values() for d in documents]
        sizes = [
            sum(len(p.text) for p in d.paragraphs) * SOURCE_WEIGHTS.get(d.source, 1.0)
            for d in self.documents
        ]
        self.odds = np.cumsum(sizes) / np.sum(sizes)
        self.end_of_text = tokenizer.token_to_id(END_OF_TEXT)
        self.turn_end = tokenizer.token_to_id(TURN_END)

    def encode(self, text: str) -> list[int]:
        return self.tokenizer.encode(text).ids

    def sample_passage(self, rng: np.random.Generator, n_bytes: int) -> Passage:
        document = self.documents[int(np.searchsorted(self.odds, rng.random()))]
        start = int(rng.integers(len(document.paragraphs)))
        title = document.paragraphs[0].text if document.paragraphs[0].is_heading else ""
        before = [p.text for p in document.paragraphs[1:start] if p.is_heading]
        section = before[-1] if before else ""
        return make_passage(list(document.paragraphs[start : start + 200]), n_bytes, title, section)

    def sample_request(self, rng: np.random.Generator, n_tokens: int) -> tuple[Request, str] | None:
        """A prompt and its answer for rows of n_tokens; None if the passage gives no good one."""
        share = rng.uniform(0.72, 0.95) if rng.random() < 0.8 else rng.uniform(0.3, 0.72)
        n_bytes = int((share * n_tokens - 60) * BYTES_PER_TOKEN)
        passage = self.sample_passage(rng, n_bytes)
        if len(passage.sentences) < 3 or len(passage.text) < n_bytes * 0.6:
            return None
        request = self._request_for(rng, passage)
        if rng.random() < 0.15:
            return self._merge(rng, request, passage)
        if rng.random() < 0.06:
            return self._question(rng, request, passage)
        chosen = central_sentences(passage.sentences, request.words, self.rarity)
        return self._answered(request, passage, chosen)

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
        self, request: Request, passage: Passage, chosen: list[int]
    ) -> tuple[Request, str] | None:
        if not chosen:
            return None
        sentences = [passage.sentences[i] for i in chosen]
        headings = [passage.headings[i] for i in chosen]
        return request, write_answer(sentences, headings, request.style)

    def _merge(
        self, rng: np.random.Generator, request: Request, passage: Passage
    ) -> tuple[Request, str] | None:
        """The step up the tree: cut the passage in parts, drop what a part's summary would."""
        n_parts = int(rng.integers(2, 6))
        bounds = np.linspace(0, len(passage.sentences), n_parts + 1).astype(int)
        parts, sentences = [], []
        for start, end in zip(bounds[:-1], bounds[1:], strict=True):
            part = passage.sentences[start:end]
            if not part:
                continue
            n_words = int(rng.uniform(0.4, 0.9) * sum(len(s.split()) for s in part))
            kept = [part[i] for i in central_sentences(part, n_words, self.rarity)]
            if kept:
                sentences += kept
                parts.append(write_answer(kept, [""] * len(kept), request.style))
        chosen = central_sentences(sentences, request.words, self.rarity) if sentences else []
        if len(parts) < 2 or not chosen:
            return None
        request.task, request.section, request.text = "merge", "", "\n\n".join(parts)
        kept = [sentences[i] for i in chosen]
        return request, write_answer(kept, [""] * len(kept), request.style)

    def _question(
        self, rng: np.random.Generator, request: Request, passage: Passage
    ) -> tuple[Request, str] | None:
        """Asks for a rare word of the passage; the sentences nearest to it come first."""
        words = sorted({w for w in passage.text.split() if w.isalpha() and len(w) > 4})
        if not words:
            return None
        rare = [w for w in words if self.rarity.of(words_of(w)[0]) > 5] or words
        word = str(rng.choice(rare))
        vectors = sentence_vectors([*passage.sentences, word], self.rarity)
        nearness = vectors[:-1] @ vectors[-1]
        central = central_sentences(passage.sentences, request.words, self.rarity)
        hits = [i for i in np.argsort(-nearness, kind="stable") if nearness[i] > 0]
        chosen, total = [], 0
        for i in [*hits, *central]:
            length = len(passage.sentences[i].split())
            if i in chosen or (chosen and total + length / 2 > request.words):
                continue
            chosen.append(int(i))
            total += length
        request.ask = str(rng.choice(QUESTIONS)).format(word)
        return self._answered(request, passage, sorted(chosen))

    def summary_row(self, rng: np.random.Generator, n_tokens: int) -> Row:
        while True:
            sampled = self.sample_request(rng, n_tokens)
            if sampled is None:
                continue
            request, answer = sampled
            prompt = self.encode(write_chat(write_prompt(self.prompts, request)))
            tokens = prompt + self.encode(answer) + [self.turn_end]
            if len(tokens) <= n_tokens:
                return Row(tokens, len(prompt))

    def prose_row(self, rng: np.random.Generator, n_tokens: int) -> Row:
        while True:
            text = self.sample_passage(rng, n_tokens * 6).text
            tokens = self.encode(text)[:n_tokens]
            if len(tokens) > n_tokens // 2:
                return Row(tokens, 0)

    def batch(
        self, rng: np.random.Generator, n_rows: int, n_tokens: int, prose_share: float
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Tokens [n_rows, n_tokens]; which of them are answer; which are other text."""
        tokens = np.full((n_rows, n_tokens), self.end_of_text, dtype=np.int64)
        answer = np.zeros((n_rows, n_tokens), dtype=bool)
        other = np.zeros((n_rows, n_tokens), dtype=bool)
        for i in range(n_rows):
            prose = rng.random() < prose_share
            row = self.prose_row(rng, n_tokens) if prose else self.summary_row(rng, n_tokens)
            n = len(row.tokens)
            tokens[i, :n] = row.tokens
            other[i, : row.n_prompt or n] = True
            answer[i, row.n_prompt : n] = row.n_prompt > 0
        return tokens, answer, other
