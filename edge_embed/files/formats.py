"""The file formats: one table for reading, writing, help and errors.

To add a format, add a line to :data:`FORMATS`; its readers and writers go into a new module, or
into :mod:`~edge_embed.files.row_readers`, :mod:`~edge_embed.files.row_formats` and
:mod:`~edge_embed.files.vector_formats`.
"""

import io
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_embed.errors import InputError, MissingExtraError
from edge_embed.files import row_formats, row_readers, vector_formats
from edge_embed.files.row_formats import RowWriter
from edge_embed.files.row_readers import Pick, Places
from edge_embed.files.vector_formats import VectorWriter

__all__ = [
    "FORMATS",
    "READABLE",
    "TABLES",
    "WRITABLE_ROWS",
    "WRITABLE_VECTORS",
    "FileFormat",
    "input_format",
    "output_format",
]


class _Nowhere(io.TextIOBase):
    def write(self, text: str) -> int:
        return len(text)


@dataclass(frozen=True, kw_only=True)
class FileFormat:
    """A format; a field is None if the format does not support it."""

    read: Callable[[Path, str, Pick, bool], Places] | None = None
    """Reads a file. Arguments: the path, its name for errors, the function that picks columns, and
    whether the user named a column."""
    columns: bool = True
    """Whether files have named columns."""
    compressible: bool = True
    """Whether .gz files are read too."""
    rows: Callable[[Any, Path, Path | None], RowWriter] | None = None
    """Writes rows. Arguments: an open text file, the output's path for errors, and optionally an
    input file whose column types are used."""
    nowhere: Callable[[], Any] = _Nowhere
    """Makes a sink that discards its input, to test whether rows can be written."""
    vectors: Callable[[Any], VectorWriter] | None = None
    """Writes vectors to an open binary file."""
    opens_itself: bool = False
    """Whether the writers take a path instead of an open file."""
    check: Callable[[], None] = lambda: None
    """Raises a MissingExtraError if a package for writing is missing."""


def _parquet_sink() -> Any:  # noqa: ANN401
    import pyarrow

    return pyarrow.MockOutputStream()


def _check_parquet() -> None:
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError:
        raise MissingExtraError("writing .parquet files", "parquet", "pyarrow") from None


FORMATS = {
    ".npy": FileFormat(vectors=vector_formats.NpyVectors),
    ".txt": FileFormat(read=row_readers.read_txt, columns=False, rows=row_formats.TxtRows),
    ".jsonl": FileFormat(
        read=row_readers.read_jsonl,
        rows=row_formats.JsonlRows,
        vectors=vector_formats.JsonVectors,
    ),
    ".csv": FileFormat(read=row_readers.read_csv, rows=row_formats.CsvRows),
    ".tsv": FileFormat(read=row_readers.read_tsv, rows=row_formats.TsvRows),
    ".parquet": FileFormat(
        read=row_readers.read_parquet,
        compressible=False,
        rows=row_formats.ParquetRows,
        opens_itself=True,
        nowhere=_parquet_sink,
        vectors=vector_formats.ParquetVectors,
        check=_check_parquet,
    ),
}
"""Each format by its file's ending."""

READABLE = tuple(ending for ending, known in FORMATS.items() if known.read)
"""Endings of files that texts are read from."""

TABLES = tuple(
    ending + packing
    for packing in ("", ".gz")
    for ending, known in FORMATS.items()
    if known.read and known.columns and (known.compressible or not packing)
)
"""Endings of files with named columns, the compressed ones too."""

WRITABLE_ROWS = tuple(ending for ending, known in FORMATS.items() if known.rows)
"""Endings of files that rows are written to."""

WRITABLE_VECTORS = tuple(ending for ending, known in FORMATS.items() if known.vectors)
"""Endings of files that vectors are written to."""


def input_format(path: Path, name: str) -> FileFormat:
    """Return the format of a file to read, by its ending without .gz.

    Raises:
        InputError: the ending is none of :data:`READABLE`, or there is no such file; ``name`` is
            what the message calls it.
    """
    compressed = path.suffix.lower() == ".gz"
    ending = Path(path.stem).suffix.lower() if compressed else path.suffix.lower()
    known = FORMATS.get(ending)
    if known is None or known.read is None or (compressed and not known.compressible):
        if not path.exists():
            raise InputError(f"{name} does not exist")
        raise _unknown(name, READABLE)
    return known


def output_format(path: Path, endings: Iterable[str]) -> FileFormat:
    """Return the format of a file to write, if it is among ``endings`` and can be written.

    Raises:
        InputError: the ending is none of these.
        MissingExtraError: a package is missing.
    """
    if path.suffix not in endings:
        raise _unknown(path, endings)
    known = FORMATS[path.suffix]
    known.check()
    return known


def _unknown(name: str | Path, endings: Iterable[str]) -> InputError:
    return InputError(
        f"cannot tell the format of {name}: its ending should be one of {', '.join(endings)}"
    )
