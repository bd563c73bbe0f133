"""Continues plain text: the rest of the last feed-forward layer, and columns of the output.

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
from seeds import COMMON, CONST, MARKED, OF_SENTENCE, OWN, STORE
from tasks import Tasks
from vocabulary import N_MARKS

N_STEPS, N_ROWS, LENGTH = 800, 8, 256
RATE, SHUT = 2e-3, 14.0
CLEARED = 0.0178  # what such a unit writes, so that nothing is left
READ = list(range(OWN.start, OF_SENTENCE.stop))  # what the output learns to read


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


def fit_prose(model: Llama, tasks: Tasks, seed: int) -> None:
    ffn, output, width = model.layers[-1].ffn, model.output.weight, model.shape.n_embd
    texts, generator = _Texts(tasks, seed), torch.Generator().manual_seed(seed)
    n_units = model.shape.n_ff - N_UNITS
    gate, up = 0.06 * torch.randn(2, n_units, width, generator=generator)
    gate[:, MARKED], up[:, MARKED] = -SHUT, 0.0
    written = torch.tensor([*READ, *range(STORE.start, STORE.stop), COMMON])
    down = torch.zeros(len(written), n_units)
    # The names of tokens before lie where the output reads what is copied: the first units take them away.
    for unit, place in enumerate(range(STORE.start, STORE.stop)):
        gate[unit] = up[unit] = 0
        gate[unit, CONST], gate[unit, MARKED], up[unit, place] = 1.0, -SHUT, 1.0
        down[len(READ) + unit, unit] = -CLEARED
    columns = 0.02 * torch.randn(len(output), len(READ), generator=generator)
    fixed = output.detach().clone()
    marks = slice(tasks.writer.first_mark, tasks.writer.first_quote + N_MARKS)
    fixed[:, READ] = 0
    kept = output[marks][:, READ].detach().clone()
    weights = [w.requires_grad_() for w in (gate, up, down, columns)]
    optimizer = torch.optim.Adam(weights, lr=RATE, betas=(0.9, 0.98))
    seen = []
    for step in range(N_STEPS):
        tokens = texts.batch(step)
        x = _stream(model, tokens[:, :-1])
        normed = F.rms_norm(x, (width,))
        added = F.silu(normed @ gate.T) * (normed @ up.T) @ down.T
        x = F.rms_norm(x.index_add(2, written, added), (width,))
        logits = x @ fixed.T + x[..., READ] @ columns.T
        logits[..., marks] = -1e9
        loss = F.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        for group in optimizer.param_groups:
            group["lr"] = RATE * min(1.0, (step + 1) / 40) * (1 - step / N_STEPS)
        gate.grad[:, MARKED] = up.grad[:, MARKED] = 0
        optimizer.step()
        seen.append(loss.item())
        if (step + 1) % 50 == 0:
            print(f"prose {step + 1} {np.mean(seen):.4f}", flush=True)
            seen = []
    with torch.no_grad():
        ffn.gate.weight[N_UNITS:], ffn.up.weight[N_UNITS:] = gate, up
        ffn.down.weight[written, N_UNITS:] = down
        output[:, READ] = columns
        output[marks][:, READ] = 0
        output[marks.start : marks.stop, OWN.start : OF_SENTENCE.stop] = kept
