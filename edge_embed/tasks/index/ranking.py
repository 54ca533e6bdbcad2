"""Rankings: the best entries of several blocks, rank fusion, and reranking."""

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
"""Function from pairs (query, text) to scores, float (pairs,)."""

FUSED = 100
"""How many entries of each ranking are fused."""
RRF = 60
"""The constant of reciprocal rank fusion; the larger, the less the first ranks stand out."""
MEANING = 0.5
"""Weight of the ranking by vectors; that of the ranking by words is 1 minus it."""


@dataclass(frozen=True)
class Hit:
    """A text in a search result."""

    id: str
    text: str
    metadata: Mapping[str, Any]
    score: float
    """Its cosine with the query."""
    fused: float | None = None
    """The score that hybrid search ranks by (:func:`fuse`); None in other searches."""
    reranked: float | None = None
    """The reranker's score, by which hits are ordered; None without reranking."""

    @property
    def document(self) -> str:
        """The id of its document; of a whole text its own id."""
        found = passage_of(self.id, self.metadata)
        return self.id if found is None else found[0]

    @property
    def passage(self) -> int | None:
        """The number of the passage in its document, from 1; None for a whole text."""
        found = passage_of(self.id, self.metadata)
        return None if found is None else found[1]


def best_of(
    parts: Iterable[tuple[Numbers, Floats]],
    unit: Floats,
    depth: int,
) -> list[Ranking]:
    """Return the best entries of all parts for each query; ties are decided by the lower number.

    Args:
        parts: Entry numbers (n,) and their unit vectors, float32 (n, dim), block by block.
        unit: The queries' unit vectors, float32 (queries, dim).
        depth: How many entries.
    """
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
        [(int(n[i]), min(max(float(s[i]), -1.0), 1.0)) for i in row]
        for n, s, row in zip(numbers, scores, order, strict=True)
    ]


def fuse(by_meaning: Sequence[int], by_words: Sequence[int]) -> dict[int, float]:
    """Return each entry's weighted sum of 1 / (RRF + rank) over both rankings.

    Reciprocal rank fusion, Cormack, Clarke & Büttcher 2009, https://doi.org/10.1145/1571941.1572114.
    The constant and the weights were measured by ``benchmarks/tasks/fusion.py``.
    """
    fused: dict[int, float] = {}
    for weight, ranking in ((MEANING, by_meaning), (1 - MEANING, by_words)):
        for rank, number in enumerate(ranking, 1):
            fused[number] = fused.get(number, 0.0) + weight / (RRF + rank)
    return fused


def reranked(
    queries: Sequence[str], found: Sequence[Sequence[Hit]], rerank: Rerank, k: int
) -> list[list[Hit]]:
    """Order each query's hits by the scores of ``rerank``, highest first, and keep ``k``."""
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
