"""The bytes of stored vectors: float32, or int8 of which each vector uses the whole range."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from edge_embed.tasks.index.facts import VectorType
from edge_embed.tasks.vectors import Floats, unit_rows

__all__ = ["pack", "unpack"]


def pack(vectors: Floats, dtype: VectorType) -> list[bytes]:
    """Return the bytes of each vector, float32 (n, dim) of unit length."""
    if dtype == "int8":
        # The cosine does not depend on length: scale each vector to the whole range.
        scale = 127 / np.maximum(np.abs(vectors).max(axis=1, keepdims=True), 1e-12)
        return [row.tobytes() for row in np.rint(vectors * scale).astype(np.int8)]
    return [row.tobytes() for row in np.asarray(vectors, np.float32)]


def unpack(blobs: Sequence[Any], dim: int, dtype: VectorType) -> Floats:
    """Return the unit vectors of ``blobs``, float32 (n, dim).

    Raises:
        ValueError: one is no bytes, or has another length.
    """
    if not all(isinstance(blob, bytes) for blob in blobs):
        raise ValueError("a vector is none")
    kind = np.dtype(dtype)
    joined = b"".join(blobs)
    if len(joined) != len(blobs) * dim * kind.itemsize:
        raise ValueError("a vector has another length")
    stored = np.frombuffer(joined, kind).reshape(len(blobs), dim)
    return np.asarray(stored) if dtype == "float32" else unit_rows(stored.astype(np.float32))
