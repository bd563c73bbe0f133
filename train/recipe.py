"""From texts to models/hearth-small.gguf with one command.

    python train/recipe.py --data ../shared/data/corpora

Each stage leaves a checkpoint in train/out; run again, the recipe goes on after the
last one it finds. Batches depend on the seed, the stage and the step alone, so a run
that was interrupted reads the same rows as one that was not.
"""

import argparse
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

# Threads that wait asleep: on a machine with other work the steps are otherwise many times slower.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("GOMP_SPINCOUNT", "0")

import torch
import torch.nn.functional as F
from tokenizers import Tokenizer
from torch import Tensor

from centrality import Rarity
from corpus import Document, read_texts
from export import TRAIN, write_gguf
from model import Llama, Shape, seed_copying
from plot import write_plot
from prompts import Prompts, Request, write_chat, write_prompt
from tasks import Tasks
from vocabulary import train_tokenizer

SEED = 20
CHECKPOINT_STEPS = 100
OTHER_SHARE, OTHER_WEIGHT = 0.25, 0.4  # of text outside answers: how much is scored, and how hard


@dataclass(frozen=True)
class Stage:
    """Rows get longer from stage to stage; in the last ones the step size falls to nothing."""

    name: str
    n_steps: int
    lengths: tuple[int, ...]  # a batch has rows of one of these lengths
    batch_tokens: int = 4096
    prose_share: float = 0.1
    warmup: int = 0
    falls: bool = False
    end_weight: float = 1.0  # of the token that ends an answer: less than 1 against ends too early


STAGES = (
    Stage("short", 250, (192, 256), warmup=40),
    Stage("middle", 350, (256, 512, 512)),
    Stage("long", 200, (512, 1024, 1024)),
    Stage("last", 160, (384, 768, 1024, 1024), falls=True),
    Stage("again", 240, (512, 1024, 1024), warmup=10, falls=True),
    Stage("more", 360, (512, 1024, 1024, 1024), warmup=10, falls=True, end_weight=0.5),
    Stage("end", 300, (512, 1024, 1024, 1024), warmup=10, falls=True, end_weight=0.5),
)


def sample_paragraphs(texts: dict[str, list[Document]], n: int) -> list[str]:
    paragraphs = [p.text for docs in texts.values() for d in docs for p in d.paragraphs]
    order = np.random.default_rng(SEED).permutation(len(paragraphs))
    return [paragraphs[i] for i in order[:n]]


def prompt_samples(prompts: Prompts) -> list[str]:
    """So that the words of the prompts become tokens, although the texts lack them."""
    requests = [
        Request(100, "", task=task, style=style, ask="What?", title="T", section="S")
        for task in ("summarize", "merge")
        for style in ("paragraph", "bullets", "outline")
    ]
    return [write_chat(write_prompt(prompts, r)) for r in requests] * 100


def prepare(data: Path, out: Path) -> Tasks:
    texts, prompts = read_texts(data), Prompts.read()
    tokenizer_path, rarity_path = out / "tokenizer.json", out / "rarity.json"
    if not tokenizer_path.exists():
        train_tokenizer(sample_paragraphs(texts, 60_000) + prompt_samples(prompts), tokenizer_path)
    if not rarity_path.exists():
        Rarity.count(sample_paragraphs(texts, 100_000)).save(rarity_path)
    tokenizer = Tokenizer.from_file(str(tokenizer_path))
    return Tasks(texts, tokenizer, Rarity.load(rarity_path), prompts)


class Optimizer:
    """Muon for the matrices inside layers, Adam for embeddings and norms."""

    RATES = (0.006, 3e-3)

    def __init__(self, model: Llama) -> None:
        inner = [p for n, p in model.named_parameters() if p.ndim == 2 and n != "embed.weight"]
        rest = [p for n, p in model.named_parameters() if p.ndim == 1 or n == "embed.weight"]
        self.parts = (
            torch.optim.Muon(inner, lr=0, momentum=0.95, weight_decay=0.02),
            torch.optim.AdamW(rest, lr=0, betas=(0.9, 0.95), weight_decay=0.0),
        )

    def step(self, scale: float) -> None:
        for part, rate in zip(self.parts, self.RATES, strict=True):
            for group in part.param_groups:
                group["lr"] = rate * scale
            part.step()
            part.zero_grad(set_to_none=True)

    def state(self) -> list[dict]:
        return [part.state_dict() for part in self.parts]

    def load(self, state: list[dict]) -> None:
        for part, stored in zip(self.parts, state, strict=True):
            part.load_state_dict(stored)


