"""Readers of rows, one a format; :mod:`edge_embed.files.formats` is the table of formats."""

import gzip
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from edge_embed.errors import InputError
from edge_embed.files.arrow_values import parquet_rows
from edge_embed.files.json_values import parse_line
from edge_embed.files.tables import table_rows
from edge_embed.files.text_lines import decoded_lines

__all__ = [
    "Pick",
    "Places",
    "read_csv",
    "read_jsonl",
    "read_lines",
    "read_parquet",
    "read_tsv",
    "read_txt",
]

Pick = Callable[[Sequence[str], str], Sequence[str]]
"""Function from the column names of a file, and its name for errors, to the wanted ones."""

Places = Iterator[tuple[str, Sequence[object]]]
"""Rows: the place in the file, such as ``line 3``, and the values of the picked columns."""


def read_lines(file: BinaryIO, name: str) -> Places:
    """Yield the lines of an open file as rows of one column."""
    for number, line in enumerate(decoded_lines(file, name), 1):
        yield f"line {number}", [line.rstrip("\r\n")]


def read_txt(path: Path, name: str, pick: Pick, named: bool) -> Places:
    """Read one text a line."""
    with _open(path, name) as file:
        yield from read_lines(file, name)


def read_jsonl(path: Path, name: str, pick: Pick, named: bool) -> Places:
    """Read one object a line; strings too, unless the user named a column (``named``)."""
    with _open(path, name) as file:
        yield from _objects(file, name, pick, named=named)


def read_csv(path: Path, name: str, pick: Pick, named: bool) -> Places:
    """Read a table with quoting."""
    with _open(path, name) as file:
        yield from _table(file, name, pick, tabs=False)


def read_tsv(path: Path, name: str, pick: Pick, named: bool) -> Places:
    """Read a table separated by tabs, without quoting."""
    with _open(path, name) as file:
        yield from _table(file, name, pick, tabs=True)


def read_parquet(path: Path, name: str, pick: Pick, named: bool) -> Places:
    """Read a Parquet table."""
    with _read_errors(name):
        yield from parquet_rows(path, name, pick)


@contextmanager
def _open(path: Path, name: str) -> Iterator[BinaryIO]:
    """Open a file for reading; one that ends in .gz is decompressed."""
    with _read_errors(name), path.open("rb") as file:
        if path.suffix.lower() == ".gz":
            with gzip.open(file) as unpacked:
                yield cast(BinaryIO, unpacked)
        else:
            yield file


@contextmanager
def _read_errors(name: str) -> Iterator[None]:
    """Turn the system's and gzip's errors within the block into an InputError."""
    try:
        yield
    except FileNotFoundError:
        raise InputError(f"no such file: {name}") from None
    except (gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise InputError(f"{name} is not a whole gzip file ({error}); copy it again") from None
    except OSError as error:
        raise InputError(f"cannot read {name}: {error.strerror or error}") from error


def _objects(file: BinaryIO, name: str, pick: Pick, *, named: bool) -> Places:
    for number, line in enumerate(decoded_lines(file, name), 1):
        place = f"line {number}"
        record = parse_line(line, f"{name}, {place}")
        if isinstance(record, dict):
            where = name if number == 1 else f"{name}, {place}"
            yield place, [record[column] for column in pick(list(record), where)]
        elif named:
            raise InputError(f"{name}, {place}: not an object, so it has no named columns")
        else:
            yield place, [record]


def _table(file: BinaryIO, name: str, pick: Pick, *, tabs: bool) -> Places:
    rows = table_rows(decoded_lines(file, name), name, tabs=tabs)
    first = next(rows, None)
    if first is None:
        return
    _, header = first
    indices = [header.index(column) for column in pick(header, name)]
    for number, row in rows:
        yield f"line {number}", [row[index] for index in indices]
