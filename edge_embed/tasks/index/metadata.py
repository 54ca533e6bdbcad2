"""Metadata of entries: checked, as JSON, and as a filter in SQL."""

import json
import math
from collections.abc import Mapping
from typing import Any

from edge_embed.errors import InputError
from edge_embed.files.json_text import parse_json

__all__ = ["Where", "metadata_as_json", "sql_condition", "where_choices"]

Where = Mapping[str, object]

_MAX_CHOICES = 1000  # values in a filter; SQLite takes 32,766 in a statement


def where_choices(where: Where) -> dict[str, list[Any]]:
    """Return for each name the values of which an entry's metadata must have one.

    Raises:
        InputError: a value is neither a text, a number nor a truth value, or a list of these.
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
    """Return SQL for metadata that equals ``where``; a list is any of its values."""
    parts, values = [], []
    for name, choices in where_choices(where or {}).items():
        marks = ",".join("?" * len(choices))
        parts.append(f" AND json_extract(entries.metadata, ?) IN ({marks})")
        values += [f'$."{name}"', *choices]
    return "".join(parts), values


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
