"""Where the heads of the draft ought to look, and how far from it they are.

To write a central sentence a network needs to know which sentence each token stands in, what
each sentence says, what the whole passage is about, what was said already, and where the next
token to copy stands. Each of these is a place, or a spread of weight over places, that a row
knows (rows.py), so the attention of the heads can be compared with it (cross entropy).
diagnose.py prints the differences; pointing.py teaches the heads that copy.

    layer 0, head 3    any token     -> the last mark before it, which has the sentence's number
    layer 2, head 0    closing mark  -> the words of its sentence, rare ones more: its gist
    layer 2, heads 1-3 answer        -> the token to copy
    layer 3, head 0    before naming -> all closing marks: the topic
    layer 3, head 1    before naming -> the quote marks in the answer: what was said
    layer 4, head 0    before naming -> the marks behind sentences to name
"""

import math

import torch
from torch import Tensor

MARK_HEAD = 3
GIST_LAYER, GIST_HEADS = 2, (0,)
COPY_LAYER, COPY_HEADS = 2, (1, 2, 3)
TOPIC_LAYER, TOPIC_HEADS, SAID_HEAD = 3, (0,), 1
CHOICE_LAYER, CHOICE_HEADS = 4, (0,)
SAMPLED_PLACES = 96  # of each row and step
NAMES = ("mark", "gist", "topic", "said", "choice", "copy")
Heads = list[tuple[Tensor, Tensor]]


def log_attention(heads: Heads, layer: int, head: int, places: Tensor) -> Tensor:
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


def divergence(log_odds: Tensor, weights: Tensor) -> Tensor:
    """Mean divergence of [rows, n, m] from weights of that shape; without weights nothing counts."""
    total = weights.sum(-1, keepdim=True)
    known = total.squeeze(-1) > 0
    wanted = weights / total.clamp(min=1e-6)
    entropy = -(wanted * wanted.clamp(min=1e-9).log()).sum(-1)
    loss = -(log_odds.clamp(min=-30) * wanted).sum(-1) - entropy
    return (loss * known).sum() / known.sum().clamp(min=1)


def _places(wanted: Tensor, at_most: int) -> Tensor:
    """[rows, n]: places of the wanted tokens, filled up with places of others."""
    n = min(max(int(wanted.sum(1).max()), 1), at_most)
    return wanted.int().argsort(dim=1, descending=True, stable=True)[:, :n]


def _sample(wanted: Tensor, n: int, generator: torch.Generator) -> Tensor:
    odds = torch.rand(wanted.shape, generator=generator).to(wanted.device)
    return (odds + wanted.float()).topk(min(n, odds.shape[1]), dim=1).indices


class Guides:
    def __init__(self, token_weights: Tensor) -> None:
        self.token_weights = token_weights  # [n_vocab]: how much a token says (codes.py)

    def losses(self, heads: Heads, b: dict[str, Tensor], generator: torch.Generator) -> Tensor:
        """[6], as in NAMES; b has the arrays of rows.Batch."""
        place = torch.arange(b["tokens"].shape[1], device=b["tokens"].device)
        in_passage = (b["mark"] >= 0) & (place < b["n_prompt"].unsqueeze(-1))
        said_by = (self.token_weights[b["tokens"]] * in_passage).unsqueeze(1)

        sampled = _sample(b["mark"] >= 0, SAMPLED_PLACES, generator)
        mark = _at_one(
            log_attention(heads, 0, MARK_HEAD, sampled), b["mark"].gather(1, sampled)
        )
        closing = (b["mark"] == place) & (b["mark"].roll(1, 1) >= 0) & in_passage
        at = _places(closing, SAMPLED_PLACES)
        before = b["mark"].gather(1, (at - 1).clamp(min=0)).unsqueeze(-1)
        inside = (place > before) & (place < at.unsqueeze(-1))
        weights = said_by * inside * closing.gather(1, at).unsqueeze(-1)
        gist = sum(
            divergence(log_attention(heads, GIST_LAYER, h, at), weights) for h in GIST_HEADS
        )

        asks = b["named"] - 1  # the places from which quote marks are predicted
        real = b["wanted"].sum(-1) > 0
        weights = closing.unsqueeze(1) * real.unsqueeze(-1).float()
        topic = sum(
            divergence(log_attention(heads, TOPIC_LAYER, h, asks), weights) for h in TOPIC_HEADS
        )
        earlier = torch.zeros(b["tokens"].shape, device=place.device)
        earlier = earlier.scatter(1, b["named"], 1.0) * (place >= b["n_prompt"].unsqueeze(-1))
        earlier = earlier.unsqueeze(1) * (place <= asks.unsqueeze(-1)) * real.unsqueeze(-1)
        said = divergence(log_attention(heads, TOPIC_LAYER, SAID_HEAD, asks), earlier)
        wanted = torch.zeros((*asks.shape, len(place)), device=place.device)
        closing = b["closing"].unsqueeze(1).expand_as(b["wanted"])
        wanted = wanted.scatter_add(2, closing, b["wanted"])
        each = [log_attention(heads, CHOICE_LAYER, h, asks) for h in CHOICE_HEADS]
        choice = divergence(torch.stack(each).logsumexp(0) - math.log(len(each)), wanted)
        copied = _places(b["copied_from"] >= 0, 4 * SAMPLED_PLACES)
        sources = b["copied_from"].gather(1, copied)
        asks = (copied - 1).clamp(min=0)
        copy = sum(_at_one(log_attention(heads, COPY_LAYER, h, asks), sources) for h in COPY_HEADS)
        return torch.stack((mark, gist, topic, said, choice, copy / len(COPY_HEADS)))
