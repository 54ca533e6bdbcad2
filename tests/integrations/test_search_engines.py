"""Search engines as places to export an index to and to search in.

Qdrant and Milvus in their local modes and behind HTTP; PostgreSQL and Milvus as real servers.
"""

import json
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from edge_embed.cli import main
from edge_embed.cli.corpus_embedding import StoppedError
from edge_embed.errors import (
    EdgeEmbedError,
    InputError,
    MissingExtraError,
    SearchEngineError,
)
from edge_embed.integrations.search_engines.base import Collection, read_facts
from edge_embed.integrations.search_engines.export import Exported, export, open_collection
from edge_embed.tasks import Hit, Index
from edge_embed.tasks.index.facts import StoreFacts
from edge_embed.tasks.index.store import Entry

DIM = 8
COUNT = 60
FACTS = StoreFacts(DIM, "float32", "m1", "one", "an index")
ODD = "q\"uo\\te's\n日本 {x} %"


def vectors(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, DIM)).astype(np.float32)


def texts(count: int) -> list[str]:
    return [f"text number {i}" for i in range(count)]


def place(engine: str, folder: Path) -> str:
    if engine == "milvus":
        pytest.importorskip("pymilvus", reason="needs pymilvus (the extra 'milvus')")
        pytest.importorskip("milvus_lite", reason="needs milvus-lite (the extra 'milvus')")
        return f"milvus:{folder}/a.db"
    if engine == "qdrant-edge":
        pytest.importorskip("qdrant_edge", reason="needs qdrant-edge-py (the extra 'qdrant-edge')")
        return f"qdrant-edge:{folder}/device"
    pytest.importorskip("qdrant_client", reason="needs qdrant-client (the extra 'qdrant')")
    return "qdrant::memory:" if engine == "qdrant memory" else f"qdrant:{folder}/qdrant"


# Places that outlive a process: folders, files and servers.
LASTING = [
    "qdrant",
    "qdrant-edge",
    "milvus",
    pytest.param("milvus server", marks=pytest.mark.clients),
    "postgresql",
]


@pytest.fixture(params=["qdrant memory", *LASTING])
def collection(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Collection]:
    with open_collection(an_address(request, tmp_path), create=FACTS) as opened:
        yield opened


@pytest.fixture(params=LASTING)
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return an_address(request, tmp_path)


def an_address(request: pytest.FixtureRequest, folder: Path) -> str:
    if request.param == "postgresql":
        return f"{request.getfixturevalue('database')}#notes"
    if request.param == "milvus server":
        return f"milvus:{request.getfixturevalue('milvus_url')}#notes"
    return f"{place(request.param, folder)}#notes"


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Index]:
    with Index.create(tmp_path / "a.index", dim=DIM, model="m1", model_name="one") as made:
        made.add(texts(COUNT), vectors(COUNT), ids=[str(i) for i in range(COUNT)])
        yield made


