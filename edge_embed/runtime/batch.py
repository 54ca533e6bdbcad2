"""A batch: the inputs of one inference."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["POOLING_MASK", "TOKENS_A_SLOT", "Batch", "slots_in"]

Ints = npt.NDArray[np.int64]

# A packed row has one slot (place for a text's result) for this many tokens, since the number of
# results of a row must follow from its width.
TOKENS_A_SLOT = 4

# The extra input of models whose prompt is left out of pooling.
POOLING_MASK = "pooling_mask"


@dataclass(frozen=True)
class Batch:
    """Model inputs, and the place of each text's vector in the output."""

    inputs: dict[str, Ints]
    """Input name to int64 (rows, width)."""
    texts: Ints
    """Indices of the texts, shape (n,)."""
    slots: Ints
    """Index of each text's vector in the output, flattened to (rows * slots, dim); shape (n,)."""


def slots_in(width: int) -> int:
    """Return how many texts a packed row of ``width`` tokens can hold at most."""
    return max(1, width // TOKENS_A_SLOT)
