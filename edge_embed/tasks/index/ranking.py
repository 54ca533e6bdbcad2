"""Order what was found: the best of several parts, and two rankings fused into one."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_embed.tasks.index.passages import passage_of
from edge_embed.tasks.vectors import Floats

__all__ = [
    "FUSED",
    "MEANING",
    "RRF",
    "Hit",
    "Ranking",
    "Rerank",
    "best_of",
    "fuse",
    "reranked",
]

Numbers = npt.NDArray[np.int64]
Ranking = list[tuple[int, float]]
"""Entries and their cosines, best first."""

Rerank = Callable[[list[tuple[str, str]]], Floats]
"""From pairs of query and text to a score each, float (pairs,)."""

FUSED = 100
"""How many places of each ranking are fused."""
RRF = 60
"""Added to each rank: how little the first places weigh more than the next."""
MEANING = 0.5
"""Weight of the ranking by vectors; the rest is that of the ranking by words."""


@dataclass(frozen=True)
class Hit:
    """A text that was found."""

    id: str
    text: str
    metadata: Mapping[str, Any]
    score: float
    """Its cosine with the query."""
    fused: float | None = None
    """In hybrid search what it is ranked by: see :func:`fuse`."""
    reranked: float | None = None
    """After reranking what it is ranked by: the score of a model that read both texts."""

    @property
    def document(self) -> str:
        """The id of the text that it is, or is a passage of."""
        found = passage_of(self.id, self.metadata)
        return self.id if found is None else found[0]

    @property
    def passage(self) -> int | None:
        """Which passage of its document it is, from 1; None for a whole text."""
        found = passage_of(self.id, self.metadata)
        return None if found is None else found[1]


def best_of(
    parts: Iterable[tuple[Numbers, Floats]],
    unit: Floats,
    depth: int,
) -> list[Ranking]:
    """Return (number, cosine) of the best of all parts for each query; ties by number."""
    numbers = np.empty((len(unit), 0), np.int64)
    scores = np.empty((len(unit), 0), np.float32)
    for part_numbers, vectors in parts:
        products = unit @ vectors.T
        numbers = np.concatenate([numbers, np.broadcast_to(part_numbers, products.shape)], axis=1)
        scores = np.concatenate([scores, products], axis=1)
        if scores.shape[1] > depth:
            best = np.argpartition(-scores, depth - 1, axis=1)[:, :depth]
            numbers = np.take_along_axis(numbers, best, axis=1)
            scores = np.take_along_axis(scores, best, axis=1)
    order = np.lexsort((numbers, -scores), axis=1)
    return [
        [(int(n[i]), min(float(s[i]), 1.0)) for i in row]
        for n, s, row in zip(numbers, scores, order, strict=True)
    ]


def fuse(by_meaning: Sequence[int], by_words: Sequence[int]) -> dict[int, float]:
    """Return the weighted sum of 1 / (K + rank) of each entry over both rankings.

    Reciprocal rank fusion, Cormack, Clarke & Büttcher 2009, https://doi.org/10.1145/1571941.1572114.
    K and the weights are those of ``benchmarks/tasks/fusion.py``.
    """
    fused: dict[int, float] = {}
    for weight, ranking in ((MEANING, by_meaning), (1 - MEANING, by_words)):
        for rank, number in enumerate(ranking, 1):
            fused[number] = fused.get(number, 0.0) + weight / (RRF + rank)
    return fused


def reranked(
    queries: Sequence[str], found: Sequence[Sequence[Hit]], rerank: Rerank, k: int
) -> list[list[Hit]]:
    """Order each query's hits by what ``rerank`` makes of query and text, and keep ``k``."""
    pairs = [(query, hit.text) for query, hits in zip(queries, found, strict=True) for hit in hits]
    scores = iter(rerank(pairs).tolist() if pairs else [])
    ordered = []
    for hits in found:
        scored = [replace(hit, reranked=next(scores)) for hit in hits]
        ordered.append(sorted(scored, key=_by_reranked)[:k])
    return ordered


def _by_reranked(hit: Hit) -> float:
    assert hit.reranked is not None  # noqa: S101 - set just before
    return -hit.reranked
