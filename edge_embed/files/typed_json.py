"""Check that values of JSON files have the expected types, nested ones too.

Python's conversions accept almost any value (``bool("false")`` is true, ``int(True)`` is 1), so a
wrong value would go unnoticed.
"""

import types
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from functools import lru_cache
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints, overload

__all__ = ["typed"]

_Kind = TypeVar("_Kind")


@overload
def typed(kind: type[_Kind], value: object, name: str) -> _Kind: ...
@overload
def typed(kind: Any, value: object, name: str) -> Any: ...  # noqa: ANN401
def typed(kind: Any, value: object, name: str) -> Any:
    """Return a value of JSON as the type ``kind``.

    Args:
        kind: ``bool``, ``int``, ``float``, ``str``, a Literal, ``tuple[X, ...]``, ``tuple[X, Y]``,
            ``Mapping[str, X]``, a dataclass of such fields, or ``X | None``. Integers are accepted
            as floats. Keys that a dataclass does not have are ignored, as later versions may write
            them.
        value: The value.
        name: The name of the value in errors.

    Raises:
        ValueError: it has another type.
    """
    return _typed(kind, value, name)


def _typed(kind: Any, value: Any, name: str) -> Any:  # noqa: ANN401
    origin = get_origin(kind)
    if kind is Any:
        return value
    if origin in (Union, types.UnionType):
        return _one_of(get_args(kind), value, name)
    if origin is Literal:
        if isinstance(value, str) and value in get_args(kind):
            return value
    elif kind is float:
        if isinstance(value, (int, float)) and not isinstance(value, bool) and _is_float(value):
            return float(value)
    elif kind in (bool, int, str, type(None)):
        if type(value) is kind:
            return value
    elif origin is tuple:
        if isinstance(value, (list, tuple)):
            return _tuple(get_args(kind), value, name)
    elif isinstance(value, dict):
        if origin is not None and issubclass(origin, Mapping):
            inner = get_args(kind)[1]
            return {key: _typed(inner, item, f"{name}.{key:.40}") for key, item in value.items()}
        if is_dataclass(kind):
            return _record(kind, value, name)
    raise ValueError(f"{name} is {_shown(value)}")


def _tuple(kinds: tuple[Any, ...], value: Sequence[Any], name: str) -> tuple[Any, ...]:
    if kinds[-1] is ...:
        kinds = kinds[:1] * len(value)
    if len(value) != len(kinds):
        raise ValueError(f"{name} has {len(value)} items")
    pairs = zip(kinds, value, strict=True)
    return tuple(_typed(kind, item, f"{name}[{n}]") for n, (kind, item) in enumerate(pairs))


def _one_of(kinds: tuple[Any, ...], value: object, name: str) -> Any:  # noqa: ANN401
    if value is None and type(None) in kinds:
        return None
    kinds = tuple(kind for kind in kinds if kind is not type(None))
    for kind in kinds[:-1]:
        try:
            return _typed(kind, value, name)
        except ValueError:
            continue
    return _typed(kinds[-1], value, name)


def _record(kind: Any, value: dict[str, Any], name: str) -> Any:  # noqa: ANN401
    hints = _hints(kind)
    found = {}
    for field in fields(kind):
        if field.name in value:
            found[field.name] = _typed(hints[field.name], value[field.name], f"{name}.{field.name}")
        elif field.default is MISSING and field.default_factory is MISSING:
            raise ValueError(f"{name}.{field.name} is missing")
    return kind(**found)


@lru_cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


def _is_float(value: float) -> bool:
    try:
        float(value)
    except OverflowError:
        return False
    return True


def _shown(value: object) -> str:
    if isinstance(value, (dict, list)):
        return "an object" if isinstance(value, dict) else "a list"
    return f"{value!r:.40}"
