"""A file of records that is read more than once instead of being held in memory."""

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edge_embed.errors import InputError
from edge_embed.files.readers import Row, read_rows
from edge_embed.files.row_writers import open_row_check

if TYPE_CHECKING:  # tasks need numpy alone, but a command that fails early should not wait for it
    from edge_embed.tasks import TextKeys

__all__ = ["RecordFile", "Scan"]


@dataclass(frozen=True, eq=False)
class Scan:
    """What one pass over records tells."""

    keys: "TextKeys"
    values: Sequence[float] | None
    """For each record how good it is, (n,); None where the first is the best."""


@dataclass(frozen=True)
class RecordFile:
    """A file, and which of its columns is the text."""

    path: str
    column: str | None
    allow_empty: bool

    def rows(self) -> Iterator[Row]:
        """Yield the rows; see :func:`edge_embed.files.readers.read_rows`."""
        return read_rows(self.path, column=self.column, allow_empty=self.allow_empty)

    def checked_rows(self, output: Path) -> Iterator[Row]:
        """Yield the rows, after a look whether each can be written to ``output``.

        Raises:
            InputError: one cannot, or as for :meth:`rows`.
        """
        with open_row_check(output, like=Path(self.path)) as check:
            for row in self.rows():
                check.write(row.values)
                yield row

    def texts(self, wanted: Sequence[int] | None = None) -> Iterator[str]:
        """Yield the texts, or those of some rows, given ascending."""
        if wanted is None:
            yield from (row.text for row in self.rows())
            return
        chosen = iter(wanted)
        following = next(chosen, None)
        for number, row in enumerate(self.rows()):
            if number == following:
                yield row.text
                following = next(chosen, None)

    def scan(self, keep: str = "first", *, output: Path | None = None) -> Scan:
        """Read all texts for exact duplicates, and how good each record is.

        Args:
            keep: ``first``, ``longest``, or the name of a column of numbers.
            output: Where the records will be written; one that does not fit its format is refused.

        Raises:
            InputError: as for :meth:`rows`, or the column is missing or holds no number.
        """
        from edge_embed.tasks import TextKeys

        keys, values = TextKeys(), array("d")
        for row in self.rows() if output is None else self.checked_rows(output):
            keys.add(row.text)
            if keep == "longest":
                values.append(len(row.text))
            elif keep != "first":
                values.append(self._number(row, keep))
        return Scan(keys, None if keep == "first" else values)

    def _number(self, row: Row, column: str) -> float:
        if column not in row.values:
            raise InputError(
                f"{self.path}, {row.place}: there is no column {column!r} to keep the highest of; "
                f"it has: {', '.join(row.values)}"
            )
        try:
            value = float(str(row.values[column]))
        except ValueError:
            value = float("nan")
        if not abs(value) < float("inf"):
            raise InputError(
                f"{self.path}, {row.place}: the {column} {row.values[column]!r:.40} is not a number"
            )
        return value