@pytest.fixture
def small_blocks(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Write 25 entries at a time, and read 10."""
    engine = address.partition(":")[0].replace("-", "_")
    monkeypatch.setattr("edge_embed.integrations.search_engines.export._BLOCK", 25)
    monkeypatch.setattr(f"edge_embed.integrations.search_engines.{engine}._PAGE", 10)


def path_of(index: Index) -> Path:
    return index._store.path


def entry(number: int, id_: str, text: str = "a text", **metadata: object) -> Entry:
    return Entry(number, id_, text, metadata)


def same(found: list[list[Hit]], expected: list[list[Hit]]) -> None:
    for one, other in zip(found, expected, strict=True):
        assert [(h.id, h.text, h.metadata) for h in one] == [
            (h.id, h.text, h.metadata) for h in other
        ]
        scores = [h.score for h in other]
        assert [h.score for h in one] == pytest.approx(scores, abs=1e-5)


# What a collection does, engine by engine


def test_upsert_replace_delete(collection: Collection) -> None:
    unit = np.eye(DIM, dtype=np.float32)
    assert list(collection.held()) == []
    assert collection.search(unit[:2]) == [[], []]
    collection.upsert([entry(1, "a", "first", page=1), entry(2, ODD, ODD, odd=ODD)], unit[:2])
    assert len(collection) == 2
    assert sorted(collection.held()) == sorted([("a", 1), (ODD, 2)])
    same(collection.search(unit[[1]] * 7, k=1), [[Hit(ODD, ODD, {"odd": ODD}, 1.0)]])
    collection.upsert([entry(3, "a", "second")], unit[[2]])
    same(collection.search(unit[[2]], k=1), [[Hit("a", "second", {}, 1.0)]])
    collection.delete(["a", "no such"])
    assert list(collection.held()) == [(ODD, 2)]
    assert collection.search(unit[:0]) == []


def test_a_filter_is_that_of_an_index(collection: Collection, tmp_path: Path) -> None:
    data: list[dict[str, object]] = [
        {"lang": "en", "year": 2020, "ok": True, "share": 0.5, "a b.c": ODD},
        {"lang": "de", "year": 2021, "ok": False, "share": 1.0, "nested": {"lang": "en"}},
        {"lang": ODD, "year": 2**53 + 1, "ok": True, "share": 3},
        {"lang": None, "year": "2020"},
        {},
    ]
    stored = vectors(5)
    entries = [entry(i, str(i), f"text number {i}", **data[i]) for i in range(5)]
    unit = stored / np.linalg.norm(stored, axis=1, keepdims=True)
    collection.upsert(entries, unit)
    with Index.create(tmp_path / "a.index", dim=DIM) as index:
        index.add(texts(5), stored, ids=[str(i) for i in range(5)], metadata=data)
        conditions: list[dict[str, object]] = [
            {"lang": "en"},
            {"lang": ["en", "de"]},
            {"lang": []},
            {"lang": ODD},
            {"a b.c": ODD},
            {"year": 2020},
            {"year": [2020, "2020"]},
            {"year": 2**53 + 1},
            {"ok": True},
            {"ok": False, "year": 2021},
            {"share": 0.5},
            {"share": 1},
            {"share": 3.0},
            {"none": "x"},
            {},
        ]
        for where in conditions:
            expected = index.search(vectors(2, seed=1), k=9, where=where)
            same(collection.search(vectors(2, seed=1), k=9, where=where), expected)
    with pytest.raises(InputError, match="cannot filter"):
        collection.search(stored, where={"lang": None})


# Each is stored, and each is asked for; by the rule of types some are the same.
KINDS: list[object] = [
    *("3", "3.0", 3, 3.5, "3.5", "03", " 3", "1e3", 1000, 0.1, "0.1", 5e-324, 1e300, "1e300"),
    *(True, "true", "True", "TRUE", False, "false", 0, -0.0, "0", 1, "1", "", "null", "NaN"),
    *(2**53, 2**53 + 1, str(2**53 + 1), 2**63 - 1, -(2**63), str(2**63), "it's", 'a"b', "a\\b"),
    *("é", "e\u0301", "%", "x' or '1'='1", "\n"),
]


def test_each_kind_of_value_is_found_as_in_an_index(collection: Collection, tmp_path: Path) -> None:
    count = len(KINDS)
    data: list[dict[str, object]] = [{"v": value} for value in KINDS]
    stored = vectors(count)
    unit = stored / np.linalg.norm(stored, axis=1, keepdims=True)
    collection.upsert([entry(i, str(i), "a text", **data[i]) for i in range(count)], unit)
    with Index.create(tmp_path / "a.index", dim=DIM) as index:
        ids = [str(i) for i in range(count)]
        index.add(["a text"] * count, stored, ids=ids, metadata=data)
        others = []
        for wanted in [*KINDS, KINDS[:5], KINDS[-8:]]:
            expected, found = (
                [KINDS[i] for i in sorted(int(hit.id) for hit in hits)]
                for place in (index, collection)
                for hits in place.search(unit[:1], k=count, where={"v": wanted})
            )
            if repr(found) != repr(expected):
                others.append((wanted, found, expected))
    assert not others, "\n".join(map(repr, others))


@pytest.mark.parametrize(
    "text",
    [None, "", "{}", "[" * 100_000, '{"dim": "x", "dtype": 1, "model": [], "model_name": {}}'],
)
def test_facts_of_a_foreign_collection(text: str | None) -> None:
    with pytest.raises(InputError, match="was not made by 'edge-embed index export'"):
        read_facts("there#notes", text)


def test_bad_queries(collection: Collection) -> None:
    with pytest.raises(InputError, match=r"dimensions do not fit .*#notes"):
        collection.search(np.ones((1, 3), np.float32))
    with pytest.raises(InputError, match="NaN"):
        collection.search(np.full((1, DIM), np.nan, np.float32))
    with pytest.raises(InputError, match="k is 0"):
        collection.search(vectors(1), k=0)
    collection.upsert([entry(1, "a")], np.zeros((1, DIM), np.float32))
    assert collection.search(vectors(1))[0][0].score == 0


def test_milvus_names_an_entry_that_is_too_long(tmp_path: Path) -> None:
    with open_collection(f"{place('milvus', tmp_path)}#notes", create=FACTS) as collection:
        collection.upsert([entry(1, "a", "日" * 21_845)], vectors(1))
        with pytest.raises(InputError, match="the text of 'b' has 65538 bytes"):
            collection.upsert([entry(2, "b", "日" * 21_846)], vectors(1))
        collection.upsert([entry(1, "a", page="日" * 21_841)], vectors(1))
        with pytest.raises(InputError, match="the metadata of 'c' has 65537 bytes"):
            collection.upsert([entry(3, "c", page="日" * 21_842)], vectors(1))


def test_milvus_goes_on_from_a_collection_without_its_index(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = f"{place('milvus', tmp_path)}#notes"
    from edge_embed.integrations.search_engines.milvus import MilvusCollection

    def killed(_: MilvusCollection) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(MilvusCollection, "_create_index", killed)
        with pytest.raises(KeyboardInterrupt):
            open_collection(address, create=FACTS)
    with open_collection(address, create=FACTS) as collection:
        collection.upsert([entry(1, "a")], np.eye(1, DIM, dtype=np.float32))
        assert collection.search(np.eye(1, DIM, dtype=np.float32))[0][0].id == "a"


# Export


@pytest.mark.usefixtures("small_blocks")
def test_an_exported_index_finds_the_same(index: Index, address: str) -> None:
    parts: list[int] = []
    assert export(path_of(index), address, progress=parts.append) == Exported(COUNT, 0, 0)
    assert sum(parts) == COUNT
    queries = vectors(5, seed=1)
    with open_collection(address, model="m1") as collection:
        assert collection.facts == index.facts
        same(collection.search(queries, k=20), index.search(queries, k=20))
    # The second export writes what changed since.
    index.add(["text anew", "one more"], vectors(2, seed=2), ids=["7", "x"])
    index.delete(["1", "2", "3"])
    assert export(path_of(index), address) == Exported(2, 3, COUNT - 4)
    assert export(path_of(index), address) == Exported(0, 0, COUNT - 2)
    with open_collection(address) as collection:
        assert len(collection) == len(index) == COUNT - 2
        same(collection.search(queries, k=COUNT), index.search(queries, k=COUNT))


@pytest.mark.usefixtures("small_blocks")
def test_an_interrupted_export_goes_on(index: Index, address: str) -> None:
    def interrupt(count: int) -> None:
        if count:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export(path_of(index), address, progress=interrupt)
    with open_collection(address) as collection:
        there = len(collection)
    assert there == 25
    assert export(path_of(index), address) == Exported(COUNT - there, 0, there)


def test_int8_vectors_are_exported(tmp_path: Path, address: str) -> None:
    with Index.create(tmp_path / "b.index", dim=DIM, dtype="int8") as index:
        index.add(texts(50), vectors(50))
        assert export(tmp_path / "b.index", address).written == 50
        with open_collection(address) as collection:
            queries = vectors(3, seed=1)
            same(collection.search(queries, k=9), index.search(queries, k=9))


def test_what_a_collection_refuses(index: Index, address: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no (folder of|file of|collection) "):
        open_collection(address)
    export(path_of(index), address)
    with pytest.raises(InputError, match=r"no collection .*#other: .*index export INDEX --to"):
        open_collection(address.replace("#notes", "#other"))
    with pytest.raises(InputError, match=r"#notes was made with the model one \(m1\), not .*m2"):
        open_collection(address, model="m2")
    with (
        Index.create(tmp_path / "b.index", dim=DIM, model="m2") as other,
        pytest.raises(InputError, match="was made with the model"),
    ):
        export(path_of(other), address)
    with (
        Index.create(tmp_path / "c.index", dim=DIM, model="m1") as other,
        pytest.raises(InputError, match="holds the entries of another index"),
    ):
        export(path_of(other), address)
    with pytest.raises(InputError, match="no index"):
        export(tmp_path / "none.index", address)


def test_a_collection_of_others_is_refused(tmp_path: Path) -> None:
    address = f"{place('qdrant', tmp_path)}#notes"
    from qdrant_client import QdrantClient, models

    client = QdrantClient(path=str(tmp_path / "qdrant"))
    size = models.VectorParams(size=DIM, distance=models.Distance.COSINE)
    client.create_collection("notes", vectors_config=size)
    client.close()
    with pytest.raises(InputError, match="was not made by 'edge-embed index export'"):
        open_collection(address, create=FACTS)


def test_a_folder_of_others_is_no_shard(tmp_path: Path) -> None:
    address = f"{place('qdrant-edge', tmp_path)}#notes"
    import qdrant_edge

    size = qdrant_edge.EdgeVectorParams(size=DIM, distance=qdrant_edge.Distance.Cosine)
    folder = tmp_path / "device" / "notes"
    folder.mkdir(parents=True)
    qdrant_edge.EdgeShard.create(str(folder), qdrant_edge.EdgeConfig(vectors=size)).close()
    with pytest.raises(InputError, match="was not made by 'edge-embed index export'"):
        open_collection(address, create=FACTS)


def test_a_shard_is_found_where_it_is_copied(index: Index, tmp_path: Path) -> None:
    address = f"{place('qdrant-edge', tmp_path)}#notes"
    export(path_of(index), address)
    shutil.copytree(tmp_path / "device", tmp_path / "other")
    with open_collection(address.replace("device#", "other#"), model="m1") as collection:
        queries = vectors(3, seed=1)
        same(collection.search(queries, k=9), index.search(queries, k=9))


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_folder_in_use(tmp_path: Path) -> None:
    address = f"{place('qdrant', tmp_path)}#notes"
    with (
        open_collection(address, create=FACTS),
        pytest.raises(SearchEngineError, match=r"cannot open .*already accessed"),
    ):
        open_collection(address)


# Addresses and servers


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("qdrant:http://localhost:6333", "is no address of a collection"),
        ("qdrant:#notes", "is no address of a collection"),
        ("qdrant:folder#", "is no address of a collection"),
        ("elastic:http://localhost#notes", "is no address of a collection"),
        ("qdrant:localhost:6333#notes", "write qdrant:http://localhost:6333#notes"),
        ("milvus:localhost:19530#notes", "write milvus:http://localhost:19530#notes"),
        ("milvus:a-folder#notes", "a file ends in .db"),
        ("qdrant:foo://x#notes", "is no URL of a server"),
        ("qdrant-edge:folder#../notes", "write qdrant-edge:FOLDER#NAME"),
    ],
)
def test_bad_addresses(address: str, message: str) -> None:
    for package in ("qdrant_client", "qdrant_edge", "pymilvus"):
        pytest.importorskip(package)
    with pytest.raises(InputError) as error:
        open_collection(address, create=FACTS)
    assert message in str(error.value)


@pytest.mark.parametrize("engine", ["qdrant", "milvus"])
def test_nobody_listens(engine: str, tmp_path: Path) -> None:
    place(engine, tmp_path)
    with pytest.raises(SearchEngineError, match=rf"cannot reach {engine}:http://.*running"):
        open_collection(f"{engine}:http://127.0.0.1:1#notes")


@contextmanager
def serving(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def test_a_server_that_refuses(tmp_path: Path) -> None:
    place("qdrant", tmp_path)

    class Refuse(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(401)
            self.end_headers()
            self.wfile.write(b"Must provide an API key")

        def log_message(self, *_: object) -> None:
            pass

    with (
        serving(Refuse) as url,
        pytest.raises(SearchEngineError, match=r"refuses: 401 .*--engine-key"),
    ):
        open_collection(f"qdrant:{url}#notes")


def test_qdrant_by_url(index: Index, tmp_path: Path) -> None:
    place("qdrant", tmp_path)
    from tests.support.qdrant_rest import QdrantRest

    with serving(QdrantRest) as url:
        searches_as_the_index(index, f"qdrant:{url}#notes")


def test_milvus_by_url(index: Index, tmp_path: Path) -> None:
    place("milvus", tmp_path)
    from milvus_lite.adapter.grpc.server import start_server_in_thread

    server, database, port = start_server_in_thread(
        data_dir=str(tmp_path / "served"), host="127.0.0.1", port=0
    )
    try:
        searches_as_the_index(index, f"milvus:http://127.0.0.1:{port}#notes")
    finally:
        server.stop(grace=0)
        database.close()


def searches_as_the_index(index: Index, address: str) -> None:
    index.add(["x"], vectors(1, seed=2), ids=["x"], metadata=[{"lang": ODD, "page": 1}])
    assert export(path_of(index), address) == Exported(COUNT + 1, 0, 0)
    index.delete(["1"])
    assert export(path_of(index), address) == Exported(0, 1, COUNT)
    queries = vectors(3, seed=1)
    with open_collection(address, model="m1") as collection:
        assert len(collection) == COUNT
        same(collection.search(queries, k=9), index.search(queries, k=9))
        where = {"lang": [ODD, "en"], "page": 1}
        found = collection.search(queries, where=where)
        same(found, index.search(queries, where=where))
        assert len(found[0]) == 1
    with pytest.raises(InputError, match="no collection"):
        open_collection(address + "2")


@pytest.mark.parametrize(
    ("engine", "package", "name"),
    [
        ("qdrant", "qdrant_client", "qdrant-client"),
        ("milvus", "pymilvus", "pymilvus"),
        ("milvus", "milvus_lite", "milvus-lite"),
        ("postgresql", "psycopg", "psycopg"),
        ("qdrant-edge", "qdrant_edge", "qdrant-edge-py"),
    ],
)
def test_a_missing_extra(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, engine: str, package: str, name: str
) -> None:
    if package == "milvus_lite":
        pytest.importorskip("pymilvus")
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.delitem(
        sys.modules,
        f"edge_embed.integrations.search_engines.{engine.replace('-', '_')}",
        raising=False,
    )
    with pytest.raises(MissingExtraError, match=rf"{name}'.*edge-embed\[{engine}\]"):
        open_collection(f"{engine}:{tmp_path}/x.db#notes", create=FACTS)


# The commands


def run(*arguments: object, stdin: str | None = None) -> Result:
    return CliRunner().invoke(main, list(map(str, arguments)), input=stdin)


def refused(result: Result, error: type[EdgeEmbedError], *parts: str) -> None:
    assert isinstance(result.exception, error), result.output
    for part in parts:
        assert part in str(result.exception)


def test_export_and_search_commands(tmp_path: Path, address: str) -> None:
    notes = tmp_path / "notes.index"
    assert run("index", "create", notes, "-m", "edge-embed-tiny").exit_code == 0
    rows = "text,page\nReset my password,1\nOpening hours,2\nWhere is my order?,3\n"
    (tmp_path / "rows.csv").write_text(rows)
    result = run("index", "add", notes, "-i", tmp_path / "rows.csv", "--column", "text")
    assert result.exit_code == 0, result.output
    result = run("index", "export", notes, "--to", address)
    assert result.exit_code == 0, result.output
    assert f"{address}: 3 written, 0 deleted, 0 were there" in result.stderr
    # The same call, and -m is the index's own model in both.
    found = [
        json.loads(run("search", where, "opening hours", "-k", 2, "--dense", "--json").stdout)
        for where in (notes, address)
    ]
    assert found[0][0]["hits"][0]["text"] == "Opening hours"
    for ours, theirs in zip(found[0][0]["hits"], found[1][0]["hits"], strict=True):
        # Another sum of the same products: the last printed digit may differ.
        assert ours.pop("score") == pytest.approx(theirs.pop("score"), abs=1e-5)
    assert found[0] == found[1]
    result = run("search", address, "hours", "--where", 'page="3"')
    assert result.stdout.endswith("Where is my order?\n")
    refused(
        run("search", address, "x", "-m", "edge-embed-small"),
        InputError,
        "was made with the model",
    )
    assert run("search", address, "x", "--hybrid").exit_code == 2


def test_each_command_is_a_process_of_its_own(index: Index, address: str, tmp_path: Path) -> None:
    def process(*arguments: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "edge_embed", "index", "export", *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    first = process(path_of(index), "--to", address)
    assert (first.returncode, first.stdout) == (0, "")
    assert first.stderr == f"{address}: {COUNT} written, 0 deleted, 0 were there\n"
    with open_collection(address) as collection:
        assert len(collection) == COUNT
        second = process(path_of(index), "--to", address)
    if "://" in address:  # a server
        assert second.stderr == f"{address}: 0 written, 0 deleted, {COUNT} were there\n"
        return
    # Local modes serve one process, and the second says so in a line.
    assert (second.returncode, second.stderr.count("\n")) == (1, 1)
    assert f"edge-embed: cannot open {address}: " in second.stderr


@pytest.mark.usefixtures("small_blocks")
def test_an_interrupted_export_command_says_what_stays(
    index: Index, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_collection(address, create=index.facts) as collection:
        kind = type(collection)
    blocks: list[int] = []

    def upsert(self: Collection, entries: list[Entry], vectors: np.ndarray) -> None:
        if blocks:
            raise KeyboardInterrupt
        blocks.append(len(entries))
        whole(self, entries, vectors)

    whole = kind.upsert
    with monkeypatch.context() as patch:
        patch.setattr(kind, "upsert", upsert)
        result = run("index", "export", path_of(index), "--to", address)
    there = blocks[0]
    refused(result, StoppedError, f"interrupted; {there} texts are in {address}")
    result = run("index", "export", path_of(index), "--to", address)
    assert f"{COUNT - there} written, 0 deleted, {there} were there" in result.stderr
