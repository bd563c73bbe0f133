"""Makes training rows: a passage with the prompt of `summarize`, and its central sentences.

Targets come from centrality.py alone; sentences stand in the answer exactly as in the
passage, the most central first (`hearth summarize` puts them in the order of the text). An
answer is put together from the very tokens of the passage, so that for each of its tokens the
place it was copied from is known (rows.py). Every row is a
pure function of the random generator given, so a run can stop and go on anywhere.
"""

import re
from dataclasses import dataclass, field

import numpy as np
from tokenizers import Tokenizer

from centrality import Ranking, Rarity, central_sentences, sentence_vectors, words_of
from corpus import SOURCE_WEIGHTS, Document, Paragraph, split_sentences
from prompts import WORD_COUNTS, Prompts, Request
from rows import Answer, Batch, Row, RowWriter
from template import marked_sentences

_WHOLE = re.compile(r'^["“‘\'(\[]?[A-Z0-9].*[.!?]["”’\')\]]*$')
BYTES_PER_TOKEN = 4.6
SHARPNESS = 3.0  # of choices: shares are exp(SHARPNESS * standardized centrality)
STRAY_ROWS = 0.3  # share of answers with sentences by chance among the central ones
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
    places: list[int] = field(default_factory=list)  # of each sentence, among the marked ones
    headings: list[str] = field(default_factory=list)  # the last heading before it, or ""
    n_marked: int = 0
    title: str = ""
    section: str = ""


def find_sentences(passage: Passage, known_headings: set[str], any_line: bool = False) -> None:
    """Notes the whole sentences, or all lines, among those that the chat template marks."""
    heading = ""
    marked = marked_sentences(passage.text)
    passage.n_marked = len(marked)
    for i, sentence in enumerate(marked):
        if sentence in known_headings:
            heading = sentence
        elif any_line or _WHOLE.match(sentence):
            passage.sentences.append(sentence)
            passage.places.append(i)
            passage.headings.append(heading)


def make_passage(
    paragraphs: list[Paragraph], n_bytes: int, title: str, section: str, any_line: bool = False
) -> Passage:
    """As many of the paragraphs as n_bytes hold; a paragraph too many is cut at a sentence."""
    lines: list[str] = []
    headings: set[str] = set()
    for paragraph in paragraphs:
        text = paragraph.text
        if len(text) > n_bytes:
            text = _cut(text, n_bytes)
            if not text:
                break
        n_bytes -= len(text) + 2
        lines.append(text)
        if paragraph.is_heading:
            headings.add(text)
    while lines and lines[-1] in headings:
        lines.pop()  # a heading with nothing below it
    made = Passage("\n\n".join(lines), title=title, section=section)
    find_sentences(made, headings, any_line)
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


