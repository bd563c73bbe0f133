"""A small language model of plain prose, to measure quantization with: one command.

    python train/plain.py --data ../shared/data/corpora --out train/out/plain

The model that ships is a constructed network, and a random one shows nothing; this one is
trained from chance on nothing but the next token, in float32, and kept in F16. --out gets
plain.gguf, and two texts that no training text contains: calibration.txt and held-out.txt,
every other document of the test split each, mixed. Seeds are fixed; a step takes 4.3 s of CPU on
one thread (Zen 3, AVX2, busy with other work). Run again, the command goes on after its last checkpoint; every step depends on the
seed and its number alone, and fewer --steps are the same ones with an earlier end.
"""

import argparse
import math
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from tokenizers import Tokenizer
from torch import Tensor

from corpus import SOURCE_WEIGHTS, Document, read_held_out, read_texts
from gguf_file import write_gguf
from model import Llama, Shape
from optimizer import Optimizer
from vocabulary import END_OF_TEXT, TURN_END, TURN_START, train_tokenizer

SEED = 40
SHAPE = Shape(
    n_vocab=4096, n_embd=256, n_ff=768, n_layers=8, n_heads=4, n_kv_heads=2, n_ctx=1024, tied=False
)
CTX, ROWS, N_ROWS = 512, 6, 9000  # tokens of a row; rows of a step; rows there are
WARM_UP, COOL_DOWN = 20, 0.4  # steps; the share of them at the end in which rates fall
EVERY = 50  # steps between checkpoints


def text_of(document: Document) -> str:
    return "\n\n".join(p.text for p in document.paragraphs)


def chosen(texts: dict[str, list[Document]]) -> list[Document]:
    """Documents in a fixed random order, of books only a part."""
    random, documents = np.random.default_rng(SEED), []
    for source, of_source in texts.items():
        share = SOURCE_WEIGHTS.get(source, 1.0)
        documents += [d for d in of_source if random.random() < share]
    return [documents[i] for i in random.permutation(len(documents))]


def cut(ids: list[int], start: int) -> Tensor:
    """[rows, CTX], each begun as every text is."""
    n = len(ids) // (CTX - 1)
    rows = torch.tensor(ids[: n * (CTX - 1)]).view(n, CTX - 1)
    return torch.cat((torch.full((n, 1), start), rows), dim=1)


def read_rows(documents: list[Document], tokenizer: Tokenizer) -> Tensor:
    """[rows, CTX]: what documents say, in a fixed random order."""
    ids: list[int] = []
    start, end = tokenizer.token_to_id(TURN_START), tokenizer.token_to_id(END_OF_TEXT)
    longest = 40_000  # characters of one document: no single book fills the rows
    for document in documents:
        ids += tokenizer.encode(text_of(document)[:longest]).ids + [end]
        if len(ids) >= N_ROWS * (CTX - 1):
            break
    rows = cut(ids[: N_ROWS * (CTX - 1)], start)
    return rows[torch.from_numpy(np.random.default_rng(SEED).permutation(len(rows)))]


def loss_of(model: Llama, rows: Tensor) -> Tensor:
    logits = model.logits(model(rows[:, :-1]))
    return F.cross_entropy(logits.flatten(0, 1), rows[:, 1:].flatten())


def rate_at(step: int, n_steps: int) -> float:
    return min(1.0, (step + 1) / WARM_UP, (n_steps - step) / (COOL_DOWN * n_steps))


@torch.no_grad()
def held_out_loss(model: Llama, text: str, tokenizer: Tokenizer) -> tuple[float, float]:
    """Nats a token, and perplexity a byte."""
    ids = tokenizer.encode(text).ids
    rows = cut(ids, tokenizer.token_to_id(TURN_START))
    n_tokens = len(rows) * (CTX - 1)
    total = sum(float(loss_of(model, part)) * len(part) for part in rows.split(ROWS)) * (CTX - 1)
    n_bytes = len(tokenizer.decode(ids[:n_tokens]).encode())
    return total / n_tokens, math.exp(total / n_bytes)


def train(model: Llama, rows: Tensor, n_steps: int, checkpoint: Path, report) -> None:
    optimizer, first, begun = Optimizer(model), 0, time.process_time()
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True)
        model.load_state_dict(state["model"])
        optimizer.load(state["optimizer"])
        first = state["step"]
    for step in range(first, n_steps):
        loss = loss_of(model, rows[step * ROWS : (step + 1) * ROWS])
        loss.backward()
        optimizer.step(rate_at(step, n_steps))
        if step % 10 == 0:
            seconds = time.process_time() - begun
            print(f"{step}/{n_steps} loss {float(loss.detach()):.4f} {seconds:.0f} s", flush=True)
        if step % EVERY == EVERY - 1 and step < (1 - COOL_DOWN) * n_steps:
            state = {"model": model.state_dict(), "optimizer": optimizer.state(), "step": step + 1}
            torch.save(state, checkpoint)
        if step % 100 == 99 or step == n_steps - 1:
            report(step + 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=700)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(SEED)
    torch.set_num_threads(options.threads)
    held_out = [text_of(d) for d in read_held_out(options.data)]
    held_out = [held_out[i] for i in np.random.default_rng(SEED).permutation(len(held_out))]
    for name, texts in ("calibration", held_out[0::2]), ("held-out", held_out[1::2]):
        (options.out / f"{name}.txt").write_text("\n\n".join(texts), encoding="utf-8")
    documents = chosen(read_texts(options.data))
    sample = (text_of(d)[:20_000] for d in documents[:1500])
    tokenizer = train_tokenizer(
        sample, options.out / "tokenizer.json", SHAPE.n_vocab, [END_OF_TEXT, TURN_START, TURN_END]
    )
    rows = read_rows(documents, tokenizer)
    model = Llama(SHAPE)
    print(f"{model.n_parameters()} parameters, {rows.numel()} tokens", flush=True)

    def report(step: int) -> None:
        loss, of_byte = held_out_loss(model, "\n\n".join(held_out[1::2])[:80_000], tokenizer)
        print(f"after {step}: held out {loss:.4f} nats a token, {of_byte:.4f} perplexity a byte", flush=True)
        write_gguf(model, tokenizer, None, options.out / "plain.gguf", "plain", "F16")

    train(model, rows, options.steps, options.out / "checkpoint.pt", report)


if __name__ == "__main__":
    main()
