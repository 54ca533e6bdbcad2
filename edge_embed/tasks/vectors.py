"""The vectors that tasks take: any float array, memory maps included, read block by block."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_embed.errors import InputError
from edge_embed.vectors import unit_length

__all__ = ["Floats", "Rows", "Vectors", "fitting_rows", "pair_cosines", "unit_rows"]

Vectors = npt.NDArray[np.floating]
Floats = npt.NDArray[np.float32]
Indices = npt.NDArray[np.signedinteger[Any]]

_BLOCK = 8192
# Pairs whose vectors are held at once.
_PAIRS = 1 << 12


class Rows:
    """The rows of several arrays, without copying them; rows are returned as unit vectors."""

    def __init__(self, *arrays: Vectors) -> None:
        """Check the arrays.

        Args:
            arrays: Each (n, dim), float16, float32 or float64; n may be 0.

        Raises:
            InputError: an array is not of this shape or type, or their dimensions differ.
        """
        for array in arrays:
            if not isinstance(array, np.ndarray) or array.ndim != 2:
                raise InputError(
                    f"vectors should be one array (n, dim), not {_shape(array)}: stack them"
                )
            if not np.issubdtype(array.dtype, np.floating):
                raise InputError(
                    f"vectors should be floats, not {array.dtype}: cosines of quantized vectors "
                    "are not those of the texts"
                )
            if array.shape[1] != arrays[0].shape[1]:
                raise InputError(
                    f"cannot compare vectors of {arrays[0].shape[1]} and {array.shape[1]} "
                    "dimensions: embed both with the same model"
                )
        self._arrays = arrays
        self._starts = np.cumsum([0, *(len(array) for array in arrays)])
        self.dim = int(arrays[0].shape[1])

    def __len__(self) -> int:
        return int(self._starts[-1])

    def take(self, rows: Indices) -> Floats:
        """Return the given rows, float32 (len(rows), dim), scaled to unit length.

        Raises:
            InputError: a row has NaN or an infinite value; the message names the row.
        """
        out = np.empty((len(rows), self.dim), np.float32)
        for array, start, end in zip(
            self._arrays, self._starts[:-1], self._starts[1:], strict=True
        ):
            inside = (rows >= start) & (rows < end)
            if inside.all():
                out[:] = array[rows - start]
            elif inside.any():
                out[inside] = array[rows[inside] - start]
        return unit_rows(out, rows)

    def copy(self, order: Indices) -> Floats:
        """Return the rows in the given order, float32 (len(order), dim), scaled to unit length."""
        out = np.empty((len(order), self.dim), np.float32)
        for start in range(0, len(order), _BLOCK):
            out[start : start + _BLOCK] = self.take(order[start : start + _BLOCK])
        return out


def fitting_rows(vectors: Vectors, dim: int, place: str) -> Rows:
    """Return vectors, float (n, dim), as rows, and check their number of dimensions.

    Raises:
        InputError: they are no such array; the message says that they do not fit ``place``.
    """
    rows = Rows(vectors)
    if rows.dim != dim:
        raise InputError(f"vectors of {rows.dim} dimensions do not fit {place}, which has {dim}")
    return rows


def unit_rows(block: Vectors, numbers: Sequence[int] | Indices | None = None) -> Floats:
    """Scale rows to unit length, float32 (n, dim); a row of zeros stays zero.

    Args:
        block: Float (n, dim).
        numbers: The numbers of the rows in errors; None for their positions.

    Raises:
        InputError: a value is NaN or infinite.
    """
    block = np.asarray(block, np.float32)
    bad = np.flatnonzero(~np.isfinite(block).all(axis=1))
    if len(bad):
        number = int(bad[0]) if numbers is None else int(numbers[int(bad[0])])
        raise InputError(
            f"vector {number} has values that are no numbers (NaN or infinite): embed its text "
            "again, or leave it out"
        )
    return unit_length(block)


def pair_cosines(left: Floats, i: Indices, right: Floats, j: Indices) -> Floats:
    """Return the cosine of row ``left[i]`` with row ``right[j]``, float32 (len(i),), in [-1, 1].

    This is the score by which pairs are decided and reported. The last bits of a matrix product
    depend on the block's shape and the processor, so products are used only to find candidates;
    this sum, in double precision, depends on the two rows only.

    Args:
        left: Unit vectors, float32 (n, dim).
        i: Rows of ``left``.
        right: Unit vectors, float32 (m, dim).
        j: Rows of ``right``, as many as ``i``.
    """
    out = np.empty(len(i), np.float32)
    for start in range(0, len(i), _PAIRS):
        part = slice(start, start + _PAIRS)
        out[part] = np.einsum("ij,ij->i", left[i[part]], right[j[part]], dtype=np.float64)
    return np.clip(out, -1, 1, out=out)


def _shape(value: object) -> str:
    return f"shape {value.shape}" if isinstance(value, np.ndarray) else type(value).__name__
