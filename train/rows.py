"""Rows of tokens in which every token of an answer knows where in the passage it came from.

What a row knows beside its tokens guides the attention of a few heads while the network
learns (guides.py): where the next token stands in the passage, which sentence it belongs to,
where sentences begin and end, and how rare each token is.
"""

import bisect
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from tokenizers import Encoding, Tokenizer

from prompts import Prompts, Request, write_chat, write_prompt
from vocabulary import END_OF_TEXT, TURN_END

NOWHERE = -1
_SPACE = "Ġ"  # how byte-level vocabularies spell a space


@dataclass
class Answer:
    """Chosen sentences of a text, by number and in order; starts are characters of the text."""

    sentences: list[str]
    starts: list[int]
    headings: list[str]
    chosen: list[int]


@dataclass
class Row:
    tokens: np.ndarray  # [n]
    n_prompt: int  # tokens before the answer; 0 for plain text
    scored: np.ndarray  # [n] bool: this token of the answer counts when it is predicted
    copied_from: np.ndarray  # [n]: place of the passage's token that was copied, or NOWHERE
    sentence_end: np.ndarray  # [n]: last place, in the passage, of the sentence it is copied from
    sentence_start: np.ndarray  # [n]: where the sentence that it is part of begins, or NOWHERE
    closes: np.ndarray  # [n] bool: ends a sentence of the passage
    exact: np.ndarray  # [n] bool: spelled with the same tokens as in the passage

    @classmethod
    def plain(cls, tokens: np.ndarray) -> "Row":
        n = len(tokens)
        none, no = np.full(n, NOWHERE), np.zeros(n, dtype=bool)
        return cls(tokens, 0, no, none, none.copy(), none.copy(), no.copy(), ~no)


class _Pieces:
    """An answer as it grows: token, where it was copied from, which sentence it belongs to."""

    def __init__(self) -> None:
        self.ids: list[int] = []
        self.sources: list[int] = []
        self.sentences: list[int] = []
        self.exact: list[bool] = []  # the very token of the passage

    def add(self, ids: Sequence[int], sources: Sequence[int], sentence: int, exact: bool) -> None:
        self.ids += ids
        self.sources += sources
        self.sentences += [sentence] * len(ids)
        self.exact += [exact] * len(ids)