def rate_scale(stage: Stage, step: int) -> float:
    if step < stage.warmup:
        return (step + 1) / stage.warmup
    return 1 - step / stage.n_steps if stage.falls else 1.0


def losses(
    model: Llama, tokens: Tensor, answer: Tensor, scored: Tensor, weights: Tensor
) -> tuple[Tensor, float, float]:
    """The loss to descend, and the mean losses of answers and of other text, per token."""
    with torch.autocast(tokens.device.type, dtype=torch.bfloat16):
        hidden = model(tokens)[:, :-1]
        keep = (answer | scored)[:, 1:]
        logits = model.logits(hidden[keep])
    wanted, is_answer = tokens[:, 1:][keep], answer[:, 1:][keep]
    each = F.cross_entropy(logits.float(), wanted, reduction="none")
    weight = torch.where(is_answer, weights[wanted], OTHER_WEIGHT)
    loss = (each * weight).sum() / weight.sum()
    with torch.no_grad():
        return loss, each[is_answer].mean().item(), each[~is_answer].mean().item()


def train_stage(
    stage: Stage, start: int, tasks: Tasks, model: Llama, optimizer: Optimizer
) -> Iterator[tuple[int, float, float]]:
    """One step at a time: steps done, loss of answers, loss of other text."""
    device = model.embed.weight.device
    index = [s.name for s in STAGES].index(stage.name)
    weights = torch.ones(model.shape.n_vocab, device=device)
    weights[tasks.turn_end] = stage.end_weight
    for step in range(start, stage.n_steps):
        rng = np.random.default_rng((SEED, index, step))
        length = int(rng.choice(stage.lengths))
        rows = stage.batch_tokens // length
        tokens, answer, other = tasks.batch(rng, rows, length, stage.prose_share)
        scored = other & (rng.random(other.shape) < OTHER_SHARE)
        arrays = (torch.from_numpy(a).to(device) for a in (tokens, answer, scored))
        loss, of_answers, of_other = losses(model, *arrays, weights)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step(rate_scale(stage, step))
        yield step + 1, of_answers, of_other


def save(path: Path, model: Llama, optimizer: Optimizer, step: int) -> None:
    state = {"model": model.state_dict(), "optimizer": optimizer.state(), "step": step}
    part = path.with_suffix(".part")
    torch.save(state, part)
    part.replace(path)


def load(path: Path, model: Llama, optimizer: Optimizer) -> int:
    state = torch.load(path, weights_only=True, map_location=model.embed.weight.device)
    model.load_state_dict(state["model"])
    optimizer.load(state["optimizer"])
    return state["step"]


def run_stage(stage: Stage, out: Path, tasks: Tasks, model: Llama, optimizer: Optimizer) -> None:
    path = out / f"{stage.name}.pt"
    start = load(path, model, optimizer) if path.exists() else 0
    began, seen = time.monotonic(), []
    for step, of_answers, of_other in train_stage(stage, start, tasks, model, optimizer):
        seen.append((of_answers, of_other))
        if step % 20 == 0 or step == stage.n_steps:
            means = np.nanmean(seen, axis=0)
            seconds, seen = time.monotonic() - began, []
            line = f"{stage.name} {step} {means[0]:.4f} {means[1]:.4f} {seconds:.0f}"
            print(line, flush=True)
            with open(out / "progress.log", "a", encoding="utf-8") as log:
                log.write(line + "\n")
        if step % CHECKPOINT_STEPS == 0 or step == stage.n_steps:
            save(path, model, optimizer, step)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with train/*.txt")
    parser.add_argument("--out", type=Path, default=TRAIN / "out", help="checkpoints and log")
    parser.add_argument("--gguf", type=Path, default=TRAIN.parent / "models/hearth-small.gguf")
    parser.add_argument("--plot", type=Path, default=TRAIN.parent / "docs/model-loss.svg")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(SEED)
    options.out.mkdir(parents=True, exist_ok=True)

    tasks = prepare(options.data, options.out)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = Llama(Shape())
    seed_copying(model, torch.Generator().manual_seed(SEED))
    model.to(device)
    optimizer = Optimizer(model)
    print(f"{model.n_parameters()} parameters on {device}", flush=True)
    for stage in STAGES:
        run_stage(stage, options.out, tasks, model, optimizer)
    write_gguf(model.cpu(), tasks.tokenizer, options.gguf)
    write_plot(options.out / "progress.log", options.plot)


if __name__ == "__main__":
    main()
