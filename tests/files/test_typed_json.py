"""Values of JSON are taken as the type that they are to have, or refused by name."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import pytest

from edge_embed.files.typed_json import typed


@dataclass(frozen=True)
class Inner:
    size: int
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Outer:
    inner: Inner
    by_name: Mapping[str, Inner]
    pair: tuple[str, float]
    maybe: float | None = None
    free: Any = None


GOOD = {"inner": {"size": 3, "names": ["a"], "later": 1}, "by_name": {"x": {"size": 1}}}
GOOD |= {"pair": ["a", 1], "free": {"x": [None]}}


def test_nested_values() -> None:
    found = typed(Outer, GOOD, "it")
    assert found == Outer(Inner(3, ("a",)), {"x": Inner(1)}, ("a", 1.0), free={"x": [None]})
    assert type(found.pair[1]) is float


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (bool, 1),
        (bool, "false"),
        (bool, None),
        (int, True),
        (int, 1.0),
        (int, "1"),
        (float, False),
        (float, "1"),
        (float, 2**2000),
        (str, None),
        (str, ["a"]),
        (Literal["a", "b"], "c"),
        (Literal["a", "b"], ["a"]),
        (int | None, "x"),
        (str | tuple[str, ...], [1]),
        (tuple[str, ...], "abc"),
        (tuple[str, str], ["a"]),
        (Mapping[str, int], [1]),
        (Mapping[str, int], {"a": "1"}),
        (Inner, {"size": None}),
        (Inner, {}),
        (Inner, [3]),
        (Inner, {"size": 1, "names": "a"}),
    ],
)
def test_another_type_is_refused(kind: Any, value: object) -> None:
    with pytest.raises(ValueError, match=r"^it"):
        typed(kind, value, "it")


def test_what_is_wrong_is_named() -> None:
    wrong = {**GOOD, "by_name": {"x": {"size": "big"}}}
    with pytest.raises(ValueError, match=r"it\.by_name\.x\.size is 'big'"):
        typed(Outer, wrong, "it")
    with pytest.raises(ValueError, match=r"^it\.inner is missing$"):
        typed(Outer, {}, "it")
    with pytest.raises(ValueError) as error:
        typed(int, "x" * 10_000, "it")
    assert len(str(error.value)) < 60
