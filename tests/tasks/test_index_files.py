"""Index files that come from others, are damaged, or are replaced while they are open."""

import os
import shutil
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edge_embed.errors import DamagedIndexError, EdgeEmbedError, InputError, OutputError
from edge_embed.tasks import Index


def make(path: Path, count: int, *, word: str = "text", start: int = 0) -> Path:
    with Index.create(path, dim=4) as index:
        add(index, count, word=word, start=start)
    return path


def add(index: Index, count: int, *, word: str = "text", start: int = 0) -> None:
    vectors = np.random.default_rng(0).normal(size=(count, 4))
    index.add([f"{word} {start + n}" for n in range(count)], vectors)


def changed(path: Path, *statements: str) -> Path:
    connection = sqlite3.connect(path)
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()
    return path


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TRIGGER evil AFTER INSERT ON entries BEGIN DELETE FROM entries; END",
        "CREATE TABLE more (x)",
        "CREATE INDEX slow ON entries (text)",
        "CREATE VIEW entries2 AS SELECT * FROM entries",
        "DROP TRIGGER entry_deleted",
        "ALTER TABLE vectors ADD COLUMN other TEXT DEFAULT 'x'",
    ],
)
def test_only_the_schema_that_we_make_is_opened(tmp_path: Path, statement: str) -> None:
    path = changed(make(tmp_path / "i.index", 3), statement)
    with pytest.raises(DamagedIndexError, match="is not as this program makes it"):
        Index(path)


def test_a_view_in_the_place_of_a_table_runs_nothing(tmp_path: Path) -> None:
    path = changed(
        make(tmp_path / "i.index", 3),
        "ALTER TABLE facts RENAME TO facts2",
        "CREATE VIEW facts AS SELECT name, value FROM facts2 WHERE randomblob(10) IS NOT NULL",
    )
    with pytest.raises(InputError):
        Index(path)


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM facts WHERE name = 'dim'",
        "UPDATE facts SET value = 'four' WHERE name = 'dim'",
        "UPDATE facts SET value = '-4' WHERE name = 'dim'",
        "UPDATE facts SET value = '99999999999999999999' WHERE name = 'dim'",
        "UPDATE facts SET value = 'float64' WHERE name = 'dtype'",
        "UPDATE facts SET value = x'00' WHERE name = 'identity'",
        "UPDATE facts SET value = 'one' WHERE name = 'schema'",
    ],
)
def test_damaged_facts(tmp_path: Path, statement: str) -> None:
    with pytest.raises(DamagedIndexError, match="restore it from a copy"):
        Index(changed(make(tmp_path / "i.index", 3), statement))


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE entries SET metadata = '{'",
        "UPDATE entries SET metadata = '{\"x\": NaN}'",
        "UPDATE entries SET metadata = '[]'",
        f"UPDATE entries SET metadata = '{'[' * 5000}'",
        "UPDATE entries SET text = x'00ff'",
        "UPDATE vectors SET vector = 'text'",
        "UPDATE vectors SET vector = x'00'",
    ],
)
def test_damaged_entries(tmp_path: Path, statement: str) -> None:
    path = changed(make(tmp_path / "i.index", 3), statement)
    with Index(path) as index, pytest.raises(DamagedIndexError, match="is damaged"):
        index.search(np.ones((1, 4)), k=3, queries=["text"])


@pytest.mark.parametrize(
    ("where", "accepted"),
    [
        ({"n": 2**63 - 1}, True),
        ({"n": 2**63}, False),
        ({"n": -(2**63) - 1}, False),
        ({"n": float("nan")}, False),
        ({"n\0": 1}, False),
        ({"n": "a\0b"}, False),
        ({"n": "\ud800"}, False),
        ({'n"': 1}, False),
        ({"n" * 1001: 1}, False),
        ({"n": list(range(1001))}, False),
        ({"n": {"$gt": 1}}, False),
    ],
)
def test_filters(tmp_path: Path, where: dict[str, object], accepted: bool) -> None:
    with Index(make(tmp_path / "i.index", 3)) as index:
        if accepted:
            assert index.search(np.ones((1, 4)), where=where) == [[]]
            return
        with pytest.raises(InputError) as told:
            index.search(np.ones((1, 4)), where=where)
        assert len(str(told.value)) < 200


@pytest.mark.parametrize(
    ("ids", "metadata"),
    [
        (["\ud800"], {}),
        (["a"], {"x": "\udfff"}),
        (["a"], {"\ud800": 1}),
        (["a"], {"x": float("nan")}),
        (["a"], {"x": 10**70}),
    ],
)
def test_what_cannot_be_read_again_is_not_kept(
    tmp_path: Path, ids: list[str], metadata: dict[str, object]
) -> None:
    with Index(make(tmp_path / "i.index", 3)) as index:
        with pytest.raises(InputError):
            index.add(["new"], np.ones((1, 4)), ids=ids, metadata=[metadata])
        assert len(index) == 3


