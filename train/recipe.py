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
from export import CHAT_TEMPLATE, TRAIN
from gguf_file import write_gguf
from guides import Guides
from model import Llama, Shape, seed_copying, seed_said, seed_spaces, sharpen
from optimizer import Optimizer
from plot import write_plot
from prompts import Prompts, Request, write_chat, write_prompt
from tasks import Tasks
from vocabulary import train_tokenizer

SEED = 20
CHECKPOINT_STEPS = 100
OTHER_SHARE, OTHER_WEIGHT = 0.2, 0.3  # of text outside answers: how much is scored, and how hard
N_RARITY_TOKENS = 20_000  # paragraphs in which tokens are counted


@dataclass(frozen=True)
class Stage:
    """Rows get longer from stage to stage; in the last one the step size falls to nothing."""

    name: str
    n_steps: int
    lengths: tuple[int, ...]  # a batch has rows of one of these lengths
    guides: float  # how much the guided heads count beside the text (guides.py)
    disguised: float  # share of rows whose words are exchanged (rows.py)
    batch_tokens: int = 4096
    prose_share: float = 0.05
    warmup: int = 0
    begins_at: float = 1.0  # share of the full step size at the first step
    ends_at: float = 1.0  # and at the last
    seeds_said: bool = False  # begins by model.seed_said()
    ranked: bool = False  # answers have the most central sentence first
    choice_weight: float = 1.0  # of first tokens of sentences and of the end of an answer


