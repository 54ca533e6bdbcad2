"""Quality measures as functions of row weights.

Each function here returns a :data:`Statistic`, which takes ``weights``: how often each row counts.
With ones it is the measure itself; with the counts of a resample it is a bootstrap replicate, for
which nothing has to be sorted again.
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

__all__ = [
    "Floats",
    "Statistic",
    "average_precision",
    "best_f1",
    "best_f1_threshold",
    "mean",
    "ndcg",
    "pearson",
    "recall",
    "reciprocal_rank",
    "spearman",
]

Floats = npt.NDArray[np.float64]
Statistic = Callable[[Floats], float]
"""Function from weights, float64 (rows,), to the measure."""


def pearson(x: Floats, y: Floats) -> Statistic:
    """Return Pearson's product-moment correlation of ``x`` and ``y``, both (rows,)."""
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    return lambda weights: _correlation(x, y, weights)


def spearman(x: Floats, y: Floats) -> Statistic:
    """Return Spearman's rank correlation of ``x`` and ``y``; ties share their mean rank."""
    groups_x, groups_y = (
        np.unique(np.asarray(values), return_inverse=True)[1] for values in (x, y)
    )

    def statistic(weights: Floats) -> float:
        return _correlation(_ranks(groups_x, weights), _ranks(groups_y, weights), weights)

    return statistic


def mean(values: Floats) -> Statistic:
    """Return the mean of ``values`` (rows,)."""
    values = np.asarray(values, np.float64)
    return lambda weights: float(weights @ values / weights.sum())


def average_precision(labels: npt.NDArray[np.bool_], scores: Floats) -> Statistic:
    """Return the average precision of ``scores`` (rows,): sum of precision times step of recall.

    Without interpolation, and equal scores are one step, as in scikit-learn's
    average_precision_score.
    """
    curve = _Curve(labels, scores)

    def statistic(weights: Floats) -> float:
        hits, taken = curve.counts(weights)
        steps = np.diff(hits, prepend=0.0)
        precision = hits / np.maximum(taken, 1e-12)
        return float(steps @ precision / hits[-1]) if hits[-1] else float("nan")

    return statistic


def best_f1(labels: npt.NDArray[np.bool_], scores: Floats) -> Statistic:
    """Return the highest F1 of any threshold on ``scores``."""
    curve = _Curve(labels, scores)
    return lambda weights: float(curve.f1(weights).max())


def best_f1_threshold(labels: npt.NDArray[np.bool_], scores: Floats) -> Statistic:
    """Return the threshold of :func:`best_f1`: rows with at least that score are positive.

    It is the mean of the lowest positive score and the highest negative one.
    """
    curve = _Curve(labels, scores)

    def statistic(weights: Floats) -> float:
        best = int(curve.f1(weights).argmax())
        following = curve.levels[best + 1 :][np.flatnonzero(curve.level_weights(weights, best))]
        lowest = curve.levels[best]
        return float((lowest + following[0]) / 2 if len(following) else lowest)

    return statistic


def ndcg(gains: npt.ArrayLike, ideal: npt.ArrayLike) -> float:
    """Return the normalised discounted cumulative gain of one ranking (Järvelin & Kekäläinen 2002).

    Args:
        gains: Relevance of the k documents found, best first.
        ideal: The k highest relevances of the query's judged documents, in any order.
    """
    best = np.sort(np.asarray(ideal, np.float64))[::-1]
    return _dcg(np.asarray(gains, np.float64)) / _dcg(best)


def recall(gains: npt.ArrayLike, relevant: int) -> float:
    """Return the share of the ``relevant`` documents that are in a ranking with these gains."""
    return float(np.count_nonzero(np.asarray(gains) > 0) / relevant)


def reciprocal_rank(gains: npt.ArrayLike) -> float:
    """Return one divided by the rank of the first relevant document; 0 if there is none."""
    found = np.flatnonzero(np.asarray(gains) > 0)
    return 1.0 / float(found[0] + 1) if len(found) else 0.0


class _Curve:
    """Rows sorted by score, highest first, with equal scores grouped into one level."""

    def __init__(self, labels: npt.NDArray[np.bool_], scores: Floats) -> None:
        scores = np.asarray(scores, np.float64)
        self._order = np.argsort(-scores, kind="stable")
        ordered = scores[self._order]
        self._positive = np.asarray(labels, np.bool_)[self._order]
        # Index of the last row of each level.
        self._ends = np.append(np.flatnonzero(np.diff(ordered)), len(ordered) - 1)
        self.levels = ordered[self._ends]

    def counts(self, weights: Floats) -> tuple[Floats, Floats]:
        """Return true positives, and all positives, of a threshold at each level."""
        ordered = weights[self._order]
        return (
            np.cumsum(ordered * self._positive)[self._ends],
            np.cumsum(ordered)[self._ends],
        )

    def f1(self, weights: Floats) -> Floats:
        hits, taken = self.counts(weights)
        score: Floats = 2 * hits / np.maximum(taken + hits[-1], 1e-12)
        return score

    def level_weights(self, weights: Floats, after: int) -> Floats:
        """Return the number of rows in each level after ``after``."""
        _, taken = self.counts(weights)
        return np.diff(taken[after:])


def _ranks(groups: npt.NDArray[np.intp], weights: Floats) -> Floats:
    """Return the mean rank of each row; rows of a group are tied, groups are in ascending order."""
    counts = np.bincount(groups, weights)
    ranks: Floats = (np.cumsum(counts) - counts / 2)[groups]
    return ranks


def _correlation(x: Floats, y: Floats, weights: Floats) -> float:
    total = weights.sum()
    x = x - weights @ x / total
    y = y - weights @ y / total
    scale = np.sqrt((weights @ (x * x)) * (weights @ (y * y)))
    return float(weights @ (x * y) / scale) if scale > 0 else float("nan")


def _dcg(gains: Floats) -> float:
    return float(np.sum(gains / np.log2(np.arange(2, len(gains) + 2))))
