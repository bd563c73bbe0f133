"""Which sentences of a passage are central: LexRank over TF-IDF, written out in numpy.

A sentence is central if many other sentences share its rare words. The ranks are
the stationary distribution of a walk over sentences (LexRank, arXiv:1109.2128,
with weighted edges); sentences are then taken in rank order, near repetitions
skipped, until the words asked for are reached, and given back in text order.
"""

import json
import math
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import numpy as np

_WORD = re.compile(r"[^\W\d_]+|\d+")
DAMPING = 0.15
REPETITION = 0.6  # cosine from which a sentence says what a chosen one says already
MIN_WORDS, MAX_WORDS = 6, 60


def words_of(text: str) -> list[str]:
    """Lower-case words with plural and verb endings cut roughly, so that forms meet."""
    found = (w.lower() for w in _WORD.findall(text))
    return [re.sub(r"(?<=\w{4})(ing|ed|es|s)$", "", w) for w in found]


class Rarity:
    """Inverse document frequency of words, counted over paragraphs."""

    def __init__(self, n_paragraphs: int, counts: dict[str, int]) -> None:
        self.n_paragraphs = n_paragraphs
        self.counts = counts

    @classmethod
    def count(cls, paragraphs: Iterable[str]) -> "Rarity":
        n_paragraphs, counts = 0, Counter()
        for paragraph in paragraphs:
            n_paragraphs += 1
            counts.update(set(words_of(paragraph)))
        return cls(n_paragraphs, {w: n for w, n in counts.items() if n > 1})

    @classmethod
    def load(cls, path: Path) -> "Rarity":
        stored = json.loads(path.read_text())
        return cls(stored["n_paragraphs"], stored["counts"])

    def save(self, path: Path) -> None:
        path.write_text(json.dumps({"n_paragraphs": self.n_paragraphs, "counts": self.counts}))

    def of(self, word: str) -> float:
        return math.log((self.n_paragraphs + 1) / (self.counts.get(word, 0) + 1))


def sentence_vectors(sentences: list[str], rarity: Rarity) -> np.ndarray:
    """[n_sentences, n_words], every row of length one (or zero if it has no words)."""
    counts = [Counter(words_of(s)) for s in sentences]
    columns = {w: i for i, w in enumerate(sorted(set().union(*counts)))}
    vectors = np.zeros((len(sentences), max(len(columns), 1)))
    for row, counter in enumerate(counts):
        for word, n in counter.items():
            vectors[row, columns[word]] = n * rarity.of(word)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(lengths > 0, lengths, 1)


def central_sentences(sentences: list[str], n_words: int, rarity: Rarity) -> list[int]:
    """Indices, in text order, of central sentences of about n_words words; at least one."""
    return sorted(ranked_sentences(sentences, n_words, rarity))


def ranked_sentences(sentences: list[str], n_words: int, rarity: Rarity) -> list[int]:
    """The same, the most central first."""
    vectors = sentence_vectors(sentences, rarity)
    cosine = vectors @ vectors.T
    edges = cosine + 1e-9
    walk = edges / edges.sum(axis=1, keepdims=True)
    rank = np.full(len(sentences), 1 / len(sentences))
    for _ in range(30):
        rank = DAMPING / len(sentences) + (1 - DAMPING) * rank @ walk
    lengths = [len(s.split()) for s in sentences]
    chosen: list[int] = []
    total = 0
    for i in np.argsort(-rank, kind="stable"):
        if not MIN_WORDS <= lengths[i] <= MAX_WORDS:
            continue
        if any(cosine[i, j] > REPETITION for j in chosen):
            continue
        if chosen and total + lengths[i] / 2 > n_words:
            break
        chosen.append(int(i))
        total += lengths[i]
        if total >= n_words:
            break
    return chosen
