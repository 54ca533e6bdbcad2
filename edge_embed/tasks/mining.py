"""Paraphrase mining: the most similar pairs of texts in a corpus."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from edge_embed.errors import InputError
from edge_embed.tasks.neighbours import check_threshold, nearest
from edge_embed.tasks.vectors import Rows, Vectors
from edge_embed.vectors import ROUNDING

__all__ = ["Pair", "Pairs", "paraphrase_mining"]


@dataclass(frozen=True)
class Pair:
    """Two similar rows."""

    first: int
    """The lower row."""
    second: int
    """The higher row."""
    score: float
    """Their cosine."""


class Pairs(list[Pair]):
    """Pairs, and the recall of the search that found them."""

    def __init__(self, pairs: Iterable[Pair] = (), *, recall: float = 1.0) -> None:
        super().__init__(pairs)
        self.recall = recall
        """The share of a sample's true neighbours that was found; 1 for an exact search."""


def paraphrase_mining(
    vectors: Vectors,
    *,
    threshold: float = 0.8,
    top_k: int = 10,
    limit: int | None = None,
    exact: bool | None = None,
) -> Pairs:
    """Return pairs of similar rows, the most similar first.

    A pair is found if one of the two is among the ``top_k`` nearest neighbours of the other.

    Args:
        vectors: Float (n, dim).
        threshold: The lowest cosine of a pair.
        top_k: Number of nearest neighbours of each row.
        limit: The most pairs to return; None returns all.
        exact: Compare every pair; None does so up to 100,000 rows.

    Raises:
        InputError: vectors have another shape or NaN, or an option has no such value.
    """
    check_threshold(threshold)
    if limit is not None and limit < 1:
        raise InputError(f"limit is {limit}; it must be at least 1")
    found = nearest(Rows(vectors), top_k, exact=exact)
    row, column = np.nonzero((found.rows >= 0) & (found.scores >= threshold - ROUNDING))
    other = found.rows[row, column]
    scores = found.scores[row, column]
    low, high = np.minimum(row, other), np.maximum(row, other)
    order = np.lexsort((high, low, -scores))
    pairs: dict[tuple[int, int], float] = {}
    for i in order.tolist():
        pairs.setdefault((int(low[i]), int(high[i])), float(scores[i]))
        if limit is not None and len(pairs) == limit:
            break
    return Pairs((Pair(*rows, score) for rows, score in pairs.items()), recall=found.recall)
