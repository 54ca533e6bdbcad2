"""Metadata of entries: checked, as JSON, and as a filter in SQL."""

import json
from collections.abc import Mapping
from typing import Any

from edge_embed.errors import InputError

__all__ = ["Where", "metadata_as_json", "sql_condition", "where_choices"]

Where = Mapping[str, object]


def where_choices(where: Where) -> dict[str, list[Any]]:
    """Return for each name the values of which an entry's metadata must have one.

    Raises:
        InputError: a value is neither a text, a number nor a truth value, or a list of these.
    """
    named = {}
    for name, wanted in where.items():
        choices = list(wanted) if isinstance(wanted, (list, tuple, set)) else [wanted]
        if '"' in name or not all(isinstance(c, (str, int, float, bool)) for c in choices):
            raise InputError(
                f"cannot filter by {name}={wanted!r}: texts, numbers and truth values are compared"
            )
        named[name] = choices
    return named


def sql_condition(where: Where | None) -> tuple[str, list[object]]:
    """Return SQL for metadata that equals ``where``; a list is any of its values."""
    parts, values = [], []
    for name, choices in where_choices(where or {}).items():
        marks = ",".join("?" * len(choices))
        parts.append(f" AND json_extract(entries.metadata, ?) IN ({marks})")
        values += [f'$."{name}"', *choices]
    return "".join(parts), values


def metadata_as_json(metadata: Mapping[str, Any], text: str) -> str:
    """Return metadata as JSON.

    Raises:
        InputError: it cannot be written so, or ``text`` holds what is no character.
    """
    try:
        text.encode()
    except UnicodeEncodeError as error:
        code = ord(text[error.start])
        raise InputError(
            f"a text has a lone surrogate (U+{code:04X}), which is no character: mend its encoding"
        ) from None
    try:
        return json.dumps(dict(metadata), ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise InputError(f"the metadata of {text!r:.40} is not JSON: {error}") from error
