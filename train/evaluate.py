"""Measures the GGUF file on documents that no training text contains, and prints a table.

    python train/evaluate.py --data ../shared/data/corpora

Runs the file itself (greedy, through llama-cpp-python), so that what is measured is
what ships. The target of ROUGE is what the centrality algorithm picks; baselines are the
opening (of the same length, and of three sentences) and random sentences. ROUGE against
the authors' own summaries shows what the algorithm is worth as a target.
"""

import argparse
import json
import math
import re
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
N_CTX = 1024
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
        options = {"n_ctx": N_CTX, "n_threads": threads, "verbose": False}
        self.llama = Llama(str(path), **options)
        self.scorer = Llama(str(path), logits_all=True, **options)
        self.end = self.llama.tokenize(TURN_END.encode(), add_bos=False, special=True)[0]
        self.prompts = Prompts.read()
        self.n_answers = self.n_cut = 0

    def answer(self, request: Request) -> str:
        text = write_chat(write_prompt(self.prompts, request))
        tokens = self.llama.tokenize(text.encode(), add_bos=False, special=True)
        answer: list[int] = []
        for token in self.llama.generate(tokens, temp=0.0, top_k=1, repeat_penalty=1.0):
            if token == self.end or len(tokens) + len(answer) == N_CTX - 1:
                self.n_cut += token != self.end
                break
            answer.append(token)
        self.n_answers += 1
        return self.llama.detokenize(answer).decode(errors="replace").strip()

    def bits(self, text: str) -> tuple[float, int]:
        """Bits that the model needs for the text, and how many tokens it is."""
        tokens = self.scorer.tokenize(text.encode(), add_bos=False)[:N_CTX]
        self.scorer.reset()
        self.scorer.eval(tokens)
        logits = self.scorer.scores[: len(tokens) - 1].astype(np.float64)
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


def copied(answer: str, passage: Passage) -> tuple[int, int]:
    """Runs of four words of the answer that the passage has too, and how many runs there are."""
    found, known = _WORD.findall(answer), _WORD.findall(passage.text)
    known_runs = set(zip(*(known[i:] for i in range(4)), strict=False))
    runs = list(zip(*(found[i:] for i in range(4)), strict=False))
    return sum(run in known_runs for run in runs), len(runs)


def answer_sentences(answer: str) -> list[str]:
    lines = [line.removeprefix("- ") for line in answer.split("\n") if line.strip()]
    return [s for line in lines for s in split_sentences(line)]


def invented(answer: str, passage: Passage) -> tuple[int, int]:
    """Names and numbers of the answer that the passage lacks, and how many it has in all."""
    known = set(_NAME_OR_NUMBER.findall(passage.text))
    found = _NAME_OR_NUMBER.findall(answer)
    return sum(x not in known for x in found), len(found)


def count(answer: str, passage: Passage) -> Counter:
    """What an answer consists of, to be summed over documents."""
    sentences = answer_sentences(answer)
    n_invented, n_names = invented(answer, passage)
    n_copied, n_runs = copied(answer, passage)
    return Counter(
        sentences=len(sentences),
        exact=sum(s in passage.text for s in sentences),
        repeated=len(sentences) - len(set(sentences)),
        names=n_names,
        invented=n_invented,
        runs=n_runs,
        copied=n_copied,
        words=len(answer.split()),
    )


def report(scores: dict[str, list[np.ndarray]], total: Counter, n_documents: int) -> None:
    def share(part: str, whole: str) -> str:
        return f"{100 * total[part] / max(total[whole], 1):.1f} % of {total[whole]}"

    print("          against the target     against the author")
    for name, rows in scores.items():
        print(f"{name:8}  " + "  ".join(f"{v:5.1f}" for v in np.mean(rows, axis=0)))
    print("sentences found in the source:", share("exact", "sentences"))
    print("runs of four words found in the source:", share("copied", "runs"))
    print("sentences written twice:", share("repeated", "sentences"))
    print("names and numbers not in the source:", share("invented", "names"))
    print(f"words written: {total['words'] / n_documents:.0f}", flush=True)


def measure_mode(
    reader: Reader, documents: list[tuple[Passage, str]], style: str, words: int, rarity: Rarity
) -> None:
    rng, total = np.random.default_rng(7), Counter()
    scores: dict[str, list[np.ndarray]] = {}
    for passage, by_author in documents:
        answer = reader.answer(Request(words, passage.text, style=style, title=passage.title))
        total.update(count(answer, passage))
        picks = {
            "lead": lead(passage, words),
            "lead-3": [0, 1, 2],
            "random": random_pick(passage, words, rng),
            "target": central_sentences(passage.sentences, words, rarity),
        }
        outputs = {name: written(passage, chosen, style) for name, chosen in picks.items()}
        for name, output in {"model": answer, **outputs}.items():
            row = np.concatenate((rouge(output, outputs["target"]), rouge(output, by_author)))
            scores.setdefault(name, []).append(row)
    print(f"\n{style}, {words} words, {len(documents)} documents")
    report(scores, total, len(documents))


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
    print(f"\nanswers that did not end: {reader.n_cut} of {reader.n_answers}")
    bits = [(*reader.bits(p.text), len(p.text.encode())) for p, _ in documents]
    total, tokens, n_bytes = np.sum(bits, axis=0)
    print(f"held-out prose: perplexity {2 ** (total / tokens):.1f} per token,", end=" ")
    print(f"{total / n_bytes:.3f} bits per byte")


if __name__ == "__main__":
    main()