def softened(scores: np.ndarray) -> np.ndarray:
    """Shares of a choice: the most central sentence has most, near ones get theirs."""
    shares = np.exp(SHARPNESS * (scores - scores.max()))
    return shares / shares.sum()


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
        self.any_line = False  # answers may choose lines that are no whole sentence

    def sample_passage(self, rng: np.random.Generator, n_bytes: int) -> Passage:
        document = self.documents[int(np.searchsorted(self.odds, rng.random()))]
        start = int(rng.integers(len(document.paragraphs)))
        title = document.paragraphs[0].text if document.paragraphs[0].is_heading else ""
        before = [p.text for p in document.paragraphs[1:start] if p.is_heading]
        section = before[-1] if before else ""
        paragraphs = list(document.paragraphs[start : start + 200])
        return make_passage(paragraphs, n_bytes, title, section, self.any_line)

    def sample_request(
        self, rng: np.random.Generator, n_tokens: int
    ) -> tuple[Request, Answer, int] | None:
        """A prompt, its answer and how many sentences its text has, for rows of n_tokens; None if
        the passage gives no good one."""
        share = rng.uniform(0.6, 0.95) if rng.random() < 0.85 else rng.uniform(0.3, 0.6)
        n_bytes = int((share * n_tokens - HEADER_TOKENS) * BYTES_PER_TOKEN)
        passage = self.sample_passage(rng, n_bytes)
        if len(passage.sentences) < 3 or len(passage.text) < n_bytes * 0.6:
            return None
        request = self._request_for(rng, passage)
        if rng.random() < 0.12:
            return self._merge(rng, request, passage)
        ranking = self.ranking(passage.sentences)
        if rng.random() < 0.05:
            ranking = self._question(rng, request, passage, ranking)
        return self._answered(rng, request, passage, ranking)

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

    def ranking(self, sentences: list[str]) -> Ranking:
        return Ranking.of(sentences, self.rarity)

    def _answered(
        self, rng: np.random.Generator, request: Request, passage: Passage, ranking: Ranking
    ) -> tuple[Request, Answer, int] | None:
        chosen = ranking.take(request.words)
        if not chosen:
            return None
        if request.style == "outline":  # headings keep the order of the text
            chosen = sorted(chosen)
        elif rng.random() < STRAY_ROWS:
            chosen = self._stray(rng, request.words, ranking)
        wanted = np.zeros((len(chosen), passage.n_marked))
        for n, i in enumerate(chosen):
            if request.style == "outline":
                wanted[n, passage.places[i]] = 1
            else:
                wanted[n, passage.places] = softened(ranking.open_scores(chosen[:n]))
        headings = [passage.headings[i] for i in chosen]
        answer = Answer([passage.places[i] for i in chosen], wanted, headings)
        return request, answer, passage.n_marked

    @staticmethod
    def _stray(rng: np.random.Generator, words: int, ranking: Ranking) -> list[int]:
        """Some sentences by chance among the central ones, as a network errs that writes itself."""
        chosen: list[int] = []
        while True:
            more = ranking.next_one(chosen, words)
            if more is not None and rng.random() < 0.35:
                more = int(rng.choice(np.flatnonzero(np.isfinite(ranking.open_scores(chosen)))))
            if more is None or not ranking.has_room(chosen, more, words):
                return chosen or ranking.take(words)[:1]
            chosen.append(more)

    def _merge(
        self, rng: np.random.Generator, request: Request, passage: Passage
    ) -> tuple[Request, Answer, int] | None:
        """The step up the tree: cut the passage in parts, drop what a part's summary would."""
        n_parts = int(rng.integers(2, 6))
        bounds = np.linspace(0, len(passage.sentences), n_parts + 1).astype(int)
        parts: list[str] = []
        for start, end in zip(bounds[:-1], bounds[1:], strict=True):
            part = passage.sentences[start:end]
            if not part:
                continue
            n_words = int(rng.uniform(0.4, 0.9) * sum(len(s.split()) for s in part))
            kept = [part[i] for i in central_sentences(part, n_words, self.rarity)]
            if kept:
                parts.append(write_answer(kept, [""] * len(kept), request.style))
        if len(parts) < 2:
            return None
        merged = Passage("\n\n".join(parts))
        find_sentences(merged, set(), self.any_line)
        if len(merged.sentences) < 2:
            return None
        request.task, request.section, request.text = "merge", "", merged.text
        return self._answered(rng, request, merged, self.ranking(merged.sentences))

    def _question(
        self, rng: np.random.Generator, request: Request, passage: Passage, ranking: Ranking
    ) -> Ranking:
        """Asks for a rare word of the passage; the sentences nearest to it come first."""
        words = sorted({w for w in passage.text.split() if w.isalpha() and len(w) > 4})
        if not words:
            return ranking
        rare = [w for w in words if self.rarity.of(words_of(w)[0]) > 5] or words
        word = str(rng.choice(rare))
        vectors = sentence_vectors([*passage.sentences, word], self.rarity)
        nearness = vectors[:-1] @ vectors[-1]
        request.ask = str(rng.choice(QUESTIONS)).format(word)
        scores = ranking.scores + np.where(nearness > 0, 3 + 5 * nearness, 0)
        return Ranking(scores, ranking.cosine, ranking.lengths)

    def summary_row(self, rng: np.random.Generator, n_tokens: int) -> Row:
        while True:
            sampled = self.sample_request(rng, n_tokens)
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
    ) -> Batch:
        rows = []
        for _ in range(n_rows):
            prose = rng.random() < prose_share
            if prose:
                row = self.prose_row(rng, n_tokens)
            else:
                row = self.summary_row(rng, n_tokens)
            if not prose and rng.random() < disguise_share:
                row = self.writer.disguise(rng, row)
            rows.append(row)
        return Batch.of(rows, self.writer.end_of_text)
