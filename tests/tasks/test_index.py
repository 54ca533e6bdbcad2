"""The index: what it finds, what it survives, and what it refuses."""

import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from edge_embed.errors import InputError, MissingExtraError, OutputError
from edge_embed.tasks import Hit, Index
from edge_embed.tasks.index import index as index_module
from edge_embed.tasks.index import store as store_module
from edge_embed.tasks.index.hnsw_file import HnswFile

DIM = 8


def vectors(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, DIM)).astype(np.float32)


def texts(count: int) -> list[str]:
    return [f"text number {i}" for i in range(count)]


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Index]:
    with Index.create(tmp_path / "a.index", dim=DIM, model="m1", model_name="one") as made:
        yield made


@pytest.fixture
def small_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Use the neighbour file from 50 entries on."""
    pytest.importorskip("usearch", reason="needs usearch (the extra 'index')")
    monkeypatch.setattr(index_module, "_EXACT", 50)


def found(hits: list[list[Hit]]) -> list[list[str]]:
    return [[hit.text for hit in row] for row in hits]


def test_search_is_by_cosine(index: Index) -> None:
    stored, queries = vectors(200), vectors(5, seed=1)
    index.add(texts(200), stored * 7)
    unit = [a / np.linalg.norm(a, axis=1, keepdims=True) for a in (queries, stored)]
    cosines = unit[0] @ unit[1].T
    expected = np.argsort(-cosines, axis=1)[:, :3]
    hits = index.search(queries, k=3)
    assert found(hits) == [[f"text number {i}" for i in row] for row in expected]
    assert hits[0][0].score == pytest.approx(cosines[0].max(), abs=1e-5)


def test_add_update_delete_get(index: Index) -> None:
    eye = np.eye(DIM, dtype=np.float32)
    assert index.add(["a", "b"], eye[:2], ids=["1", "2"], metadata=[{"n": 1}, {}]) == ["1", "2"]
    index.add(["a anew"], eye[[3]], ids=["1"])
    assert len(index) == 2
    assert [(e.id, e.text, e.metadata) for e in index.get(["2", "1", "9"])] == [
        ("2", "b", {}),
        ("1", "a anew", {}),
    ]
    assert found(index.search(eye[[3]], k=1)) == [["a anew"]]
    assert index.delete(["1", "9"]) == 1
    assert found(index.search(eye[[3]], k=5)) == [["b"]]
    # Without ids a text is there once.
    first = index.add(["same", "same"], eye[:2])
    assert set(first) == set(index.add(["same"], eye[[1]]))
    assert len(index) == 2


VALUES: list[object] = [3, 3.0, "3", "3.0", 3.5, "3.5", True, "true", "True", 1, "1", "x", None]
VALUES += [2**70, {"a": 3}, ["3"], "007", 7, "", -0.0, "0"]


@pytest.mark.parametrize(
    ("wanted", "fits"),
    [
        (3, [3, 3.0, "3", "3.0"]),
        (3.0, [3, 3.0, "3", "3.0"]),
        ("3", [3, 3.0, "3"]),
        (3.5, [3.5, "3.5"]),
        ("3.5", [3.5, "3.5"]),
        (True, [True, "true", "True"]),
        ("true", [True, "true"]),
        (1, [1, "1"]),
        ("x", ["x"]),
        ("007", ["007"]),
        (7, [7]),
        ("", [""]),
        (0, [-0.0, "0"]),
        ("9" * 5000, []),
        (["x", 7], ["x", 7]),
        ([], []),
    ],
)
def test_what_a_filter_equals(index: Index, wanted: object, fits: list[object]) -> None:
    """One rule for what came from typed files and from tables of text."""
    index.add(texts(len(VALUES)), vectors(len(VALUES)), metadata=[{"v": v} for v in VALUES])
    hits = index.search(vectors(1), k=99, where={"v": wanted})[0]
    assert sorted(repr(hit.metadata["v"]) for hit in hits) == sorted(map(repr, fits))


@pytest.mark.parametrize(
    "where",
    [
        {"a": None},
        {"a": 2**70},
        {"a": float("nan")},
        {"a": [float("inf")]},
        {"a": {"b": 1}},
        {"a": [[1]]},
        {'a"b': 1},
        {"a\0b": 1},
        {"\ud83d": 1},
        {"a": "cut \ud83d"},
        {"a": list(range(1001))},
    ],
)
def test_filters_that_are_none(index: Index, where: dict[str, object]) -> None:
    with pytest.raises(InputError, match="filter") as caught:
        index.search(vectors(1), where=where)
    assert len(str(caught.value)) < 300


def test_filters(index: Index) -> None:
    data = [{"lang": "en" if i % 2 else "de", "year": i, "ok": i > 2} for i in range(6)]
    index.add(texts(6), vectors(6), metadata=data)
    query = vectors(1)

    def numbers(where: dict[str, object]) -> set[str]:
        return {hit.text[-1] for hit in index.search(query, k=9, where=where)[0]}

    assert numbers({"lang": "en"}) == {"1", "3", "5"}
    assert numbers({"lang": "en", "year": [1, 2, 3]}) == {"1", "3"}
    assert numbers({"ok": True}) == {"3", "4", "5"}
    assert numbers({"none": 1}) == set()
    assert found(index.search(query, where={"lang": "xx"}, queries=["text"])) == [[]]
    with pytest.raises(InputError, match="cannot filter"):
        index.search(query, where={"lang": None})


def test_hybrid_finds_words_that_vectors_miss(index: Index) -> None:
    index.add(["red apples", "green pears", "error E1234 at start"], np.eye(3, DIM))
    query = np.eye(1, DIM, 1)
    assert found(index.search(query, k=1)) == [["green pears"]]
    hits = index.search(query, k=2, queries=["error e1234"])[0]
    assert {hit.text for hit in hits} == {"green pears", "error E1234 at start"}
    assert hits[0].fused is not None
    assert hits[0].fused >= (hits[1].fused or 0)
    dense = index.search(query, k=2, queries=["error e1234"], dense=True)
    assert found(dense) == found(index.search(query, k=2))
    assert dense[0][0].fused is None
    for odd in ('"', "AND OR NOT", "a* (b NEAR c)", "'; DROP TABLE entries; --", "", "日本"):
        assert len(index.search(query, k=3, queries=[odd])[0]) == 3
    index.add(["apples, green"], np.eye(1, DIM, 5), ids=["x"])
    index.delete(["x"])  # words follow what is deleted
    assert "apples, green" not in found(index.search(query, k=9, queries=["apples green"]))[0]


def test_words_that_most_entries_have_count_in_small_indexes_only(
    index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    index.add(
        [f"the part {i} of the {'red' if i % 10 else 'blue'} one" for i in range(50)], vectors(50)
    )
    store = index.store
    assert len(store.words("the blue part 7", 99)) == 50
    monkeypatch.setattr(store_module, "_RANKED", 10)
    blue = [1, 11, 21, 31, 41]
    assert sorted(store.words("the blue part", 99)) == blue
    assert sorted(store.words("the blue part 7 none", 99)) == sorted([*blue, 8])
    assert len(store.words("the part", 99)) == 50  # there is no rarer one


def test_int8_vectors(tmp_path: Path) -> None:
    with Index.create(tmp_path / "a.index", dim=DIM, dtype="int8") as index:
        stored = vectors(300)
        index.add(texts(300), stored)
        hits = index.search(stored, k=1)
        assert found(hits) == [[text] for text in texts(300)]
        assert min(hit[0].score for hit in hits) > 0.999


def test_a_large_index_is_searched_through_its_file(index: Index, small_limit: None) -> None:
    stored, queries = vectors(2000), vectors(40, seed=1)
    index.add(texts(2000), stored)
    truth = found(index.search(queries, k=10, exact=True))
    near = found(index.search(queries, k=10))
    assert index.info().neighbours == 2000
    same = [len(set(a) & set(b)) for a, b in zip(truth, near, strict=True)]
    assert np.mean(same) >= 9.8
    # What came later, what is gone and what is filtered away is right all the same.
    index.add(["late"], queries[:1])
    assert found(index.search(queries[:1], k=1)) == [["late"]]
    index.delete(index.add(["late"], queries[:1]))
    assert found(index.search(queries[:1], k=10)) == truth[:1]
    index.add(["odd one"], -queries[:1], metadata=[{"odd": True}])
    assert found(index.search(queries[:1], k=3, where={"odd": True})) == [["odd one"]]
    assert index.refresh()
    assert not index.refresh()
    assert found(index.search(-queries[:1], k=1)) == [["odd one"]]


def test_a_filter_that_takes_most(index: Index, small_limit: None) -> None:
    stored = vectors(2000)
    data = [{"keep": i % 10 == 0} for i in range(2000)]
    index.add(texts(2000), stored, metadata=data)
    hits = index.search(stored[:20], k=30, where={"keep": True})
    assert all(len(row) == 30 and all(hit.metadata["keep"] for hit in row) for row in hits)


@pytest.mark.parametrize("damage", ["missing", "cut", "flipped", "empty", "manifest", "foreign"])
def test_a_damaged_neighbour_file_is_made_again(
    index: Index, small_limit: None, tmp_path: Path, damage: str
) -> None:
    index.add(texts(200), vectors(200))
    expected = found(index.search(vectors(3), k=5))
    index.close()
    file, manifest = tmp_path / "a.index.neighbours", tmp_path / "a.index.neighbours.json"
    content = bytearray(file.read_bytes())
    if damage == "missing":
        file.unlink()
    elif damage == "cut":
        file.write_bytes(content[: len(content) // 2])
    elif damage == "flipped":
        content[len(content) // 2] ^= 0xFF
        file.write_bytes(content)
    elif damage == "empty":
        file.write_bytes(b"")
    elif damage == "manifest":
        manifest.write_text("{")
    else:
        with Index.create(tmp_path / "b.index", dim=DIM) as other:
            other.add(texts(200), vectors(200, seed=5))
            other.refresh()
        for name in ("neighbours", "neighbours.json"):
            shutil.copy(tmp_path / f"b.index.{name}", tmp_path / f"a.index.{name}")
    with Index(tmp_path / "a.index") as again:
        assert again.info().neighbours == 0
        # The graph is approximate, and made by several threads: the fifth hit may be another.
        for hits, before in zip(found(again.search(vectors(3), k=5)), expected, strict=True):
            assert hits[0] == before[0]
            assert len(set(hits) & set(before)) >= 4
        assert again.info().neighbours == 200


def test_a_file_of_before_many_changes_is_made_again(index: Index, small_limit: None) -> None:
    ids = index.add(texts(200), vectors(200))
    index.refresh()
    index.delete(ids[:80])
    assert len(index.search(vectors(1), k=5)[0]) == 5
    assert index.info().neighbours == 120


def test_no_room_for_the_neighbour_file(
    index: Index, small_limit: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    index.add(texts(100), vectors(100))

    def full(*_: object, **__: object) -> HnswFile:
        raise OutputError("the disk is full")

    monkeypatch.setattr(HnswFile, "build", full)
    with pytest.warns(UserWarning, match="the disk is full; every entry is compared"):
        assert found(index.search(vectors(1), k=1)) == [["text number 0"]]


def test_a_missing_library_is_named(
    index: Index, small_limit: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    index.add(texts(100), vectors(100))
    monkeypatch.setitem(sys.modules, "usearch.index", None)
    with pytest.warns(UserWarning, match=r"\[index\]'; every entry is compared instead"):
        nearest = index.search(vectors(1))
    assert len(nearest[0]) == 10
    assert found(nearest) == found(index.search(vectors(1), exact=True))
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # it is said once
        assert found(index.search(vectors(1))) == found(nearest)
    with pytest.raises(MissingExtraError, match=r"pip install 'edge-embed\[index\]'"):
        index.refresh()


def test_edges(index: Index) -> None:
    assert index.search(vectors(2)) == [[], []]
    assert index.search(np.empty((0, DIM), np.float32)) == []
    assert index.add([], np.empty((0, DIM), np.float32)) == []
    index.add(["only"], vectors(1))
    assert found(index.search(vectors(1), k=100)) == [["only"]]
    index.add([f"same {i}" for i in range(5)], np.repeat(vectors(1), 5, axis=0))
    assert len(index.search(vectors(1), k=100)[0]) == 6


def test_bad_input(index: Index) -> None:
    bad = np.full((1, DIM), np.nan, np.float32)
    for call, part in (
        (lambda: index.add(["a"], bad), "vector 0 has values that are no numbers"),
        (lambda: index.search(bad), "vector 0 has values that are no numbers"),
        (lambda: index.add(["a"], np.ones((1, 3))), "3 dimensions do not fit"),
        (lambda: index.search(np.ones((1, 3))), "3 dimensions do not fit"),
        (lambda: index.search(np.ones(3)), "one array"),
        (lambda: index.search(vectors(1), k=0), "k is 0"),
        (lambda: index.search(vectors(2), queries=["a"]), "1 query texts for 2"),
        (lambda: index.add(["a"], vectors(2)), "same number of each"),
        (lambda: index.add(["a", "b"], vectors(2), ids=["1", "1"]), "'1' is given twice"),
        (lambda: index.add(["a"], vectors(1), metadata=[{"x": {1}}]), "metadata of 'a'"),
        (lambda: index.add(["a"], vectors(1), metadata=[{"x": np.nan}]), "metadata of 'a'"),
        (lambda: index.add(["\ud800"], vectors(1)), "lone surrogate"),
    ):
        with pytest.raises(InputError, match=part):
            call()
    assert len(index) == 0


def test_opening_what_is_no_index(index: Index, tmp_path: Path) -> None:
    index.add(texts(500), vectors(500))
    with pytest.raises(InputError, match=r"no index .*none: create it"):
        Index(tmp_path / "none")
    with pytest.raises(InputError, match=r"made with the model one \(m1\), not with this one"):
        Index(tmp_path / "a.index", model="m2")
    Index(tmp_path / "a.index", model="m1").close()
    with pytest.raises(OutputError, match="already exists"):
        Index.create(tmp_path / "a.index", dim=3)
    with pytest.raises(OutputError, match="does not exist"):
        Index.create(tmp_path / "no" / "a.index", dim=3)
    text = tmp_path / "text"
    text.write_text("not a database, " * 100)
    with pytest.raises(InputError, match="damaged or no index"):
        Index(text)
    other = tmp_path / "other.db"
    sqlite3.connect(other).execute("CREATE TABLE t (x)").connection.close()
    with pytest.raises(InputError, match="not an index of edge-embed"):
        Index(other)
    index.close()
    file = tmp_path / "a.index"
    content = file.read_bytes()
    file.write_bytes(content[:4096] + b"\xff" * (len(content) - 4096))
    with pytest.raises(InputError, match="damaged"), Index(file) as broken:
        broken.search(vectors(1))


def test_a_full_disk(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)]
    if os.geteuid() or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("needs the right to mount a small tmpfs")
    try:
        with Index.create(disk / "a.index", dim=DIM) as index:
            index.add(texts(10), vectors(10))
            with pytest.raises(OutputError, match="the disk is full; free some space"):
                index.add([f"{i} " * 200 for i in range(5000)], vectors(5000))
            assert len(index) == 10
            assert len(index.search(vectors(1), k=20)[0]) == 10
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_readers_do_not_wait_for_the_writer(index: Index, tmp_path: Path) -> None:
    index.add(texts(50), vectors(50))
    writer = sqlite3.connect(tmp_path / "a.index", isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    writer.execute("DELETE FROM entries")
    with Index(tmp_path / "a.index") as reader:
        assert len(reader) == 50
        assert len(reader.search(vectors(1), k=5)[0]) == 5
    writer.execute("ROLLBACK")
    writer.close()


def test_threads_search_while_one_adds(index: Index) -> None:
    index.add(texts(100), vectors(100))
    failures: list[Exception] = []
    done = threading.Event()

    def read() -> None:
        try:
            while not done.is_set():
                assert len(index.search(vectors(3), k=5)[2]) == 5
        except Exception as error:  # noqa: BLE001
            failures.append(error)

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for i in range(30):
        index.add([f"new {i}"], vectors(1, seed=i))
    done.set()
    for reader in readers:
        reader.join()
    assert failures == []
    assert len(index) == 130


WRITER = """
import sys, numpy as np
from edge_embed.tasks import Index
with Index(sys.argv[1]) as index:
    for i in range(100_000):
        names = [f"{i}-{part}" for part in range(20)]
        index.add(names, np.random.default_rng(i).normal(size=(20, 8)), ids=names)
        if i % 3 == 2:
            index.delete([f"{i - 1}-{part}" for part in range(20)])
        print(i, flush=True)