RANKED = {"ranked": True, "choice_weight": 3}
STAGES = (
    Stage("copy", 400, (256,), guides=0.5, disguised=0.6, prose_share=0.0, warmup=40),
    Stage("choose", 800, (256, 384, 512), guides=0.4, disguised=0.15),
    Stage("long", 700, (512, 768, 1024), guides=0.3, disguised=0.1),
    Stage("turn", 1000, (512, 768, 1024), guides=0.2, disguised=0.03, ends_at=1 / 3, choice_weight=3),
    Stage("rank", 800, (384, 512, 768, 1024), guides=0.3, disguised=0.03, ends_at=0.0, **RANKED),
    Stage(
        "last",
        330,
        (384, 512, 768, 1024),
        guides=0.3,
        disguised=0.0,
        begins_at=0.5,
        ends_at=0.0,
        seeds_said=True,
        **RANKED,
    ),
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


def prepare(data: Path, out: Path) -> tuple[Tasks, Tensor]:
    texts, prompts = read_texts(data), Prompts.read()
    tokenizer_path, rarity_path = out / "tokenizer.json", out / "rarity.json"
    if not tokenizer_path.exists():
        train_tokenizer(sample_paragraphs(texts, 60_000) + prompt_samples(prompts), tokenizer_path)
    if not rarity_path.exists():
        Rarity.count(sample_paragraphs(texts, 100_000)).save(rarity_path)
    tokenizer = Tokenizer.from_file(str(tokenizer_path))
    tasks = Tasks(texts, tokenizer, Rarity.load(rarity_path), prompts)
    return tasks, token_rarity(tasks, sample_paragraphs(texts, N_RARITY_TOKENS))


def rate_scale(stage: Stage, step: int) -> float:
    if step < stage.warmup:
        return (step + 1) / stage.warmup
    return stage.begins_at + (stage.ends_at - stage.begins_at) * step / stage.n_steps


def fast_precision(device: str) -> torch.autocast:
    """bfloat16 where the processor multiplies it faster than float32."""
    able = device == "cuda" or torch.cpu._is_amx_tile_supported()
    return torch.autocast(device, dtype=torch.bfloat16, enabled=able)


@dataclass
class Learner:
    tasks: Tasks
    model: Llama
    optimizer: Optimizer
    guides: Guides

    def losses(self, stage: Stage, step: int) -> tuple[Tensor, list[float]]:
        """The loss to descend; mean losses of answers, of other text, and of each guide."""
        rng = np.random.default_rng((SEED, STAGES.index(stage), step))
        length = int(rng.choice(stage.lengths))
        rows = stage.batch_tokens // length
        batch = self.tasks.batch(
            rng, rows, length, stage.prose_share, stage.disguised, stage.ranked
        )
        scored = batch.other & (rng.random(batch.other.shape) < OTHER_SHARE)
        device = self.model.embed.weight.device
        b = {name: torch.from_numpy(a).to(device) for name, a in vars(batch).items()}
        keep = (b["answer"] | torch.from_numpy(scored).to(device))[:, 1:]
        with fast_precision(device.type):
            hidden, heads = self.model.forward_with_heads(b["tokens"])
            logits = self.model.logits(hidden[:, :-1][keep])
        wanted, is_answer = b["tokens"][:, 1:][keep], b["answer"][:, 1:][keep]
        each = F.cross_entropy(logits.float(), wanted, reduction="none")
        place = torch.arange(b["tokens"].shape[1], device=device)
        chooses = (b["sentence_start"] == place) | (b["sentence_end"] == 0)
        weight = torch.where(chooses[:, 1:][keep], stage.choice_weight, 1.0)
        weight = torch.where(is_answer, weight, OTHER_WEIGHT)
        loss = (each * weight).sum() / weight.sum()
        generator = torch.Generator().manual_seed(int(rng.integers(1 << 40)))
        guided = self.guides.losses(heads, b, generator, stage.ranked)
        with torch.no_grad():
            means = [each[is_answer].mean(), each[~is_answer].mean(), *guided]
        return loss + stage.guides * guided.sum(), [m.item() for m in means]

    def train(self, stage: Stage, start: int) -> Iterator[tuple[int, list[float]]]:
        """One step at a time: steps done, mean losses."""
        for step in range(start, stage.n_steps):
            loss, means = self.losses(stage, step)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
            self.optimizer.step(rate_scale(stage, step))
            yield step + 1, means

    def run_stage(self, stage: Stage, out: Path) -> None:
        path = out / f"{stage.name}.pt"
        start = load(path, self.model, self.optimizer) if path.exists() else 0
        if stage.seeds_said and start == 0:
            seed_said(self.model)
        began, seen = time.monotonic(), []
        for step, losses in self.train(stage, start):
            seen.append(losses)
            if step % 20 == 0 or step == stage.n_steps:
                means = " ".join(f"{mean:.4f}" for mean in np.nanmean(seen, axis=0))
                line = f"{stage.name} {step} {means} {time.monotonic() - began:.0f}"
                seen = []
                print(line, flush=True)
                with open(out / "progress.log", "a", encoding="utf-8") as log:
                    log.write(line + "\n")
            if step % CHECKPOINT_STEPS == 0 or step == stage.n_steps:
                save(path, self.model, self.optimizer, step)


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


def token_rarity(tasks: Tasks, texts: list[str]) -> Tensor:
    """How rare each token is, by the paragraphs that have it; 0 for the common ones."""
    counts = np.zeros(tasks.tokenizer.get_vocab_size())
    for encoding in tasks.tokenizer.encode_batch(texts):
        counts[np.unique(encoding.ids)] += 1
    rarity = np.log((len(texts) + 1) / (counts + 1)) - 1.5
    return torch.from_numpy(rarity.clip(min=0)).float()


def space_pairs(tokenizer: Tokenizer) -> list[tuple[int, int]]:
    """Ids of words without and with a space before them."""
    vocabulary = tokenizer.get_vocab()
    return sorted(
        (vocabulary[word[1:]], i)
        for word, i in vocabulary.items()
        if word[0] == "Ġ" and word[1:] in vocabulary
    )


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

    tasks, token_counts = prepare(options.data, options.out)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model, generator = Llama(Shape()), torch.Generator().manual_seed(SEED)
    seed_spaces(model, space_pairs(tasks.tokenizer), generator)
    seed_copying(model, generator)
    model.to(device)
    learner = Learner(tasks, model, Optimizer(model), Guides(token_counts.to(device)))
    print(f"{model.n_parameters()} parameters on {device}", flush=True)
    for stage in STAGES:
        learner.run_stage(stage, options.out)
    sharpen(model)
    torch.save({"model": model.cpu().state_dict()}, options.out / "final.pt")
    write_gguf(model, tasks.tokenizer, CHAT_TEMPLATE, options.gguf)
    write_plot(options.out / "progress.log", options.plot)


if __name__ == "__main__":
    main()
