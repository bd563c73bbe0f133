"""The draft: what the network starts as. Most of it rests while the remainder learns.

A network of this size that starts from chance learns to copy late and to choose later
(arXiv:2209.11895 for copying). This one starts as a rough draft of what it should become:

- tokens start as the codes that compare sentences (codes.py); the numbered marks as codes such
  that the code of the mark before is a rotation of it;
- layer 0 brings to each token those before it (two alone, about nine together), and the number of
  its sentence;
- layer 1 gathers at the mark behind a sentence the codes of its tokens, and looks for the token
  that comes after the same tokens in the same sentence, to copy it;
- layer 2 gathers the codes of all sentences, which numbers there are, and which the answer named;
- layer 3 looks for the mark whose sentence is most like all sentences together, and writes the code of
  that sentence's number, which the output reads; it also counts what is written.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from model import Llama, Shape
from vocabulary import N_MARKS, N_NUMBERS

SHAPE = Shape(n_layers=6, rope_base=1e16, tied=False)  # most rotary pairs hardly turn over the context
BACK = 3  # how many tokens back layer 0 looks: one head each; the fourth finds the mark
FAST, SLOW = 4, 7  # rotary pairs below and from which on positions turn much, or hardly

# Places in the residual stream that the draft uses.
CONST, MARK, QUOTE, PLAIN, RARE, SINK, QUOTED, MARKED = range(8)
DIGIT, WORD, NUMBER, MOVED = 250, 251, 252, 253  # its value; begins a word; a number at its last digit, and behind it
FILLER, COMMON = 254, 255  # nothing; how common a token is
WRITTEN, WANTED, STYLE = FILLER, NUMBER, MOVED  # at the end of a sentence: words written and asked for, and how
OWN, OF_SENTENCE = slice(8, 52), slice(52, 76)  # codes: of a mark, and of the mark above a token
NAME, CODE = slice(76, 108), slice(108, 154)  # which token it is, and what it says
STORE = slice(154, 250)  # the names of the tokens before; then what is to be copied
N_NUMBER, N_SHORT = OWN.stop - OWN.start, OF_SENTENCE.stop - OF_SENTENCE.start
N_NAME, N_CODE_DIMS = NAME.stop - NAME.start, CODE.stop - CODE.start
N_SAID, N_STORE = CODE.stop - NAME.start, STORE.stop - STORE.start

# By which the code of a number turns to the next one's; found by search: the codes of two numbers have a
# cosine between -0.13 and 0.13.
TURNS = (
    0.134, 0.216, 0.299, 0.506, 0.599, 0.692, 0.786, 0.888, 0.982, 1.075, 1.167,
    1.375, 1.563, 1.667, 1.744, 2.255, 2.341, 2.455, 2.548, 2.734, 2.825, 2.997,
)  # fmt: skip

# Strengths, found by trial with diagnose.py. Tokens:
OWN_SHARE = 0.1  # of each token alone, in its code
MARK_LEVEL = 100.0  # of the last mark above all that is no mark (layer 0)
STORED, WIDE_STORED = 0.03, 0.09  # names of the tokens before: kept weak, copies lie in the same places
WIDE, WIDE_STRENGTH, WIDE_BACK = torch.arange(2, 5), 2.6, 5  # pairs, strength, distance of the wide look back
# Copying (layer 1):
STRENGTH = (2.2, 2.2, 1.6)  # of the two tokens before, and of the wide look
NUMBER_STRENGTH, MARK_SHARE = 1.6, 3.2
SHORT_GAIN = 2.1  # the code of a number in OF_SENTENCE, as a multiple of the one in OWN
STORE_GAIN = 0.08 / STORED
SINK_LEVEL, LINE_SINK, NOT_ANSWER = 3.0, 2.2, 4.0  # for what matches nothing; after a line break; never itself
COPIED, COPYING, MARKED_PLAIN = 0.4, 0.1, 0.785
# Choosing (layers 1 to 3):
GIST, QUOTED_GIST, TOPIC, LIKENESS, CHOSEN = 5.0, 0.8, 1.0, 0.45, 8.0
SAID, SAID_GIST, SAID_SINK, QUOTE_SHARE = 20.0, 4.0, 0.18, 1.393
PRESENT = 6.0  # against numbers that were named, for those that there are
CLOSING, CLOSING_LAST = 6.0, 18.0  # against whatever is no mark behind a sentence
PLAIN_SHARE = 1.43  # PLAIN as a multiple of CONST at sentence marks
MARKED_SHARE, UNMARKED = 1.0958, 8.0  # MARKED as a multiple of CONST
SINK_SHARE = 0.398  # CONST as a multiple of SINK at a turn's start
STOPPED = 4.5  # for sentences that end with a stop
NO_MARKS, PRESENT_SINK = 0.3, -0.3
# Counting, and what was asked for:
STYLES = (0.4, -0.4, -0.2)
COUNT_SINK, ASKED = 0.24, 1.0
# The output:
READ, READ_NUMBER = 14.0, 2.5


def _directions(n: int, width: int, generator: torch.Generator) -> Tensor:
    """[n, width], orthonormal."""
    return torch.linalg.qr(torch.randn(width, n, generator=generator)).Q.T


def mark_codes() -> tuple[Tensor, Tensor]:
    """Codes [N_MARKS, N_NUMBER], and the matrix that makes of each the code of the mark before."""
    turns = torch.tensor(TURNS)
    angles = torch.outer(torch.arange(N_MARKS).float(), turns)
    codes = torch.cat((angles.cos(), angles.sin()), dim=1)
    before = torch.zeros(N_NUMBER, N_NUMBER)
    for i, turn in enumerate(turns):
        j = i + N_NUMBER // 2
        before[i, i] = before[j, j] = math.cos(turn)
        before[i, j], before[j, i] = math.sin(turn), -math.sin(turn)
    return codes, before


def _units(n: int, width: int, generator: torch.Generator) -> Tensor:
    """[n, width], each of length one."""
    return torch.nn.functional.normalize(torch.randn(n, width, generator=generator), dim=1)


@dataclass(frozen=True)
class Marks:
    """Ids of tokens."""

    first_mark: int
    first_quote: int
    turn_start: int
    line_end: int
    dash: int
    styles: tuple[int, int, int]  # "paragraph", "bullet", "outline"
    words: int  # as in "about 60 words"
    digits: tuple[int, ...]  # 0 to 9
    is_word: Tensor  # [n_vocab]: it begins a word
    stops: tuple[int, ...]  # tokens that end a sentence; headings end otherwise


class _Draft:
    def __init__(self, model: Llama, generator: torch.Generator) -> None:
        shape = model.shape
        assert shape.n_heads == shape.n_kv_heads == 4 and shape.n_embd == 256
        self.model, self.generator = model, generator
        self.width, self.half = shape.head_dim, shape.head_dim // 2
        self.turns = shape.rope_base ** -(torch.arange(self.half).float() / self.half)
        pairs = torch.arange(SLOW, self.half)
        self.slow = torch.cat((pairs, pairs + self.half))  # of a head, what positions leave alone
        self.codes, self.before = mark_codes()
        self.short = (N_NUMBER / N_SHORT) ** 0.5 * _directions(N_SHORT, N_NUMBER, generator)

    def head(self, layer: int, head: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Views of one head's rows of Q, K, V and columns of the output, all zero."""
        attn, at = self.model.layers[layer].attn, slice(head * self.width, (head + 1) * self.width)
        views = attn.q.weight[at], attn.k.weight[at], attn.v.weight[at], attn.out.weight[:, at]
        for view in views:
            view[:] = 0  # what the draft does not use would only be noise, and grow
        return views

    def embeddings(self, marks: Marks, codes: Tensor, log_weights: Tensor, common: Tensor) -> None:
        weight = self.model.embed.weight
        weight[:] = 0
        weight[:, NAME] = _units(len(weight), N_NAME, self.generator)
        weight[:, CODE] = codes
        weight[:, CONST] = 0.4
        weight[:, COMMON] = 0.1 * (common - common.mean())
        weight[:, RARE] = 0.1 * log_weights.clamp(min=-5)
        for digit, token in enumerate(marks.digits):
            weight[token, DIGIT] = 0.06 * digit
        # So that they are found, and what they say.
        weight[marks.words, DIGIT] = -0.4
        weight[list(marks.styles), NUMBER] = -0.5
        weight[list(marks.styles), MOVED] = torch.tensor(STYLES)
        weight[marks.line_end, WORD], weight[marks.dash, WORD] = -0.3, -0.6
        weight[:, WORD] = 0.15 * marks.is_word
        for first in (marks.first_mark, marks.first_quote):
            rows = weight[first : first + N_MARKS]
            rows[:, NAME.start : STORE.start] = 0
            rows[:, RARE] = -0.5
            rows[:, MARK] = 0.8
            rows[:, OWN] = (12 / N_NUMBER) ** 0.5 * 0.42 * self.codes
        weight[marks.first_mark : marks.first_mark + N_MARKS, PLAIN] = 0.8
        weight[marks.first_mark, [PLAIN, FILLER]] = torch.tensor([0.0, 0.8])  # closes nothing
        weight[marks.first_quote : marks.first_quote + N_MARKS, QUOTE] = 0.8
        weight[marks.turn_start, NAME.start : STORE.start] = 0
        weight[marks.turn_start, SINK] = 0.8
        # Positions are asked for by CONST alone: after the norm it has to be the same for all.
        rest = weight[:, CONST + 1 :]
        rest *= 1.15 / rest.norm(dim=1, keepdim=True)
        self.line = weight[marks.line_end, NAME] / weight[marks.line_end, NAME].norm()
        self.written = _directions(N_SAID, N_STORE, self.generator).T
        output = self.model.output.weight
        output[:] = 0
        output[:, COMMON] = weight[:, COMMON]
        output[:, STORE] = READ * weight[:, NAME.start : CODE.stop] @ self.written.T
        output[:, OWN] = READ_NUMBER * weight[:, OWN]
        output[marks.first_mark : marks.first_mark + N_MARKS] = 0  # never in an answer
        output[marks.first_quote + N_NUMBERS : marks.first_quote + N_MARKS] = 0

    def neighbours(self) -> None:
        """Layer 0, heads 0 to 2."""
        self.seen = torch.zeros(N_NAME, 256)
        self.seen[:, NAME] = torch.eye(N_NAME)
        self.seen[:, OWN] = MARK_SHARE * _directions(N_NAME, N_NUMBER, self.generator)
        self.stores = torch.zeros(BACK, N_NAME, 256)
        fast = torch.arange(FAST)
        for head in range(BACK):
            q, k, v, out = self.head(0, head)
            back, at = head + 1, STORE.start + head * N_NAME
            self.stores[head, :, at : at + N_NAME] = torch.eye(N_NAME)
            pairs, strength = (fast, 2.6) if back < BACK else (WIDE, WIDE_STRENGTH)
            back = back if back < BACK else WIDE_BACK
            k[pairs, CONST] = strength
            q[pairs, CONST] = strength * torch.cos(back * self.turns[pairs])
            q[pairs + self.half, CONST] = -strength * torch.sin(back * self.turns[pairs])
            v[:N_NAME] = self.seen
            stored = STORED if head + 1 < BACK else WIDE_STORED
            out[:, :N_NAME] += stored * self.stores[head].T
            if back <= 2:  # at the last digit of a number: those before it
                v[N_NAME, DIGIT] = 1
                out[NUMBER, N_NAME] = (0.005, 0.05)[head]

    def sentence_numbers(self) -> None:
        """Layer 0, head 3: looks at the last mark, and hands on its code and kind."""
        q, k, v, out = self.head(0, 3)
        # After the norm CONST is about 4.5 and MARK about 7.5; scores are divided by 8.
        unit = 8 / (4.5 * 7.5)
        still = torch.arange(self.half - 6, self.half)
        k[still, MARK] = 1
        q[still, CONST] = MARK_LEVEL / 6 * unit
        for pair, weight in ((4, 0.27 * MARK_LEVEL), (5, 0.66 * MARK_LEVEL), (6, 0.66 * MARK_LEVEL)):  # falls with the distance
            k[pair, MARK] = 1
            q[pair + self.half, CONST] = weight * unit
        v[:N_SHORT, OWN] = self.short
        v[N_SHORT, MARK] = v[N_SHORT + 1, QUOTE] = 1
        out[OF_SENTENCE, :N_SHORT] += 0.16 * torch.eye(N_SHORT)
        out[MARKED, N_SHORT] += 0.06
        out[QUOTED, N_SHORT + 1] += 0.06

    def gathering(self) -> None:
        """Layer 1, head 0: a sentence's codes. The turn's start is for those who look for nothing."""
        numbers, rare, kind, sink, level = self.slow[:N_SHORT], *self.slow[N_SHORT : N_SHORT + 4]
        q, k, v, out = self.head(2, 0)
        q[numbers, OWN] = 2.0 * self.short @ self.before
        k[numbers, OF_SENTENCE] = torch.eye(N_SHORT)
        q[level, CONST], k[level, CONST] = 3.8, -3.8  # about nothing where numbers agree
        k[level, SINK] = 1.5
        q[rare, CONST] = k[rare, RARE] = 2.0
        q[kind, CONST] = 2.0
        k[kind, MARKED], k[kind, QUOTED] = 1.2, -2.4
        q[sink, CONST], q[sink, MARK], q[sink, QUOTE], k[sink, SINK] = 1.2, -1.2, 6.0, 1.2
        v[:N_CODE_DIMS, CODE] = torch.eye(N_CODE_DIMS)
        out[CODE, :N_CODE_DIMS] += GIST * torch.eye(N_CODE_DIMS)

    def _quotes(self, q: Tensor, k: Tensor, sink: float) -> None:
        """Looks at quote marks, and at the turn's start so much that what comes is nearly a sum."""
        rare = self.slow[0]
        q[rare, CONST], q[rare, QUOTE] = 2.5, -2.5  # a quote mark itself looks for nothing
        k[rare, QUOTE], k[rare, CONST] = 12.0, -12.0 * QUOTE_SHARE
        k[rare, SINK] = 12.0 * QUOTE_SHARE * SINK_SHARE + sink
        k[rare, PLAIN] = -24.0  # no marks of the passage

    def said(self) -> None:
        """Layer 2, head 1: which numbers the answer named."""
        q, k, v, out = self.head(3, 1)
        self._quotes(q, k, SAID_SINK)
        v[:N_NUMBER, OWN] = torch.eye(N_NUMBER)
        out[OWN, :N_NUMBER] -= SAID * torch.eye(N_NUMBER)

    def said_gist(self) -> None:
        """Layer 1, head 3: a quote mark gathers the codes of its sentence. Layer 3, head 3: those are taken off."""
        numbers, rare, kind, sink, level = self.slow[:N_SHORT], *self.slow[N_SHORT : N_SHORT + 4]
        q, k, v, out = self.head(1, 3)
        q[numbers, OWN] = 2.0 * self.short
        k[numbers, OF_SENTENCE] = torch.eye(N_SHORT)
        q[level, CONST], k[level, CONST] = 3.8, -3.8
        k[level, SINK] = 1.5
        q[rare, CONST] = k[rare, RARE] = 2.0
        q[kind, CONST] = 2.0
        k[kind, MARKED], k[kind, QUOTED] = 1.2, -2.4
        q[sink, CONST], q[sink, QUOTE], k[sink, SINK] = 4.0, -4.0 / QUOTE_SHARE, 2.4
        v[:N_CODE_DIMS, CODE] = torch.eye(N_CODE_DIMS)
        out[CODE, :N_CODE_DIMS] += QUOTED_GIST * torch.eye(N_CODE_DIMS)
        q, k, v, out = self.head(3, 3)
        self._quotes(q, k, SAID_SINK)
        v[:N_CODE_DIMS, CODE] = torch.eye(N_CODE_DIMS)
        out[CODE, :N_CODE_DIMS] -= SAID_GIST * torch.eye(N_CODE_DIMS)

    def present(self) -> None:
        """Layer 2, head 2: which numbers there are."""
        q, k, v, out = self.head(3, 2)
        kind, sink = self.slow[:2]
        q[kind, CONST] = CLOSING
        k[kind, PLAIN], k[kind, CONST] = CLOSING, -CLOSING * PLAIN_SHARE
        k[kind, SINK] = CLOSING * PLAIN_SHARE * SINK_SHARE + PRESENT_SINK
        q[sink, PLAIN] = k[sink, SINK] = 8.0
        v[:N_NUMBER, OWN] = self.before
        out[OWN, :N_NUMBER] += PRESENT * torch.eye(N_NUMBER)

    def topic(self) -> None:
        """Layer 2, head 0: what sentences say together."""
        kind, sink = self.slow[:2]
        q, k, v, out = self.head(3, 0)
        q[kind, CONST] = CLOSING
        # Nothing for sentence marks, whatever the length of their stream; less for others.
        k[kind, PLAIN], k[kind, CONST] = CLOSING, -CLOSING * PLAIN_SHARE
        k[kind, SINK] = CLOSING * PLAIN_SHARE * SINK_SHARE - NO_MARKS  # where no marks are yet
        q[sink, PLAIN] = k[sink, SINK] = 8.0  # sentence marks keep what they have
        v[:N_CODE_DIMS, CODE] = torch.eye(N_CODE_DIMS)
        out[CODE, :N_CODE_DIMS] = TOPIC * torch.eye(N_CODE_DIMS)

    def copying(self) -> None:
        """Layer 1, heads 1 to 3."""
        asked = (self.seen, self.stores[0], self.stores[2])  # the token here, and those one and two places back
        n, kind = len(self.slow) - 1, self.slow[-1]
        where = self.slow[:-1]
        for head in range(1, 4):
            q, k, v, out = self.head(2, head)
            for one, at_key, at_query in zip(STRENGTH, self.stores, asked, strict=True):
                mix = one * _directions(N_NAME, n, self.generator).T
                k[where] += STORE_GAIN * mix @ at_key
                q[where] += (1 if at_query is self.seen else STORE_GAIN) * mix @ at_query
            mix = NUMBER_STRENGTH * _directions(N_SHORT, n, self.generator).T
            k[where, OF_SENTENCE] += mix
            # The mark behind a sentence counts as its last token.
            k[where, OWN] += mix @ (self.short @ self.before - self.short) * SHORT_GAIN
            q[where, OF_SENTENCE] += mix
            # Nothing where nothing matches well; marks keep what they have. The mark behind a sentence
            # matches at its end, and has nothing to bring.
            q[kind, CONST], k[kind, SINK], k[kind, QUOTED] = 3.0, SINK_LEVEL, -NOT_ANSWER
            q[kind, PLAIN] = 6.0
            q[kind, CONST] += UNMARKED * MARKED_SHARE  # nor where no mark was yet
            q[kind, MARKED] = -UNMARKED
            q[kind] += LINE_SINK * STORE_GAIN * self.line @ self.stores[0]  # a line's first token
            rows = torch.arange(head - 1, N_STORE, 3)
            v[: len(rows), NAME.start : CODE.stop] = self.written[rows]
            out[STORE.start + rows, torch.arange(len(rows))] += COPIED
            # Whether there is something to copy: nothing of a turn's start, nor of the mark behind a sentence.
            v[len(rows), MARKED], v[len(rows), PLAIN] = 1.0, -MARKED_PLAIN
            out[MARK, len(rows)] = -COPYING

    def choosing(self, marks: Marks, common: Tensor) -> None:
        """Layer 3, head 0: the mark whose sentence says most of what all say."""
        q, k, v, out = self.head(4, 0)
        n, kind = N_CODE_DIMS, self.slow[-1]
        q[self.slow[:n], CODE] = k[self.slow[:n], CODE] = LIKENESS * torch.eye(n)
        q[kind, CONST] = CLOSING_LAST
        k[kind, PLAIN], k[kind, CONST] = CLOSING_LAST, -CLOSING_LAST * PLAIN_SHARE
        names = self.model.embed.weight[:, NAME]
        is_stop = torch.zeros(len(names))
        is_stop[list(marks.stops)] = 1
        weights = (common.exp() + 1).sqrt() * (1 + 30 * is_stop)
        stop = torch.linalg.lstsq(names * weights[:, None], (is_stop * weights)[:, None]).solution[:, 0]
        q[self.slow[n], CONST] = 2.0
        k[self.slow[n]] = STOPPED * stop @ self.stores[0]
        v[:N_NUMBER, OWN] = self.before
        out[OWN, :N_NUMBER] += CHOSEN * torch.eye(N_NUMBER)

    def counting(self) -> None:
        """Layer 1, head 1: how many words are written, as n / (n + c). The scores of words of the answer are 0,
        whatever the length of their stream; those of other tokens are far below, those of the turn's start above."""
        q, k, v, out = self.head(1, 1)
        kind = self.slow[0]
        q[kind, CONST] = 2.0
        k[kind, QUOTED], k[kind, WORD], k[kind, CONST] = 3.11, 5.65, -5.09
        k[kind, SINK] = 2.02 + COUNT_SINK
        v[0, QUOTED] = 1.0
        out[WRITTEN, 0] = 0.2

    def asked(self) -> None:
        """Layer 1, head 0: the number that ends at the token before. Layer 4, head 2: that before "words"; head 1:
        whether a paragraph, bullets or an outline."""
        q, k, v, out = self.head(1, 0)
        fast = torch.arange(FAST)
        k[fast, CONST] = level = 4.5
        q[fast, CONST] = level * torch.cos(self.turns[fast])
        q[fast + self.half, CONST] = -level * torch.sin(self.turns[fast])
        v[0, NUMBER] = 1.0
        out[MOVED, 0] = 0.15
        q, k, v, out = self.head(4, 2)
        kind = self.slow[-1]
        q[kind, CONST] = 8.0
        k[kind, DIGIT], k[kind, MARKED] = -60.0, -16.0
        v[0, MOVED] = 1.0
        out[WANTED, 0] = ASKED
        q, k, v, out = self.head(4, 1)
        q[kind, CONST] = 8.0
        k[kind, NUMBER], k[kind, MARKED] = -60.0, -16.0
        v[0, MOVED] = 1.0
        out[STYLE, 0] = 0.2


