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
from dataclasses import dataclass
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


@dataclass
class Ranking:
    scores: np.ndarray  # [n]: how central, mean 0 and deviation 1; -inf for those too short or long
    cosine: np.ndarray  # [n, n]: how alike they are
    lengths: list[int]  # in words

    @classmethod
    def of(cls, sentences: list[str], rarity: Rarity) -> "Ranking":
        vectors = sentence_vectors(sentences, rarity)
        cosine = vectors @ vectors.T
        edges = cosine + 1e-9
        walk = edges / edges.sum(axis=1, keepdims=True)
        rank = np.full(len(sentences), 1 / max(len(sentences), 1))
        for _ in range(30):
            rank = DAMPING / len(sentences) + (1 - DAMPING) * rank @ walk
        lengths = [len(s.split()) for s in sentences]
        scores = (rank - rank.mean()) / (rank.std() + 1e-9) if len(sentences) else rank
        good = np.array([MIN_WORDS <= n <= MAX_WORDS for n in lengths], dtype=bool)
        return cls(np.where(good, scores, -np.inf), cosine, lengths)

    def open_scores(self, chosen: list[int]) -> np.ndarray:
        """Scores; -inf for what was chosen, and for what says the same."""
        said = self.cosine[:, chosen].max(axis=1, initial=0) > REPETITION
        said[chosen] = True
        return np.where(said, -np.inf, self.scores)

    def has_room(self, chosen: list[int], more: int, n_words: int) -> bool:
        total = sum(self.lengths[i] for i in chosen)
        return not chosen or (total < n_words and total + self.lengths[more] / 2 <= n_words)

    def next_one(self, chosen: list[int], n_words: int) -> int | None:
        """The most central one that says something new; None if it is too long for what is left."""
        scores = self.open_scores(chosen)
        if not np.isfinite(scores).any():
            return None
        best = int(np.argmax(scores))
        return best if self.has_room(chosen, best, n_words) else None

    def take(self, n_words: int) -> list[int]:
        """Of about n_words words together, the most central first; at least one if there is any."""
        chosen: list[int] = []
        while (i := self.next_one(chosen, n_words)) is not None:
            chosen.append(i)
        return chosen


def central_sentences(sentences: list[str], n_words: int, rarity: Rarity) -> list[int]:
    """Indices, in text order, of central sentences of about n_words words; at least one."""
    return sorted(Ranking.of(sentences, rarity).take(n_words))
