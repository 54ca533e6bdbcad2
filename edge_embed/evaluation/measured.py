"""What every evaluation has in common: texts to embed, and measures of their vectors.

A dataset names the texts of each role, the caller embeds them, and the dataset measures the
vectors. So an evaluation knows no model, and any encoder can be measured.
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
"""From pairs of texts to a score each, (pairs,)."""


@dataclass(frozen=True)
class Measured:
    """The measures of one model on one dataset."""

    units: int
    """What is resampled: pairs of texts, queries, or clusterings."""
    metrics: Mapping[str, Statistic]
    """By name; each takes weights (units,)."""
    details: Mapping[str, Any]
    """What else there is to tell, as plain JSON."""


class Dataset(Protocol):
    """Texts with a truth about them."""

    @property
    def name(self) -> str:
        """Short name, as tables show it."""

    @property
    def rows(self) -> int:
        """How many judged rows it has."""

    def inputs(self) -> Mapping[Role, Sequence[str]]:
        """Return the texts to embed, by role."""

    def measure(self, vectors: Mapping[Role, Vectors]) -> Measured:
        """Measure vectors of :meth:`inputs`, each float32 (texts, dim), of any length."""


@runtime_checkable
class ScoredDataset(Protocol):
    """Pairs of texts with a truth about each."""

    @property
    def name(self) -> str:
        """Short name, as tables show it."""

    @property
    def rows(self) -> int:
        """How many pairs it has."""

    @property
    def first(self) -> Sequence[str]:
        """The first texts."""

    @property
    def second(self) -> Sequence[str]:
        """The second texts."""

    def measure_scores(self, scores: Floats) -> Measured:
        """Measure scores of the pairs, (pairs,)."""


@runtime_checkable
class RankedDataset(Protocol):
    """Queries and documents whose rankings another model may order anew."""

    def measure_reranked(
        self, vectors: Mapping[Role, Vectors], score: Score, candidates: int
    ) -> Measured:
        """Measure rankings of which ``score`` has ordered the first ``candidates``."""


def pair_cosines(vectors: Vectors) -> npt.NDArray[np.float64]:
    """Return the cosine of row i of the first half with row i of the second: (rows / 2,)."""
    first, second = np.split(unit_length(vectors.astype(np.float64)), 2)
    cosines: npt.NDArray[np.float64] = np.sum(first * second, axis=1)
    return cosines
