"""Rows of a Parquet file as Python objects; values without a Python type are kept as Arrow's.

Python's times have microseconds at most, and its dates end in the year 9999. Other times and dates
are kept as Arrow scalars, and written as text (ISO 8601) to formats without such a type.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_embed.errors import InputError, MissingExtraError

__all__ = ["ArrowValue", "arrow_column", "parquet_rows"]

_ROWS = 8192


@dataclass(frozen=True)
class ArrowValue:
    """A value without a Python type."""

    scalar: Any
    """Arrow's scalar."""
    text: str
    """The value as text (ISO 8601)."""

    def __str__(self) -> str:
        return self.text


def parquet_rows(
    path: Path, name: str, pick: Callable[[Sequence[str], str], Sequence[str]]
) -> Iterator[tuple[str, list[object]]]:
    """Yield (where, values of the wanted columns) of each row.

    Args:
        path: The file.
        name: The file's name in errors.
        pick: Called with the names of all columns and ``name``; returns the wanted ones, in order.

    Raises:
        InputError: the file or a value cannot be read; the message names row and column.
        MissingExtraError: pyarrow is not installed.
    """
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise MissingExtraError("reading .parquet files", "parquet", "pyarrow") from None
    try:
        with parquet.ParquetFile(path, memory_map=True) as table:
            wanted: Sequence[str] = list(pick(table.schema_arrow.names, name))
            first = 0
            for batch in table.iter_batches(_ROWS, columns=list(dict.fromkeys(wanted))):
                read = [
                    _values(batch.column(batch.schema.get_field_index(c)), c, name, first)
                    for c in wanted
                ]
                for row, values in enumerate(zip(*read, strict=True), first):
                    yield f"row {row}", list(values)
                first += batch.num_rows
    except pyarrow.ArrowException as error:
        raise InputError(f"{name} is not a readable Parquet file: {error}") from error


def arrow_column(values: Sequence[object], kind: Any) -> Any:  # noqa: ANN401
    """Return values of one column as an Arrow array of type ``kind``; None lets Arrow choose."""
    import pyarrow

    bare = [value.scalar if isinstance(value, ArrowValue) else value for value in values]
    return pyarrow.array(bare, type=kind)


def _values(array: Any, column: str, name: str, first: int) -> list[object]:  # noqa: ANN401
    import pyarrow

    kind = array.type
    if getattr(kind, "unit", None) == "ns":
        return _arrow_values(array)
    try:
        values: list[object] = array.to_pylist()
    except (ValueError, OverflowError, pyarrow.ArrowException):
        if pyarrow.types.is_temporal(kind):
            return _arrow_values(array)
        row, why = _first_unreadable(array)
        raise InputError(
            f"{name}, row {first + row}: the column {column!r} ({kind}) holds a value that cannot "
            f"be read ({why}): repair it, or leave the column out"
        ) from None
    return values


def _arrow_values(array: Any) -> list[object]:  # noqa: ANN401
    import pyarrow

    try:
        texts = array.cast(pyarrow.string()).to_pylist()
    except pyarrow.ArrowException:
        texts = array.cast(pyarrow.int64()).to_pylist()
    return [
        None if text is None else ArrowValue(scalar, _short(str(text)))
        for scalar, text in zip(array, texts, strict=True)
    ]


def _short(text: str) -> str:
    """Remove trailing zeros of a second's fraction, as Python does."""
    return re.sub(r"(\.\d*?)0+(?=$|[-+Z])", lambda m: m[1] if len(m[1]) > 1 else "", text)


def _first_unreadable(array: Any) -> tuple[int, str]:  # noqa: ANN401
    for row, scalar in enumerate(array):
        try:
            scalar.as_py()
        except Exception as error:  # noqa: BLE001 - any error is only reported
            return row, type(error).__name__
    return 0, "unknown"