class RowWriter:
    def __init__(self, tokenizer: Tokenizer, prompts: Prompts) -> None:
        self.tokenizer, self.prompts = tokenizer, prompts
        self.end_of_text = tokenizer.token_to_id(END_OF_TEXT)
        self.turn_end = tokenizer.token_to_id(TURN_END)
        self.dash = tokenizer.token_to_id("-")
        words = [i for t, i in tokenizer.get_vocab().items() if any(c.isalpha() for c in t[1:])]
        self.words = np.sort(np.array([i for i in words if i > self.turn_end + 256]))

    def write(self, request: Request, answer: Answer) -> Row | None:
        chat = write_chat(write_prompt(self.prompts, request))
        encoding = self.tokenizer.encode(chat)
        shift = chat.rindex(request.text) if request.text else 0
        spans = self._spans(encoding, answer, shift)
        pieces = self._pieces(encoding, answer, spans, chat, shift, request.style)
        n_prompt, n_answer = len(encoding.ids), len(pieces.ids)
        row = Row.plain(np.array([*encoding.ids, *pieces.ids, self.turn_end]))
        row.n_prompt = n_prompt
        row.scored[n_prompt:] = True
        for first, last in spans:
            row.sentence_start[first : last + 1] = first
            row.closes[last] = True
        row.copied_from[n_prompt:-1] = pieces.sources
        row.exact[n_prompt:-1] = pieces.exact
        begin = NOWHERE
        for i in range(n_answer):
            sentence, source = pieces.sentences[i], pieces.sources[i]
            if sentence != NOWHERE:
                row.sentence_end[n_prompt + i] = spans[sentence][1]
            if source != NOWHERE:
                begin = n_prompt + i if source == spans[sentence][0] else begin
                row.sentence_start[n_prompt + i] = begin
        row.sentence_end[-1] = 0  # nothing more to say: the first token of all stands for it
        return row

    def _spans(self, encoding: Encoding, answer: Answer, shift: int) -> list[tuple[int, int]]:
        """First and last token of each sentence of the text."""
        ends = [end for _, end in encoding.offsets]
        spans = []
        for start, sentence in zip(answer.starts, answer.sentences, strict=True):
            first = bisect.bisect_right(ends, shift + start)
            last = bisect.bisect_left(ends, shift + start + len(sentence))
            spans.append((first, last))
        return spans

    def _pieces(
        self,
        encoding: Encoding,
        answer: Answer,
        spans: list[tuple[int, int]],
        chat: str,
        shift: int,
        style: str,
    ) -> _Pieces:
        pieces, heading = _Pieces(), ""
        for number, i in enumerate(answer.chosen):
            if style == "outline" and answer.headings[i] not in ("", heading):
                text = answer.headings[i] + "\n"
                ids = self.tokenizer.encode(text).ids
                pieces.add(ids, [NOWHERE] * len(ids), NOWHERE, False)
            heading = answer.headings[i]
            if style != "paragraph":
                pieces.add([self.dash], [NOWHERE], i, True)
            first, last = spans[i]
            begin, end = shift + answer.starts[i], shift + answer.starts[i] + len(answer.sentences[i])
            spaced = encoding.offsets[first][0] < begin or not pieces.ids
            if spaced:
                pieces.add(encoding.ids[first : first + 1], [first], i, True)
            else:
                ids = self._with_space(encoding.ids[first])
                pieces.add(ids, [first] * len(ids), i, False)
            inner = range(first + 1, last)
            pieces.add([encoding.ids[j] for j in inner], list(inner), i, True)
            tail = chat[encoding.offsets[last][0] : end]
            if style != "paragraph" and number + 1 < len(answer.chosen):
                tail += "\n"
            ids = self.tokenizer.encode(tail).ids
            exact = ids == [encoding.ids[last]]
            pieces.add(ids, [last] * len(ids), i, exact)
        return pieces

    def _with_space(self, token: int) -> list[int]:
        spaced = self.tokenizer.token_to_id(_SPACE + self.tokenizer.id_to_token(token))
        return [self.tokenizer.token_to_id(_SPACE), token] if spaced is None else [spaced]

    def disguise(self, rng: np.random.Generator, row: Row) -> Row:
        """Other words for all words of passage and answer, the same everywhere.

        Nothing is left to guess from what words usually follow each other: only copying is
        left. Places where the answer spells a token unlike the passage do not count.
        """
        other = np.arange(self.tokenizer.get_vocab_size())
        other[self.words] = rng.permutation(self.words)
        inside = row.sentence_start != NOWHERE
        tokens = np.where(inside, other[row.tokens], row.tokens)
        return replace(row, tokens=tokens, scored=row.scored & row.exact)


@dataclass
class Batch:
    """Rows of equal length; every array is [n_rows, n_tokens] unless it says otherwise."""

    tokens: np.ndarray
    answer: np.ndarray  # bool: tokens whose prediction is scored as answer
    other: np.ndarray  # bool: text that is not answer
    copied_from: np.ndarray
    sentence_end: np.ndarray
    sentence_start: np.ndarray
    closes: np.ndarray
    n_prompt: np.ndarray  # [n_rows]

    @classmethod
    def of(cls, rows: list[Row], filler: int) -> "Batch":
        n_tokens = max(len(row.tokens) for row in rows)

        def filled(value: int | bool) -> np.ndarray:
            return np.full((len(rows), n_tokens), value)

        made = cls(
            filled(filler),
            filled(False),
            filled(False),
            filled(NOWHERE),
            filled(NOWHERE),
            filled(NOWHERE),
            filled(False),
            np.array([row.n_prompt for row in rows]),
        )
        for i, row in enumerate(rows):
            n = len(row.tokens)
            made.tokens[i, :n] = row.tokens
            made.answer[i, :n] = row.scored
            made.other[i, : row.n_prompt or n] = True
            made.copied_from[i, :n] = row.copied_from
            made.sentence_end[i, :n] = row.sentence_end
            made.sentence_start[i, :n] = row.sentence_start
            made.closes[i, :n] = row.closes
        return made
