"""What a large index reads again after a write, and what it does not."""

import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_embed.tasks import Index
from edge_embed.tasks.index import entry_count, hnsw_file, hnsw_rebuild
from edge_embed.tasks.index import index as index_module
from edge_embed.tasks.index.held_vectors import HeldVectors
from edge_embed.tasks.index.store import Store

DIM = 8


def vectors(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, DIM)).astype(np.float32)


def names(count: int, word: str = "text") -> list[str]:
    return [f"{word} {i}" for i in range(count)]


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Index]:
    with Index.create(tmp_path / "a.index", dim=DIM) as made:
        made.add(names(300), vectors(300), ids=names(300))
        yield made


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The numbers of vectors that are read at a time."""
    counts: list[int] = []
    unpacked = Store._unpacked

    def counted(store: Store, rows: list[tuple[int, bytes]]) -> tuple[np.ndarray, np.ndarray]:
        counts.append(len(rows))
        return unpacked(store, rows)

    monkeypatch.setattr(Store, "_unpacked", counted)
    return counts


@pytest.fixture
def small_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Use the HNSW file from 50 entries on."""
    pytest.importorskip("usearch", reason="needs usearch (the extra 'index')")
    monkeypatch.setattr(index_module, "_EXACT", 50)


def nearest(index: Index, query: np.ndarray, k: int = 1) -> list[str]:
    return [hit.id for hit in index.search(query[None], k=k)[0]]


def test_a_query_after_a_write_reads_what_was_written(index: Index, read: list[int]) -> None:
    index.search(vectors(1))
    assert read == [300]
    with Index(index.store.path) as other:
        for seed in range(1, 20):
            (new,) = vectors(1, seed=seed)
            other.add(["new"], new[None], ids=[f"new {seed}"])
            assert nearest(index, new) == [f"new {seed}"]
    assert read == [300, *[1] * 19]


def test_a_query_beside_a_writer_reads_what_the_file_lacks_once(
    index: Index, read: list[int], small_limit: None
) -> None:
    index.refresh()
    index.search(vectors(1))
    read.clear()
    for seed in range(1, 20):
        (new,) = vectors(1, seed=seed)
        index.add(["new"], new[None], ids=[f"new {seed}"])
        assert nearest(index, new) == [f"new {seed}"]
    candidates = 100
    assert sum(count for count in read if count < candidates) == 19


@pytest.mark.parametrize("file", [False, True])
def test_what_was_deleted_is_not_found(
    index: Index, file: bool, request: pytest.FixtureRequest
) -> None:
    if file:
        request.getfixturevalue("small_limit")
    held, later = vectors(300), vectors(200, seed=5)
    index.refresh()
    index.search(held[:1])
    index.add(names(40, "later"), later[:40], ids=names(40, "later"))
    with Index(index.store.path) as other:
        other.delete(names(150))
        other.delete(names(20, "later"))
    assert nearest(index, held[10], 190) == nearest(index, held[10], 1000)
    every = set(nearest(index, held[0], 1000))
    assert every == {*names(300)[150:], *names(40, "later")[20:]}
    assert len(index) == 170


def test_vectors_of_deleted_entries_leave_the_memory(tmp_path: Path) -> None:
    with Index.create(tmp_path / "a.index", dim=DIM) as index:
        held = HeldVectors(index.store)
        for seed in range(30):
            index.add(names(200), vectors(200, seed), ids=names(200))  # replaces all of them
            held.nearest(vectors(1), 1)
        assert held.count(exact=True) == 200
        assert len(held._numbers) < 2000


@pytest.mark.parametrize("change", ["added", "replaced", "deleted", "passages"])
def test_the_count_is_kept(index: Index, monkeypatch: pytest.MonkeyPatch, change: str) -> None:
    expected = {"added": 310, "replaced": 300, "deleted": 290, "passages": 300}[change]
    if change == "deleted":
        index.delete([*names(10), "unknown"])
    elif change == "passages":
        ids = [f"book#passage-{i}" for i in (1, 2, 3)]
        index.add(ids, vectors(3), ids=ids, metadata=[{"document": "book"}] * 3)
        assert len(index) == 303
        index.delete(["book"])
    else:
        ids = names(10, "new" if change == "added" else "text")
        index.add(ids, vectors(10), ids=ids)
    monkeypatch.setattr(entry_count, "_COUNT", "SELECT -1")
    assert len(index) == expected


def test_a_count_of_an_earlier_version_is_not_used(index: Index) -> None:
    path = index.store.path
    index.close()
    with sqlite3.connect(path) as connection:  # what counts its transaction, but not the entries
        connection.execute("DELETE FROM vectors WHERE number = 300")
        connection.execute("UPDATE facts SET value = value + 1 WHERE name = 'writes'")
    with sqlite3.connect(path) as connection:
        (writes,) = connection.execute("SELECT value FROM facts WHERE name = 'writes'").fetchone()
        connection.execute(f"UPDATE facts SET value = '{int(writes):020}' WHERE name = 'writes'")
        connection.execute("UPDATE facts SET value = '1 7' WHERE name = 'entries'")
    connection.close()
    with Index(path) as again:
        assert len(again) == 300
        again.add(["one"], vectors(1))
        assert len(again) == 301


def test_a_file_that_lacks_too_much_is_extended(
    index: Index, small_limit: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    index.refresh()
    added: list[int] = []
    build = hnsw_file.HnswFile.build

    def counted(path: Path, parts: Any, **kwargs: Any) -> Any:
        def listed(newest: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
            for numbers, rows in parts(newest):
                added.append(len(numbers))
                yield numbers, rows

        return build(path, listed, **kwargs)

    monkeypatch.setattr(hnsw_file.HnswFile, "build", counted)
    monkeypatch.setattr(hnsw_rebuild, "_LATER", 30)
    index.add(names(25, "new"), vectors(25, 1), ids=names(25, "new"))
    index.search(vectors(1))
    assert added == []
    index.add(names(10, "more"), vectors(10, 2), ids=names(10, "more"))
    index.search(vectors(1))
    assert added == [35]
    index.delete(names(200))
    index.search(vectors(1))
    assert added == [35, 135]


def test_a_file_is_read_whole_once(
    index: Index, small_limit: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    index.refresh()
    path = index.store.path
    index.close()
    checked: list[Path] = []
    checksum = hnsw_file._checksum

    def counted(file: Path) -> int:
        checked.append(file)
        return checksum(file)

    monkeypatch.setattr(hnsw_file, "_checksum", counted)
    for expected in (0, 1):
        for _ in range(2):
            with Index(path) as again:
                assert again.info().neighbours == 300
        assert len(checked) == expected
        os.utime(path.with_name("a.index.neighbours"))  # as a copy or a restore does


def test_a_search_that_cannot_extend_the_file_uses_it(
    index: Index, small_limit: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    from edge_embed.errors import OutputError

    index.refresh()
    tried = []

    def full(*_: object, **__: object) -> None:
        tried.append(1)
        raise OutputError("the disk is full")

    monkeypatch.setattr(hnsw_file.HnswFile, "build", full)
    index.add(names(100, "new"), vectors(100, 1), ids=names(100, "new"))
    with pytest.warns(UserWarning, match="the disk is full; every entry that it lacks is compared"):
        assert nearest(index, vectors(100, 1)[7]) == ["new 7"]
    assert nearest(index, vectors(100, 1)[8]) == ["new 8"]
    assert len(tried) == 1, "it is not tried again at each search"
