"""Write vectors as they come: .npy, .jsonl, .parquet, or one JSON document on standard output.

A file appears whole or not at all, and memory does not grow with the number of vectors.
"""

import json
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import numpy as np
import numpy.typing as npt

from edge_embed.errors import InputError, MissingExtraError
from edge_embed.files.atomic import atomic_file

__all__ = ["WRITABLE", "VectorWriter", "open_writer"]

WRITABLE = (".npy", ".jsonl", ".parquet")

Vectors = npt.NDArray[Any]

# Bytes kept in memory before standard output's document goes to a temporary file.
_SPOOL = 1 << 22


class VectorWriter(Protocol):
    """Takes texts and their vectors, chunk by chunk."""

    def write(self, texts: Sequence[str], vectors: Vectors) -> None:
        """Add a chunk: n texts, vectors (n, dim) of the same type and dim as before."""

    def close(self) -> None:
        """Complete the file."""


@contextmanager
def open_writer(path: str | Path | None) -> Iterator[VectorWriter]:
    """Open a writer by the ending of ``path``; None is standard output, as one JSON array.

    .npy holds the array alone; .jsonl and the JSON array hold objects with ``text`` and
    ``embedding``; .parquet has the columns ``text`` and ``embedding`` (fixed-size list).

    Raises:
        InputError: the ending is none of these.
        OutputError: the file cannot be written.
        MissingExtraError: a .parquet file, without pyarrow.
    """
    if path is None:
        with tempfile.SpooledTemporaryFile(_SPOOL) as spool:
            writer = _JsonWriter(spool, "[\n", ",\n", "\n]\n")
            yield writer
            writer.close()
            spool.seek(0)
            shutil.copyfileobj(spool, sys.stdout.buffer)
            sys.stdout.buffer.flush()
        return
    path = Path(path)
    check_output(path)
    with atomic_file(path) as temporary:
        if path.suffix == ".parquet":
            yield from _closing(_ParquetWriter(temporary))
            return
        with temporary.open("wb") as file:
            if path.suffix == ".npy":
                yield from _closing(_NpyWriter(file))
            else:
                yield from _closing(_JsonWriter(file, "", "\n", "\n"))


def check_output(path: str | Path) -> None:
    """Refuse an output whose format is unknown or not installed, before any work is done."""
    path = Path(path)
    if path.suffix not in WRITABLE:
        raise InputError(
            f"cannot tell the format of {path}: its ending should be one of {', '.join(WRITABLE)}"
        )
    if path.suffix == ".parquet":
        try:
            import pyarrow.parquet  # noqa: F401
        except ImportError:
            raise MissingExtraError("writing .parquet files", "parquet", "pyarrow") from None


def _closing(writer: VectorWriter) -> Iterator[VectorWriter]:
    yield writer
    writer.close()


class _JsonWriter:
    def __init__(self, file: Any, start: str, between: str, end: str) -> None:  # noqa: ANN401
        self._file, self._between, self._end = file, between, end
        self._separator = start

    def write(self, texts: Sequence[str], vectors: Vectors) -> None:
        for text, vector in zip(texts, _decimals(vectors), strict=True):
            line = json.dumps({"text": text, "embedding": vector}, ensure_ascii=False)
            self._file.write((self._separator + line).encode())
            self._separator = self._between

    def close(self) -> None:
        self._file.write(self._end.encode())


class _NpyWriter:
    """Version 1.0 of NumPy's format; the header has room for any row count and is filled last."""

    _HEADER = 128

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._rows = 0
        self._like: Vectors = np.empty((0, 0), np.float32)
        file.write(self._header())

    def write(self, texts: Sequence[str], vectors: Vectors) -> None:
        self._file.write(np.ascontiguousarray(vectors).data)
        self._like = vectors[:0]
        self._rows += len(vectors)

    def close(self) -> None:
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


class _ParquetWriter:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._writer: Any = None

    def write(self, texts: Sequence[str], vectors: Vectors) -> None:
        import pyarrow
        from pyarrow import parquet

        values = pyarrow.array(np.ascontiguousarray(vectors).reshape(-1))
        lists = pyarrow.FixedSizeListArray.from_arrays(values, vectors.shape[1])
        table = pyarrow.table({"text": list(texts), "embedding": lists})
        if self._writer is None:
            self._writer = parquet.ParquetWriter(self._path, table.schema, compression="zstd")
        self._writer.write_table(table)

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()


def _decimals(vectors: Vectors) -> list[list[float]]:
    """Write float32 with the digits that it has, not with those of its double."""
    if vectors.dtype != np.float32:
        return vectors.tolist()  # type: ignore[no-any-return]
    return [[float(f"{value:.9g}") for value in row] for row in vectors.tolist()]
