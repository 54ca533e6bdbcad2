"""Arithmetic of vectors that the whole package shares."""

from typing import TypeVar

import numpy as np
import numpy.typing as npt

__all__ = ["unit_length"]

_Float = TypeVar("_Float", np.float32, np.float64)


def unit_length(vectors: npt.NDArray[_Float]) -> npt.NDArray[_Float]:
    """Scale each row of ``vectors`` to length 1; a row of zeros stays zeros.

    Args:
        vectors: Float32 or float64, (n, dim).

    Returns:
        The same shape and type.
    """
    lengths = np.sqrt(np.einsum("ij,ij->i", vectors, vectors, dtype=np.float64))
    unit: npt.NDArray[_Float] = vectors / np.maximum(lengths, 1e-12).astype(vectors.dtype)[:, None]
    return unit
