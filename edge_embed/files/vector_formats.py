"""Writers of vectors, one a format; :mod:`edge_embed.files.formats` is the table of formats."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import numpy as np
import numpy.typing as npt

__all__ = ["JsonVectors", "NpyVectors", "ParquetVectors", "VectorWriter", "Vectors"]

Vectors = npt.NDArray[Any]


class VectorWriter(Protocol):
    """Writes texts and their vectors, chunk by chunk."""

    def write(self, texts: Sequence[str], vectors: Vectors) -> None:
        """Add a chunk: n texts, vectors (n, dim) of the same type and dim as before."""

    def close(self) -> None:
        """Complete the file."""


class JsonVectors:
    """Objects with ``text`` and ``embedding``, one a line."""

    def __init__(
        self,
        file: Any,  # noqa: ANN401
        start: str = "",
        between: str = "\n",
        end: str = "\n",
    ) -> None:
        self._file, self._between, self._end = file, between, end
        self._separator = start

    def write(self, texts: Sequence[str], vectors: Vectors) -> None:
        """Add a chunk."""
        for text, vector in zip(texts, _decimals(vectors), strict=True):
            line = json.dumps({"text": text, "embedding": vector}, ensure_ascii=False)
            self._file.write((self._separator + line).encode())
            self._separator = self._between

    def close(self) -> None:
        """Complete the file."""
        self._file.write(self._end.encode())


class NpyVectors:
    """Version 1.0 of NumPy's format.

    The header has a fixed size; it is written again at the end, when the number of rows is known.
    """

    _HEADER = 128

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._rows = 0
        self._like: Vectors = np.empty((0, 0), np.float32)
        file.write(self._header())

    def write(self, texts: Sequence[str], vectors: Vectors) -> None:
        """Add a chunk."""
        self._file.write(np.ascontiguousarray(vectors).data)
        self._like = vectors[:0]
        self._rows += len(vectors)

    def close(self) -> None:
        """Complete the file."""
        self._file.seek(0)
        self._file.write(self._header())

    def _header(self) -> bytes:
        description = {
            "descr": np.lib.format.dtype_to_descr(self._like.dtype),
            "fortran_order": False,
            "shape": (self._rows, self._like.shape[1]),
        }
        magic = np.lib.format.magic(1, 0)
        room = self._HEADER - len(magic) - 2
        text = repr(description).ljust(room - 1) + "\n"
        return magic + room.to_bytes(2, "little") + text.encode("latin1")


class ParquetVectors:
    """A table with the columns ``text`` and ``embedding``."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._writer: Any = None

    def write(self, texts: Sequence[str], vectors: Vectors) -> None:
        """Add a chunk."""
        import pyarrow
        from pyarrow import parquet

        values = pyarrow.array(np.ascontiguousarray(vectors).reshape(-1))
        lists = pyarrow.FixedSizeListArray.from_arrays(values, vectors.shape[1])
        table = pyarrow.table({"text": list(texts), "embedding": lists})
        if self._writer is None:
            self._writer = parquet.ParquetWriter(self._path, table.schema, compression="zstd")
        self._writer.write_table(table)

    def close(self) -> None:
        """Complete the file."""
        if self._writer is not None:
            self._writer.close()


def _decimals(vectors: Vectors) -> list[list[float]]:
    """Return float32 values with 9 significant digits, which identify them, instead of 17."""
    if vectors.dtype != np.float32:
        return vectors.tolist()  # type: ignore[no-any-return]
    return [[float(f"{value:.9g}") for value in row] for row in vectors.tolist()]
