"""From texts to train/out/hearth-small.gguf with one command.

    python train/recipe.py --data ../shared/data/corpora

Each stage leaves a checkpoint in train/out; run again, the recipe goes on after the
last one it finds. Batches depend on the seed, the stage and the step alone.
"""

import argparse
import os
from pathlib import Path

import numpy as np

# Threads that wait asleep: on a machine with other work the steps are otherwise many times slower.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("GOMP_SPINCOUNT", "0")

import torch
from tokenizers import Tokenizer
from torch import Tensor

from centrality import Rarity
from codes import train_codes
from corpus import Document, read_texts
from ending import fit_structure
from export import TRAIN
from gguf_file import write_gguf
from model import Llama
from prompts import Prompts, Request, write_prompt
from pointing import Pointing
from progress import Progress
from prose import fit_prose
from seeds import SHAPE, Marks, seed_draft
from tasks import Tasks
from template import read_template
from vocabulary import train_tokenizer

SEED = 20
N_COUNTED = 20_000  # paragraphs in which tokens are counted
STOPS = tuple(stop + after for stop in ".!?" for after in ("", '"', "'", ")", "]", "âĢĿ", "âĢĻ"))


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


def prepare_codes(tasks: Tasks, out: Path, progress: Progress) -> dict[str, Tensor]:
    """What codes.Codes learns, codes [n_vocab, dims] and log_weights [n_vocab], and common
    [n_vocab], logarithms of how often tokens come."""
    path = out / "codes.pt"
    if not path.exists():
        paragraphs = [p.text for d in tasks.documents for p in d.paragraphs]
        order = np.random.default_rng(SEED).permutation(len(paragraphs))[:N_COUNTED]
        counts, n_having = count_tokens(tasks.tokenizer, [paragraphs[i] for i in order])
        rarity = (np.log((N_COUNTED + 1) / (n_having + 1)) - 1.5).clip(min=0)
        rarity = torch.from_numpy(rarity).float()
        pairs = space_pairs(tasks.tokenizer)
        state = train_codes(tasks, rarity, pairs, SEED, progress).state_dict()
        state["common"] = torch.from_numpy(np.log(counts + 1)).float()
        torch.save(state, path)
    return torch.load(path, weights_only=True)


def new_model(tasks: Tasks, codes: dict[str, Tensor]) -> Llama:
    torch.manual_seed(SEED)
    model, generator = Llama(SHAPE), torch.Generator().manual_seed(SEED)
    writer, vocabulary = tasks.writer, tasks.tokenizer.get_vocab()
    tokens = sorted(vocabulary, key=vocabulary.get)
    marks = Marks(
        writer.first_mark,
        writer.first_quote,
        writer.turn_start,
        writer.newline,
        writer.dash,
        tuple(vocabulary[token] for token in ("Ġparagraph", "Ġbullet", "Ġoutline")),
        tasks.tokenizer.token_to_id("Ġwords"),
        tuple(tasks.tokenizer.token_to_id(str(digit)) for digit in range(10)),
        torch.tensor([float(token[0] == "Ġ" and len(token) > 1) for token in tokens]),
        tuple(i for t, i in vocabulary.items() if t in STOPS),
    )
    seed_draft(model, marks, codes["codes"], codes["log_weights"], codes["common"], generator)
    return model


def token_weights(tasks: Tasks, codes: dict[str, Tensor]) -> Tensor:
    """How much each token says; nothing for marks."""
    weights = codes["log_weights"].exp() * codes["codes"].norm(dim=1)
    weights[tasks.writer.first_mark : tasks.writer.first_quote + N_MARKS] = 0
    return weights


def load(path: Path, model: Llama) -> bool:
    if path.exists():
        model.load_state_dict(torch.load(path, weights_only=True)["model"])
    return path.exists()


def save(path: Path, model: Llama) -> None:
    part = path.with_suffix(".part")
    torch.save({"model": model.state_dict()}, part)
    part.replace(path)


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
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(SEED)
    options.out.mkdir(parents=True, exist_ok=True)

    tasks = prepare(options.data, options.out)
    progress = Progress(options.out / "progress.log")
    codes = prepare_codes(tasks, options.out, progress)
    model = new_model(tasks, codes)
    print(f"{model.n_parameters()} parameters", flush=True)
    if not load(options.out / "prose.pt", model):
        fit_prose(model, tasks, SEED, progress)
        save(options.out / "prose.pt", model)
    if not load(options.out / "pointing.pt", model):
        Pointing(model, tasks, SEED, progress).train()
        save(options.out / "pointing.pt", model)
    if not load(options.out / "final.pt", model):
        fit_structure(model, tasks, SEED, progress)
        save(options.out / "final.pt", model)
    write_gguf(model, tasks.tokenizer, read_template(), options.gguf)
    progress.plot(options.out / "loss.svg")


if __name__ == "__main__":
    main()
