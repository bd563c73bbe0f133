"""Guides: for a few heads it is known where they ought to look, and they are told.

To write a central sentence a network needs to know what the passage is about, what each
sentence says, which sentence comes next, and where in it the next token stands. Each of
these is a place, or a spread of weight over places, that a row knows (rows.py), so the
attention of one or two heads is trained on it directly (cross entropy), beside the loss
of the text. All other heads are free; the file that comes out is an ordinary Llama.

    layer 1, head 0    answer       -> all words of the passage, rare ones more: its topic
    layer 1, head 1    any sentence -> its own words so far, rare ones more: its gist
    layer 1, head 2    any sentence -> where it begins
    layer 1, head 3    answer       -> all words of the answer so far (answers in rank order), or
                                       where in the passage it is just now (in text order)
    layer 2, heads 0 1 answer       -> the end of the sentence to copy, where its gist is
    layer 3, heads 0 1 answer       -> the token to copy
"""

import math

import torch
from torch import Tensor

from model import COPY_LAYER

GIST_LAYER, CHOICE_LAYER = 1, 2
SAMPLED_PLACES = 96  # in the passage, of each row and step
Heads = list[tuple[Tensor, Tensor]]


def _log_attention(heads: Heads, layer: int, head: int, places: Tensor) -> Tensor:
    """Logarithms of the attention [rows, n, tokens] of one head from the places [rows, n]."""
    q, k = heads[layer][0][:, head], heads[layer][1][:, head]
    asked = q.gather(1, places.unsqueeze(-1).expand(-1, -1, q.shape[-1]))
    scores = asked.float() @ k.float().transpose(1, 2) / math.sqrt(q.shape[-1])
    later = torch.arange(k.shape[1], device=k.device) > places.unsqueeze(-1)
    return scores.masked_fill(later, -1e9).log_softmax(-1)


def _at_one(log_attention: Tensor, wanted: Tensor) -> Tensor:
    """Mean loss of those of [rows, n] that have a wanted place (not negative)."""
    known = wanted >= 0
    found = log_attention.gather(-1, wanted.clamp(min=0).unsqueeze(-1)).squeeze(-1)
    return -(found * known).sum() / known.sum().clamp(min=1)


def _spread(log_attention: Tensor, weights: Tensor) -> Tensor:
    """Mean loss against weights [rows, n, tokens]; places without any weight do not count."""
    total = weights.sum(-1, keepdim=True)
    known = total.squeeze(-1) > 0
    loss = -(log_attention.clamp(min=-30) * weights / total.clamp(min=1e-6)).sum(-1)
    return (loss * known).sum() / known.sum().clamp(min=1)


class Guides:
    def __init__(self, token_rarity: Tensor) -> None:
        self.token_rarity = token_rarity  # [n_vocab]

    def losses(
        self, heads: Heads, b: dict[str, Tensor], generator: torch.Generator, ranked: bool
    ) -> Tensor:
        """[6]: topic, gist, start, said, choice, copy; b has the arrays of rows.Batch."""
        n_tokens = b["tokens"].shape[1]
        place = torch.arange(n_tokens, device=b["tokens"].device)
        is_answer = place >= b["n_prompt"].unsqueeze(-1)
        is_answer &= b["sentence_end"] >= 0
        answer = self._first_places(is_answer) - 1  # the place from which a token is predicted
        following = answer + 1
        missing = ~is_answer.gather(1, following)

        def of_following(name: str) -> Tensor:
            return b[name].gather(1, following).masked_fill(missing, -1)

        in_passage = (b["sentence_start"] >= 0) & (place < b["n_prompt"].unsqueeze(-1))
        weights = self.token_rarity[b["tokens"]] * in_passage
        topic_weights = weights.unsqueeze(1) * ~missing.unsqueeze(-1)
        topic = _spread(_log_attention(heads, GIST_LAYER, 0, answer), topic_weights)

        sampled = self._sample(b, generator)
        start = b["sentence_start"].gather(1, sampled)
        inside = (place >= start.unsqueeze(-1)) & (place <= sampled.unsqueeze(-1))
        gist_weights = self.token_rarity[b["tokens"]].unsqueeze(1) * inside
        gist_weights = gist_weights * (start >= 0).unsqueeze(-1)
        gist = _spread(_log_attention(heads, GIST_LAYER, 1, sampled), gist_weights)
        begins = _at_one(_log_attention(heads, GIST_LAYER, 2, sampled), start)

        reached = b["copied_from"].gather(1, answer).masked_fill(missing, -1)
        where = _log_attention(heads, GIST_LAYER, 3, answer)
        written = is_answer.unsqueeze(1) & (place <= answer.unsqueeze(-1)) & ~missing.unsqueeze(-1)
        said_weights = self.token_rarity[b["tokens"]].unsqueeze(1) * written
        said = _spread(where, said_weights) if ranked else _at_one(where, reached)
        ends, sources = of_following("sentence_end"), of_following("copied_from")
        choice = [_at_one(_log_attention(heads, CHOICE_LAYER, h, answer), ends) for h in (0, 1)]
        copy = [_at_one(_log_attention(heads, COPY_LAYER, h, answer), sources) for h in (0, 1)]
        return torch.stack((topic, gist, begins, said, sum(choice) / 2, sum(copy) / 2))

    @staticmethod
    def _first_places(wanted: Tensor) -> Tensor:
        """[rows, n]: places of the wanted tokens, filled up with places of others."""
        n = max(int(wanted.sum(1).max()), 1)
        order = wanted.int().argsort(dim=1, descending=True, stable=True)[:, :n]
        return order.clamp(min=1)

    @staticmethod
    def _sample(b: dict[str, Tensor], generator: torch.Generator) -> Tensor:
        """Places of sentences: their ends first, then others at random."""
        odds = torch.rand(b["tokens"].shape, generator=generator).to(b["tokens"].device)
        odds = odds + b["closes"].float() - 2 * (b["sentence_start"] < 0).float()
        return odds.topk(min(SAMPLED_PLACES, odds.shape[1]), dim=1).indices
