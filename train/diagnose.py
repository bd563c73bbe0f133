"""How well each part of the network does its work, on rows of the training texts, in a quarter of a minute.

    python train/diagnose.py --data ../shared/data/corpora [--checkpoint train/out/final.pt]

Without a checkpoint, the draft is measured. Rows come from the training texts, so this is to find what is
wrong; evaluate.py says what a file is worth.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from export import TRAIN, read_checkpoint
from guides import COPY_HEADS, COPY_LAYER, NAMES, Guides, log_attention
from recipe import new_model, prepare, prepare_codes
from rows import Batch
from progress import Progress
from tasks import Tasks
from vocabulary import N_MARKS

N_ROWS, LENGTH = 160, 512


def make_batches(tasks: Tasks) -> list[dict[str, Tensor]]:
    rng, rows = np.random.default_rng(77), []
    while len(rows) < N_ROWS:
        sampled = tasks.sample_request(rng, LENGTH)
        if not sampled or sampled[0].style == "outline" or sampled[0].ask:
            continue
        row = tasks.writer.write(*sampled)
        if row and len(row.tokens) <= LENGTH and row.wanted.shape[1] >= 6:
            rows.append(row)
    batches = [Batch.of(rows[i : i + 8], 0) for i in range(0, N_ROWS, 8)]
    return [{n: torch.from_numpy(a) for n, a in vars(b).items()} for b in batches]


def token_weights(tasks: Tasks, codes: dict[str, Tensor]) -> Tensor:
    """How much each token says; nothing for marks."""
    weights = codes["log_weights"].exp() * codes["codes"].norm(dim=1)
    weights[tasks.writer.first_mark : tasks.writer.first_quote + N_MARKS] = 0
    return weights


@torch.no_grad()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with train/*.txt")
    parser.add_argument("--out", type=Path, default=TRAIN / "out", help="checkpoints")
    parser.add_argument("--checkpoint", type=Path)
    options = parser.parse_args()
    tasks = prepare(options.data, options.out)
    codes = prepare_codes(tasks, options.out, Progress(options.out / "progress.log"))
    model = read_checkpoint(options.checkpoint) if options.checkpoint else new_model(tasks, codes)
    guides, losses = Guides(token_weights(tasks, codes)), []
    copied, pointed, named = [], [], {"first": [], "later": []}
    first_quote = tasks.writer.first_quote
    for b in make_batches(tasks):
        hidden, heads = model.forward_with_heads(b["tokens"])
        losses.append(guides.losses(heads, b, torch.Generator().manual_seed(1)))
        for row in range(len(hidden)):
            places = (b["copied_from"][row] >= 0).nonzero()[:, 0]
            best = model.logits(hidden[row, places - 1]).argmax(-1)
            copied.append(best == b["tokens"][row, places])
            for head in COPY_HEADS:
                one = [(q[row : row + 1], k[row : row + 1]) for q, k in heads]
                found = log_attention(one, COPY_LAYER, head, places[None] - 1)[0].argmax(-1)
                pointed.append(found == b["copied_from"][row, places])
            for i, place in enumerate(b["named"][row].tolist()):
                wanted = b["wanted"][row, i]
                if wanted.sum() > 0:
                    logits = model.logits(hidden[row, place - 1])[first_quote:][:N_MARKS]
                    best = int(logits.argmax())
                    allowed = best < len(wanted) and bool(wanted[best] > 0)
                    hit = best == int(wanted.argmax())
                    named["later" if i else "first"].append((hit, allowed))
    each = torch.stack(losses).mean(0)
    print("divergence of attention:", ", ".join(f"{n} {v:.3f}" for n, v in zip(NAMES, each, strict=True)))
    print(f"copying heads at the right place: {torch.cat(pointed).float().mean():.4f}")
    print(f"copied tokens right: {torch.cat(copied).float().mean():.4f}")
    for kind, found in named.items():
        hit, allowed = np.mean(found, axis=0)
        print(f"{kind} quote mark: the most central {hit:.2f}, one that is open {allowed:.2f}")


if __name__ == "__main__":
    main()
