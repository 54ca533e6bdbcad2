"""The removed records of a deduplication, exact and semantic duplicates together."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from edge_embed.tasks.deduplication.semantic import DeduplicationResult

__all__ = ["ExactDuplicates", "Removal", "removals"]

Indices = npt.NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class ExactDuplicates:
    """Groups of records whose texts have the same normal form."""

    of: npt.NDArray[np.int64]
    """For each row the kept row of its group, (n,); a kept row has its own number."""
    references: npt.NDArray[np.int64]
    """For each row the reference row with the same text, or -1, (n,)."""

    @classmethod
    def find(
        cls,
        groups: npt.NDArray[np.int64],
        order: Indices,
        references: npt.NDArray[np.int64] | None = None,
    ) -> "ExactDuplicates":
        """Keep the best row of each group.

        Args:
            groups: For each row the number of its group, (n,), all below n.
            order: Rows from the best to the worst.
            references: See the attribute; None if there are no references.
        """
        best = np.full(len(groups), -1, np.int64)
        best[groups[order[::-1]]] = order[::-1]  # the last write wins: the best row
        none = np.full(len(groups), -1, np.int64)
        return cls(best[groups], none if references is None else references)

    @property
    def unique(self) -> Indices:
        """Rows that are kept in their group and equal no reference, ascending."""
        own = self.of == np.arange(len(self.of))
        return np.flatnonzero(own & (self.references < 0))


@dataclass(frozen=True)
class Removal:
    """A removed record, and the kept record that it is a duplicate of."""

    row: int
    partner: int
    """The kept row, or the reference row."""
    score: float
    """The cosine of the two; 1 for exact duplicates."""
    kind: Literal["exact", "semantic"]
    reference: bool
    """Whether ``partner`` is a reference row."""


def removals(exact: ExactDuplicates, result: DeduplicationResult) -> list[Removal]:
    """Return every removed row, ascending.

    An exact duplicate of a record that is itself removed gets that record's partner and score.

    Args:
        exact: The exact duplicates.
        result: The semantic deduplication of the rows ``exact.unique``.
    """
    unique = exact.unique
    semantic = {
        int(unique[pair.row]): Removal(
            int(unique[pair.row]),
            pair.partner if pair.reference else int(unique[pair.partner]),
            pair.score,
            "semantic",
            pair.reference,
        )
        for pair in result.duplicates
    }
    removed = []
    for row, (stands, reference) in enumerate(
        zip(exact.of.tolist(), exact.references.tolist(), strict=True)
    ):
        found = semantic.get(stands)
        if reference >= 0:
            removed.append(Removal(row, reference, 1.0, "exact", True))
        elif found is not None:
            removed.append(Removal(row, found.partner, found.score, found.kind, found.reference))
        elif stands != row:
            removed.append(Removal(row, stands, 1.0, "exact", False))
    return removed
