"""Read JSON of unknown origin: strict, and with limits on depth and numbers.

Python's own reader accepts NaN, raises RecursionError on deep nesting, and reads 1e999 as infinity.
Each of these would cause a traceback or a wrong number later.
"""

import json
import math
from typing import Any, NoReturn

__all__ = ["MAX_JSON_BYTES", "JsonError", "parse_json"]

MAX_JSON_BYTES = 64 << 20
"""The largest file of settings that is read; real ones have kilobytes."""

_MAX_DEPTH = 100
# Tokenizers without a limit write 1e30 as an integer of 31 digits.
_MAX_DIGITS = 64


class JsonError(ValueError):
    """What is wrong with a JSON text, in a few words without any of its content."""


def parse_json(text: str | bytes) -> Any:  # noqa: ANN401
    """Read one JSON value.

    Raises:
        JsonError: it is not JSON, is nested too deeply, or has a number that is too large.
    """
    try:
        if isinstance(text, bytes):
            text = text.decode("utf-8-sig")
        value = json.loads(
            text, parse_int=_integer, parse_float=_number, parse_constant=_no_constant
        )
    except JsonError:
        raise
    except json.JSONDecodeError as error:
        raise JsonError(f"not valid JSON: {error}") from None
    except UnicodeDecodeError as error:
        raise JsonError(f"not UTF-8 at byte {error.start}") from None
    except RecursionError:
        raise JsonError("nested too deeply") from None
    if text.count("[") + text.count("{") > _MAX_DEPTH:
        _check_depth(value)
    return value


def _integer(digits: str) -> int:
    if len(digits) > _MAX_DIGITS:
        raise JsonError(f"a number of {len(digits)} digits")
    return int(digits)


def _number(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise JsonError("a number beyond the largest float")
    return value


def _no_constant(name: str) -> NoReturn:
    raise JsonError(f"{name} is no JSON number")


def _check_depth(value: object) -> None:
    level = [value]
    for _ in range(_MAX_DEPTH):
        level = [
            item
            for part in level
            if isinstance(part, (dict, list))
            for item in (part.values() if isinstance(part, dict) else part)
        ]
        if not level:
            return
    raise JsonError("nested too deeply")
