"""Write vectors chunk by chunk: .npy, .jsonl, .parquet, or a JSON document on standard output.

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

# Bytes of standard output's document that are held in memory; more go to a temporary file.
_SPOOL = 1 << 22


@contextmanager
def open_writer(path: str | Path | None) -> Iterator[VectorWriter]:
    """Open a writer by the ending of ``path``; None is standard output, as one JSON array.

    .npy has the array only; .jsonl and the JSON array have objects with ``text`` and ``embedding``;
    .parquet has the columns ``text`` and ``embedding`` (fixed-size list).

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
            with suppress(OSError):  # an error of writing has been raised already
                spool.close()
        return
    path = Path(path)
    known = output_format(path, WRITABLE_VECTORS)
    assert known.vectors is not None  # noqa: S101 - output_format has checked it
    with atomic_file(path) as temporary, ExitStack() as stack:
        sink: Any = temporary if known.opens_itself else stack.enter_context(temporary.open("wb"))
        writer = known.vectors(sink)
        yield writer
        writer.close()


def check_output(path: str | Path) -> None:
    """Check that vectors can be written in the format of ``path``, before any work is done.

    Raises:
        InputError: the format is unknown.
        MissingExtraError: a package for it is missing.
    """
    output_format(Path(path), WRITABLE_VECTORS)
