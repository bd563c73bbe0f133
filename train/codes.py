"""Codes of tokens by which sentences and passages can be compared: what the choice starts from.

A sentence is the sum of its tokens' codes, by weight, brought to length one; a passage is the
sum of its sentences; how central a sentence is shows in their product (degree centrality,
arXiv:1109.2128). Codes and weights descend from the divergence of the choice they
make from the one of centrality.py. It is the same arithmetic that attention does later
(seeds.py), but a bag of words costs a thousandth of a network's step.
"""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor, nn

from guides import divergence
from progress import Progress
from tasks import Tasks

N_CODE_DIMS = 48
N_STEPS, ROWS, ROW_TOKENS = 2400, 32, 900
RATE = 0.015
N_WORKERS = 2


class Passages(torch.utils.data.IterableDataset):
    """Batches: tokens, which sentence each is in (counted over the batch), shares of the choice."""

    def __init__(self, tasks: Tasks, seed: int, n_steps: int) -> None:
        self.tasks, self.seed, self.n_steps = tasks, seed, n_steps

    def one(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Tokens, the sentence of each, and the shares of the first choice."""
        while True:
            sampled = self.tasks.sample_request(rng, ROW_TOKENS)
            if not sampled or sampled[0].style == "outline" or sampled[0].ask:
                continue  # nothing is chosen first there for being central
            row = self.tasks.writer.write(*sampled)
            if row is None:
                continue
            ends = np.searchsorted(row.closing, np.arange(row.closing[-1]), side="right")
            inside = row.mark[: row.closing[-1]] >= 0
            return row.tokens[: row.closing[-1]][inside], ends[inside], row.wanted[0]

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        worker = torch.utils.data.get_worker_info()
        for step in range(worker.id, self.n_steps, worker.num_workers):
            rng = np.random.default_rng((self.seed, step))
            rows = [self.one(rng) for _ in range(ROWS)]
            n = max(len(wanted) for _, _, wanted in rows)
            shares = np.zeros((ROWS, n), dtype=np.float32)
            for out, (_, _, wanted) in zip(shares, rows, strict=True):
                out[: len(wanted)] = wanted
            tokens = np.concatenate([tokens for tokens, _, _ in rows])
            sentences = np.concatenate([s + i * n for i, (_, s, _) in enumerate(rows)])
            yield torch.from_numpy(tokens), torch.from_numpy(sentences), torch.from_numpy(shares)


class Codes(nn.Module):
    def __init__(self, rarity: Tensor, pairs: list[tuple[int, int]]) -> None:
        super().__init__()
        codes = torch.randn(len(rarity), N_CODE_DIMS) / N_CODE_DIMS**0.5
        for bare, spaced in pairs:
            codes[spaced] = codes[bare]
        self.codes = nn.Parameter(codes)
        self.log_weights = nn.Parameter((rarity + 0.02).log())
        self.sharpness = nn.Parameter(torch.tensor(5.0))

    def forward(self, tokens: Tensor, sentences: Tensor, shares: Tensor) -> Tensor:
        """Logarithms of the shares that the codes give, [rows, sentences]."""
        rows, n = shares.shape
        weighted = self.codes[tokens] * self.log_weights[tokens].exp().unsqueeze(1)
        sums = torch.zeros(rows * n, N_CODE_DIMS).index_add(0, sentences, weighted)
        said = (sums / (sums.norm(dim=1, keepdim=True) + 1e-3)).view(rows, n, -1)
        topic = said.sum(1, keepdim=True)
        topic = topic / (topic.norm(dim=2, keepdim=True) + 1e-3)
        scores = self.sharpness * (said * topic).sum(-1)
        return scores.masked_fill(shares == 0, -1e9).log_softmax(-1)


def train_codes(
    tasks: Tasks, rarity: Tensor, pairs: list[tuple[int, int]], seed: int, progress: Progress
) -> Codes:
    model, n_steps = Codes(rarity, pairs), N_STEPS
    optimizer = torch.optim.Adam(model.parameters(), lr=RATE)
    loader = torch.utils.data.DataLoader(
        Passages(tasks, seed, n_steps), batch_size=None, num_workers=N_WORKERS, prefetch_factor=8
    )
    losses, hits = [], []
    for step, batch in enumerate(loader, 1):
        log_shares = model(*batch)
        loss = divergence(log_shares.unsqueeze(1), batch[2].unsqueeze(1))
        optimizer.zero_grad()
        loss.backward()
        for group in optimizer.param_groups:
            group["lr"] = RATE * (1 - step / n_steps)
        optimizer.step()
        losses.append(loss.item())
        hits.append((log_shares.argmax(1) == batch[2].argmax(1)).float().mean().item())
        if step % 50 == 0 or step == n_steps:
            progress.note("codes", step, float(np.mean(losses)))
            print(f"first choices the same {np.mean(hits):.3f}", flush=True)
            losses, hits = [], []
    return model
