"""The files, name and columns of a dataset."""

from collections.abc import Sequence
from pathlib import Path

from edge_embed.errors import InputError
from edge_embed.files.formats import TABLES
from edge_embed.files.readers import Record

__all__ = ["dataset_name", "number", "table_files", "text"]


def table_files(path: Path) -> list[Path]:
    """Return ``path`` itself, or the tables of a folder, sorted by name.

    Raises:
        InputError: there is no such file, or the folder has no table.
    """
    if not path.exists():
        raise InputError(f"no such file or folder: {path}")
    if not path.is_dir():
        return [path]
    files = sorted(file for file in path.iterdir() if file.name.lower().endswith(TABLES))
    if not files:
        raise InputError(f"{path} holds no table ({', '.join(TABLES)})")
    return files


def dataset_name(path: Path) -> str:
    """Return a short name: that of a folder, or ``FOLDER/FILE`` without ending for a file."""
    path = path.resolve()
    if path.is_dir():
        return path.name
    ending = next((ending for ending in TABLES if path.name.lower().endswith(ending)), "")
    return f"{path.parent.name}/{path.name.removesuffix(ending)}"


def number(record: Record, column: str, file: Path) -> float:
    """Return a column of ``record`` as a finite number.

    Raises:
        InputError: it is not a number; the message names file and line.
    """
    value = record.values[column]
    try:
        result = float(value)
    except ValueError:
        result = float("nan")
    if not abs(result) < float("inf"):
        raise InputError(f"{file}, {record.place}: the {column} {value!r:.40} is not a number")
    return result


def text(record: Record, column: str, file: Path) -> str:
    """Return a text column of ``record``.

    Raises:
        InputError: it is empty; the message names file and line.
    """
    value = record.values[column]
    if not value.strip():
        raise InputError(f"{file}, {record.place}: the {column} is empty; remove the row")
    return value


def column_names(*names: str) -> dict[str, Sequence[str]]:
    """Return the argument ``columns`` of ``read_records`` for columns without other names."""
    return {name: (name,) for name in names}
