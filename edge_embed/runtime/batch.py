"""A batch: what the engine computes in one go."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["POOLING_MASK", "TOKENS_A_SLOT", "Batch", "slots_in"]

Ints = npt.NDArray[np.int64]

# A packed row of so many tokens holds one text at most, on average: the number of results a row
# must be fixed with its shape.
TOKENS_A_SLOT = 4

# The extra input of models whose prompt does not take part in pooling.
POOLING_MASK = "pooling_mask"


@dataclass(frozen=True)
class Batch:
    """Model inputs, and where in the output each text's vector is."""

    inputs: dict[str, Ints]
    """Input name to int64 (rows, width)."""
    texts: Ints
    """Indices of the texts, shape (n,)."""
    slots: Ints
    """Index of each text's vector in the output, flattened to (rows * slots, dim); shape (n,)."""


def slots_in(width: int) -> int:
    """Return how many texts a packed row of ``width`` tokens can hold."""
    return max(1, width // TOKENS_A_SLOT)
