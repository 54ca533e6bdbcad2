"""A file of records that is read again instead of being held in memory."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from edge_embed.files.readers import Row, read_rows
from edge_embed.files.row_writers import open_row_check

__all__ = ["RecordFile"]


@dataclass(frozen=True)
class RecordFile:
    """A file of records; the fields are the arguments of :func:`read_rows`."""

    path: str
    column: str | None
    allow_empty: bool

    def rows(self) -> Iterator[Row]:
        """Yield the rows; see :func:`edge_embed.files.readers.read_rows`."""
        return read_rows(self.path, column=self.column, allow_empty=self.allow_empty)

    def checked_rows(self, output: Path) -> Iterator[Row]:
        """Yield the rows, and check that each can be written in the format of ``output``.

        Raises:
            InputError: a row cannot be written, or as for :meth:`rows`.
        """
        with open_row_check(output, like=Path(self.path)) as check:
            for row in self.rows():
                check.write(row.values)
                yield row

    def texts(self, wanted: Sequence[int] | None = None) -> Iterator[str]:
        """Yield the texts of all rows, or of the rows ``wanted``, ascending indices."""
        if wanted is None:
            yield from (row.text for row in self.rows())
            return
        chosen = iter(wanted)
        following = next(chosen, None)
        for number, row in enumerate(self.rows()):
            if number == following:
                yield row.text
                following = next(chosen, None)
