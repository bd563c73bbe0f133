"""Continues plain text: the rest of the last feed-forward layer.

What a token and those before it are stands in the stream since layer 0, and where no sentence mark came before all
other layers rest, so the last layer can learn from these alone which token is likely next. Its units are shut
where a mark came before: answers do not change.
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ending import N_UNITS
from model import Llama
from progress import Progress
from seeds import COMMON, CONST, MARKED, N_SHORT, OF_SENTENCE, STORE
from tasks import Tasks

N_STEPS, N_ROWS, LENGTH = 700, 8, 256
RATE, SHUT = 2e-3, 14.0
CLEARED = 0.0178  # what such a unit writes, so that nothing is left
# What is written: places that the output reads, and some whose columns of the output learn (in answers they have little).
WRITTEN = torch.tensor([*range(STORE.start, STORE.stop), COMMON, *range(OF_SENTENCE.start, OF_SENTENCE.stop)])
DECAY = 1e-3  # of those columns


class _Texts:
    """Rows of [N_ROWS, LENGTH + 1] tokens, each after a turn's start."""

    def __init__(self, tasks: Tasks, seed: int) -> None:
        self.tasks, self.seed = tasks, seed

    def batch(self, step: int) -> Tensor:
        rng, rows = np.random.default_rng((self.seed, 97, step)), []
        while len(rows) < N_ROWS:
            ids = self.tasks.tokenizer.encode(self.tasks.sample_passage(rng, LENGTH * 6).text).ids
            if len(ids) >= LENGTH:
                rows.append([self.tasks.writer.turn_start, *ids[:LENGTH]])
        return torch.tensor(rows)


@torch.no_grad()
def _stream(model: Llama, tokens: Tensor) -> Tensor:
    """Before the last feed-forward layer. Layers behind the first give nothing here."""
    n, x, attn = tokens.shape[1], model.embed(tokens), model.layers[0].attn
    return x + attn(model.layers[0].attn_norm(x), model.cos[:n], model.sin[:n])[0]


def fit_prose(model: Llama, tasks: Tasks, seed: int, progress: Progress) -> None:
    ffn, output, width = model.layers[-1].ffn, model.output.weight.detach(), model.shape.n_embd
    texts, generator = _Texts(tasks, seed), torch.Generator().manual_seed(seed)
    n_units = model.shape.n_ff - N_UNITS
    gate, up = 0.06 * torch.randn(2, n_units, width, generator=generator)
    gate[:, MARKED], up[:, MARKED] = -SHUT, 0.0
    down = torch.zeros(len(WRITTEN), n_units)
    # The names of tokens before lie where the output reads what is copied: the first units take them away.
    for unit, place in enumerate(range(STORE.start, STORE.stop)):
        gate[unit] = up[unit] = 0
        gate[unit, CONST], gate[unit, MARKED], up[unit, place] = 1.0, -SHUT, 1.0
        down[unit, unit] = -CLEARED
    columns = 0.05 * torch.randn(len(output), N_SHORT, generator=generator)
    weights = [w.requires_grad_() for w in (gate, up, down, columns)]
    optimizer = torch.optim.Adam(weights, lr=RATE, betas=(0.9, 0.98))
    seen = []
    for step in range(N_STEPS):
        tokens = texts.batch(step)
        x = _stream(model, tokens[:, :-1])
        normed = F.rms_norm(x, (width,))
        added = F.silu(normed @ gate.T) * (normed @ up.T) @ down.T
        x = F.rms_norm(x.index_add(2, WRITTEN, added), (width,))
        logits = x @ output.T + x[..., OF_SENTENCE] @ columns.T
        loss = F.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten())
        loss = loss + DECAY * columns.square().sum(1).mean()
        optimizer.zero_grad()
        loss.backward()
        for group in optimizer.param_groups:
            group["lr"] = RATE * min(1.0, (step + 1) / 40) * (1 - step / N_STEPS)
        gate.grad[:, MARKED] = up.grad[:, MARKED] = 0
        optimizer.step()
        seen.append(loss.item())
        if (step + 1) % 50 == 0:
            progress.note("prose", step + 1, float(np.mean(seen)))
            seen = []
    with torch.no_grad():
        ffn.gate.weight[N_UNITS:], ffn.up.weight[N_UNITS:] = gate, up
        ffn.down.weight[WRITTEN, N_UNITS:] = down
        model.output.weight[:, OF_SENTENCE] = columns
