"""JSON files of a model folder, and one line about what is wrong with them."""

import json
from pathlib import Path
from typing import Any

from edge_embed.errors import ModelFormatError

__all__ = ["load_json", "read_json"]


def read_json(path: Path, *, optional: bool = False) -> dict[str, Any]:
    """Read a JSON object; with ``optional`` a missing file reads as empty.

    Raises:
        ModelFormatError: the file is missing, unreadable, or not a JSON object.
    """
    value = load_json(path, optional=optional)
    if not isinstance(value, dict):
        raise ModelFormatError(f"{path} should hold a JSON object")
    return value


def load_json(path: Path, *, optional: bool = False) -> object:
    """Read any JSON value; with ``optional`` a missing file reads as an empty object.

    Raises:
        ModelFormatError: the file is missing, unreadable, or not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        if optional:
            return {}
        raise ModelFormatError(
            f"{path.parent} is not a complete model: {path.name} is missing"
        ) from None
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ModelFormatError(
            f"{path} is damaged (not valid JSON: {error}); copy it again"
        ) from error
    except OSError as error:
        raise ModelFormatError(f"cannot read {path}: {error.strerror}") from error
