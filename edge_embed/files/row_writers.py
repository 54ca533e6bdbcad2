"""Write rows one by one, in the format of the file's ending: .txt, .jsonl, .csv, .tsv, .parquet.

This is the counterpart of :func:`edge_embed.files.readers.read_rows`. A file appears whole or not
at all, and memory does not grow with the number of rows. In formats without such types, bytes are
written as Base64 and times as ISO 8601.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from edge_embed.files.atomic import atomic_file
from edge_embed.files.formats import WRITABLE_ROWS, output_format
from edge_embed.files.row_formats import RowWriter

__all__ = ["check_row_output", "open_row_check", "open_row_writer"]


@contextmanager
def open_row_writer(path: Path, *, like: Path | None = None) -> Iterator[RowWriter]:
    """Open a writer by the ending of ``path``.

    .txt takes rows of one column only; .csv is RFC 4180; .tsv is IANA's text/tab-separated-values,
    whose fields cannot contain tabs and line breaks.

    Args:
        path: The file.
        like: A .parquet file whose column types are used for a .parquet output.

    Raises:
        InputError: the ending is none of these, or a row does not fit the format.
        OutputError: the file cannot be written.
        MissingExtraError: a .parquet file, without pyarrow.
    """
    known = output_format(path, WRITABLE_ROWS)
    assert known.rows is not None  # noqa: S101 - output_format has checked it
    with atomic_file(path) as temporary, ExitStack() as stack:
        sink: Any = temporary
        if not known.opens_itself:
            sink = stack.enter_context(temporary.open("w", encoding="utf-8", newline=""))
        writer = known.rows(sink, path, like)
        yield writer
        writer.close()


@contextmanager
def open_row_check(path: Path, *, like: Path | None = None) -> Iterator[RowWriter]:
    """Open a writer that checks rows as the writer of ``path`` does, and writes nothing.

    With it, a row that does not fit the format is reported while the input is read.

    Raises:
        InputError: as for :func:`open_row_writer`.
    """
    known = output_format(path, WRITABLE_ROWS)
    assert known.rows is not None  # noqa: S101 - as above
    writer = known.rows(known.nowhere(), path, like)
    yield writer
    writer.close()


def check_row_output(path: Path) -> None:
    """Check that rows can be written in the format of ``path``, before any work is done.

    Raises:
        InputError: the format is unknown.
        MissingExtraError: a package for it is missing.
    """
    output_format(path, WRITABLE_ROWS)
