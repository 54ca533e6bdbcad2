"""Metadata of entries: check and write them as JSON, and filter by them.

The rule of filters, for every search engine: a number equals the same number of another type (3 and
3.0) and its text ("3"); a text equals itself and the number or boolean that it spells. So
``page=3`` finds a row whether its file has types (.jsonl, .parquet) or only text (.csv, .tsv).
Booleans are not numbers.
"""

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from edge_embed.errors import InputError
from edge_embed.files.json_text import parse_json
from edge_embed.tasks.index.passages import PASSAGE_MARK

__all__ = [
    "DOCUMENT",
    "Where",
    "document_values",
    "fits",
    "metadata_as_json",
    "sql_condition",
    "where_choices",
]

DOCUMENT = "id = ? OR (id >= ? AND id < ? AND json_extract(entries.metadata, '$.document') = ?)"
"""SQL condition for the entries of a document, whole or as passages."""

Where = Mapping[str, object]

_MAX_CHOICES = 1000  # values in a filter; SQLite takes 32,766 in a statement


def where_choices(where: Where) -> dict[str, list[Any]]:
    """Return each name of a filter with all values that match, by the rule of filters.

    Raises:
        InputError: a value is not a text, a number, a boolean or a list of these; a name or a text
            cannot be stored; or there are too many values.
    """
    named: dict[str, list[Any]] = {}
    for name, wanted in where.items():
        choices = list(wanted) if isinstance(wanted, (list, tuple, set)) else [wanted]
        if not (_is_name(name) and all(map(_is_choice, choices))):
            raise InputError(
                f"cannot filter by {name!r:.40}: texts, truth values and numbers of 64 bits are "
                "compared, under names without quotes"
            )
        named[name] = choices
    count = sum(map(len, named.values()))
    if count > _MAX_CHOICES or len(named) > _MAX_CHOICES:
        raise InputError(f"the filter has {count} values; it takes {_MAX_CHOICES}")
    for name, choices in named.items():
        alike = (equal for choice in choices for equal in _alike(choice))
        named[name] = list({(type(value), value): value for value in alike}.values())
    return named


def fits(metadata: Mapping[str, Any], choices: Mapping[str, Sequence[Any]]) -> bool:
    """Return whether metadata have one of the values of each name, see :func:`where_choices`."""
    return all(
        any(_equal(metadata.get(name), value) for value in values)
        for name, values in choices.items()
    )


def _equal(stored: object, value: object) -> bool:
    return stored == value and isinstance(stored, bool) == isinstance(value, bool)


def _is_name(name: object) -> bool:
    return isinstance(name, str) and len(name) <= 1000 and '"' not in name and _is_choice(name)


def _is_choice(value: object) -> bool:
    """Return whether SQLite can compare with a value."""
    if isinstance(value, str):
        # A lone surrogate cannot be encoded, and SQLite ends texts at a NUL.
        return "\0" not in value and not any("\ud800" <= c <= "\udfff" for c in value)
    if isinstance(value, float):
        return math.isfinite(value)
    return isinstance(value, int) and -(1 << 63) <= value < 1 << 63


def sql_condition(where: Where | None) -> tuple[str, list[object]]:
    """Return SQL that restricts a query to entries that match ``where``, and its parameters."""
    parts: list[str] = []
    parameters: list[object] = []
    for name, choices in where_choices(where or {}).items():
        path = f'$."{name}"'
        either: list[str] = []
        for types, kind in (("'text'", str), ("'integer', 'real'", (int, float))):
            values = [c for c in choices if isinstance(c, kind) and not isinstance(c, bool)]
            if values:
                marks = ",".join("?" * len(values))
                either.append(
                    f"json_type(entries.metadata, ?) IN ({types}) "
                    f"AND json_extract(entries.metadata, ?) IN ({marks})"
                )
                parameters += [path, path, *values]
        for truth in (c for c in choices if isinstance(c, bool)):
            either.append(f"json_type(entries.metadata, ?) = '{str(truth).lower()}'")
            parameters.append(path)
        parts.append(f" AND ({' OR '.join(either) or '0'})")
    return "".join(parts), parameters


def document_values(id_: str) -> tuple[str, str, str, str]:
    """Return the parameters of :data:`DOCUMENT` for a document's id."""
    first = f"{id_}{PASSAGE_MARK}"
    return id_, first, f"{first[:-1]}{chr(ord(first[-1]) + 1)}", id_


def _alike(value: Any) -> list[Any]:  # noqa: ANN401
    """Return the value and the values that equal it by the rule of filters."""
    if isinstance(value, bool):
        return [value, str(value).lower(), str(value)]
    if isinstance(value, str):
        spelled = _spelled(value)
        return [value] if spelled is None else [value, spelled]
    if isinstance(value, float) and value.is_integer() and abs(value) < 1 << 63:
        value = int(value)
    if isinstance(value, float):
        return [value, repr(value)]
    return [value, str(value), f"{value}.0"]


def _spelled(text: str) -> int | float | bool | None:
    """Return the number or boolean that a text spells, as JSON or Python writes it; or None."""
    if text in ("true", "True", "false", "False"):
        return text.lower() == "true"
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or text.strip() != text:
        return None
    return value if _is_choice(value) else None


def metadata_as_json(id_: str, metadata: Mapping[str, Any], text: str) -> str:
    """Return metadata as JSON, and check that id, text and metadata can be stored.

    Raises:
        InputError: the metadata are not JSON, or one of them has a lone surrogate.
    """
    try:
        written = json.dumps(dict(metadata), ensure_ascii=False, allow_nan=False)
        parse_json(written)  # it must be readable with our limits
    except (TypeError, ValueError, RecursionError) as error:
        raise InputError(f"the metadata of {text!r:.40} is not JSON: {error}") from None
    for what, value in (("text", text), ("id", id_), ("column of the metadata", written)):
        try:
            value.encode()
        except UnicodeEncodeError as error:
            code = ord(value[error.start])
            raise InputError(
                f"a {what} has a lone surrogate (U+{code:04X}), which is no character: mend its "
                "encoding"
            ) from None
    return written
