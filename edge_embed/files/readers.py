"""Read texts from files, one at a time: .txt, .jsonl, .csv, .tsv, .parquet, or standard input.

Readers yield while they read, so memory does not grow with the file; errors name file and line. All
formats but .parquet may be compressed with gzip (.txt.gz).
"""

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from edge_embed.errors import InputError
from edge_embed.files.formats import input_format
from edge_embed.files.row_readers import Pick, Places, read_lines

__all__ = ["Record", "Row", "read_records", "read_rows", "read_texts"]

# The column of texts, if a file has several and the user names none.
_DEFAULT_COLUMN = "text"


def read_texts(
    source: str | Path, *, column: str | None = None, allow_empty: bool = False
) -> Iterator[str]:
    """Yield the texts of ``source`` in order.

    Args:
        source: A path whose ending determines the format, or ``-`` for standard input, one text a
            line. .txt is one text a line; .jsonl one object (or string) a line; .csv is RFC 4180
            with a header line, or the same with semicolons, tabs or bars if that is unambiguous;
            .tsv has a header line and no quoting (IANA text/tab-separated-values). The encoding is
            UTF-8, or UTF-16 or UTF-32 with a byte order mark.
        column: Name of the column; needed if a file has several and none is ``text``.
        allow_empty: Yield empty texts instead of refusing them.

    Raises:
        InputError: the file is missing, empty, not UTF-8, of an unknown format, lacks the column,
            or a text in it is empty.
        MissingExtraError: a .parquet file, without pyarrow.
    """
    name = "standard input" if str(source) == "-" else str(source)
    count = 0
    for place, (text,) in _rows(source, name, _one_column(column), named=column is not None):
        if not isinstance(text, str):
            raise InputError(f"{name}, {place}: the text is not a string but {text!r:.40}")
        if not allow_empty and not text.strip():
            raise InputError(
                f"{name}, {place}: the text is empty; remove it, or give --allow-empty to embed it"
            )
        count += 1
        yield text
    if not count:
        raise InputError(f"{name} is empty: there is nothing to read")


@dataclass(frozen=True)
class Record:
    """The wanted columns of one row."""

    place: str
    """Where it is in the file, such as ``line 12``, for messages."""
    values: Mapping[str, str]
    """Column to content; numbers of .jsonl and .parquet as text."""


def read_records(
    source: str | Path, columns: Mapping[str, Sequence[str]], *, optional: Sequence[str] = ()
) -> Iterator[Record]:
    """Yield the rows of a file with named columns (.jsonl, .csv, .tsv, .parquet).

    Args:
        source: A path whose ending determines the format, as for :func:`read_texts`.
        columns: Name of each wanted column to the names that it may have in the file.
        optional: Wanted columns that may be absent; their values are then empty.

    Raises:
        InputError: the file is missing, empty, not UTF-8, of another format, or lacks a column.
        MissingExtraError: a .parquet file, without pyarrow.
    """
    name = str(source)
    if name == "-" or not input_format(Path(source), name).columns:
        raise InputError(f"{name} has no columns; give a .tsv, .csv, .jsonl or .parquet file")
    found: list[str] = []

    def pick(names: Sequence[str], where: str) -> Sequence[str]:
        found.clear()
        picked = []
        for column, aliases in columns.items():
            match = next((alias for alias in aliases if alias in names), None)
            if match is None and column not in optional:
                raise _no_column(aliases[0], names, where)
            if match is not None:
                found.append(column)
                picked.append(match)
        _refuse_twice(picked, names, where)
        return picked

    absent = dict.fromkeys(columns, "")
    empty = True
    for place, values in _rows(source, name, pick, named=True):
        texts = [_as_text(value, f"{name}, {place}") for value in values]
        yield Record(place, {**absent, **dict(zip(found, texts, strict=True))})
        empty = False
    if empty:
        raise InputError(f"{name} is empty: there is nothing to read")


