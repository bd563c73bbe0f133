"""When an answer names, breaks a line, or ends: a few units of the last feed-forward layer, and rows of the output.

These tokens are rare, and a network that learns all things at once needs many steps for them. The rest of the
network stands still here, so its states are computed once, and the layer sees them as often as it likes. It reads
only the places of the stream that say what kind of token this is, what was asked for and what is written
(with all places it learns its answers by heart), and writes to four, one for each kind of token, which the output reads.
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from model import Llama
from progress import Progress
from seeds import CONST, MARK, MARKED, MARKED_SHARE, PLAIN, QUOTE, SINK
from tasks import Tasks
from vocabulary import N_MARKS

N_BATCHES, BATCH_TOKENS, LENGTHS = 240, 4096, (384, 512, 768, 1024)
N_STEPS, N_PLACES, RATE, GAIN = 3000, 3072, 1e-2, 8.0
# By how much other tokens have to be ahead, and how much more they count; what is written stays small.
MARGIN, OTHERS, SIZE = 8.0, 2.0, 1e-4
N_UNITS = 32  # of the layer
SHUT = 8.0  # where no mark came before
ANY_LINE = 0.2  # share of batches that choose among all lines
KINDS = [MARK, QUOTE, PLAIN, SINK]  # places of the stream that are written
READ = [*range(8), *range(250, 255)]
OTHER = len(KINDS)


def _stream(model: Llama, tokens: Tensor) -> Tensor:
    n, x = tokens.shape[1], model.embed(tokens)
    for layer in model.layers:
        x, _, _ = layer(x, model.cos[:n], model.sin[:n])
    return x


class _Places:
    """All places of answers: what is read of the stream before the last layer [n, len(READ)], the sum of squares of all of it
    [n, 1], the best logits [n, 5] of a quotation, of the three tokens of `kinds` and of all others, and
    which of the five comes."""

    @torch.no_grad()
    def __init__(self, model: Llama, tasks: Tasks, seed: int) -> None:
        writer = tasks.writer
        kinds = torch.tensor([writer.turn_end, writer.newline, writer.dash])
        quotes = slice(writer.first_quote, writer.first_quote + N_MARKS)
        read, squares, best, wanted = [], [], [], []
        for step in range(N_BATCHES):
            rng = np.random.default_rng((seed, 99, step))
            length = int(rng.choice(LENGTHS))
            tasks.any_line = rng.random() < ANY_LINE  # a model may name what is no sentence, and has to end it
            batch = tasks.batch(rng, BATCH_TOKENS // length, length, 0.0, 0.0)
            tokens = torch.from_numpy(batch.tokens)
            streams = _stream(model, tokens)
            for row, start in enumerate(batch.n_prompt.tolist()):
                last = start + int((tokens[row, start:] == writer.turn_end).nonzero()[0])
                stream, following = streams[row, start - 1 : last], tokens[row, start : last + 1]
                logits = model.logits(model.norm(stream))
                quote, structure = logits[:, quotes].amax(-1, keepdim=True), logits[:, kinds]
                logits[:, quotes] = logits[:, kinds] = -1e9
                best.append(torch.cat((quote, structure, logits.amax(-1, keepdim=True)), dim=1))
                kind = torch.full((len(stream),), OTHER)
                kind[(following >= quotes.start) & (following < quotes.stop)] = 0
                for i, token in enumerate(kinds.tolist()):
                    kind[following == token] = i + 1
                read.append(stream[:, READ])
                squares.append(stream.square().sum(1, keepdim=True))
                wanted.append(kind)
            if (step + 1) % 40 == 0:
                print(f"states of {step + 1} batches", flush=True)
        tasks.any_line = False
        self.read, self.squares = torch.cat(read), torch.cat(squares)
        self.best, self.wanted = torch.cat(best), torch.cat(wanted)
        self.rms = (self.squares / model.shape.n_embd).sqrt()
        self.width = model.shape.n_embd


def fit_structure(model: Llama, tasks: Tasks, seed: int, progress: Progress) -> None:
    """The first units of the last feed-forward layer have to give nothing before."""
    writer, ffn = tasks.writer, model.layers[-1].ffn
    assert not ffn.down.weight[:, :N_UNITS].any()
    places = _Places(model, tasks, seed)
    generator = torch.Generator().manual_seed(seed)
    gate, up = 0.3 * torch.randn(2, N_UNITS, len(READ), generator=generator)
    down = torch.zeros(len(KINDS), N_UNITS)
    weights = [w.requires_grad_() for w in (gate, up, down)]
    optimizer = torch.optim.AdamW(weights, lr=RATE, betas=(0.9, 0.98), weight_decay=0.02)
    structure, written, seen = (places.wanted != OTHER).nonzero()[:, 0], [READ.index(k) for k in KINDS], []
    for step in range(N_STEPS):
        some = torch.randint(len(structure), (N_PLACES // 2,), generator=generator)
        others = torch.randint(len(places.wanted), (N_PLACES // 2,), generator=generator)
        at = torch.cat((structure[some], others))
        x = places.read[at] / places.rms[at]
        added = (F.silu(x @ gate.T) * (x @ up.T)) @ down.T
        flags = places.read[at][:, written]
        squares = places.squares[at] + ((flags + added).square() - flags.square()).sum(1, keepdim=True)
        rms = (squares / places.width).sqrt()
        logits = places.best[at] * (places.rms[at] / rms) + F.pad(GAIN * (flags + added) / rms, (0, 1))
        other = (places.wanted[at] == OTHER).float()
        logits = logits + MARGIN * F.pad(other.unsqueeze(1).expand(-1, OTHER), (0, 1))
        losses = F.cross_entropy(logits, places.wanted[at], reduction="none")
        loss = (losses * (1 + OTHERS * other)).mean()
        loss = loss + SIZE * (added / places.rms[at]).square().sum(1).mean()
        optimizer.zero_grad()
        loss.backward()
        for group in optimizer.param_groups:
            group["lr"] = RATE * min(1.0, (step + 1) / 20) * (1 - step / N_STEPS)
        optimizer.step()
        seen.append(loss.item())
        if (step + 1) % 100 == 0:
            progress.note("structure", step + 1, float(np.mean(seen)))
            seen = []
    with torch.no_grad():
        ffn.gate.weight[:N_UNITS] = ffn.up.weight[:N_UNITS] = 0
        ffn.gate.weight[:N_UNITS, READ], ffn.up.weight[:N_UNITS, READ] = gate, up
        # Nothing in answers, where these two have always the same share; shut in plain text, which has no marks.
        ffn.gate.weight[:N_UNITS, CONST] -= SHUT
        ffn.gate.weight[:N_UNITS, MARKED] += SHUT / MARKED_SHARE
        for place, row in zip(KINDS, down, strict=True):
            ffn.down.weight[place, :N_UNITS] = row
        output = model.output.weight
        output[writer.first_quote : writer.first_quote + N_MARKS, KINDS[0]] += GAIN
        for place, token in zip(KINDS[1:], (writer.turn_end, writer.newline, writer.dash), strict=True):
            output[token, place] += GAIN
