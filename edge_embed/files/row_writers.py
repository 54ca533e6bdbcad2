"""Write rows as they come, by the file's ending: .txt, .jsonl, .csv, .tsv, .parquet.

The counterpart of :func:`edge_embed.files.readers.read_rows`: what was read comes out with all of
its columns. A file appears whole or not at all, and memory does not grow with the number of rows.
"""

import csv
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol, TextIO

from edge_embed.errors import InputError, MissingExtraError
from edge_embed.files.atomic import atomic_file

__all__ = ["WRITABLE_ROWS", "RowWriter", "check_row_output", "open_row_writer"]

WRITABLE_ROWS = (".txt", ".jsonl", ".csv", ".tsv", ".parquet")

Values = Mapping[str, object]

_PARQUET_ROWS = 8192


class RowWriter(Protocol):
    """Takes rows one by one."""

    def write(self, values: Values) -> None:
        """Add a row; all rows of a table have the same columns."""

    def close(self) -> None:
        """Complete the file."""


@contextmanager
def open_row_writer(path: Path, *, like: Path | None = None) -> Iterator[RowWriter]:
    """Open a writer by the ending of ``path``.

    .txt holds the texts alone, so it takes rows of one column; .csv is RFC 4180; .tsv is IANA's
    text/tab-separated-values, which cannot hold tabs and line breaks.

    Args:
        path: The file.
        like: A .parquet file whose column types a .parquet output takes over.

    Raises:
        InputError: the ending is none of these, or a row does not fit the format.
        OutputError: the file cannot be written.
        MissingExtraError: a .parquet file, without pyarrow.
    """
    check_row_output(path)
    with atomic_file(path) as temporary:
        if path.suffix == ".parquet":
            writer: RowWriter = _ParquetWriter(temporary, path, like)
            yield writer
            writer.close()
            return
        with temporary.open("w", encoding="utf-8", newline="") as file:
            writer = _LINE_WRITERS[path.suffix](file, path)
            yield writer
            writer.close()


def check_row_output(path: Path) -> None:
    """Refuse an output whose format is unknown or not installed, before any work is done."""
    if path.suffix not in WRITABLE_ROWS:
        raise InputError(
            f"cannot tell the format of {path}: its ending should be one of "
            f"{', '.join(WRITABLE_ROWS)}"
        )
    if path.suffix == ".parquet":
        try:
            import pyarrow.parquet  # noqa: F401
        except ImportError:
            raise MissingExtraError("writing .parquet files", "parquet", "pyarrow") from None


class _LineWriter:
    def __init__(self, file: TextIO, path: Path) -> None:
        self._file, self._path = file, path
        self._columns: list[str] | None = None

    def columns(self, values: Values) -> list[str]:
        """Return the columns of the first row, after a look whether this one has the same."""
        if self._columns is None:
            self._columns = list(values)
        elif set(values) != set(self._columns):
            raise InputError(
                f"cannot write {self._path}: rows have different columns ({', '.join(values)}); "
                "choose .jsonl"
            )
        return self._columns

    def close(self) -> None:
        """Nothing is left to write."""


class _TxtWriter(_LineWriter):
    def write(self, values: Values) -> None:
        if len(values) != 1:
            raise InputError(
                f"{self._path} would lose columns ({', '.join(values)}): choose .jsonl, .csv, "
                ".tsv or .parquet"
            )
        text = str(next(iter(values.values())))
        if "\n" in text or "\r" in text:
            raise InputError(
                f"cannot write {self._path}: a text has a line break; choose .jsonl or .csv"
            )
        self._file.write(text + "\n")


class _JsonlWriter(_LineWriter):
    def write(self, values: Values) -> None:
        self._file.write(json.dumps(dict(values), ensure_ascii=False, default=str) + "\n")


class _CsvWriter(_LineWriter):
    def __init__(self, file: TextIO, path: Path) -> None:
        super().__init__(file, path)
        self._writer = csv.writer(file, lineterminator="\r\n" if path.suffix == ".csv" else "\n")

    def write(self, values: Values) -> None:
        new = self._columns is None
        names = self.columns(values)
        if new:
            self._writer.writerow(names)
        fields = [_field(values[name]) for name in names]
        if fields == [""]:  # a lone empty field would read as a blank line
            self._file.write('""\r\n')
        else:
            self._writer.writerow(fields)


class _TsvWriter(_LineWriter):
    def write(self, values: Values) -> None:
        new = self._columns is None
        names = self.columns(values)
        if new:
            self._line(names)
        self._line([_field(values[name]) for name in names])

    def _line(self, fields: list[str]) -> None:
        if any(set(field) & set("\t\r\n") for field in fields):
            raise InputError(
                f"cannot write {self._path}: a field has a tab or a line break; choose .jsonl or "
                ".csv"
            )
        self._file.write("\t".join(fields) + "\n")


_LINE_WRITERS: Mapping[str, Callable[[TextIO, Path], RowWriter]] = {
    ".txt": _TxtWriter,
    ".jsonl": _JsonlWriter,
    ".csv": _CsvWriter,
    ".tsv": _TsvWriter,
}


class _ParquetWriter:
    def __init__(self, temporary: Path, path: Path, like: Path | None) -> None:
        self._temporary, self._path = temporary, path
        self._writer: Any = None
        self._rows: list[dict[str, object]] = []
        self._schema: Any = None
        if like is not None and like.suffix.lower() == ".parquet":
            from pyarrow import parquet

            self._schema = parquet.read_schema(like)

    def write(self, values: Values) -> None:
        self._rows.append(dict(values))
        if len(self._rows) >= _PARQUET_ROWS:
            self._flush()

    def _flush(self) -> None:
        import pyarrow
        from pyarrow import parquet

        try:
            table = pyarrow.Table.from_pylist(self._rows, schema=self._schema)
            if self._writer is None:
                self._schema = table.schema
                self._writer = parquet.ParquetWriter(
                    self._temporary, table.schema, compression="zstd"
                )
            self._writer.write_table(table)
        except (pyarrow.ArrowInvalid, pyarrow.ArrowTypeError) as error:
            raise InputError(
                f"cannot write {self._path}: a column mixes types ({error}); choose .jsonl"
            ) from error
        self._rows = []

    def close(self) -> None:
        if self._rows or self._writer is None:
            self._flush()
        self._writer.close()


def _field(value: object) -> str:
    """Write a value into a table: text as it is, nothing as empty, what is nested as JSON."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, (bool, list, dict)):
        return json.dumps(value, ensure_ascii=False, default=str)
    return str(value)
