"""Seeds: what the network starts as. Training is free to change all of it.

A network of this size that starts from chance learns to copy late and to choose later
(arXiv:2209.11895 for copying). This one starts as a rough draft of what it should become:

- tokens start as the codes that compare sentences (codes.py); the numbered marks as codes such
  that the code of the mark before is a rotation of it;
- layer 0 brings to each token the three tokens before it, and the number of its sentence;
- layer 1 gathers at the mark behind a sentence the codes of its tokens, and elsewhere the
  numbers that the answer named;
- layer 2 gathers those of all sentences, and looks for the token that comes after the same
  tokens in the same sentence, to copy it;
- layer 3 looks for the mark whose sentence is most like all sentences together, leaves out
  what was named, and writes the code of that sentence's number, which the output reads.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from model import Llama, Shape
from vocabulary import N_MARKS

SHAPE = Shape(rope_base=1e16, tied=False)  # most rotary pairs hardly turn over the context
BACK = 3  # how many tokens back layer 0 looks: one head each; the fourth finds the mark
FAST, SLOW = 4, 7  # rotary pairs below and from which on positions turn much, or hardly

# Places in the residual stream that the draft uses.
CONST, MARK, QUOTE, PLAIN, RARE, SINK, QUOTED, MARKED = range(8)
COMMON = 255  # how common a token is
OWN, OF_SENTENCE = slice(8, 32), slice(32, 56)  # codes: of a mark, and of the mark above a token
CODE, STORE = slice(56, 168), slice(168, 255)  # what a token says; the tokens before it
OWN_SHARE = 0.4  # of each token alone, beside its code
AFTER = 3.4  # how much more strongly layer 4 takes the topic away than layer 2 brought it
PLAIN_SHARE = 1.43  # PLAIN as a multiple of CONST at sentence marks
N_NUMBER = OWN.stop - OWN.start
N_CODE_DIMS = CODE.stop - CODE.start
N_TOPIC_DIMS = 84  # of the code, in STORE
N_SEEN = (STORE.stop - STORE.start) // BACK


def _directions(n: int, width: int, generator: torch.Generator) -> Tensor:
    """[n, width], orthonormal."""
    return torch.linalg.qr(torch.randn(width, n, generator=generator)).Q.T


def mark_codes(generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Codes [N_MARKS, N_NUMBER], and the matrix that makes of each the code of the mark before."""
    turns = torch.rand(N_NUMBER // 2, generator=generator) * 3 + 0.06
    angles = torch.outer(torch.arange(N_MARKS).float(), turns)
    codes = torch.cat((angles.cos(), angles.sin()), dim=1)
    before = torch.zeros(N_NUMBER, N_NUMBER)
    for i, turn in enumerate(turns):
        j = i + N_NUMBER // 2
        before[i, i] = before[j, j] = math.cos(turn)
        before[i, j], before[j, i] = math.sin(turn), -math.sin(turn)
    return codes, before


@dataclass(frozen=True)
class Marks:
    """Ids of tokens."""

    first_mark: int
    first_quote: int
    turn_start: int


class _Draft:
    def __init__(self, model: Llama, generator: torch.Generator) -> None:
        shape = model.shape
        assert shape.n_heads == shape.n_kv_heads == 4 and shape.n_embd == 256
        self.model, self.generator = model, generator
        self.width, self.half = shape.head_dim, shape.head_dim // 2
        self.turns = shape.rope_base ** -(torch.arange(self.half).float() / self.half)
        pairs = torch.arange(SLOW, self.half)
        self.slow = torch.cat((pairs, pairs + self.half))  # of a head, what positions leave alone
        self.codes, self.before = mark_codes(generator)

    def head(self, layer: int, head: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Views of one head's rows of Q, K, V and columns of the output, all zero."""
        attn, at = self.model.layers[layer].attn, slice(head * self.width, (head + 1) * self.width)
        views = attn.q.weight[at], attn.k.weight[at], attn.v.weight[at], attn.out.weight[:, at]
        for view in views:
            view[:] = 0  # what the draft does not use would only be noise, and grow
        return views

    def embeddings(self, marks: Marks, codes: Tensor, log_weights: Tensor, common: Tensor) -> None:
        weight = self.model.embed.weight
        weight[:, : STORE.start] = 0
        weight[:, STORE] *= 0.5
        weight[:, CODE] = codes
        weight[:, CONST] = 0.4
        weight[:, COMMON] = 0.1 * (common - common.mean())
        weight[:, RARE] = 0.1 * log_weights.clamp(min=-5)
        for first in (marks.first_mark, marks.first_quote):
            rows = weight[first : first + N_MARKS]
            rows[:, CODE.start : COMMON] = 0
            rows[:, RARE] = -0.5
            rows[:, MARK] = 0.8
            rows[:, OWN] = 0.3 * self.codes
        weight[marks.first_mark : marks.first_mark + N_MARKS, PLAIN] = 0.8
        weight[marks.first_mark, [PLAIN, STORE.start]] = torch.tensor([0.0, 0.8])  # closes nothing
        weight[marks.first_quote : marks.first_quote + N_MARKS, QUOTE] = 0.8
        weight[marks.turn_start, CODE] = 0
        weight[marks.turn_start, SINK] = 0.8
        # Positions are asked for by CONST alone: after the norm it has to be the same for all.
        rest = weight[:, CONST + 1 :]
        rest *= 1.15 / rest.norm(dim=1, keepdim=True)
        self.written = _directions(N_TOPIC_DIMS, N_CODE_DIMS, self.generator)
        output = self.model.output.weight
        output[:] = weight
        output[:, STORE.start : STORE.start + N_TOPIC_DIMS] = 2 * weight[:, CODE] @ self.written.T

    def neighbours(self) -> None:
        """Layer 0, heads 0 to 2."""
        self.seen = torch.zeros(N_SEEN, 256)
        columns = [*range(OWN.start, OWN.stop), *range(CODE.start, CODE.stop)]
        self.seen[:, columns] = _directions(N_SEEN, len(columns), self.generator)
        self.seen[:, OWN] *= 1.6
        self.stores = torch.zeros(BACK, N_SEEN, 256)
        fast = torch.arange(FAST)
        for head in range(BACK):
            q, k, v, out = self.head(0, head)
            back, at = head + 1, STORE.start + head * N_SEEN
            self.stores[head, :, at : at + N_SEEN] = torch.eye(N_SEEN)
            k[fast, CONST] = 2.6
            q[fast, CONST] = 2.6 * torch.cos(back * self.turns[fast])
            q[fast + self.half, CONST] = -2.6 * torch.sin(back * self.turns[fast])
            v[:N_SEEN] = self.seen
            out[:, :N_SEEN] += 0.12 * self.stores[head].T

    def sentence_numbers(self) -> None:
        """Layer 0, head 3: looks at the last mark, and hands on its code and kind."""
        q, k, v, out = self.head(0, 3)
        # After the norm CONST is about 4.5 and MARK about 7.5; scores are divided by 8.
        unit = 8 / (4.5 * 7.5)
        still = torch.arange(self.half - 6, self.half)
        k[still, MARK] = 1
        q[still, CONST] = 30 / 6 * unit
        for pair, weight in ((4, 8.0), (5, 20.0), (6, 20.0)):  # falls with the distance
            k[pair, MARK] = 1
            q[pair + self.half, CONST] = weight * unit
        v[:N_NUMBER, OWN] = torch.eye(N_NUMBER)
        v[N_NUMBER, MARK] = v[N_NUMBER + 1, QUOTE] = 1
        out[OF_SENTENCE, :N_NUMBER] += 0.16 * torch.eye(N_NUMBER)
        out[MARKED, N_NUMBER] += 0.06
        out[QUOTED, N_NUMBER + 1] += 0.06

    def gathering(self) -> None:
        """Layer 1, heads 0 to 2: a sentence's codes; what was named. The turn's start is for
        those who look for nothing."""
        numbers, rare, kind, sink, level = self.slow[:N_NUMBER], *self.slow[N_NUMBER : N_NUMBER + 4]
        for head in range(2):
            q, k, v, out = self.head(1, head)
            q[numbers, OWN] = 2.0 * self.before
            k[numbers, OF_SENTENCE] = 1.0 * torch.eye(N_NUMBER)
            q[level, CONST], k[level, CONST] = 3.8, -3.8  # about nothing where numbers agree
            k[level, SINK] = 1.5
            q[rare, CONST] = k[rare, RARE] = 2.0
            q[kind, CONST] = 2.0
            k[kind, MARKED], k[kind, QUOTED] = 1.2, -2.4
            q[sink, CONST], q[sink, MARK], q[sink, QUOTE], k[sink, SINK] = 1.2, -1.2, 6.0, 1.2
            n = N_CODE_DIMS // 2
            at = slice(CODE.start + head * n, CODE.start + head * n + n)
            v[:n, at] = torch.eye(n)
            out[at, :n] += 2.0 * torch.eye(n)
        q, k, v, out = self.head(1, 2)
        q[rare, CONST], q[rare, QUOTE] = 2.5, -2.5  # a quote mark itself looks for nothing
        k[rare, QUOTE], k[rare, SINK] = 3.5, 1.0
        v[:N_NUMBER, OWN] = torch.eye(N_NUMBER)
        out[OWN, :N_NUMBER] -= 0.12 * torch.eye(N_NUMBER)

    def topic(self, layer: int, first: int, gain: float) -> None:
        """Two heads: from CODE to STORE, where the tokens before are not needed any more. A later
        layer takes it away again, lest it speak for the words of the topic."""
        kind, sink = self.slow[:2]
        for head in range(2):
            q, k, v, out = self.head(layer, first + head)
            q[kind, CONST] = 2.5 if layer == 2 else 15.0  # where the stream is wider
            # Nothing for sentence marks, whatever the length of their stream; less for others.
            k[kind, PLAIN], k[kind, CONST] = 2.5, -2.5 * PLAIN_SHARE
            q[sink, PLAIN] = k[sink, SINK] = 3.0  # sentence marks keep what they have
            kept = torch.arange(head, N_TOPIC_DIMS, 2)
            rows = torch.arange(len(kept))
            v[rows, CODE.start + kept] = 1
            out[STORE.start + kept, rows] = gain

    def copying(self) -> None:
        """Layer 2, heads 2 and 3."""
        asked = (self.seen, *self.stores[:-1])  # the token here, and those one and two places back
        strength = (2.2, 1.8, 1.3)
        n, kind = len(self.slow) - 1, self.slow[-1]
        where = self.slow[:-1]
        for head in range(2, 4):
            q, k, v, out = self.head(2, head)
            for one, at_key, at_query in zip(strength, self.stores, asked, strict=True):
                mix = one * torch.randn(n, N_SEEN, generator=self.generator) / n**0.5
                k[where] += mix @ at_key
                q[where] += mix @ at_query
            mix = 1.2 * torch.randn(n, N_NUMBER, generator=self.generator) / n**0.5
            k[where, OF_SENTENCE] += mix
            q[where, OF_SENTENCE] += mix
            # Never a mark, and nothing where nothing matches well.
            q[kind, CONST], k[kind, SINK], k[kind, MARK] = 2.0, 2.0, -4.0
            rows = torch.arange(head - 2, len(self.written), 2)
            v[: len(rows), CODE] = self.written[rows]
            out[STORE.start + rows, torch.arange(len(rows))] += 0.4

    def choosing(self, likeness: float) -> None:
        """Layer 3, all heads: a quarter of the code each, and some directions of the numbers."""
        n = N_TOPIC_DIMS // 4
        m = N_NUMBER
        for head in range(4):
            q, k, v, out = self.head(3, head)
            kept = torch.arange(head, N_TOPIC_DIMS, 4)
            q[self.slow[:n], STORE.start + kept] = likeness
            k[self.slow[:n], CODE.start + kept] = likeness
            q[self.slow[n : n + m], OWN] = 1.5 * torch.eye(m)
            k[self.slow[n : n + m], OWN] = 1.5 * self.before
            kind = self.slow[-1]
            q[kind, CONST] = 6.0
            k[kind, PLAIN], k[kind, CONST] = 6.0, -6.0 * PLAIN_SHARE
            v[:N_NUMBER, OWN] = self.before
            out[OWN, :N_NUMBER] += 1.6 * torch.eye(N_NUMBER)


    def guessing(self) -> None:
        """Layer 4, head 0: common tokens are more likely."""
        attn = self.model.layers[4].attn
        v, out = attn.v.weight, attn.out.weight
        v[0] = 0
        v[0, CONST] = 1
        out[COMMON, 0] = 5.0


@torch.no_grad()
def seed_draft(
    model: Llama,
    marks: Marks,
    codes: Tensor,
    log_weights: Tensor,
    common: Tensor,
    generator: torch.Generator,
    likeness: float = 1.0,
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
    draft.topic(2, 0, 1.6)
    draft.topic(4, 1, -1.6 * AFTER)
    draft.copying()
    draft.choosing(likeness)
    draft.guessing()


@torch.no_grad()
def seed_spaces(model: Llama, pairs: list[tuple[int, int]], generator: torch.Generator) -> None:
    """Lets a word with a space before it start near the same word without one."""
    weight = model.embed.weight
    for bare, spaced in pairs:
        own = 0.05 * torch.randn(weight.shape[1], generator=generator)
        weight[spaced] = 0.8 * weight[bare] + own