@dataclass(frozen=True)
class Row:
    """One row with all of its columns."""

    place: str
    """Where it is in the file, such as ``line 12``, for messages."""
    column: str
    """The name of the column with the text."""
    text: str
    values: Mapping[str, object]
    """Every column; a .txt file has the one column ``text``."""


def read_rows(
    source: str | Path, *, column: str | None = None, allow_empty: bool = False
) -> Iterator[Row]:
    """Yield rows with all of their columns; the arguments are those of :func:`read_texts`.

    Raises:
        InputError: as for :func:`read_texts`, or two columns have the same name.
        MissingExtraError: a .parquet file, without pyarrow.
    """
    name = "standard input" if str(source) == "-" else str(source)
    one = _one_column(column)
    names: Sequence[str] = [_DEFAULT_COLUMN]
    text_column = _DEFAULT_COLUMN

    def pick(found: Sequence[str], where: str) -> Sequence[str]:
        nonlocal names, text_column
        if found is not names:
            (text_column,) = one(found, where)
            _refuse_twice(found, found, where)
            names = found
        return found

    empty = True
    for place, values in _rows(source, name, pick, named=column is not None):
        row = dict(zip(names, values, strict=True))
        text = row[text_column]
        if not isinstance(text, str):
            raise InputError(f"{name}, {place}: the text is not a string but {text!r:.40}")
        if not allow_empty and not text.strip():
            raise InputError(
                f"{name}, {place}: the text is empty; remove it, or give --allow-empty to keep it"
            )
        yield Row(place, text_column, text, row)
        empty = False
    if empty:
        raise InputError(f"{name} is empty: there is nothing to read")


def _as_text(value: object, where: str) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, (int, float)):
        return str(int(value)) if isinstance(value, bool) else str(value)
    raise InputError(f"{where}: a column holds neither text nor a number but {value!r:.40}")


def _one_column(column: str | None) -> Pick:
    """Return a function that picks the named column, or the only one, or the one called ``text``.

    The column that it picks at its first call is required at later calls.
    """

    def pick(names: Sequence[str], where: str) -> Sequence[str]:
        nonlocal column
        if column is None:
            column = names[0] if len(names) == 1 else _DEFAULT_COLUMN
            if column not in names:
                raise InputError(
                    f"{where} has the columns {_listed(names)}: name one with --column"
                )
        if column not in names:
            raise _no_column(column, names, where)
        _refuse_twice([column], names, where)
        return [column]

    return pick


def _rows(source: str | Path, name: str, pick: Pick, *, named: bool) -> Places:
    """Yield (place, values of the picked columns) of each row; ``place`` is for messages."""
    if str(source) == "-":
        if named:
            raise InputError("standard input has no columns: leave out --column")
        if sys.stdin is None:
            raise InputError("there is no standard input to read: give a file with -i FILE")
        return read_lines(sys.stdin.buffer, name)
    path = Path(source)
    known = input_format(path, name)
    if named and not known.columns:
        raise InputError(f"{name} has no columns: leave out --column")
    assert known.read is not None  # noqa: S101 - input_format has checked it
    return known.read(path, name, pick, named)


def _refuse_twice(wanted: Sequence[str], names: Sequence[str], where: str) -> None:
    """Refuse a wanted column if another has the same name."""
    twice = next((name for name in wanted if names.count(name) > 1), None)
    if twice is not None:
        raise InputError(f"{where} has two columns {twice!r:.60}: rename one")


def _no_column(column: str, columns: Sequence[str], name: str) -> InputError:
    return InputError(f"{name} has no column {column!r:.60}; it has: {_listed(columns)}")


def _listed(columns: Sequence[str]) -> str:
    """List the first columns' names for an error message."""
    named = ", ".join(column[:60] for column in columns[:20])
    return named if len(columns) <= 20 else f"{named} and {len(columns) - 20} more"
