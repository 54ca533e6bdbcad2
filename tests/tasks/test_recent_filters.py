"""Filters that come again: not read twice, and never out of date."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_embed.tasks import Index
from edge_embed.tasks.index.recent_filters import RecentFilters


@pytest.fixture
def path(tmp_path: Path) -> Path:
    with Index.create(tmp_path / "notes.index", dim=4) as index:
        index.add(
            ["one", "two", "three"],
            np.eye(4, dtype=np.float32)[:3],
            ids=["1", "2", "3"],
            metadata=[{"page": 1}, {"page": 2}, {"page": 1}],
        )
    return tmp_path / "notes.index"


def found(index: Index, where: dict[str, Any]) -> list[str]:
    (hits,) = index.search(np.ones((1, 4), np.float32), where=where, k=10)
    return sorted(hit.id for hit in hits)


def test_a_filter_is_read_once_until_a_write(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Index(path) as index:
        read: list[str] = []
        query = index.store._query

        def noted(statement: str, values: Any = ()) -> list[tuple[Any, ...]]:
            if "json_type" in statement:
                read.append(statement)
            return query(statement, values)

        monkeypatch.setattr(index.store, "_query", noted)
        assert [found(index, {"page": 1}) for _ in range(3)] == [["1", "3"]] * 3
        assert len(read) == 1
        assert found(index, {"page": 2}) == ["2"]
        assert found(index, {"page": 1}) == ["1", "3"]
        assert len(read) == 2
        index.add(["four"], np.eye(4, dtype=np.float32)[3:], ids=["4"], metadata=[{"page": 1}])
        assert found(index, {"page": 1}) == ["1", "3", "4"]
        assert len(read) == 3


def test_what_another_index_object_wrote_is_seen(path: Path) -> None:
    with Index(path) as reader, Index(path) as writer:
        assert found(reader, {"page": 1}) == ["1", "3"]
        writer.delete(["3"])
        assert found(reader, {"page": 1}) == ["1"]
        writer.add(["two"], np.eye(4, dtype=np.float32)[:1], ids=["2"], metadata=[{"page": 1}])
        assert found(reader, {"page": 1}) == ["1", "2"]
        assert found(reader, {"page": 2}) == []


def test_the_numbers_cannot_be_changed() -> None:
    filters = RecentFilters()
    numbers = filters.numbers(1, "a", lambda: np.arange(3))
    with pytest.raises(ValueError, match="read-only"):
        numbers[0] = 7


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3)), max_size=40))
def test_answers_are_those_of_the_version(calls: list[tuple[int, int]]) -> None:
    filters = RecentFilters()
    for version, condition in calls:
        numbers = filters.numbers(version, condition, lambda: np.array([version, condition]))  # noqa: B023
        assert numbers.tolist() == [version, condition]


def test_what_is_kept_has_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge_embed.tasks.index.recent_filters._MOST_NUMBERS", 10)
    filters = RecentFilters()
    asked: list[str] = []

    def ask(condition: str, size: int) -> None:
        def read() -> npt.NDArray[np.int64]:
            asked.append(condition)
            return np.arange(size)

        filters.numbers(1, condition, read)

    ask("four", 4)
    ask("five", 5)
    ask("four", 4)
    assert asked == ["four", "five"]
    ask("six", 6)  # with the four, but without the five
    ask("four", 4)
    ask("five", 5)
    ask("eleven", 11)  # too many to keep
    ask("eleven", 11)
    assert asked == ["four", "five", "six", "five", "eleven", "eleven"]


def test_filters_that_match_nothing_have_a_bound_too() -> None:
    filters = RecentFilters()
    for number in range(1000):
        filters.numbers(1, number, lambda: np.empty(0, np.int64))
    _, kept = filters._kept
    assert list(kept)[:2] == [999, 998]
    assert len(kept) == 64
