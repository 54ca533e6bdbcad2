"""Read lines of JSON, and refuse values that could not be written again.

Python's reader accepts more than JSON allows or can be written: NaN, 1e400, lone surrogates, very
deep nesting, the same name twice in an object. Each is refused with its line when it is read, and
not after everything has been embedded.
"""

import base64
import json
import math
from typing import Any, NoReturn

from edge_embed.errors import InputError

__all__ = ["MAX_DEPTH", "find_surrogate", "json_value", "parse_line"]

MAX_DEPTH = 100
"""The deepest nesting of objects and lists."""

# Python reads no longer ones, and writes none.
_MAX_DIGITS = 4300


def parse_line(line: str, where: str) -> Any:  # noqa: ANN401
    """Return the value of a line of JSON.

    Raises:
        InputError: it is not JSON, or has a value that is refused; the message begins with
            ``where``.
    """
    if line.count("[") + line.count("{") > MAX_DEPTH and _depth(line) > MAX_DEPTH:
        raise InputError(f"{where}: nested more than {MAX_DEPTH} deep: flatten it")
    try:
        value = json.loads(
            line,
            object_pairs_hook=_object,
            parse_constant=_constant,
            parse_float=_number,
            parse_int=_integer,
        )
    except _UnusableError as error:
        raise InputError(f"{where}: {error}") from None
    except ValueError as error:
        raise InputError(f"{where}: not JSON ({error})") from None
    # Only an escape can contain one, as the line itself was decoded from UTF-8.
    if "\\u" in line and (found := find_surrogate(value)) is not None:
        raise InputError(
            f"{where}: a text holds half a surrogate pair (U+{ord(found):04X}), such as a cut "
            "emoji leaves, which no UTF-8 text can: repair or remove it"
        )
    return value


def json_value(value: object) -> object:
    """Return a value of any file as a JSON value: times as ISO 8601, bytes as Base64, NaN as null.

    Args:
        value: As :func:`edge_embed.files.readers.read_rows` gives it.
    """
    if isinstance(value, dict):
        return {str(name): json_value(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [json_value(part) for part in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    if value is None or isinstance(value, (str, int, float)):
        return value
    return str(value)


def find_surrogate(value: object) -> str | None:
    """Return a lone surrogate in a JSON value, its names included; None if there is none."""
    waiting = [value]
    while waiting:
        part = waiting.pop()
        if isinstance(part, str):
            if not part.isascii():
                found = next((c for c in part if "\ud800" <= c <= "\udfff"), None)
                if found is not None:
                    return found
        elif isinstance(part, dict):
            waiting += (*part.keys(), *part.values())
        elif isinstance(part, (list, tuple)):
            waiting += part
    return None


class _UnusableError(Exception):
    """Valid JSON with a value that is refused."""


def _depth(line: str) -> int:
    """Return the depth of nesting: the most brackets open at once, outside strings."""
    deepest = depth = 0
    inside = escaped = False
    for character in line:
        if escaped:
            escaped = False
        elif inside:
            escaped = character == "\\"
            inside = character != '"'
        elif character == '"':
            inside = True
        elif character in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif character in "]}":
            depth -= 1
    return deepest


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise _UnusableError(f"the name {twice!r:.60} stands twice in one object: rename one")
    return made


def _number(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise _UnusableError(f"{text:.40} is beyond the largest float: write it as a text")
    return value


def _integer(text: str) -> int:
    if len(text) > _MAX_DIGITS:
        raise _UnusableError(f"a number of {len(text)} digits: write it as a text")
    return int(text)


def _constant(name: str) -> NoReturn:
    raise _UnusableError(f"{name} is no JSON: write null for a number that is missing")
