"""A file of records that a command reads more than once instead of holding it in memory."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from edge_embed.text_files import Row, read_rows

__all__ = ["RecordFile"]


@dataclass(frozen=True)
class RecordFile:
    """A file, and which of its columns is the text."""

    path: str
    column: str | None
    allow_empty: bool

    def rows(self) -> Iterator[Row]:
        """Yield the rows; see :func:`edge_embed.text_files.read_rows`."""
        return read_rows(self.path, column=self.column, allow_empty=self.allow_empty)

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