def test_a_query_has_its_first_different_words(tmp_path: Path) -> None:
    with Index(make(tmp_path / "i.index", 3)) as index:
        query = "zero " * 100_000 + " ".join(f"w{n}" for n in range(50_000))
        started = time.perf_counter()
        assert len(index.search(np.ones((1, 4)), queries=[query])[0]) == 3
        assert index._store.words("text " + "x " * 10_000, 10)
        assert time.perf_counter() - started < 5


def test_a_search_is_stopped_and_holds_nobody_up(tmp_path: Path) -> None:
    path = make(tmp_path / "i.index", 20_000, word="same words in every text")
    with Index(path) as index:
        stopped = threading.Event()
        asked = 0

        def stop() -> bool:
            nonlocal asked
            asked += 1
            if asked == 1:  # within the search: another one is answered meanwhile
                assert index._store.words("17", 10)
            return asked > 2

        def search() -> None:
            with index.stopping(stop), pytest.raises(EdgeEmbedError, match="stopped"):
                index._store.words("same words in every text", 10_000)
            stopped.set()

        thread = threading.Thread(target=search)
        thread.start()
        assert stopped.wait(20)
        thread.join()
        assert index._store.words("17", 10), "the connection is usable again"


@pytest.mark.parametrize("how", ["rename", "copy"])
def test_an_index_that_is_replaced_while_it_is_open(tmp_path: Path, how: str) -> None:
    path = make(tmp_path / "live.index", 30)
    new = make(tmp_path / "new.index", 50, word="other")
    with Index(path) as index:
        add(index, 20, start=30)  # lies in the log
        kept = path.with_name("old.index")
        if how == "rename":
            path.rename(kept)
        else:
            os.link(path, kept)
        new.replace(path)
        assert len(index) == 50
        assert index.search(np.ones((1, 4)), k=1)[0][0].text.startswith("other")
        add(index, 1, word="third")
        assert len(index) == 51
    with Index(path) as index, Index(kept) as old:
        assert (len(index), len(old)) == (51, 50), "what was acknowledged is where it was"
    for file in (path, kept):
        connection = sqlite3.connect(file)
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        connection.close()


def foreign(tmp_path: Path) -> tuple[Path, Path]:
    """Another index under a name whose log is still there, as after a kill and a swap."""
    path, other = make(tmp_path / "live.index", 30), make(tmp_path / "new.index", 50)
    with Index(path) as index:
        add(index, 20, start=30)
        shutil.copy(f"{path}-wal", tmp_path / "log")
    return path, other


def earlier(tmp_path: Path) -> tuple[Path, Path]:
    """An older copy of the same index beside a later log."""
    path, copy = make(tmp_path / "live.index", 30), tmp_path / "copy.index"
    shutil.copy(path, copy)
    with Index(path) as index:
        add(index, 20, start=30)
    with Index(path) as index:
        add(index, 20, start=50)
        shutil.copy(f"{path}-wal", tmp_path / "log")
    return path, copy


@pytest.mark.parametrize("swapped", [foreign, earlier])
def test_a_foreign_log_is_refused(
    tmp_path: Path, swapped: Callable[[Path], tuple[Path, Path]]
) -> None:
    path, other = swapped(tmp_path)
    other.replace(path)
    log = Path(f"{path}-wal")
    shutil.copy(tmp_path / "log", log)
    with pytest.raises(InputError, match=r"live\.index-wal is the log of .* move .* away"):
        Index(path)
    log.unlink()
    with Index(path) as index:
        assert len(index) in (30, 50)


def test_its_own_log_is_played(tmp_path: Path) -> None:
    path = make(tmp_path / "live.index", 30)
    with Index(path) as index:
        add(index, 20, start=30)
        for name in ("", "-wal"):
            shutil.copy(f"{path}{name}", f"{tmp_path}/killed.index{name}")
    with Index(tmp_path / "killed.index") as index:
        assert len(index) == 50


def test_one_of_many_creates(tmp_path: Path) -> None:
    results: list[str] = []

    def create() -> None:
        try:
            Index.create(tmp_path / "i.index", dim=4).close()
            results.append("made")
        except OutputError as error:
            results.append(str(error))

    threads = [threading.Thread(target=create) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results.count("made") == 1, results
    assert [file.name for file in tmp_path.iterdir()] == ["i.index"]
