"""A beam search for layers to skip: those without which the similarities of texts change least.

It removes one layer at a time and keeps the sets of layers whose similarities of texts correlate
best with the whole model's. The best set of n layers need not be a subset of the best set of n + 1,
so several sets are kept at each step.
"""

from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt

from edge_embed.vectors import unit_length

__all__ = ["Kept", "LayerSearch"]

Floats = npt.NDArray[np.float32]
Kept = tuple[int, ...]
"""Indices of the layers that stay, from 0, ascending."""


class LayerSearch:
    """Compares a model with itself when it skips some of its layers."""

    def __init__(self, count: int, vectors_with: Callable[[Kept], Floats]) -> None:
        """Embed the texts with the whole model.

        Args:
            count: How many layers the model has.
            vectors_with: Embeds the texts with these layers alone; returns float32 (texts, dim).
        """
        self._whole = tuple(range(count))
        self._vectors_with = vectors_with
        self._similarities = _similarities(vectors_with(self._whole))
        self._known: dict[Kept, float] = {}

    def agreement(self, kept: Kept) -> float:
        """Return the correlation of the similarities of texts with those of the whole model."""
        if kept not in self._known:
            found = _similarities(self._vectors_with(kept))
            self._known[kept] = float(np.corrcoef(self._similarities, found)[0, 1])
        return self._known[kept]

    def fewer(self, fewest: int, *, beam_width: int) -> Iterator[Kept]:
        """Yield the best set of layers of each size, from all layers down.

        Args:
            fewest: Size of the last set.
            beam_width: Number of sets kept at each step.
        """
        best = [self._whole]
        yield self._whole
        while len(best[0]) > fewest:
            fewer = {kept[:n] + kept[n + 1 :] for kept in best for n in range(len(kept))}
            best = sorted(fewer, key=lambda kept: (-self.agreement(kept), kept))[:beam_width]
            yield best[0]


def _similarities(vectors: Floats) -> Floats:
    units = unit_length(vectors)
    result: Floats = (units @ units.T)[np.triu_indices(len(units), 1)]
    return result
