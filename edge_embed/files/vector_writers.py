"""Write vectors as they come: .npy, .jsonl, .parquet, or one JSON document on standard output.

A file appears whole or not at all, and memory does not grow with the number of vectors.
"""

import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from edge_embed.files.atomic import atomic_file
from edge_embed.files.formats import WRITABLE_VECTORS, output_format
from edge_embed.files.vector_formats import JsonVectors, VectorWriter
from edge_embed.files.write_errors import temporary_files

__all__ = ["check_output", "open_writer"]

# Bytes kept in memory before standard output's document goes to a temporary file.
_SPOOL = 1 << 22


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
        spool = tempfile.SpooledTemporaryFile(_SPOOL)  # noqa: SIM115 - closed below
        try:
            with temporary_files():
                writer: VectorWriter = JsonVectors(spool, "[\n", ",\n", "\n]\n")
                yield writer
                writer.close()
                spool.seek(0)
            shutil.copyfileobj(spool, sys.stdout.buffer)
            sys.stdout.buffer.flush()
        finally:
            with suppress(OSError):  # what could not be written has been said
                spool.close()
        return
    path = Path(path)
    known = output_format(path, WRITABLE_VECTORS)
    assert known.vectors is not None  # noqa: S101 - it is among those that can
    with atomic_file(path) as temporary, ExitStack() as stack:
        sink: Any = temporary if known.opens_itself else stack.enter_context(temporary.open("wb"))
        writer = known.vectors(sink)
        yield writer
        writer.close()


def check_output(path: str | Path) -> None:
    """Refuse an output whose format is unknown or not installed, before any work is done."""
    output_format(Path(path), WRITABLE_VECTORS)
