"""Arithmetic of vectors that the whole package shares."""

from typing import Literal, TypeVar

import numpy as np
import numpy.typing as npt

__all__ = ["ROUNDING", "Similarity", "similarities", "unit_length"]

ROUNDING = 1e-6
"""Tolerance for rounding when a cosine is compared with a threshold: two computations of the same
cosine may differ by this much."""

Similarity = Literal["cosine", "dot", "euclidean", "manhattan"]
"""How vectors are compared; distances are negated, so that a larger value is more similar."""

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


def row_cosines(
    first: npt.NDArray[np.float32], second: npt.NDArray[np.float32]
) -> npt.NDArray[np.float32]:
    """Return the cosine of each row of ``first`` with the same row of ``second``, float32 (n,).

    Args:
        first: Float32 (n, dim).
        second: Float32 (n, dim).
    """
    cosines = np.sum(unit_length(first) * unit_length(second), axis=1)
    return np.asarray(np.clip(cosines, -1, 1), np.float32)  # rounding may exceed the range


def similarities(
    first: npt.NDArray[np.float32], second: npt.NDArray[np.float32], by: Similarity = "cosine"
) -> npt.NDArray[np.float32]:
    """Compare each row of ``first`` with each of ``second``.

    Args:
        first: Float32 (n, dim).
        second: Float32 (m, dim).
        by: The measure; the distances, ``euclidean`` and ``manhattan``, are negated.

    Returns:
        Float32 (n, m).
    """
    if by == "dot":
        return np.asarray(first @ second.T)
    if by == "cosine":
        cosines = unit_length(first) @ unit_length(second).T
        return np.asarray(np.clip(cosines, -1, 1))  # rounding may exceed the range
    order = 1 if by == "manhattan" else 2
    out = np.empty((len(first), len(second)), np.float32)
    for row, vector in enumerate(first):
        out[row] = -np.linalg.norm(second - vector, ord=order, axis=1)
    return out
