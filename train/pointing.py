"""Teaches the heads that copy where to look, and nothing else.

Only two layers are run, and only the queries and keys of three heads learn, so a step takes a fraction of a
whole one: a token of an answer looks for the one it was copied from, the end of a
sentence for the mark behind it, and whatever else an answer has for the start of a turn.
"""

from collections.abc import Iterator

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from guides import COPY_HEADS, COPY_LAYER
from model import Llama, rotate
from progress import Progress
from rows import Batch
from tasks import Tasks

N_STEPS, BATCH_TOKENS, LENGTHS = 160, 4096, (384, 512, 768, 1024)
RATE, DISGUISED = 1e-3, 0.3


def _targets(batch: Batch, turn_end: int) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """For every row: its number, the places of an answer, and where each ought to look."""
    for row, start in enumerate(batch.n_prompt.tolist()):
        if start >= batch.tokens.shape[1] or not batch.answer[row].any():
            continue
        last = start + int(np.flatnonzero(batch.tokens[row, start:] == turn_end)[0])
        source = batch.copied_from[row]
        places = np.arange(start, last)
        behind = np.where(source[places] >= 0, source[places] + 1, 0)
        yield row, places, np.where(source[places + 1] >= 0, source[places + 1], behind)


class Pointing:
    def __init__(self, model: Llama, tasks: Tasks, seed: int, progress: Progress) -> None:
        self.model, self.tasks, self.seed, self.progress = model, tasks, seed, progress
        width = model.shape.head_dim
        self.rows = slice(COPY_HEADS[0] * width, (COPY_HEADS[-1] + 1) * width)
        attn = model.layers[COPY_LAYER].attn
        self.q = attn.q.weight[self.rows].detach().clone().requires_grad_()
        self.k = attn.k.weight[self.rows].detach().clone().requires_grad_()

    def _heads(self, x: Tensor, weight: Tensor) -> Tensor:
        shape, n = self.model.shape, x.shape[1]
        split = (x @ weight.T).view(len(x), n, len(COPY_HEADS), shape.head_dim).transpose(1, 2)
        return rotate(split, self.model.cos[:n], self.model.sin[:n])

    def loss(self, step: int) -> Tensor:
        rng = np.random.default_rng((self.seed, 98, step))
        length = int(rng.choice(LENGTHS))
        batch = self.tasks.batch(rng, BATCH_TOKENS // length, length, 0.0, DISGUISED)
        tokens = torch.from_numpy(batch.tokens)
        length = tokens.shape[1]
        with torch.no_grad():
            x = self.model.embed(tokens)
            for layer in self.model.layers[:COPY_LAYER]:
                x, _, _ = layer(x, self.model.cos[:length], self.model.sin[:length])
            x = self.model.layers[COPY_LAYER].attn_norm(x)
        q, k = self._heads(x, self.q), self._heads(x, self.k)
        losses = []
        for row, places, wanted in _targets(batch, self.tasks.writer.turn_end):
            places, wanted = torch.from_numpy(places), torch.from_numpy(wanted)
            scores = q[row][:, places] @ k[row].transpose(1, 2) / q.shape[-1] ** 0.5
            later = torch.arange(length) > places.unsqueeze(-1)
            scores = scores.masked_fill(later, -1e9)
            for one in scores:
                losses.append(F.cross_entropy(one, wanted, reduction="none"))
        return torch.cat(losses).mean()

    def train(self) -> None:
        optimizer = torch.optim.Adam([self.q, self.k], lr=RATE, betas=(0.9, 0.95))
        seen = []
        for step in range(N_STEPS):
            for group in optimizer.param_groups:
                group["lr"] = RATE * min(1.0, (step + 1) / 20) * (1 - step / N_STEPS)
            loss = self.loss(step)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            seen.append(loss.item())
            if (step + 1) % 20 == 0:
                self.progress.note("pointing", step + 1, float(np.mean(seen)))
                seen = []
        with torch.no_grad():
            attn = self.model.layers[COPY_LAYER].attn
            attn.q.weight[self.rows], attn.k.weight[self.rows] = self.q, self.k
