"""Read the JSON files of a model folder; a damaged one is an error of one line."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from edge_embed.errors import EdgeEmbedError, ModelFormatError
from edge_embed.files.json_text import MAX_JSON_BYTES, JsonError, parse_json
from edge_embed.files.typed_json import typed

__all__ = ["load_json", "malformed", "number_of", "read_json"]

_WRONG_VALUES = (
    ArithmeticError,
    AttributeError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
)


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
        if path.stat().st_size > MAX_JSON_BYTES:
            raise ModelFormatError(f"{path} is too large to be read as settings")
        return parse_json(path.read_bytes())
    except FileNotFoundError:
        if optional:
            return {}
        raise ModelFormatError(
            f"{path.parent} is not a complete model: {path.name} is missing"
        ) from None
    except JsonError as error:
        raise ModelFormatError(f"{path} is damaged ({error}); copy it again") from error
    except OSError as error:
        raise ModelFormatError(f"cannot read {path}: {error.strerror}") from error


@contextmanager
def malformed(place: Path) -> Iterator[None]:
    """Turn errors that a wrong type or value causes within the block into a ModelFormatError.

    Args:
        place: The folder or file that is read, for the message.

    Raises:
        ModelFormatError: the block raised such an error.
    """
    try:
        yield
    except EdgeEmbedError:
        raise
    except _WRONG_VALUES as error:
        raise ModelFormatError(
            f"{place} is damaged: one of its values is not what it should be "
            f"({type(error).__name__}: {str(error)[:100]}); copy it again"
        ) from error


def number_of(values: dict[str, Any], *names: str) -> int | None:
    """Return the integer value of the first of the fields ``names`` that ``values`` has.

    None if it has none of them, or the value is null.

    Raises:
        ValueError: the value is not an integer from -1 to 2^31 - 1.
    """
    name = next((name for name in names if name in values), names[0])
    value = typed(float | None, values.get(name), name)
    if value is not None and (int(value) != value or not -1 <= value < 1 << 31):
        raise ValueError(f"{name} is {value!r:.40}")
    return None if value is None else int(value)
