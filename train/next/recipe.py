"""From texts to train/next/out/hearth-small.gguf with one command.

    python train/next/recipe.py --data ../shared/data/corpora

Each stage leaves a checkpoint in train/next/out; run again, the recipe goes on after the
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
from codes import train_codes
from corpus import Document, read_texts
from export import TRAIN
from gguf_file import write_gguf
from guides import Guides, divergence
from model import Llama
from optimizer import Factors, Optimizer
from plot import write_plot
from prompts import Prompts, Request, write_prompt
from seeds import SHAPE, Marks, seed_draft, seed_spaces
from tasks import Tasks
from template import read_template
from vocabulary import N_MARKS, train_tokenizer

SEED = 20
CHECKPOINT_STEPS = 100
OTHER_SHARE, OTHER_WEIGHT = 0.2, 0.3  # of text outside answers: how much is scored, and how hard
N_COUNTED = 20_000  # paragraphs in which tokens are counted


@dataclass(frozen=True)
class Stage:
    """Rows get longer from stage to stage; in the last one the step size falls to nothing."""

    name: str
    n_steps: int
    lengths: tuple[int, ...]  # a batch has rows of one of these lengths
    factors: Factors  # of step sizes
    guides: float  # how much the guided heads count beside the text (guides.py)
    disguised: float = 0.0  # share of rows whose words are exchanged (rows.py)
    choice: float = 0.5  # how much the choice of sentences counts beside the other text
    batch_tokens: int = 4096
    prose_share: float = 0.05
    warmup: int = 0
    begins_at: float = 1.0  # share of the full step size at the first step
    ends_at: float = 1.0  # and at the last


COPYING = Factors(
    look=(0, 0, 2, 0, 1),
    carry=(0, 0, 1, 0, 1),
    ffn=(0, 0, 0, 0.4, 1),
    norms=(0, 0, 0, 0, 1),
)
END_WEIGHT = 3.0  # of the end of an answer
STAGES = (
    Stage("copy", 140, (256, 384), COPYING, 0.3, disguised=0.2, warmup=20),
    Stage("end", 600, (384, 512, 768, 1024), COPYING, 0.3, ends_at=0.0),
    Stage("last", 290, (384, 512, 768), COPYING, 0.5, begins_at=0.5, ends_at=0.0),
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
    return [f"user\n{write_prompt(prompts, r)}\nassistant\n" for r in requests] * 100


def prepare(data: Path, out: Path) -> Tasks:
    texts, prompts = read_texts(data), Prompts.read()
    tokenizer_path, rarity_path = out / "tokenizer.json", out / "rarity.json"
    if not tokenizer_path.exists():
        train_tokenizer(sample_paragraphs(texts, 60_000) + prompt_samples(prompts), tokenizer_path)
    if not rarity_path.exists():
        Rarity.count(sample_paragraphs(texts, 100_000)).save(rarity_path)
    tokenizer = Tokenizer.from_file(str(tokenizer_path))
    return Tasks(texts, tokenizer, Rarity.load(rarity_path), prompts)


def prepare_codes(tasks: Tasks, out: Path) -> dict[str, Tensor]:
    """What codes.Codes learns, codes [n_vocab, dims] and log_weights [n_vocab], and common
    [n_vocab], logarithms of how often tokens come."""
    path = out / "codes.pt"
    if not path.exists():
        paragraphs = [p.text for d in tasks.documents for p in d.paragraphs]
        order = np.random.default_rng(SEED).permutation(len(paragraphs))[:N_COUNTED]
        counts, n_having = count_tokens(tasks.tokenizer, [paragraphs[i] for i in order])
        rarity = (np.log((N_COUNTED + 1) / (n_having + 1)) - 1.5).clip(min=0)
        rarity = torch.from_numpy(rarity).float()
        state = train_codes(tasks, rarity, space_pairs(tasks.tokenizer), SEED).state_dict()
        state["common"] = torch.from_numpy(np.log(counts + 1)).float()
        torch.save(state, path)
    return torch.load(path, weights_only=True)


def new_model(tasks: Tasks, codes: dict[str, Tensor]) -> Llama:
    torch.manual_seed(SEED)
    model, generator = Llama(SHAPE), torch.Generator().manual_seed(SEED)
    writer = tasks.writer
    marks = Marks(writer.first_mark, writer.first_quote, writer.turn_start)
    seed_spaces(model, space_pairs(tasks.tokenizer), generator)
    seed_draft(model, marks, codes["codes"], codes["log_weights"], codes["common"], generator)
    return model


def token_weights(tasks: Tasks, codes: dict[str, Tensor]) -> Tensor:
    """How much each token says; nothing for marks."""
    weights = codes["log_weights"].exp() * codes["codes"].norm(dim=1)
    weights[tasks.writer.first_mark : tasks.writer.first_quote + N_MARKS] = 0
    return weights


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
        """The loss to descend; mean losses of answers, of copied tokens among them, of other
        text, of quote marks, and of each guide."""
        rng = np.random.default_rng((SEED, STAGES.index(stage), step))
        length = int(rng.choice(stage.lengths))
        rows = stage.batch_tokens // length
        batch = self.tasks.batch(rng, rows, length, stage.prose_share, stage.disguised)
        scored = batch.other & (rng.random(batch.other.shape) < OTHER_SHARE)
        device = self.model.embed.weight.device
        b = {name: torch.from_numpy(a).to(device) for name, a in vars(batch).items()}
        keep = (b["answer"] | torch.from_numpy(scored).to(device))[:, 1:]
        with fast_precision(device.type):
            hidden, heads = self.model.forward_with_heads(b["tokens"])
            logits = self.model.logits(hidden[:, :-1][keep])
        wanted, is_answer = b["tokens"][:, 1:][keep], b["answer"][:, 1:][keep]
        each = F.cross_entropy(logits.float(), wanted, reduction="none")
        weight = torch.where(wanted == self.tasks.writer.turn_end, END_WEIGHT, 1.0)
        weight = torch.where(is_answer, weight, OTHER_WEIGHT)
        loss = (each * weight).sum() / weight.sum()
        naming = self.naming_loss(hidden, b)
        generator = torch.Generator().manual_seed(int(rng.integers(1 << 40)))
        guided = self.guides.losses(heads, b, generator)
        with torch.no_grad():
            copying = is_answer & (b["copied_from"][:, 1:][keep] >= 0)
            kinds = (is_answer, copying, ~is_answer)
            means = [*(each[kind].mean() for kind in kinds), naming, *guided]
        loss = loss + stage.choice * naming + stage.guides * guided.sum()
        return loss, [m.item() for m in means]

    def naming_loss(self, hidden: Tensor, b: dict[str, Tensor]) -> Tensor:
        """Mean divergence of the quote marks that the network predicts from those wanted."""
        places = (b["named"] - 1).unsqueeze(-1).expand(-1, -1, hidden.shape[-1])
        logits = self.model.logits(hidden.gather(1, places)).float().log_softmax(-1)
        first = self.tasks.writer.first_quote
        logits = logits[..., first : first + N_MARKS]
        numbers = torch.arange(b["wanted"].shape[-1], device=hidden.device) % N_MARKS
        return divergence(logits, torch.zeros_like(logits).index_add(2, numbers, b["wanted"]))

    def train(self, stage: Stage, start: int) -> Iterator[tuple[int, list[float]]]:
        """One step at a time: steps done, mean losses."""
        for step in range(start, stage.n_steps):
            loss, means = self.losses(stage, step)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
            self.optimizer.step(rate_scale(stage, step), stage.factors)
            yield step + 1, means

    def run_stage(self, stage: Stage, out: Path) -> None:
        path = out / f"{stage.name}.pt"
        start = load(path, self.model, self.optimizer) if path.exists() else 0
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


def count_tokens(tokenizer: Tokenizer, texts: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """How often each token comes, and how many of the texts have it."""
    counts = np.zeros(tokenizer.get_vocab_size())
    n_having = counts.copy()
    for encoding in tokenizer.encode_batch(texts):
        tokens, times = np.unique(encoding.ids, return_counts=True)
        counts[tokens] += times
        n_having[tokens] += 1
    return counts, n_having


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
    parser.add_argument("--gguf", type=Path, default=TRAIN / "out/hearth-small.gguf")
    parser.add_argument("--plot", type=Path, default=TRAIN / "out/loss.svg")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(SEED)
    options.out.mkdir(parents=True, exist_ok=True)

    tasks = prepare(options.data, options.out)
    codes = prepare_codes(tasks, options.out)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = new_model(tasks, codes).to(device)
    guides = Guides(token_weights(tasks, codes).to(device))
    learner = Learner(tasks, model, Optimizer(model), guides)
    print(f"{model.n_parameters()} parameters on {device}", flush=True)
    for stage in STAGES:
        learner.run_stage(stage, options.out)
    torch.save({"model": model.cpu().state_dict()}, options.out / "final.pt")
    write_gguf(model, tasks.tokenizer, read_template(), options.gguf)
    write_plot(options.out / "progress.log", options.plot)


if __name__ == "__main__":
    main()
