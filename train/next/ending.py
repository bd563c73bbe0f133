"""When an answer names, breaks a line, or ends: the last feed-forward layer and a few rows of the output.

These tokens are rare, and a network that learns all things at once needs many steps for them. The rest of the
network stands still here, so its states are computed once, and the layer sees them as often as it likes. It
writes to four places of the stream, one for each kind of token, and the output reads those.
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from model import Llama
from seeds import MARK, PLAIN, QUOTE, SINK
from tasks import Tasks
from vocabulary import N_MARKS

N_BATCHES, BATCH_TOKENS, LENGTHS = 200, 4096, (384, 512, 768, 1024)
N_STEPS, N_PLACES, RATE, GAIN = 400, 4096, 2e-3, 8.0
N_UNITS = 48  # of the layer: more learn the rows by heart
KINDS = [MARK, QUOTE, PLAIN, SINK]  # places of the stream that no token of an answer but quote marks uses


def _stream(model: Llama, tokens: Tensor) -> Tensor:
    n, x = tokens.shape[1], model.embed(tokens)
    for layer in model.layers:
        x, _, _ = layer(x, model.cos[:n], model.sin[:n])
    return x


@torch.no_grad()
def _collect(model: Llama, tasks: Tasks, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """For all places of answers: the stream before the last norm; logits [n, 5] of a quotation, of the three tokens of
    `kinds`, and of all others; which of the five comes."""
    writer = tasks.writer
    kinds = torch.tensor([writer.turn_end, writer.newline, writer.dash])
    quotes = slice(writer.first_quote, writer.first_quote + N_MARKS)
    states, odds, wanted = [], [], []
    for step in range(N_BATCHES):
        rng = np.random.default_rng((seed, 99, step))
        length = int(rng.choice(LENGTHS))
        batch = tasks.batch(rng, BATCH_TOKENS // length, length, 0.0, 0.0)
        tokens = torch.from_numpy(batch.tokens)
        streams = _stream(model, tokens)
        hidden = model.norm(streams)
        for row, start in enumerate(batch.n_prompt.tolist()):
            last = start + int((tokens[row, start:] == writer.turn_end).nonzero()[0])
            h, following = hidden[row, start - 1 : last], tokens[row, start : last + 1]
            logits = model.logits(h)
            quote = logits[:, quotes].logsumexp(-1, keepdim=True)
            structure = torch.cat((quote, logits[:, kinds]), dim=1)
            logits[:, quotes] = logits[:, kinds] = -1e9
            odds.append(torch.cat((structure, logits.logsumexp(-1, keepdim=True)), dim=1))
            kind = torch.full((len(h),), 4)
            kind[(following >= quotes.start) & (following < quotes.stop)] = 0
            for i, token in enumerate(kinds.tolist()):
                kind[following == token] = i + 1
            states.append(streams[row, start - 1 : last])
            wanted.append(kind)
    return torch.cat(states), torch.cat(odds), torch.cat(wanted)


def fit_structure(model: Llama, tasks: Tasks, seed: int) -> None:
    """The last feed-forward layer has to give nothing before."""
    writer, ffn = tasks.writer, model.layers[-1].ffn
    assert not ffn.down.weight.any()
    states, odds, wanted = _collect(model, tasks, seed)
    squares = states.square().sum(1, keepdim=True)
    width = states.shape[1]
    rms = (squares / width).sqrt()
    normed = states / rms
    gate = ffn.gate.weight[:N_UNITS].detach().clone().requires_grad_()
    up = ffn.up.weight[:N_UNITS].detach().clone().requires_grad_()
    down = torch.zeros(len(KINDS), gate.shape[0], requires_grad=True)
    optimizer = torch.optim.AdamW([gate, up, down], lr=RATE, betas=(0.9, 0.98), weight_decay=0.2)
    generator, seen = torch.Generator().manual_seed(seed), []
    for step in range(N_STEPS):
        at = torch.randint(len(states), (N_PLACES,), generator=generator)
        x = normed[at]
        added = (F.silu(x @ gate.T) * (x @ up.T)) @ down.T
        flags = states[at][:, KINDS]
        total = squares[at] + ((flags + added).square() - flags.square()).sum(1, keepdim=True)
        new_rms = (total / width).sqrt()
        logits = odds[at] * (rms[at] / new_rms)
        logits = logits + F.pad(GAIN * (flags + added) / new_rms, (0, 1))
        loss = F.cross_entropy(logits, wanted[at])
        optimizer.zero_grad()
        loss.backward()
        for group in optimizer.param_groups:
            group["lr"] = RATE * min(1.0, (step + 1) / 20) * (1 - step / N_STEPS)
        optimizer.step()
        seen.append(loss.item())
        if (step + 1) % 100 == 0:
            print(f"structure {step + 1} {np.mean(seen):.4f}", flush=True)
            seen = []
    with torch.no_grad():
        ffn.gate.weight[:N_UNITS], ffn.up.weight[:N_UNITS] = gate, up
        for place, row in zip(KINDS, down, strict=True):
            ffn.down.weight[place, :N_UNITS] = row
        output = model.output.weight
        output[writer.first_quote : writer.first_quote + N_MARKS, KINDS[0]] += GAIN
        for place, token in zip(KINDS[1:], (writer.turn_end, writer.newline, writer.dash), strict=True):
            output[token, place] += GAIN
