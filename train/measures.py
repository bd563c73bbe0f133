"""Measures of summaries: ROUGE, copied sentences, invented names; and the documents to measure on."""

import json
import re
from collections import Counter
from pathlib import Path

import numpy as np

from corpus import parse_document, split_sentences
from centrality import Rarity, central_sentences
from tasks import Passage, make_passage, write_answer

PASSAGE_BYTES = 2300
LONG_BYTES = 6000  # a document from this size on takes several parts
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
    shuffled = Passage("", [passage.sentences[i] for i in order])
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


def long_documents(data: Path, limit: int) -> list[tuple[str, str]]:
    found = {}
    for path in sorted((data / "pairs").glob("*.test.jsonl")):
        for line in path.read_text(encoding="utf-8").splitlines():
            pair = json.loads(line)
            if len(pair["document"]) >= LONG_BYTES:
                found[pair["document"]] = pair["summary"]
    order = np.random.default_rng(2).permutation(len(found))[:limit]
    return [list(found.items())[i] for i in sorted(order)]


class Comparison:
    """The model's summaries beside the target, openings and random sentences, one document after the other."""

    def __init__(self, style: str, words: int, rarity: Rarity) -> None:
        self.style, self.words, self.rarity = style, words, rarity
        self.rng, self.total, self.n = np.random.default_rng(7), Counter(), 0
        self.scores: dict[str, list[np.ndarray]] = {}

    def add(self, passage: Passage, by_author: str, answer: str) -> None:
        self.n += 1
        self.total.update(count(answer, passage))
        picks = {
            "lead": lead(passage, self.words),
            "lead-3": [0, 1, 2],
            "random": random_pick(passage, self.words, self.rng),
            "target": central_sentences(passage.sentences, self.words, self.rarity),
        }
        outputs = {name: written(passage, chosen, self.style) for name, chosen in picks.items()}
        for name, output in {"model": answer, **outputs}.items():
            row = np.concatenate((rouge(output, outputs["target"]), rouge(output, by_author)))
            self.scores.setdefault(name, []).append(row)

    def show(self, kind: str) -> None:
        print(f"\n{kind}, {self.words} words, {self.n} documents")
        report(self.scores, self.total, self.n)
