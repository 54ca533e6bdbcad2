"""The first pass over records: hashes of their texts, and the value by which records are kept."""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edge_embed.errors import InputError
from edge_embed.files.readers import Row
from edge_embed.files.record_file import RecordFile
from edge_embed.tasks.deduplication.exact import TextKeys

__all__ = ["Scan", "scan_records"]


@dataclass(frozen=True, eq=False)
class Scan:
    """The result of the first pass over records."""

    keys: TextKeys
    values: Sequence[float] | None
    """A number for each record, (n,); the highest is kept. None keeps the first."""


def scan_records(records: RecordFile, keep: str = "first", *, output: Path | None = None) -> Scan:
    """Read all records, hash their texts, and read the value by which records are kept.

    Args:
        records: The file.
        keep: ``first``, ``longest``, or the name of a column of numbers, of which the highest is
            kept.
        output: The file that records will be written to; a record that does not fit its format is
            refused.

    Raises:
        InputError: the file cannot be read, or the column is missing or holds no number.
    """
    keys, values = TextKeys(), array("d")
    for row in records.rows() if output is None else records.checked_rows(output):
        keys.add(row.text)
        if keep == "longest":
            values.append(len(row.text))
        elif keep != "first":
            values.append(_number(records.path, row, keep))
    return Scan(keys, None if keep == "first" else values)


def _number(path: str, row: Row, column: str) -> float:
    if column not in row.values:
        raise InputError(
            f"{path}, {row.place}: there is no column {column!r} to keep the highest of; "
            f"it has: {', '.join(row.values)}"
        )
    try:
        value = float(str(row.values[column]))
    except ValueError:
        value = float("nan")
    if not abs(value) < float("inf"):
        raise InputError(
            f"{path}, {row.place}: the {column} {row.values[column]!r:.40} is not a number"
        )
    return value
