"""Pairs mined from corpora by an embedding model: what it finds alike, and how sure one can be.

A cosine is no label: opposites and other numbers have a high one. So neighbours that it finds are
labelled only where it is clear what they are; the grades between are left to pairs that people
labelled.
"""

import random
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edge_embed import Embedder
from edge_embed.tasks.neighbours import nearest
from edge_embed.tasks.vectors import Rows
from edge_embed_conversion.pairs.lexicon import words
from edge_embed_conversion.pairs.wordnet import WordNet

__all__ = ["mine"]

Row = tuple[str, str, float, str]

_NEIGHBOURS = 6
_SAME, _OTHER = 0.86, 0.5
"""Cosines from which neighbours count as saying the same, and below which they do not."""
_SHARED_WORDS = 0.6
"""Pairs that share more of their words are left out: rules make enough of those."""
_WORD = re.compile(r"[a-z']+|\d+")
_NEGATIONS = frozenset(
    words(
        "no not never none nobody nothing without neither nor cannot don't doesn't didn't can't "
        "won't isn't aren't wasn't weren't couldn't shouldn't wouldn't haven't hasn't hadn't"
    )
)


@dataclass(frozen=True)
class _Sentence:
    text: str
    words: frozenset[str]
    numbers: tuple[str, ...]
    negated: bool

    @classmethod
    def read(cls, text: str) -> "_Sentence":
        found = _WORD.findall(text.lower().replace("’", "'"))
        numbers = tuple(sorted(word for word in found if word.isdigit()))
        return cls(text, frozenset(found), numbers, bool(_NEGATIONS & set(found)))


def mine(
    name: str, texts: Sequence[str], model: Embedder, net: WordNet, most: int, rng: random.Random
) -> list[Row]:
    """Return at most ``most`` pairs of ``texts``: half that say the same, half that do not."""
    vectors = model.encode(list(texts), normalize=True, truncation="ignore").astype(np.float32)
    sentences = [_Sentence.read(text) for text in texts]
    same: list[Row] = []
    other: list[Row] = []
    for i, j, cosine in _neighbours(vectors):
        one, two = sentences[i], sentences[j]
        label = _label(one, two, cosine, net)
        if label is None:
            continue
        (same if label > 0.5 else other).append((one.text, two.text, label, f"mined:{name}"))
    for _ in range(most // 8):
        i, j = rng.sample(range(len(texts)), 2)
        if float(vectors[i] @ vectors[j]) < _OTHER:
            other.append((texts[i], texts[j], 0.0, f"mined:{name}"))
    rng.shuffle(same)
    rng.shuffle(other)
    kept = same[: most // 2] + other[: most // 2]
    sys.stderr.write(f"mined {name}: {len(same)} the same, {len(other)} not; {len(kept)} kept\n")
    return kept


def _neighbours(vectors: npt.NDArray[np.float32]) -> Iterator[tuple[int, int, float]]:
    """Yield each row with its nearest ones, each pair once."""
    found = nearest(Rows(vectors), _NEIGHBOURS, exact=True)
    seen: set[tuple[int, int]] = set()
    for row, (columns, scores) in enumerate(zip(found.rows.tolist(), found.scores, strict=True)):
        for column, score in zip(columns, scores.tolist(), strict=True):
            pair = (min(row, column), max(row, column))
            if pair not in seen:
                seen.add(pair)
                yield *pair, score


def _label(one: _Sentence, two: _Sentence, cosine: float, net: WordNet) -> float | None:
    """Return how likely the two say the same; None where it cannot be told from here."""
    if cosine < _OTHER:
        return 0.0
    shared = len(one.words & two.words) / len(one.words | two.words)
    if shared > _SHARED_WORDS or cosine < _SAME:
        return None
    if one.numbers != two.numbers:
        return 0.05
    if one.negated != two.negated or _opposed(one, two, net):
        return None
    return 0.95


def _opposed(one: _Sentence, two: _Sentence, net: WordNet) -> bool:
    """Say whether a word of one stands against its opposite in the other."""
    yours = two.words - one.words
    for word in one.words - two.words:
        found = net.analyse(word)
        if found is not None and yours & set(net.antonyms(found[0], found[1])):
            return True
    return False
