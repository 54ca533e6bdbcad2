"""The interface of datasets: texts to embed, and measures of their vectors.

A dataset gives the texts of each role, the caller embeds them, and the dataset measures the
vectors. So datasets do not depend on a model, and any encoder can be evaluated.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from edge_embed.evaluation.metrics import Floats, Statistic
from edge_embed.vectors import unit_length

__all__ = [
    "Dataset",
    "Measured",
    "RankedDataset",
    "Role",
    "Score",
    "ScoredDataset",
    "Vectors",
    "pair_cosines",
]

Vectors = npt.NDArray[np.float32]
Role = Literal["text", "query", "document"]
"""How a text is used: models with prompts embed queries and documents differently."""
Score = Callable[[Sequence[tuple[str, str]]], Floats]
"""Function from pairs of texts to scores, float64 (pairs,)."""


@dataclass(frozen=True)
class Measured:
    """The measures of one model on one dataset."""

    units: int
    """Number of units that are resampled: pairs of texts, queries, or clusterings."""
    metrics: Mapping[str, Statistic]
    """Name to function of the units' weights, float64 (units,)."""
    details: Mapping[str, Any]
    """Further figures, as JSON values."""


class Dataset(Protocol):
    """Texts with labels, scores or relevance judgements."""

    @property
    def name(self) -> str:
        """Short name, as tables show it."""

    @property
    def rows(self) -> int:
        """Number of labelled rows."""

    def inputs(self) -> Mapping[Role, Sequence[str]]:
        """Return the texts to embed, by role."""

    def measure(self, vectors: Mapping[Role, Vectors]) -> Measured:
        """Measure the vectors of :meth:`inputs`, each float32 (texts, dim), of any length."""


@runtime_checkable
class ScoredDataset(Protocol):
    """Pairs of texts with labels or scores."""

    @property
    def name(self) -> str:
        """Short name, as tables show it."""

    @property
    def rows(self) -> int:
        """Number of pairs."""

    @property
    def first(self) -> Sequence[str]:
        """The first texts."""

    @property
    def second(self) -> Sequence[str]:
        """The second texts."""

    def measure_scores(self, scores: Floats) -> Measured:
        """Measure scores of the pairs, float64 (pairs,)."""


@runtime_checkable
class RankedDataset(Protocol):
    """Queries and documents whose rankings can be reranked."""

    def measure_reranked(
        self, vectors: Mapping[Role, Vectors], score: Score, candidates: int
    ) -> Measured:
        """Measure rankings whose first ``candidates`` documents are reranked by ``score``."""


def pair_cosines(vectors: Vectors) -> npt.NDArray[np.float64]:
    """Return the cosines of row i of the first half with row i of the second, float64 (n / 2,)."""
    first, second = np.split(unit_length(vectors.astype(np.float64)), 2)
    cosines: npt.NDArray[np.float64] = np.sum(first * second, axis=1)
    return cosines
