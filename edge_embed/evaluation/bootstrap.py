"""Confidence intervals by resampling rows with replacement (Efron & Tibshirani 1993).

Models compared on the same rows use the same resamples, so that the interval of their difference
does not contain the variation that both share.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from edge_embed.errors import InputError
from edge_embed.evaluation.metrics import Floats, Statistic

__all__ = ["Bootstrap", "Estimate"]


@dataclass(frozen=True)
class Estimate:
    """A measure on all rows, and its confidence interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class Bootstrap:
    """Settings of resampling. The same seed and number of rows give the same resamples."""

    resamples: int = 1000
    """0 gives values without intervals (low and high equal the value)."""
    seed: int = 0
    confidence: float = 0.95

    def __post_init__(self) -> None:
        if self.resamples < 0:
            raise InputError(f"resamples is {self.resamples}; it must not be negative")
        if not 0 < self.confidence < 1:
            raise InputError(f"confidence is {self.confidence}; it must be between 0 and 1")

    def replicates(self, statistic: Statistic, rows: int) -> Floats:
        """Return the statistic on all rows, then on each resample: float64 (resamples + 1,)."""
        values = [statistic(np.ones(rows))]
        values.extend(statistic(weights) for weights in self._weights(rows))
        return np.asarray(values)

    def estimate(self, replicates: Floats) -> Estimate:
        """Return the value and its percentile interval."""
        value = float(replicates[0])
        spread = replicates[1:]
        spread = spread[np.isfinite(spread)]  # NaN if a resample has only one class
        if not len(spread):
            return Estimate(value, value, value)
        tail = (1 - self.confidence) / 2
        low, high = np.quantile(spread, [tail, 1 - tail])
        return Estimate(value, float(low), float(high))

    def _weights(self, rows: int) -> Iterator[Floats]:
        rng = np.random.default_rng(self.seed)
        for _ in range(self.resamples):
            drawn = rng.integers(0, rows, rows)
            yield np.bincount(drawn, minlength=rows).astype(np.float64)
