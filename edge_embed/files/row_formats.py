"""Writers of rows, one a format; :mod:`edge_embed.files.formats` is the table of formats."""

import base64
import csv
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, TextIO

from edge_embed.errors import InputError
from edge_embed.files.arrow_values import arrow_column
from edge_embed.files.json_values import json_value

__all__ = ["CsvRows", "JsonlRows", "ParquetRows", "RowWriter", "TsvRows", "TxtRows", "Values"]

Values = Mapping[str, object]

_PARQUET_ROWS = 8192


class RowWriter(Protocol):
    """Writes rows one by one."""

    def write(self, values: Values) -> None:
        """Add a row; all rows of a table have the same columns."""

    def close(self) -> None:
        """Complete the file."""


class _LineWriter:
    def __init__(self, file: TextIO, path: Path, like: Path | None = None) -> None:
        self._file, self._path = file, path
        self._columns: list[str] | None = None

    def columns(self, values: Values) -> list[str]:
        """Return the columns of the first row, and check that this row has the same."""
        if self._columns is None:
            self._columns = list(values)
        elif set(values) != set(self._columns):
            raise InputError(
                f"cannot write {self._path}: rows have different columns ({', '.join(values)}); "
                "choose .jsonl"
            )
        return self._columns

    def close(self) -> None:
        """Do nothing, as every row is written at once."""


class TxtRows(_LineWriter):
    """One text a line."""

    def write(self, values: Values) -> None:
        """Add a row."""
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


class JsonlRows(_LineWriter):
    """One object a line."""

    def write(self, values: Values) -> None:
        """Add a row."""
        self._file.write(_json(dict(values)) + "\n")


class CsvRows(_LineWriter):
    """A table with quoting, RFC 4180."""

    def __init__(self, file: TextIO, path: Path, like: Path | None = None) -> None:
        super().__init__(file, path)
        self._writer = csv.writer(file, lineterminator="\r\n" if path.suffix == ".csv" else "\n")

    def write(self, values: Values) -> None:
        """Add a row."""
        new = self._columns is None
        names = self.columns(values)
        if new:
            self._writer.writerow(names)
        fields = [_field(values[name]) for name in names]
        if fields == [""]:  # a single empty field would be read as a blank line
            self._file.write('""\r\n')
        else:
            self._writer.writerow(fields)


class TsvRows(_LineWriter):
    """A table separated by tabs, without quoting."""

    def write(self, values: Values) -> None:
        """Add a row."""
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


class ParquetRows:
    """A Parquet table, with pyarrow."""

    def __init__(self, sink: Any, path: Path, like: Path | None = None) -> None:  # noqa: ANN401
        self._sink, self._path = sink, path
        self._writer: Any = None
        self._rows: list[Values] = []
        self._schema: Any = None
        if like is not None and like.suffix.lower() == ".parquet":
            from pyarrow import parquet

            self._schema = parquet.read_schema(like)

    def write(self, values: Values) -> None:
        """Add a row."""
        self._rows.append(dict(values))
        if len(self._rows) >= _PARQUET_ROWS:
            self._flush()

    def _flush(self) -> None:
        import pyarrow
        from pyarrow import parquet

        try:
            table = self._table()
            if self._writer is None:
                self._schema = table.schema
                self._writer = parquet.ParquetWriter(self._sink, table.schema, compression="zstd")
            self._writer.write_table(table)
        except (pyarrow.ArrowInvalid, pyarrow.ArrowTypeError, OverflowError) as error:
            raise InputError(
                f"cannot write {self._path}: a column mixes types ({error}); choose .jsonl"
            ) from error
        self._rows = []

    def _table(self) -> Any:  # noqa: ANN401
        """Return the rows as a table; Arrow infers the types of columns without a known type."""
        import pyarrow

        known = [] if self._schema is None else list(self._schema.names)
        names = dict.fromkeys([*known, *(name for row in self._rows for name in row)])
        columns = {}
        for name in names:
            kind = self._schema.field(name).type if name in known else None
            columns[name] = arrow_column([row.get(name) for row in self._rows], kind)
        if self._writer is not None and len(columns) > len(known):
            raise InputError(
                f"cannot write {self._path}: rows have different columns; choose .jsonl"
            )
        table = pyarrow.table(columns)
        return (
            table if self._schema is None else table.replace_schema_metadata(self._schema.metadata)
        )

    def close(self) -> None:
        """Complete the file."""
        if self._rows or self._writer is None:
            self._flush()
        self._writer.close()


def _field(value: object) -> str:
    """Return a value as a field of a table: None as empty, nested values as JSON."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, (bool, list, dict)):
        return _json(value)
    return _plain(value)


def _json(value: object) -> str:
    """Return a value as JSON; numbers of Parquet that JSON has not, such as NaN, as null."""
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False, default=_plain)
    except ValueError:
        return json.dumps(json_value(value), ensure_ascii=False)


def _plain(value: object) -> str:
    """Return a value without a JSON type as text."""
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    return str(value)
