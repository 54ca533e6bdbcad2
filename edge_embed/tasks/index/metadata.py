"""Metadata of entries: checked, as JSON, and one rule for filters, whatever the engine.

A number equals the same number, however it is typed (3 is 3.0), and the text that spells it; a text
equals itself and the number or truth value that it spells. So ``page=3`` finds the row whether its
file had types (.jsonl, .parquet) or only text (.csv, .tsv). A truth value is no number.
"""

import json
import math
from collections.abc import Mapping
from typing import Any

from edge_embed.errors import InputError
from edge_embed.files.json_text import parse_json
from edge_embed.tasks.index.passages import PASSAGE_MARK

__all__ = [
    "DOCUMENT",
    "Where",
    "document_values",
    "metadata_as_json",
    "sql_condition",
    "where_choices",
]

DOCUMENT = "id = ? OR (id >= ? AND id < ? AND json_extract(entries.metadata, '$.document') = ?)"
"""SQL for the entries of a text, whole or as passages."""

Where = Mapping[str, object]

_MAX_CHOICES = 1000  # values in a filter; SQLite takes 32,766 in a statement


def where_choices(where: Where) -> dict[str, list[Any]]:
    """Return for each name the values of which an entry's metadata must have one, by the rule.

    Raises:
        InputError: a value is neither a text, a number nor a truth value, or a list of these; a
            name or a text cannot be stored; there are too many values.
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


def _is_name(name: object) -> bool:
    return isinstance(name, str) and len(name) <= 1000 and '"' not in name and _is_choice(name)


def _is_choice(value: object) -> bool:
    """Whether SQLite can compare with it."""
    if isinstance(value, str):
        # A lone surrogate is no UTF-8, and SQLite ends texts at a NUL.
        return "\0" not in value and not any("\ud800" <= c <= "\udfff" for c in value)
    if isinstance(value, float):
        return math.isfinite(value)
    return isinstance(value, int) and -(1 << 63) <= value < 1 << 63


def sql_condition(where: Where | None) -> tuple[str, list[object]]:
    """Return SQL for entries whose metadata is as ``where`` says, and its parameters."""
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
    """Return the parameters of :data:`DOCUMENT` for a text's id."""
    first = f"{id_}{PASSAGE_MARK}"
    return id_, first, f"{first[:-1]}{chr(ord(first[-1]) + 1)}", id_


def _alike(value: Any) -> list[Any]:  # noqa: ANN401
    """Return the value and what it equals by the rule."""
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
    """Return the number or truth value that a text spells, as JSON or as Python writes it."""
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
    """Return metadata as JSON, after a look whether all of an entry can be kept.

    Raises:
        InputError: it is no JSON, or a text or an id holds what is no character.
    """
    try:
        written = json.dumps(dict(metadata), ensure_ascii=False, allow_nan=False)
        parse_json(written)  # what is not read again is not kept
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
