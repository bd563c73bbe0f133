"""Measures the GGUF file on documents that no training text contains, and prints a table.

    python train/evaluate.py --data ../shared/data/corpora

Runs the file itself (greedy, through llama-cpp-python), so that what is measured is
what ships. The target of ROUGE is what the centrality algorithm picks; the lead and
random sentences of the same length are the baselines. ROUGE against the authors'
own summaries shows what the algorithm is worth as a target.
"""

import argparse
import json
import math
import re
import time
from collections import Counter
from pathlib import Path

import numpy as np
from llama_cpp import Llama

from centrality import Rarity, central_sentences
from corpus import parse_document, split_sentences
from export import TRAIN
from prompts import Prompts, Request, write_chat, write_prompt
from tasks import Passage, make_passage, write_answer
from vocabulary import TURN_END

MODES = (("paragraph", 100), ("bullets", 60), ("paragraph", 40))
PASSAGE_BYTES = 2300
_WORD = re.compile(r"\w+")
_NAME_OR_NUMBER = re.compile(r"\b(?:[A-Z]\w+|\d[\d.,]*\d|\d)")


def f_measure(hits: float, n_found: int, n_wanted: int) -> float:
    return 2 * hits / (n_found + n_wanted) if n_found and n_wanted else 0.0


def rouge_n(found: list[str], wanted: list[str], n: int) -> float:
    a = Counter(zip(*(found[i:] for i in range(n)), strict=False))
    b = Counter(zip(*(wanted[i:] for i in range(n)), strict=False))
    return f_measure((a & b).total(), a.total(), b.total())


def rouge_l(found: list[str], wanted: list[str]) -> float:
    row = [0] * (len(wanted) + 1)
    for word in found:
        diagonal = 0
        for j, other in enumerate(wanted, 1):
            diagonal, row[j] = row[j], diagonal + 1 if word == other else max(row[j], row[j - 1])
    return f_measure(row[-1], len(found), len(wanted))


def rouge(found: str, wanted: str) -> np.ndarray:
    a, b = _WORD.findall(found.lower()), _WORD.findall(wanted.lower())
    return 100 * np.array([rouge_n(a, b, 1), rouge_n(a, b, 2), rouge_l(a, b)])


def held_out(data: Path, limit: int) -> list[tuple[Passage, str]]:
    """Openings of documents of the test split, and the summaries by their authors."""
    found, seen = [], set()
    for path in sorted((data / "pairs").glob("*.test.jsonl")):
        for line in path.read_text(encoding="utf-8").splitlines():
            pair = json.loads(line)
            document = parse_document(path.stem, pair["document"])
            passage = make_passage(list(document.paragraphs), PASSAGE_BYTES, pair["title"], "")
            if passage.text not in seen and len(passage.sentences) >= 8:
                seen.add(passage.text)
                found.append((passage, pair["summary"]))
    order = np.random.default_rng(1).permutation(len(found))[:limit]
    return [found[i] for i in sorted(order)]


class Reader:
    """The GGUF file, run greedily."""

    def __init__(self, path: Path, threads: int) -> None:
        self.llama = Llama(str(path), n_ctx=1024, n_threads=threads, verbose=False, logits_all=True)
        self.prompts = Prompts.read()
        self.n_read = self.n_cut = 0
        self.seconds = 0.0

    def answer(self, request: Request) -> str:
        text = write_chat(write_prompt(self.prompts, request))
        tokens = self.llama.tokenize(text.encode(), add_bos=False, special=True)
        began = time.monotonic()
        out = self.llama.create_completion(
            tokens, max_tokens=1024 - len(tokens), temperature=0, stop=[TURN_END]
        )["choices"][0]
        self.seconds += time.monotonic() - began
        self.n_read += len(tokens)
        self.n_cut += out["finish_reason"] == "length"
        return out["text"].strip()

    def bits(self, text: str) -> tuple[float, int]:
        """Bits that the model needs for the text, and how many tokens it is."""
        tokens = self.llama.tokenize(text.encode(), add_bos=False)[:1024]
        self.llama.reset()
        self.llama.eval(tokens)
        logits = self.llama.scores[: len(tokens) - 1].astype(np.float64)
        top = logits.max(axis=1, keepdims=True)
        total = np.log(np.exp(logits - top).sum(axis=1)) + top[:, 0]
        chosen = logits[np.arange(len(tokens) - 1), tokens[1:]]
        return float((total - chosen).sum() / math.log(2)), len(tokens) - 1


