"""Arithmetic of vectors that the whole package shares."""

from typing import Literal, TypeVar

import numpy as np
import numpy.typing as npt

__all__ = ["ROUNDING", "Similarity", "similarities", "unit_length"]

ROUNDING = 1e-6
"""How far two computations of one cosine may be apart: what equals a threshold is above it."""

Similarity = Literal["cosine", "dot", "euclidean", "manhattan"]
"""How vectors are compared; distances are negative, so that more is more alike."""

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


def similarities(
    first: npt.NDArray[np.float32], second: npt.NDArray[np.float32], by: Similarity = "cosine"
) -> npt.NDArray[np.float32]:
    """Compare each row of ``first`` with each of ``second``.

    Args:
        first: Float32 (n, dim).
        second: Float32 (m, dim).
        by: Distances, ``euclidean`` and ``manhattan``, are returned negative.

    Returns:
        Float32 (n, m).
    """
    if by == "dot":
        return np.asarray(first @ second.T)
    if by == "cosine":
        cosines = unit_length(first) @ unit_length(second).T
        return np.asarray(np.clip(cosines, -1, 1))  # rounding goes a little beyond
    order = 1 if by == "manhattan" else 2
    out = np.empty((len(first), len(second)), np.float32)
    for row, vector in enumerate(first):
        out[row] = -np.linalg.norm(second - vector, ord=order, axis=1)
    return out
