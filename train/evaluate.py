"""Measures the GGUF file on documents that no training text contains, and prints a table.

    make && python train/evaluate.py --data ../shared/data/corpora

Runs the file itself through `hearth summarize`, so that what is measured is what ships.
The target of ROUGE is what the centrality algorithm picks; baselines are the
opening (of the same length, and of three sentences) and random sentences. ROUGE against
the authors' own summaries shows what the algorithm is worth as a target. At the end whole
documents go through `hearth summarize`, parts and merges included.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from centrality import Rarity
from corpus import parse_document
from measures import Comparison, held_out, long_documents
from tasks import Passage, make_passage

ROOT = Path(__file__).resolve().parents[1]
MODES = (("paragraph", 100), ("bullets", 60), ("paragraph", 40))


class Reader:
    """The GGUF file, run greedily by `hearth`."""

    def __init__(self, hearth: Path, gguf: Path) -> None:
        self.hearth, self.gguf = str(hearth), str(gguf)
        self.n_answers = self.n_cut = self.n_mended = 0

    def _run(self, *arguments: str, text: str | None = None, may_fail: bool = False) -> str:
        done = subprocess.run(
            [self.hearth, *arguments], input=text, capture_output=True, text=True, check=False
        )
        if not done.stdout and not may_fail:
            sys.exit(f"hearth {arguments[0]}: {done.stderr}")
        return done.stdout

    def summary(self, document: str, words: int, style: str) -> dict:
        options = ("-m", self.gguf, "--words", str(words), "--style", style, "--json")
        output = self._run("summarize", "-", *options, text=document, may_fail=True)
        found = json.loads(output) if output else {"summary": ""}
        self.n_answers += 1
        self.n_mended += found.get("mended", 0)
        self.n_cut += not output or bool(found["coverage"]["skipped"])
        return found

    def perplexity(self, text: str) -> tuple[float, float]:
        """Per token, and the bits that a byte of the text takes by it."""
        with tempfile.NamedTemporaryFile("w", suffix=".txt", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            found = json.loads(self._run("perplexity", self.gguf, file.name, "--json"))
        tokens = json.loads(self._run("tokenize", self.gguf, "-", "--json", text=text))
        per_token = float(np.log2(found["perplexity"]))
        return found["perplexity"], per_token * len(tokens) / len(text.encode())


def measure_mode(
    reader: Reader, documents: list[tuple[Passage, str]], style: str, words: int, rarity: Rarity
) -> None:
    comparison = Comparison(style, words, rarity)
    for passage, by_author in documents:
        answer = reader.summary(passage.text, words, style)["summary"]
        comparison.add(passage, by_author, answer)
    comparison.show(style)


def measure_whole(reader: Reader, documents: list[tuple[str, str]], rarity: Rarity) -> None:
    """Documents of several parts, through plan, parts and merges of `hearth summarize`."""
    comparison = Comparison("paragraph", 150, rarity)
    for text, by_author in documents:
        passage = make_passage(list(parse_document("", text).paragraphs), len(text), "", "")
        found = reader.summary(text, comparison.words, "paragraph")
        comparison.add(passage, by_author, found["summary"])
    comparison.show("whole documents")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with pairs/*.test.jsonl")
    parser.add_argument("--gguf", type=Path, default=ROOT / "train/out/hearth-small.gguf")
    parser.add_argument("--hearth", type=Path, default=ROOT / "build/release/hearth")
    parser.add_argument("--rarity", type=Path, default=ROOT / "train/out/rarity.json")
    parser.add_argument("--limit", type=int, default=100, help="documents")
    parser.add_argument("--long", type=int, default=20, help="whole documents")
    options = parser.parse_args()
    documents = held_out(options.data, options.limit)
    reader = Reader(options.hearth, options.gguf)
    rarity = Rarity.load(options.rarity)
    for style, words in MODES:
        measure_mode(reader, documents, style, words, rarity)
    if options.long:
        measure_whole(reader, long_documents(options.data, options.long), rarity)
    print(f"\nsummaries with a gap that was told: {reader.n_cut} of {reader.n_answers}")
    print(f"sentences that slipped while they quoted, and were mended: {reader.n_mended}")
    text = "\n\n".join(passage.text for passage, _ in documents)
    perplexity, bits = reader.perplexity(text)
    print(f"\nheld-out prose: perplexity {perplexity:.1f} per token, {bits:.3f} bits per byte")


if __name__ == "__main__":
    main()
