"""Rows of tokens in which every token of an answer knows where in the passage it came from.

The chat template puts a numbered mark before every sentence of a passage, and one after the
last. An answer names a sentence by the quote mark of the same number and then has its very tokens.
What a row knows beside its tokens guides the attention of a few heads while the network
learns (guides.py): the mark that each token stands under, the mark that closes the sentence to
be named, and the place of the token to be copied.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from tokenizers import Tokenizer

from prompts import Prompts, Request, write_prompt
from template import write_chat
from vocabulary import END_OF_TEXT, N_MARKS, N_NUMBERS, QUOTE_MARKS, SENTENCE_MARKS, TURN_END, TURN_START

NOWHERE = -1


@dataclass
class Answer:
    """Chosen sentences by their number among the marked ones, in order."""

    chosen: list[int]
    wanted: np.ndarray  # [n_chosen, n_sentences]: what share of each choice a sentence ought to get
    headings: list[str]  # above each of the chosen, or ""


@dataclass
class Row:
    tokens: np.ndarray  # [n]
    n_prompt: int  # tokens before the answer; 0 for plain text
    scored: np.ndarray  # [n] bool: this token of the answer counts when it is predicted
    copied_from: np.ndarray  # [n]: place of the passage's token that was copied, or NOWHERE
    mark: np.ndarray  # [n]: place of the last mark at or before the token, or NOWHERE
    named: np.ndarray  # [n_chosen]: places of quote marks
    closing: np.ndarray  # [n_sentences]: place of the mark behind each sentence
    wanted: np.ndarray  # [n_chosen, n_sentences]: shares of each choice

    @classmethod
    def plain(cls, tokens: np.ndarray) -> "Row":
        none = np.full(len(tokens), NOWHERE)
        empty = np.zeros(0, dtype=int)
        return cls(tokens, 0, none >= 0, none, none.copy(), empty, empty, np.zeros((0, 0)))


class _Pieces:
    """An answer as it grows: token, where it was copied from, which of them are quote marks."""

    def __init__(self) -> None:
        self.ids: list[int] = []
        self.sources: list[int] = []
        self.named: list[int] = []

    def add(self, ids: Sequence[int], sources: Sequence[int] = ()) -> None:
        self.ids += ids
        self.sources += sources or [NOWHERE] * len(ids)


class RowWriter:
    def __init__(self, tokenizer: Tokenizer, prompts: Prompts) -> None:
        self.tokenizer, self.prompts = tokenizer, prompts
        self.end_of_text = tokenizer.token_to_id(END_OF_TEXT)
        self.turn_start, self.turn_end = map(tokenizer.token_to_id, (TURN_START, TURN_END))
        self.first_mark = tokenizer.token_to_id(SENTENCE_MARKS[0])
        self.first_quote = tokenizer.token_to_id(QUOTE_MARKS[0])
        self.dash, self.newline = tokenizer.token_to_id("-"), tokenizer.token_to_id("Ċ")
        words = [i for t, i in tokenizer.get_vocab().items() if any(c.isalpha() for c in t[1:])]
        last_special = self.first_quote + N_MARKS
        self.words = np.sort(np.array([i for i in words if i > last_special + 256]))

    def is_mark(self, tokens: np.ndarray) -> np.ndarray:
        return (tokens >= self.first_mark) & (tokens < self.first_mark + N_MARKS)

    def write(self, request: Request, answer: Answer, n_sentences: int) -> Row | None:
        """None if the text itself has what looks like a mark."""
        ids = np.array(self.tokenizer.encode(write_chat(write_prompt(self.prompts, request))).ids)
        marks = np.flatnonzero(self.is_mark(ids))
        if len(marks) != n_sentences + 1 or (ids == self.turn_end).sum() != 1:
            return None
        pieces = self._pieces(ids, answer, marks, request.style)
        n_prompt = len(ids)
        row = Row.plain(np.array([*ids, *pieces.ids, self.turn_end]))
        row.n_prompt = n_prompt
        row.scored[n_prompt:] = True
        row.copied_from[n_prompt:-1] = pieces.sources
        row.named = n_prompt + np.array(pieces.named)
        row.scored[row.named] = False  # shares are wanted instead
        row.closing, row.wanted = marks[1:], answer.wanted
        marked = (row.tokens >= self.first_mark) & (row.tokens < self.first_quote + N_MARKS)
        row.mark[:] = np.maximum.accumulate(np.where(marked, np.arange(len(row.tokens)), NOWHERE))
        return row

    def _pieces(self, ids: np.ndarray, answer: Answer, marks: np.ndarray, style: str) -> _Pieces:
        pieces, above = _Pieces(), ""
        for i, heading in zip(answer.chosen, answer.headings, strict=True):
            if pieces.ids and style != "paragraph":
                pieces.add([self.newline])
            if style == "outline" and heading not in ("", above):
                pieces.add(self._line_start(heading))
                pieces.add([self.newline])
            above = heading
            if style != "paragraph":
                pieces.add([self.dash])
            pieces.named.append(len(pieces.ids))
            pieces.add([self.first_quote + i % N_NUMBERS])
            sources = list(range(marks[i] + 1, marks[i + 1]))
            pieces.add([int(ids[j]) for j in sources], sources)
        return pieces

    def _line_start(self, heading: str) -> list[int]:
        return self.tokenizer.encode(heading).ids

    def disguise(self, rng: np.random.Generator, row: Row) -> Row:
        """Other words for all words of passage and answer, the same everywhere.

        Nothing is left to guess from what words usually follow each other: only copying is
        left, so choosing does not count.
        """
        other = np.arange(self.tokenizer.get_vocab_size())
        other[self.words] = rng.permutation(self.words)
        tokens = np.where(row.mark != NOWHERE, other[row.tokens], row.tokens)
        return replace(row, tokens=tokens, wanted=np.zeros_like(row.wanted))


@dataclass
class Batch:
    """Rows of equal length; arrays are [n_rows, n_tokens] unless it says otherwise."""

    tokens: np.ndarray
    answer: np.ndarray  # bool: tokens whose prediction is scored as answer
    other: np.ndarray  # bool: text that is not answer
    copied_from: np.ndarray
    mark: np.ndarray
    n_prompt: np.ndarray  # [n_rows]
    named: np.ndarray  # [n_rows, n_choices]: places of quote marks, filled up with 1
    closing: np.ndarray  # [n_rows, n_sentences]: filled up with 0
    wanted: np.ndarray  # [n_rows, n_choices, n_sentences]: filled up with 0

    @classmethod
    def of(cls, rows: list[Row], filler: int) -> "Batch":
        def padded(arrays: list[np.ndarray], fill: int | bool) -> np.ndarray:
            shape = np.max([a.shape for a in arrays], axis=0)
            out = np.full((len(arrays), *shape), fill, dtype=arrays[0].dtype)
            for one, a in zip(out, arrays, strict=True):
                one[tuple(slice(n) for n in a.shape)] = a
            return out

        before = [np.arange(len(r.tokens)) < (r.n_prompt or len(r.tokens)) for r in rows]
        return cls(
            padded([r.tokens for r in rows], filler),
            padded([r.scored for r in rows], False),
            padded(before, False),
            padded([r.copied_from for r in rows], NOWHERE),
            padded([r.mark for r in rows], NOWHERE),
            np.array([r.n_prompt for r in rows]),
            padded([r.named for r in rows], 1),
            padded([r.closing for r in rows], 0),
            padded([r.wanted.astype(np.float32) for r in rows], 0),
        )