@torch.no_grad()
def seed_draft(
    model: Llama,
    marks: Marks,
    codes: Tensor,
    log_weights: Tensor,
    common: Tensor,
    generator: torch.Generator,
) -> None:
    """codes: [n_vocab, at least N_CODE_DIMS], by which sentences are compared, and their weights;
    common: [n_vocab], logarithms of how often tokens come."""
    _, _, axes = torch.linalg.svd(codes, full_matrices=False)
    draft = _Draft(model, generator)
    codes = codes @ axes[:N_CODE_DIMS].T  # what differs most comes first
    norms = codes.norm(dim=1, keepdim=True).clamp(min=1e-4)
    # Forms of a word have nearly the same code; what is copied has to be told apart.
    own = torch.randn(codes.shape, generator=generator)
    codes = codes / norms + OWN_SHARE * own / own.norm(dim=1, keepdim=True)
    codes = codes / codes.norm(dim=1, keepdim=True)
    draft.embeddings(marks, codes, log_weights + norms.log().squeeze(1), common)
    draft.neighbours()
    draft.sentence_numbers()
    draft.gathering()
    draft.topic()
    draft.said()
    draft.said_gist()
    draft.present()
    draft.copying()
    draft.choosing(marks, common)
    draft.counting()
    draft.asked()