"""


def test_a_kill_loses_nothing_that_was_acknowledged(index: Index, tmp_path: Path) -> None:
    index.close()
    generator = random.Random(0)
    path = tmp_path / "a.index"
    for _ in range(3):
        process = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        last = int(process.stdout.readline())
        time.sleep(generator.random() / 5)
        process.send_signal(signal.SIGKILL)
        rest = process.stdout.read()  # all that was said before the kill
        last = max([last, *(int(line) for line in rest.splitlines(keepends=True) if "\n" in line)])
        process.wait()
        process.stdout.close()
        with Index(path) as survivor:
            for batch in range(last + 1):
                ids = [f"{batch}-{part}" for part in range(20)]
                there = len(survivor.get(ids))
                gone = batch % 3 == 1 and batch + 1 <= last
                # A batch is there whole or not at all, also the one being written at the kill.
                assert there == (0 if gone else 20) or (batch == last and there in (0, 20))
            assert len(survivor) % 20 == 0
            with closing(sqlite3.connect(path)) as connection:
                (check,) = connection.execute("PRAGMA integrity_check").fetchone()
            assert check == "ok"
            hits = survivor.search(vectors(1), k=5, queries=["0"])
            assert len(hits[0]) == 5


class IndexAgainstADict(RuleBasedStateMachine):
    """Whatever is done in whatever order, an index is a dict that can be searched."""

    ids = st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=4, unique=True)

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(os.environ.get("TMPDIR", "/tmp")) / f"index-{os.getpid()}-{id(self)}"
        self.folder.mkdir()
        self.path = self.folder / "a.index"
        self.index = Index.create(self.path, dim=DIM)
        self.truth: dict[str, int] = {}
        self.seed = 0

    @rule(ids=ids)
    def add(self, ids: list[str]) -> None:
        for id_ in ids:
            self.seed += 1
            self.truth[id_] = self.seed
        seeds = [self.truth[id_] for id_ in ids]
        data = [{"seed": seed} for seed in seeds]
        stacked = np.concatenate([vectors(1, seed) for seed in seeds])
        self.index.add([f"text {s}" for s in seeds], stacked, ids=ids, metadata=data)

    @rule(ids=ids)
    def delete(self, ids: list[str]) -> None:
        there = [self.truth.pop(id_) for id_ in ids if id_ in self.truth]
        assert self.index.delete(ids) == len(there)

    @rule()
    def reopen(self) -> None:
        self.index.close()
        self.index = Index(self.path)

    @precondition(lambda self: self.truth)
    @rule(data=st.data())
    def search(self, data: st.DataObject) -> None:
        id_ = data.draw(st.sampled_from(sorted(self.truth)))
        seed = self.truth[id_]
        for hits in (
            self.index.search(vectors(1, seed), k=1)[0],
            self.index.search(vectors(1), k=9, where={"seed": seed})[0],
        ):
            assert [(hit.id, hit.text) for hit in hits] == [(id_, f"text {seed}")]

    @invariant()
    def same_size(self) -> None:
        assert len(self.index) == len(self.truth)
        assert len(self.index.search(vectors(1), k=99)[0]) == len(self.truth)

    def teardown(self) -> None:
        self.index.close()
        shutil.rmtree(self.folder)


TestIndexAgainstADict = IndexAgainstADict.TestCase
TestIndexAgainstADict.settings = settings(max_examples=10, stateful_step_count=15, deadline=None)


def test_metadata_comes_back_as_it_was(index: Index) -> None:
    data = {"a": [1, 2.5, None, {"ü": "日本"}], "b": True}
    index.add(["x"], vectors(1), metadata=[data])
    assert json.dumps(index.get([index.search(vectors(1))[0][0].id])[0].metadata) == json.dumps(
        data
    )