def lead(passage: Passage, words: int) -> list[int]:
    chosen, total = [], 0
    for i, sentence in enumerate(passage.sentences):
        length = len(sentence.split())
        if chosen and total + length / 2 > words:
            break
        chosen.append(i)
        total += length
    return chosen


def random_pick(passage: Passage, words: int, rng: np.random.Generator) -> list[int]:
    order = rng.permutation(len(passage.sentences))
    shuffled = Passage("", [passage.sentences[i] for i in order], [], "", "")
    return sorted(int(order[i]) for i in lead(shuffled, words))


def written(passage: Passage, chosen: list[int], style: str) -> str:
    return write_answer([passage.sentences[i] for i in chosen], [""] * len(chosen), style)


def answer_sentences(answer: str) -> list[str]:
    lines = [line.removeprefix("- ") for line in answer.split("\n") if line.strip()]
    return [s for line in lines for s in split_sentences(line)]


def invented(answer: str, passage: Passage) -> tuple[int, int]:
    """Names and numbers of the answer that the passage lacks, and how many it has in all."""
    known = set(_NAME_OR_NUMBER.findall(passage.text))
    found = _NAME_OR_NUMBER.findall(answer)
    return sum(x not in known for x in found), len(found)


def measure_mode(
    reader: Reader, documents: list[tuple[Passage, str]], style: str, words: int, rarity: Rarity
) -> None:
    rng = np.random.default_rng(7)
    scores: dict[str, list[np.ndarray]] = {k: [] for k in ("model", "lead", "random", "target")}
    authors: dict[str, list[np.ndarray]] = {k: [] for k in scores}
    n_exact = n_sentences = n_invented = n_names = n_words = n_repeated = 0
    for passage, by_author in documents:
        answer = reader.answer(Request(words, passage.text, style=style, title=passage.title))
        chosen = central_sentences(passage.sentences, words, rarity)
        target = written(passage, chosen, style)
        outputs = {
            "model": answer,
            "lead": written(passage, lead(passage, words), style),
            "random": written(passage, random_pick(passage, words, rng), style),
            "target": target,
        }
        for name, output in outputs.items():
            scores[name].append(rouge(output, target))
            authors[name].append(rouge(output, by_author))
        sentences = answer_sentences(answer)
        n_exact += sum(s in passage.text for s in sentences)
        n_repeated += len(sentences) - len(set(sentences))
        n_sentences += len(sentences)
        wrong, names = invented(answer, passage)
        n_invented, n_names = n_invented + wrong, n_names + names
        n_words += len(answer.split())
    print(f"\n{style}, {words} words, {len(documents)} documents")
    print("          against the target     against the author")
    for name in scores:
        a, b = np.mean(scores[name], axis=0), np.mean(authors[name], axis=0)
        cells = "  ".join(f"{v:5.1f}" for v in (*a, *b))
        print(f"{name:8}  {cells}")
    print(f"sentences found in the source: {100 * n_exact / n_sentences:.1f} % of {n_sentences}")
    print(f"sentences written twice: {100 * n_repeated / n_sentences:.1f} %")
    print(f"names and numbers not in the source: {100 * n_invented / max(n_names, 1):.2f} %")
    print(f"words written: {n_words / len(documents):.0f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with pairs/*.test.jsonl")
    parser.add_argument("--gguf", type=Path, default=TRAIN.parent / "models/hearth-small.gguf")
    parser.add_argument("--rarity", type=Path, default=TRAIN / "out/rarity.json")
    parser.add_argument("--limit", type=int, default=100, help="documents")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    documents = held_out(options.data, options.limit)
    reader = Reader(options.gguf, options.threads)
    rarity = Rarity.load(options.rarity)
    for style, words in MODES:
        measure_mode(reader, documents, style, words, rarity)
    print(f"\nanswers cut by the context: {reader.n_cut}; read and written in {reader.seconds:.0f} s")
    bits = [(*reader.bits(p.text), len(p.text.encode())) for p, _ in documents]
    total, tokens, n_bytes = np.sum(bits, axis=0)
    print(f"held-out prose: perplexity {2 ** (total / tokens):.1f} per token,", end=" ")
    print(f"{total / n_bytes:.3f} bits per byte")


if __name__ == "__main__":
    main()
